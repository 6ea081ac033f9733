/*
 * ballast bench replay: references per CPU-second through the whole manager.
 *
 * The traces are written to files first, so that drawing them is not measured:
 * 50 M Zipf references in the mapped form, and the bundled traces of real
 * programs as .bt. Each figure is a `ballast run` in a process of its own, whose
 * CPU time the kernel counts, start-up and all; the rate of the replay itself
 * is what the run reports. Of RUNS the median counts. In turn with them, in
 * this process, the bare loops over the same records, and the peer if given.
 */
#include "experiments/bench.h"
#include "experiments/bench_bare.h"
#include "experiments/datadir.h"

#include "core/os.h"
#include "traces/traces.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define RUNS	    3
#define ZIPF_REFS   50000000
#define ZIPF_PAGES  262144
#define ZIPF_FRAMES (ZIPF_PAGES / 2)
#define REAL_FRAMES 512

void bench_trace_drop(struct bench_trace *t)
{
	os_close(t->fd);
	free(t->ref);
}

/* Writes a source to a nameless file. */
static int spool(struct source *source, const char *format, struct bench_trace *t, struct err *err)
{
	const char *tmp = getenv("TMPDIR");
	char name[4096];
	struct writer *writer;
	const rec_t *batch;
	ssize_t n;

	snprintf(name, sizeof name, "%s/ballast-bench-%ld", tmp && *tmp ? tmp : "/tmp",
		 (long)getpid());
	int rc = writer_open(name, format, source_info(source), &writer, err);
	if (rc)
		return rc;
	while ((n = source_next(source, &batch, err)) > 0 && rc == 0) {
		rc = writer_put(writer, batch, (size_t)n, err);
		for (ssize_t i = 0; i < n && t->bare.refs < (size_t)t->bare.pages; i++)
			t->ref[t->bare.refs++] = (uint32_t)rec_page(batch[i]) |
						 (uint32_t)(rec_kind(batch[i]) == REC_WRITE) << 31;
	}
	if (rc || n < 0) {
		writer_abort(writer);
		return rc ? rc : (int)n;
	}
	rc = writer_commit(writer, err);
	if (rc)
		return rc;
	t->fd = open(name, O_RDONLY | O_CLOEXEC);
	unlink(name);
	if (t->fd < 0)
		return err_run(err, errno, "%s: cannot be opened: %s", name, strerror(errno));
	snprintf(t->path, sizeof t->path, "/proc/%ld/fd/%d", (long)getpid(), t->fd);
	return 0;
}

int bench_trace_make(struct source *source, const char *format, size_t most, struct bench_trace *t,
		     struct err *err)
{
	*t = (struct bench_trace){.fd = -1, .ref = malloc(most * sizeof *t->ref)};
	int rc = t->ref ? 0 : err_run(err, ENOMEM, "no memory for a bench of %zu references", most);

	t->bare.pages = (uint32_t)most; /* of room, until all is there */
	if (rc == 0)
		rc = spool(source, format, t, err);
	source_close(source);
	if (rc) {
		bench_trace_drop(t);
		return rc;
	}
	t->bare.ref = t->ref;
	t->bare.pages = 0;
	for (size_t i = 0; i < t->bare.refs; i++) {
		uint32_t page = t->ref[i] & INT32_MAX;
		t->bare.pages = page >= t->bare.pages ? page + 1 : t->bare.pages;
	}
	return 0;
}

