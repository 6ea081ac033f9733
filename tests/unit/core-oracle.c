#include "host.h"

#include "core/oracle.h"

#include <errno.h>

static int read_page(struct vm *vm, ppn_t ppn, mpn_t *mpn, struct err *err)
{
	int rc = pmap_touch(vm->pmap, ppn, ACCESS_READ, err);

	*mpn = pte_mpn(pmap_peek(vm->pmap, ppn));
	return rc;
}

static int fail_at_page_3(struct vm *vm, ppn_t ppn, mpn_t *mpn, struct err *err)
{
	return ppn.n == 3 ? err_run(err, EIO, "page 3 is gone") : read_page(vm, ppn, mpn, err);
}

/* What oracle_check() says of the VM, and its text. */
static int64_t check(const struct oracle *o, struct vm *vm, char **text)
{
	size_t size;
	FILE *out = open_memstream(text, &size);
	struct err err;
	int64_t wrong = oracle_check(o, vm, read_page, out, &err);

	fclose(out);
	return wrong;
}

static void finds_wrong_pages(const char *backing)
{
	struct oracle *o;
	struct test_host t;
	char *text;

	test_host_new(&t, (struct test_shape){.frames = 6, .backing = backing});
	struct vm *a = test_vm(&t, "a", 10), *b = test_vm(&t, "b", 4);
	CU_ASSERT_EQUAL_FATAL(oracle_new(&o), 0);
	CU_ASSERT_EQUAL(check(o, a, &text), 0); /* nobody wrote: all zero */
	CU_ASSERT_STRING_EQUAL(text, "");
	free(text);
	for (uint32_t i = 0; i < 10; i++) { /* b, the later VM, is told of first */
		struct vm *vm = i % 3 ? a : b;
		CU_ASSERT_EQUAL(oracle_write(o, vm, (ppn_t){i % 4}, 100 + i), 0);
		test_fill(vm, i % 4, 100 + i);
	}
	CU_ASSERT_EQUAL(check(o, a, &text), 0);
	free(text);
	CU_ASSERT_EQUAL(check(o, b, &text), 0);
	free(text);
	CU_ASSERT_EQUAL(oracle_copy(o, a, (ppn_t){8}, (ppn_t){1}), 0); /* of what is not so yet */
	CU_ASSERT_EQUAL(check(o, a, &text), 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "vm a page 8 does not read as id 105\n"));
	free(text);
	test_fill(a, 8, 105);
	CU_ASSERT_EQUAL(check(o, a, &text), 0);
	free(text);
	test_fill(b, 1, 12345); /* behind its back */
	test_fill(b, 3, 0);
	test_fill(a, 9, 1); /* never written, for all that it knows */
	CU_ASSERT_EQUAL(check(o, b, &text), 2);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "vm b page 1 does not read as id 109\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "vm b page 3 does not read as id 103\n"));
	free(text);
	CU_ASSERT_EQUAL(check(o, a, &text), 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(text, "vm a page 9 does not read as id 0\n"));
	free(text);
	oracle_free(o);
	test_host_free(&t);
}

static void wrong_ids(void)
{
	finds_wrong_pages("ids");
}

static void wrong_bytes(void)
{
	finds_wrong_pages("ram");
}

static void a_page_that_cannot_be_read_is_an_error(void)
{
	struct oracle *o;
	struct test_host t;
	struct err err = {0};

	test_host_new(&t, (struct test_shape){.frames = 6});
	struct vm *vm = test_vm(&t, "a", 5);
	CU_ASSERT_EQUAL_FATAL(oracle_new(&o), 0);
	CU_ASSERT_EQUAL(oracle_check(o, vm, fail_at_page_3, stdout, &err), -EIO);
	CU_ASSERT_STRING_EQUAL(err.msg, "page 3 is gone");
	oracle_free(o);
	oracle_free(NULL);
	test_host_free(&t);
}

static void fresh_ids_are_fresh(void)
{
	struct oracle *o;
	uint64_t last = 0; /* and never that of the zero page */

	CU_ASSERT_EQUAL_FATAL(oracle_new(&o), 0);
	for (int i = 0; i < 1000; i++) {
		uint64_t id = oracle_fresh_id(o);
		CU_ASSERT_TRUE(id > last);
		last = id;
	}
	oracle_free(o);
}

TESTS("core/oracle", {"wrong ids", wrong_ids}, {"wrong bytes", wrong_bytes},
      {"unreadable page", a_page_that_cannot_be_read_is_an_error},
      {"fresh ids", fresh_ids_are_fresh})
