/* Where a guest's thread runs: on the CPU of whoever waits for it. */
#include "live/place.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EVERY	  32 /* events: reading a CPU costs about as much as serving one */
#define PROCESSOR 39 /* field of /proc/PID/stat, from 1; proc(5) */

/* The processor out of a line of /proc/PID/stat, or -1. The name in it may have blanks. */
int place_parse(const char *stat)
{
	const char *at = strrchr(stat, ')');

	for (int field = 2; at && field < PROCESSOR; field++) {
		at = strchr(at, ' ');
		at = at ? at + 1 : NULL;
	}
	if (!at || *at < '0' || *at > '9')
		return -1;
	long cpu = strtol(at, NULL, 10);
	return cpu < CPU_SETSIZE ? (int)cpu : -1;
}

static int cpu_of(pid_t pid, uint32_t thread)
{
	char path[64], stat[1024];

	snprintf(path, sizeof path, "/proc/%d/task/%u/stat", (int)pid, thread);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	ssize_t n = read(fd, stat, sizeof stat - 1);
	close(fd);
	if (n <= 0)
		return -1;
	stat[n] = '\0';
	return place_parse(stat);
}

void place_beside(struct place *place, pid_t pid, uint32_t thread)
{
	cpu_set_t one;

	if (place->events++ % EVERY)
		return;
	int cpu = cpu_of(pid, thread);
	if (cpu < 0 || cpu == place->cpu)
		return;
	CPU_ZERO(&one);
	CPU_SET((unsigned)cpu, &one);
	if (sched_setaffinity(0, sizeof one, &one) == 0)
		place->cpu = cpu;
}
