/* SPDX-License-Identifier: MIT */
/*
 * What the kernel's tests and its benchmark stand on, as first components of boot images of their own: system
 * calls, objects out of Untypeds, address spaces, threads, printing.
 */
#pragma once

#include <abi/boot.h>
#include <abi/error.h>
#include <abi/message.h>
#include <abi/object.h>
#include <abi/syscall.h>

struct result {
	uint64_t status;
	uint64_t words[MESSAGE_REGISTER_WORDS];
};

struct result invoke(cptr_t cap, enum operation operation, uint64_t w0, uint64_t w1, uint64_t w2, uint64_t w3,
                     uint64_t w4, uint64_t w5);
/* The same for what must not fail. */
struct result must(const char *what, struct result result);
#define MUST(cap, operation, ...)                            must(#operation, INVOKE(cap, operation, __VA_ARGS__))
#define INVOKE(...)                                          INVOKE_(__VA_ARGS__, 0, 0, 0, 0, 0, 0)
#define INVOKE_(cap, operation, w0, w1, w2, w3, w4, w5, ...) invoke(cap, operation, w0, w1, w2, w3, w4, w5)

/* The name that messages of finish() and fail() carry. */
void setup(const char *name, const struct boot_info *info);
void print(const char *text);
void print_number(uint64_t value);
/* Ends the machine (QEMU's isa-debug-exit). */
_Noreturn void finish(unsigned code);
_Noreturn void fail(const char *what, uint64_t status);

/*
 * Everything made between these two comes out of one Untyped; the second revokes it, which has to leave
 * nothing behind: false if it did. Without them, objects stay.
 */
void pool_begin(void);
bool pool_end(void);

/* Nanoseconds since boot. */
uint64_t now(void);

cptr_t slot_new(void);
/* An Untyped of this size, or an object of this type (bits: of those without a fixed size). */
cptr_t untyped_new(unsigned bits);
cptr_t object_new(enum object_type type, unsigned bits);
/* The same with a home of its own. */
cptr_t object_new_on(unsigned cpu, enum object_type type);

/* Physical addresses that are no RAM: the index of the Untyped that this one lies in, or -1. */
int device_untyped(uint64_t address);
/* All of that Untyped as a Memory, the same for all that ask between pool_begin() and pool_end(). */
struct device_memory {
	cptr_t cap;
	uint64_t address; /* of its first page */
};
struct device_memory device_memory(uint64_t address);

struct space {
	cptr_t vspace;
};
struct space space_new(void);
/* A Window of this Memory into the space, and all of it mapped. */
cptr_t space_map(struct space space, cptr_t memory, uint64_t address, uint64_t pages, unsigned rights);

#define BUFFER_PAGES 4
struct worker {
	cptr_t thread, context;
	struct ipc_buffer *buffer; /* mapped at the same address in our own space */
};
/* In rdi at entry: argument. */
void worker_argument(const struct worker *worker, uint64_t argument);
/* A native thread with a stack of its own that runs `entry`, in a space that has this program's segments. */
struct worker worker_new(struct space space, void (*entry)(void), unsigned priority);
struct worker worker_new_on(unsigned cpu, struct space space, void (*entry)(void), unsigned priority);
void worker_start(const struct worker *worker);
/* Our own address space, IPC buffer and thread. */
extern struct space own_space;
extern struct ipc_buffer *own_buffer;
