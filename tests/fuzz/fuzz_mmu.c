/* A guest that writes page tables, and asks its VMM, as the bytes say; in every mode. */
#include "mmu_hostile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size <= 8192)
		hostile_run(data, size);
	return 0;
}
