#include "core/os.h"
#include "experiments/balloon_rig_parts.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define POLL_MS 1 /* between looks at rings that nothing rings for */

/* The memory file. */

static void left_run(struct machine *m, uint16_t vm, ppn_t ppn, uint32_t n)
{
	const struct rig_parts *p = m->store;

	(void)vm;
	if (fallocate(p->memory, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		      (off_t)ppn.n << PAGE_SHIFT, (off_t)n << PAGE_SHIFT))
		abort(); /* our own file, within its size */
}

static void left(struct machine *m, mpn_t mpn, struct frame was)
{
	(void)mpn;
	left_run(m, was.vm, (ppn_t){was.ppn}, 1);
}

uint64_t rig_memory(const struct rig *rig)
{
	struct stat st;

	return fstat(parts_of(rig)->memory, &st) ? 0 : (uint64_t)st.st_blocks * 512 >> PAGE_SHIFT;
}

uint32_t rig_touched(const struct rig *rig)
{
	const int fd = parts_of(rig)->memory;
	uint32_t touched = 0;

	for (off_t at = 0; (at = lseek(fd, at, SEEK_DATA)) >= 0;) {
		const off_t end = lseek(fd, at, SEEK_HOLE);
		for (; at < end; at += PAGE_SIZE) {
			const ppn_t ppn = {(uint32_t)(at >> PAGE_SHIFT)};
			touched += pte_state(pmap_peek(rig->vm->pmap, ppn)) == PAGE_BALLOONED;
		}
	}
	return touched;
}

/* The host. */

static int open_host(struct rig *rig, struct err *err)
{
	struct rig_parts *p = parts_of(rig);
	const struct cost_opts cost = {0};
	struct balloon_opts balloon;
	struct pmap_part *pmaps;

	static const struct backing_runs runs = {.left = left_run};

	p->backing = backing_ids;
	p->backing.left = left;
	p->backing.runs = &runs;
	const struct host_opts opts = {.frames = p->opts.pages,
				       .backing = &p->backing.policy,
				       .thresholds = thresholds_list[0]};
	int rc = opt_defaults(&balloon_section, &balloon);
	if (rc)
		return err_run(err, -rc, "no memory for a host");
	balloon.interrupt = true;
	balloon.rate = UINT64_C(1) << 40;
	balloon.messages = 1000000;
	balloon.cap = 1;
	rc = host_new(&opts, &cost, &rig->host, err);
	if (rc)
		return rc;
	rig->host->machine.store = p;
	rc = pmap_part_new(rig->host, &pmaps);
	if (rc)
		return err_run(err, -rc, "no memory for a host");
	rc = balloon_open(rig->host, pmaps, &balloon, &rig->balloon, err);
	return rc ? rc : vm_add(rig->host, "linux", p->opts.pages, &rig->vm, err);
}

/* Every page that is not in the balloon has a frame, as far as the host knows. */
static int use_all(struct rig *rig, struct err *err)
{
	struct pmap *pmap = rig->vm->pmap;

	for (uint32_t i = 0; pmap->count[PAGE_UNBACKED] && i < pmap->pages; i++) {
		if (pte_state(pmap_peek(pmap, (ppn_t){i})) != PAGE_UNBACKED)
			continue;
		int rc = pmap_touch(pmap, (ppn_t){i}, ACCESS_WRITE, err);
		if (rc)
			return rc;
	}
	return 0;
}

void rig_want(struct rig *rig, uint32_t pages)
{
	parts_of(rig)->settled = false;
	rig->vm->target = rig->vm->pages - pages;
	rig->host->reclaimer[0].reclaimer->retarget(rig->host->reclaimer[0].ctx, rig->vm);
}

uint32_t rig_has(const struct rig *rig)
{
	return (uint32_t)rig->vm->pmap->count[PAGE_BALLOONED];
}

/* The region and its bells. */

