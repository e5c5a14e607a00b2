/* SPDX-License-Identifier: MIT */
/* Threads: registers, faults, foreign system calls, scheduling. */
#include "test.h"

#define LOW 100

static volatile uint64_t counter, other_counter;

static void spin(void)
{
	for (;;)
		counter++;
}

static void spin_other(void)
{
	for (;;)
		other_counter++;
}

static void rest(void)
{
	worker_rest();
}

static void test_thread_errors(void)
{
	struct worker w = worker_new(0, rest, LOW);
	cptr_t endpoint = new_endpoint(), bare = object_new(OBJECT_THREAD, 0),
	       memory = object_new(OBJECT_MEMORY, 17);
	cptr_t time = derived(INIT_SLOT_CPU_TIME, FULL, 500, 10),
	       context = object_new(OBJECT_SCHED_CONTEXT, 0);

	EXPECT(op(w.thread, THREAD_BIND, THREAD_BINDING_COUNT, endpoint), ERR_ARGUMENT);
	EXPECT(op(w.thread, THREAD_BIND, BIND_CSPACE, endpoint), ERR_WRONG_TYPE);
	EXPECT(op(w.thread, THREAD_BIND, BIND_FAULT, derived(endpoint, RIGHT_READ, 0, 0)), ERR_RIGHTS);
	EXPECT(op(w.thread, THREAD_BIND, BIND_IPC_BUFFER, memory), ERR_ARGUMENT); /* more than 16 pages */
	EXPECT(op(w.thread, THREAD_BIND, BIND_IPC_BUFFER, slot_new()), ERR_NO_CAPABILITY);
	EXPECT(op(bare, THREAD_BIND, BIND_SCHED_CONTEXT, w.context), ERR_OCCUPIED);
	EXPECT(op(bare, THREAD_RESUME), ERR_STATE);
	EXPECT(op(w.thread, THREAD_SET_PRIORITY, endpoint, 1), ERR_WRONG_TYPE);
	EXPECT(op(w.thread, THREAD_SET_PRIORITY, time, 11), ERR_LIMIT);
	EXPECT(op(w.thread, THREAD_SET_PRIORITY, INIT_SLOT_CPU_TIME, 256), ERR_ARGUMENT);
	OK(op(w.thread, THREAD_SET_PRIORITY, time, 10));
	EXPECT(op(w.thread, THREAD_SET_FOREIGN, 2), ERR_ARGUMENT);
	EXPECT(op(w.thread, THREAD_POKE), ERR_STATE);
	EXPECT(op(w.thread, THREAD_SET_TLS, USER_END), ERR_RANGE);
	EXPECT(op(w.thread, THREAD_SET_TLS, 1ul << 63), ERR_RANGE);
	OK(op(w.thread, THREAD_SET_TLS, 0x1234));
	EXPECT(op(w.thread, THREAD_WRITE_VECTOR, 4000), ERR_RANGE);
	EXPECT(op(w.thread, THREAD_WRITE_VECTOR, 1), ERR_ARGUMENT);
	OK(op(w.thread, THREAD_WRITE_VECTOR, 0));
	own_buffer->words[0] = UINT64_MAX;
	EXPECT(op(w.thread, THREAD_WRITE_REGISTERS), ERR_RANGE);
	EXPECT(op(INIT_SLOT_CPU_TIME, CPU_TIME_CONFIGURE, endpoint, 100000, 100000), ERR_WRONG_TYPE);
	EXPECT(op(INIT_SLOT_CPU_TIME, CPU_TIME_CONFIGURE, context, 0, 0), ERR_ARGUMENT);
	EXPECT(op(INIT_SLOT_CPU_TIME, CPU_TIME_CONFIGURE, context, 200000, 100000), ERR_ARGUMENT);
	EXPECT(op(INIT_SLOT_CPU_TIME, CPU_TIME_CONFIGURE, context, 100000, UINT64_MAX), ERR_ARGUMENT);
	EXPECT(op(time, CPU_TIME_CONFIGURE, context, 60000, 100000), ERR_LIMIT);
	OK(op(time, CPU_TIME_CONFIGURE, context, 50000, 100000));
	OK(op(context, SCHED_CONTEXT_INFO));
	CHECK(last.words[0] == 0 && last.words[1] == 50000 && last.words[2] == 100000);
}

