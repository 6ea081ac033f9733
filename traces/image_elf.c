/*
 * ELF64 cores: what a kernel or gcore writes of a process, what QEMU's
 * dump-guest-memory or kdump writes of a machine. Memory is what PT_LOAD
 * program headers name; where p_filesz is below p_memsz the rest is absent.
 * Addresses are physical if any p_paddr is set, as cores of processes leave
 * them 0. Segments are read in the order of the file, whatever the order of
 * their headers.
 */
#include "traces/image_private.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct load {
	uint64_t offset, bytes; /* in the file */
	uint64_t addr, mem;	/* mem >= bytes > 0 or mem > bytes == 0 */
	uint64_t vaddr;
	uint64_t header; /* where its program header lies, for messages */
};

struct elf {
	size_t n, room, next;
	struct load *load;
	bool physical;
};

typedef unsigned long long ull;

static bool elf_looks(const uint8_t *head, size_t n)
{
	return n >= SELFMAG && memcmp(head, ELFMAG, SELFMAG) == 0;
}

static int check_header(const struct image *image, const Elf64_Ehdr *h, struct err *err)
{
	const struct input *in = image->in;

	if (memcmp(h->e_ident, ELFMAG, SELFMAG) != 0)
		return input_bad(in, 0, err, "no ELF file: leave --format away, or say raw");
	if (h->e_ident[EI_CLASS] != ELFCLASS64 || h->e_ident[EI_DATA] != ELFDATA2LSB)
		return input_bad(in, EI_CLASS, err,
				 "a core of 32 bits or big-endian: only little-endian ELF64 is "
				 "read; write a raw image instead");
	if (h->e_type != ET_CORE)
		return input_bad(in, offsetof(Elf64_Ehdr, e_type), err,
				 "an ELF file of type %u, which is no core (type %u): programs and "
				 "libraries hold no memory; name a core, or say --format raw",
				 h->e_type, ET_CORE);
	if (h->e_phnum == 0)
		return input_bad(in, offsetof(Elf64_Ehdr, e_phnum), err,
				 "a core without program headers holds no memory: was it written "
				 "to its end?");
	if (h->e_phentsize != sizeof(Elf64_Phdr))
		return input_bad(in, offsetof(Elf64_Ehdr, e_phentsize), err,
				 "program headers of %u bytes, not %zu: the header is damaged, "
				 "write the core once more",
				 h->e_phentsize, sizeof(Elf64_Phdr));
	if (h->e_phoff < sizeof *h)
		return input_bad(in, offsetof(Elf64_Ehdr, e_phoff), err,
				 "program headers at byte %llu, within the ELF header: it is "
				 "damaged, write the core once more",
				 (ull)h->e_phoff);
	return 0;
}

/* How many program headers: from 65,535 on, the first section header says it. */
static int count_headers(struct image *image, const Elf64_Ehdr *h, uint32_t *n, struct err *err)
{
	Elf64_Shdr section;
	int rc;

	*n = h->e_phnum;
	if (h->e_phnum != PN_XNUM)
		return 0;
	if (h->e_shoff < sizeof *h || h->e_shentsize != sizeof section)
		return input_bad(image->in, offsetof(Elf64_Ehdr, e_shoff), err,
				 "the number of program headers should stand in a section header "
				 "of %zu bytes, and there is none: write the core once more",
				 sizeof section);
	rc = image_move(image, h->e_shoff, err);
	if (!rc)
		rc = image_take(image, &section, sizeof section, "the first section header", err);
	if (!rc && section.sh_info < PN_XNUM)
		rc = input_bad(image->in, h->e_shoff + offsetof(Elf64_Shdr, sh_info), err,
			       "%u program headers, where %u or more must be: the header is "
			       "damaged, write the core once more",
			       section.sh_info, PN_XNUM);
	*n = section.sh_info;
	return rc;
}

/* Bytes first to first + size - 1 stay below 2^64. */
static bool fits(uint64_t first, uint64_t size)
{
	return size == 0 || size - 1 <= UINT64_MAX - first;
}

static int check_load(const struct image *image, const Elf64_Phdr *p, uint64_t at, struct err *err)
{
	uint64_t size;

	if (p->p_filesz > p->p_memsz)
		return input_bad(image->in, at + offsetof(Elf64_Phdr, p_filesz), err,
				 "a segment with more bytes in the file (%llu) than in memory "
				 "(%llu): its header lies, write the core once more",
				 (ull)p->p_filesz, (ull)p->p_memsz);
	if (!fits(p->p_vaddr, p->p_memsz) || !fits(p->p_paddr, p->p_memsz))
		return input_bad(image->in, at + offsetof(Elf64_Phdr, p_memsz), err,
				 "a segment of %llu bytes beyond the end of the address space: its "
				 "header lies, write the core once more",
				 (ull)p->p_memsz);
	if (p->p_filesz == 0)
		return 0;
	if (p->p_offset < sizeof(Elf64_Ehdr) || p->p_filesz > INT64_MAX ||
	    p->p_offset > INT64_MAX - p->p_filesz)
		return input_bad(image->in, at + offsetof(Elf64_Phdr, p_offset), err,
				 "a segment of %llu bytes at byte %llu, where no file has any: its "
				 "header lies, write the core once more",
				 (ull)p->p_filesz, (ull)p->p_offset);
	const uint64_t end = p->p_offset + p->p_filesz;
	if (input_seekable(image->in, &size) && end > size)
		return input_bad(image->in, at + offsetof(Elf64_Phdr, p_offset), err,
				 "a segment wants bytes up to %llu, and the file ends at %llu: it "
				 "is cut short (disk full? ulimit -c?), write the core once more",
				 (ull)end, (ull)size);
	return 0;
}

