#include "traces/private.h"
#include "core/os.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/*
 * libCacheSim's oracleGeneral tells of each record when its object comes next.
 * The records are spooled into a nameless file, which is then walked from its
 * end: the number of the record that named a page last is what the one before
 * it must say. Reads and writes are alike in this format.
 */
#define RECORD_BYTES  24u
#define CHUNK_RECORDS 8192u
#define CHUNK_BYTES   (RECORD_BYTES * CHUNK_RECORDS)

struct oracle {
	struct writer writer;
	int spool;	  /* -1: none */
	uint64_t spooled; /* records in the spool */
	uint64_t ns;	  /* since the beginning */
	size_t n;	  /* records in chunk */
	uint8_t chunk[CHUNK_BYTES];
};

static struct oracle *of(struct writer *writer)
{
	return (struct oracle *)writer;
}

static int spool_failed(const struct oracle *o, int rc, struct err *err)
{
	return err_run(err, -rc, "%s: its temporary file beside it failed: %s",
		       draft_path(o->writer.draft), strerror(-rc));
}

static int oracle_begin(struct writer *writer, struct err *err)
{
	struct oracle *o = of(writer);
	const char *path = draft_path(writer->draft), *slash = strrchr(path, '/');
	const char *tmp = getenv("TMPDIR");
	char *dir = NULL;

	if (strcmp(path, "-") == 0)
		dir = strdup(tmp && *tmp ? tmp : "/tmp");
	else if (slash)
		dir = strndup(path, slash == path ? 1 : (size_t)(slash - path));
	else
		dir = strdup(".");
	if (!dir)
		return err_run(err, ENOMEM, "out of memory");
	o->spool = os_temp_file(dir);
	free(dir);
	return o->spool < 0 ? spool_failed(o, o->spool, err) : 0;
}

static int spool_chunk(struct oracle *o, struct err *err)
{
	int rc = os_write_at(&os_io, o->spool, o->chunk, o->n * RECORD_BYTES,
			     o->spooled * RECORD_BYTES);

	if (rc)
		return spool_failed(o, rc, err);
	o->spooled += o->n;
	o->n = 0;
	return 0;
}

static int add(struct oracle *o, rec_t r, struct err *err)
{
	uint64_t page = rec_page(r);
	uint8_t *at = o->chunk + o->n * RECORD_BYTES;
	uint32_t seconds, size = PAGE_SIZE;

	int rc = writer_advance(&o->writer, r, &o->ns, err);

	if (rc)
		return rc;
	if (rec_kind(r) == REC_SLEEP || rec_kind(r) == REC_END)
		return 0;
	if (rec_kind(r) > REC_WRITE && rec_kind(r) != REC_WRITE_ID)
		return writer_refuse(&o->writer, rec_kind(r), "oracleGeneral", err);
	seconds = (uint32_t)min_u64(o->ns / 1000000000, UINT32_MAX);
	memcpy(at, &seconds, sizeof seconds);
	memcpy(at + 4, &page, sizeof page);
	memcpy(at + 12, &size, sizeof size);
	return ++o->n == CHUNK_RECORDS ? spool_chunk(o, err) : 0;
}

static int oracle_put(struct writer *writer, const rec_t *batch, size_t words, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; i < words && !rc; i++) {
		writer->records++;
		rc = add(of(writer), batch[i], err);
		i += rec_is_wide(batch[i]);
	}
	return rc;
}

/* Fills in when each of the chunk's records comes next, from its last one back. */
static int link_chunk(struct oracle *o, struct idmap *next_of, uint64_t first, size_t n)
{
	for (size_t i = n; i-- > 0;) {
		uint8_t *at = o->chunk + i * RECORD_BYTES;
		uint64_t page, *known;
		int64_t next = -1;

		memcpy(&page, at + 4, sizeof page);
		known = idmap_find(next_of, page);
		if (known) {
			next = (int64_t)*known;
			*known = first + i;
		} else if (idmap_add(next_of, page, first + i)) {
			return -ENOMEM;
		}
		memcpy(at + 16, &next, sizeof next);
	}
	return 0;
}

static int link_all(struct oracle *o, struct idmap *next_of, struct err *err)
{
	uint64_t end = o->spooled;

	while (end) {
		size_t n = (end - 1) % CHUNK_RECORDS + 1;
		uint64_t first = end - n;
		int rc = os_read_at(&os_io, o->spool, o->chunk, n * RECORD_BYTES,
				    first * RECORD_BYTES);

		if (!rc)
			rc = link_chunk(o, next_of, first, n);
		if (!rc)
			rc = os_write_at(&os_io, o->spool, o->chunk, n * RECORD_BYTES,
					 first * RECORD_BYTES);
		if (rc)
			return spool_failed(o, rc, err);
		end = first;
	}
	return 0;
}

static int copy_out(struct oracle *o, struct err *err)
{
	for (uint64_t at = 0; at < o->spooled; at += CHUNK_RECORDS) {
		size_t bytes = min_u64(CHUNK_RECORDS, o->spooled - at) * RECORD_BYTES;
		int rc = os_read_at(&os_io, o->spool, o->chunk, bytes, at * RECORD_BYTES);

		if (rc)
			return spool_failed(o, rc, err);
		rc = writer_out(&o->writer, o->chunk, bytes, err);
		if (rc)
			return rc;
	}
	return 0;
}

static int oracle_finish(struct writer *writer, struct err *err)
{
	struct oracle *o = of(writer);
	struct idmap *next_of;
	int rc = o->n ? spool_chunk(o, err) : 0;

	if (rc)
		return rc;
	if (idmap_new(&next_of))
		return err_run(err, ENOMEM, "out of memory");
	rc = link_all(o, next_of, err);
	idmap_free(next_of);
	return rc ? rc : copy_out(o, err);
}

static void oracle_free(struct writer *writer)
{
	if (of(writer)->spool >= 0)
		os_close(of(writer)->spool);
	free(writer);
}

static const struct writer_ops oracle_ops = {oracle_put, oracle_finish, oracle_free};

static int oracle_make(struct writer **writer, struct err *err)
{
	struct oracle *o = calloc(1, sizeof *o);

	if (!o)
		return err_run(err, ENOMEM, "out of memory");
	o->writer.ops = &oracle_ops;
	o->spool = -1;
	*writer = &o->writer;
	return 0;
}

const struct format format_oracle_general = {
	.policy = {.name = "oracleGeneral",
		   .help = "libCacheSim's 24-byte records, with the time of the next access"},
	.make = oracle_make,
	.begin = oracle_begin,
};
