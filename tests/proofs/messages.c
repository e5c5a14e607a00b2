/* SPDX-License-Identifier: MIT */
/*
 * Endpoints and Replies with inheritance (kernel/core/endpoint.c, reply.c, inherit.c, thread.c): each
 * operation, on any state of THREADS threads, ENDPOINTS endpoints and REPLIES Replies that docs/invariants.md
 * 9 to 13 and 16 to 18 allow, leaves one that they allow. So each thread has, after every operation, exactly
 * the priority, depth and context that those lend it who wait for it.
 *
 * Run queues and wait queues are stood for by their contracts, which `ready` and `wait` prove: a thread is
 * queued or not; a wait queue's first has the least key, and who waits alone has one, too. One CPU. What a
 * message carries is left out, but that it may take a Reply along.
 */
#ifndef THREADS
#define THREADS 2
#endif
#ifndef ENDPOINTS
#define ENDPOINTS 1
#endif
#ifndef REPLIES
#define REPLIES 1
#endif
#ifndef CHAIN
#define CHAIN 2
#endif

#include "proof.h"

#include <kernel/endpoint.h>

/* An object is found by its part: by looking for it, without arithmetic on addresses. */
static struct thread *find_waiting(const struct heap_node *node);
static struct endpoint *find_sent_to(const struct wait_queue *senders);
#define thread_of_wait      find_waiting
#define endpoint_of_senders find_sent_to

#include "kernel/core/endpoint.c"
#include "kernel/core/inherit.c"
#include "kernel/core/reply.c"
#include "kernel/core/thread.c"

#include "kernel/core/invariants.c"

#define ARRIVALS 7 /* a mask: enough to tell in which order threads have come */
#ifndef OP
#define OP any_below(14)
#endif

/* Objects of their own, so that a pointer is one of a few and not an offset. */
static struct thread thread_0, thread_1, thread_2;
static struct sched_context context_0, context_1, context_2;
static struct endpoint endpoint_0, endpoint_1;
static struct reply reply_0, reply_1, reply_2;
static struct thread *const threads[] = {&thread_0, &thread_1, &thread_2};
static struct sched_context *const contexts[] = {&context_0, &context_1, &context_2};
static struct endpoint *const endpoints[] = {&endpoint_0, &endpoint_1};
static struct reply *const replies[] = {&reply_0, &reply_1, &reply_2};
static struct notification notification; /* waited for by whoever is BLOCKED_WAIT */
static struct cpu cpu;

static struct thread *find_waiting(const struct heap_node *node)
{
	for (unsigned i = 0; i < THREADS; i++) {
		if (node == &threads[i]->wait)
			return threads[i];
	}
	return NULL;
}

static struct endpoint *find_sent_to(const struct wait_queue *senders)
{
	for (unsigned i = 0; i < ENDPOINTS; i++) {
		if (senders == &endpoints[i]->senders)
			return endpoints[i];
	}
	return NULL;
}

/* ---- the machine ---- */

struct cpu *arch_this_cpu(void)
{
	return &cpu;
}

uint64_t arch_time(void)
{
	return nondet_u64();
}

bool preempt_wanted(void)
{
	return nondet_bool();
}

bool arch_exception_is_trap(uint64_t vector)
{
	(void)vector;
	return nondet_bool();
}

void arch_vector_drop(struct thread *thread)
{
	(void)thread;
}

/* Who is not at home travels: not with one CPU. */
void thread_travel(struct thread *thread, struct cpu *to, enum trip trip)
{
	(void)thread, (void)to, (void)trip;
	prove(!"a thread travels");
}

void thread_boost(struct thread *thread, unsigned priority)
{
	(void)thread, (void)priority;
	prove(!"a thread is away");
}

struct cpu *thread_next_stop(const struct thread *thread)
{
	return thread->home;
}

/* ---- run queues ---- */

void sched_enqueue(struct thread *thread)
{
	if (thread->state == THREAD_STATE_READY && sched_context_usable(thread->sched))
		thread->queued = true;
}

void sched_enqueue_first(struct thread *thread)
{
	sched_enqueue(thread);
}

void sched_dequeue(struct thread *thread)
{
	thread->queued = false;
}

void sched_leave(struct thread *thread)
{
	if (cpu.current == thread)
		cpu.current = NULL;
}

/* ---- wait queues: `rank` tells who is in the one that it waits on ---- */

static bool is_in(const struct thread *thread, const struct wait_queue *queue)
{
	return thread->wait.rank && thread->waits_on == queue;
}

