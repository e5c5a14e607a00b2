/* SPDX-License-Identifier: MIT */
/*
 * Every object, in every state, deleted in every way. A situation makes the object, out of an Untyped of its
 * own, and the thread that its end concerns; a way takes it away, or only something that depends on it. Then
 * the concerned thread must be as the table says, and nothing may be left. All of it on this CPU and, if
 * there is one, on another: then the object and the threads around it live there.
 */
#include "test.h"

#define LOW     100
#define NOTHING 0xdead
#define SPACE   0x70000000ul

/* What becomes of the thread that is concerned; or the status that its call returns. */
enum outcome {
	STAYS = 100, /* in the state that it was in */
	STOPS,
	STARVES, /* ready, but without time */
	NOBODY,  /* there is none */
};

static struct {
	unsigned home;
	cptr_t above, parent, object; /* object is made of parent, parent of above */
	cptr_t silent;                /* a Notification that nobody signals */
	cptr_t extra;                 /* what the situation's check() looks at */
	struct worker who, second;
	uint64_t before;
	bool starves; /* who has no time from the beginning */
	/* for the workers */
	volatile cptr_t endpoint, reply, notification;
	volatile uint64_t status, count;
} it;

/* ---- what threads do ---- */

static void tell(uint64_t status)
{
	it.status = status;
	worker_rest();
}

static void call(void)
{
	struct registers r = {.cap = it.endpoint, .deadline = DEADLINE_NEVER};

	tell(system_call(SYS_CALL, &r));
}

static void send(void)
{
	struct registers r = {.cap = it.endpoint, .deadline = DEADLINE_NEVER};

	tell(system_call(SYS_SEND, &r));
}

static void receive(void)
{
	struct registers r = {.cap = it.endpoint, .reply = it.reply, .deadline = DEADLINE_NEVER};

	tell(system_call(SYS_RECV, &r));
}

static void wait(void)
{
	struct registers r = {.cap = it.notification, .deadline = now() + 1000000000000};

	tell(system_call(SYS_WAIT, &r));
}

/* Receives one call and answers never. */
static void hold(void)
{
	struct registers r = {.cap = it.endpoint, .reply = it.reply, .deadline = DEADLINE_NEVER};

	system_call(SYS_RECV, &r);
	worker_rest();
}

/* The same, busy. */
static void hold_and_spin(void)
{
	struct registers r = {.cap = it.endpoint, .reply = it.reply, .deadline = DEADLINE_NEVER};

	system_call(SYS_RECV, &r);
	for (;;)
		it.count++;
}

/* A receive without a Reply parks the first call. */
static void park(void)
{
	struct registers r = {.cap = it.endpoint, .reply = it.reply, .deadline = DEADLINE_NEVER};

	system_call(SYS_RECV, &r);
	r = (struct registers){.cap = it.endpoint, .deadline = DEADLINE_NEVER};
	system_call(SYS_RECV, &r);
	worker_rest();
}

static void spin(void)
{
	for (;;)
		it.count++;
}

static void touch(void)
{
	for (;;) {
		(void)*(volatile uint64_t *)AREA;
		it.count++;
	}
}

/* Of a foreign thread. */
static void program(void)
{
	for (;;)
		__asm__ volatile("syscall" : : "a"(1) : "rcx", "r11", "memory");
}

/* To the other CPU and back, for ever. */
static void travel(void)
{
	for (;;) {
		struct registers r = {.cap = it.endpoint, .deadline = DEADLINE_POLL};

		system_call(SYS_SEND, &r);
		it.count++;
	}
}

/* In a CSpace of its own. */
static void peer(void)
{
	struct registers r = {.cap = 1, .deadline = DEADLINE_NEVER};

	for (;;)
		system_call(SYS_RECV, &r);
}

/* ---- making ---- */

static bool has_home(unsigned type)
{
	return type == OBJECT_THREAD || type == OBJECT_SCHED_CONTEXT || type == OBJECT_ENDPOINT ||
	       type == OBJECT_REPLY || type == OBJECT_NOTIFICATION;
}

/* The object in question. bits: of those without a fixed size. */
static cptr_t subject(unsigned type, unsigned bits)
{
#define OBJECT(name, fixed_bits) [name] = fixed_bits,
	static const uint8_t fixed[OBJECT_TYPE_COUNT] = {OBJECTS};
#undef OBJECT
	unsigned size = bits ? bits : fixed[type];
	uint64_t word = type | (uint64_t)bits << 8 | (uint64_t)(has_home(type) ? it.home : 0) << 16;

	it.above = object_new(OBJECT_UNTYPED, size + 2);
	it.parent = slot_new();
	it.object = slot_new();
	OK(op(it.above, UNTYPED_RETYPE, OBJECT_UNTYPED | (uint64_t)(size + 1) << 8, 1, CPTR_NULL, it.parent));
	OK(op(it.parent, UNTYPED_RETYPE, word, 1, CPTR_NULL, it.object));
	return it.object;
}