static void test_registers(void)
{
	struct worker w = worker_new(0, spin, LOW);
	struct thread_registers *registers = (struct thread_registers *)own_buffer->words;

	OK(op(w.thread, THREAD_SET_TLS, 0x5000));
	worker_start(&w);
	EXPECT(op(w.thread, THREAD_READ_REGISTERS), ERR_STATE);
	EXPECT(op(w.thread, THREAD_WRITE_REGISTERS), ERR_STATE);
	EXPECT(op(w.thread, THREAD_READ_VECTOR), ERR_STATE);
	EXPECT(op(w.thread, THREAD_WRITE_VECTOR, 0), ERR_STATE);
	EXPECT(op(w.thread, THREAD_SET_FOREIGN, 1), ERR_STATE);
	OK(op(w.thread, THREAD_INFO));
	CHECK(last.words[1] == THREAD_STATE_READY && last.words[2] == LOW);
	settle();
	OK(op(w.thread, THREAD_SUSPEND));
	CHECK(counter > 0);
	OK(op(w.thread, THREAD_READ_REGISTERS));
	CHECK(registers->fs_base == 0x5000 && registers->rip >= (uint64_t)spin &&
	      registers->rip < (uint64_t)spin + 64);
	CHECK(registers->rflags & 2);
	OK(op(w.thread, THREAD_INFO));
	CHECK(last.words[0] > 100000 && last.words[1] == THREAD_STATE_STOPPED);
	registers->rip = (uint64_t)spin_other;
	registers->rflags = UINT64_MAX; /* what user mode may not set is masked */
	OK(op(w.thread, THREAD_WRITE_REGISTERS));
	OK(op(w.thread, THREAD_READ_REGISTERS));
	CHECK(!(registers->rflags & 0x3000) && registers->rflags & 0x200);
	registers->rflags = 2;
	OK(op(w.thread, THREAD_WRITE_REGISTERS));
	OK(op(w.thread, THREAD_READ_VECTOR));
	counter = other_counter = 0;
	OK(op(w.thread, THREAD_RESUME));
	settle();
	OK(op(w.thread, THREAD_SUSPEND));
	CHECK(counter == 0 && other_counter > 0);
}

static volatile uint64_t touched;
static void toucher(void)
{
	touched = *(volatile uint64_t *)(AREA + 8);
	*(volatile uint64_t *)(AREA + 16) = 7;
	__asm__ volatile("ud2");
	touched = 99;
	worker_rest();
}

/* The rights of capabilities that are arguments. */
static void test_rights(void)
{
	cptr_t thread = object_new(OBJECT_THREAD, 0), context = object_new(OBJECT_SCHED_CONTEXT, 0),
	       endpoint = new_endpoint(), memory = object_new(OBJECT_MEMORY, 14),
	       vspace = object_new(OBJECT_VSPACE, 0);
	const struct {
		cptr_t cap;
		unsigned binding, too_few;
	} bindings[] = {
	        {object_new(OBJECT_CNODE, 8), BIND_CSPACE, RIGHT_READ | RIGHT_WRITE},
	        {vspace, BIND_VSPACE, RIGHT_READ | RIGHT_WRITE},
	        {endpoint, BIND_FAULT, RIGHT_READ | RIGHT_MANAGE},
	        {endpoint, BIND_SYSCALL, RIGHT_READ | RIGHT_MANAGE},
	        {memory, BIND_IPC_BUFFER, RIGHT_READ | RIGHT_MANAGE},
	        {memory, BIND_IPC_BUFFER, RIGHT_WRITE | RIGHT_MANAGE},
	        {new_notification(), BIND_NOTIFICATION, RIGHT_WRITE | RIGHT_MANAGE},
	        {context, BIND_SCHED_CONTEXT, RIGHT_READ | RIGHT_WRITE},
	};

	for (unsigned i = 0; i < sizeof(bindings) / sizeof(bindings[0]); i++)
		EXPECT(op(thread, THREAD_BIND, bindings[i].binding,
		          derived(bindings[i].cap, bindings[i].too_few, 0, 0)),
		       ERR_RIGHTS);
	EXPECT(op(thread, THREAD_SET_PRIORITY, derived(INIT_SLOT_CPU_TIME, RIGHT_READ | RIGHT_WRITE, 0, 0),
	          1),
	       ERR_RIGHTS);
	EXPECT(op(INIT_SLOT_CPU_TIME, CPU_TIME_CONFIGURE, derived(context, RIGHT_READ | RIGHT_WRITE, 0, 0),
	          5000000, 5000000),
	       ERR_RIGHTS);
	EXPECT(op(object_new(OBJECT_WINDOW, 0), WINDOW_BIND, memory,
	          derived(vspace, RIGHT_READ | RIGHT_WRITE, 0, 0), RIGHT_READ),
	       ERR_RIGHTS);
}

