#include "experiments/live_meter.h"

#include "core/stat.h"

#include <string.h>

#define STEAL_EVERY UINT64_C(1000000000) /* ns */

#define METER(field) offsetof(struct live_meter, field)

static const struct stat_row rows[] = {
	{"ops", STAT_COUNTER, "1", METER(ops), false, "operations that its programs told of"},
	{"ops_per_s", STAT_REAL, "1/s", METER(ops_per_s), true,
	 "of them, in its programs' last seconds, by the guest's clock"},
	{"steal", STAT_REAL, "1", METER(steal), true,
	 "share of the last second that its CPUs wanted to run and waited for the machine's"},
	{"touched_mb", STAT_REAL, "MB", METER(touched_mb), true,
	 "memory that its programs say they touch"},
	{"bad", STAT_COUNTER, "1", METER(bad), false, "wrong results that its programs told of"},
	{"damaged_lines", STAT_COUNTER, "1", METER(damaged), false,
	 "lines of its programs that could not be read"},
	{NULL},
};

void meter_bind(struct live_meter *m, struct live_vm *v)
{
	m->console.fd = -1;
	stat_bind(&v->vm->stats, rows, m);
}

static size_t find(struct live_meter *m, const char *name)
{
	size_t i = 0;

	while (i < m->programs && strcmp(m->program[i].name, name) != 0)
		i++;
	if (i == m->programs && i < METER_PROGRAMS) {
		snprintf(m->program[i].name, sizeof m->program[i].name, "%s", name);
		m->programs++;
	}
	return i;
}

static void on_record(void *ctx, const struct console_record *r)
{
	struct live_meter *m = ctx;
	size_t i = find(m, r->name);

	if (i == METER_PROGRAMS)
		return;
	m->ops_per_s -= m->program[i].rate;
	m->touched_mb -= m->program[i].touched;
	m->program[i].rate = m->program[i].touched = 0;
	if (r->end) {
		double ops = console_value(r, "ops", 0);
		m->ends++;
		m->bad += r->bad;
		m->ops += ops > (double)m->program[i].done ? (uint64_t)ops - m->program[i].done : 0;
		m->program[i].done = m->program[i].t_ms = 0; /* it may be run again */
	} else {
		uint64_t ms = r->t_ms > m->program[i].t_ms ? r->t_ms - m->program[i].t_ms : r->t_ms;
		m->ops += r->done > m->program[i].done ? r->done - m->program[i].done : 0;
		m->program[i].t_ms = r->t_ms;
		m->program[i].done = r->done;
		m->program[i].rate = ms ? (double)r->ops * 1000 / (double)ms : 0;
		m->program[i].touched = console_value(r, "size_kb", 0) / 1024;
	}
	m->ops_per_s += m->program[i].rate;
	m->touched_mb += m->program[i].touched;
}

static void read_steal(struct live_meter *m, const struct live_vm *v, uint64_t now_ns)
{
	if (m->read_ns && now_ns - m->read_ns < STEAL_EVERY)
		return;
	if (steal_read(&m->steal_meter, v))
		return; /* it has ended: the last share stands */
	if (m->read_ns) {
		uint64_t ns = now_ns - m->read_ns;
		uint64_t able = steal_able_ns(&m->before, &m->steal_meter.total, ns, false);
		m->steal = 1 - (double)able / (double)ns;
	}
	m->before = m->steal_meter.total;
	m->read_ns = now_ns;
}

void meter_read(struct live_meter *m, const char *log, const struct live_vm *v, uint64_t now_ns)
{
	struct err ignored;

	if (m->console.fd < 0 && console_open(&m->console, log, &ignored))
		return;
	if (console_read(&m->console, on_record, m))
		return;
	m->damaged = m->console.damaged;
	read_steal(m, v, now_ns);
}

void meter_close(struct live_meter *m)
{
	console_close(&m->console);
}

void meter_tell(const struct live_meter *m, json_t *summary)
{
	json_object_set_new(summary, "ops", json_integer((json_int_t)m->ops));
	json_object_set_new(summary, "bad",
			    m->ends ? json_integer((json_int_t)m->bad) : json_null());
}
