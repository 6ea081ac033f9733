/*
 * ballast-record.so: a plugin of QEMU's (TCG) that sends every page that the
 * guest touches to `ballast trace record` (live/record.h).
 *
 * Each access to data comes by a callback; asking QEMU for its physical page is
 * dear, so a filter per vCPU, 256 entries by virtual page, keeps back what was
 * sent a moment ago: a read of a page that is in it, a write if it was written.
 * It is emptied every 65,536 accesses, since virtual pages mean other physical
 * ones after a switch of address spaces, which this interface does not tell.
 * `filter=off` asks for every access and keeps back repetitions only.
 *
 * Instructions have no physical address here, only one in QEMU's own memory;
 * the mapping of QEMU's that it lies in gives the page, if that is the guest's
 * main memory (at least 1 MiB). Whether this is true is checked: data and
 * instructions at the same virtual page should agree on the physical one.
 *
 * Not seen: walks of page tables by the processor, and what devices do by DMA.
 *
 * Threads: callbacks come on the vCPUs' threads. A vCPU's filter is its own;
 * what is sent, and the counts, are under one lock.
 */
#include "live/qemu_plugin.h"
#include "live/record.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EXPORT	  __attribute__((visibility("default")))
#define VCPUS	  64
#define ENTRIES	  256
#define EPOCH	  65536 /* accesses between two emptyings of a filter */
#define WORDS	  8192
#define CODE_SEEN 4096 /* virtual pages of instructions that are remembered */

EXPORT int qemu_plugin_version = QEMU_PLUGIN_VERSION;

struct entry {
	uint64_t page1; /* 1 + the page; 0: empty */
	bool written;
};

struct vcpu {
	struct entry data[ENTRIES]; /* by virtual page */
	struct entry code[ENTRIES]; /* by physical page */
	uint64_t last;		    /* word sent last */
	uint32_t until_empty;
	uint64_t accesses, io, lost;
} __attribute__((aligned(64)));

/* A plugin is loaded once, and its callbacks are given no context but a vCPU's number. */
static struct {
	struct vcpu vcpu[VCPUS];
	int out, counts_out;
	bool filter, instructions;
	pthread_mutex_t lock; /* of all below */
	uint64_t word[WORDS];
	size_t words;
	bool broken; /* the recorder is gone */
	uint64_t records, code_lost, agree, differ;
	uintptr_t ram, ram_end; /* the guest's main memory in ours */
	struct {
		uint64_t vpage1, ppage; /* vpage1: 1 + the virtual page */
	} code_seen[CODE_SEEN];
} r = {.out = -1, .counts_out = -1, .filter = true, .lock = PTHREAD_MUTEX_INITIALIZER};

static void write_all(int fd, const void *data, size_t size)
{
	const char *p = data;

	while (size > 0 && !r.broken) {
		ssize_t n = write(fd, p, size);
		if (n < 0 && errno != EINTR)
			r.broken = true;
		if (n > 0) {
			p += n;
			size -= (size_t)n;
		}
	}
}

static void flush(void)
{
	write_all(r.out, r.word, r.words * sizeof *r.word);
	r.records += r.words;
	r.words = 0;
}

/* Under the lock. */
static void send_word(struct vcpu *v, uint64_t word)
{
	if (word == v->last)
		return;
	v->last = word;
	r.word[r.words++] = word;
	if (r.words == WORDS)
		flush();
}

/* Data at this virtual page lies in that physical one: so should its instructions. */
static void compare(uint64_t vpage, uint64_t ppage)
{
	size_t i = vpage % CODE_SEEN;

	if (r.code_seen[i].vpage1 != vpage + 1)
		return;
	if (r.code_seen[i].ppage == ppage)
		r.agree++;
	else
		r.differ++;
}

static bool kept_back(struct vcpu *v, uint64_t vpage, bool store)
{
	struct entry *e = &v->data[vpage % ENTRIES];

	if (v->until_empty-- == 0) {
		memset(v->data, 0, sizeof v->data);
		memset(v->code, 0, sizeof v->code);
		v->until_empty = EPOCH;
	}
	if (e->page1 == vpage + 1 && (e->written || !store))
		return true;
	*e = (struct entry){vpage + 1, store};
	return false;
}

static void on_access(unsigned vcpu, qemu_plugin_meminfo_t info, uint64_t vaddr, void *data)
{
	struct vcpu *v = &r.vcpu[vcpu % VCPUS];
	uint64_t vpage = vaddr >> 12;
	bool store = qemu_plugin_mem_is_store(info);

	(void)data;
	v->accesses++;
	if (r.filter && kept_back(v, vpage, store))
		return;
	struct qemu_plugin_hwaddr *h = qemu_plugin_get_hwaddr(info, vaddr);
	if (!h) {
		v->lost++;
	} else if (qemu_plugin_hwaddr_is_io(h)) {
		v->io++;
	} else {
		uint64_t ppage = qemu_plugin_hwaddr_phys_addr(h) >> 12;
		pthread_mutex_lock(&r.lock);
		if (r.instructions)
			compare(vpage, ppage);
		send_word(v, ppage | (store ? RECORD_WRITE : 0));
		pthread_mutex_unlock(&r.lock);
	}
}

