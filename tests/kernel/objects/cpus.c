/* SPDX-License-Identifier: MIT */
/* Several CPUs: everything that can be asked of an object, asked from another CPU than its home. */
#include "test.h"

#define LOW           100
#define ROUNDS        100
#define VECTOR_ROUNDS 50000

static struct {
	volatile cptr_t endpoint, reply, notification, other, victim;
	volatile uint64_t status[WORKERS], count[WORKERS], value;
	volatile bool stop;
} shared;

/* CPU n, or one of those that there are. */
static unsigned cpu(unsigned n)
{
	return n % (unsigned)boot->cpu_count;
}

static void begin(void)
{
	shared.endpoint = shared.reply = shared.notification = shared.other = shared.victim = 0;
	shared.value = 0;
	shared.stop = false;
	for (unsigned i = 0; i < WORKERS; i++) {
		shared.status[i] = 0xdead;
		shared.count[i] = 0;
	}
}

static uint64_t state_of(cptr_t thread)
{
	OK(op(thread, THREAD_INFO));
	return last.words[1];
}

/* ---- workers ---- */

/* Receives, adds one to the first word, answers, for ever. */
static void server(void)
{
	struct registers r = {.cap = shared.endpoint, .reply = shared.reply, .deadline = DEADLINE_NEVER};
	uint64_t status = system_call(SYS_RECV, &r);

	while (status == ERR_NONE) {
		shared.count[3]++;
		r = (struct registers){.cap = shared.endpoint,
		                       .info = MESSAGE_INFO(0, 1),
		                       .words = {r.words[0] + 1},
		                       .reply = REPLY_PAIR(shared.reply, 0),
		                       .deadline = DEADLINE_NEVER};
		status = system_call(SYS_REPLY_RECV, &r);
	}
	shared.status[3] = status;
	worker_rest();
}

static void call_on(unsigned number)
{
	while (!shared.stop) {
		struct registers r = {.cap = shared.endpoint,
		                      .info = MESSAGE_INFO(1, 1),
		                      .words = {shared.count[number]},
		                      .deadline = DEADLINE_NEVER};

		shared.status[number] = system_call(SYS_CALL, &r);
		if (shared.status[number] != ERR_NONE || r.words[0] != shared.count[number] + 1)
			break;
		shared.count[number]++;
	}
	worker_rest();
}

static void caller_0(void)
{
	call_on(0);
}

static void caller_1(void)
{
	call_on(1);
}

static void caller_2(void)
{
	call_on(2);
}

/* Hands back every signal. */
static void echo(void)
{
	for (;;) {
		struct registers r = {.cap = shared.notification, .deadline = DEADLINE_NEVER};

		shared.status[4] = system_call(SYS_WAIT, &r);
		shared.count[4] += r.cap;
		r = (struct registers){.cap = shared.other};
		system_call(SYS_SIGNAL, &r);
	}
}

/* Receives once and keeps the caller. */
static void holder(void)
{
	struct registers r = {.cap = shared.endpoint, .reply = shared.reply, .deadline = DEADLINE_NEVER};

	shared.status[5] = system_call(SYS_RECV, &r);
	worker_rest();
}

static void spin_1(void)
{
	for (;;)
		shared.count[1]++;
}

static void spin(void)
{
	for (;;)
		shared.count[0]++;
}

static void read_area(void)
{
	for (;;) {
		shared.value = *(volatile uint64_t *)AREA;
		shared.count[0]++;
	}
}

static void write_area(void)
{
	for (;;) {
		(*(volatile uint64_t *)AREA)++;
		shared.count[0]++;
	}
}

static struct worker server_start(unsigned on)
{
	struct worker worker;

	shared.endpoint = object_new_on(on, OBJECT_ENDPOINT);
	shared.reply = object_new_on(on, OBJECT_REPLY);
	worker = worker_new_on(on, 3, server, LOW);
	worker_start(&worker);
	return worker;
}

/* ---- homes ---- */

static void test_homes(void)
{
	cptr_t untyped = object_new(OBJECT_UNTYPED, 13), slot = slot_new();
	cptr_t endpoint = object_new_on(1, OBJECT_ENDPOINT), reply = object_new_on(1, OBJECT_REPLY),
	       notification = object_new_on(1, OBJECT_NOTIFICATION),
	       context = object_new_on(1, OBJECT_SCHED_CONTEXT), thread = object_new_on(0, OBJECT_THREAD);

	EXPECT(op(untyped, UNTYPED_RETYPE, OBJECT_ENDPOINT | boot->cpu_count << 16, 1, CPTR_NULL, slot),
	       ERR_RANGE);
	EXPECT(op(untyped, UNTYPED_RETYPE, OBJECT_WINDOW | 1ul << 16, 1, CPTR_NULL, slot), ERR_ARGUMENT);
	EXPECT(op(INIT_SLOT_CPU_TIME, CPU_TIME_CONFIGURE, context, 5000000, 5000000), ERR_REMOTE);
	OK(op(INIT_SLOT_CPU_TIME + 1, CPU_TIME_CONFIGURE, context, 5000000, 5000000));
	EXPECT(op(thread, THREAD_BIND, BIND_SCHED_CONTEXT, context), ERR_REMOTE);
	EXPECT(op(thread, THREAD_SET_PRIORITY, INIT_SLOT_CPU_TIME + 1, 1), ERR_REMOTE);
	EXPECT(op(thread, THREAD_BIND, BIND_NOTIFICATION, notification), ERR_REMOTE);
	EXPECT(send_(SYS_RECV, endpoint, 0, 0, DEADLINE_POLL), ERR_REMOTE);
	EXPECT(send_(SYS_WAIT, notification, 0, 0, DEADLINE_POLL), ERR_REMOTE);
	endpoint = object_new_on(0, OBJECT_ENDPOINT);
	EXPECT(send_(SYS_RECV, endpoint, 0, reply, DEADLINE_POLL), ERR_REMOTE);
	OK(op(object_new_on(1, OBJECT_THREAD), THREAD_INFO));
	CHECK(last.words[3] == 1);
}

