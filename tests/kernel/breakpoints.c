/* SPDX-License-Identifier: MIT */
/* x86_64: breakpoints (THREAD_WRITE_DEBUG) stop their thread, no other, and where they are, nowhere else. */
#include "test.h"

enum kind { EXECUTE, WRITE, PORT, TOUCH };
#define BREAKPOINT(i, kind, length_code) \
	(1ul << 2 * (i) | ((length_code) << 2 | (uint64_t)(kind)) << (16 + 4 * (i)))
#define STEP            (1ul << 14)
#define TRAP_FLAG       (1ul << 8)
#define DEBUG_EXCEPTION 1
#define INVALID_OPCODE  6

static const unsigned lengths[] = {1, 2, 8, 4}; /* by their code */

#define FIELD 32
static volatile uint8_t field[FIELD] __attribute__((aligned(16)));

static void yield(void)
{
	system_call(SYS_YIELD, &(struct registers){0});
}

/* Writes each byte, reads each byte, writes eight at once, and ends by ud2. */
static void walk(void)
{
	for (unsigned i = 0; i < FIELD; i++, yield())
		field[i] = 1;
	for (unsigned i = 0; i < FIELD; i++, yield())
		(void)field[i];
	*(volatile uint64_t *)(field + 8) = 1;
	__asm__ volatile("ud2");
}

/* The same with vector registers; it does not end if they are not its own. */
static void walk_with_vectors(void)
{
	const uint64_t mine = 0x5ec4e7;
	uint64_t found = 0;

	__asm__ volatile("movq %0, %%xmm7" : : "r"(mine));
	for (unsigned i = 0; i < FIELD; i++, yield())
		field[i] = 1;
	__asm__ volatile("movq %%xmm7, %0" : "=r"(found));
	while (found != mine)
		yield();
	__asm__ volatile("ud2");
}

/* ---- those who are told ---- */

/* What a thread was stopped by, until its end. */
struct hits {
	unsigned of[4], steps, others;
	uint64_t rip; /* of the last breakpoint */
	bool ended;
};
static cptr_t endpoint, reply;

static struct worker watched_at(unsigned priority, void (*entry)(void), badge_t badge)
{
	struct worker worker = worker_new(own_space, entry, priority);

	MUST(worker.thread, THREAD_BIND, BIND_FAULT, derive_badged(endpoint, RIGHT_WRITE, badge));
	return worker;
}

static struct worker watched_new(void (*entry)(void), badge_t badge)
{
	return watched_at(PRIORITY_MAX, entry, badge);
}

static void begin(void)
{
	endpoint = object_new(OBJECT_ENDPOINT, 0);
	reply = object_new(OBJECT_REPLY, 0);
}

/* The thread waits for our reply then. */
static struct registers next_message(void)
{
	return EXPECT_CALL(ERR_NONE, SYS_RECV,
	                   ((struct registers){.cap = endpoint, .reply = reply, .deadline = soon()}));
}

static void answer(uint64_t flags)
{
	EXPECT_CALL(ERR_NONE, SYS_REPLY,
	            ((struct registers){.reply = reply, .info = MESSAGE_INFO(flags, 0)}));
}

static void note_hit(struct hits *hits, const struct registers *r)
{
	bool debug = message_label(r->info) == LABEL_EXCEPTION && r->words[0] == DEBUG_EXCEPTION;

	hits->ended = message_label(r->info) != LABEL_EXCEPTION || r->words[0] == INVALID_OPCODE;
	hits->steps += debug && r->words[1] & STEP;
	hits->others += !debug || r->words[1] & ~(STEP | 15);
	for (unsigned i = 0; i < 4; i++)
		hits->of[i] += debug && r->words[1] >> i & 1;
	if (debug)
		hits->rip = r->words[2];
}