static void test_fault(void)
{
	cptr_t endpoint = new_endpoint(), reply = new_reply(), memory = object_new(OBJECT_MEMORY, 12),
	       window = object_new(OBJECT_WINDOW, 0);
	struct worker w = worker_new(0, toucher, LOW);

	touched = 1;
	OK(op(window, WINDOW_BIND, memory, INIT_SLOT_VSPACE, RIGHT_READ | RIGHT_WRITE));
	OK(op(w.thread, THREAD_BIND, BIND_FAULT, derived(endpoint, RIGHT_WRITE, 55, 0)));
	worker_start(&w);
	OK(send_(SYS_RECV, endpoint, 0, reply, now() + 100000000));
	CHECK(last.cap == 55 && last.info == MESSAGE_INFO(LABEL_PAGE_FAULT, 4));
	CHECK(last.words[0] == AREA + 8 && last.words[1] == FAULT_READ && last.words[2] >= (uint64_t)toucher);
	/* Without the right to map there is no mapping, and without one to a VSpace no answer. */
	last = (struct registers){
	        .cap = endpoint,
	        .info = MESSAGE_INFO(REPLY_MAP, 6),
	        .words = {0, derived(window, RIGHT_READ | RIGHT_WRITE, 0, 0), AREA, 0, 1, RIGHT_READ},
	        .reply = REPLY_PAIR(reply, 0),
	        .deadline = now() + 100000000};
	OK(sys(SYS_REPLY_RECV));
	CHECK(last.words[0] == AREA + 8 && last.words[1] == FAULT_READ);
	own_buffer->caps[0] = derived(INIT_SLOT_VSPACE, RIGHT_READ | RIGHT_WRITE, 0, 0);
	EXPECT(send_(SYS_REPLY, 0, MESSAGE_INFO_CAPS(REPLY_VSPACE, 0, 1, 0), reply, 0), ERR_WRONG_TYPE);
	/* The answer brings the page, read-only. */
	last = (struct registers){.cap = endpoint,
	                          .info = MESSAGE_INFO(REPLY_MAP, 6),
	                          .words = {0, window, AREA, 0, 1, RIGHT_READ},
	                          .reply = REPLY_PAIR(reply, 0),
	                          .deadline = now() + 100000000};
	OK(sys(SYS_REPLY_RECV));
	CHECK(last.words[0] == AREA + 16 && last.words[1] == (FAULT_WRITE | FAULT_PRESENT));
	CHECK(touched == 0);
	OK(op(window, WINDOW_PROTECT, AREA, 1, RIGHT_READ | RIGHT_WRITE));
	last = (struct registers){
	        .cap = endpoint, .reply = REPLY_PAIR(reply, 0), .deadline = now() + 100000000};
	OK(sys(SYS_REPLY_RECV));
	CHECK(last.info == MESSAGE_INFO(LABEL_EXCEPTION, 4) && last.words[0] == 6);
	/* Skip the instruction. */
	OK(op(w.thread, THREAD_READ_REGISTERS));
	for (unsigned i = THREAD_REGISTER_WORDS; i-- > 0;)
		own_buffer->words[6 + i] = own_buffer->words[i];
	own_buffer->words[6] += 2;
	EXPECT(send_(SYS_REPLY, 0, MESSAGE_INFO(REPLY_REGISTERS, 6), reply, 0), ERR_ARGUMENT);
	EXPECT(send_(SYS_REPLY, 0, MESSAGE_INFO(1 << 20, 0), reply, 0), ERR_ARGUMENT);
	EXPECT(send_(SYS_REPLY, 0, MESSAGE_INFO(REPLY_VSPACE, 0), reply, 0), ERR_ARGUMENT);
	OK(send_(SYS_REPLY, 0, MESSAGE_INFO(REPLY_REGISTERS, 26), reply, 0));
	settle();
	CHECK(touched == 99);
}

/* To the waiting fault of a thread that reads AREA + 8: its address comes again until the page is there. */
static unsigned answer_with_map(cptr_t endpoint, cptr_t reply, cptr_t window, uint64_t pages, uint64_t flags)
{
	last = (struct registers){.cap = endpoint,
	                          .info = MESSAGE_INFO(REPLY_MAP, 6),
	                          .words = {0, window, AREA, 0, pages, RIGHT_READ | RIGHT_WRITE | flags},
	                          .reply = REPLY_PAIR(reply, 0),
	                          .deadline = now() + 100000000};
	return sys(SYS_REPLY_RECV);
}

/* An answer maps up to 64 pages of either size; more is refused, and the answer is still to be given. */
static void check_reply_map(uint64_t pages, uint64_t flags, bool bounded)
{
	cptr_t endpoint = new_endpoint(), reply = new_reply(), window = object_new(OBJECT_WINDOW, 0),
	       memory = object_new(OBJECT_MEMORY, LARGE_PAGE_BITS);
	struct worker w = worker_new(0, toucher, LOW);

	touched = 1;
	OK(op(window, WINDOW_BIND, memory, INIT_SLOT_VSPACE, RIGHT_READ | RIGHT_WRITE));
	OK(op(w.thread, THREAD_BIND, BIND_FAULT, endpoint));
	worker_start(&w);
	OK(send_(SYS_RECV, endpoint, 0, reply, now() + 100000000));
	if (!bounded) {
		EXPECT(answer_with_map(endpoint, reply, window, pages, flags), ERR_RANGE);
		EXPECT(sys(SYS_REPLY), ERR_RANGE);
	} else if (pages > 512) { /* than the Memory has */
		OK(answer_with_map(endpoint, reply, window, pages, flags));
		CHECK(last.info == MESSAGE_INFO(LABEL_PAGE_FAULT, 4) && last.words[0] == AREA + 8);
	}
	if (!bounded || pages > 512)
		pages = 1, flags = 0;
	/* The next message is of the undefined instruction behind the access. */
	OK(answer_with_map(endpoint, reply, window, pages, flags));
	CHECK(message_label(last.info) == LABEL_EXCEPTION && touched == 0);
	test_restart();
}