/* ---- registers ---- */

static void sets_bases(void)
{
	__asm__ volatile("wrfsbase %0; wrgsbase %0" : : "r"(shared.value));
	for (;;)
		shared.count[0]++;
}

/* The CPU has what user mode gave them last, while it idles and a stranger asks. */
static void test_bases(void)
{
	const struct thread_registers *registers = (struct thread_registers *)own_buffer->words;
	struct worker worker;

	begin();
	shared.value = 0x123456789000;
	worker = worker_new_on(1, 0, sets_bases, LOW);
	worker_start(&worker);
	WAIT_FOR(shared.count[0] > 0);
	OK(op(worker.thread, THREAD_SUSPEND));
	OK(op(worker.thread, THREAD_READ_REGISTERS));
	CHECK(registers->fs_base == shared.value && registers->gs_base == shared.value);
}

/* ---- messages ---- */

static void test_call(void)
{
	struct worker worker;
	cptr_t badged;

	begin();
	worker = server_start(1);
	badged = derived(shared.endpoint, RIGHT_WRITE, 77, 0);
	for (unsigned i = 0; i < ROUNDS; i++) {
		last = (struct registers){.cap = i % 2 ? shared.endpoint : badged,
		                          .info = MESSAGE_INFO(1, 1),
		                          .words = {i},
		                          .deadline = DEADLINE_NEVER};
		OK(sys(SYS_CALL));
		CHECK(last.words[0] == i + 1);
	}
	CHECK(shared.count[3] == ROUNDS);
	OK(op(worker.thread, THREAD_INFO));
	CHECK(last.words[3] == 1);
}

static void test_callers(void)
{
	void (*const entries[])(void) = {caller_0, caller_1, caller_2};
	struct worker workers[3];

	begin();
	server_start(0);
	for (unsigned i = 0; i < 3; i++) {
		workers[i] = worker_new_on(cpu(i + 1), i, entries[i], LOW);
		worker_start(&workers[i]);
	}
	for (unsigned i = 0; i < 3; i++)
		WAIT_FOR(shared.count[i] >= ROUNDS);
	shared.stop = true;
	for (unsigned i = 0; i < 3; i++) {
		WAIT_FOR(state_of(workers[i].thread) == THREAD_STATE_BLOCKED_WAIT);
		OK(shared.status[i]);
	}
}

/* 64 words and a capability each way. */
static void test_long_message(void)
{
	cptr_t endpoint, reply = object_new_on(0, OBJECT_REPLY), given, got = slot_new();
	struct worker worker;

	begin();
	shared.endpoint = endpoint = object_new_on(0, OBJECT_ENDPOINT);
	worker = worker_new_on(1, 0, caller_0, LOW);
	given = derived(object_new_on(1, OBJECT_NOTIFICATION), FULL, 5, 0);
	worker_start(&worker);
	OK(send_(SYS_RECV, endpoint, 0, reply, now() + 1000000000));
	for (unsigned i = 0; i < MESSAGE_WORDS; i++)
		own_buffer->words[i] = 1000 + i;
	own_buffer->caps[0] = given;
	worker.buffer->receive_slots[0] = got;
	last = (struct registers){
	        .info = MESSAGE_INFO_CAPS(0, MESSAGE_WORDS, 1, 0), .words = {1}, .reply = reply};
	OK(sys(SYS_REPLY));
	WAIT_FOR(shared.count[0] == 1);
	CHECK(present(got) && worker.buffer->words[6] == 1006 && worker.buffer->words[63] == 1063);
	shared.stop = true;
}

static void test_signals(void)
{
	cptr_t back = object_new_on(0, OBJECT_NOTIFICATION), there = object_new_on(1, OBJECT_NOTIFICATION);
	struct worker worker;

	begin();
	shared.notification = there;
	shared.other = derived(back, RIGHT_WRITE, 2, 0);
	worker = worker_new_on(1, 4, echo, LOW);
	there = derived(there, RIGHT_WRITE, 1, 0);
	worker_start(&worker);
	for (unsigned i = 0; i < ROUNDS; i++) {
		OK(send_(SYS_SIGNAL, there, 0, 0, 0));
		OK(send_(SYS_WAIT, back, 0, 0, now() + 1000000000));
		CHECK(last.cap == 2);
	}
	CHECK(shared.count[4] == ROUNDS);
}

static void com2_out(uint64_t port, uint64_t value)
{
	OK(op(INIT_SLOT_IO_PORTS, IO_PORTS_OUT, 0x2f8 + port, 1, value));
}

/* An interrupt comes to CPU 0 and wakes a thread of another one. We do not wait meanwhile, so nobody else
 * could run here. */