/* Until all these threads, whose badges are 1 and on, have ended; then they are stopped. */
static void serve(struct hits *hits, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		hits[i] = (struct hits){0};
	for (unsigned ended = 0; ended < count;) {
		struct registers r = next_message();
		bool known = r.cap >= 1 && r.cap <= count;

		CHECK(known);
		if (!known)
			return;
		note_hit(&hits[r.cap - 1], &r);
		ended += hits[r.cap - 1].ended;
		answer(hits[r.cap - 1].ended ? REPLY_STOP : 0);
	}
}

/* The only thing that happened, `count` times. Its end is the one other thing. */
static bool only(const struct hits *hits, unsigned breakpoint, unsigned count)
{
	for (unsigned i = 0; i < 4; i++)
		if (hits->of[i] != (i == breakpoint ? count : 0))
			return false;
	return hits->steps == 0 && hits->others == 1;
}

static void start_at(const struct worker *worker, void (*entry)(void))
{
	struct thread_registers *registers = (struct thread_registers *)own_buffer->words;

	EXPECT(ERR_NONE, worker->thread, THREAD_READ_REGISTERS);
	registers->rip = (uint64_t)entry;
	EXPECT(ERR_NONE, worker->thread, THREAD_WRITE_REGISTERS);
	worker_start(worker);
}

TEST(breakpoint_errors, "breakpoints that a thread must not have are refused, and change nothing")
{
	const uint64_t good = (uint64_t)field;
	cptr_t thread = worker_new(own_space, walk, PRIORITY_MAX).thread;

	EXPECT(ERR_NONE, thread, THREAD_WRITE_DEBUG, 1, 2, 3, good, BREAKPOINT(3, WRITE, 2));
	for (unsigned i = 0; i < 4; i++) {
		static const uint64_t outside[] = {USER_END,           1ul << 47, 0xffff800000000000,
		                                   0xffffffff80101000, 1ul << 63, UINT64_MAX - 7};
		uint64_t at[4] = {good, good, good, good};

		for (unsigned j = 0; j < sizeof(outside) / sizeof(outside[0]); j++) {
			at[i] = outside[j];
			EXPECT(ERR_RANGE, thread, THREAD_WRITE_DEBUG, at[0], at[1], at[2], at[3]);
			EXPECT(ERR_RANGE, thread, THREAD_WRITE_DEBUG, at[0], at[1], at[2], at[3],
			       BREAKPOINT(i, TOUCH, 0));
		}
		for (uint64_t code = 1; code < 4; code++) {
			EXPECT(ERR_ARGUMENT, thread, THREAD_WRITE_DEBUG, 0, 0, 0, 0,
			       BREAKPOINT(i, EXECUTE, code));
			for (unsigned odd = 1; odd < lengths[code]; odd++) {
				at[i] = good + odd;
				EXPECT(ERR_ALIGNMENT, thread, THREAD_WRITE_DEBUG, at[0], at[1], at[2], at[3],
				       BREAKPOINT(i, WRITE, code));
			}
			at[i] = USER_END - lengths[code];
			EXPECT(ERR_NONE, thread, THREAD_WRITE_DEBUG, at[0], at[1], at[2], at[3],
			       BREAKPOINT(i, WRITE, code));
		}
		for (uint64_t code = 0; code < 4; code++)
			EXPECT(ERR_ARGUMENT, thread, THREAD_WRITE_DEBUG, 0, 0, 0, 0,
			       BREAKPOINT(i, PORT, code));
	}
	/* General detect, and all bits that are reserved. */
	for (unsigned bit = 10; bit < 64; bit++)
		if (bit < 16 || bit >= 32)
			EXPECT(ERR_ARGUMENT, thread, THREAD_WRITE_DEBUG, 0, 0, 0, 0, 1ul << bit);
	EXPECT(ERR_ARGUMENT, thread, THREAD_WRITE_DEBUG, 0, 0, 0, 0, 0, 1);

	EXPECT(ERR_NONE, thread, THREAD_WRITE_DEBUG, 1, 2, 3, good, BREAKPOINT(3, WRITE, 2));
	EXPECT(ERR_RANGE, thread, THREAD_WRITE_DEBUG, USER_END);
	{
		struct result r = EXPECT(ERR_NONE, thread, THREAD_READ_DEBUG);

		CHECK(r.words[0] == 1 && r.words[1] == 2 && r.words[2] == 3 && r.words[3] == good);
		CHECK(r.words[4] == BREAKPOINT(3, WRITE, 2));
	}
	EXPECT(ERR_STATE, INIT_SLOT_THREAD, THREAD_WRITE_DEBUG);
	CHECK(EXPECT(ERR_NONE, INIT_SLOT_THREAD, THREAD_READ_DEBUG).words[4] == 0);
}