static void test_reply_map(void)
{
	check_reply_map(1, 0, true);
	check_reply_map(REPLY_MAP_PAGES, 0, true);
	check_reply_map(REPLY_MAP_PAGES + 1, 0, false);
	check_reply_map(512, 0, false);
	check_reply_map(512, MAP_LARGE, true);
	check_reply_map(REPLY_MAP_PAGES * 512ul, MAP_LARGE, true);
	check_reply_map((REPLY_MAP_PAGES + 1) * 512ul, MAP_LARGE, false);
	check_reply_map(UINT64_MAX, MAP_LARGE, false);
}

static void test_fault_without_handler(void)
{
	struct worker w = worker_new(0, toucher, LOW);

	worker_start(&w);
	settle();
	OK(op(w.thread, THREAD_INFO));
	CHECK(last.words[1] == THREAD_STATE_STOPPED);
	OK(op(w.thread, THREAD_RESUME)); /* faults again */
	settle();
	OK(op(w.thread, THREAD_INFO));
	CHECK(last.words[1] == THREAD_STATE_STOPPED);
}

static volatile uint64_t foreign_result;
static uint64_t foreign_call(uint64_t number, uint64_t a, uint64_t b)
{
	register uint64_t r10 __asm__("r10") = 3;
	register uint64_t r8 __asm__("r8") = 4;
	register uint64_t r9 __asm__("r9") = 5;

	__asm__ volatile("movq %%rbp, -136(%%rsp); syscall; movq -136(%%rsp), %%rbp"
	                 : "+a"(number)
	                 : "D"(a), "S"(b), "d"(2), "r"(r10), "r"(r8), "r"(r9)
	                 : "rcx", "r11", "memory");
	return number;
}

static void foreigner(void)
{
	for (uint64_t i = 0;; i++)
		foreign_result = foreign_call(1000 + i, 0, 1);
}

static void foreign_spinner(void)
{
	for (;;)
		counter += 2; /* not the same code as spin(), or the compiler makes one function of both */
}

static struct worker foreign_new(void (*entry)(void), cptr_t endpoint)
{
	struct worker w = worker_new(0, entry, LOW);

	OK(op(w.thread, THREAD_BIND, BIND_CSPACE, CPTR_NULL));
	OK(op(w.thread, THREAD_SET_FOREIGN, 1));
	OK(op(w.thread, THREAD_BIND, BIND_SYSCALL, derived(endpoint, RIGHT_WRITE, 66, 0)));
	worker_start(&w);
	return w;
}

static void test_foreign(void)
{
	cptr_t endpoint = new_endpoint(), reply = new_reply(), second = new_reply();
	struct worker w = foreign_new(foreigner, endpoint);

	OK(send_(SYS_RECV, endpoint, 0, reply, now() + 100000000));
	CHECK(last.cap == 66 && last.info == MESSAGE_INFO(LABEL_FOREIGN_SYSCALL, 9));
	CHECK(last.words[0] == 1000 && last.words[1] == 0 && last.words[2] == 1 && last.words[5] == 4);
	CHECK(own_buffer->words[6] == 5 && own_buffer->words[7] > (uint64_t)foreigner);
	last = (struct registers){.cap = endpoint,
	                          .info = MESSAGE_INFO(0, 1),
	                          .words = {4321},
	                          .reply = REPLY_PAIR(reply, 0),
	                          .deadline = now() + 100000000};
	OK(sys(SYS_REPLY_RECV));
	CHECK(last.words[0] == 1001 && foreign_result == 4321);
	/* A pending poke is told at the return to user mode; one that the answer consumes is not. */
	OK(op(w.thread, THREAD_POKE));
	last = (struct registers){.cap = endpoint,
	                          .info = MESSAGE_INFO(REPLY_CONSUME_POKE, 1),
	                          .words = {1},
	                          .reply = REPLY_PAIR(reply, 0),
	                          .deadline = now() + 100000000};
	OK(sys(SYS_REPLY_RECV));
	CHECK(last.words[0] == 1002);
	OK(op(w.thread, THREAD_POKE));
	last = (struct registers){.cap = endpoint,
	                          .info = MESSAGE_INFO(0, 1),
	                          .words = {2},
	                          .reply = REPLY_PAIR(reply, 0),
	                          .deadline = now() + 100000000};
	OK(sys(SYS_REPLY_RECV));
	CHECK(last.info == MESSAGE_INFO(LABEL_INTERRUPTED, 2));
	last = (struct registers){
	        .cap = endpoint, .reply = REPLY_PAIR(reply, second), .deadline = now() + 100000000};
	OK(sys(SYS_REPLY_RECV));
	CHECK(last.words[0] == 1003 && foreign_result == 2);
	/* The handler dies: it stays stopped, and makes the same call again when it is resumed. */
	OK(op(INIT_SLOT_CNODE, CNODE_DELETE, second));
	OK(op(w.thread, THREAD_INFO));
	CHECK(last.words[1] == THREAD_STATE_STOPPED);
	OK(op(w.thread, THREAD_RESUME));
	OK(send_(SYS_RECV, endpoint, 0, reply, now() + 100000000));
	CHECK(last.words[0] == 1003);
	OK(send_(SYS_REPLY, 0, MESSAGE_INFO(REPLY_STOP, 1), reply, 0));
	OK(op(w.thread, THREAD_INFO));
	CHECK(last.words[1] == THREAD_STATE_STOPPED);
}

