#include "experiments/live_dump.h"

#include "core/os.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define HOLD_MS 100 /* for a process to stand still; one that waits for us does anyway */

/* Whether the process has stopped. */
static bool stands(pid_t pid)
{
	char path[40], state = '?';

	snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
	FILE *f = fopen(path, "r");
	if (f && fscanf(f, "%*d (%*[^)]) %c", &state) != 1)
		state = '?';
	if (f)
		fclose(f);
	return state == 'T';
}

static void hold(struct live_vm *v)
{
	live_hold(v, true);
	for (int ms = 0; ms < HOLD_MS && !stands(v->pid); ms++)
		usleep(1000);
}

/* The page's bytes in *at; NULL where it holds none. */
static int read_page(const struct liveparts *p, pte_t e, uint8_t buf[PAGE_SIZE], const uint8_t **at,
		     struct err *err)
{
	const struct machine *m = &p->host->machine;

	*at = NULL;
	switch (pte_state(e)) {
	case PAGE_PRIVATE:
	case PAGE_SHARED:
	case PAGE_TRANSIT:
		*at = m->backing->bytes(m, pte_mpn(e));
		return 0;
	case PAGE_SWAPPED:
		*at = buf;
		return swap_peek(p->swap, (uint32_t)pte_value(e), buf, err);
	default:
		return 0;
	}
}

static int write_pages(const struct liveparts *p, const struct live_vm *v, int fd, const char *path,
		       struct err *err)
{
	static const uint8_t zeroes[PAGE_SIZE];
	uint8_t buf[PAGE_SIZE];
	const uint8_t *at;
	int rc = 0;

	if (ftruncate(fd, (off_t)v->vm->pages << PAGE_SHIFT))
		return err_run(err, errno, "%s: %s", path, strerror(errno));
	for (uint32_t i = 0; rc == 0 && i < v->vm->pages; i++) {
		rc = read_page(p, pmap_peek(v->vm->pmap, (ppn_t){i}), buf, &at, err);
		if (rc || !at || memcmp(at, zeroes, PAGE_SIZE) == 0)
			continue;
		if (pwrite(fd, at, PAGE_SIZE, (off_t)i << PAGE_SHIFT) != PAGE_SIZE)
			rc = err_run(err, errno ? errno : ENOSPC, "%s: %s", path,
				     strerror(errno ? errno : ENOSPC));
	}
	return rc;
}

static int dump_one(const struct liveparts *p, const struct live_vm *v, const char *path,
		    struct err *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NONBLOCK, 0600);

	if (fd < 0)
		return err_run(err, errno, "%s: %s", path, strerror(errno));
	int rc = write_pages(p, v, fd, path, err);
	if (close(fd) && rc == 0)
		rc = err_run(err, errno, "%s: %s", path, strerror(errno));
	return rc;
}

/* Counts by state: {"unbacked": 1, ..}. */
static json_t *states(const struct live_vm *v)
{
	json_t *o = json_pack("{s:i}", "pages", (int)v->vm->pages);

	for (unsigned s = 0; o && s < PAGE_STATES; s++)
		json_object_set_new(o, page_state_names[s],
				    json_integer((json_int_t)v->vm->pmap->count[s]));
	return o;
}

static struct live_vm *find(const struct liveparts *p, const char *name, const json_t *file,
			    struct err *err)
{
	struct live_vm *v = live_find(p->live, name);

	if (!v || v->state != LIVE_RUNNING)
		err_run(err, ENOENT,
			"there is no guest named '%.40s' that runs; 'ballast vm list' has them",
			name);
	else if (!json_is_string(file) || json_string_value(file)[0] != '/')
		err_input(err, "vm %s: a dump goes to a file, named from the root", name);
	else
		return v;
	return NULL;
}

json_t *live_dump(const struct liveparts *p, const json_t *request, struct err *err)
{
	json_t *guests = json_object_get(request, "guests"), *told = json_object(), *file;
	const char *name;
	int rc = 0;

	if (json_object_size(guests) == 0)
		rc = err_input(err, "of which guests? \"guests\": {\"NAME\": \"FILE\"}");
	json_object_foreach(guests, name, file)
	{
		if (rc == 0 && !find(p, name, file, err))
			rc = -ENOENT;
	}
	json_object_foreach(guests, name, file)
	{
		if (rc == 0)
			hold(live_find(p->live, name));
	}
	json_object_foreach(guests, name, file)
	{
		const struct live_vm *v = rc ? NULL : live_find(p->live, name);
		if (v)
			rc = dump_one(p, v, json_string_value(file), err);
		if (v && rc == 0)
			json_object_set_new(told, name, states(v));
	}
	json_object_foreach(guests, name, file)
	{
		struct live_vm *v = live_find(p->live, name);
		if (v)
			live_hold(v, false);
	}
	host_refresh(p->host);
	if (rc == 0)
		return json_pack("{s:b, s:o, s:o}", "ok", 1, "guests", told, "host",
				 stat_json(&p->host->scope));
	json_decref(told);
	return NULL;
}