/* The one with the least key; NULL: there is none. */
static struct heap_node *least_of(const struct wait_queue *queue)
{
	struct thread *found = NULL;

	for (unsigned i = 0; i < THREADS; i++) {
		if (is_in(threads[i], queue) && (!found || threads[i]->wait.key < found->wait.key))
			found = threads[i];
	}
	return found ? &found->wait : NULL;
}

/* Each queue by its name: the prover is slow at writing through a pointer into the middle of an object. */
static void queue_update(const struct wait_queue *queue)
{
	if (queue == &notification.waiters)
		notification.waiters.waiting.root = least_of(&notification.waiters);
	for (unsigned i = 0; i < ENDPOINTS; i++) {
		if (queue == &endpoints[i]->senders)
			endpoints[i]->senders.waiting.root = least_of(&endpoints[i]->senders);
		if (queue == &endpoints[i]->receivers)
			endpoints[i]->receivers.waiting.root = least_of(&endpoints[i]->receivers);
	}
}

static void queue_put(struct wait_queue *queue, struct thread *thread, uint64_t key)
{
	thread->wait.key = key;
	thread->wait.rank = 1;
	queue_update(queue);
}

void queue_insert(struct wait_queue *queue, struct thread *thread)
{
	prove(!thread->wait.rank && thread->waits_on == queue);
	queue_put(queue, thread, queue_key(thread->priority, ++queue->arrivals));
}

void queue_remove(struct wait_queue *queue, struct thread *thread)
{
	prove(is_in(thread, queue));
	thread->wait.rank = 0;
	queue_update(queue);
}

void queue_rekey(struct wait_queue *queue, struct thread *thread)
{
	prove(is_in(thread, queue));
	queue_put(queue, thread, queue_key(thread->priority, thread->wait.key & ((1ul << ARRIVAL_BITS) - 1)));
}

struct thread *queue_first(const struct wait_queue *queue)
{
	return queue->waiting.root ? thread_of_wait(queue->waiting.root) : NULL;
}

bool queue_valid(const struct wait_queue *queue)
{
	return queue->waiting.root == least_of(queue);
}

/* The first, then the others. */
const struct heap_node *heap_next(const struct heap_node *node)
{
	const struct wait_queue *queue = find_waiting(node)->waits_on;
	bool passed = node == queue->waiting.root;

	for (unsigned i = 0; i < THREADS; i++) {
		if (passed && is_in(threads[i], queue) && &threads[i]->wait != queue->waiting.root)
			return &threads[i]->wait;
		passed |= node == &threads[i]->wait;
	}
	return NULL;
}

/* ---- deadlines ---- */

void deadline_arm(struct deadline *deadline, deadline_t when)
{
	prove(!deadline_armed(deadline));
	deadline->node.rank = 1;
	deadline->node.key = when;
}

void deadline_disarm(struct deadline *deadline)
{
	deadline->node.rank = 0;
}

/* ---- messages ---- */

enum error message_check(const struct thread *sender, uint64_t info, bool can_grant)
{
	(void)sender, (void)info, (void)can_grant;
	return nondet_bool() ? ERR_NONE : ERR_ARGUMENT;
}

void message_transfer(struct thread *sender, struct thread *receiver)
{
	(void)sender, (void)receiver;
	if (nondet_bool())
		reply_park(replies[REPLIES - 1]);
}

void message_transfer_kernel(struct thread *sender, struct thread *receiver)
{
	(void)sender, (void)receiver;
}

/* Its bits have been taken, or there were none. */
bool notification_take_bound(struct thread *thread)
{
	(void)thread;
	return nondet_bool();
}

void slot_unbind(struct slot *slot)
{
	(void)slot;
}

/* ---- any state ---- */

static struct thread *any_thread(void)
{
	unsigned i = any_below(THREADS + 1);

	return i < THREADS ? threads[i] : NULL;
}

static struct endpoint *any_endpoint(void)
{
	unsigned i = any_below(ENDPOINTS + 1);

	return i < ENDPOINTS ? endpoints[i] : NULL;
}

static struct reply *any_reply(void)
{
	unsigned i = any_below(REPLIES + 1);

	return i < REPLIES ? replies[i] : NULL;
}

static struct wait_queue *any_queue(void)
{
	struct endpoint *endpoint = any_endpoint();

	if (endpoint)
		return nondet_bool() ? &endpoint->senders : &endpoint->receivers;
	return nondet_bool() ? &notification.waiters : NULL;
}

static struct sched_context *any_context(void)
{
	unsigned i = any_below(THREADS + 1);

