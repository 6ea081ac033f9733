#include "core/meter.h"
#include "core/os.h"

void *meter_alloc(struct meter *meter, size_t bytes)
{
	void *p = os_map(bytes);

	if (p)
		meter->bytes += bytes;
	return p;
}

void meter_free(struct meter *meter, void *p, size_t bytes)
{
	if (!p)
		return;
	meter->bytes -= bytes;
	os_unmap(p, bytes);
}