TEST(breakpoint_data, "a breakpoint sees each write, or each access, to its bytes and to no others")
{
	struct worker worker;
	struct hits hits;

	begin();
	worker = watched_new(walk, 1);
	for (unsigned code = 0; code < 4; code++)
		for (unsigned i = 0; i < 4; i++) {
			uint64_t at[4] = {0};

			at[i] = (uint64_t)field + 8;
			EXPECT(ERR_NONE, worker.thread, THREAD_WRITE_DEBUG, at[0], at[1], at[2], at[3],
			       BREAKPOINT(i, WRITE, code));
			start_at(&worker, walk);
			serve(&hits, 1);
			CHECK(only(&hits, i, lengths[code] + 1));
			EXPECT(ERR_NONE, worker.thread, THREAD_WRITE_DEBUG, at[0], at[1], at[2], at[3],
			       BREAKPOINT(i, TOUCH, code));
			start_at(&worker, walk);
			serve(&hits, 1);
			CHECK(only(&hits, i, 2 * lengths[code] + 1));
		}
	/* Written, but not enabled. */
	EXPECT(ERR_NONE, worker.thread, THREAD_WRITE_DEBUG, (uint64_t)field, 0, 0, 0,
	       BREAKPOINT(0, WRITE, 0) & ~1ul);
	start_at(&worker, walk);
	serve(&hits, 1);
	CHECK(only(&hits, 0, 0));
}

void breakpoint_program(void), breakpoint_place(void), breakpoint_steps(void);
__asm__("	.globl	breakpoint_program, breakpoint_place, breakpoint_steps\n"
        "breakpoint_program:\n"
        "	mov	$3, %ebx\n"
        "1:	nop\n"
        "breakpoint_place:\n"
        "	dec	%ebx\n"
        "	jnz	1b\n"
        "	ud2\n"
        "breakpoint_steps:\n"
        "	pushfq\n"
        "	orl	$0x100, (%rsp)\n"
        "	popfq\n"
        "	nop\n"
        "	nop\n"
        "	pushfq\n"
        "	andl	$~0x100, (%rsp)\n"
        "	popfq\n"
        "	ud2\n");

TEST(breakpoint_execution, "a thread stops before an instruction, and executes it when it goes on")
{
	struct worker worker;
	struct hits hits;

	begin();
	worker = watched_new(breakpoint_program, 1);
	EXPECT(ERR_NONE, worker.thread, THREAD_WRITE_DEBUG, 0, (uint64_t)breakpoint_place, 0, 0,
	       BREAKPOINT(1, EXECUTE, 0));
	worker_start(&worker);
	serve(&hits, 1);
	CHECK(only(&hits, 1, 3) && hits.rip == (uint64_t)breakpoint_place);
	/* In turns with single steps, and what one was told the other is not. */
	EXPECT(ERR_NONE, worker.thread, THREAD_WRITE_DEBUG, (uint64_t)field, 0, 0, 0,
	       BREAKPOINT(0, TOUCH, 0));
	start_at(&worker, breakpoint_steps);
	serve(&hits, 1);
	CHECK(hits.steps == 5 && hits.others == 1 && hits.of[0] == 0);
	start_at(&worker, walk);
	serve(&hits, 1);
	CHECK(only(&hits, 0, 2));
}