static int add_load(struct image *image, struct elf *elf, const Elf64_Phdr *p, uint64_t at,
		    struct err *err)
{
	int rc = check_load(image, p, at, err);

	if (rc || p->p_memsz == 0)
		return rc;
	if (elf->n == elf->room) {
		size_t room = elf->room ? 2 * elf->room : 64;
		struct load *more = realloc(elf->load, room * sizeof *more);
		if (!more)
			return err_run(err, ENOMEM, "%s: out of memory", input_name(image->in));
		elf->load = more;
		elf->room = room;
	}
	elf->physical |= p->p_paddr != 0;
	elf->load[elf->n++] = (struct load){
		.offset = p->p_offset,
		.bytes = p->p_filesz,
		.addr = p->p_paddr,
		.mem = p->p_memsz,
		.vaddr = p->p_vaddr,
		.header = at,
	};
	return 0;
}

static int read_headers(struct image *image, struct elf *elf, const Elf64_Ehdr *h, struct err *err)
{
	Elf64_Phdr p;
	uint32_t n;
	uint64_t at = h->e_phoff;
	int rc = count_headers(image, h, &n, err);

	if (!rc)
		rc = image_move(image, at, err);
	for (uint32_t i = 0; !rc && i < n; i++, at += sizeof p) {
		rc = image_take(image, &p, sizeof p, "a program header", err);
		if (!rc && p.p_type == PT_LOAD)
			rc = add_load(image, elf, &p, at, err);
	}
	return rc;
}

static int by_addr(const void *a, const void *b)
{
	const struct load *x = a, *y = b;

	return x->addr < y->addr ? -1 : x->addr > y->addr;
}

/* What holds no bytes lies nowhere in the file: first. */
static int by_offset(const void *a, const void *b)
{
	const struct load *x = a, *y = b;
	uint64_t p = x->bytes ? x->offset : 0, q = y->bytes ? y->offset : 0;

	return p < q ? -1 : p > q;
}

/* No byte of memory and no byte of the file twice; leaves them in the order of the file. */
static int sort_loads(struct image *image, struct elf *elf, struct err *err)
{
	struct load *load = elf->load;

	qsort(load, elf->n, sizeof *load, by_addr);
	for (size_t i = 1; i < elf->n; i++) {
		if (load[i].addr - load[i - 1].addr < load[i - 1].mem)
			return input_bad(
				image->in, load[i].header, err,
				"a segment at address %#llx overlaps that of the header at "
				"byte %llu: pages would count twice; write the core once "
				"more",
				(ull)load[i].addr, (ull)load[i - 1].header);
	}
	qsort(load, elf->n, sizeof *load, by_offset);
	for (size_t i = 1; i < elf->n; i++) {
		if (load[i - 1].bytes && load[i].offset - load[i - 1].offset < load[i - 1].bytes)
			return input_bad(image->in, load[i].header, err,
					 "a segment at byte %llu of the file overlaps that of the "
					 "header at byte %llu: one of them lies, write the core "
					 "once more",
					 (ull)load[i].offset, (ull)load[i - 1].header);
	}
	return 0;
}

static int elf_open(struct image *image, struct err *err)
{
	struct elf *elf = calloc(1, sizeof *elf);
	Elf64_Ehdr h;

	image->state = elf;
	if (!elf)
		return err_run(err, ENOMEM, "%s: out of memory", input_name(image->in));
	int rc = image_take(image, &h, sizeof h, "the rest of the ELF header", err);
	if (!rc)
		rc = check_header(image, &h, err);
	if (!rc)
		rc = read_headers(image, elf, &h, err);
	if (rc)
		return rc;
	if (elf->n == 0)
		return input_bad(image->in, h.e_phoff, err,
				 "no program header is a PT_LOAD: the core holds no memory");
	image->info.space = elf->physical ? IMAGE_PHYSICAL : IMAGE_VIRTUAL;
	for (size_t i = 0; i < elf->n; i++) {
		struct load *load = &elf->load[i];

		if (!elf->physical)
			load->addr = load->vaddr;
		image->info.absent_pages += (load->mem - load->bytes) >> PAGE_SHIFT;
	}
	return sort_loads(image, elf, err);
}

static void elf_close(struct image *image)
{
	struct elf *elf = image->state;

	if (elf)
		free(elf->load);
	free(elf);
}

static int elf_next(struct image *image, struct image_extent *extent, struct err *err)
{
	struct elf *elf = image->state;

	while (elf->next < elf->n && elf->load[elf->next].bytes == 0)
		elf->next++;
	if (elf->next == elf->n)
		return 0;
	const struct load *load = &elf->load[elf->next++];
	int rc = image_move(image, load->offset, err);
	*extent = (struct image_extent){.addr = load->addr, .bytes = load->bytes};
	return rc ? rc : 1;
}

const struct image_reader image_elf = {
	.policy = {.name = "elf", .help = "ELF64 cores of processes and, from QEMU, of machines"},
	.looks = elf_looks,
	.open = elf_open,
	.next = elf_next,
	.close = elf_close,
};
