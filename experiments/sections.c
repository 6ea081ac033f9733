#include "experiments/sections.h"

#include "experiments/vm_live.h"

#include "pmap/mmu.h"
#include "traces/guest.h"

#include <string.h>
#include <sys/stat.h>

#define VM(field) offsetof(struct vm_opts, field)

static const struct opt vm_options[] = {
	{"memory", OPT_BYTES, VM(memory), "0", 0, 0x1p43, NULL,
	 "the VM's size; unless given, up to the highest page of its trace"},
	{"trace", OPT_PATH, VM(trace), NULL, 0, 0, NULL, "file with its references"},
	{"format", OPT_STRING, VM(format), NULL, 0, 0, NULL,
	 "how to read the trace; unset: as its first bytes and its name say"},
	{"trace_vm", OPT_INT, VM(trace_vm), "0", 0, UINT32_MAX, NULL,
	 "which VM's records to take from a trace of several"},
	{"gen", OPT_STRING, VM(gen), NULL, 0, 0, NULL,
	 "instead of a trace: the name of a gen section"},
	{"translation", OPT_CHOICE, VM(translation), "flat", 0, 0, translations,
	 "how its addresses become machine addresses"},
	{"large_pages", OPT_BOOL, VM(large_pages), "off", 0, 0, NULL,
	 "its kernel maps 2 MiB at once where it can (where its addresses are translated)"},
	{"share_group", OPT_STRING, VM(share_group), NULL, 0, 0, NULL,
	 "VMs of a group share pages among themselves only; unset: the group of all such VMs"},
	{"balloon", OPT_BOOL, VM(balloon), "on", 0, 0, NULL,
	 "it has a balloon driver, where host.reclaimers names the balloon"},
	{"balloon_cap", OPT_REAL, VM(balloon_cap), "0", 0, 1, NULL,
	 "its balloon's most pages, as a share of its own; 0: as balloon.cap"},
	{"balloon_start", OPT_TIME, VM(balloon_start), "0", 0, 0, NULL,
	 "when its driver starts: until then it is not there"},
	{"min", OPT_BYTES, VM(min), "0", 0, 0x1p43, NULL,
	 "memory that is never taken from it for another VM", .live = true},
	{"max", OPT_BYTES, VM(max), "0", 0, 0x1p43, NULL,
	 "memory that it has at most, however much is free; unless given, its size", .live = true},
	{"shares", OPT_INT, VM(shares), "0", 0, UINT32_MAX, NULL,
	 "its part where memory is short, against the others' shares; 0: exactly its min; unless "
	 "given, 10 a MB",
	 .live = true},
	{"overhead", OPT_BYTES, VM(overhead), "0", 0, 0x1p43, NULL,
	 "machine memory that the manager itself needs for it; unless given, 32mb where "
	 "host.thresholds has states"},
	{"os", OPT_CHOICE, VM(os), "none", 0, 0, guest_oses,
	 "the guest operating system; none: the VM is a trace of references"},
	{"workload", OPT_LIST, VM(workload), NULL, 0, 0, NULL,
	 "for a VM with an os: the names of workload sections, all at once"},
	{"live", OPT_CHOICE, VM(live), "none", 0, 0, live_kinds,
	 "instead of a trace: a live guest of this kind"},
	{"start", OPT_TIME, VM(start), "0", 0, 0, NULL,
	 "for a live guest: when it is started; until then it is not there"},
	{"balloon_size", OPT_BYTES, VM(balloon_size), "0", 0, 0x1p43, NULL,
	 "for a live guest: its balloon is to be as large as this, whatever the policy; 0: by it"},
	{"program", OPT_STRING, VM(program), NULL, 0, 0, NULL,
	 "for live = process: the command; a name without a '/' is one of our guest programs, or "
	 "in "
	 "$PATH"},
	{"run", OPT_STRING, VM(run), NULL, 0, 0, NULL,
	 "for live = linux: the shell command to run in it; the guest ends with it"},
	{"smp", OPT_INT, VM(smp), "1", 1, 64, NULL, "for live = linux: virtual CPUs"},
	{"accel", OPT_CHOICE, VM(accel), "auto", 0, 0, accel_kinds,
	 "for live = linux: how QEMU runs its code"},
	{"kernel", OPT_PATH, VM(kernel), NULL, 0, 0, NULL,
	 "for live = linux: another kernel than this machine's newest"},
	{"initrd", OPT_PATH, VM(initrd), NULL, 0, 0, NULL,
	 "for live = linux: another initramfs than ours"},
	{"append", OPT_STRING, VM(append), NULL, 0, 0, NULL,
	 "for live = linux: more of the kernel's command line"},
	{"disk", OPT_PATH, VM(disk), NULL, 0, 0, NULL,
	 "for live = linux: a raw disk image, as /dev/vda"},
	{"disk_rate", OPT_INT, VM(disk_rate), "0", 0, DISK_RATE_MAX, NULL,
	 "for live = linux: requests a second that its disk serves at most; 0: as many as it can"},
	{NULL},
};

const struct opt_section vm_section = {
	"vm", true, sizeof(struct vm_opts), vm_options, "a virtual machine and what drives it",
};

#define RUN(field) offsetof(struct run_opts, field)

static const struct opt run_options[] = {
	{"sample", OPT_TIME, RUN(sample), "0", 0, 0, NULL,
	 "virtual time between rows of series.csv; 0: so that there are 500 to 1000"},
	{"digest", OPT_BOOL, RUN(digest), "off", 0, 0, NULL,
	 "translate and hash every reference of VMs with translation = flat, as of all others"},
	{"oracle", OPT_BOOL, RUN(oracle), "off", 0, 0, NULL,
	 "compare every page with what was written to it, at the end (host.backing = ram)"},
	{NULL},
};

const struct opt_section run_section = {
	"run", false, sizeof(struct run_opts), run_options, "what is recorded and checked",
};

bool trace_reads_once(const char *path)
{
	struct stat st;

	return strcmp(path, "-") == 0 || (stat(path, &st) == 0 && S_ISFIFO(st.st_mode));
}