/* One that is derived: nothing but a capability. */
static cptr_t subject_from(cptr_t cap, uint64_t w4, uint64_t w5)
{
	it.parent = derived(cap, FULL, w4, w5);
	it.object = derived(it.parent, FULL, 0, 0);
	return it.object;
}

static cptr_t beside(unsigned type)
{
	return object_new_on(it.home, type);
}

static void start(const struct worker *worker, uint64_t state);

static struct worker *who(void (*entry)(void))
{
	it.who = worker_new_on(it.home, 0, entry, LOW);
	return &it.who;
}

static void second(void (*entry)(void), uint64_t state)
{
	it.second = worker_new_on(it.home, 1, entry, LOW);
	start(&it.second, state);
}

/* The thread in question. */
static struct worker *subject_thread(void (*entry)(void))
{
	it.who = worker_of(subject(OBJECT_THREAD, 0), it.home, 0, entry, LOW);
	return &it.who;
}

static void foreign(const struct worker *worker)
{
	OK(op(worker->thread, THREAD_SET_FOREIGN, 1));
	OK(op(worker->thread, THREAD_BIND, BIND_SYSCALL, it.endpoint));
}

/* ---- seeing ---- */

/* READY: it runs, or would. */
static uint64_t state_of(cptr_t thread)
{
	OK(op(thread, THREAD_INFO));
	return last.words[1] == THREAD_STATE_RUNNING ? THREAD_STATE_READY : last.words[1];
}

static void start(const struct worker *worker, uint64_t state)
{
	worker_start(worker);
	WAIT_FOR(state_of(worker->thread) == state);
}

/* In three periods of any budget here, in which this thread lets all others run. */
static bool counts(void)
{
	uint64_t before = it.count;

	EXPECT(send_(SYS_WAIT, it.silent, 0, 0, now() + 3000000), ERR_TIMEOUT);
	return it.count != before;
}

static bool has_come(unsigned outcome)
{
	switch (outcome) {
	case STAYS:
		return it.status == NOTHING && state_of(it.who.thread) == it.before &&
		       (it.before != THREAD_STATE_READY || counts() == !it.starves);
	case STOPS:
		return state_of(it.who.thread) == THREAD_STATE_STOPPED;
	case STARVES:
		return state_of(it.who.thread) == THREAD_STATE_READY && !counts();
	case NOBODY:
		return true;
	default:
		return it.status == outcome;
	}
}

/* ---- situations ---- */

static void untyped_new(void)
{
	subject(OBJECT_UNTYPED, 9);
}

static void untyped_cut(void)
{
	it.endpoint = slot_new();
	OK(op(subject(OBJECT_UNTYPED, 9), UNTYPED_RETYPE, OBJECT_ENDPOINT | it.home << 16, 1, CPTR_NULL,
	      it.endpoint));
	start(who(send), THREAD_STATE_BLOCKED_SEND);
}

static void untyped_feeds(void)
{
	cptr_t vspace = object_new(OBJECT_VSPACE, 0), window = object_new(OBJECT_WINDOW, 0);

	OK(op(vspace, VSPACE_FEED, subject(OBJECT_UNTYPED, 14), 14));
	OK(op(window, WINDOW_BIND, object_new(OBJECT_MEMORY, 12), vspace, RIGHT_READ));
	OK(op(window, WINDOW_MAP, AREA, 0, 1, RIGHT_READ));
	it.extra = vspace;
}

static void check_fed(bool gone)
{
	OK(op(it.extra, VSPACE_INFO));
	CHECK(gone == (last.words[0] == 0));
}

static void cnode_new(void)
{
	subject(OBJECT_CNODE, 8);
}

static void cnode_full(void)
{
	cptr_t endpoint = beside(OBJECT_ENDPOINT);

	it.endpoint = derived(endpoint, FULL, 0, 0);
	OK(op(subject(OBJECT_CNODE, 8), CNODE_MOVE, 1, CPTR_NULL, endpoint));
	start(who(send), THREAD_STATE_BLOCKED_SEND);
}

