/* SPDX-License-Identifier: MIT */
/* x86_64: what user mode may do to itself is its own business; what it must not do ends in a message to its
 * handler. */
#include "test.h"

/*
 * EXCEPTION(stub, vector): as a message with that vector. FAULT(stub, access bits): as a page fault. ANY: as
 * one of them, where the emulator (QEMU 7.2) differs from CPUs. EITHER: one of two vectors, for the same
 * reason. KERNEL_PAGE among the access bits: the page is there, but under KPTI it is not.
 */
#define KERNEL_PAGE 0x100ul
#define HOSTILE                                                               \
	EXCEPTION(hostile_hlt, 13)                                            \
	EXCEPTION(hostile_cli, 13)                                            \
	EXCEPTION(hostile_in, 13)                                             \
	EXCEPTION(hostile_rdmsr, 13)                                          \
	EXCEPTION(hostile_cr3, 13)                                            \
	EXCEPTION(hostile_dr7, 13)                                            \
	EXCEPTION(hostile_lgdt, 13)                                           \
	EXCEPTION(hostile_sgdt, 13)                                           \
	EXCEPTION(hostile_local_table, 13)                                    \
	EXCEPTION(hostile_swapgs, 13)                                         \
	EITHER(hostile_xsetbv, 13, 6)                                         \
	EXCEPTION(hostile_int80, 13)                                          \
	EXCEPTION(hostile_int14, 13)                                          \
	EXCEPTION(hostile_int32, 13)                                          \
	EXCEPTION(hostile_int3, 3)                                            \
	EITHER(hostile_sysenter, 6, 13)                                       \
	EXCEPTION(hostile_sysret, 13)                                         \
	EXCEPTION(hostile_ud2, 6)                                             \
	EXCEPTION(hostile_divide, 0)                                          \
	EXCEPTION(hostile_trap_flag, 1)                                       \
	EXCEPTION(hostile_noncanonical_load, 13)                              \
	EITHER(hostile_noncanonical_push, 12, 13) /* the emulator says 13 */  \
	EXCEPTION(hostile_noncanonical_jump, 13)                              \
	ANY(hostile_kernel_cs) /* 13; the emulator: a page fault */           \
	EXCEPTION(hostile_kernel_ss, 13)                                      \
	ANY(hostile_compatibility)                                            \
	EITHER(hostile_simd, 19, 16) /* the emulator runs on into the next */ \
	EXCEPTION(hostile_x87, 16)                                            \
	FAULT(hostile_kernel_read, FAULT_READ | KERNEL_PAGE)                  \
	FAULT(hostile_kernel_write, FAULT_WRITE | KERNEL_PAGE)                \
	FAULT(hostile_kernel_jump, FAULT_EXECUTE | KERNEL_PAGE)               \
	FAULT(hostile_null, FAULT_READ)                                       \
	FAULT(hostile_execute_stack, FAULT_EXECUTE | FAULT_PRESENT)

#define EXCEPTION(name, vector)     void name(void);
#define EITHER(name, vector, other) void name(void);
#define FAULT(name, access)         void name(void);
#define ANY(name)                   void name(void);
HOSTILE
#undef EXCEPTION
#undef EITHER
#undef FAULT
#undef ANY

static const struct hostile {
	const char *name;
	void (*entry)(void);
	uint32_t label;
	uint64_t number, other; /* vector or access bits */
} hostiles[] = {
#define EXCEPTION(name, vector)     {#name, name, LABEL_EXCEPTION, vector, vector},
#define EITHER(name, vector, other) {#name, name, LABEL_EXCEPTION, vector, other},
#define FAULT(name, access)         {#name, name, LABEL_PAGE_FAULT, access, access},
#define ANY(name)                   {#name, name, 0, 0, 0},
        HOSTILE
#undef EXCEPTION
#undef EITHER
#undef FAULT
#undef ANY
};

void foreign_checker(void);
void interrupted_checker(void);
void vector_reader(void);
void foreign_vector_keeper(void);
void yielding_vector_keeper(void);

static bool as_expected(uint64_t number, uint64_t expected)
{
	if (expected & KERNEL_PAGE)
		expected = (expected & ~KERNEL_PAGE) | (command_line_says("kpti=on") ? 0 : FAULT_PRESENT);
	return number == expected;
}