/* The answer to a call that was parked: whichever of the two has the higher priority goes on. */
static void test_foreign_priority(void)
{
	cptr_t endpoint = new_endpoint(), reply = new_reply(), other = new_reply();

	foreign_new(foreigner, endpoint);
	foreign_result = 0;
	for (uint64_t own = LOW + 1; own >= LOW - 1; own -= 2) {
		OK(send_(SYS_RECV, endpoint, 0, reply, now() + 100000000));
		EXPECT(send_(SYS_RECV, endpoint, 0, other, DEADLINE_POLL), ERR_TIMEOUT);
		OK(op(INIT_SLOT_THREAD, THREAD_SET_PRIORITY, INIT_SLOT_CPU_TIME, own));
		last = (struct registers){.info = MESSAGE_INFO(0, 1), .words = {own}, .reply = reply};
		OK(sys(SYS_REPLY));
		CHECK((foreign_result == own) == (own < LOW));
		OK(op(INIT_SLOT_THREAD, THREAD_SET_PRIORITY, INIT_SLOT_CPU_TIME, PRIORITY_MAX));
	}
}

static void test_poke_running(void)
{
	cptr_t endpoint = new_endpoint(), reply = new_reply();
	struct worker w = foreign_new(foreign_spinner, endpoint);

	counter = 0;
	settle();
	CHECK(counter > 0);
	OK(op(w.thread, THREAD_POKE));
	OK(send_(SYS_RECV, endpoint, 0, reply, now() + 100000000));
	CHECK(last.info == MESSAGE_INFO(LABEL_INTERRUPTED, 2));
	CHECK(last.words[0] >= (uint64_t)foreign_spinner && last.words[0] < (uint64_t)foreign_spinner + 64);
	OK(send_(SYS_REPLY, 0, 0, reply, 0));
	EXPECT(send_(SYS_RECV, endpoint, 0, reply, now() + 1000000), ERR_TIMEOUT);
}

static void trapper(void)
{
	touched = 0;
	__asm__ volatile("int3");
	touched = 1;
	worker_rest();
}

/* Ways in which nobody answers what the kernel says of a thread. */
enum { UNHEARD_AND_SUSPENDED, HEARD_AND_SUSPENDED, HANDLER_DIED, ENDPOINT_CLOSED, WAYS };

/* The thread was poked, or runs into a trap; it has time only when the test waits. */
static void leave_unanswered(cptr_t thread, cptr_t endpoint, unsigned way)
{
	cptr_t reply = new_reply();

	if (way == ENDPOINT_CLOSED)
		OK(op(endpoint, ENDPOINT_CLOSE));
	if (way == HEARD_AND_SUSPENDED || way == HANDLER_DIED)
		OK(send_(SYS_RECV, endpoint, 0, reply, now() + 100000000));
	else
		settle();
	if (way == HANDLER_DIED)
		OK(op(INIT_SLOT_CNODE, CNODE_DELETE, reply));
	else if (way != ENDPOINT_CLOSED)
		OK(op(thread, THREAD_SUSPEND));
	OK(op(thread, THREAD_INFO));
	CHECK(last.words[1] == THREAD_STATE_STOPPED);
	if (way == ENDPOINT_CLOSED)
		OK(op(endpoint, ENDPOINT_OPEN));
}

