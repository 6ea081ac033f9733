/* Tables of claims: exact sizes, and a line of error for each thing that can be wrong. */
#include "experiments/claims.h"

#include "test.h"

#include <string.h>

static int read_text(const char *text, struct claims *claims, struct err *err)
{
	FILE *in = fmemopen((void *)text, strlen(text), "r");

	CU_ASSERT_PTR_NOT_NULL_FATAL(in);
	int rc = claims_read(in, "t.csv", claims, err);
	fclose(in);
	return rc;
}

static void read_good(const char *text, struct claims *claims)
{
	struct err err = {0};

	if (read_text(text, claims, &err)) {
		printf("  %s\n", err.msg);
		CU_FAIL_FATAL("refused");
	}
}

static void any_order_and_blanks(void)
{
	struct claims c;

	read_good("\xef\xbb\xbf shares ,name,\tactive_mb,max_mb,min_mb\r\n"
		  "\n 10k , web 1 ,243.5,\t256 ,0.5\r\n  \n0,db,0,1024,1024",
		  &c);
	CU_ASSERT_EQUAL_FATAL(c.n, 2);
	CU_ASSERT_STRING_EQUAL(c.row[0].name, "web 1");
	CU_ASSERT(c.row[0].line == 3 && c.row[1].line == 5);
	CU_ASSERT(c.claim[0].min == 128 && c.claim[0].max == 65536 && c.claim[0].shares == 10000);
	CU_ASSERT(c.claim[0].active == 62336 && c.claim[0].pages == 65536);
	CU_ASSERT(c.claim[1].min == 262144 && c.claim[1].shares == 0);
	claims_release(&c);
	CU_ASSERT(c.n == 0 && !c.claim);
}

/* A page is 0.00390625 MB; half of one and more is one. */
static void sizes_to_the_page(void)
{
	static const struct {
		const char *mb;
		uint64_t pages;
	} sizes[] = {{"0", 0},
		     {"0.00390625", 1},
		     {"0.001953125", 1},
		     {"0.001953124", 0},
		     {"101.3", 25933},
		     {"1.999999999", 512},
		     {"268435456", 1ull << 36},
		     {"0.999999999", 256}};
	char text[200];

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		struct claims c;

		snprintf(text, sizeof text, "name,min_mb,max_mb,shares,active_mb\na,%s,%s,1,%s\n",
			 sizes[i].mb, sizes[i].mb, sizes[i].mb);
		read_good(text, &c);
		CU_ASSERT_EQUAL(c.claim[0].max, sizes[i].pages);
		CU_ASSERT_EQUAL(c.claim[0].min, sizes[i].pages);
		claims_release(&c);
	}
}

#define HEAD "name,min_mb,max_mb,shares,active_mb\n"

