/*
 * A file server's load, in the manner of dbench: clients that work each on a
 * set of files of its own.
 *
 *   fileserver [-c CLIENTS] [-m SIZE] [-s SECONDS] [-r SEED] [-d] [-f] FOLDER
 *
 * First the files are made: SIZE a client (20m), in FOLDER/0, FOLDER/1, ...; -d
 * then has the kernel write them out and drop its caches. Then each of CLIENTS
 * (4) does one operation after the other, drawn from the mix that dbench's
 * author gave for its load, with the calls that he says they are (A. Tridgell on
 * linux-kernel, November 2004; SIZE is his working set, too): what the program
 * itself does is not taken from anywhere. A flush does nothing there; with -f
 * it is fdatasync().
 *
 * Ours, and not dbench's: files are of 4 KiB to 512 KiB, as many of each octave;
 * one is as likely to be opened as any other; reads go through a file in pieces
 * of 4 to 64 KiB, and when it is opened again from where they were, so that all
 * of it is read in its turn and not the beginnings of files alone; writes are
 * anywhere in it. What is read is checked: each 512 bytes say what they are;
 * names and sizes are, too. ops are calls, mb_s what was read and written.
 */
#include "live/guest/load.h"
#include "live/guest/pattern.h"
#include "live/guest/size.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#define BLOCK	  4096u
#define CHUNK	  (16 * BLOCK) /* a call's most */
#define OPEN_MAX  8	       /* files that a client has open */
#define FILES_MAX 65536

struct file {
	uint32_t blocks;
	bool there;
	uint32_t renamed;  /* its name is number + renamed * FILES_MAX */
	uint32_t at;	   /* block that is read next */
	uint32_t *version; /* [blocks] */
	int slot;	   /* of handle[] + 1 */
};

struct handle {
	int fd;
	uint32_t file;
};

struct files {
	char folder[300];
	uint32_t files;
	struct file *file;
	struct handle handle[OPEN_MAX];
	unsigned open; /* handles in use, the oldest first */
	uint8_t *data; /* CHUNK bytes */
};

static bool flushes;

static void path_of(const struct files *f, uint32_t file, char path[340])
{
	snprintf(path, 340, "%s/%u", f->folder, file + f->file[file].renamed * FILES_MAX);
}

/* What a block of a file must say that it is. */
static uint64_t id_of(const struct load_client *c, uint32_t file, uint32_t block)
{
	const struct files *f = c->own;

	return random_mix((uint64_t)c->id << 56 ^ (uint64_t)f->file[file].version[block] << 24 ^
			  (uint64_t)file * 1000003 ^ block);
}

static bool write_blocks(struct load_client *c, int fd, uint32_t file, uint32_t first, uint32_t n)
{
	struct files *f = c->own;

	for (uint32_t i = 0; i < n; i++) {
		f->file[file].version[first + i]++;
		pattern_put(id_of(c, file, first + i), f->data + i * BLOCK, BLOCK);
	}
	if (pwrite(fd, f->data, n * BLOCK, (off_t)first * BLOCK) != (ssize_t)n * BLOCK)
		return false;
	load_count(c, 1, n * BLOCK);
	return true;
}

/* Writes the whole of a file that is new. */
static bool fill(struct load_client *c, int fd, uint32_t file)
{
	struct files *f = c->own;
	const uint32_t blocks = f->file[file].blocks, most = CHUNK / BLOCK;

	for (uint32_t at = 0; at < blocks; at += most) {
		if (!write_blocks(c, fd, file, at, blocks - at < most ? blocks - at : most))
			return false;
	}
	f->file[file].there = true;
	return true;
}

static void close_handle(struct files *f, unsigned i)
{
	close(f->handle[i].fd);
	f->file[f->handle[i].file].slot = 0;
	for (f->open--; i < f->open; i++) {
		f->handle[i] = f->handle[i + 1];
		f->file[f->handle[i].file].slot = (int)i + 1;
	}
}

/* The operations; each counts itself. */

static bool do_open(struct load_client *c)
{
	struct files *f = c->own;
	uint32_t file = (uint32_t)random_below(&c->random, f->files);
	char path[340];

	load_count(c, 1, 0);
	path_of(f, file, path);
	int fd = open(path, O_RDWR | (f->file[file].there ? 0 : O_CREAT | O_EXCL), 0600);
	if (fd < 0)
		return false;
	if (f->file[file].slot) /* it is open already: opened once more, for nothing */
		return close(fd) == 0;
	if (f->open == OPEN_MAX)
		close_handle(f, 0);
	f->handle[f->open++] = (struct handle){fd, file};
	f->file[file].slot = (int)f->open;
	return f->file[file].there || fill(c, fd, file);
}

