/* SPDX-License-Identifier: MIT */
/* Messages and notifications: every documented error, and what happens to who waits when the other ends. */
#include "test.h"

#define CNODE INIT_SLOT_CNODE
#define THIS  ((struct registers){0})

/* ---- a thread that makes one system call and tells ---- */
static struct {
	uint64_t number;
	struct registers registers;
	volatile uint64_t status;
	volatile bool done;
} ask;

static void asker(void)
{
	ask.status = system_call(ask.number, &ask.registers);
	ask.done = true;
	for (;;)
		system_call(SYS_YIELD, &THIS);
}

static void let_run(unsigned turns)
{
	while (turns-- > 0)
		system_call(SYS_YIELD, &THIS);
}

/* Begins the call in another thread; it blocks, or is done. */
static struct worker ask_start(uint64_t number, struct registers registers)
{
	struct worker worker = worker_new(own_space, asker, PRIORITY_MAX);

	ask.number = number;
	ask.registers = registers;
	ask.done = false;
	ask.status = 1000;
	worker_start(&worker);
	let_run(3);
	return worker;
}

static void ask_finish(uint64_t expected, unsigned line)
{
	let_run(5);
	check(ask.done, __FILE__, line, "the call is over");
	if (ask.done)
		check(ask.status == expected, __FILE__, line, "the call's status");
}

/* ---- errors ---- */
TEST(send_errors, "call and send refuse what they should")
{
	cptr_t endpoint = object_new(OBJECT_ENDPOINT, 0), notification = object_new(OBJECT_NOTIFICATION, 0);
	cptr_t weak = derive(endpoint, RIGHT_READ), no_grant = derive(endpoint, RIGHT_WRITE),
	       empty = slot_new();

	for (uint64_t number = SYS_CALL; number <= SYS_SEND; number++) {
		struct registers r = {.cap = empty};

		EXPECT_CALL(ERR_NO_CAPABILITY, number, r);
		r.cap = 1ul << 40;
		EXPECT_CALL(ERR_NO_CAPABILITY, number, r);
		r.cap = notification;
		EXPECT_CALL(ERR_WRONG_TYPE, number, r);
		r.cap = weak;
		EXPECT_CALL(ERR_RIGHTS, number, r);
		r.cap = no_grant;
		r.info = MESSAGE_INFO_CAPS(0, 0, 1, 0);
		EXPECT_CALL(ERR_RIGHTS, number, r);
		r.cap = endpoint;
		own_buffer->caps[0] = empty;
		EXPECT_CALL(ERR_NO_CAPABILITY, number, r);
		r.info = 65;
		EXPECT_CALL(ERR_ARGUMENT, number, r);
		r.info = 1 << 20;
		EXPECT_CALL(ERR_ARGUMENT, number, r);
		r.info = MESSAGE_INFO_CAPS(0, 0, 5, 0);
		EXPECT_CALL(ERR_ARGUMENT, number, r);
		r.info = MESSAGE_INFO_CAPS(0, 0, 1, 2);
		EXPECT_CALL(ERR_ARGUMENT, number, r);
		r.info = MESSAGE_INFO(LABEL_PAGE_FAULT, 0);
		EXPECT_CALL(ERR_ARGUMENT, number, r);
		r.info = 0;
		EXPECT_CALL(ERR_TIMEOUT, number, r);
		r.deadline = now() + 1000000;
		EXPECT_CALL(ERR_TIMEOUT, number, r);
		CHECK(now() >= r.deadline);
		MUST(INIT_SLOT_THREAD, THREAD_BIND, BIND_IPC_BUFFER, CPTR_NULL);
		r.info = 7;
		EXPECT_CALL(ERR_NO_BUFFER, number, r);
		MUST(INIT_SLOT_THREAD, THREAD_BIND, BIND_IPC_BUFFER, INIT_SLOT_IPC_BUFFER);
		r.info = 0;
		EXPECT(ERR_NONE, endpoint, ENDPOINT_CLOSE);
		EXPECT_CALL(ERR_CLOSED, number, r);
		EXPECT(ERR_NONE, endpoint, ENDPOINT_OPEN);
	}
	EXPECT(ERR_RIGHTS, weak, ENDPOINT_CLOSE);
	EXPECT(ERR_RIGHTS, weak, ENDPOINT_OPEN);
	EXPECT(ERR_ARGUMENT, endpoint, ENDPOINT_CLOSE, 1);
	EXPECT(ERR_ARGUMENT, endpoint, ENDPOINT_OPEN, 1);
	EXPECT(ERR_NO_OPERATION, endpoint, MEMORY_INFO);
	EXPECT(ERR_NO_OPERATION, notification, MEMORY_INFO);
	EXPECT(ERR_NO_OPERATION, object_new(OBJECT_REPLY, 0), MEMORY_INFO);
}

