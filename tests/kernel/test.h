/* SPDX-License-Identifier: MIT */
/*
 * Kernel tests, run as the first component of a boot image (main.c). Each is a function with an id and a
 * sentence; it makes what it needs out of a pool that is revoked behind it and must come back whole.
 *
 * EXPECT notes which operation returned which error; what was seen of the documented pairs (documented.h) is
 * printed.
 */
#pragma once

#include "call.h"
#include "setup.h"

struct test {
	const char *id, *sentence;
	void (*run)(void);
};

#define TEST(id, sentence)                                                                        \
	static void test_##id(void);                                                              \
	static const struct test test_entry_##id                                                  \
	        __attribute__((used, section("tests"), aligned(8))) = {#id, sentence, test_##id}; \
	static void test_##id(void)

#define CHECK(condition) check((condition), __FILE__, __LINE__, #condition)
/* As if we had made this system call. */
void note_call(uint64_t number, uint64_t status);
void check(bool passed, const char *file, unsigned line, const char *what);

/* EXPECT(ERR_RANGE, cap, OPERATION, words...): the invocation returns this. */
#define EXPECT(status, ...) expect_(status, __FILE__, __LINE__, __VA_ARGS__, 0, 0, 0, 0, 0, 0)
#define expect_(status, file, line, cap, operation, w0, w1, w2, w3, w4, w5, ...) \
	expect_invoke(status, file, line, cap, operation, w0, w1, w2, w3, w4, w5)
struct result expect_invoke(uint64_t status, const char *file, unsigned line, cptr_t cap,
                            enum operation operation, uint64_t w0, uint64_t w1, uint64_t w2, uint64_t w3,
                            uint64_t w4, uint64_t w5);

/* EXPECT_CALL(ERR_RANGE, SYS_SEND, (struct registers){ ... }): the same for system calls; gives the registers
 * back. */
#define EXPECT_CALL(status, number, ...) expect_call(status, __FILE__, __LINE__, number, __VA_ARGS__)
struct registers expect_call(uint64_t status, const char *file, unsigned line, uint64_t number,
                             struct registers registers);

/* A capability like this one, with these rights, in a new slot. */
cptr_t derive(cptr_t from, unsigned rights);
cptr_t derive_badged(cptr_t from, unsigned rights, uint64_t badge);
/* The kernel's command line has this word. */
bool command_line_says(const char *word);
/* For a second, so that a lost message fails a test and does not stop all. */
uint64_t soon(void);
/* On the kernel that checks its invariants, where times say nothing (mapping.c). */
bool slow(void);
