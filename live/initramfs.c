#include "live/initramfs.h"

#include "core/os.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static void pad(FILE *out, size_t written)
{
	static const char zeroes[4];

	fwrite(zeroes, 1, -written % 4, out);
}

static int member(struct initramfs *i, const char *name, mode_t mode, dev_t device,
		  const void *data, size_t size)
{
	size_t name_size = strlen(name) + 1;

	if (size > UINT32_MAX)
		return -EFBIG;
	/* ino mode uid gid nlink mtime filesize devmajor devminor rdev (two) namesize check */
	fprintf(i->out, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x", ++i->inode,
		(unsigned)mode, 0u, 0u, 1u, 0u, (unsigned)size, 0u, 0u, major(device),
		minor(device), (unsigned)name_size, 0u);
	fwrite(name, 1, name_size, i->out);
	pad(i->out, 110 + name_size);
	if (size)
		fwrite(data, 1, size, i->out);
	pad(i->out, size);
	return ferror(i->out) ? -EIO : 0;
}

int initramfs_folder(struct initramfs *i, const char *name)
{
	return member(i, name, S_IFDIR | 0755, 0, NULL, 0);
}

int initramfs_text(struct initramfs *i, const char *name, mode_t mode, const char *text)
{
	return member(i, name, S_IFREG | mode, 0, text, strlen(text));
}

int initramfs_link(struct initramfs *i, const char *name, const char *target)
{
	return member(i, name, S_IFLNK | 0777, 0, target, strlen(target));
}

int initramfs_console(struct initramfs *i)
{
	return member(i, "dev/console", S_IFCHR | 0600, makedev(5, 1), NULL, 0);
}

int initramfs_file(struct initramfs *i, const char *name, mode_t mode, const char *path,
		   struct err *err)
{
	void *data;
	size_t size;
	int rc = os_map_file(path, &data, &size);

	if (rc == 0) {
		rc = member(i, name, S_IFREG | mode, 0, data, size);
		os_unmap(data, size);
	}
	return rc ? err_run(err, -rc, "%s: %s", path, strerror(-rc)) : 0;
}

int initramfs_module(struct initramfs *i, const char *folder, const char *module, struct err *err)
{
	static const char *const forms[] = {".ko", ".ko.xz", ".ko.gz", ".ko.zst"};
	const char *base = strrchr(module, '/');
	char path[512], name[120];

	for (size_t k = 0; k < ARRAY_LEN(forms); k++) {
		snprintf(path, sizeof path, "%s/%s%s", folder, module, forms[k]);
		if (access(path, R_OK))
			continue;
		snprintf(name, sizeof name, "lib/modules/%05u-%.80s%s", i->inode,
			 base ? base + 1 : module, forms[k]);
		return initramfs_file(i, name, 0644, path, err);
	}
	return 0;
}

int initramfs_end(struct initramfs *i)
{
	int rc = member(i, "TRAILER!!!", 0, 0, NULL, 0);

	return rc || fflush(i->out) == 0 ? rc : -errno;
}