TEST(receive_errors, "recv, reply_recv, reply and wait refuse what they should")
{
	cptr_t endpoint = object_new(OBJECT_ENDPOINT, 0), notification = object_new(OBJECT_NOTIFICATION, 0);
	cptr_t weak = derive(endpoint, RIGHT_WRITE), empty = slot_new(), reply = object_new(OBJECT_REPLY, 0);
	cptr_t other = object_new(OBJECT_REPLY, 0);
	struct registers r = {.reply = reply};

	r.cap = empty;
	EXPECT_CALL(ERR_NO_CAPABILITY, SYS_RECV, r);
	r.cap = notification;
	EXPECT_CALL(ERR_WRONG_TYPE, SYS_RECV, r);
	r.cap = weak;
	EXPECT_CALL(ERR_RIGHTS, SYS_RECV, r);
	r.cap = endpoint;
	EXPECT_CALL(ERR_TIMEOUT, SYS_RECV, r);
	r.deadline = now() + 1000000;
	EXPECT_CALL(ERR_TIMEOUT, SYS_RECV, r);
	CHECK(now() >= r.deadline);
	r.deadline = 0;
	r.reply = empty;
	EXPECT_CALL(ERR_NO_CAPABILITY, SYS_RECV, r);
	r.reply = notification;
	EXPECT_CALL(ERR_WRONG_TYPE, SYS_RECV, r);

	/* Nothing to answer. */
	EXPECT_CALL(ERR_NO_CAPABILITY, SYS_REPLY, ((struct registers){.reply = empty}));
	EXPECT_CALL(ERR_WRONG_TYPE, SYS_REPLY, ((struct registers){.reply = endpoint}));
	EXPECT_CALL(ERR_STATE, SYS_REPLY, ((struct registers){.reply = reply}));
	EXPECT_CALL(ERR_STATE, SYS_REPLY_RECV, ((struct registers){.cap = endpoint, .reply = reply}));
	EXPECT_CALL(ERR_NO_CAPABILITY, SYS_REPLY_RECV, ((struct registers){.cap = endpoint, .reply = empty}));
	EXPECT_CALL(ERR_WRONG_TYPE, SYS_REPLY_RECV, ((struct registers){.cap = endpoint, .reply = endpoint}));

	ask_start(SYS_CALL, (struct registers){.cap = endpoint, .deadline = DEADLINE_NEVER});
	EXPECT_CALL(ERR_NONE, SYS_RECV, ((struct registers){.cap = endpoint, .reply = reply}));
	EXPECT_CALL(ERR_RIGHTS, SYS_REPLY_RECV, ((struct registers){.cap = weak, .reply = reply}));
	EXPECT_CALL(ERR_ARGUMENT, SYS_REPLY_RECV,
	            ((struct registers){.cap = endpoint, .reply = reply, .info = 65}));
	EXPECT_CALL(ERR_ARGUMENT, SYS_REPLY, ((struct registers){.reply = reply, .info = 65}));
	MUST(INIT_SLOT_THREAD, THREAD_BIND, BIND_IPC_BUFFER, CPTR_NULL);
	EXPECT_CALL(ERR_NO_BUFFER, SYS_REPLY, ((struct registers){.reply = reply, .info = 7}));
	EXPECT_CALL(ERR_NO_BUFFER, SYS_REPLY_RECV,
	            ((struct registers){.cap = endpoint, .reply = reply, .info = 7}));
	MUST(INIT_SLOT_THREAD, THREAD_BIND, BIND_IPC_BUFFER, INIT_SLOT_IPC_BUFFER);
	/* A Reply that holds a caller receives no other. */
	EXPECT_CALL(ERR_STATE, SYS_RECV, ((struct registers){.cap = endpoint, .reply = reply}));
	EXPECT_CALL(ERR_TIMEOUT, SYS_REPLY_RECV,
	            ((struct registers){.cap = endpoint, .reply = REPLY_PAIR(reply, other)}));
	ask_finish(ERR_NONE, __LINE__);

	EXPECT_CALL(ERR_NO_CAPABILITY, SYS_SIGNAL, ((struct registers){.cap = empty}));
	EXPECT_CALL(ERR_WRONG_TYPE, SYS_SIGNAL, ((struct registers){.cap = endpoint}));
	EXPECT_CALL(ERR_RIGHTS, SYS_SIGNAL, ((struct registers){.cap = derive(notification, RIGHT_READ)}));
	EXPECT_CALL(ERR_NO_CAPABILITY, SYS_WAIT, ((struct registers){.cap = empty}));
	EXPECT_CALL(ERR_WRONG_TYPE, SYS_WAIT, ((struct registers){.cap = endpoint}));
	EXPECT_CALL(ERR_RIGHTS, SYS_WAIT, ((struct registers){.cap = derive(notification, RIGHT_WRITE)}));
	EXPECT_CALL(ERR_TIMEOUT, SYS_WAIT, ((struct registers){.cap = notification}));
}