static void test_irq(void)
{
	cptr_t irq = slot_new();
	struct worker worker;

	begin();
	shared.notification = object_new_on(1, OBJECT_NOTIFICATION);
	shared.other = derived(object_new_on(0, OBJECT_NOTIFICATION), RIGHT_WRITE, 1, 0);
	worker = worker_new_on(1, 4, echo, LOW);
	worker_start(&worker);
	OK(op(INIT_SLOT_IRQ_CONTROL, IRQ_CONTROL_LINE, 3, 0, CPTR_NULL, irq));
	OK(op(irq, IRQ_BIND, derived(shared.notification, RIGHT_WRITE, 1, 0)));
	com2_out(4, 0xb);
	for (uint64_t i = 0; i < 3; i++) {
		deadline_t end = now() + 1000000000;

		com2_out(1, 2); /* the transmitter is empty, which is an interrupt at once */
		while (shared.count[4] <= i && now() < end) {
			if (boot->cpu_count == 1)
				settle();
		}
		CHECK(shared.count[4] > i);
		OK(op(INIT_SLOT_IO_PORTS, IO_PORTS_IN, 0x2fa, 1)); /* clears it */
		com2_out(1, 0);
		OK(op(irq, IRQ_ACKNOWLEDGE));
	}
	com2_out(4, 0);
}

static void test_deadline(void)
{
	cptr_t endpoint = object_new_on(1, OBJECT_ENDPOINT);
	deadline_t before = now();

	last = (struct registers){.cap = endpoint, .deadline = before + 2000000};
	EXPECT(sys(SYS_CALL), ERR_TIMEOUT);
	CHECK(now() >= before + 2000000);
	last = (struct registers){.cap = endpoint, .deadline = DEADLINE_POLL};
	EXPECT(sys(SYS_SEND), ERR_TIMEOUT);
	OK(op(endpoint, ENDPOINT_CLOSE));
	last = (struct registers){.cap = endpoint, .deadline = DEADLINE_NEVER};
	EXPECT(sys(SYS_CALL), ERR_CLOSED);
}

/* Whoever holds a call dies, by the hand of a third CPU's capabilities or ours. */
static void test_peer_died(void)
{
	struct worker server_worker, client;

	begin();
	shared.endpoint = object_new_on(1, OBJECT_ENDPOINT);
	shared.reply = object_new_on(1, OBJECT_REPLY);
	server_worker = worker_new_on(1, 5, holder, LOW);
	client = worker_new_on(cpu(2), 0, caller_0, LOW);
	worker_start(&server_worker);
	worker_start(&client);
	WAIT_FOR(state_of(client.thread) == THREAD_STATE_BLOCKED_REPLY);
	OK(op(INIT_SLOT_CNODE, CNODE_DELETE, server_worker.thread));
	WAIT_FOR(shared.status[0] == ERR_PEER_DIED);
}

static void test_passive(void)
{
	struct worker worker;

	begin();
	worker = server_start(1);
	last = (struct registers){
	        .cap = shared.endpoint, .info = MESSAGE_INFO(1, 1), .deadline = DEADLINE_NEVER};
	OK(sys(SYS_CALL));
	OK(op(worker.thread, THREAD_BIND, BIND_SCHED_CONTEXT, CPTR_NULL));
	last = (struct registers){
	        .cap = shared.endpoint, .info = MESSAGE_INFO(1, 1), .deadline = DEADLINE_NEVER};
	EXPECT(sys(SYS_CALL), ERR_REMOTE);
}

static void test_reply_of_another(void)
{
	const uint64_t with_reply = MESSAGE_INFO_CAPS(0, 0, 1, 1);
	cptr_t reply = object_new_on(0, OBJECT_REPLY);
	struct worker client;

	begin();
	shared.endpoint = object_new_on(0, OBJECT_ENDPOINT);
	own_buffer->caps[0] = object_new_on(1, OBJECT_REPLY);
	EXPECT(send_(SYS_SEND, shared.endpoint, with_reply, 0, DEADLINE_POLL), ERR_REMOTE);
	EXPECT(send_(SYS_CALL, shared.endpoint, with_reply, 0, DEADLINE_POLL), ERR_REMOTE);
	client = worker_new_on(0, 0, caller_0, LOW);
	worker_start(&client);
	OK(send_(SYS_RECV, shared.endpoint, 0, reply, DEADLINE_NEVER));
	EXPECT(send_(SYS_REPLY_RECV, shared.endpoint, with_reply, REPLY_PAIR(reply, 0), DEADLINE_POLL),
	       ERR_REMOTE);
	EXPECT(send_(SYS_REPLY, 0, with_reply, reply, 0), ERR_REMOTE);
	/* Nothing has happened to the call. */
	CHECK(state_of(client.thread) == THREAD_STATE_BLOCKED_REPLY);
	shared.stop = true;
	last = (struct registers){.info = MESSAGE_INFO(0, 1), .words = {1}, .reply = reply};
	OK(sys(SYS_REPLY));
	WAIT_FOR(shared.count[0] == 1);
}

/* ---- faults and foreign calls ---- */

static void test_fault(void)
{
	cptr_t endpoint = object_new_on(0, OBJECT_ENDPOINT), reply = object_new_on(0, OBJECT_REPLY), window;
	struct worker worker;

	begin();
	memory_at(AREA, PAGE_BITS, &window);
	*(volatile uint64_t *)AREA = 4711;
	OK(op(INIT_SLOT_VSPACE, VSPACE_UNMAP, AREA, 1));
	worker = worker_new_on(1, 0, read_area, LOW);
	OK(op(worker.thread, THREAD_BIND, BIND_FAULT, derived(endpoint, FULL, 9, 0)));
	worker_start(&worker);
	for (unsigned i = 0; i < 10; i++) {
		OK(send_(SYS_RECV, endpoint, 0, reply, now() + 1000000000));
		CHECK(last.cap == 9 && message_label(last.info) == LABEL_PAGE_FAULT && last.words[0] == AREA);
		last = (struct registers){.info = MESSAGE_INFO(REPLY_MAP, 6),
		                          .words = {0, window, AREA, 0, 1, RIGHT_READ},
		                          .reply = reply};
		shared.count[0] = 0;
		OK(sys(SYS_REPLY));
		WAIT_FOR(shared.count[0] > 10);
		CHECK(shared.value == 4711);
		OK(op(INIT_SLOT_VSPACE, VSPACE_UNMAP, AREA, 1));
	}
}