static void hostile_run(const struct hostile *hostile, cptr_t endpoint, cptr_t reply)
{
	struct worker worker = worker_new(own_space, hostile->entry, PRIORITY_MAX);
	struct registers r;
	uint64_t number;

	MUST(worker.thread, THREAD_BIND, BIND_FAULT, endpoint);
	worker_start(&worker);
	r = EXPECT_CALL(ERR_NONE, SYS_RECV,
	                ((struct registers){.cap = endpoint, .reply = reply, .deadline = soon()}));
	number = hostile->label == LABEL_EXCEPTION ? r.words[0] : r.words[1];
	check(hostile->label == 0
	              ? message_label(r.info) >= LABEL_KERNEL
	              : message_label(r.info) == hostile->label &&
	                        (as_expected(number, hostile->number) || as_expected(number, hostile->other)),
	      hostile->name, (unsigned)number, "arrives as the exception that it is");
	EXPECT_CALL(ERR_NONE, SYS_REPLY,
	            ((struct registers){.reply = reply, .info = MESSAGE_INFO(REPLY_STOP, 0)}));
	CHECK(MUST(worker.thread, THREAD_INFO, 0).words[1] == THREAD_STATE_STOPPED);
}

TEST(hostile_instructions, "every privileged or faulting instruction is a message to the fault handler")
{
	cptr_t endpoint = object_new(OBJECT_ENDPOINT, 0), reply = object_new(OBJECT_REPLY, 0);

	for (unsigned i = 0; i < sizeof(hostiles) / sizeof(hostiles[0]); i++)
		hostile_run(&hostiles[i], endpoint, reply);
}

TEST(foreign_registers, "a foreign system call is a message, and changes no register but rax, rcx and r11")
{
	cptr_t endpoint = object_new(OBJECT_ENDPOINT, 0), reply = object_new(OBJECT_REPLY, 0);
	struct worker worker = worker_new(own_space, foreign_checker, PRIORITY_MAX);
	const uint64_t secret = 0x1234567800000000;
	struct registers r = {.cap = endpoint, .reply = reply, .deadline = soon()};

	MUST(worker.thread, THREAD_SET_FOREIGN, 1);
	MUST(worker.thread, THREAD_BIND, BIND_SYSCALL, endpoint);
	worker_argument(&worker, secret);
	worker_start(&worker);
	r = EXPECT_CALL(ERR_NONE, SYS_RECV, r);
	for (unsigned i = 0; i < 100; i++) {
		CHECK(message_label(r.info) == LABEL_FOREIGN_SYSCALL && message_words(r.info) == 9);
		CHECK(r.words[0] == 0x77 && r.words[1] == secret + 1 && r.words[5] == secret + 5);
		CHECK(own_buffer->words[6] == secret + 6);
		if (message_label(r.info) != LABEL_FOREIGN_SYSCALL)
			break;
		r = EXPECT_CALL(ERR_NONE, SYS_REPLY_RECV,
		                ((struct registers){.cap = endpoint,
		                                    .reply = reply,
		                                    .info = MESSAGE_INFO(0, 1),
		                                    .words = {i},
		                                    .deadline = soon()}));
	}
	/* A reply with registers: it goes on where it is told, with all of them. */
	EXPECT(ERR_NONE, worker.thread, THREAD_READ_REGISTERS);
	for (unsigned i = THREAD_REGISTER_WORDS; i-- > 0;)
		own_buffer->words[MESSAGE_REGISTER_WORDS + i] = own_buffer->words[i];
	((struct thread_registers *)&own_buffer->words[MESSAGE_REGISTER_WORDS])->rip = (uint64_t)hostile_int3;
	((struct thread_registers *)&own_buffer->words[MESSAGE_REGISTER_WORDS])->rcx = 42;
	r = EXPECT_CALL(
	        ERR_NONE, SYS_REPLY_RECV,
	        ((struct registers){
	                .cap = endpoint,
	                .reply = reply,
	                .info = MESSAGE_INFO(REPLY_REGISTERS, MESSAGE_REGISTER_WORDS + THREAD_REGISTER_WORDS),
	                .deadline = soon()}));
	CHECK(message_label(r.info) == LABEL_EXCEPTION && r.words[0] == 3);
	EXPECT(ERR_NONE, worker.thread, THREAD_READ_REGISTERS);
	CHECK(((struct thread_registers *)own_buffer->words)->rcx == 42);
}

/* What a handler, which has no vector registers, does while a foreign thread that has some waits for it. */
enum meanwhile { NOTHING, READS, WRITES, LETS_OTHERS_RUN, TOUCHES_WHAT_IS_WATCHED, HAS_ITS_OWN, MEANWHILES };

#define CALLS 10

static struct {
	struct worker foreign, native, handler;
	cptr_t endpoint, reply;
	volatile uint64_t secret[2], other[2], watched;
	volatile bool done;
} vectors;

static void vectors_read(uint64_t *xmm0)
{
	CHECK(EXPECT(ERR_NONE, vectors.foreign.thread, THREAD_READ_VECTOR).words[0] != 0);
	CHECK(xmm0[0] == vectors.secret[0] && xmm0[15 * 2] == vectors.secret[0]);
}