static void faulter(void)
{
	__asm__ volatile("ud2");
	for (;;)
		;
}

TEST(reply_registers_errors, "a thread that faulted gets no registers that it must not have")
{
	cptr_t endpoint = object_new(OBJECT_ENDPOINT, 0), reply = object_new(OBJECT_REPLY, 0);
	struct thread_registers *registers = (struct thread_registers *)&own_buffer->words[6];
	struct worker worker = worker_new(own_space, faulter, PRIORITY_MAX);
	struct registers r = {
	        .cap = endpoint,
	        .info = MESSAGE_INFO(REPLY_REGISTERS, MESSAGE_REGISTER_WORDS + THREAD_REGISTER_WORDS),
	        .reply = reply};

	MUST(worker.thread, THREAD_BIND, BIND_FAULT, endpoint);
	worker_start(&worker);
	EXPECT_CALL(ERR_NONE, SYS_RECV,
	            ((struct registers){.cap = endpoint, .reply = reply, .deadline = soon()}));
	*registers = (struct thread_registers){.rip = 1ul << 63};
	EXPECT_CALL(ERR_RANGE, SYS_REPLY, r);
	EXPECT_CALL(ERR_RANGE, SYS_REPLY_RECV, r);
	*registers = (struct thread_registers){.rip = USER_BASE, .fs_base = 1ul << 63};
	EXPECT_CALL(ERR_RANGE, SYS_REPLY, r);
	EXPECT_CALL(ERR_NONE, SYS_REPLY,
	            ((struct registers){.reply = reply, .info = MESSAGE_INFO(REPLY_STOP, 0)}));
}

/* Notes an error that another thread got as if we had. */
static void noted(uint64_t number, uint64_t status, unsigned line)
{
	ask_finish(status, line);
	note_call(number, ask.status);
}

#define CHAIN 17 /* one longer than a chain may be */
static struct {
	cptr_t endpoints[CHAIN + 1];
	volatile uint64_t status[CHAIN];
	volatile unsigned next;
} chain;

/* Owns its endpoint, and calls the one before it. */
static void chain_link(void)
{
	unsigned number = chain.next++;
	struct registers r = {.cap = chain.endpoints[number + 1]};

	system_call(SYS_RECV, &r);
	r = (struct registers){.cap = chain.endpoints[number], .deadline = DEADLINE_NEVER};
	chain.status[number] = system_call(SYS_CALL, &r);
	for (;;)
		system_call(SYS_YIELD, &THIS);
}

TEST(chain, "threads wait for each other over 16 hops and not over 17")
{
	chain.next = 0;
	for (unsigned i = 0; i <= CHAIN; i++)
		chain.endpoints[i] = object_new(OBJECT_ENDPOINT, 0);
	for (unsigned i = 0; i < CHAIN; i++) {
		struct worker worker = worker_new(own_space, chain_link, PRIORITY_MAX);

		chain.status[i] = 1000;
		worker_start(&worker);
		let_run(3);
	}
	for (unsigned i = 0; i < CHAIN - 1; i++)
		CHECK(chain.status[i] == 1000);
	CHECK(chain.status[CHAIN - 1] == ERR_LIMIT);
	note_call(SYS_CALL, chain.status[CHAIN - 1]);
}