static void cnode_of_thread(void)
{
	OK(op(who(spin)->thread, THREAD_BIND, BIND_CSPACE, subject(OBJECT_CNODE, 8)));
	start(&it.who, THREAD_STATE_READY);
}

static void thread_new(void)
{
	subject(OBJECT_THREAD, 0);
}

static void thread_spins(void)
{
	start(subject_thread(spin), THREAD_STATE_READY);
}

static void thread_sends(void)
{
	it.endpoint = beside(OBJECT_ENDPOINT);
	start(subject_thread(send), THREAD_STATE_BLOCKED_SEND);
}

static void thread_receives(void)
{
	it.endpoint = beside(OBJECT_ENDPOINT);
	it.reply = beside(OBJECT_REPLY);
	start(subject_thread(receive), THREAD_STATE_BLOCKED_RECV);
}

static void thread_waits(void)
{
	it.notification = beside(OBJECT_NOTIFICATION);
	start(subject_thread(wait), THREAD_STATE_BLOCKED_WAIT);
}

static void server_and(void (*server)(void), struct worker *client)
{
	it.reply = it.reply ? it.reply : beside(OBJECT_REPLY);
	second(server, THREAD_STATE_BLOCKED_RECV);
	start(client, THREAD_STATE_BLOCKED_REPLY);
}

static void thread_calls(void)
{
	it.endpoint = beside(OBJECT_ENDPOINT);
	server_and(hold, subject_thread(call));
}

static void thread_is_foreign(void)
{
	it.endpoint = beside(OBJECT_ENDPOINT);
	foreign(subject_thread(program));
	server_and(hold, &it.who);
}

static void thread_is_foreign_and_parked(void)
{
	it.endpoint = beside(OBJECT_ENDPOINT);
	foreign(subject_thread(program));
	server_and(park, &it.who);
}

static void thread_faults(void)
{
	it.endpoint = beside(OBJECT_ENDPOINT);
	OK(op(subject_thread(touch)->thread, THREAD_BIND, BIND_FAULT, it.endpoint));
	start(&it.who, THREAD_STATE_BLOCKED_SEND);
}

/* The server is the object. */
static void serves(void (*server)(void))
{
	struct worker worker;

	it.endpoint = beside(OBJECT_ENDPOINT);
	it.reply = beside(OBJECT_REPLY);
	worker = worker_of(subject(OBJECT_THREAD, 0), it.home, 1, server, LOW);
	start(&worker, THREAD_STATE_BLOCKED_RECV);
	start(who(call), THREAD_STATE_BLOCKED_REPLY);
}

static void thread_serves(void)
{
	serves(hold);
}

static void thread_has_parked(void)
{
	serves(park);
}

static void thread_has_no_time(void)
{
	OK(op(subject_thread(spin)->thread, THREAD_BIND, BIND_SCHED_CONTEXT, CPTR_NULL));
	start(&it.who, THREAD_STATE_READY);
	it.starves = true;
}

static void thread_travels(void)
{
	it.endpoint = object_new_on((it.home + 1) % (unsigned)boot->cpu_count, OBJECT_ENDPOINT);
	worker_start(subject_thread(travel));
	WAIT_FOR(it.count > 3);
}

static void context_new(void)
{
	subject(OBJECT_SCHED_CONTEXT, 0);
}

static cptr_t context(void)
{
	OK(op(INIT_SLOT_CPU_TIME + it.home, CPU_TIME_CONFIGURE, subject(OBJECT_SCHED_CONTEXT, 0), 5000000,
	      5000000));
	return it.object;
}

static void context_configured(void)
{
	context();
}

static void context_used(void)
{
	OK(op(who(spin)->thread, THREAD_BIND, BIND_SCHED_CONTEXT, context()));
	start(&it.who, THREAD_STATE_READY);
}

static void context_lent(void)
{
	it.endpoint = beside(OBJECT_ENDPOINT);
	it.reply = beside(OBJECT_REPLY);
	start(who(hold_and_spin), THREAD_STATE_BLOCKED_RECV);
	OK(op(it.who.thread, THREAD_BIND, BIND_SCHED_CONTEXT, CPTR_NULL));
	it.second = worker_new_on(it.home, 1, call, LOW);
	OK(op(it.second.thread, THREAD_BIND, BIND_SCHED_CONTEXT, context()));
	start(&it.second, THREAD_STATE_BLOCKED_REPLY);
}

static void endpoint_new(void)
{
	it.endpoint = subject(OBJECT_ENDPOINT, 0);
}

static void endpoint_closed(void)
{
	OK(op(subject(OBJECT_ENDPOINT, 0), ENDPOINT_CLOSE));
}

