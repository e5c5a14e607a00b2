/* SPDX-License-Identifier: MIT */
/* Endpoints, replies, notifications: between this thread and workers of lower priority. */
#include "test.h"

#define LOW 100

/* What the workers are told, and tell. */
static struct {
	volatile cptr_t endpoint, reply, other;
	volatile uint64_t status[WORKERS], badge[WORKERS], info[WORKERS], word[WORKERS];
	volatile uint64_t count;
	volatile uint64_t send_info;
	volatile deadline_t deadline;
} shared;

static void share(cptr_t endpoint, cptr_t reply)
{
	shared.endpoint = endpoint;
	shared.reply = reply;
	shared.other = 0;
	shared.count = 0;
	shared.send_info = MESSAGE_INFO(3, 2);
	shared.deadline = DEADLINE_NEVER;
	for (unsigned i = 0; i < WORKERS; i++)
		shared.status[i] = 0xdead;
}

static void call_as(unsigned number)
{
	struct registers r = {.cap = shared.endpoint,
	                      .info = shared.send_info,
	                      .words = {10 + number, 20, 30, 40, 50, 60},
	                      .deadline = shared.deadline};

	shared.status[number] = system_call(SYS_CALL, &r);
	covered(0x100 + SYS_CALL, shared.status[number]);
	shared.word[number] = r.words[0];
	shared.info[number] = r.info;
	shared.count++;
	worker_rest();
}

static void caller_0(void)
{
	call_as(0);
}

static void caller_1(void)
{
	call_as(1);
}

static void sender_2(void)
{
	struct registers r = {.cap = shared.endpoint,
	                      .info = MESSAGE_INFO(9, 1),
	                      .words = {99},
	                      .deadline = DEADLINE_NEVER};

	shared.status[2] = system_call(SYS_SEND, &r);
	covered(0x100 + SYS_SEND, shared.status[2]);
	worker_rest();
}