TEST(breakpoints_of_several,
     "threads that run in turns meet their own breakpoints only, and who has none meets none")
{
	struct worker workers[4];
	struct hits hits[4];

	begin();
	workers[0] = watched_new(walk, 1);
	workers[1] = watched_new(walk_with_vectors, 2);
	workers[2] = watched_new(walk_with_vectors, 3);
	workers[3] = watched_new(walk, 4);
	EXPECT(ERR_NONE, workers[0].thread, THREAD_WRITE_DEBUG, (uint64_t)field + 1, 0, 0, 0,
	       BREAKPOINT(0, WRITE, 0));
	EXPECT(ERR_NONE, workers[1].thread, THREAD_WRITE_DEBUG, 0, (uint64_t)field + 2, 0, 0,
	       BREAKPOINT(1, WRITE, 1));
	for (unsigned i = 0; i < 4; i++)
		worker_start(&workers[i]);
	serve(hits, 4);
	CHECK(only(&hits[0], 0, 1));
	CHECK(only(&hits[1], 1, 2));
	CHECK(only(&hits[2], 0, 0));
	CHECK(only(&hits[3], 0, 0));
}

TEST(breakpoint_changed, "breakpoints change while their thread waits, and are gone with it")
{
	struct worker first, second;
	struct hits hits;

	begin();
	second = watched_new(walk, 1);
	first = watched_new(walk, 1);
	EXPECT(ERR_NONE, first.thread, THREAD_WRITE_DEBUG, (uint64_t)field + 8, 0, 0, 0,
	       BREAKPOINT(0, WRITE, 2));
	worker_start(&first);
	CHECK(next_message().words[1] == 1);
	/* Its breakpoints are in the CPU: others instead. */
	EXPECT(ERR_NONE, first.thread, THREAD_WRITE_DEBUG, 0, 0, (uint64_t)field + 16, 0,
	       BREAKPOINT(2, WRITE, 1));
	answer(0);
	CHECK(next_message().words[1] == 4);
	EXPECT(ERR_NONE, first.thread, THREAD_WRITE_DEBUG);
	answer(0);
	serve(&hits, 1);
	CHECK(only(&hits, 0, 0));

	EXPECT(ERR_NONE, first.thread, THREAD_WRITE_DEBUG, (uint64_t)field + 8, 0, 0, 0,
	       BREAKPOINT(0, WRITE, 2));
	start_at(&first, walk);
	CHECK(next_message().words[1] == 1);
	MUST(INIT_SLOT_CNODE, CNODE_DELETE, first.thread);
	worker_start(&second);
	serve(&hits, 1);
	CHECK(only(&hits, 0, 0));
}

TEST(breakpoint_foreign, "a foreign thread's breakpoint is told to its syscall endpoint")
{
	struct worker worker;
	struct registers r;

	begin();
	worker = worker_new(own_space, breakpoint_program, PRIORITY_MAX);
	MUST(worker.thread, THREAD_SET_FOREIGN, 1);
	MUST(worker.thread, THREAD_BIND, BIND_SYSCALL, endpoint);
	EXPECT(ERR_NONE, worker.thread, THREAD_WRITE_DEBUG, (uint64_t)breakpoint_place, 0, 0, 0,
	       BREAKPOINT(0, EXECUTE, 0));
	worker_start(&worker);
	r = next_message();
	CHECK(message_label(r.info) == LABEL_EXCEPTION && r.words[0] == DEBUG_EXCEPTION && r.words[1] == 1 &&
	      r.words[2] == (uint64_t)breakpoint_place);
	answer(REPLY_STOP);
}

void breakpoint_jump(void);
__asm__("	.globl	breakpoint_jump\n"
        "breakpoint_jump:\n"
        "	jmp	*%rdi\n");