/* A foreign program: system calls for ever. */
static void foreign(void)
{
	for (;;) {
		uint64_t number = shared.count[0] + 1;

		__asm__ volatile("syscall" : "+a"(number) : : "rcx", "r11", "memory");
		shared.count[0]++;
		shared.value = number;
	}
}

static void test_foreign(void)
{
	cptr_t endpoint = object_new_on(0, OBJECT_ENDPOINT), reply = object_new_on(0, OBJECT_REPLY);
	struct worker worker;

	begin();
	worker = worker_new_on(1, 0, foreign, LOW);
	OK(op(worker.thread, THREAD_SET_FOREIGN, 1));
	OK(op(worker.thread, THREAD_BIND, BIND_SYSCALL, endpoint));
	worker_start(&worker);
	OK(send_(SYS_RECV, endpoint, 0, reply, now() + 1000000000));
	for (unsigned i = 1; i < ROUNDS; i++) {
		CHECK(message_label(last.info) == LABEL_FOREIGN_SYSCALL && last.words[0] == i);
		OK(send_(SYS_REPLY_RECV, endpoint, MESSAGE_INFO(0, 1), REPLY_PAIR(reply, 0),
		         now() + 1000000000));
	}
	OK(op(worker.thread, THREAD_READ_REGISTERS));
	OK(op(worker.thread, THREAD_READ_VECTOR));
}

/* What it watches changes while its CPU has its registers, and it waits here. */
static void test_breakpoints(void)
{
	const uint64_t write = 1ul << 16,
	               bytes = 2ul << 18; /* of breakpoint 0 in DR7: kind, and a length of eight */
	cptr_t endpoint = object_new_on(0, OBJECT_ENDPOINT), reply = object_new_on(0, OBJECT_REPLY);
	struct worker worker;

	begin();
	worker = worker_new_on(1, 0, spin, LOW);
	OK(op(worker.thread, THREAD_BIND, BIND_FAULT, endpoint));
	OK(op(worker.thread, THREAD_WRITE_DEBUG, (uint64_t)&shared.count[0], 0, 0, 0, 1 | write | bytes));
	worker_start(&worker);
	WAIT_FOR(op(worker.thread, THREAD_WRITE_DEBUG) != ERR_STATE);
	for (unsigned i = 0; i < 10; i++) {
		uint64_t before = shared.count[0];

		OK(send_(SYS_RECV, endpoint, 0, reply, now() + 1000000000));
		CHECK(message_label(last.info) == LABEL_EXCEPTION && last.words[0] == 1 &&
		      last.words[1] == 1);
		OK(op(worker.thread, THREAD_WRITE_DEBUG));
		last = (struct registers){.reply = reply};
		OK(sys(SYS_REPLY));
		WAIT_FOR(shared.count[0] > before + 10);
		EXPECT(op(worker.thread, THREAD_WRITE_DEBUG), ERR_STATE);
		OK(op(worker.thread, THREAD_SUSPEND));
		OK(op(worker.thread, THREAD_WRITE_DEBUG, (uint64_t)&shared.count[0], 0, 0, 0,
		      1 | write | bytes));
		OK(op(worker.thread, THREAD_READ_DEBUG));
		CHECK(last.words[0] == (uint64_t)&shared.count[0] && last.words[4] == (1 | write | bytes));
		OK(op(worker.thread, THREAD_RESUME));
	}
}

static void test_poke(void)
{
	cptr_t endpoint = object_new_on(0, OBJECT_ENDPOINT), reply = object_new_on(0, OBJECT_REPLY);
	struct worker worker;

	begin();
	worker = worker_new_on(1, 0, spin, LOW);
	OK(op(worker.thread, THREAD_SET_FOREIGN, 1));
	OK(op(worker.thread, THREAD_BIND, BIND_SYSCALL, endpoint));
	worker_start(&worker);
	for (unsigned i = 0; i < 20; i++) {
		uint64_t before = shared.count[0];

		WAIT_FOR(shared.count[0] != before);
		OK(op(worker.thread, THREAD_POKE));
		OK(send_(SYS_RECV, endpoint, 0, reply, now() + 1000000000));
		CHECK(message_label(last.info) == LABEL_INTERRUPTED);
		last = (struct registers){.reply = reply};
		OK(sys(SYS_REPLY));
	}
}

/* ---- stopping and destroying ---- */

static void test_suspend_running(void)
{
	struct worker worker;
	uint64_t stopped_at;

	begin();
	worker = worker_new_on(1, 0, spin, LOW);
	for (unsigned i = 0; i < 20; i++) {
		uint64_t before = shared.count[0];

		worker_start(&worker);
		WAIT_FOR(shared.count[0] != before);
		OK(op(worker.thread, THREAD_SUSPEND));
		stopped_at = shared.count[0];
		OK(op(worker.thread, THREAD_READ_REGISTERS));
		CHECK(state_of(worker.thread) == THREAD_STATE_STOPPED && shared.count[0] == stopped_at);
	}
}

/* A client between two CPUs is caught wherever it is, and goes on. */
static void test_suspend_traveller(void)
{
	struct worker worker;

	begin();
	server_start(cpu(2));
	worker = worker_new_on(1, 0, caller_0, LOW);
	worker_start(&worker);
	WAIT_FOR(shared.count[0] > 10);
	for (unsigned i = 0; i < 200; i++) {
		uint64_t before;

		OK(op(worker.thread, THREAD_SUSPEND));
		CHECK(state_of(worker.thread) == THREAD_STATE_STOPPED);
		before = shared.count[0];
		/* A wait that was canceled ends its loop: only what it did by itself may not. */
		if (shared.status[0] == ERR_CANCELED)
			shared.status[0] = ERR_NONE;
		CHECK(shared.count[0] == before);
		if (shared.status[0] != ERR_NONE)
			break;
		OK(op(worker.thread, THREAD_RESUME));
		for (unsigned j = 0; j < i * 7 % 60; j++)
			__asm__ volatile("pause");
	}
}