static void endpoint_with(void (*entry)(void), uint64_t state)
{
	it.endpoint = subject(OBJECT_ENDPOINT, 0);
	it.reply = beside(OBJECT_REPLY);
	start(who(entry), state);
}

static void endpoint_sender(void)
{
	endpoint_with(send, THREAD_STATE_BLOCKED_SEND);
}

static void endpoint_caller(void)
{
	endpoint_with(call, THREAD_STATE_BLOCKED_SEND);
}

static void endpoint_receiver(void)
{
	endpoint_with(receive, THREAD_STATE_BLOCKED_RECV);
}

static void endpoint_fault(void)
{
	OK(op(who(touch)->thread, THREAD_BIND, BIND_FAULT, subject(OBJECT_ENDPOINT, 0)));
	start(&it.who, THREAD_STATE_BLOCKED_SEND);
}

static void endpoint_foreign(void)
{
	it.endpoint = subject(OBJECT_ENDPOINT, 0);
	foreign(who(program));
	start(&it.who, THREAD_STATE_BLOCKED_SEND);
}

static void endpoint_served(void)
{
	it.endpoint = subject(OBJECT_ENDPOINT, 0);
	server_and(hold, who(call));
}

static void reply_new(void)
{
	subject(OBJECT_REPLY, 0);
}

static void reply_with(void (*server)(void), void (*client)(void), bool is_foreign)
{
	it.endpoint = beside(OBJECT_ENDPOINT);
	it.reply = subject(OBJECT_REPLY, 0);
	who(client);
	if (is_foreign)
		foreign(&it.who);
	server_and(server, &it.who);
}

static void reply_expecting(void)
{
	it.endpoint = beside(OBJECT_ENDPOINT);
	it.reply = subject(OBJECT_REPLY, 0);
	start(who(receive), THREAD_STATE_BLOCKED_RECV);
}

static void reply_active(void)
{
	reply_with(hold, call, false);
}

static void reply_parked(void)
{
	reply_with(park, call, false);
}

static void reply_foreign(void)
{
	reply_with(hold, program, true);
}

static void reply_foreign_parked(void)
{
	reply_with(park, program, true);
}

static void notification_new(void)
{
	subject(OBJECT_NOTIFICATION, 0);
}

/* On another CPU it may still be in the mailbox. */
static void notification_signalled(void)
{
	OK(send_(SYS_SIGNAL, derived(subject(OBJECT_NOTIFICATION, 0), RIGHT_WRITE, 1, 0), 0, 0, 0));
}

static void notification_waiter(void)
{
	it.notification = subject(OBJECT_NOTIFICATION, 0);
	start(who(wait), THREAD_STATE_BLOCKED_WAIT);
}

static void notification_bound(void)
{
	it.endpoint = beside(OBJECT_ENDPOINT);
	OK(op(who(receive)->thread, THREAD_BIND, BIND_NOTIFICATION, subject(OBJECT_NOTIFICATION, 0)));
	start(&it.who, THREAD_STATE_BLOCKED_RECV);
}

static void notification_irq(void)
{
	it.extra = slot_new();
	OK(op(INIT_SLOT_IRQ_CONTROL, IRQ_CONTROL_MESSAGE, 0, 0, CPTR_NULL, it.extra));
	OK(op(it.extra, IRQ_BIND, subject(OBJECT_NOTIFICATION, 0)));
}

static void check_irq_bound(bool gone)
{
	EXPECT(op(it.extra, IRQ_ACKNOWLEDGE), gone ? ERR_STATE : ERR_NONE);
	OK(op(INIT_SLOT_CNODE, CNODE_DELETE, it.extra));
}

static void vspace_new(void)
{
	subject(OBJECT_VSPACE, 0);
}

/* This program's segments, and what its threads need, in the VSpace in question. */
static void vspace_fill(void)
{
	const struct boot_image *image = (const struct boot_image *)boot->image_address;
	cptr_t window = object_new(OBJECT_WINDOW, 0);
	uint64_t page = 0;

	OK(op(it.object, VSPACE_FEED, object_new(OBJECT_UNTYPED, 16), 16));
	OK(op(window, WINDOW_BIND, INIT_SLOT_PRIVATE, it.object, RIGHT_READ | RIGHT_WRITE | RIGHT_EXECUTE));
	for (uint64_t i = 0; i < image->segment_count; i++) {
		uint64_t pages = (image->segments[i].memory_size + PAGE_SIZE - 1) >> PAGE_BITS;

		OK(op(window, WINDOW_MAP, image->segments[i].address, page, pages,
		      image->segments[i].rights));
		page += pages;
	}
	it.extra = window;
}

