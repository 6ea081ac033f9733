/*
 * Page numbers, boxed so that a mix-up does not compile.
 *
 * Three address spaces meet in a memory manager: what a guest process uses
 * (VPN), what the guest believes to be its physical memory (PPN), and what the
 * machine has (MPN). Each number is a struct of one field; gcc passes it in a
 * register like a bare integer. A page is 4 KiB everywhere. Byte addresses are
 * plain uint64_t and never stand for a page number.
 */
#ifndef BALLAST_CORE_TYPES_H
#define BALLAST_CORE_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE_SHIFT 12
#define PAGE_SIZE  (1u << PAGE_SHIFT)

typedef struct {
	uint64_t n;
} vpn_t; /* guest-virtual page number, 36 bits on x86-64 */

typedef struct {
	uint32_t n;
} ppn_t; /* guest-"physical" page number: up to 16 TiB a VM */

typedef struct {
	uint32_t n;
} mpn_t; /* machine page number: up to 16 TiB a host */

#define MPN_NONE ((mpn_t){UINT32_MAX})

static inline bool mpn_eq(mpn_t a, mpn_t b)
{
	return a.n == b.n;
}

static inline bool mpn_valid(mpn_t m)
{
	return m.n != UINT32_MAX;
}

#define MUST_CHECK	  __attribute__((warn_unused_result))
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))
#define likely(x)	  __builtin_expect(!!(x), 1)
#define unlikely(x)	  __builtin_expect(!!(x), 0)
#define ARRAY_LEN(a)	  (sizeof(a) / sizeof((a)[0]))

static inline uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline uint64_t max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

#endif