static void vectors_write(uint64_t *xmm0)
{
	uint64_t size = EXPECT(ERR_NONE, vectors.foreign.thread, THREAD_READ_VECTOR).words[0];

	vectors.secret[0] += 0x100;
	xmm0[0] = xmm0[15 * 2] = vectors.secret[0];
	EXPECT(ERR_NONE, vectors.foreign.thread, THREAD_WRITE_VECTOR, size);
}

static void others_run(void)
{
	uint64_t until = vectors.other[1] + 3;

	worker_start(&vectors.native);
	while (vectors.other[1] < until)
		system_call(SYS_YIELD, &(struct registers){0});
	MUST(vectors.native.thread, THREAD_SUSPEND, 0);
}

/* Nobody is told. */
static void touch(bool watched)
{
	vectors.watched++;
	EXPECT(ERR_NONE, vectors.foreign.thread, THREAD_WRITE_DEBUG, (uint64_t)&vectors.watched, 0, 0, 0,
	       watched ? 1ul << 16 | 1 : 0);
}

static void own_vectors(bool first)
{
	uint64_t value;

	__asm__ volatile("movq %%xmm0, %0" : "=r"(value));
	CHECK(value == (first ? 0 : 0x5ec4e7));
	__asm__ volatile("movq %0, %%xmm0; movq %0, %%xmm15" : : "r"(0x5ec4e7ul));
}

static void handler(enum meanwhile meanwhile)
{
	uint64_t *xmm0 = (uint64_t *)(vectors.handler.buffer->data + 160);
	const struct registers next = {.cap = vectors.endpoint,
	                               .reply = vectors.reply,
	                               .info = MESSAGE_INFO(0, 1),
	                               .deadline = soon()};
	struct registers r = next;

	for (unsigned i = 0; i < CALLS; i++) {
		r = EXPECT_CALL(ERR_NONE, i ? SYS_REPLY_RECV : SYS_RECV, next);
		CHECK(message_label(r.info) == LABEL_FOREIGN_SYSCALL);
		if (meanwhile == READS)
			vectors_read(xmm0);
		else if (meanwhile == WRITES)
			vectors_write(xmm0);
		else if (meanwhile == LETS_OTHERS_RUN)
			others_run();
		else if (meanwhile == TOUCHES_WHAT_IS_WATCHED)
			touch(i < CALLS - 1);
		else if (meanwhile == HAS_ITS_OWN && i % 3 == 2)
			own_vectors(i == 2);
	}
	EXPECT_CALL(ERR_NONE, SYS_REPLY,
	            ((struct registers){.reply = vectors.reply, .info = MESSAGE_INFO(0, 1)}));
	vectors.done = true;
	for (;;)
		system_call(SYS_YIELD, &(struct registers){0});
}

static void handle(enum meanwhile meanwhile)
{
	vectors.handler = worker_new(own_space, (void (*)(void))handler, PRIORITY_MAX);
	worker_argument(&vectors.handler, meanwhile);
	vectors.done = false;
	worker_start(&vectors.handler);
	for (uint64_t deadline = soon(); !vectors.done && now() < deadline;)
		system_call(SYS_YIELD, &(struct registers){0});
	CHECK(vectors.done);
	MUST(vectors.handler.thread, THREAD_SUSPEND, 0);
}

TEST(foreign_vector, "a foreign thread's vector registers are its own, whatever its handler does meanwhile")
{
	vectors.endpoint = object_new(OBJECT_ENDPOINT, 0);
	vectors.reply = object_new(OBJECT_REPLY, 0);
	vectors.foreign = worker_new(own_space, foreign_vector_keeper, PRIORITY_MAX);
	vectors.native = worker_new(own_space, yielding_vector_keeper, PRIORITY_MAX);
	vectors.secret[0] = 0x1234567;
	vectors.other[0] = 0x7654321;
	vectors.secret[1] = vectors.other[1] = 0;
	MUST(vectors.foreign.thread, THREAD_SET_FOREIGN, 1);
	MUST(vectors.foreign.thread, THREAD_BIND, BIND_SYSCALL, vectors.endpoint);
	worker_argument(&vectors.foreign, (uint64_t)vectors.secret);
	worker_argument(&vectors.native, (uint64_t)vectors.other);
	worker_start(&vectors.foreign);
	for (unsigned i = 0; i < 2 * MEANWHILES; i++)
		handle(i % MEANWHILES);
	CHECK(vectors.secret[1] >= 2 * MEANWHILES * CALLS - 1);
}

#define CHECKERS 3

static bool all_above(const volatile uint64_t *values, uint64_t limit)
{
	for (unsigned i = 0; i < CHECKERS; i++)
		if (values[i] <= limit)
			return false;
	return true;
}

