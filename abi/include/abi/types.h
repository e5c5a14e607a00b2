/* SPDX-License-Identifier: MIT */
/*
 * Basic types and limits of the kernel ABI, shared by the kernel and by user space.
 * Addresses and sizes are bytes, times are nanoseconds since boot, unless a name says otherwise.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>

/* The index of a capability slot in the calling thread's CNode. 0 is always the null capability. */
typedef uint32_t cptr_t;
/* What a server learns about its caller; chosen when the capability was derived. */
typedef uint64_t badge_t;
/* Absolute time in nanoseconds since boot. */
typedef uint64_t deadline_t;

#define CPTR_NULL      ((cptr_t)0)
#define DEADLINE_NEVER UINT64_MAX
/* In the past: do not wait at all. */
#define DEADLINE_POLL ((deadline_t)0)

#define PAGE_BITS       12
#define PAGE_SIZE       (1ul << PAGE_BITS)
#define LARGE_PAGE_BITS 21
#define LARGE_PAGE_SIZE (1ul << LARGE_PAGE_BITS)

/* User addresses are [USER_BASE, USER_END): the null page and the last page of the lower half stay unmapped. */
#define USER_BASE 0x1000ul
#define USER_END  0x00007ffffffff000ul

#define PRIORITY_COUNT 256
#define PRIORITY_MAX   (PRIORITY_COUNT - 1)

/* What a capability allows. Deriving can only take rights away. */
enum rights {
	RIGHT_READ = 1 << 0,    /* map readable; recv; wait */
	RIGHT_WRITE = 1 << 1,   /* map writable; call, send; signal */
	RIGHT_EXECUTE = 1 << 2, /* map executable */
	RIGHT_GRANT = 1 << 3,   /* pass capabilities along with a call or send */
	RIGHT_MANAGE = 1 << 4,  /* configure the object; derive Windows; close an endpoint */
	RIGHT_DMA = 1 << 5,     /* learn the physical address of a Memory */
	RIGHT_ALL = (1 << 6) - 1,
};