TEST(reply_recv_ends, "who answers and then waits is woken, and told why, when what it waits for ends")
{
	cptr_t endpoint = object_new(OBJECT_ENDPOINT, 0), reply = object_new(OBJECT_REPLY, 0);
	struct worker worker;

	worker = ask_start(SYS_REPLY_RECV, (struct registers){.cap = endpoint,
	                                                      .reply = REPLY_PAIR(0, reply),
	                                                      .deadline = DEADLINE_NEVER});
	CHECK(!ask.done);
	MUST(worker.thread, THREAD_SUSPEND, 0);
	MUST(worker.thread, THREAD_RESUME, 0);
	noted(SYS_REPLY_RECV, ERR_CANCELED, __LINE__);
	MUST(worker.thread, THREAD_SUSPEND, 0);
	ask_start(SYS_REPLY_RECV, (struct registers){.cap = endpoint,
	                                             .reply = REPLY_PAIR(0, reply),
	                                             .deadline = DEADLINE_NEVER});
	EXPECT(ERR_NONE, CNODE, CNODE_DELETE, endpoint);
	noted(SYS_REPLY_RECV, ERR_CLOSED, __LINE__);
}

TEST(waiting_ends, "who waits is woken, and told why, when what it waits for ends")
{
	static const uint64_t calls[] = {SYS_CALL, SYS_SEND, SYS_RECV};
	struct worker worker;
	cptr_t endpoint, reply, notification;

	for (unsigned i = 0; i < 3; i++) {
		endpoint = object_new(OBJECT_ENDPOINT, 0);
		worker = ask_start(calls[i], (struct registers){.cap = endpoint, .deadline = DEADLINE_NEVER});
		CHECK(!ask.done);
		MUST(worker.thread, THREAD_SUSPEND, 0);
		MUST(worker.thread, THREAD_RESUME, 0);
		noted(calls[i], ERR_CANCELED, __LINE__);
		MUST(worker.thread, THREAD_SUSPEND, 0);
		worker = ask_start(calls[i], (struct registers){.cap = endpoint, .deadline = DEADLINE_NEVER});
		EXPECT(ERR_NONE, CNODE, CNODE_DELETE, endpoint);
		noted(calls[i], ERR_CLOSED, __LINE__);
		MUST(worker.thread, THREAD_SUSPEND, 0);
	}
	notification = object_new(OBJECT_NOTIFICATION, 0);
	worker = ask_start(SYS_WAIT, (struct registers){.cap = notification, .deadline = DEADLINE_NEVER});
	MUST(worker.thread, THREAD_SUSPEND, 0);
	MUST(worker.thread, THREAD_RESUME, 0);
	noted(SYS_WAIT, ERR_CANCELED, __LINE__);
	MUST(worker.thread, THREAD_SUSPEND, 0);
	worker = ask_start(SYS_WAIT, (struct registers){.cap = notification, .deadline = DEADLINE_NEVER});
	EXPECT(ERR_NONE, CNODE, CNODE_DELETE, notification);
	noted(SYS_WAIT, ERR_CLOSED, __LINE__);
	MUST(worker.thread, THREAD_SUSPEND, 0);

	/* A call that was received, and the Reply goes. */
	endpoint = object_new(OBJECT_ENDPOINT, 0);
	reply = object_new(OBJECT_REPLY, 0);
	worker = ask_start(SYS_CALL, (struct registers){.cap = endpoint, .deadline = DEADLINE_NEVER});
	EXPECT_CALL(ERR_NONE, SYS_RECV, ((struct registers){.cap = endpoint, .reply = reply}));
	EXPECT(ERR_NONE, CNODE, CNODE_DELETE, reply);
	noted(SYS_CALL, ERR_PEER_DIED, __LINE__);
	MUST(worker.thread, THREAD_SUSPEND, 0);
	/* A call to a receiver that brought no Reply. */
	worker = ask_start(SYS_CALL, (struct registers){.cap = endpoint, .deadline = DEADLINE_NEVER});
	EXPECT_CALL(ERR_TIMEOUT, SYS_RECV, ((struct registers){.cap = endpoint}));
	noted(SYS_CALL, ERR_STATE, __LINE__);
}

static void echo_server(void)
{
	struct registers r = {.cap = own_buffer->words[63] >> 32,
	                      .reply = own_buffer->words[63] & 0xffffffff,
	                      .deadline = DEADLINE_NEVER};
	struct registers give = r;

	system_call(SYS_RECV, &r);
	for (;;) {
		r.words[0] += r.cap; /* the badge */
		r.cap = give.cap;
		r.reply = give.reply;
		r.deadline = DEADLINE_NEVER;
		system_call(SYS_REPLY_RECV, &r);
	}
}

