/* SPDX-License-Identifier: MIT */
/*
 * Tests of the kernel's objects in use, beside those of ../test.h: messages between threads of different
 * priorities, faults, deadlines, budgets, and deleting things in every order. Each is a function with an id
 * and a sentence. A test makes everything out of one Untyped, which is revoked afterwards: nothing may be
 * left of it. Every status that a test sees counts for the coverage matrix.
 */
#pragma once

#include "../call.h"

struct test {
	const char *id;
	const char *sentence;
	void (*run)(void);
};
/* One array a file, ended by an entry without id. */
extern const struct test tests_calls[], tests_memory[], tests_ipc[], tests_threads[], tests_deletion[],
        tests_inversions[], tests_far_inversions[], tests_matrix[], tests_cpus[];

/* ---- judging ---- */
void check_(bool condition, const char *text, const char *file, int line);
void check_status_(uint64_t status, uint64_t expected, const char *text, const char *file, int line);
#define CHECK(condition)         check_(condition, #condition, __FILE__, __LINE__)
#define EXPECT(status, expected) check_status_(status, expected, #status, __FILE__, __LINE__)
#define OK(status)               EXPECT(status, ERR_NONE)
/* Of this test, so far. */
unsigned failures(void);
void print(const char *text);
void print_number(uint64_t value);

/* ---- calls; they count for coverage ---- */
extern struct registers last; /* results of the last op() or sys() of the main thread */
uint64_t op_(cptr_t cap, unsigned operation, uint64_t w0, uint64_t w1, uint64_t w2, uint64_t w3, uint64_t w4,
             uint64_t w5);
#define op(...)                                    OP_(__VA_ARGS__, 0, 0, 0, 0, 0, 0)
#define OP_(cap, operation, a, b, c, d, e, f, ...) op_(cap, operation, a, b, c, d, e, f)
/* last: the arguments; then the results. */
uint64_t sys(unsigned number);
uint64_t send_(unsigned number, cptr_t cap, uint64_t info, uint64_t reply, deadline_t deadline);
void covered(unsigned operation, uint64_t status);

/* ---- objects of this test ---- */
cptr_t slot_new(void);
cptr_t object_new(unsigned type, unsigned bits);
cptr_t object_new_on(unsigned cpu, unsigned type);
#define new_endpoint()     object_new(OBJECT_ENDPOINT, 0)
#define new_reply()        object_new(OBJECT_REPLY, 0)
#define new_notification() object_new(OBJECT_NOTIFICATION, 0)
/* A derived capability. */
cptr_t derived(cptr_t from, unsigned rights, uint64_t w4, uint64_t w5);
/* Is there a capability? */
bool present(cptr_t slot);
#define FULL (RIGHT_ALL)

/* A native thread in our address space with its own stack and IPC buffer (mapped; at buffer). Not resumed. */
struct worker {
	cptr_t thread, context;
	unsigned cpu;
	struct ipc_buffer *buffer;
};
#define WORKERS 6
struct worker worker_new(unsigned number, void (*entry)(void), unsigned priority);
struct worker worker_new_on(unsigned cpu, unsigned number, void (*entry)(void), unsigned priority);
/* The same of a thread that is there. */
struct worker worker_of(cptr_t thread, unsigned cpu, unsigned number, void (*entry)(void), unsigned priority);
void worker_start(const struct worker *worker);
/* What a worker does at its end: wait for ever. */
_Noreturn void worker_rest(void);
/* Everything made so far goes, and the test goes on. */
void test_restart(void);
/* Let everything of lower priority run until it waits. */
void settle(void);
uint64_t now(void);
/* What another CPU does takes its time; a second is for ever. Lower threads of this CPU run meanwhile. */
#define WAIT_FOR(condition)                           \
	do {                                          \
		deadline_t end_ = now() + 1000000000; \
		while (!(condition) && now() < end_)  \
			settle();                     \
		CHECK(condition);                     \
	} while (0)

extern const struct boot_info *boot;
extern struct ipc_buffer *own_buffer;
/* An address range that no test may assume anything in, each for its own use. */
#define AREA 0x60000000ul
/* Map a new Memory of 2^bits bytes at address in our own space; returns the Memory. */
cptr_t memory_at(uint64_t address, unsigned bits, cptr_t *window);