static void vspace_full(void)
{
	subject(OBJECT_VSPACE, 0);
	vspace_fill();
}

static void vspace_runs(void)
{
	vspace_full();
	OK(op(who(spin)->thread, THREAD_BIND, BIND_VSPACE, it.object));
	start(&it.who, THREAD_STATE_READY);
}

/* The Window has lost what it stood between. */
static void check_window(bool gone)
{
	EXPECT(op(it.extra, WINDOW_PROTECT, AREA, 1, RIGHT_READ), gone ? ERR_STATE : ERR_NONE);
}

static void memory_new(void)
{
	subject(OBJECT_MEMORY, 12);
}

static void map(cptr_t window, cptr_t memory)
{
	OK(op(window, WINDOW_BIND, memory, INIT_SLOT_VSPACE, RIGHT_READ | RIGHT_WRITE));
	OK(op(window, WINDOW_MAP, AREA, 0, 1, RIGHT_READ));
	it.extra = window;
	start(who(touch), THREAD_STATE_READY);
	WAIT_FOR(it.count > 0);
}

static void memory_mapped(void)
{
	map(object_new(OBJECT_WINDOW, 0), subject(OBJECT_MEMORY, 13));
}

static void memory_part_mapped(void)
{
	map(object_new(OBJECT_WINDOW, 0), derived(subject(OBJECT_MEMORY, 13), FULL, 1, 1));
}

static void memory_buffer(void)
{
	OK(op(who(spin)->thread, THREAD_BIND, BIND_IPC_BUFFER, subject(OBJECT_MEMORY, 14)));
	start(&it.who, THREAD_STATE_READY);
}

static void window_new(void)
{
	subject(OBJECT_WINDOW, 0);
}

static void window_bound(void)
{
	OK(op(subject(OBJECT_WINDOW, 0), WINDOW_BIND, object_new(OBJECT_MEMORY, 12), INIT_SLOT_VSPACE,
	      RIGHT_READ));
}

static void window_mapped(void)
{
	map(subject(OBJECT_WINDOW, 0), object_new(OBJECT_MEMORY, 12));
}

static void check_unmapped(bool gone)
{
	OK(op(INIT_SLOT_VSPACE, VSPACE_UNMAP, AREA, 1));
	CHECK(last.words[0] == !gone);
}

static void irq_new(void)
{
	it.parent = derived(INIT_SLOT_IRQ_CONTROL, FULL, 0, 0);
	it.object = slot_new();
	OK(op(it.parent, IRQ_CONTROL_MESSAGE, 0, 0, CPTR_NULL, it.object));
}

static void irq_bound(void)
{
	irq_new();
	OK(op(it.object, IRQ_BIND, beside(OBJECT_NOTIFICATION)));
}

static void irq_control_new(void)
{
	subject_from(INIT_SLOT_IRQ_CONTROL, 0, 0);
}

static void irq_control_used(void)
{
	it.extra = slot_new();
	OK(op(subject_from(INIT_SLOT_IRQ_CONTROL, 0, 0), IRQ_CONTROL_MESSAGE, 0, 0, CPTR_NULL, it.extra));
}

static void ports_new(void)
{
	subject_from(INIT_SLOT_IO_PORTS, 0x80, 4);
}

static void ports_derived(void)
{
	ports_new();
	it.extra = derived(it.object, FULL, 0x81, 1);
}

static void check_extra(bool gone)
{
	CHECK(present(it.extra) == !gone);
	OK(op(INIT_SLOT_CNODE, CNODE_DELETE, it.extra));
}

static void cpu_time_new(void)
{
	subject_from(INIT_SLOT_CPU_TIME + it.home, 600, LOW);
}

static void cpu_time_promised(void)
{
	cpu_time_new();
	who(spin);
	OK(op(it.object, CPU_TIME_CONFIGURE, it.who.context, 500000, 1000000));
	start(&it.who, THREAD_STATE_READY);
}

/*
 * ended: what becomes of the concerned thread when the object is deleted (or what was derived from a parent
 * that is revoked: of an object that is nothing but a capability). revoked: when only what is derived from it
 * goes. check: what else is (or is not) gone then.
 */