static void suspender(void)
{
	struct registers registers = {.cap = shared.victim, .info = THREAD_SUSPEND};

	shared.status[2] = system_call(SYS_INVOKE, &registers);
	worker_rest();
}

static void caller_after_a_signal(void)
{
	struct registers registers = {.cap = shared.notification, .deadline = DEADLINE_NEVER};

	system_call(SYS_WAIT, &registers);
	caller_0();
}

/* Who was to be suspended by somebody who was destroyed on his way travels on. */
static void test_suspender_destroyed(void)
{
	struct worker victim, hog, killer;

	begin();
	server_start(0);
	shared.notification = object_new_on(1, OBJECT_NOTIFICATION);
	victim = worker_new_on(1, 0, caller_after_a_signal, LOW);
	hog = worker_new_on(1, 1, spin_1, LOW + 2);
	killer = worker_new_on(0, 2, suspender, LOW);
	worker_start(&victim);
	WAIT_FOR(state_of(victim.thread) == THREAD_STATE_BLOCKED_WAIT);
	worker_start(&hog);
	WAIT_FOR(shared.count[1] > 0);
	shared.victim = victim.thread;
	worker_start(&killer);
	/* It waits on the victim's CPU for its turn. */
	WAIT_FOR(op(killer.thread, THREAD_INFO) == ERR_NONE && last.words[3] == 1);
	OK(op(INIT_SLOT_CNODE, CNODE_DELETE, killer.thread));
	OK(op(hog.thread, THREAD_SUSPEND));
	OK(send_(SYS_SIGNAL, derived(shared.notification, RIGHT_WRITE, 1, 0), 0, 0, 0));
	WAIT_FOR(shared.count[0] > 10);
}

static void test_destroy_traveller(void)
{
	for (unsigned i = 0; i < 30; i++) {
		struct worker worker;

		begin();
		if (i == 0)
			server_start(cpu(2));
		worker = worker_new_on(1, 0, caller_0, LOW);
		worker_start(&worker);
		for (unsigned j = 0; j < i * 13; j++)
			__asm__ volatile("pause");
		OK(op(INIT_SLOT_CNODE, CNODE_DELETE, worker.thread));
		OK(op(INIT_SLOT_CNODE, CNODE_DELETE, worker.context));
	}
}

/* ---- who comes first ---- */

static void send_once(void)
{
	struct registers r = {.cap = shared.endpoint, .deadline = DEADLINE_POLL};

	shared.status[1] = system_call(SYS_SEND, &r);
	shared.count[1]++;
	worker_rest();
}

/* It comes to CPU 1 to find nobody at the endpoint there. */
static void check_waits(const struct worker *visitor)
{
	settle();
	CHECK(state_of(visitor->thread) == THREAD_STATE_READY && last.words[3] == 1);
	CHECK(shared.count[1] == 0);
}

static void test_visitor(void)
{
	struct worker above, visitor;

	begin();
	shared.endpoint = object_new_on(1, OBJECT_ENDPOINT);
	above = worker_new_on(1, 0, spin, LOW + 1);
	visitor = worker_new_on(0, 1, send_once, LOW);
	worker_start(&above);
	WAIT_FOR(shared.count[0] > 0);
	worker_start(&visitor);
	check_waits(&visitor);
	OK(op(visitor.thread, THREAD_SUSPEND));
	CHECK(state_of(visitor.thread) == THREAD_STATE_STOPPED && last.words[3] == 0);
	OK(op(visitor.thread, THREAD_RESUME));
	check_waits(&visitor);
	OK(op(visitor.thread, THREAD_SET_PRIORITY, INIT_SLOT_CPU_TIME, LOW + 2));
	WAIT_FOR(shared.count[1] == 1);
	EXPECT(shared.status[1], ERR_TIMEOUT);
	OK(op(INIT_SLOT_CNODE, CNODE_DELETE, visitor.thread));
	visitor = worker_new_on(0, 1, send_once, LOW);
	shared.count[1] = 0;
	worker_start(&visitor);
	check_waits(&visitor);
	OK(op(INIT_SLOT_CNODE, CNODE_DELETE, visitor.thread));
	OK(op(above.thread, THREAD_SUSPEND));
	CHECK(shared.count[1] == 0);
}

/* ---- translations ---- */

/* Once the call has returned, nobody sees the page any more. */
static void check_gone(const struct worker *worker, uint64_t alias)
{
	uint64_t seen;

	*(volatile uint64_t *)alias = 0xbad;
	WAIT_FOR(state_of(worker->thread) == THREAD_STATE_STOPPED);
	seen = shared.value;
	CHECK(seen == 4711);
}

static struct worker reader_start(cptr_t memory, cptr_t *window)
{
	struct worker worker;

	begin();
	*window = object_new(OBJECT_WINDOW, 0);
	OK(op(*window, WINDOW_BIND, memory, INIT_SLOT_VSPACE, RIGHT_READ | RIGHT_WRITE));
	OK(op(*window, WINDOW_MAP, AREA, 0, 1, RIGHT_READ | RIGHT_WRITE));
	*(volatile uint64_t *)AREA = 4711;
	worker = worker_new_on(1, 0, read_area, LOW);
	worker_start(&worker);
	WAIT_FOR(shared.count[0] > 100);
	CHECK(shared.value == 4711);
	return worker;
}