/* A file that is open, or one that is opened for it. */
static struct handle *any_handle(struct load_client *c)
{
	struct files *f = c->own;

	if (f->open == 0 && !do_open(c))
		return NULL;
	return &f->handle[random_below(&c->random, f->open)];
}

static bool do_read(struct load_client *c)
{
	struct files *f = c->own;
	const struct handle *h = any_handle(c);
	uint32_t n = 1 + (uint32_t)random_below(&c->random, CHUNK / BLOCK);

	if (!h)
		return false;
	struct file *file = &f->file[h->file];
	if (file->at >= file->blocks)
		file->at = 0;
	n = n < file->blocks - file->at ? n : file->blocks - file->at;
	if (pread(h->fd, f->data, n * BLOCK, (off_t)file->at * BLOCK) != (ssize_t)n * BLOCK)
		return false;
	for (uint32_t i = 0; i < n; i++) {
		if (!pattern_is(id_of(c, h->file, file->at + i), f->data + i * BLOCK, BLOCK))
			load_bad(c);
	}
	file->at += n;
	load_count(c, 1, n * BLOCK);
	return true;
}

static bool do_write(struct load_client *c)
{
	struct files *f = c->own;
	struct handle *h = any_handle(c);
	uint32_t n = 1 + (uint32_t)random_below(&c->random, CHUNK / BLOCK);

	if (!h)
		return false;
	uint32_t blocks = f->file[h->file].blocks;
	n = n < blocks ? n : blocks;
	return write_blocks(c, h->fd, h->file, (uint32_t)random_below(&c->random, blocks - n + 1),
			    n);
}

static bool do_close(struct load_client *c)
{
	struct files *f = c->own;

	if (f->open) {
		load_count(c, 1, 0);
		close_handle(f, 0);
	}
	return true;
}

static bool do_stat(struct load_client *c)
{
	struct files *f = c->own;
	uint32_t file = (uint32_t)random_below(&c->random, f->files);
	struct stat st;
	char path[340];

	load_count(c, 1, 0);
	path_of(f, file, path);
	bool there = stat(path, &st) == 0;
	if (there != f->file[file].there ||
	    (there && st.st_size != (off_t)f->file[file].blocks * BLOCK))
		load_bad(c);
	return there || errno == ENOENT;
}

static bool do_find(struct load_client *c)
{
	const struct files *f = c->own;
	unsigned found = 0, there = 0;
	DIR *folder = opendir(f->folder);

	if (!folder)
		return false;
	for (struct dirent *d = readdir(folder); d; d = readdir(folder))
		found += d->d_name[0] != '.';
	closedir(folder);
	for (uint32_t i = 0; i < f->files; i++)
		there += f->file[i].there;
	if (found != there)
		load_bad(c);
	load_count(c, 1, 0);
	return true;
}

static bool do_unlink(struct load_client *c)
{
	struct files *f = c->own;
	uint32_t file = (uint32_t)random_below(&c->random, f->files);
	char path[340];

	if (f->file[file].slot)
		close_handle(f, (unsigned)f->file[file].slot - 1);
	if (!f->file[file].there)
		return true;
	load_count(c, 1, 0);
	path_of(f, file, path);
	f->file[file].there = false;
	return unlink(path) == 0;
}

static bool do_rename(struct load_client *c)
{
	struct files *f = c->own;
	uint32_t file = (uint32_t)random_below(&c->random, f->files);
	char from[340], to[340];

	if (!f->file[file].there)
		return true;
	load_count(c, 1, 0);
	path_of(f, file, from);
	f->file[file].renamed ^= 1;
	path_of(f, file, to);
	return rename(from, to) == 0;
}

static bool do_statfs(struct load_client *c)
{
	const struct files *f = c->own;
	struct statfs st;

	load_count(c, 1, 0);
	return statfs(f->folder, &st) == 0;
}

static bool do_fstat(struct load_client *c)
{
	const struct handle *h = any_handle(c);
	struct stat st;

	load_count(c, 1, 0);
	return h && fstat(h->fd, &st) == 0;
}