static const struct situation {
	unsigned type;
	const char *state;
	void (*make)(void);
	unsigned ended, revoked; /* enum outcome, or a status */
	void (*check)(bool gone);
	bool check_revoked; /* what is revoked is gone for check(), too */
} situations[] = {
        {OBJECT_UNTYPED, "new", untyped_new, NOBODY, NOBODY, NULL, false},
        {OBJECT_UNTYPED, "cut; a sender waits at an endpoint of it", untyped_cut, ERR_CLOSED, ERR_CLOSED,
         NULL, false},
        {OBJECT_UNTYPED, "it feeds a VSpace", untyped_feeds, NOBODY, NOBODY, check_fed, true},
        {OBJECT_CNODE, "new", cnode_new, NOBODY, NOBODY, NULL, false},
        {OBJECT_CNODE, "a sender waits at an endpoint in it", cnode_full, ERR_CLOSED, STAYS, NULL, false},
        {OBJECT_CNODE, "a running thread's CSpace", cnode_of_thread, STOPS, STOPS, NULL, false},
        {OBJECT_THREAD, "new", thread_new, NOBODY, NOBODY, NULL, false},
        {OBJECT_THREAD, "runs", thread_spins, NOBODY, STAYS, NULL, false},
        {OBJECT_THREAD, "in a send", thread_sends, NOBODY, STAYS, NULL, false},
        {OBJECT_THREAD, "in a receive", thread_receives, NOBODY, STAYS, NULL, false},
        {OBJECT_THREAD, "in a wait, until a deadline", thread_waits, NOBODY, STAYS, NULL, false},
        {OBJECT_THREAD, "in a call that is served", thread_calls, NOBODY, STAYS, NULL, false},
        {OBJECT_THREAD, "foreign, its call is served", thread_is_foreign, NOBODY, STAYS, NULL, false},
        {OBJECT_THREAD, "foreign, its call is parked", thread_is_foreign_and_parked, NOBODY, STAYS, NULL,
         false},
        {OBJECT_THREAD, "its fault waits for a handler", thread_faults, NOBODY, STAYS, NULL, false},
        {OBJECT_THREAD, "serves a call", thread_serves, ERR_PEER_DIED, STAYS, NULL, false},
        {OBJECT_THREAD, "has parked a call", thread_has_parked, STAYS, STAYS, NULL, false},
        {OBJECT_THREAD, "ready, without time", thread_has_no_time, NOBODY, STAYS, NULL, false},
        {OBJECT_THREAD, "travels for ever", thread_travels, NOBODY, NOBODY, NULL, false},
        {OBJECT_SCHED_CONTEXT, "new", context_new, NOBODY, NOBODY, NULL, false},
        {OBJECT_SCHED_CONTEXT, "configured", context_configured, NOBODY, NOBODY, NULL, false},
        {OBJECT_SCHED_CONTEXT, "a running thread's", context_used, STARVES, STARVES, NULL, false},
        {OBJECT_SCHED_CONTEXT, "lent to a server", context_lent, STARVES, STARVES, NULL, false},
        {OBJECT_ENDPOINT, "new", endpoint_new, NOBODY, NOBODY, NULL, false},
        {OBJECT_ENDPOINT, "closed", endpoint_closed, NOBODY, NOBODY, NULL, false},
        {OBJECT_ENDPOINT, "a sender waits", endpoint_sender, ERR_CLOSED, STAYS, NULL, false},
        {OBJECT_ENDPOINT, "a caller waits", endpoint_caller, ERR_CLOSED, STAYS, NULL, false},
        {OBJECT_ENDPOINT, "a receiver waits", endpoint_receiver, ERR_CLOSED, STAYS, NULL, false},
        {OBJECT_ENDPOINT, "a fault waits", endpoint_fault, STOPS, STAYS, NULL, false},
        {OBJECT_ENDPOINT, "a foreign call waits", endpoint_foreign, STOPS, STAYS, NULL, false},
        {OBJECT_ENDPOINT, "a call that came by it is served", endpoint_served, STAYS, STAYS, NULL, false},
        {OBJECT_REPLY, "new", reply_new, NOBODY, NOBODY, NULL, false},
        {OBJECT_REPLY, "a receiver waits with it", reply_expecting, STAYS, STAYS, NULL, false},
        {OBJECT_REPLY, "active", reply_active, ERR_PEER_DIED, STAYS, NULL, false},
        {OBJECT_REPLY, "parked", reply_parked, ERR_PEER_DIED, STAYS, NULL, false},
        {OBJECT_REPLY, "active, of a foreign call", reply_foreign, STOPS, STAYS, NULL, false},
        {OBJECT_REPLY, "parked, of a foreign call", reply_foreign_parked, STOPS, STAYS, NULL, false},
        {OBJECT_NOTIFICATION, "new", notification_new, NOBODY, NOBODY, NULL, false},
        {OBJECT_NOTIFICATION, "signalled", notification_signalled, NOBODY, NOBODY, NULL, false},
        {OBJECT_NOTIFICATION, "a thread waits", notification_waiter, ERR_CLOSED, STAYS, NULL, false},
        {OBJECT_NOTIFICATION, "bound to a thread that receives", notification_bound, STAYS, STAYS, NULL,
         false},
        {OBJECT_NOTIFICATION, "an interrupt's", notification_irq, NOBODY, NOBODY, check_irq_bound, true},
        {OBJECT_VSPACE, "new", vspace_new, NOBODY, NOBODY, NULL, false},
        {OBJECT_VSPACE, "fed, with Windows and pages", vspace_full, NOBODY, NOBODY, check_window, true},
        {OBJECT_VSPACE, "a thread runs in it", vspace_runs, STOPS, STOPS, check_window, true},
        {OBJECT_MEMORY, "new", memory_new, NOBODY, NOBODY, NULL, false},
        {OBJECT_MEMORY, "a thread reads it", memory_mapped, STOPS, STOPS, check_unmapped, true},
        {OBJECT_MEMORY, "a thread reads a part of it", memory_part_mapped, STOPS, STOPS, check_unmapped,
         true},
        {OBJECT_MEMORY, "a running thread's IPC buffer", memory_buffer, STAYS, STAYS, NULL, false},
        {OBJECT_WINDOW, "new", window_new, NOBODY, NOBODY, NULL, false},
        {OBJECT_WINDOW, "bound", window_bound, NOBODY, NOBODY, NULL, false},
        {OBJECT_WINDOW, "a thread reads through it", window_mapped, STOPS, STAYS, check_unmapped, false},
        {OBJECT_IRQ, "new", irq_new, NOBODY, NOBODY, NULL, false},
        {OBJECT_IRQ, "bound", irq_bound, NOBODY, NOBODY, NULL, false},
        {OBJECT_IRQ_CONTROL, "new", irq_control_new, NOBODY, NOBODY, NULL, false},
        {OBJECT_IRQ_CONTROL, "an Irq was made of it", irq_control_used, NOBODY, NOBODY, check_extra, true},
        {OBJECT_IO_PORTS, "new", ports_new, NOBODY, NOBODY, NULL, false},
        {OBJECT_IO_PORTS, "some were derived", ports_derived, NOBODY, NOBODY, check_extra, true},
        {OBJECT_CPU_TIME, "new", cpu_time_new, NOBODY, NOBODY, NULL, false},
        {OBJECT_CPU_TIME, "a thread runs on it", cpu_time_promised, STARVES, STARVES, NULL, false},
};