static int open_rings(struct rig *rig, struct err *err)
{
	struct rig_parts *p = parts_of(rig);
	char path[80];

	if (p->opts.polled) {
		p->region = memfd_create("ballast-rings", 0);
		if (p->region < 0 || ftruncate(p->region, RIG_REGION))
			return err_run(err, errno, "no memory for rings: %s", strerror(errno));
		p->rings = mmap(NULL, RIG_REGION, PROT_READ | PROT_WRITE, MAP_SHARED, p->region, 0);
		if (p->rings == MAP_FAILED) {
			p->rings = NULL;
			return err_run(err, errno, "no memory for rings: %s", strerror(errno));
		}
	} else {
		snprintf(path, sizeof path, "%s/ivshmem", p->dir);
		int rc = ivshmem_new(path, RIG_REGION, &p->iv, err);
		if (rc)
			return rc;
	}
	if (ring_host_init(&p->ring, p->iv ? ivshmem_region(p->iv) : p->rings, RIG_REGION))
		return err_run(err, EINVAL, "no rings in %u bytes", RIG_REGION);
	if (p->iv) {
		p->ring.bell = ivshmem_ring;
		p->ring.bell_ctx = p->iv;
	}
	const struct balloon_end end = ring_as_end(&p->ring);
	balloon_connect(rig->balloon, rig->vm, &end);
	return 0;
}

static void waits(struct rig_parts *p, bool on)
{
	__atomic_store_n(&p->ring.region->host_waits, htole32(on), __ATOMIC_SEQ_CST);
}

void rig_say(struct rig *rig, const char *line)
{
	if (dprintf(parts_of(rig)->keys, "%s\n", line) < 0)
		return; /* a guest that has ended: the next turn says so */
}

void rig_qmp(struct rig *rig, const char *command)
{
	if (dprintf(parts_of(rig)->qmp, "%s\n", command) < 0)
		return; /* likewise */
}

/* What is heard. */

static void hear_qmp(struct rig *rig, const char *line)
{
	const struct rig_opts *o = &parts_of(rig)->opts;
	json_t *m = json_loads(line, 0, NULL);
	const char *event = json_string_value(json_object_get(m, "event"));

	if (json_object_get(m, "QMP"))
		rig_qmp(rig, "{\"execute\": \"qmp_capabilities\"}");
	else if (o->event && json_object_get(m, "error"))
		o->event(o->ctx, "error", m);
	else if (o->event && json_object_get(m, "return"))
		o->event(o->ctx, "return", m);
	else if (o->event && event)
		o->event(o->ctx, event, m);
	json_decref(m);
}

static void hear_console(struct rig *rig, const char *line)
{
	const struct rig_opts *o = &parts_of(rig)->opts;

	if (o->line)
		o->line(o->ctx, line);
}

/* False: nothing more will come. */
static bool hear(struct rig *rig, int fd, struct text *t, void (*heard)(struct rig *, const char *))
{
	ssize_t n = read(fd, t->bytes + t->n, sizeof t->bytes - 1 - t->n);

	if (n <= 0)
		return n < 0 && errno == EINTR;
	t->n += (size_t)n;
	t->bytes[t->n] = '\0';
	char *line = t->bytes, *end;
	while ((end = strpbrk(line, "\r\n"))) {
		*end = '\0';
		if (end > line)
			heard(rig, line);
		line = end + 1;
	}
	t->n = strlen(line);
	memmove(t->bytes, line, t->n + 1);
	if (t->n == sizeof t->bytes - 1)
		t->n = 0; /* no line is that long */
	return true;
}

static void serve_balloon(struct rig *rig, int64_t listener_events)
{
	struct rig_parts *p = parts_of(rig);
	struct err err;

	clock_run_until(&rig->host->clock, os_mono_ns() - rig->start_ns);
	if (p->iv && listener_events && ivshmem_serve(p->iv, &err))
		fprintf(stderr, "%s\n", err.msg);
	if (p->iv)
		ivshmem_rung(p->iv);
	balloon_contact(rig->balloon, rig->vm);
	p->settled |= rig_has(rig) == balloon_target(rig->balloon, rig->vm);
	if (p->settled && use_all(rig, &err))
		fprintf(stderr, "%s\n", err.msg);
}