static void test_shootdown(void)
{
	cptr_t window, derived_memory;
	cptr_t memory = memory_at(AREA + LARGE_PAGE_SIZE, PAGE_BITS, &window);
	struct worker worker;

	worker = reader_start(memory, &window);
	OK(op(INIT_SLOT_VSPACE, VSPACE_UNMAP, AREA, 1));
	check_gone(&worker, AREA + LARGE_PAGE_SIZE);
	worker = reader_start(memory, &window);
	OK(op(window, WINDOW_PROTECT, AREA, 1, 0));
	check_gone(&worker, AREA + LARGE_PAGE_SIZE);
	worker = reader_start(memory, &window);
	OK(op(INIT_SLOT_CNODE, CNODE_DELETE, window));
	check_gone(&worker, AREA + LARGE_PAGE_SIZE);
	derived_memory = derived(memory, FULL, 0, 0);
	worker = reader_start(derived_memory, &window);
	OK(op(INIT_SLOT_CNODE, CNODE_REVOKE, derived_memory));
	check_gone(&worker, AREA + LARGE_PAGE_SIZE);
}

static void test_protect(void)
{
	cptr_t window;
	struct worker worker;
	uint64_t at;

	begin();
	memory_at(AREA, PAGE_BITS, &window);
	worker = worker_new_on(1, 0, write_area, LOW);
	worker_start(&worker);
	WAIT_FOR(shared.count[0] > 100);
	OK(op(window, WINDOW_PROTECT, AREA, 1, RIGHT_READ));
	at = *(volatile uint64_t *)AREA;
	WAIT_FOR(state_of(worker.thread) == THREAD_STATE_STOPPED);
	CHECK(*(volatile uint64_t *)AREA == at);
}

/* Another page in the place of one that is in use there. */
static void test_replace(void)
{
	cptr_t window, memory = memory_at(AREA, PAGE_BITS + 1, &window);
	struct worker worker;

	(void)memory;
	begin();
	*(volatile uint64_t *)AREA = 1;
	*(volatile uint64_t *)(AREA + PAGE_SIZE) = 2;
	worker = worker_new_on(1, 0, read_area, LOW);
	worker_start(&worker);
	WAIT_FOR(shared.count[0] > 100);
	for (unsigned i = 0; i < 50; i++) {
		uint64_t after;

		OK(op(window, WINDOW_MAP, AREA, (i + 1) % 2, 1, RIGHT_READ));
		after = shared.count[0];
		WAIT_FOR(shared.count[0] > after + 1);
		CHECK(shared.value == 1 + (i + 1) % 2);
	}
}

/* ---- buffers ---- */

/* Calls that read or write their thread's IPC buffer: count[1] succeed, count[2] find none, value: anything
 * else. */
static void use_buffer(void)
{
	const struct registers calls[] = {
	        {.cap = INIT_SLOT_VSPACE,
	         .info = VSPACE_HARVEST,
	         .words = {AREA, sizeof(own_buffer->data) * 4}},
	        {.cap = INIT_SLOT_IO_PORTS,
	         .info = IO_PORTS_IN_STRING,
	         .words = {0x80, sizeof(own_buffer->data)}},
	        {.cap = shared.other, .info = WINDOW_MAP_SCATTER, .words = {AREA, 1000}},
	        {.cap = shared.endpoint, .info = MESSAGE_INFO(1, MESSAGE_WORDS), .deadline = DEADLINE_NEVER},
	};

	for (unsigned i = 0; !shared.stop; i = (i + 1) % 4) {
		struct registers r = calls[i];
		uint64_t status = system_call(i == 3 ? SYS_CALL : SYS_INVOKE, &r);

		if (status == ERR_NONE)
			shared.count[1]++;
		else if (status == ERR_NO_BUFFER)
			shared.count[2]++;
		else
			shared.value = status;
	}
	worker_rest();
}

/* Memory that was taken back is written by nobody: it is filled, and stays so. */
static void check_taken(cptr_t memory, cptr_t window)
{
	volatile uint64_t *words = (volatile uint64_t *)(AREA + LARGE_PAGE_SIZE);
	uint64_t refused = shared.count[2];

	OK(op(window, WINDOW_BIND, memory, INIT_SLOT_VSPACE, RIGHT_READ | RIGHT_WRITE));
	OK(op(window, WINDOW_MAP, AREA + LARGE_PAGE_SIZE, 0, 4, RIGHT_READ | RIGHT_WRITE));
	for (unsigned i = 0; i < 4 * PAGE_SIZE / 8; i++)
		words[i] = ~0ul;
	WAIT_FOR(shared.count[2] > refused + 8);
	for (unsigned i = 0; i < 4 * PAGE_SIZE / 8; i++) {
		if (words[i] != ~0ul)
			shared.count[5]++;
		words[i] = 0;
	}
	CHECK(shared.count[5] == 0);
}

#define VECTOR_HEADER 512 /* in the image: states, and seven words that are 0, or loading it faults */

/* A word of the header that another thread's call is judging: valid one moment, and not the next. At a pause
 * the emulator lets the next CPU run. */
static void change_header(void)
{
	volatile uint64_t *header = (volatile uint64_t *)(own_buffer->data + VECTOR_HEADER);

	while (!shared.stop) {
		header[1] = shared.count[0]++ % 2;
		__asm__ volatile("pause");
	}
	worker_rest();
}

/* One deadline after the other: at each an emulator that counts instructions lets the next CPU run, too. */
static void keep_time(void)
{
	cptr_t nothing = shared.notification;

	while (!shared.stop) {
		struct registers r = {.cap = nothing, .deadline = now() + 1000 + shared.count[1]++ % 512};

		system_call(SYS_WAIT, &r);
	}
	worker_rest();
}