static void on_code(unsigned vcpu, void *data)
{
	struct vcpu *v = &r.vcpu[vcpu % VCPUS];
	uint64_t page = (uint64_t)(uintptr_t)data;
	struct entry *e = &v->code[page % ENTRIES];

	if (r.filter && e->page1 == page + 1)
		return;
	*e = (struct entry){page + 1, false};
	pthread_mutex_lock(&r.lock);
	send_word(v, page);
	pthread_mutex_unlock(&r.lock);
}

/* The mapping of ours that the address lies in; guest memory has at least 1 MiB. */
static void find_ram(uintptr_t at)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	unsigned long long start, end;
	char line[512];

	if (!maps)
		return;
	while (fgets(line, sizeof line, maps)) {
		if (sscanf(line, "%llx-%llx", &start, &end) == 2 && start <= at && at < end) {
			if (end - start >= UINT64_C(1) << 20) {
				r.ram = (uintptr_t)start;
				r.ram_end = (uintptr_t)end;
			}
			break;
		}
	}
	fclose(maps);
}

/* Under the lock: the physical page of an instruction, in *page. */
static bool code_page(const struct qemu_plugin_insn *insn, uint64_t *page)
{
	uintptr_t at = (uintptr_t)qemu_plugin_insn_haddr(insn);

	if (at && !r.ram_end)
		find_ram(at);
	if (at < r.ram || at >= r.ram_end)
		return false;
	*page = (at - r.ram) >> 12;
	uint64_t vpage = qemu_plugin_insn_vaddr(insn) >> 12;
	r.code_seen[vpage % CODE_SEEN].vpage1 = vpage + 1;
	r.code_seen[vpage % CODE_SEEN].ppage = *page;
	return true;
}

/* A block's first instruction, and its last where that is in the next page. */
static void watch_code(struct qemu_plugin_tb *tb, size_t insns)
{
	uint64_t first, last;

	pthread_mutex_lock(&r.lock);
	bool known = code_page(qemu_plugin_tb_get_insn(tb, 0), &first);
	bool more = code_page(qemu_plugin_tb_get_insn(tb, insns - 1), &last) && known;
	r.code_lost += !known;
	pthread_mutex_unlock(&r.lock);
	if (known)
		qemu_plugin_register_vcpu_tb_exec_cb(tb, on_code, QEMU_PLUGIN_CB_NO_REGS,
						     (void *)(uintptr_t)first);
	if (more && last != first)
		qemu_plugin_register_vcpu_tb_exec_cb(tb, on_code, QEMU_PLUGIN_CB_NO_REGS,
						     (void *)(uintptr_t)last);
}

static void on_translate(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	size_t insns = qemu_plugin_tb_n_insns(tb);

	(void)id;
	if (r.instructions && insns > 0)
		watch_code(tb, insns);
	for (size_t i = 0; i < insns; i++)
		qemu_plugin_register_vcpu_mem_cb(qemu_plugin_tb_get_insn(tb, i), on_access,
						 QEMU_PLUGIN_CB_NO_REGS, QEMU_PLUGIN_MEM_RW, NULL);
}

static void on_exit_of_qemu(qemu_plugin_id_t id, void *data)
{
	struct record_counts c = {.magic = RECORD_MAGIC};

	(void)id;
	(void)data;
	pthread_mutex_lock(&r.lock);
	flush();
	close(r.out);
	c.records = r.records;
	c.code_lost = r.code_lost;
	c.agree = r.agree;
	c.differ = r.differ;
	for (size_t i = 0; i < VCPUS; i++) {
		c.accesses += r.vcpu[i].accesses;
		c.io += r.vcpu[i].io;
		c.lost += r.vcpu[i].lost;
	}
	write_all(r.counts_out, &c, sizeof c);
	r.broken = true; /* what comes after the end is nobody's */
	pthread_mutex_unlock(&r.lock);
}

static bool take(const char *arg)
{
	if (strncmp(arg, "fd=", 3) == 0)
		r.out = atoi(arg + 3);
	else if (strncmp(arg, "counts=", 7) == 0)
		r.counts_out = atoi(arg + 7);
	else if (strcmp(arg, "filter=off") == 0)
		r.filter = false;
	else if (strcmp(arg, "instructions=on") == 0)
		r.instructions = true;
	else
		return false;
	return true;
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv);

EXPORT int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv)
{
	bool good = info->system_emulation;

	for (int i = 0; i < argc; i++)
		good &= take(argv[i]);
	if (!good || r.out < 0 || r.counts_out < 0) {
		fprintf(stderr, "ballast-record.so: loaded by 'ballast trace record' into a QEMU "
				"that emulates a machine\n");
		return -1;
	}
	for (size_t i = 0; i < VCPUS; i++)
		r.vcpu[i].last = UINT64_MAX;
	qemu_plugin_register_vcpu_tb_trans_cb(id, on_translate);
	qemu_plugin_register_atexit_cb(id, on_exit_of_qemu, NULL);
	return 0;
}
