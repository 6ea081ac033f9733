/*
 * A guest that touches its memory when it is told to, and says how long that
 * took: for measuring.
 *
 *   retouch FILE
 *
 * Maps FILE ("-": the file that $BALLAST_RAM names), whole, as its memory. For
 * each line that it reads it writes a word to every page in order, and prints
 * the nanoseconds that took. Ends with its input.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

int main(int argc, char **argv)
{
	const char *ram = getenv("BALLAST_RAM");
	struct stat st;
	char line[16];

	const char *path = argc == 2 && strcmp(argv[1], "-") == 0 && ram ? ram : argv[argc - 1];
	int fd = argc == 2 ? open(path, O_RDWR) : -1;
	if (fd < 0 || fstat(fd, &st)) {
		fprintf(stderr, "usage: retouch FILE\n");
		return 2;
	}
	volatile uint8_t *memory =
		mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		return 2;
	while (fgets(line, sizeof line, stdin)) {
		uint64_t start = now_ns();
		for (off_t at = 0; at < st.st_size; at += PAGE)
			memory[at]++;
		printf("%llu\n", (unsigned long long)(now_ns() - start));
		fflush(stdout);
	}
	return 0;
}
