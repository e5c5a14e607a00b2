/* SPDX-License-Identifier: MIT */
#include <choose.h>

#include "test.h"

#define FIRST_SLOT  2000
#define LAST_SLOT   3000
#define ROOT_BITS   22
#define CUTTER_BITS 16
#define STACK_BYTES 16384
#define BUFFER_BITS 14
#define BUFFERS     0x50000000ul /* workers' IPC buffers */

const struct boot_info *boot;
struct ipc_buffer *own_buffer;
struct registers last;

/* Small objects come from the first, objects larger than its chunks from the second. */
static const cptr_t root = 1500, root_large = 1501;
static cptr_t next_slot, cutters[64];
static char stacks[WORKERS + 1][STACK_BYTES] __attribute__((aligned(16)));

/* ---- printing ---- */
void print(const char *text)
{
	while (*text) {
		struct registers r = {.cap = 0};

		while (r.cap < sizeof(r.words) && *text)
			((char *)r.words)[r.cap++] = *text++;
		system_call(SYS_DEBUG_WRITE, &r);
	}
}

void print_number(uint64_t value)
{
	char text[24];
	unsigned at = sizeof(text) - 1;

	text[at] = '\0';
	do {
		text[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	print(text + at);
}

/* ---- judging ---- */
static const char *current_id;
static unsigned failures_here;

static void failed(const char *text, const char *file, int line)
{
	failures_here++;
	print("  ");
	print(file);
	print(":");
	print_number((uint64_t)line);
	print(": ");
	print(current_id);
	print(": failed: ");
	print(text);
}

void check_(bool condition, const char *text, const char *file, int line)
{
	if (condition)
		return;
	failed(text, file, line);
	print("\n");
}

unsigned failures(void)
{
	return failures_here;
}

void check_status_(uint64_t status, uint64_t expected, const char *text, const char *file, int line)
{
	if (status == expected)
		return;
	failed(text, file, line);
	print(" is ");
	print_number(status);
	print(", not ");
	print_number(expected);
	print("\n");
}

/* ---- calls ---- */
uint64_t op_(cptr_t cap, unsigned operation, uint64_t w0, uint64_t w1, uint64_t w2, uint64_t w3, uint64_t w4,
             uint64_t w5)
{
	uint64_t status;

	last = (struct registers){.cap = cap, .info = operation, .words = {w0, w1, w2, w3, w4, w5}};
	status = system_call(SYS_INVOKE, &last);
	covered(operation, status);
	return status;
}

uint64_t sys(unsigned number)
{
	uint64_t status = system_call(number, &last);

	covered(0x100 + number, status);
	return status;
}

uint64_t send_(unsigned number, cptr_t cap, uint64_t info, uint64_t reply, deadline_t deadline)
{
	last = (struct registers){.cap = cap, .info = info, .reply = reply, .deadline = deadline};
	return sys(number);
}

/* ---- objects ---- */
cptr_t slot_new(void)
{
	return next_slot++;
}

static cptr_t cut(uint64_t word, unsigned bits)
{
	unsigned up = bits + 6 > CUTTER_BITS ? CUTTER_BITS : bits + 6;
	cptr_t slot = slot_new();
	uint64_t status = ERR_NO_MEMORY;

	if (bits >= CUTTER_BITS) {
		OK(op(bits > CUTTER_BITS ? root_large : root, UNTYPED_RETYPE, word, 1, CPTR_NULL, slot));
		return slot;
	}
	if (cutters[bits])
		status = op(cutters[bits], UNTYPED_RETYPE, word, 1, CPTR_NULL, slot);
	if (status == ERR_NO_MEMORY) {
		cutters[bits] = cut(OBJECT_UNTYPED | (uint64_t)up << 8, up);
		status = op(cutters[bits], UNTYPED_RETYPE, word, 1, CPTR_NULL, slot);
	}
	OK(status);
	return slot;
}

cptr_t object_new(unsigned type, unsigned bits)
{
#define OBJECT(name, fixed_bits) [name] = fixed_bits,
	static const uint8_t fixed[OBJECT_TYPE_COUNT] = {OBJECTS};
#undef OBJECT

	return cut(type | (uint64_t)bits << 8, bits ? bits : fixed[type]);
}

cptr_t object_new_on(unsigned cpu, unsigned type)
{
#define OBJECT(name, fixed_bits) [name] = fixed_bits,
	static const uint8_t fixed[OBJECT_TYPE_COUNT] = {OBJECTS};
#undef OBJECT

	return cut(type | (uint64_t)cpu << 16, fixed[type]);
}

cptr_t derived(cptr_t from, unsigned rights, uint64_t w4, uint64_t w5)
{
	cptr_t slot = slot_new();

	OK(op(INIT_SLOT_CNODE, CNODE_DERIVE, slot, CPTR_NULL, from, rights, w4, w5));
	return slot;
}

/* Moving onto itself tells without changing anything. */
bool present(cptr_t slot)
{
	return op(INIT_SLOT_CNODE, CNODE_MOVE, slot, CPTR_NULL, slot) == ERR_OCCUPIED;
}

cptr_t memory_at(uint64_t address, unsigned bits, cptr_t *window)
{
	cptr_t memory = object_new(OBJECT_MEMORY, bits);

	*window = object_new(OBJECT_WINDOW, 0);
	OK(op(*window, WINDOW_BIND, memory, INIT_SLOT_VSPACE, RIGHT_READ | RIGHT_WRITE));
	OK(op(*window, WINDOW_MAP, address, 0, 1ul << (bits - PAGE_BITS), RIGHT_READ | RIGHT_WRITE));
	return memory;
}

/* ---- threads ---- */
static cptr_t rest_notifications[8];
static volatile cptr_t rest[WORKERS + 1];

/* Who runs is told by the stack. */
_Noreturn void worker_rest(void)
{
	char *here = __builtin_frame_address(0);
	unsigned number = (unsigned)((uint64_t)(here - stacks[0]) / STACK_BYTES);

	for (;;) {
		struct registers r = {.cap = rest[number], .deadline = DEADLINE_NEVER};

		system_call(SYS_WAIT, &r);
	}
}

static void worker_bind(const struct worker *worker, cptr_t buffer, unsigned priority)
{
	OK(op(worker->thread, THREAD_BIND, BIND_CSPACE, INIT_SLOT_CNODE));
	OK(op(worker->thread, THREAD_BIND, BIND_VSPACE, INIT_SLOT_VSPACE));
	OK(op(worker->thread, THREAD_BIND, BIND_IPC_BUFFER, buffer));
	OK(op(INIT_SLOT_CPU_TIME + worker->cpu, CPU_TIME_CONFIGURE, worker->context, 5000000, 5000000));
	OK(op(worker->thread, THREAD_BIND, BIND_SCHED_CONTEXT, worker->context));
	OK(op(worker->thread, THREAD_SET_PRIORITY, INIT_SLOT_CPU_TIME + worker->cpu, priority));
}

struct worker worker_new(unsigned number, void (*entry)(void), unsigned priority)
{
	return worker_new_on(0, number, entry, priority);
}

struct worker worker_new_on(unsigned cpu, unsigned number, void (*entry)(void), unsigned priority)
{
	return worker_of(object_new_on(cpu, OBJECT_THREAD), cpu, number, entry, priority);
}

struct worker worker_of(cptr_t thread, unsigned cpu, unsigned number, void (*entry)(void), unsigned priority)
{
	uint64_t address = BUFFERS + ((uint64_t)number << BUFFER_BITS);
	struct worker worker = {
	        .thread = thread, .context = object_new_on(cpu, OBJECT_SCHED_CONTEXT), .cpu = cpu};
	struct thread_registers *registers = (struct thread_registers *)own_buffer->words;
	cptr_t window;

	if (!rest_notifications[cpu])
		rest_notifications[cpu] = object_new_on(cpu, OBJECT_NOTIFICATION);
	rest[number] = rest_notifications[cpu];
	worker.buffer = (struct ipc_buffer *)address;
	worker_bind(&worker, memory_at(address, BUFFER_BITS, &window), priority);
	for (unsigned i = 0; i < THREAD_REGISTER_WORDS; i++)
		own_buffer->words[i] = 0;
	registers->rip = (uint64_t)entry;
	registers->rsp = (uint64_t)stacks[number] + STACK_BYTES - 8;
	OK(op(worker.thread, THREAD_WRITE_REGISTERS));
	return worker;
}

void worker_start(const struct worker *worker)
{
	OK(op(worker->thread, THREAD_RESUME));
}

uint64_t now(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return (uint64_t)((unsigned __int128)(((uint64_t)high << 32 | low) - boot->tsc_at_boot) * 1000000000 /
	                  boot->tsc_hz);
}

static cptr_t settle_go, settle_done;

/* Of the lowest priority: it comes to run when all others wait. */
static void settler(void)
{
	for (;;) {
		struct registers r = {.cap = settle_go, .deadline = DEADLINE_NEVER};

		system_call(SYS_WAIT, &r);
		r = (struct registers){.cap = settle_done};
		system_call(SYS_SIGNAL, &r);
	}
}

static void settler_start(void)
{
	struct worker worker;

	settle_go = derived(new_notification(), RIGHT_ALL, 1, 0);
	settle_done = derived(new_notification(), RIGHT_ALL, 1, 0);
	worker = worker_new(WORKERS, settler, 0);
	worker_start(&worker);
}

/* Threads that never wait get 20 ms. */
void settle(void)
{
	struct registers r = {.cap = settle_go};

	system_call(SYS_SIGNAL, &r);
	r = (struct registers){.cap = settle_done, .deadline = now() + 20000000};
	system_call(SYS_WAIT, &r);
}

/* ---- coverage ---- */
/* By operation number, system calls at 0x100 + number: the statuses that came. */
static uint32_t seen[0x120];

void covered(unsigned operation, uint64_t status)
{
	if (operation < sizeof(seen) / sizeof(seen[0]) && status < 32)
		seen[operation] |= 1u << status;
}

/* The errors that take several CPUs; the others are seen by the calls' tests (../main.c). */
static const struct {
	const char *name;
	unsigned operation;
	uint8_t errors[16]; /* ends with 0 */
} documented[] = {
#define DOCUMENTED(name, ...) {#name, name >= 0x10 ? name : 0x100 + name, {__VA_ARGS__}},
#include "../documented.h"
#undef DOCUMENTED
};

static void print_coverage(void)
{
	unsigned all = 0, hit = 0;

	for (unsigned i = 0; i < sizeof(documented) / sizeof(documented[0]); i++)
		for (unsigned j = 0; documented[i].errors[j]; j++) {
			if (documented[i].errors[j] != ERR_REMOTE)
				continue;
			all++;
			if (seen[documented[i].operation] >> ERR_REMOTE & 1) {
				hit++;
				continue;
			}
			print("not covered: ");
			print(documented[i].name);
			print(" ERR_REMOTE\n");
		}
	print("coverage: ");
	print_number(hit);
	print(" of ");
	print_number(all);
	print(" documented errors that take several CPUs\n");
}

/* ---- running ---- */
static void roots_make(void)
{
	for (uint64_t i = 0; i < boot->untyped_count; i++) {
		const struct boot_untyped *untyped = &boot->untypeds[i];

		if (!untyped->device && untyped->size_bits > ROOT_BITS &&
		    untyped->size_bits <= ROOT_BITS + 6) {
			OK(op(INIT_SLOT_UNTYPED + (cptr_t)i, UNTYPED_RETYPE, OBJECT_UNTYPED | ROOT_BITS << 8,
			      2, CPTR_NULL, root));
			return;
		}
	}
	print("no Untyped of the size that the tests need\n");
}

static void root_check_free(cptr_t untyped)
{
	OK(op(INIT_SLOT_CNODE, CNODE_REVOKE, untyped));
	OK(op(untyped, UNTYPED_INFO));
	CHECK(last.words[2] == 0);
}

/* Nothing is left: neither memory in use nor capabilities. */
static void clean_up(void)
{
	for (unsigned cpu = 0; cpu < 8; cpu++)
		rest_notifications[cpu] = 0;
	root_check_free(root);
	root_check_free(root_large);
	for (cptr_t slot = FIRST_SLOT; slot < next_slot; slot++) {
		if (present(slot)) /* derived from what was there before the test */
			OK(op(INIT_SLOT_CNODE, CNODE_DELETE, slot));
	}
	CHECK(next_slot < LAST_SLOT);
}

static unsigned passed_count, failed_count;

static void prepare(void)
{
	next_slot = FIRST_SLOT;
	for (unsigned i = 0; i < sizeof(cutters) / sizeof(cutters[0]); i++)
		cutters[i] = 0;
	settler_start();
}

void test_restart(void)
{
	clean_up();
	prepare();
}

static void run_tests(const struct test *tests)
{
	for (; tests->id; tests++) {
		if (!test_is_chosen(boot->command_line, tests->id))
			continue;
		current_id = tests->id;
		failures_here = 0;
		prepare();
		tests->run();
		clean_up();
		print(failures_here ? "FAIL " : "ok   ");
		print(tests->id);
		print(": ");
		print(tests->sentence);
		print("\n");
		failed_count += failures_here != 0;
		passed_count += failures_here == 0;
	}
}

/* By QEMU's isa-debug-exit; elsewhere the last line says that it is over. */
static _Noreturn void finish(void)
{
	op(INIT_SLOT_IO_PORTS, IO_PORTS_OUT, 0xf4, 1, failed_count ? 1 : 0);
	for (;;)
		;
}

void test_main(const struct boot_info *info);
void test_main(const struct boot_info *info)
{
	boot = info;
	own_buffer = (struct ipc_buffer *)info->ipc_buffer;
	current_id = "setup";
	next_slot = FIRST_SLOT;
	roots_make();
	run_tests(tests_calls);
	run_tests(tests_memory);
	run_tests(tests_ipc);
	run_tests(tests_threads);
	run_tests(tests_deletion);
	run_tests(tests_inversions);
	run_tests(tests_matrix);
	if (boot->cpu_count > 1) {
		run_tests(tests_far_inversions);
		run_tests(tests_cpus);
		if (test_is_chosen(boot->command_line, ""))
			print_coverage();
	}
	print("kernel tests: ");
	print_number(passed_count);
	print(" passed, ");
	print_number(failed_count);
	print(" failed\n");
	finish();
}