/* ---- ways ---- */

static void delete (void)
{
	OK(op(INIT_SLOT_CNODE, CNODE_DELETE, it.object));
}

static void delete_copy(void)
{
	OK(op(INIT_SLOT_CNODE, CNODE_DELETE, derived(it.object, FULL, 0, 0)));
}

static void revoke(void)
{
	OK(op(INIT_SLOT_CNODE, CNODE_REVOKE, it.object));
}

static void delete_parent(void)
{
	OK(op(INIT_SLOT_CNODE, CNODE_DELETE, it.parent));
}

static void revoke_parent(void)
{
	OK(op(INIT_SLOT_CNODE, CNODE_REVOKE, it.parent));
}

static void revoke_above(void)
{
	OK(op(INIT_SLOT_CNODE, CNODE_REVOKE, it.above));
}

static void delete_cnode(void)
{
	cptr_t cnode = object_new(OBJECT_CNODE, 8);

	OK(op(cnode, CNODE_MOVE, 1, CPTR_NULL, it.object));
	OK(op(INIT_SLOT_CNODE, CNODE_DELETE, cnode));
}

/* Moved in a message, and then the peer dies with all that it has. */
static void move_to_peer(void)
{
	cptr_t cnode = object_new(OBJECT_CNODE, 8), endpoint = beside(OBJECT_ENDPOINT);
	struct worker worker = worker_new_on(it.home, 2, peer, LOW);

	OK(op(cnode, CNODE_DERIVE, 1, CPTR_NULL, endpoint, FULL));
	OK(op(worker.thread, THREAD_BIND, BIND_CSPACE, cnode));
	worker.buffer->receive_slots[0] = 2;
	worker_start(&worker);
	own_buffer->caps[0] = it.object;
	OK(send_(SYS_SEND, endpoint, MESSAGE_INFO_CAPS(0, 0, 1, 1), 0, DEADLINE_NEVER));
	EXPECT(op(cnode, CNODE_MOVE, 2, cnode, 2), ERR_OCCUPIED); /* it is there */
	OK(op(INIT_SLOT_CNODE, CNODE_DELETE, worker.thread));
	OK(op(INIT_SLOT_CNODE, CNODE_DELETE, cnode));
}