TEST(server_dies, "a caller learns that its server died, and the next server takes who still queues")
{
	cptr_t endpoint = object_new(OBJECT_ENDPOINT, 0), reply = object_new(OBJECT_REPLY, 0);
	struct worker server;
	struct registers r;

	own_buffer->words[63] = (uint64_t)endpoint << 32 | reply;
	server = worker_new(own_space, echo_server, PRIORITY_MAX);
	own_buffer->words[63] = (uint64_t)endpoint << 32 | reply;
	worker_start(&server);
	let_run(3);
	r = EXPECT_CALL(ERR_NONE, SYS_CALL,
	                ((struct registers){.cap = derive_badged(endpoint, RIGHT_WRITE, 5),
	                                    .info = MESSAGE_INFO(9, 2),
	                                    .words = {10, 20},
	                                    .deadline = soon()}));
	CHECK(r.words[0] == 15 && r.words[1] == 20 && message_words(r.info) == 2);
	MUST(server.thread, THREAD_SUSPEND, 0);

	/* Taken by ourselves, then our Reply is the only thing that holds it. */
	ask_start(SYS_CALL, (struct registers){.cap = endpoint, .deadline = DEADLINE_NEVER});
	EXPECT(ERR_NONE, CNODE, CNODE_DELETE, server.thread);
	CHECK(!ask.done);
	EXPECT_CALL(ERR_NONE, SYS_RECV, ((struct registers){.cap = endpoint, .reply = reply}));
	EXPECT_CALL(ERR_NONE, SYS_REPLY, ((struct registers){.reply = reply, .info = 1, .words = {3}}));
	ask_finish(ERR_NONE, __LINE__);
	CHECK(ask.registers.words[0] == 3);
}

TEST(caps_in_messages, "capabilities are copied or moved with a message")
{
	cptr_t endpoint = object_new(OBJECT_ENDPOINT, 0), reply = object_new(OBJECT_REPLY, 0);
	cptr_t memory = object_new(OBJECT_MEMORY, 12), here = slot_new(), there = slot_new();
	struct worker worker = worker_new(own_space, asker, PRIORITY_MAX);
	struct registers r;

	worker.buffer->caps[0] = memory;
	worker.buffer->caps[1] = reply;
	own_buffer->receive_slots[0] = here;
	own_buffer->receive_slots[1] = there;
	ask.number = SYS_SEND;
	ask.registers = (struct registers){
	        .cap = endpoint, .info = MESSAGE_INFO_CAPS(1, 0, 2, 2), .deadline = DEADLINE_NEVER};
	worker_start(&worker);
	let_run(3);
	r = EXPECT_CALL(ERR_NONE, SYS_RECV, ((struct registers){.cap = endpoint}));
	CHECK(message_caps(r.info) == 2 && message_label(r.info) == 1);
	CHECK(MUST(here, MEMORY_INFO, 0).words[0] == 1);
	CHECK(MUST(memory, MEMORY_INFO, 0).words[0] == 1);
	EXPECT_CALL(ERR_NO_CAPABILITY, SYS_REPLY, ((struct registers){.reply = reply}));
	EXPECT_CALL(ERR_STATE, SYS_REPLY, ((struct registers){.reply = there}));
}

TEST(notifications, "bits gather, arrive once, and reach recv by a bound Notification")
{
	cptr_t endpoint = object_new(OBJECT_ENDPOINT, 0), notification = object_new(OBJECT_NOTIFICATION, 0);
	cptr_t one = derive_badged(notification, RIGHT_WRITE, 1),
	       two = derive_badged(notification, RIGHT_WRITE, 2);
	struct registers r;

	EXPECT_CALL(ERR_NONE, SYS_SIGNAL, (struct registers){.cap = one});
	EXPECT_CALL(ERR_NONE, SYS_SIGNAL, (struct registers){.cap = two});
	r = EXPECT_CALL(ERR_NONE, SYS_WAIT, (struct registers){.cap = notification});
	CHECK(r.cap == 3);
	EXPECT_CALL(ERR_TIMEOUT, SYS_WAIT, (struct registers){.cap = notification});
	MUST(INIT_SLOT_THREAD, THREAD_BIND, BIND_NOTIFICATION, notification);
	EXPECT_CALL(ERR_NONE, SYS_SIGNAL, (struct registers){.cap = two});
	r = EXPECT_CALL(RECV_NOTIFICATION, SYS_RECV, (struct registers){.cap = endpoint});
	CHECK(r.cap == 2);
	/* And while it waits. */
	ask_start(SYS_SIGNAL, (struct registers){.cap = one});
	ask.done = false;
	MUST(INIT_SLOT_THREAD, THREAD_BIND, BIND_NOTIFICATION, CPTR_NULL);
}