static void test_poke_unanswered(void)
{
	cptr_t endpoint = new_endpoint(), reply = new_reply();

	for (unsigned way = 0; way < WAYS; way++) {
		struct worker w = foreign_new(foreign_spinner, endpoint);

		settle();
		OK(op(w.thread, THREAD_POKE));
		leave_unanswered(w.thread, endpoint, way);
		OK(op(w.thread, THREAD_RESUME));
		OK(send_(SYS_RECV, endpoint, 0, reply, now() + 100000000));
		CHECK(last.info == MESSAGE_INFO(LABEL_INTERRUPTED, 2));
		OK(send_(SYS_REPLY, 0, 0, reply, 0));
		EXPECT(send_(SYS_RECV, endpoint, 0, reply, now() + 1000000), ERR_TIMEOUT);
		OK(op(w.thread, THREAD_SUSPEND));
	}
}

static void test_trap_unanswered(void)
{
	cptr_t endpoint = new_endpoint(), reply = new_reply();

	for (unsigned way = 0; way < WAYS; way++) {
		struct worker w = worker_new(0, trapper, LOW);

		OK(op(w.thread, THREAD_BIND, BIND_FAULT, derived(endpoint, RIGHT_WRITE, 66, 0)));
		worker_start(&w);
		leave_unanswered(w.thread, endpoint, way);
		OK(op(w.thread, THREAD_RESUME));
		OK(send_(SYS_RECV, endpoint, 0, reply, now() + 100000000));
		CHECK(last.info == MESSAGE_INFO(LABEL_EXCEPTION, 4) && last.words[0] == 3 && touched == 0);
		OK(send_(SYS_REPLY, 0, 0, reply, 0));
		settle();
		CHECK(touched == 1);
		OK(op(w.thread, THREAD_SUSPEND));
	}
}

/* Who gets registers begins anew: nothing is told again. */
static void test_trap_forgotten(void)
{
	cptr_t endpoint = new_endpoint();

	for (unsigned way = 0; way < WAYS; way++) {
		struct worker w = worker_new(0, trapper, LOW);

		OK(op(w.thread, THREAD_BIND, BIND_FAULT, derived(endpoint, RIGHT_WRITE, 66, 0)));
		worker_start(&w);
		leave_unanswered(w.thread, endpoint, way);
		OK(op(w.thread, THREAD_READ_REGISTERS));
		OK(op(w.thread, THREAD_WRITE_REGISTERS));
		OK(op(w.thread, THREAD_RESUME));
		settle();
		CHECK(touched == 1);
		OK(op(w.thread, THREAD_SUSPEND));
	}
}

static void test_suspend(void)
{
	struct worker w = worker_new(0, rest, LOW);

	worker_start(&w);
	settle();
	OK(op(w.thread, THREAD_INFO));
	CHECK(last.words[1] == THREAD_STATE_BLOCKED_WAIT);
	OK(op(w.thread, THREAD_SUSPEND));
	OK(op(w.thread, THREAD_READ_REGISTERS));
	CHECK(((struct thread_registers *)own_buffer->words)->rax == ERR_CANCELED);
	OK(op(w.thread, THREAD_SUSPEND)); /* again: no change */
	OK(op(w.thread, THREAD_RESUME));
	settle();
	OK(op(w.thread, THREAD_INFO));
	CHECK(last.words[1] == THREAD_STATE_BLOCKED_WAIT);
	OK(op(w.thread, THREAD_BIND, BIND_CSPACE, CPTR_NULL)); /* a thread without CSpace stops */
	OK(op(w.thread, THREAD_INFO));
	CHECK(last.words[1] == THREAD_STATE_STOPPED);
}

static void wait_until(deadline_t deadline)
{
	cptr_t nothing = new_notification();

	EXPECT(send_(SYS_WAIT, nothing, 0, 0, deadline), ERR_TIMEOUT);
}

/* System calls and interrupts with the flags that user mode can set: NT, AC and DF. */
static void flag_setter(void)
{
	for (;;) {
		struct registers r = {0};

		__asm__ volatile("pushfq; orq $0x44400, (%%rsp); popfq" : : : "memory", "cc");
		system_call(SYS_YIELD, &r);
		__asm__ volatile("pushfq; orq $0x44000, (%%rsp); popfq" : : : "memory", "cc");
		for (volatile unsigned i = 0; i < 100000; i++)
			;
		__asm__ volatile("cld");
		touched++;
	}
}

static void yielder(void)
{
	for (;;) {
		struct registers r = {0};

		system_call(SYS_YIELD, &r);
		other_counter++;
	}
}

/* The kernel enters and leaves without them, or the next iret would fault. */
static void test_flags(void)
{
	struct worker a = worker_new(0, flag_setter, LOW), b = worker_new(1, spin, LOW),
	              c = worker_new(2, yielder, LOW);

	touched = counter = other_counter = 0;
	worker_start(&a);
	worker_start(&b);
	worker_start(&c);
	WAIT_FOR(touched > 2 && counter && other_counter);
}

/* ---- who comes first when the ways are short: each leaves its letter ---- */

static char trail[8];
static volatile cptr_t order_endpoint, order_reply, order_signal;