TEST(interrupted_registers,
     "threads that are interrupted anywhere keep their registers, vector registers and TLS")
{
	static volatile uint64_t rounds[CHECKERS];
	cptr_t endpoint = object_new(OBJECT_ENDPOINT, 0), context;
	struct worker workers[CHECKERS];

	for (unsigned i = 0; i < CHECKERS; i++) {
		struct thread_registers *registers = (struct thread_registers *)own_buffer->words;

		workers[i] = worker_new(own_space, interrupted_checker, PRIORITY_MAX - 1);
		rounds[i] = 0;
		EXPECT(ERR_NONE, workers[i].thread, THREAD_READ_REGISTERS);
		registers->rdi = 0x1111111111 * (i + 1);
		registers->rsi = (uint64_t)&rounds[i];
		EXPECT(ERR_NONE, workers[i].thread, THREAD_WRITE_REGISTERS);
		workers[i].buffer->words[20] = 0x1111111111 * (i + 1);
		MUST(workers[i].thread, THREAD_SET_TLS, (uint64_t)&workers[i].buffer->words[20]);
		MUST(workers[i].thread, THREAD_BIND, BIND_FAULT, endpoint);
		/* Slices of 5 ms: the kernel that checks its invariants spends a good part of them. */
		context = object_new(OBJECT_SCHED_CONTEXT, 0);
		MUST(INIT_SLOT_CPU_TIME, CPU_TIME_CONFIGURE, context, 5000000, 5000000);
		MUST(workers[i].thread, THREAD_BIND, BIND_SCHED_CONTEXT, context);
		worker_start(&workers[i]);
	}
	/* Nobody complains while they run, and all of them get on. */
	for (unsigned turn = 0; turn < 100 && !all_above(rounds, 20); turn++)
		EXPECT_CALL(ERR_TIMEOUT, SYS_RECV,
		            ((struct registers){.cap = endpoint, .deadline = now() + 20000000}));
	CHECK(all_above(rounds, 20));
	for (unsigned i = 0; i < CHECKERS; i++)
		MUST(workers[i].thread, THREAD_SUSPEND, 0);
}

TEST(vector_registers, "vector registers are read and written as XSAVE lays them out, and nothing leaks")
{
	static volatile uint64_t leak[2];
	cptr_t endpoint = object_new(OBJECT_ENDPOINT, 0);
	struct worker worker = worker_new(own_space, vector_reader, PRIORITY_MAX);
	struct thread_registers *registers = (struct thread_registers *)own_buffer->words;
	uint64_t *xmm0 = (uint64_t *)(own_buffer->data + 160), *header = (uint64_t *)(own_buffer->data + 512);
	uint64_t size;

	MUST(worker.thread, THREAD_BIND, BIND_FAULT, endpoint);
	EXPECT(ERR_NONE, worker.thread, THREAD_READ_REGISTERS);
	registers->rsi = (uint64_t)leak;
	EXPECT(ERR_NONE, worker.thread, THREAD_WRITE_REGISTERS);
	CHECK(EXPECT(ERR_NONE, worker.thread, THREAD_READ_VECTOR).words[0] == 0);
	leak[0] = 1;
	leak[1] = 0;
	__asm__ volatile("movq %0, %%xmm0; movq %0, %%xmm15" : : "r"(0x5ec4e7ul));
	worker_start(&worker);
	while (leak[1] == 0)
		system_call(SYS_YIELD, &(struct registers){0});
	CHECK(leak[0] == 0);
	MUST(worker.thread, THREAD_SUSPEND, 0);
	size = EXPECT(ERR_NONE, worker.thread, THREAD_READ_VECTOR).words[0];
	CHECK(size >= 512 && *(uint32_t *)(own_buffer->data + 24) == 0x1f80 && *xmm0 == 0);

	*xmm0 = 77;
	EXPECT(ERR_NONE, worker.thread, THREAD_WRITE_VECTOR, size);
	*xmm0 = 0;
	EXPECT(ERR_NONE, worker.thread, THREAD_READ_VECTOR);
	CHECK(*xmm0 == 77);
	EXPECT(ERR_ARGUMENT, worker.thread, THREAD_WRITE_VECTOR, size - 1);
	own_buffer->data[26] = 0xff; /* reserved bits of MXCSR */
	EXPECT(ERR_ARGUMENT, worker.thread, THREAD_WRITE_VECTOR, size);
	own_buffer->data[26] = 0;
	if (size > 512) {
		for (unsigned word = 0; word < 8; word++) {
			uint64_t good = header[word];

			header[word] = 1ul << 63;
			EXPECT(ERR_ARGUMENT, worker.thread, THREAD_WRITE_VECTOR, size);
			header[word] = good;
		}
	}
	EXPECT(ERR_NONE, worker.thread, THREAD_WRITE_VECTOR, 0);
	CHECK(EXPECT(ERR_NONE, worker.thread, THREAD_READ_VECTOR).words[0] == 0);
}
