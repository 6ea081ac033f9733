#include "live/program.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define SEGMENTS 256 /* that are looked at */

struct file {
	char path[PATH_MAX];
	uint8_t *bytes; /* mapped; NULL: the file is empty */
	size_t size;
	struct stat st;
};

static bool is_program(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

/* As execvp() looks. */
static int find(const char *name, char path[PATH_MAX], struct err *err)
{
	const char *at = getenv("PATH");

	if (strchr(name, '/')) {
		snprintf(path, PATH_MAX, "%s", name);
		return is_program(path) ? 0 : err_input(err, "%s: there is no such program", name);
	}
	while (at && *at) {
		const size_t n = strcspn(at, ":");
		snprintf(path, PATH_MAX, "%.*s/%s", (int)n, at, name);
		if (is_program(path))
			return 0;
		at += n + (at[n] == ':');
	}
	return err_input(err, "%s: there is no such program in $PATH", name);
}

static int map_file(struct file *f, struct err *err)
{
	int fd = open(f->path, O_RDONLY | O_CLOEXEC);
	int rc = fd < 0 || fstat(fd, &f->st) ? -errno : 0;

	f->bytes = NULL;
	f->size = 0;
	if (rc == 0 && f->st.st_size > 0) {
		f->size = (size_t)f->st.st_size;
		f->bytes = mmap(NULL, f->size, PROT_READ, MAP_PRIVATE, fd, 0);
		rc = f->bytes == MAP_FAILED ? -errno : 0;
	}
	if (fd >= 0)
		close(fd);
	if (rc)
		f->bytes = NULL;
	return rc ? err_input(err, "%s: %s", f->path, strerror(-rc)) : 0;
}

static void unmap_file(struct file *f)
{
	if (f->bytes)
		munmap(f->bytes, f->size);
	f->bytes = NULL;
}

/* The loader ignores LD_PRELOAD for a program that gets other rights than its caller's. */
static bool changes_rights(const struct file *f)
{
	const bool user = (f->st.st_mode & S_ISUID) && f->st.st_uid != geteuid();
	const bool group = (f->st.st_mode & S_ISGID) && f->st.st_gid != getegid();

	return user || group ||
	       (geteuid() != 0 && getxattr(f->path, "security.capability", NULL, 0) > 0);
}

static bool is_elf(const struct file *f)
{
	return f->size >= sizeof(Elf64_Ehdr) && memcmp(f->bytes, ELFMAG, SELFMAG) == 0;
}

/* Whether it names a loader. */
static bool is_dynamic(const struct file *f)
{
	Elf64_Ehdr head;
	Elf64_Phdr segment;

	memcpy(&head, f->bytes, sizeof head);
	for (size_t i = 0; i < head.e_phnum && i < SEGMENTS; i++) {
		const size_t room = f->size - sizeof segment;
		if (head.e_phentsize != sizeof segment || head.e_phoff > room ||
		    i * sizeof segment > room - head.e_phoff)
			return false;
		memcpy(&segment, f->bytes + head.e_phoff + i * sizeof segment, sizeof segment);
		if (segment.p_type == PT_INTERP)
			return true;
	}
	return false;
}

static int check_elf(const struct file *f, struct err *err)
{
	Elf64_Ehdr head;

	memcpy(&head, f->bytes, sizeof head);
	if (head.e_ident[EI_CLASS] != ELFCLASS64 || head.e_machine != EM_X86_64)
		return err_input(err, "%s is no 64-bit program of this machine's", f->path);
	if (!is_dynamic(f))
		return err_input(
			err,
			"%s is statically linked: no allocator can be loaded into it; link it "
			"dynamically",
			f->path);
	if (changes_rights(f))
		return err_input(err,
				 "%s runs with other rights than its caller's (setuid or alike): "
				 "nothing can be loaded into it; start it as its owner",
				 f->path);
	return 0;
}

/* The program that runs a script: the first word behind #!. */
static int interpreter(const struct file *script, char path[PATH_MAX], struct err *err)
{
	const char *text = (const char *)script->bytes + 2;
	size_t left = script->size - 2, skip = 0, n = 0;

	while (skip < left && (text[skip] == ' ' || text[skip] == '\t'))
		skip++;
	while (skip + n < left && n < PATH_MAX - 1 && !strchr(" \t\r\n", text[skip + n]))
		n++;
	memcpy(path, text + skip, n);
	path[n] = '\0';
	const char *base = strrchr(path, '/');
	if (strcmp(base ? base + 1 : path, "env") == 0)
		return err_input(err,
				 "%s is started by env, which the guest would be: start its "
				 "interpreter, with the script as argument",
				 script->path);
	return is_program(path) ? 0
				: err_input(err, "%s: there is no %s, which shall run it",
					    script->path, path);
}

static int check_file(const struct file *f, struct err *err)
{
	struct file shell = {.bytes = NULL};

	if (is_elf(f))
		return check_elf(f, err);
	if (f->size < 3 || memcmp(f->bytes, "#!", 2) != 0)
		return err_input(
			err, "%s is neither a program nor a script that says by #! what runs it",
			f->path);
	int rc = interpreter(f, shell.path, err);
	rc = rc ? rc : map_file(&shell, err);
	if (rc == 0)
		rc = is_elf(&shell) ? check_elf(&shell, err)
				    : err_input(err, "%s: %s, which shall run it, is no program",
						f->path, shell.path);
	unmap_file(&shell);
	return rc;
}

static bool has(const struct file *f, const char *text)
{
	return f->bytes && memmem(f->bytes, f->size, text, strlen(text)) != NULL;
}

bool program_names(const char *name, const char *text)
{
	struct file f = {.bytes = NULL};
	struct err unused;
	bool found = false;

	if (find(name, f.path, &unused) == 0 && map_file(&f, &unused) == 0)
		found = has(&f, text);
	unmap_file(&f);
	return found;
}

int program_check(const char *name, bool *own_memory, struct err *err)
{
	struct file f = {.bytes = NULL};
	int rc = find(name, f.path, err);

	rc = rc ? rc : map_file(&f, err);
	rc = rc ? rc : check_file(&f, err);
	if (rc == 0)
		*own_memory = has(&f, "BALLAST_RAM");
	unmap_file(&f);
	return rc;
}