/* Receives, adds one to the first word, answers, for ever. */
static void server_3(void)
{
	struct registers r = {.cap = shared.endpoint, .reply = shared.reply, .deadline = DEADLINE_NEVER};
	uint64_t status = system_call(SYS_RECV, &r);

	while (status == ERR_NONE) {
		shared.count++;
		shared.badge[3] = r.cap;
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

/* Receives once and keeps the caller. */
static void holder_4(void)
{
	struct registers r = {.cap = shared.endpoint, .reply = shared.reply, .deadline = DEADLINE_NEVER};

	shared.status[4] = system_call(SYS_RECV, &r);
	worker_rest();
}

static void waiter_5(void)
{
	struct registers r = {.cap = shared.other, .deadline = shared.deadline};

	shared.status[5] = system_call(SYS_WAIT, &r);
	covered(0x100 + SYS_WAIT, shared.status[5]);
	shared.badge[5] = r.cap;
	worker_rest();
}

static void test_call(void)
{
	cptr_t endpoint = new_endpoint(), badged = derived(endpoint, RIGHT_WRITE, 77, 0);
	struct worker server;

	share(endpoint, new_reply());
	server = worker_new(3, server_3, LOW);
	worker_start(&server);
	for (unsigned i = 0; i < 100; i++) {
		last = (struct registers){.cap = i % 2 ? endpoint : badged,
		                          .info = MESSAGE_INFO(1, 1),
		                          .words = {i},
		                          .deadline = DEADLINE_NEVER};
		OK(sys(SYS_CALL));
		CHECK(last.words[0] == i + 1 && shared.badge[3] == (i % 2 ? 0 : 77));
	}
	CHECK(shared.count == 100);
}

static void test_queue_by_priority(void)
{
	cptr_t endpoint = new_endpoint(), reply = new_reply();
	struct worker a, b, c;

	share(endpoint, reply);
	a = worker_new(0, caller_0, LOW);
	b = worker_new(1, caller_1, LOW + 2);
	c = worker_new(2, sender_2, LOW + 1);
	worker_start(&a);
	worker_start(&b);
	worker_start(&c);
	settle();
	OK(send_(SYS_RECV, endpoint, 0, reply, DEADLINE_POLL));
	CHECK(last.words[0] == 11 && last.words[1] == 20 && last.info == MESSAGE_INFO(3, 2));
	EXPECT(send_(SYS_RECV, endpoint, 0, reply, DEADLINE_POLL), ERR_STATE); /* the Reply is in use */
	last = (struct registers){.info = MESSAGE_INFO(8, 1), .words = {500}, .reply = reply};
	OK(sys(SYS_REPLY));
	EXPECT(send_(SYS_REPLY, 0, 0, reply, 0), ERR_STATE); /* used once */
	OK(send_(SYS_RECV, endpoint, 0, reply, DEADLINE_POLL));
	CHECK(last.words[0] == 99 && message_label(last.info) == 9);
	OK(send_(SYS_RECV, endpoint, 0, reply, DEADLINE_POLL));
	CHECK(last.words[0] == 10);
	last = (struct registers){.cap = endpoint,
	                          .info = MESSAGE_INFO(8, 1),
	                          .words = {501},
	                          .reply = REPLY_PAIR(reply, 0),
	                          .deadline = DEADLINE_POLL};
	EXPECT(sys(SYS_REPLY_RECV), ERR_TIMEOUT);
	settle();
	CHECK(shared.status[0] == ERR_NONE && shared.word[0] == 501 && shared.info[0] == MESSAGE_INFO(8, 1));
	CHECK(shared.status[1] == ERR_NONE && shared.word[1] == 500 && shared.status[2] == ERR_NONE);
}

static void test_no_reply_object(void)
{
	cptr_t endpoint = new_endpoint();
	struct worker a, c;

	share(endpoint, 0);
	a = worker_new(0, caller_0, LOW + 1);
	c = worker_new(2, sender_2, LOW);
	worker_start(&a);
	worker_start(&c);
	settle();
	OK(send_(SYS_RECV, endpoint, 0, CPTR_NULL, DEADLINE_POLL));
	CHECK(last.words[0] == 99); /* the send; the call before it was refused */
	settle();
	CHECK(shared.status[0] == ERR_STATE);
}

static void test_long_message(void)
{
	cptr_t endpoint = new_endpoint(), reply = new_reply();
	struct worker a;

	share(endpoint, reply);
	shared.send_info = MESSAGE_INFO(1, 64);
	a = worker_new(0, caller_0, LOW);
	for (unsigned i = 0; i < MESSAGE_WORDS; i++)
		a.buffer->words[i] = 1000 + i;
	worker_start(&a);
	settle();
	OK(send_(SYS_RECV, endpoint, 0, reply, DEADLINE_POLL));
	CHECK(message_words(last.info) == 64 && last.words[5] == 60);
	for (unsigned i = 6; i < MESSAGE_WORDS; i++)
		CHECK(own_buffer->words[i] == 1000 + i);
	for (unsigned i = 6; i < MESSAGE_WORDS; i++)
		own_buffer->words[i] = 2000 + i;
	OK(send_(SYS_REPLY, 0, MESSAGE_INFO(0, 40), reply, 0));
	settle();
	CHECK(a.buffer->words[6] == 2006 && a.buffer->words[39] == 2039 && a.buffer->words[40] == 1040);
	/* Without an IPC buffer nothing longer than the registers can be sent, or received. */
	OK(op(a.thread, THREAD_SUSPEND));
	OK(op(a.thread, THREAD_BIND, BIND_IPC_BUFFER, CPTR_NULL));
	a.thread = 0;
}

static void test_capabilities(void)
{
	cptr_t endpoint = new_endpoint(), reply = new_reply(), a_cap = new_notification(),
	       b_cap = new_notification();
	cptr_t to_a = slot_new(), to_b = slot_new(), back = slot_new();
	struct worker a;

	share(endpoint, reply);
	shared.send_info = MESSAGE_INFO_CAPS(1, 0, 3, 2);
	a = worker_new(0, caller_0, LOW);
	a.buffer->caps[0] = a_cap;
	a.buffer->caps[1] = b_cap;
	a.buffer->caps[2] = a_cap;
	a.buffer->receive_slots[0] = back;
	worker_start(&a);
	settle();
	own_buffer->receive_slots[0] = to_a;
	own_buffer->receive_slots[1] = to_b;
	own_buffer->receive_slots[2] = endpoint; /* not empty: ends the transfer */
	OK(send_(SYS_RECV, endpoint, 0, reply, DEADLINE_POLL));
	CHECK(message_caps(last.info) == 2);
	CHECK(present(a_cap) && present(to_a) && !present(b_cap) && present(to_b));
	OK(op(INIT_SLOT_CNODE, CNODE_REVOKE, a_cap));
	CHECK(!present(to_a)); /* a copy is derived */
	own_buffer->caps[0] = to_b;
	OK(send_(SYS_REPLY, 0, MESSAGE_INFO_CAPS(0, 0, 1, 1), reply, 0));
	settle();
	CHECK(!present(to_b) && present(back) && message_caps(shared.info[0]) == 1);
}

static void test_peer_died(void)
{
	cptr_t endpoint = new_endpoint(), reply = new_reply();
	struct worker a, holder;

	share(endpoint, reply);
	/* The Reply is deleted. */
	a = worker_new(0, caller_0, LOW);
	worker_start(&a);
	settle();
	OK(send_(SYS_RECV, endpoint, 0, reply, DEADLINE_POLL));
	OK(op(INIT_SLOT_CNODE, CNODE_DELETE, reply));
	settle();
	CHECK(shared.status[0] == ERR_PEER_DIED);
	/* The thread that holds it is deleted; a call that was still queued stays queued. */
	shared.reply = reply = new_reply();
	holder = worker_new(4, holder_4, LOW);
	worker_start(&holder);
	settle();
	a = worker_new(1, caller_1, LOW);
	worker_start(&a);
	settle();
	CHECK(shared.status[4] == ERR_NONE && shared.status[1] == 0xdead);
	a = worker_new(2, sender_2, LOW);
	worker_start(&a);
	OK(op(INIT_SLOT_CNODE, CNODE_DELETE, holder.thread));
	settle();
	CHECK(shared.status[1] == ERR_PEER_DIED && shared.status[2] == 0xdead);
	OK(send_(SYS_RECV, endpoint, 0, reply, DEADLINE_POLL));
	settle();
	CHECK(shared.status[2] == ERR_NONE);
	/* The thread that holds it is made to do something else. */
	shared.reply = new_reply();
	holder = worker_new(4, holder_4, LOW);
	worker_start(&holder);
	a = worker_new(0, caller_0, LOW);
	shared.status[0] = 0xdead;
	worker_start(&a);
	settle();
	CHECK(shared.status[4] == ERR_NONE && shared.status[0] == 0xdead);
	OK(op(holder.thread, THREAD_SUSPEND));
	OK(op(holder.thread, THREAD_READ_REGISTERS));
	settle();
	CHECK(shared.status[0] == 0xdead);
	OK(op(holder.thread, THREAD_WRITE_REGISTERS));
	settle();
	CHECK(shared.status[0] == ERR_PEER_DIED);
}

static void test_close(void)
{
	cptr_t endpoint = new_endpoint();
	struct worker a, c, server;

	share(endpoint, new_reply());
	a = worker_new(0, caller_0, LOW);
	c = worker_new(2, sender_2, LOW);
	worker_start(&a);
	worker_start(&c);
	settle();
	OK(op(endpoint, ENDPOINT_CLOSE));
	settle();
	CHECK(shared.status[0] == ERR_CLOSED && shared.status[2] == ERR_CLOSED);
	EXPECT(send_(SYS_CALL, endpoint, 0, 0, DEADLINE_NEVER), ERR_CLOSED);
	EXPECT(send_(SYS_SEND, endpoint, 0, 0, DEADLINE_NEVER), ERR_CLOSED);
	OK(op(endpoint, ENDPOINT_OPEN));
	EXPECT(send_(SYS_SEND, endpoint, 0, 0, DEADLINE_POLL), ERR_TIMEOUT);
	/* Nor does it go to who waits for it; and nobody speaks with the kernel's voice. */
	server = worker_new(3, server_3, LOW);
	worker_start(&server);
	settle();
	OK(op(endpoint, ENDPOINT_CLOSE));
	for (unsigned words = 0; words <= MESSAGE_WORDS; words += MESSAGE_WORDS)
		EXPECT(send_(SYS_CALL, endpoint, MESSAGE_INFO(0, words), 0, DEADLINE_NEVER), ERR_CLOSED);
	OK(op(endpoint, ENDPOINT_OPEN));
	for (unsigned words = 0; words <= MESSAGE_WORDS; words += MESSAGE_WORDS) {
		EXPECT(send_(SYS_CALL, endpoint, MESSAGE_INFO(LABEL_KERNEL, words), 0, DEADLINE_NEVER),
		       ERR_ARGUMENT);
		EXPECT(send_(SYS_CALL, endpoint, MESSAGE_INFO(LABEL_PAGE_FAULT, words), 0, DEADLINE_NEVER),
		       ERR_ARGUMENT);
	}
	OK(send_(SYS_CALL, endpoint, MESSAGE_INFO(LABEL_KERNEL - 1, MESSAGE_WORDS), 0, DEADLINE_NEVER));
}

static void test_deadlines(void)
{
	cptr_t endpoint = new_endpoint(), notification = new_notification(), reply = new_reply();
	uint64_t from = now(), until = from + 3000000;
	struct worker a;

	EXPECT(send_(SYS_WAIT, notification, 0, 0, until), ERR_TIMEOUT);
	CHECK(now() >= until && now() < until + 100000000);
	EXPECT(send_(SYS_RECV, endpoint, 0, reply, now() + 1000000), ERR_TIMEOUT);
	EXPECT(send_(SYS_CALL, endpoint, 0, 0, now() + 1000000), ERR_TIMEOUT);
	EXPECT(send_(SYS_SEND, endpoint, 0, 0, from), ERR_TIMEOUT);
	/* Of a call the deadline covers the queue only. */
	share(endpoint, reply);
	shared.deadline = now() + 300000000;
	a = worker_new(0, caller_0, LOW);
	worker_start(&a);
	OK(send_(SYS_RECV, endpoint, 0, reply, DEADLINE_NEVER));
	EXPECT(send_(SYS_WAIT, notification, 0, 0, shared.deadline + 50000000), ERR_TIMEOUT);
	CHECK(shared.status[0] == 0xdead);
	EXPECT(send_(SYS_REPLY_RECV, endpoint, 1ul << 7, REPLY_PAIR(reply, 0), DEADLINE_POLL), ERR_ARGUMENT);
	OK(send_(SYS_REPLY, 0, 0, reply, 0));
	settle();
	CHECK(shared.status[0] == ERR_NONE);
	shared.deadline = now() + 300000000;
	a = worker_new(1, caller_1, LOW);
	worker_start(&a);
	EXPECT(send_(SYS_WAIT, notification, 0, 0, shared.deadline + 50000000), ERR_TIMEOUT);
	settle();
	CHECK(shared.status[1] == ERR_TIMEOUT);
}

static void test_notification(void)
{
	cptr_t notification = new_notification(), one = derived(notification, RIGHT_WRITE, 1, 0),
	       four = derived(notification, RIGHT_WRITE, 4, 0);
	struct worker waiter;

	EXPECT(send_(SYS_WAIT, notification, 0, 0, DEADLINE_POLL), ERR_TIMEOUT);
	OK(send_(SYS_SIGNAL, one, 0, 0, 0));
	OK(send_(SYS_SIGNAL, four, 0, 0, 0));
	OK(send_(SYS_WAIT, notification, 0, 0, DEADLINE_POLL));
	CHECK(last.cap == 5);
	EXPECT(send_(SYS_WAIT, notification, 0, 0, DEADLINE_POLL), ERR_TIMEOUT);
	share(0, 0);
	shared.other = notification;
	waiter = worker_new(5, waiter_5, LOW);
	worker_start(&waiter);
	settle();
	OK(send_(SYS_SIGNAL, four, 0, 0, 0));
	settle();
	CHECK(shared.status[5] == ERR_NONE && shared.badge[5] == 4);
	/* One that is destroyed under a waiter. */
	waiter = worker_new(5, waiter_5, LOW);
	worker_start(&waiter);
	settle();
	OK(op(INIT_SLOT_CNODE, CNODE_DELETE, notification));
	settle();
	CHECK(shared.status[5] == ERR_CLOSED && !present(one));
}

static void test_bound_notification(void)
{
	cptr_t endpoint = new_endpoint(), notification = new_notification(), reply = new_reply();
	struct worker a = worker_new(0, caller_0, LOW);

	share(endpoint, reply);
	OK(op(INIT_SLOT_THREAD, THREAD_BIND, BIND_NOTIFICATION, notification));
	EXPECT(op(a.thread, THREAD_BIND, BIND_NOTIFICATION, notification), ERR_OCCUPIED);
	OK(send_(SYS_SIGNAL, derived(notification, RIGHT_WRITE, 16, 0), 0, 0, 0));
	worker_start(&a);
	CHECK(send_(SYS_RECV, endpoint, 0, reply, DEADLINE_NEVER) == RECV_NOTIFICATION && last.cap == 16);
	OK(send_(SYS_RECV, endpoint, 0, reply, DEADLINE_NEVER));
	CHECK(last.words[0] == 10);
	last = (struct registers){
	        .cap = endpoint, .reply = REPLY_PAIR(reply, 0), .deadline = now() + 1000000};
	EXPECT(sys(SYS_REPLY_RECV), ERR_TIMEOUT);
	OK(op(INIT_SLOT_THREAD, THREAD_BIND, BIND_NOTIFICATION, CPTR_NULL));
}

static void test_parked(void)
{
	cptr_t endpoint = new_endpoint(), first = new_reply(), second = new_reply();
	struct worker a, b;

	share(endpoint, 0);
	a = worker_new(0, caller_0, LOW + 1);
	b = worker_new(1, caller_1, LOW);
	worker_start(&a);
	worker_start(&b);
	OK(send_(SYS_RECV, endpoint, 0, first, DEADLINE_NEVER));
	OK(send_(SYS_RECV, endpoint, 0, second, DEADLINE_NEVER)); /* parks the first */
	last = (struct registers){.info = MESSAGE_INFO(0, 1), .words = {2}, .reply = second};
	OK(sys(SYS_REPLY));
	last = (struct registers){.info = MESSAGE_INFO(0, 1), .words = {1}, .reply = first};
	OK(sys(SYS_REPLY));
	settle();
	CHECK(shared.word[0] == 1 && shared.word[1] == 2);
	EXPECT(send_(SYS_REPLY_RECV, endpoint, 1ul << 7, REPLY_PAIR(first, 0), DEADLINE_POLL), ERR_STATE);
}

const struct test tests_ipc[] = {
        {"ipc.call", "calls and replies, with badges", test_call},
        {"ipc.queue", "waiting senders are received by priority", test_queue_by_priority},
        {"ipc.no-reply", "a receiver without a Reply takes sends only", test_no_reply_object},
        {"ipc.words", "64 words pass through the IPC buffers", test_long_message},
        {"ipc.capabilities", "capabilities are copied and moved, as far as there are slots",
         test_capabilities},
        {"ipc.peer-died", "nobody waits for the dead, and queued calls stay queued", test_peer_died},
        {"ipc.close", "a closed endpoint fails queued and later calls", test_close},
        {"ipc.deadlines", "deadlines end waits, and not before their time", test_deadlines},
        {"notification", "signals gather and wake", test_notification},
        {"notification.bound", "recv delivers the bound notification's bits", test_bound_notification},
        {"ipc.parked", "several callers are kept and answered in any order", test_parked},
        {0},
};
