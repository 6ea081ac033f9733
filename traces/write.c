#include "traces/private.h"

#include <errno.h>
#include <string.h>

const struct policy *const trace_writers[] = {
	&format_bt.policy,
	&format_bt_fixed.policy,
	&format_u32.policy,
	&format_u64.policy,
	&format_csv.policy,
	&format_oracle_general.policy,
	NULL,
};

int writer_out(struct writer *writer, const void *data, size_t n, struct err *err)
{
	errno = 0;
	if (fwrite(data, 1, n, writer->out) == n)
		return 0;
	return draft_fail(writer->draft, err);
}

int writer_open(const char *path, const char *format, const struct trace_info *info,
		struct writer **writer, struct err *err)
{
	const struct policy *policy = policy_find(trace_writers, format);
	const struct format *f = (const struct format *)policy; /* its first member */
	struct writer *w;
	int rc;

	if (!f)
		return err_input(err,
				 "no trace format to write is called '%s': take bt, bt-fixed, u32, "
				 "u64, csv or oracleGeneral",
				 format);
	rc = f->make(&w, err);
	if (rc)
		return rc;
	w->info = *info;
	w->info.vms = (uint32_t)max_u64(info->vms, 1);
	w->info.tick_ns = (uint32_t)max_u64(info->tick_ns, 1);
	rc = draft_open(path, &w->draft, err);
	if (!rc) {
		w->out = draft_stream(w->draft);
		rc = f->begin ? f->begin(w, err) : 0;
	}
	if (rc)
		writer_abort(w);
	else
		*writer = w;
	return rc;
}

int writer_put(struct writer *writer, const rec_t *batch, size_t words, struct err *err)
{
	return writer->ops->put(writer, batch, words, err);
}

int writer_commit(struct writer *writer, struct err *err)
{
	struct draft *draft = writer->draft;
	int rc = writer->ops->finish ? writer->ops->finish(writer, err) : 0;

	if (rc) {
		writer_abort(writer);
		return rc;
	}
	writer->ops->free(writer);
	return draft_commit(draft, err);
}

int writer_advance(const struct writer *writer, rec_t r, uint64_t *ns, struct err *err)
{
	uint64_t ticks = rec_delta(r) + (rec_kind(r) == REC_SLEEP ? rec_page(r) : 0), more;

	if (!__builtin_mul_overflow(ticks, (uint64_t)writer->info.tick_ns, &more) &&
	    !__builtin_add_overflow(*ns, more, ns))
		return 0;
	return err_input(err, "record %llu: over 2^64 ns have passed",
			 (unsigned long long)writer->records);
}

int writer_refuse(const struct writer *writer, unsigned kind, const char *format, struct err *err)
{
	const char *name = kind_name(kind);

	if (!name)
		return err_input(err, "record %llu is of unknown kind %u",
				 (unsigned long long)writer->records, kind);
	return err_input(err,
			 "record %llu is '%s', which %s cannot say: take bt or csv, or one VM with "
			 "--vm",
			 (unsigned long long)writer->records, name, format);
}

void writer_abort(struct writer *writer)
{
	if (!writer)
		return;
	draft_abort(writer->draft);
	writer->ops->free(writer);
}