/* Vector registers are written out of a buffer that changes meanwhile: they are what was judged. */
static void test_vector_meanwhile(void)
{
	cptr_t window, thread = object_new(OBJECT_THREAD, 0), other = memory_at(AREA, PAGE_BITS, &window);
	const struct ipc_buffer *seen = (const struct ipc_buffer *)AREA;
	struct worker worker, timer;
	uint64_t size = 0, written = 0;

	begin();
	shared.notification = object_new_on(cpu(2), OBJECT_NOTIFICATION);
	for (unsigned i = 512; i <= sizeof(own_buffer->data) && !size; i += 64) {
		__builtin_memset(own_buffer->data, 0, sizeof(own_buffer->data));
		if (op(thread, THREAD_WRITE_VECTOR, i) == ERR_NONE)
			size = i;
	}
	CHECK(size > VECTOR_HEADER);
	worker = worker_new_on(cpu(1), 0, change_header, LOW);
	timer = worker_new_on(cpu(2), 1, keep_time, LOW);
	worker_start(&worker);
	worker_start(&timer);
	WAIT_FOR(shared.count[0]);
	for (unsigned i = 0; i < VECTOR_ROUNDS; i++) {
		if (op(thread, THREAD_WRITE_VECTOR, size))
			continue;
		written++;
		OK(op(INIT_SLOT_THREAD, THREAD_BIND, BIND_IPC_BUFFER, other));
		OK(op(thread, THREAD_READ_VECTOR));
		OK(op(INIT_SLOT_THREAD, THREAD_BIND, BIND_IPC_BUFFER, INIT_SLOT_IPC_BUFFER));
		CHECK(!*(const volatile uint64_t *)(seen->data + VECTOR_HEADER + 8));
	}
	CHECK(written);
	shared.stop = true;
}

/* The Memory is unmapped and revoked under a thread that makes calls with it on another CPU. */
static void test_buffers(void)
{
	cptr_t memory = object_new(OBJECT_MEMORY, 14), window = object_new(OBJECT_WINDOW, 0);
	struct worker worker;

	begin();
	server_start(cpu(2));
	shared.other = object_new(OBJECT_WINDOW, 0);
	OK(op(shared.other, WINDOW_BIND, object_new(OBJECT_MEMORY, PAGE_BITS), INIT_SLOT_VSPACE, RIGHT_READ));
	worker = worker_new_on(1, 0, use_buffer, LOW);
	OK(op(worker.thread, THREAD_BIND, BIND_IPC_BUFFER, memory));
	worker_start(&worker);
	for (unsigned i = 0; i < 40; i++) {
		uint64_t done = shared.count[1];

		WAIT_FOR(shared.count[1] > done + 8);
		OK(op(INIT_SLOT_VSPACE, VSPACE_UNMAP, AREA + LARGE_PAGE_SIZE, 4));
		OK(op(INIT_SLOT_CNODE, CNODE_REVOKE, memory));
		check_taken(memory, window);
		OK(op(worker.thread, THREAD_BIND, BIND_IPC_BUFFER, memory));
	}
	shared.stop = true;
	WAIT_FOR(state_of(worker.thread) == THREAD_STATE_BLOCKED_WAIT);
	OK(shared.value);
}

/* ---- deleting from several CPUs ---- */

static struct {
	volatile cptr_t untyped[3], cnode[3];
} trees;

/* Makes a tree of objects of all CPUs and takes it away again, in a CNode and an Untyped of its own. */
static void churn_on(unsigned number)
{
	static const uint8_t types[] = {OBJECT_ENDPOINT, OBJECT_NOTIFICATION, OBJECT_REPLY};

	while (!shared.stop) {
		for (unsigned i = 0; i < 12; i++) {
			struct registers r = {.cap = trees.untyped[number],
			                      .info = UNTYPED_RETYPE,
			                      .words = {types[i % 3] | (uint64_t)cpu(i) << 16, 1,
			                                trees.cnode[number], 1 + i}};

			if (system_call(SYS_INVOKE, &r) != ERR_NONE)
				shared.value++;
		}
		for (unsigned i = 0; i < 6; i++) {
			struct registers r = {.cap = trees.cnode[number],
			                      .info = CNODE_DERIVE,
			                      .words = {20 + i, trees.cnode[number], 1 + i, RIGHT_ALL}};

			system_call(SYS_INVOKE, &r);
		}
		{
			struct registers r = {.cap = INIT_SLOT_CNODE,
			                      .info = CNODE_REVOKE,
			                      .words = {trees.untyped[number]}};

			shared.status[number] = system_call(SYS_INVOKE, &r);
		}
		shared.count[number]++;
	}
	worker_rest();
}

static void churn_0(void)
{
	churn_on(0);
}

static void churn_1(void)
{
	churn_on(1);
}

static void churn_2(void)
{
	churn_on(2);
}

static void test_churn(void)
{
	void (*const entries[])(void) = {churn_0, churn_1, churn_2};
	struct worker workers[3];

	begin();
	for (unsigned i = 0; i < 3; i++) {
		trees.untyped[i] = object_new(OBJECT_UNTYPED, 12);
		trees.cnode[i] = object_new(OBJECT_CNODE, 12);
		workers[i] = worker_new_on(cpu(i + 1), i, entries[i], LOW);
		worker_start(&workers[i]);
	}
	for (unsigned i = 0; i < 3; i++)
		WAIT_FOR(shared.count[i] >= 20);
	shared.stop = true;
	for (unsigned i = 0; i < 3; i++) {
		OK(shared.status[i]);
		WAIT_FOR(state_of(workers[i].thread) == THREAD_STATE_BLOCKED_WAIT);
	}
	CHECK(shared.value == 0);
}