int bench_program(char *const argv[], char *out, size_t size, uint64_t *cpu_ns, struct err *err)
{
	struct rusage usage;
	int to[2], status;
	size_t n = 0;
	FILE *said = tmpfile(); /* warnings are of no use here, errors are */

	if (!said || pipe2(to, O_CLOEXEC)) {
		if (said)
			fclose(said);
		return err_run(err, errno, "no pipe: %s", strerror(errno));
	}
	fflush(NULL);
	pid_t pid = fork();
	if (pid < 0) {
		close(to[0]);
		close(to[1]);
		fclose(said);
		return err_run(err, errno, "no process: %s", strerror(errno));
	}
	if (pid == 0) {
		dup2(to[1], STDOUT_FILENO);
		dup2(fileno(said), STDERR_FILENO);
		execv(argv[0], argv);
		_exit(127);
	}
	close(to[1]);
	for (ssize_t got; n + 1 < size && (got = read(to[0], out + n, size - 1 - n)) > 0;)
		n += (size_t)got;
	out[n] = '\0';
	close(to[0]);
	while (wait4(pid, &status, 0, &usage) < 0 && errno == EINTR)
		;
	bool well = WIFEXITED(status) && WEXITSTATUS(status) == 0;
	char why[300] = "";
	rewind(said);
	if (!well && fgets(why, sizeof why, said))
		why[strcspn(why, "\n")] = '\0';
	fclose(said);
	if (!well)
		return err_run(err, EIO, "%s did not end well: status %d: %s", argv[0], status,
			       why);
	*cpu_ns = (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000000u +
		  (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1000u;
	return 0;
}

struct figure {
	uint64_t whole_ns, run_ns; /* CPU time of the process, and of the replay in it */
	double metadata_bytes;
	int64_t faults;
};

static int run_once(const struct bench_trace *t, const char *victim, uint32_t frames,
		    struct figure *f, struct err *err)
{
	char job[PATH_MAX], self[] = "/proc/self/exe", trace[96], size[48], swap[48], out[8192];
	char *argv[] = {self,
			"run",
			job,
			"-s",
			trace,
			"-s",
			size,
			"-s",
			swap,
			"-s",
			"host.thresholds=none",
			"--json",
			NULL};

	int rc = data_path("jobs/replay.job", job, err);
	if (rc)
		return rc;
	snprintf(trace, sizeof trace, "vm.a.trace=%s", t->path);
	snprintf(size, sizeof size, "host.frames=%u", frames);
	snprintf(swap, sizeof swap, "swap.victim=%s", victim);
	rc = bench_program(argv, out, sizeof out, &f->whole_ns, err);
	if (rc)
		return rc;
	json_t *o = json_loads(out, 0, NULL);
	double refs = 0, rate = 0;
	json_int_t faults = 0, bytes = 0;
	if (!o ||
	    json_unpack(o, "{s:{s:F, s:I}, s:{s:{s:F, s:I}}}", "host", "refs_per_cpu_second", &rate,
			"metadata_bytes", &bytes, "vm", "a", "refs", &refs, "faults", &faults))
		rc = err_run(err, EIO, "ballast run --json printed something else than expected");
	json_decref(o);
	f->run_ns = rate > 0 ? (uint64_t)(refs * 1e9 / rate) : 0;
	f->metadata_bytes = (double)bytes;
	f->faults = faults;
	return rc;
}

static int by_whole(const void *a, const void *b)
{
	const struct figure *x = a, *y = b;

	return (x->whole_ns > y->whole_ns) - (x->whole_ns < y->whole_ns);
}

/* The median run, by the CPU time of the whole process. */
static int run_median(const struct bench_trace *t, const char *victim, uint32_t frames,
		      struct figure *median, struct err *err)
{
	struct figure f[RUNS];
	int rc = 0;

	for (int i = 0; i < RUNS && rc == 0; i++)
		rc = run_once(t, victim, frames, &f[i], err);
	if (rc == 0) {
		qsort(f, RUNS, sizeof f[0], by_whole);
		*median = f[RUNS / 2];
	}
	return rc;
}

/* CPU time to decode the trace and do nothing with it. */
static int decode_ns(const struct bench_trace *t, uint64_t *ns, struct err *err)
{
	struct source *source;
	const rec_t *batch;
	uint64_t start = os_cpu_ns();
	ssize_t n;

	int rc = source_open(t->path, NULL, &source, err);
	if (rc)
		return rc;
	while ((n = source_next(source, &batch, err)) > 0)
		;
	source_close(source);
	*ns = os_cpu_ns() - start;
	return (int)n;
}

static int bare_median(const struct bench_trace *t, uint32_t frames,
		       int64_t (*loop)(const struct bare_trace *, uint32_t), uint64_t *ns,
		       int64_t *faults, struct err *err)
{
	struct figure f[RUNS] = {{0}};

	for (int i = 0; i < RUNS; i++) {
		uint64_t start = os_cpu_ns();
		*faults = loop(&t->bare, frames);
		f[i].whole_ns = os_cpu_ns() - start;
		if (*faults < 0)
			return err_run(err, ENOMEM, "no memory for a bare loop");
	}
	qsort(f, RUNS, sizeof f[0], by_whole);
	*ns = f[RUNS / 2].whole_ns;
	return 0;
}

static double rate(const struct bench_trace *t, uint64_t ns)
{
	return ns ? (double)t->bare.refs * 1e9 / (double)ns : 0;
}

/* What a reference costs, by phase: each the difference between two measured runs. */
static int add_phases(json_t *row, const struct bench_trace *t, const char *victim,
		      const struct figure *f, struct err *err)
{
	struct figure fits; /* with a frame for every page: first touches and hits alone */
	uint64_t decode;

	int rc = run_median(t, victim, t->bare.pages, &fits, err);
	if (rc == 0)
		rc = decode_ns(t, &decode, err);
	if (rc)
		return rc;
	const struct {
		const char *name;
		double ns;
	} phase[] = {
		{"start-up and end", (double)f->whole_ns - (double)f->run_ns},
		{"decoding", (double)decode},
		{"hits", (double)fits.run_ns - (double)decode},
		{"faults", (double)f->run_ns - (double)fits.run_ns},
	};
	json_t *shares = json_object();
	for (size_t i = 0; i < ARRAY_LEN(phase); i++)
		json_object_set_new(shares, phase[i].name,
				    json_real(100 * phase[i].ns / (double)f->whole_ns));
	return json_object_set_new(row, "percent_of_time", shares)
		       ? err_run(err, ENOMEM, "no memory for a bench")
		       : 0;
}

/* One victim policy on one trace, beside its bare loop. */
static int add_row(json_t *out, const char *name, const struct bench_trace *t, const char *victim,
		   uint32_t frames, int64_t (*loop)(const struct bare_trace *, uint32_t),
		   struct err *err)
{
	struct figure f;
	uint64_t bare_ns;
	int64_t bare_faults;

	int rc = run_median(t, victim, frames, &f, err);
	if (rc == 0)
		rc = bare_median(t, frames, loop, &bare_ns, &bare_faults, err);
	if (rc)
		return rc;
	if (bare_faults != f.faults)
		return err_run(err, EUCLEAN, "%s: %lld faults, the bare loop has %lld", name,
			       (long long)f.faults, (long long)bare_faults);
	json_t *row = json_pack(
		"{s:i, s:f, s:f, s:f, s:f, s:f, s:f}", "frames", (int)frames, "miss_percent",
		100 * (double)f.faults / (double)t->bare.refs, "refs_per_cpu_second",
		rate(t, f.run_ns), "whole_process_refs_per_cpu_second", rate(t, f.whole_ns),
		"bare_loop_refs_per_cpu_second", rate(t, bare_ns), "ratio_to_bare_loop",
		(double)bare_ns / (double)f.run_ns, "manager_bytes_per_page_or_frame",
		f.metadata_bytes / (double)max_u64(t->bare.pages, frames));
	json_object_set_new(out, name, row);
	return add_phases(row, t, victim, &f, err);
}

/* The peer (libCacheSim's cachesim) on the same records, exported as oracleGeneral. */
static int add_peer(json_t *out, const char *peer, const struct bench_trace *t, uint32_t frames,
		    struct err *err)
{
	static const char *const algorithms[][2] = {{"clock", "clock"}, {"lru", "lru"}};
	char path[PATH_MAX] = "oracleGeneral", size[16], text[8192];
	struct bench_trace oracle;
	struct source *source;

	int rc = source_open(t->path, NULL, &source, err);
	if (rc == 0)
		rc = bench_trace_make(source, "oracleGeneral", 0, &oracle, err);
	if (rc)
		return rc;
	snprintf(size, sizeof size, "%u", frames);
	for (size_t i = 0; rc == 0 && i < ARRAY_LEN(algorithms); i++) {
		char *argv[] = {(char *)peer, oracle.path,
				path,	      (char *)algorithms[i][1],
				size,	      "--ignore-obj-size",
				"1",	      "--num-thread",
				"1",	      NULL};
		uint64_t ns;
		rc = bench_program(argv, text, sizeof text, &ns, err);
		if (rc)
			break;
		json_t *row = json_object_get(out, algorithms[i][0]);
		double ours =
			json_real_value(json_object_get(row, "whole_process_refs_per_cpu_second"));
		json_object_set_new(row, "peer_refs_per_cpu_second", json_real(rate(t, ns)));
		json_object_set_new(row, "ratio_to_peer", json_real(ours / rate(t, ns)));
	}
	bench_trace_drop(&oracle);
	return rc;
}

static int bench_zipf(const struct bench_args *args, json_t *out, struct err *err)
{
	struct gen_opts opts;
	struct bench_trace t;
	struct source *source;

	if (opt_defaults(&gen_section, &opts))
		return err_run(err, ENOMEM, "no memory for a bench");
	opts.law = policy_find(trace_laws, "zipf");
	opts.refs = ZIPF_REFS;
	opts.pages = ZIPF_PAGES;
	opts.alpha = 0.9;
	int rc = source_generate(&opts, &source, err);
	opt_release(&gen_section, &opts);
	if (rc == 0)
		rc = bench_trace_make(source, "bt-fixed", ZIPF_REFS, &t, err);
	if (rc)
		return rc;
	uint64_t bits_ns;
	int64_t sum;
	rc = bare_median(&t, 0, bare_bits, &bits_ns, &sum, err);
	if (rc == 0)
		json_object_set_new(out, "bare_bits_refs_per_cpu_second",
				    json_real(rate(&t, bits_ns)));
	if (rc == 0)
		rc = add_row(out, "clock", &t, "clock", ZIPF_FRAMES, bare_clock, err);
	if (rc == 0)
		rc = add_row(out, "lru", &t, "lru", ZIPF_FRAMES, bare_lru, err);
	if (rc == 0 && args->peer)
		rc = add_peer(out, args->peer, &t, ZIPF_FRAMES, err);
	bench_trace_drop(&t);
	return rc;
}

static int bench_real(const char *name, json_t *out, struct err *err)
{
	char file[64], path[PATH_MAX];
	struct bench_trace t;
	struct source *source;

	snprintf(file, sizeof file, "traces/%s.u32.zst", name);
	int rc = data_path(file, path, err);
	if (rc == 0)
		rc = source_open(path, "u32", &source, err);
	if (rc == 0)
		rc = bench_trace_make(source, "bt", 16 << 20, &t, err);
	if (rc)
		return rc;
	rc = add_row(out, name, &t, "lru", REAL_FRAMES, bare_lru, err);
	bench_trace_drop(&t);
	return rc;
}

int bench_replay(const struct bench_args *args, json_t *out, struct err *err)
{
	json_t *zipf = json_object(), *real = json_object();

	json_object_set_new(out, "zipf 0.9, 50 M references", zipf);
	json_object_set_new(out, "real programs, lru", real);
	int rc = bench_zipf(args, zipf, err);
	if (rc == 0)
		rc = bench_real("sqlite", real, err);
	return rc ? rc : bench_real("xz", real, err);
}
