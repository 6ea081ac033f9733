#include "experiments/kinds.h"

#include "balloon/balloon.h"
#include "experiments/ballooning.h"
#include "experiments/expect_job.h"
#include "experiments/sections.h"
#include "experiments/timeline.h"
#include "live/live.h"
#include "live/qemu.h"
#include "pmap/ioremap.h"
#include "pmap/large.h"
#include "pmap/mmu.h"
#include "sharing/sharing.h"
#include "swap/swap.h"
#include "tax/alloc.h"
#include "tax/sample.h"
#include "tax/tax.h"
#include "traces/guest.h"
#include "traces/traces.h"

const struct opt_section *const job_sections[] = {
	/* One line per section of a job file, in the order of its appearance. */
	&host_section,	   &cost_section,  &io_section,	     &reclaim_section, &tax_section,
	&sample_section,   &share_section, &balloon_section, &swap_section,    &mmu_section,
	&large_section,	   &run_section,   &live_section,    &gen_section,     &guest_section,
	&workload_section, &vm_section,	   &at_section,	     &expect_section,  NULL,
};

const struct kind kinds[] = {
	/* One line per kind of policy. */
	{"victim", "which page loses its frame (swap.victim)", victims},
	{"scan", "which page is looked at for sharing (share.scan)", scans},
	{"sampler", "how the pages that a VM uses are estimated (sample.sampler)", samplers},
	{"alloc", "how memory is divided among VMs (tax.alloc, ballast alloc --policy)",
	 allocators},
	{"thresholds", "when frames are reclaimed (host.thresholds)", thresholds_list},
	{"reclaimer", "who gives frames back when they are short (host.reclaimers)", reclaimers},
	{"backing", "where page contents live (host.backing)", backings},
	{"translation", "how guest addresses become machine addresses (vm.NAME.translation)",
	 translations},
	{"frames", "where the frames of pages come from (large.frames)", large_frames_list},
	{"care", "what is done with large pages (share.large, sample.large)", large_cares},
	{"relation", "how a statistic must stand to a value (expect.NAME.relation)", relations},
	{"reader", "trace formats that can be read (vm.NAME.format, trace import)", trace_readers},
	{"writer", "trace formats that can be written (trace export)", trace_writers},
	{"law", "laws of generated references (gen.NAME.law, trace gen)", trace_laws},
	{"os", "what a VM runs (vm.NAME.os)", guest_oses},
	{"workload", "what a guest operating system does (workload.NAME.kind)", guest_loads},
	{"live", "what kind of live guest a VM is (vm.NAME.live)", live_kinds},
	{"accel", "how QEMU runs a live guest's code (vm.NAME.accel)", accel_kinds},
	{"program", "what a live Linux guest can run, besides busybox's (ballast vm start --run)",
	 guest_programs},
	{NULL},
};