/* The beginnings of pages: there are the entries of system calls, and of the first exceptions. */
TEST(breakpoint_kernel_address,
     "a step to a kernel address is a step of user mode's, and the next is a page fault")
{
	const uint64_t image = 0xffffffff80100000, size = 0x28000;
	struct thread_registers *registers = (struct thread_registers *)own_buffer->words;
	struct worker worker;

	begin();
	worker = watched_new(breakpoint_jump, 1);
	for (uint64_t to = image; to < image + size; to += to % PAGE_SIZE < 48 ? 16 : PAGE_SIZE - 48) {
		struct registers r;

		EXPECT(ERR_NONE, worker.thread, THREAD_READ_REGISTERS);
		registers->rip = (uint64_t)breakpoint_jump;
		registers->rdi = to;
		registers->rflags |= TRAP_FLAG;
		EXPECT(ERR_NONE, worker.thread, THREAD_WRITE_REGISTERS);
		worker_start(&worker);
		r = next_message();
		CHECK(message_label(r.info) == LABEL_EXCEPTION && r.words[0] == DEBUG_EXCEPTION &&
		      r.words[1] == STEP && r.words[2] == to);
		answer(0);
		r = next_message();
		CHECK(message_label(r.info) == LABEL_PAGE_FAULT && r.words[0] == to);
		answer(REPLY_STOP);
		if (message_label(r.info) != LABEL_PAGE_FAULT)
			break;
	}
}

void mov_ss_syscall(void), mov_ss_int3(void), mov_ss_ud2(void);
__asm__("	.globl	mov_ss_syscall, mov_ss_int3, mov_ss_ud2\n"
        "	.macro	load_ss\n"
        "	mov	%ss, (%rdi)\n"
        "	mov	$0xffffffff80800000, %rsp\n"
        "	mov	$8, %eax\n"
        "	mov	(%rdi), %ss\n"
        "	.endm\n"
        "mov_ss_syscall:\n"
        "	load_ss\n"
        "	syscall\n"
        "	ud2\n"
        "mov_ss_int3:\n"
        "	load_ss\n"
        "	int3\n"
        "	ud2\n"
        "mov_ss_ud2:\n"
        "	load_ss\n"
        "	ud2\n");

/*
 * A CPU delays the breakpoint until the kernel has been entered, and it is passed over there. The emulator
 * (QEMU 7.2) does not delay it; what a CPU does is tried by system/hardening.breakpoint_in_the_kernel.
 */
TEST(breakpoint_mov_ss, "a breakpoint that comes with an entry into the kernel does it no harm")
{
	static void (*const programs[])(void) = {mov_ss_syscall, mov_ss_int3, mov_ss_ud2};
	struct worker worker;
	struct hits hits;

	begin();
	worker = watched_new(walk, 1);
	for (unsigned i = 0; i < 3; i++) {
		EXPECT(ERR_NONE, worker.thread, THREAD_WRITE_DEBUG, (uint64_t)worker.buffer, 0, 0, 0,
		       BREAKPOINT(0, TOUCH, 1));
		worker_argument(&worker, (uint64_t)worker.buffer);
		start_at(&worker, programs[i]);
		serve(&hits, 1);
		CHECK(hits.of[0] >= 1 && hits.of[0] <= 2 && hits.steps == 0);
		CHECK(hits.others == (programs[i] == mov_ss_int3 ? 2 : 1));
	}
}

void interrupted_checker(void);

TEST(breakpoint_registers, "a thread that is stopped after each instruction keeps its registers")
{
	static volatile uint64_t rounds;
	struct thread_registers *registers = (struct thread_registers *)own_buffer->words;
	/* It would tell of both by a nested exception, as no CPU does. */
	bool hidden_emulator = command_line_says("as-a-cpu");
	struct worker worker;
	struct hits hits = {0};

	begin();
	worker = watched_new(interrupted_checker, 1);
	EXPECT(ERR_NONE, worker.thread, THREAD_READ_REGISTERS);
	registers->rdi = 0x1111111111;
	registers->rsi = (uint64_t)&rounds;
	registers->rflags |= TRAP_FLAG;
	EXPECT(ERR_NONE, worker.thread, THREAD_WRITE_REGISTERS);
	worker.buffer->words[20] = 0x1111111111;
	MUST(worker.thread, THREAD_SET_TLS, (uint64_t)&worker.buffer->words[20]);
	if (!hidden_emulator)
		EXPECT(ERR_NONE, worker.thread, THREAD_WRITE_DEBUG, (uint64_t)&rounds, 0, 0, 0,
		       BREAKPOINT(0, WRITE, 2));
	rounds = 0;
	worker_start(&worker);
	while (rounds < 1 && !hits.others) {
		struct registers r = next_message();

		note_hit(&hits, &r);
		answer(0);
	}
	CHECK(rounds == 1 && hits.of[0] == (hidden_emulator ? 0 : 1) && hits.others == 0 &&
	      hits.steps > 200 * 20);
	MUST(worker.thread, THREAD_SUSPEND, 0);
}