	return i < THREADS ? contexts[i] : NULL;
}

static void make_any_queue(struct wait_queue *queue)
{
	queue->waiting.root = nondet_bool() ? &threads[any_below(THREADS)]->wait : NULL;
	queue->arrivals = nondet_unsigned() & ARRIVALS;
}

static void make_any_thread(struct thread *thread, struct sched_context *own)
{
	thread->state = (uint8_t)(nondet_unsigned() & 7);
	assume(thread->state <= THREAD_STATE_BLOCKED_WAIT);
	thread->message = (uint8_t)(nondet_unsigned() & 3);
	thread->depth = (uint8_t)any_below(CHAIN_MAX + 1);
	thread->priority = (uint8_t)nondet_unsigned();
	thread->base_priority = (uint8_t)nondet_unsigned();
	thread->queued = nondet_bool();
	thread->sched = any_context();
	thread->own = nondet_bool() ? own : NULL;
	thread->wait.key = queue_key(thread->priority, nondet_unsigned() & ARRIVALS);
	thread->wait.rank = nondet_bool();
	thread->waits_on = any_queue();
	thread->reply = any_reply();
	thread->active = any_reply();
	thread->owns = any_endpoint();
	thread->deadline.node.rank = nondet_bool();
	thread->deadline.node.key = nondet_u64();
	*context_deadline(&thread->context) = nondet_u64();
	thread->bindings[BIND_VSPACE].type = OBJECT_VSPACE;
	own->left = nondet_bool();
}

static void make_any_state(void)
{
	cpu.current = any_thread();
	make_any_queue(&notification.waiters);
	for (unsigned i = 0; i < THREADS; i++)
		make_any_thread(threads[i], contexts[i]);
	for (unsigned i = 0; i < REPLIES; i++) {
		replies[i]->state = nondet_unsigned() & 3;
		replies[i]->caller = any_thread();
		replies[i]->holder = any_thread();
		/* The checker looks into them. */
		assume(replies[i]->caller || replies[i]->state < REPLY_ACTIVE);
		assume(replies[i]->holder ||
		       (replies[i]->state != REPLY_EXPECTING && replies[i]->state != REPLY_ACTIVE));
	}
	for (unsigned i = 0; i < ENDPOINTS; i++) {
		make_any_queue(&endpoints[i]->senders);
		make_any_queue(&endpoints[i]->receivers);
		endpoints[i]->closed = nondet_bool();
		endpoints[i]->owner = any_thread();
		for (unsigned j = 0; j < CHAIN_MAX; j++)
			endpoints[i]->depths[j] = nondet_unsigned() & 3;
	}
}

static void check_key(const struct thread *thread)
{
	require(thread->wait.rank == (thread->waits_on != NULL));
	if (!thread->waits_on)
		return;
	require((thread->wait.key >> ARRIVAL_BITS) == (uint64_t)(PRIORITY_MAX - thread->priority));
	require((thread->wait.key & ((1ul << ARRIVAL_BITS) - 1)) <= thread->waits_on->arrivals);
	for (unsigned i = 0; i < THREADS; i++)
		require(threads[i] == thread || threads[i]->waits_on != thread->waits_on ||
		        (threads[i]->wait.key ^ thread->wait.key) << (64 - ARRIVAL_BITS));
}

static void check_all(void)
{
	for (unsigned i = 0; i < THREADS; i++) {
		check_key(threads[i]);
		check_thread_state(threads[i]);
		check_thread_replies(threads[i]);
		check_lent(threads[i]);
		check_inherited(threads[i]);
	}
	for (unsigned i = 0; i < REPLIES; i++)
		check_reply(replies[i]);
	for (unsigned i = 0; i < ENDPOINTS; i++)
		check_endpoint(endpoints[i]);
	check_queue(&notification.waiters, THREAD_STATE_BLOCKED_WAIT);
}

/* ---- operations ---- */

static void send(struct thread *thread)
{
	deadline_t deadline = nondet_u64();

	thread->message = (uint8_t)(nondet_unsigned() & 3);
	*context_deadline(&thread->context) = deadline;
	if (thread->message > MESSAGE_SEND)
		deadline = DEADLINE_NEVER; /* the kernel's own */
	if (endpoint_send(endpoints[0], thread, deadline))
		prove(thread->state == THREAD_STATE_RUNNING);
}

