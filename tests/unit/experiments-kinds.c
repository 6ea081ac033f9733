/* The tables that users read: whatever is added to them keeps the house's form. */
#include "experiments/kinds.h"

#include "test.h"

#include <ctype.h>
#include <string.h>

static void check_name(const char *name)
{
	CU_ASSERT_FATAL(name && name[0]);
	for (const char *p = name; *p; p++)
		CU_ASSERT(isalnum((unsigned char)*p) || *p == '_' || *p == '-');
}

/* One line, no full stop, and it fits beside its name. */
static void check_help(const char *name, const char *help)
{
	size_t len = help ? strlen(help) : 0;
	bool stop = len > 3 && help[len - 1] == '.' && strcmp(help + len - 3, "...") != 0;
	bool good = len > 0 && len <= 120 && !strchr(help, '\n') && !stop;

	if (!good)
		printf("  help of %s: %s\n", name, help ? help : "(none)");
	CU_ASSERT(good);
}

static void check_option(const struct opt *opt)
{
	char domain[300];

	check_name(opt->name);
	check_help(opt->name, opt->help);
	CU_ASSERT(opt->max >= opt->min || opt->max == 0);
	CU_ASSERT((opt->type == OPT_CHOICE) == (opt->choices != NULL));
	CU_ASSERT(opt_domain(opt, domain, sizeof domain) > 0);
}

/* Fields lie inside the struct and apart; defaults are in range (opt_defaults() aborts else). */
static void check_section(const struct opt_section *section)
{
	static const size_t sizes[] = {
		[OPT_BOOL] = sizeof(bool),	[OPT_INT] = sizeof(int64_t),
		[OPT_BYTES] = sizeof(uint64_t), [OPT_TIME] = sizeof(uint64_t),
		[OPT_REAL] = sizeof(double),	[OPT_STRING] = sizeof(char *),
		[OPT_CHOICE] = sizeof(void *),	[OPT_LIST] = sizeof(char **),
	};
	char *used = calloc(1, section->size);
	void *options = calloc(1, section->size);

	CU_ASSERT_FATAL(used && options);
	check_name(section->name);
	check_help(section->name, section->help);
	for (const struct opt *opt = section->opts; opt->name; opt++) {
		check_option(opt);
		CU_ASSERT_PTR_EQUAL(opt_find(section, opt->name), opt); /* no name twice */
		CU_ASSERT_FATAL(opt->offset + sizes[opt->type] <= section->size);
		CU_ASSERT_PTR_NULL(memchr(used + opt->offset, 1, sizes[opt->type]));
		memset(used + opt->offset, 1, sizes[opt->type]);
	}
	CU_ASSERT_EQUAL(opt_defaults(section, options), 0);
	opt_release(section, options);
	free(options);
	free(used);
}

static void sections(void)
{
	CU_ASSERT_PTR_NOT_NULL(job_sections[0]);
	for (size_t i = 0; job_sections[i]; i++) {
		check_section(job_sections[i]);
		for (size_t k = 0; k < i; k++)
			CU_ASSERT(strcmp(job_sections[i]->name, job_sections[k]->name) != 0);
	}
}

static void policies(void)
{
	CU_ASSERT_PTR_NOT_NULL(kinds[0].name);
	for (const struct kind *kind = kinds; kind->name; kind++) {
		check_name(kind->name);
		check_help(kind->name, kind->help);
		CU_ASSERT_PTR_NOT_NULL_FATAL(kind->policies[0]);
		for (const struct policy *const *p = kind->policies; *p; p++) {
			check_name((*p)->name);
			check_help((*p)->name, (*p)->help);
			CU_ASSERT_PTR_EQUAL(policy_find(kind->policies, (*p)->name), *p);
			if ((*p)->section)
				check_section((*p)->section);
		}
		CU_ASSERT_PTR_NULL(policy_find(kind->policies, "no such policy"));
	}
}

TESTS("experiments/kinds", {"sections", sections}, {"policies", policies})