/* Binds one capability, shared.other, to a thread of its own for as long as it can. */
static cptr_t bound[3];

static void bind_on(unsigned number)
{
	while (!shared.stop) {
		struct registers r = {
		        .cap = bound[number], .info = THREAD_BIND, .words = {BIND_FAULT, shared.other}};

		shared.status[number] = system_call(SYS_INVOKE, &r);
		if (shared.status[number] != ERR_NONE)
			break;
		shared.count[number]++;
	}
	worker_rest();
}

static void bind_0(void)
{
	bind_on(0);
}

static void bind_1(void)
{
	bind_on(1);
}

static void bind_2(void)
{
	bind_on(2);
}

/* Each binding takes a journey to its thread's CPU to be removed, and meanwhile there are new ones. */
static void revoke_while_binding(cptr_t revoked, cptr_t other)
{
	void (*const entries[])(void) = {bind_0, bind_1, bind_2};

	begin();
	shared.other = other;
	for (unsigned i = 0; i < 3; i++) {
		struct worker worker = worker_new_on(cpu(i + 1), i, entries[i], LOW);

		bound[i] = object_new_on(cpu(i + 1), OBJECT_THREAD);
		worker_start(&worker);
	}
	for (unsigned i = 0; i < 3; i++)
		WAIT_FOR(shared.count[i] > 5);
	OK(op(INIT_SLOT_CNODE, CNODE_REVOKE, revoked));
	for (unsigned i = 0; i < 3; i++)
		WAIT_FOR(shared.status[i] == ERR_NO_CAPABILITY);
}

static void test_revoke_derived(void)
{
	cptr_t endpoint = new_endpoint();

	revoke_while_binding(endpoint, derived(endpoint, FULL, 1, 0));
}

static void test_revoke_original(void)
{
	cptr_t untyped = object_new(OBJECT_UNTYPED, 12), endpoint = slot_new();

	OK(op(untyped, UNTYPED_RETYPE, OBJECT_ENDPOINT, 1, CPTR_NULL, endpoint));
	revoke_while_binding(untyped, endpoint);
}

/* An Untyped from which everything of several CPUs was made, in use, goes as a whole. */
static void test_revoke_all(void)
{
	for (unsigned i = 0; i < 5; i++) {
		struct worker workers[3];

		begin();
		server_start(cpu(i));
		workers[0] = worker_new_on(1, 0, caller_0, LOW);
		workers[1] = worker_new_on(cpu(2), 1, caller_1, LOW);
		workers[2] = worker_new_on(cpu(3), 2, caller_2, LOW);
		for (unsigned j = 0; j < 3; j++)
			worker_start(&workers[j]);
		settle();
		test_restart();
	}
}

const struct test tests_cpus[] = {
        {"cpus.homes", "what lives on different CPUs cannot be bound together", test_homes},
        {"cpus.bases", "a stranger reads the TLS that user mode has set itself", test_bases},
        {"cpus.call", "a call reaches a server on another CPU and comes back", test_call},
        {"cpus.callers", "one server answers callers of all CPUs", test_callers},
        {"cpus.long-message", "64 words and a capability cross CPUs", test_long_message},
        {"cpus.signals", "signals cross CPUs both ways", test_signals},
        {"cpus.irq", "an interrupt wakes a thread of another CPU", test_irq},
        {"cpus.deadline", "a call to another CPU times out there; a closed endpoint refuses it",
         test_deadline},
        {"cpus.peer-died", "a caller learns that the server on another CPU died", test_peer_died},
        {"cpus.passive", "a server without time of its own refuses remote calls", test_passive},
        {"cpus.reply-of-another", "a message does not take another CPU's Reply along", test_reply_of_another},
        {"cpus.fault", "a fault is handled by another CPU", test_fault},
        {"cpus.foreign", "foreign system calls are served by another CPU", test_foreign},
        {"cpus.breakpoints", "breakpoints are changed from another CPU, and handled there", test_breakpoints},
        {"cpus.poke", "a poke reaches a thread that runs on another CPU", test_poke},
        {"cpus.suspend-running", "a thread that runs on another CPU stops at once", test_suspend_running},
        {"cpus.suspend-traveller", "a thread between two CPUs can be stopped", test_suspend_traveller},
        {"cpus.suspender-destroyed", "who was to be stopped by one who was destroyed on his way goes on",
         test_suspender_destroyed},
        {"cpus.destroy-traveller", "a thread between two CPUs can be destroyed", test_destroy_traveller},
        {"cpus.visitor", "what a thread does on another CPU waits for those there that come before it",
         test_visitor},
        {"cpus.shootdown", "a page that was taken away is seen by no CPU", test_shootdown},
        {"cpus.protect", "a page that was made read-only is written by no CPU", test_protect},
        {"cpus.replace", "another page in a page's place is seen by all CPUs", test_replace},
        {"cpus.vector-meanwhile", "vector registers are written out of a buffer that changes meanwhile",
         test_vector_meanwhile},
        {"cpus.buffers", "an IPC buffer is taken away under the feet of calls that use it", test_buffers},
        {"cpus.churn", "three CPUs make and revoke trees of objects at the same time", test_churn},
        {"cpus.revoke-derived", "a capability that other CPUs bind all the time is revoked",
         test_revoke_derived},
        {"cpus.revoke-original", "so is the Untyped of an object that they bind", test_revoke_original},
        {"cpus.revoke-all", "everything goes at once while all CPUs use it", test_revoke_all},
        {0},
};