static void receive(struct thread *thread)
{
	struct reply *reply = nondet_bool() ? replies[0] : NULL;
	unsigned status;

	assume(!reply || reply->state == REPLY_IDLE);
	*context_deadline(&thread->context) = nondet_u64();
	status = endpoint_recv(endpoints[0], thread, reply);
	prove((status == STATUS_BLOCKED) == (thread->state == THREAD_STATE_BLOCKED_RECV));
	prove(status != STATUS_BLOCKED || !thread->active);
	prove(status == STATUS_BLOCKED || thread->state == THREAD_STATE_RUNNING ||
	      thread->state == THREAD_STATE_READY);
}

static void answer(struct thread *thread, uint64_t info)
{
	struct thread *caller = replies[0]->caller;

	*context_info(&thread->context) = info;
	if (reply_answer(thread, replies[0]))
		return;
	prove(replies[0]->state == REPLY_IDLE && !caller->reply);
	prove(caller->state ==
	      (info && caller->message != MESSAGE_CALL ? THREAD_STATE_STOPPED : THREAD_STATE_READY));
}

/* The Reply is deleted, or whoever held it. */
static void fail(void)
{
	struct thread *caller = replies[0]->caller;

	reply_fail(replies[0]);
	prove(replies[0]->state == REPLY_IDLE);
	if (!caller)
		return;
	prove(!caller->reply);
	if (caller->message == MESSAGE_CALL)
		prove(caller->state == THREAD_STATE_READY &&
		      *context_status(&caller->context) == ERR_PEER_DIED);
}

static void destroy(struct thread *thread)
{
	struct thread *caller = thread->active ? thread->active->caller : NULL;

	thread_destroy(thread);
	prove(!thread->active && !thread->reply && !thread->owns && !thread->waits_on && !thread->queued);
	if (caller && caller->message == MESSAGE_CALL)
		prove(caller->state == THREAD_STATE_READY &&
		      *context_status(&caller->context) == ERR_PEER_DIED);
	for (unsigned i = 0; i < REPLIES; i++)
		prove(replies[i]->caller != thread && replies[i]->holder != thread);
	thread->state = THREAD_STATE_STOPPED;
}

int main(void)
{
	struct thread *thread;
	struct thread *server;

	for (unsigned i = 0; i < THREADS; i++)
		threads[i]->home = threads[i]->cpu = &cpu;
	thread = threads[0]; /* they are alike, and so are endpoints and Replies */
	if (OP == 14) {      /* the first state */
		check_all();
		return 0;
	}
	make_any_state();
	proof_assuming = true;
	check_all();
	proof_assuming = false;
	switch (OP) {
	case 0:
		assume(thread->state == THREAD_STATE_RUNNING);
		send(thread);
		break;
	case 1:
		assume(thread->state == THREAD_STATE_RUNNING);
		receive(thread);
		break;
	case 2:
		assume(thread->state == THREAD_STATE_RUNNING);
		answer(thread, 0);
		break;
	case 3:
		assume(thread->state == THREAD_STATE_RUNNING);
		answer(thread, MESSAGE_INFO(REPLY_STOP, 0));
		break;
	case 4:
		reply_park(replies[0]);
		prove(replies[0]->state != REPLY_ACTIVE);
		break;
	case 5:
		fail();
		break;
	case 6: /* its deadline, or the end of what it waits for */
		if (nondet_bool()) {
			deadline_disarm(&thread->deadline);
			thread_expire(thread, nondet_u64());
			break;
		}
		thread_cancel(thread, ERR_TIMEOUT);
		prove(!thread_waits(thread));
		break;
	case 7:
		thread_suspend(thread);
		prove(thread->state == THREAD_STATE_STOPPED && cpu.current != thread);
		break;
	case 8:
		thread->base_priority = (uint8_t)nondet_unsigned();
		thread_inherit(thread);
		break;
	case 9: /* its budget ends, or comes back, or it gets another context */
		contexts[0]->left = nondet_bool();
		thread->own = nondet_bool() ? contexts[0] : NULL;
		thread_inherit(thread);
		break;
	case 10:
		destroy(thread);
		break;
	case 11:
		if (endpoint_fail_one(endpoints[0], nondet_bool()))
			break;
		endpoint_set_owner(endpoints[0], NULL);
		break;
	case 12: /* resume */
		if (thread->state == THREAD_STATE_STOPPED)
			thread_wake(thread);
		break;
	default:
		server = thread_waits_for(thread) ? (struct thread *)thread_waits_for(thread) : thread;
		prove(server->priority >= thread->priority);
		prove(server == thread || server->depth > thread->depth);
		return 0;
	}
	check_all();
	return 0;
}