/* ---- an operation that is left in the middle ---- */

#define LOW 100

static struct {
	cptr_t from, to;
	volatile uint64_t status;
} redirected;

static void retype_many(void)
{
	invoke(redirected.from, UNTYPED_RETYPE, OBJECT_MEMORY | 14 << 8, 32, CPTR_NULL, redirected.to, 0, 0);
	__asm__ volatile("ud2");
}

static void retype_two(void)
{
	redirected.status = invoke(redirected.from, UNTYPED_RETYPE, OBJECT_MEMORY | 14 << 8, 2, CPTR_NULL,
	                           redirected.to + 40, 0, 0)
	                            .status;
	__asm__ volatile("ud2");
}

static bool filled(cptr_t slot)
{
	return invoke(slot, MEMORY_INFO, 0, 0, 0, 0, 0, 0).status == ERR_NONE;
}

/* The reply carries the registers with which the thread is to go on. */
static void answer_with_entry(cptr_t thread, void (*entry)(void))
{
	uint64_t *words = own_buffer->words;

	EXPECT(ERR_NONE, thread, THREAD_READ_REGISTERS);
	for (int i = THREAD_REGISTER_WORDS - 1; i >= 0; i--)
		words[MESSAGE_REGISTER_WORDS + i] = words[i];
	((struct thread_registers *)&words[MESSAGE_REGISTER_WORDS])->rip = (uint64_t)entry;
	EXPECT_CALL(
	        ERR_NONE, SYS_REPLY,
	        ((struct registers){.reply = reply,
	                            .info = MESSAGE_INFO(REPLY_REGISTERS,
	                                                 MESSAGE_REGISTER_WORDS + THREAD_REGISTER_WORDS)}));
}

TEST(redirected_operation, "who is redirected out of an interrupted operation begins the next one anew")
{
	cptr_t bell = object_new(OBJECT_NOTIFICATION, 0);
	struct worker worker;
	struct hits hits;

	begin();
	worker = watched_at(LOW, retype_many, 1); /* our deadline interrupts it */
	redirected.from = untyped_new(20);
	redirected.to = slot_new();
	for (unsigned i = 1; i < 42; i++)
		slot_new();
	worker_start(&worker);
	/* Longer and longer: the kernel that checks its invariants needs some time to enter. */
	for (unsigned i = 0; i < 64 && !filled(redirected.to + 1); i++)
		EXPECT_CALL(ERR_TIMEOUT, SYS_WAIT,
		            ((struct registers){.cap = bell, .deadline = now() + (20000ul << i / 4)}));
	MUST(worker.thread, THREAD_SUSPEND, 0);
	CHECK(filled(redirected.to + 1) && !filled(redirected.to + 31));
	EXPECT(ERR_NONE, worker.thread, THREAD_READ_REGISTERS);
	MUST(worker.thread, THREAD_WRITE_DEBUG, ((struct thread_registers *)own_buffer->words)->rip, 0, 0, 0,
	     BREAKPOINT(0, EXECUTE, 0));
	MUST(worker.thread, THREAD_RESUME, 0);
	CHECK(message_label(next_message().info) == LABEL_EXCEPTION);
	MUST(worker.thread, THREAD_WRITE_DEBUG, 0, 0, 0, 0, 0);
	answer_with_entry(worker.thread, retype_two);
	serve(&hits, 1);
	CHECK(redirected.status == ERR_NONE && filled(redirected.to + 40) && filled(redirected.to + 41));
}