static void leave(char letter)
{
	for (unsigned i = 0; i < sizeof(trail) - 1; i++)
		if (!trail[i]) {
			trail[i] = letter;
			return;
		}
}

static bool trail_is(const char *letters)
{
	unsigned i = 0;

	while (trail[i] && trail[i] == letters[i])
		i++;
	return trail[i] == letters[i];
}

static void order_begin(void)
{
	for (unsigned i = 0; i < sizeof(trail); i++)
		trail[i] = 0;
	order_endpoint = new_endpoint();
	order_reply = new_reply();
	order_signal = derived(new_notification(), FULL, 1, 0);
}

static _Noreturn void call_and_leave(unsigned call, cptr_t capability, char letter)
{
	struct registers registers = {.cap = capability, .deadline = DEADLINE_NEVER};

	system_call(call, &registers);
	leave(letter);
	worker_rest();
}

static void signaler(void)
{
	call_and_leave(SYS_SIGNAL, order_signal, 's');
}

static void waiter(void)
{
	call_and_leave(SYS_WAIT, order_signal, 'w');
}

static void asker(void)
{
	call_and_leave(SYS_CALL, order_endpoint, 'c');
}

static void answerer(void)
{
	struct registers call = {.cap = order_endpoint, .reply = order_reply, .deadline = DEADLINE_NEVER};
	struct registers registers = {.cap = order_signal};

	system_call(SYS_RECV, &call);
	system_call(SYS_SIGNAL, &registers);
	leave('a');
	call = (struct registers){
	        .cap = order_endpoint, .reply = REPLY_PAIR(order_reply, 0), .deadline = DEADLINE_NEVER};
	system_call(SYS_REPLY_RECV, &call);
	worker_rest();
}

/* Who signals somebody of higher priority does not go on before him. */
static void test_signal_order(void)
{
	for (unsigned higher = 0; higher < 2; higher++) {
		struct worker w, s;

		order_begin();
		w = worker_new(0, waiter, higher ? LOW + 1 : LOW - 1);
		s = worker_new(1, signaler, LOW);
		worker_start(&w);
		settle();
		worker_start(&s);
		settle();
		CHECK(trail_is(higher ? "ws" : "sw"));
	}
}

/* Who is answered does not go on before one of higher priority who was waked meanwhile. */
static void test_answer_order(void)
{
	for (unsigned higher = 0; higher < 2; higher++) {
		struct worker a, w, c;

		order_begin();
		a = worker_new(0, answerer, LOW + 10);
		w = worker_new(1, waiter, higher ? LOW + 1 : LOW - 1);
		c = worker_new(2, asker, LOW);
		worker_start(&a);
		worker_start(&w);
		settle();
		worker_start(&c);
		settle();
		CHECK(trail_is(higher ? "awc" : "acw"));
	}
}

static void test_round_robin(void)
{
	struct worker a = worker_new(0, spin, LOW), b = worker_new(1, spin_other, LOW);
	uint64_t time_a, time_b;

	OK(op(INIT_SLOT_CPU_TIME, CPU_TIME_CONFIGURE, a.context, 1000000, 1000000));
	OK(op(INIT_SLOT_CPU_TIME, CPU_TIME_CONFIGURE, b.context, 1000000, 1000000));
	worker_start(&a);
	worker_start(&b);
	wait_until(now() + 40000000);
	OK(op(a.thread, THREAD_INFO));
	time_a = last.words[0];
	OK(op(b.thread, THREAD_INFO));
	time_b = last.words[0];
	CHECK(time_a > 10000000 && time_b > 10000000);
}

static void test_budget(void)
{
	struct worker a = worker_new(0, spin, LOW), b = worker_new(1, spin_other, LOW - 1);
	uint64_t time_a;

	/* a may use a quarter, though it has the higher priority. */
	OK(op(INIT_SLOT_CPU_TIME, CPU_TIME_CONFIGURE, a.context, 1000000, 4000000));
	worker_start(&a);
	worker_start(&b);
	wait_until(now() + 80000000);
	OK(op(a.thread, THREAD_INFO));
	time_a = last.words[0];
	CHECK(time_a > 5000000 && time_a < 40000000);
	OK(op(b.thread, THREAD_INFO));
	CHECK(last.words[0] > 20000000);
	OK(op(a.context, SCHED_CONTEXT_INFO));
	CHECK(last.words[0] >= time_a);
}

static volatile cptr_t renewed_time, renewed_context;

/* Has its context configured again and again, always with the same values. */
static void renewer(void)
{
	for (;;) {
		struct registers r = {.cap = renewed_time,
		                      .info = CPU_TIME_CONFIGURE,
		                      .words = {renewed_context, 1000000, 10000000}};
		deadline_t next = now() + 200000;

		while (now() < next)
			;
		other_counter = system_call(SYS_INVOKE, &r);
	}
}

