/* SPDX-License-Identifier: MIT */
/* Runs the tests and says what they covered. The last line is `kernel tests: N passed, M failed`. */
#include <choose.h>

#include "test.h"

extern const struct test __start_tests[], __stop_tests[];

static unsigned failures;
static const char *current;

void check(bool passed, const char *file, unsigned line, const char *what)
{
	if (passed)
		return;
	failures++;
	print("FAIL ");
	print(current);
	print(" ");
	print(file);
	print(":");
	print_number(line);
	print(": ");
	print(what);
	print("\n");
}

/* ---- coverage: which call or operation returned which error ---- */

/* Operations are below 256, system calls follow. */
#define CALLS      272
#define CALL_FIRST 256
static uint32_t seen[CALLS];

static void note(unsigned row, uint64_t status)
{
	if (row < CALLS && status < 32)
		seen[row] |= 1u << status;
}

void note_call(uint64_t number, uint64_t status)
{
	note(CALL_FIRST + (unsigned)number, status);
}

static void expect_status(uint64_t expected, uint64_t got, const char *file, unsigned line)
{
	if (expected == got)
		return;
	check(false, file, line, "another status than expected");
	print("     expected ");
	print_number(expected);
	print(", got ");
	print_number(got);
	print("\n");
}

struct result expect_invoke(uint64_t status, const char *file, unsigned line, cptr_t cap,
                            enum operation operation, uint64_t w0, uint64_t w1, uint64_t w2, uint64_t w3,
                            uint64_t w4, uint64_t w5)
{
	struct result r = invoke(cap, operation, w0, w1, w2, w3, w4, w5);

	expect_status(status, r.status, file, line);
	note(operation, r.status);
	note(CALL_FIRST + SYS_INVOKE, r.status);
	return r;
}

struct registers expect_call(uint64_t status, const char *file, unsigned line, uint64_t number,
                             struct registers registers)
{
	uint64_t got = system_call(number, &registers);

	expect_status(status, got, file, line);
	note(CALL_FIRST + (unsigned)number, got);
	return registers;
}

struct documented {
	const char *name;
	unsigned row;
	uint8_t errors[16]; /* ends with 0 */
};

static const struct documented documented[] = {
#define DOCUMENTED(name, ...) {#name, name >= 0x10 ? name : CALL_FIRST + name, {__VA_ARGS__}},
#include "documented.h"
#undef DOCUMENTED
};

static const char *error_name(unsigned error)
{
	static const char *const names[] = {
#define ERROR(name, value, text) [value] = #name,
#include <abi/error.def>
#undef ERROR
	};

	return names[error];
}

static void coverage_print(void)
{
	unsigned known = 0, covered = 0;

	for (unsigned i = 0; i < sizeof(documented) / sizeof(documented[0]); i++) {
		/* IoSpaces only where there is an IOMMU. */
		if (documented[i].row >= IO_SPACE_ATTACH && documented[i].row <= IO_SPACE_INFO &&
		    !seen[documented[i].row])
			continue;
		for (unsigned j = 0; documented[i].errors[j]; j++) {
			unsigned error = documented[i].errors[j];

			if (error == ERR_REMOTE) /* takes several CPUs: objects/cpus.c */
				continue;
			known++;
			if (seen[documented[i].row] >> error & 1) {
				covered++;
				continue;
			}
			print("not covered: ");
			print(documented[i].name);
			print(" ");
			print(error_name(error));
			print("\n");
		}
	}
	print("coverage: ");
	print_number(covered);
	print(" of ");
	print_number(known);
	print(" documented errors\n");
}

/* ---- helpers of tests ---- */

cptr_t derive_badged(cptr_t from, unsigned rights, uint64_t badge)
{
	cptr_t slot = slot_new();

	MUST(INIT_SLOT_CNODE, CNODE_DERIVE, slot, CPTR_NULL, from, rights, badge);
	return slot;
}

cptr_t derive(cptr_t from, unsigned rights)
{
	return derive_badged(from, rights, 0);
}

bool command_line_says(const char *word)
{
	const char *line = ((const struct boot_info *)BOOT_INFO_ADDRESS)->command_line;

	for (; *line; line++) {
		unsigned i = 0;

		while (word[i] && line[i] == word[i])
			i++;
		if (!word[i])
			return true;
	}
	return false;
}

uint64_t soon(void)
{
	return now() + 1000000000;
}

void test_main(const struct boot_info *info);
void test_main(const struct boot_info *info)
{
	unsigned passed = 0, failed = 0;

	setup("kernel tests", info);
	print("CPUs: ");
	print_number(info->cpu_count);
	print("\n");
	for (const struct test *test = __start_tests; test < __stop_tests; test++) {
		unsigned before = failures;

		if (!test_is_chosen(info->command_line, test->id))
			continue;
		current = test->id;
		pool_begin();
		test->run();
		check(pool_end(), test->id, 0, "memory is left behind");
		if (failures == before)
			passed++;
		else
			failed++;
		print(failures == before ? "pass " : "FAIL ");
		print(test->id);
		print(": ");
		print(test->sentence);
		print("\n");
	}
	if (test_is_chosen(info->command_line, ""))
		coverage_print();
	print("kernel tests: ");
	print_number(passed);
	print(" passed, ");
	print_number(failed);
	print(" failed\n");
	finish(failed ? 1 : 0);
}