int rig_turn(struct rig *rig, int ms)
{
	struct rig_parts *p = parts_of(rig);
	struct pollfd fd[] = {{p->console, POLLIN, 0},
			      {p->qmp, POLLIN, 0},
			      {p->iv ? ivshmem_bell(p->iv) : -1, POLLIN, 0},
			      {p->iv ? ivshmem_listener(p->iv) : -1, POLLIN, 0}};

	waits(p, true);
	balloon_contact(rig->balloon, rig->vm); /* what came before the bell was asked for */
	poll(fd, ARRAY_LEN(fd), p->iv || ms < POLL_MS ? ms : POLL_MS);
	waits(p, false);
	serve_balloon(rig, fd[3].revents);
	if (fd[1].revents)
		hear(rig, p->qmp, &p->told, hear_qmp);
	return !fd[0].revents || hear(rig, p->console, &p->heard, hear_console);
}

/* Its life. */

static struct rig *new_rig(const struct rig_opts *opts)
{
	struct rig *rig = calloc(1, sizeof *rig);
	struct rig_parts *p = calloc(1, sizeof *p);

	if (!rig || !p) {
		free(rig);
		free(p);
		return NULL;
	}
	rig->parts = p;
	p->opts = *opts;
	p->memory = p->disk = p->region = p->console = p->keys = p->qmp = -1;
	return rig;
}

/* Sparse: what is not written takes no memory. */
static int make_file(const char *name, uint32_t pages, int *fd, struct err *err)
{
	*fd = memfd_create(name, 0);
	if (*fd < 0 || ftruncate(*fd, (off_t)pages << PAGE_SHIFT))
		return err_run(err, errno, "no memory for a guest: %s", strerror(errno));
	return 0;
}

int rig_open(const struct rig_opts *opts, struct rig **out, struct err *err)
{
	struct rig *rig = new_rig(opts);
	int rc = rig ? 0 : err_run(err, ENOMEM, "no memory for a guest");

	if (rc)
		return rc;
	struct rig_parts *p = parts_of(rig);
	snprintf(p->dir, sizeof p->dir, "/tmp/ballast-rig-XXXXXX");
	if (!mkdtemp(p->dir)) {
		p->dir[0] = '\0';
		rc = err_run(err, errno, "no folder in /tmp: %s", strerror(errno));
	}
	rc = rc ? rc : make_file("ballast-guest", opts->pages, &p->memory, err);
	if (rc == 0 && opts->disk_pages)
		rc = make_file("ballast-disk", opts->disk_pages, &p->disk, err);
	rc = rc ? rc : rig_initramfs(p, err);
	rc = rc ? rc : open_host(rig, err);
	rc = rc ? rc : open_rings(rig, err);
	rig->start_ns = os_mono_ns();
	rc = rc ? rc : rig_start(p, err);
	if (rc)
		rig_close(rig);
	else
		*out = rig;
	return rc;
}

static void remove_folder(const char *dir)
{
	static const char *const names[] = {"initrd", "ivshmem"};
	char path[80];

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		snprintf(path, sizeof path, "%s/%s", dir, names[i]);
		unlink(path);
	}
	rmdir(dir);
}

void rig_close(struct rig *rig)
{
	struct rig_parts *p = parts_of(rig);

	if (p->qemu > 0) {
		kill(p->qemu, SIGKILL);
		waitpid(p->qemu, NULL, 0);
	}
	if (rig->host)
		host_free(rig->host);
	ivshmem_free(p->iv);
	if (p->rings)
		munmap(p->rings, RIG_REGION);
	close_fd(&p->region);
	close_fd(&p->disk);
	close_fd(&p->memory);
	close_fd(&p->console);
	close_fd(&p->keys);
	close_fd(&p->qmp);
	if (p->dir[0])
		remove_folder(p->dir);
	free(p);
	free(rig);
}