enum effect {
	NONE,    /* nothing depends on what goes */
	REVOKES, /* the object stays; what was derived from it goes */
	ENDS,
};

static const struct way {
	const char *name;
	void (*take)(void);
	enum effect original, derived; /* on an object; on what is nothing but a derived capability */
} ways[] = {
        {"deleted", delete, ENDS, NONE},
        {"one derived from it deleted", delete_copy, NONE, NONE},
        {"revoked", revoke, REVOKES, REVOKES},
        {"deleted with what it was made of", delete_parent, ENDS, NONE},
        {"what it was made of revoked", revoke_parent, ENDS, ENDS},
        {"an Untyped further up revoked", revoke_above, ENDS, ENDS},
        {"deleted with the CNode that it is in", delete_cnode, ENDS, NONE},
        {"moved to a peer that dies", move_to_peer, ENDS, NONE},
};

static bool only_capability(unsigned type)
{
	return type == OBJECT_IRQ_CONTROL || type == OBJECT_IO_PORTS || type == OBJECT_CPU_TIME;
}

/* Untypeds and Replies cannot be derived; what is no memory has no Untyped. */
static bool applies(const struct situation *situation, const struct way *way)
{
	if (way->take == delete_copy)
		return situation->type != OBJECT_UNTYPED && situation->type != OBJECT_REPLY;
	if (way->take == revoke_above || (way->take == delete_parent && situation->type == OBJECT_IRQ))
		return situation->type != OBJECT_IRQ && !only_capability(situation->type);
	return situation->make != thread_travels || boot->cpu_count > 1;
}

/* ---- all of it ---- */

static void begin(unsigned home)
{
	__builtin_memset(&it, 0, sizeof(it));
	it.home = home;
	it.silent = new_notification();
	it.status = NOTHING;
}

static void play(const struct situation *situation, const struct way *way)
{
	enum effect effect = only_capability(situation->type) ? way->derived : way->original;
	unsigned outcome;

	situation->make();
	if (it.who.thread)
		it.before = state_of(it.who.thread);
	outcome = effect == ENDS      ? situation->ended
	          : effect == REVOKES ? situation->revoked
	          : it.who.thread     ? STAYS
	                              : NOBODY;
	way->take();
	WAIT_FOR(has_come(outcome));
	if (situation->check)
		situation->check(effect == ENDS || (effect == REVOKES && situation->check_revoked));
	CHECK(present(it.object) == (way->take == delete_copy || way->take == revoke ||
	                             (way->take == delete_parent && only_capability(situation->type))));
}

static unsigned all_count, good_count;

static void play_all(unsigned home)
{
	for (unsigned i = 0; i < sizeof(situations) / sizeof(situations[0]); i++) {
		for (unsigned j = 0; j < sizeof(ways) / sizeof(ways[0]); j++) {
			unsigned before = failures();

			if (!applies(&situations[i], &ways[j]))
				continue;
			begin(home);
			play(&situations[i], &ways[j]);
			test_restart();
			all_count++;
			good_count += failures() == before;
			if (failures() == before)
				continue;
			print("  type ");
			print_number(situations[i].type);
			print(" (");
			print(situations[i].state);
			print("), ");
			print(ways[j].name);
			print(", on CPU ");
			print_number(home);
			print("\n");
		}
	}
}

/* IoSpaces need an IOMMU: kernel/iommu. */
static void check_types(void)
{
	uint32_t seen = 1u << OBJECT_NULL | 1u << OBJECT_IO_SPACE | 1u << OBJECT_IO_SPACE_CONTROL;

	for (unsigned i = 0; i < sizeof(situations) / sizeof(situations[0]); i++)
		seen |= 1u << situations[i].type;
	CHECK(seen == (1u << OBJECT_TYPE_COUNT) - 1);
}

static void test_matrix(void)
{
	check_types();
	play_all(0);
	if (boot->cpu_count > 1)
		play_all(1);
	print("coverage: ");
	print_number(good_count);
	print(" of ");
	print_number(all_count);
	print(" object x state x way to delete it\n");
}

const struct test tests_matrix[] = {
        {"delete.matrix", "every object in every state, deleted in every way", test_matrix},
        {0},
};
