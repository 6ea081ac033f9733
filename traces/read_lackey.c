#include "traces/private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/*
 * valgrind --tool=lackey --trace-mem=yes: "I  HEX,SIZE", " L HEX,SIZE",
 * " S HEX,SIZE" and " M HEX,SIZE" for fetch, load, store and both. valgrind's
 * own lines (==PID==) are passed over. What a page table would not notice
 * again, a record equal to the one before it, is dropped.
 */
struct lackey {
	struct source source;
	struct input *in;
	struct touches touches;
};

#define SIZE_MAX_BYTES 4096 /* so that an access touches two pages at most */

static int kind_of(const char *line, size_t n)
{
	if (n < 4)
		return -1;
	if (memcmp(line, "I  ", 3) == 0 || memcmp(line, " L ", 3) == 0)
		return REC_READ;
	if (memcmp(line, " S ", 3) == 0 || memcmp(line, " M ", 3) == 0)
		return REC_WRITE;
	return -1;
}

static int out_of_form(struct lackey *l, const char *line, size_t n, struct err *err)
{
	return input_bad_line(l->in, err,
			      "'%.*s' is no line of lackey's: want ' L HEXADDRESS,SIZE'; keep the "
			      "program's own output out with --log-file",
			      (int)min_u64(n, 60), line);
}

static int take_line(struct lackey *l, const char *line, size_t n, struct err *err)
{
	const char *at = line + 3, *end = line + n;
	uint64_t address, size, first, last;
	int kind = kind_of(line, n);

	if (n == 0 || (n >= 2 && (memcmp(line, "==", 2) == 0 || memcmp(line, "--", 2) == 0 ||
				  memcmp(line, "**", 2) == 0)))
		return 0;
	if (kind < 0 || !text_number(&at, end, 16, &address) || at == end || *at++ != ',' ||
	    !text_number(&at, end, 10, &size) || at != end)
		return out_of_form(l, line, n, err);
	if (size == 0 || size > SIZE_MAX_BYTES)
		return input_bad_line(l->in, err, "an access of %llu bytes: want 1 to %d",
				      (unsigned long long)size, SIZE_MAX_BYTES);
	if (!address_page(address, &first) || address + (size - 1) < address ||
	    !address_page(address + (size - 1), &last))
		return input_bad_line(l->in, err, "%llx is no address of 48 bits",
				      (unsigned long long)address);
	touches_add(&l->touches, (enum rec_kind)kind, first, 0);
	if (last != first)
		touches_add(&l->touches, (enum rec_kind)kind, last, 0);
	return 0;
}

static ssize_t lackey_next(struct source *source, const rec_t **batch, struct err *err)
{
	struct lackey *l = (struct lackey *)source;
	const char *line;
	size_t n;

	l->touches.batch.n = 0;
	while (!batch_full(&l->touches.batch)) {
		int rc = input_line(l->in, &line, &n, err);

		if (rc == 0)
			break;
		if (rc > 0)
			rc = take_line(l, line, n, err);
		if (rc < 0)
			return rc;
	}
	*batch = l->touches.batch.word;
	return (ssize_t)l->touches.batch.n;
}

static void lackey_close(struct source *source)
{
	input_close(((struct lackey *)source)->in);
	free(source);
}

static struct source_progress lackey_progress(const struct source *source)
{
	return input_progress(((const struct lackey *)source)->in);
}

static const struct source_ops lackey_ops = {lackey_next, lackey_close, lackey_progress};

static int lackey_open(struct input *in, struct source **source, struct err *err)
{
	struct lackey *l = calloc(1, sizeof *l);

	if (!l)
		return err_run(err, ENOMEM, "%s: out of memory", input_name(in));
	source_init(&l->source, &lackey_ops, "lackey");
	l->source.info.space = TRACE_VPN;
	l->in = in;
	l->touches.last = TOUCHES_NONE;
	*source = &l->source;
	return 0;
}

static bool lackey_looks(const uint8_t *head, size_t n)
{
	return (n >= 2 && memcmp(head, "==", 2) == 0) || kind_of((const char *)head, n) >= 0;
}

const struct reader reader_lackey = {
	.policy = {.name = "lackey", .help = "text of valgrind --tool=lackey --trace-mem=yes"},
	.suffix = ".lackey",
	.looks = lackey_looks,
	.open = lackey_open,
};