static bool do_set(struct load_client *c)
{
	const struct handle *h = any_handle(c);

	load_count(c, 1, 0);
	return h && fchmod(h->fd, 0600) == 0;
}

static bool do_flush(struct load_client *c)
{
	const struct handle *h = any_handle(c);

	load_count(c, 1, 0);
	return h && (!flushes || fdatasync(h->fd) == 0);
}

static const struct {
	unsigned percent;
	bool (*work)(struct load_client *c);
} mix[] = {
	{27, do_read}, {17, do_open}, {16, do_stat},  {13, do_close},
	{9, do_write}, {6, do_find},  {3, do_unlink}, {3, do_statfs},
	{3, do_fstat}, {1, do_set},   {1, do_flush},  {1, do_rename},
};

static bool work(struct load_client *c)
{
	unsigned at = (unsigned)random_below(&c->random, 100), i = 0;

	for (; at >= mix[i].percent; i++)
		at -= mix[i].percent;
	return mix[i].work(c);
}

/* The files of a client, until they are `blocks` together. */
static bool plan(struct files *f, uint64_t blocks, uint64_t *random)
{
	f->file = calloc(FILES_MAX, sizeof *f->file);
	f->data = malloc(CHUNK);
	if (!f->file || !f->data)
		return false;
	for (uint32_t i = 0; i < CHUNK; i++)
		f->data[i] = (uint8_t)random_next(random);
	while (blocks && f->files < FILES_MAX) {
		struct file *file = &f->file[f->files++];
		uint64_t octave = UINT64_C(1) << random_below(random, 7);
		uint64_t n = octave + random_below(random, octave + 1);
		file->blocks = (uint32_t)(n < blocks ? n : blocks);
		file->version = calloc(file->blocks, sizeof *file->version);
		if (!file->version)
			return false;
		blocks -= file->blocks;
	}
	return blocks == 0;
}

static bool make_files(struct load_client *c)
{
	const struct files *f = c->own;

	if (mkdir(f->folder, 0700))
		return false;
	for (uint32_t i = 0; i < f->files; i++) {
		char path[340];
		path_of(f, i, path);
		int fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
		bool ok = fd >= 0 && fill(c, fd, i);
		if (fd >= 0)
			close(fd);
		if (!ok)
			return false;
	}
	return true;
}

static bool prepare(struct load *l, const char *folder, uint64_t blocks)
{
	for (unsigned i = 0; i < l->clients; i++) {
		struct load_client *c = &l->client[i];
		struct files *f = calloc(1, sizeof *f);
		uint64_t random = random_mix(l->seed ^ UINT64_C(0x66696c6573)) + i;
		c->own = f;
		c->id = i;
		if (!f || (size_t)snprintf(f->folder, sizeof f->folder, "%s/%u", folder, i) >=
				  sizeof f->folder)
			return false;
		if (!plan(f, blocks, &random) || !make_files(c))
			return false;
		c->ops = c->bytes = 0; /* the load has not begun */
	}
	return true;
}

static int usage(void)
{
	fprintf(stderr, "usage: fileserver [-c CLIENTS] [-m SIZE] [-s SECONDS] [-r SEED] [-d] [-f] "
			"FOLDER\n");
	return 2;
}

int main(int argc, char **argv)
{
	static struct load l = {.name = "fileserver", .seconds = 60, .seed = 1, .work = work};
	uint64_t clients = 4, size = 20 << 20;
	const char *text;
	bool drop = false, ok = true;
	int option;

	while (ok && (option = getopt(argc, argv, "c:m:s:r:df")) != -1) {
		text = optarg;
		ok = option == 'c'   ? is_count(text, 1, LOAD_CLIENTS, &clients)
		     : option == 'm' ? take_size(&text, "", &size) && size > 0
		     : option == 's' ? is_count(text, 1, 10000000, &l.seconds)
		     : option == 'r' ? is_count(text, 0, UINT32_MAX, &l.seed)
				     : option != '?';
		drop |= option == 'd';
		flushes |= option == 'f';
	}
	if (!ok || optind + 1 != argc)
		return usage();
	l.clients = (unsigned)clients;
	if (!prepare(&l, argv[optind], size / BLOCK)) {
		fprintf(stderr, "fileserver: no files in %s: %s\n", argv[optind], strerror(errno));
		return 2;
	}
	if (drop)
		load_drop_caches();
	snprintf(l.further, sizeof l.further, "set_mb=%llu",
		 (unsigned long long)(clients * size >> 20));
	return load_run(&l);
}