static void test_renewed(void)
{
	struct worker high = worker_new(0, renewer, LOW), low = worker_new(1, spin, LOW - 1);
	uint64_t from = now();

	renewed_time = derived(INIT_SLOT_CPU_TIME, FULL, 100, LOW);
	renewed_context = high.context;
	OK(op(renewed_time, CPU_TIME_CONFIGURE, high.context, 1000000, 10000000));
	counter = 0;
	worker_start(&high);
	worker_start(&low);
	wait_until(from + 100000000);
	CHECK(other_counter == ERR_NONE && counter > 0);
	OK(op(high.context, SCHED_CONTEXT_INFO));
	CHECK(last.words[0] > 5000000 && last.words[0] < 15000000);
	/* Shares are rounded up: two thirds are more than 666 thousandths. */
	renewed_time = derived(INIT_SLOT_CPU_TIME, FULL, 666, LOW);
	OK(op(renewed_time, CPU_TIME_CONFIGURE, high.context, 1000000, 3000000));
	EXPECT(op(renewed_time, CPU_TIME_CONFIGURE, low.context, 1000000, 3000000), ERR_LIMIT);
}

/* A small budget that is full becomes a large one, and what was used of that a plain slice, and forgotten. */
static void test_laundered(void)
{
	struct worker worker = worker_new(0, spin, LOW);
	cptr_t time = derived(INIT_SLOT_CPU_TIME, FULL, 100, LOW);
	uint64_t from = now();

	OK(op(time, CPU_TIME_CONFIGURE, worker.context, 10000, 100000));
	for (unsigned i = 0; i < 4; i++) {
		wait_until(now() + 250000);
		OK(op(time, CPU_TIME_CONFIGURE, worker.context, 50000000, 500000000));
		OK(op(worker.thread, THREAD_RESUME));
		wait_until(now() + 50000000);
		OK(op(worker.thread, THREAD_SUSPEND));
		OK(op(time, CPU_TIME_CONFIGURE, worker.context, 10000000, 10000000));
		OK(op(time, CPU_TIME_CONFIGURE, worker.context, 10000, 100000));
	}
	OK(op(worker.context, SCHED_CONTEXT_INFO));
	CHECK(last.words[0] > 0 && last.words[0] * 10 <= now() - from);
}

static void test_priority(void)
{
	struct worker a = worker_new(0, spin, LOW), b = worker_new(1, spin_other, LOW + 1);

	counter = other_counter = 0;
	worker_start(&a);
	worker_start(&b);
	settle();
	CHECK(counter == 0 && other_counter > 0);
	OK(op(a.thread, THREAD_SET_PRIORITY, INIT_SLOT_CPU_TIME, LOW + 2));
	settle();
	CHECK(counter > 0);
	OK(op(a.thread, THREAD_BIND, BIND_SCHED_CONTEXT, CPTR_NULL));
	counter = 0;
	settle();
	CHECK(counter == 0); /* no scheduling context, no time */
}

const struct test tests_threads[] = {
        {"thread.errors", "impossible bindings, priorities and budgets are refused", test_thread_errors},
        {"thread.registers", "registers are read and written, only while it does not run", test_registers},
        {"thread.rights", "what is bound or configured needs its rights", test_rights},
        {"thread.fault", "a page fault is answered with a mapping, an exception with registers", test_fault},
        {"thread.reply-map", "an answer maps up to 64 pages of either size, more is refused", test_reply_map},
        {"thread.no-handler", "a fault without handler stops the thread", test_fault_without_handler},
        {"thread.foreign", "foreign system calls, and pokes between them", test_foreign},
        {"thread.foreign-priority", "a parked foreign call is answered: the higher priority goes on",
         test_foreign_priority},
        {"thread.poke", "a poke reaches a thread that runs", test_poke_running},
        {"thread.poke-unanswered", "a poke that nobody answered is told again", test_poke_unanswered},
        {"thread.trap-unanswered", "so is a trap, which would not come again by itself",
         test_trap_unanswered},
        {"thread.trap-forgotten", "but not if the thread has got other registers", test_trap_forgotten},
        {"thread.suspend", "suspending cancels a wait", test_suspend},
        {"thread.flags", "a thread that sets NT, AC and DF harms nobody", test_flags},
        {"sched.signal-order", "a signal wakes a higher thread at once, and a lower one later",
         test_signal_order},
        {"sched.answer-order", "an answer does not come before a thread that is higher than who gets it",
         test_answer_order},
        {"sched.round-robin", "equals take turns", test_round_robin},
        {"sched.budget", "a budget limits a thread of higher priority", test_budget},
        {"sched.renewed", "a budget that is configured again and again is not renewed", test_renewed},
        {"sched.laundered", "nor does it grow by way of other budgets and plain slices", test_laundered},
        {"sched.priority", "the higher priority runs", test_priority},
        {0},
};