static void nonsense_is_refused(void)
{
	static const struct {
		const char *text, *part;
	} cases[] = {
		{"\n", "t.csv:1: there is no column ''"},
		{"name,min_mb,max_mb,share,active_mb\n",
		 "t.csv:1: there is no column 'share'; did you mean 'shares'?"},
		{"name,min_mb,max_mb,shares,active_mb,colour\n",
		 "no column 'colour'; columns are name"},
		{"name,min_mb,max_mb,shares\n", "t.csv:1: column active_mb is missing"},
		{"name,min_mb,name,shares\n", "column name is there twice"},
		{HEAD, "t.csv:1: no VM follows"},
		{HEAD "\n\n", "t.csv:3: no VM follows"},
		{HEAD "a,1,2,3\n", "t.csv:2: fewer than the 5 fields"},
		{HEAD "a,1,2,3,1,\n", "t.csv:2: more than the 5 fields"},
		{HEAD "\na,5,2,3,1\n",
		 "t.csv:3: 'a': the minimum of 5 MB is above the maximum of 2 MB"},
		{HEAD "a,1,2,3,2.5\n",
		 "t.csv:2: 'a': 2.5 MB active is more than the maximum of 2 MB"},
		{HEAD "a,-1,2,3,1\n", "t.csv:2: min_mb is -1: a size cannot be negative"},
		{HEAD "a,1,2,-3,1\n", "t.csv:2: shares are -3: 0 or more; 0 means exactly min_mb"},
		{HEAD "a,1,2,4294967296,1\n",
		 "t.csv:2: shares are 4294967296: the most are 4294967295"},
		{HEAD "a,1,2,few,1\n", "t.csv:2: shares: 'few' is not a whole number"},
		{HEAD "a,1,2,,1\n", "t.csv:2: shares: '' is not"},
		{HEAD "a,1,2mb,1,1\n", "t.csv:2: max_mb is '2mb': want MB"},
		{HEAD "a,1,,1,1\n", "max_mb is ''"},
		{HEAD "a,1,2.,1,1\n", "max_mb is '2.'"},
		{HEAD "a,1,.5,1,1\n", "max_mb is '.5'"},
		{HEAD "a,1,2.0000000001,1,1\n", "at most 9 decimals"},
		{HEAD "a,1,268435457,1,1\n", "max_mb is 268435457: the largest is 268435456 MB"},
		{HEAD "a,1,99999999999999999999999999,1,1\n", "the largest is 268435456 MB"},
		{HEAD "a,1,268435456.5,1,1\n", "a maximum of 268435456.5 MB is too large"},
		{HEAD ",1,2,3,1\n", "t.csv:2: the name is empty"},
		{HEAD "\"a\",1,2,3,1\n", "character 1 of the name"},
		{HEAD "a\x1b[0m,1,2,3,1\n", "character 2 of the name"},
		{HEAD "b,1,2,3,1\na,1,2,3,1\n\nb,1,2,3,1\na,1,2,3,1\n",
		 "t.csv:5: the name 'b' is taken since line 2"},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct err err = {0};
		struct claims c;

		CU_ASSERT(read_text(cases[i].text, &c, &err) < 0);
		CU_ASSERT(err.exit_code == 2 && c.n == 0 && !c.claim && !c.row);
		if (!strstr(err.msg, cases[i].part))
			printf("  no '%s' in: %s\n", cases[i].part, err.msg);
		CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, cases[i].part));
	}
}

/* Refuses a text of n bytes c after the head, with that message. */
static void refuse_run(char byte, size_t n, const char *part)
{
	char *text = malloc(n);
	struct err err = {0};
	struct claims c;

	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	memset(text, byte, n);
	FILE *in = fmemopen(text, n, "r");
	CU_ASSERT_PTR_NOT_NULL_FATAL(in);
	CU_ASSERT(claims_read(in, "t.csv", &c, &err) < 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, part));
	fclose(in);
	free(text);
}

static void no_text(void)
{
	refuse_run('x', 1001, "t.csv:1: the line is longer than 1000 bytes");
	refuse_run('x', 1000, "there is no column 'xxxx");
	refuse_run('\0', 5, "t.csv:1: a byte of 0: this is not text");
	FILE *in = fopen("/dev/null", "r");
	struct err err = {0};
	struct claims c;

	CU_ASSERT_PTR_NOT_NULL_FATAL(in);
	CU_ASSERT(claims_read(in, "t.csv", &c, &err) < 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "t.csv: the file is empty"));
	fclose(in);
}

static void names_have_a_length(void)
{
	char text[400], name[CLAIM_NAME_MAX + 2];
	struct err err = {0};
	struct claims c;

	memset(name, 'n', sizeof name);
	name[CLAIM_NAME_MAX] = '\0';
	snprintf(text, sizeof text, HEAD "%s,0,1,1,0\n", name);
	read_good(text, &c);
	CU_ASSERT_STRING_EQUAL(c.row[0].name, name);
	claims_release(&c);
	snprintf(text, sizeof text, HEAD "%sn,0,1,1,0\n", name);
	CU_ASSERT(read_text(text, &c, &err) < 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.msg, "has 64 characters; the most are 63"));
}

TESTS("experiments/claims", {"any order", any_order_and_blanks}, {"to the page", sizes_to_the_page},
      {"refusals", nonsense_is_refused}, {"no text", no_text}, {"names", names_have_a_length})
