/* SPDX-License-Identifier: MIT */
/*
 * Priority inversion: a client of high priority waits for servers of low priority, beside a thread between
 * them that never stops. Inheritance bounds the client's wait by the servers' work; on a kernel without it
 * the client never gets its answer (tools/pith/kernel_inversions.py sees to both).
 */
#include "test.h"

#define LOW    100
#define MIDDLE 110
#define HIGH   120

#define JOB_ROUNDS 500000      /* of two instructions: what a server does for each call */
#define JOB        1000000ul   /* ns under icount */
#define TURN       1000        /* rounds */
#define SWITCHES   20000ul     /* ns: system calls and switches on the way */
#define TURNS      80000ul     /* ns: turns that other CPUs have meanwhile */
#define LONG       200000000ul /* ns: longer than anything here but a hog */

/* By worker. */
enum { FRONT, BACK, LAST, FIRST, CLIENT, HOG };

/* A server answers each call after a job, or after a call of its own to the next server. */
struct service {
	volatile cptr_t endpoint, reply, next;
};

static struct {
	struct service services[3]; /* FRONT, BACK, LAST */
	volatile cptr_t begun;      /* signalled when a job begins */
	volatile uint64_t waited;   /* the client's time, once it has its answer; ns */
	volatile uint64_t hogged[WORKERS];
	uint64_t turns; /* ns: of other CPUs, if they take part */
} shared;

/* Under icount CPUs take turns when one pauses. */
static void other_cpus(void)
{
	__asm__ volatile("pause");
}

static void work(void)
{
	for (unsigned i = 0; i < JOB_ROUNDS / TURN; i++) {
		for (unsigned j = 0; j < TURN; j++)
			__asm__ volatile("");
		other_cpus();
	}
}

static uint64_t call(cptr_t endpoint)
{
	struct registers r = {.cap = endpoint, .deadline = DEADLINE_NEVER};

	return system_call(SYS_CALL, &r);
}

static void serve(const struct service *service)
{
	struct registers r = {.cap = service->endpoint, .reply = service->reply, .deadline = DEADLINE_NEVER};
	uint64_t status = system_call(SYS_RECV, &r);

	while (status == ERR_NONE) {
		if (service->next) {
			call(service->next);
		} else {
			r = (struct registers){.cap = shared.begun};
			system_call(SYS_SIGNAL, &r);
			work();
		}
		r = (struct registers){.cap = service->endpoint,
		                       .reply = REPLY_PAIR(service->reply, 0),
		                       .deadline = DEADLINE_NEVER};
		status = system_call(SYS_REPLY_RECV, &r);
	}
	worker_rest();
}

static void serve_front(void)
{
	serve(&shared.services[FRONT]);
}

static void serve_back(void)
{
	serve(&shared.services[BACK]);
}

static void serve_last(void)
{
	serve(&shared.services[LAST]);
}

/* The one who is served when the client comes. */
static void first(void)
{
	call(shared.services[FRONT].endpoint);
	worker_rest();
}

static void client(void)
{
	uint64_t from = now();

	if (call(shared.services[FRONT].endpoint) == ERR_NONE)
		shared.waited = now() - from;
	worker_rest();
}

static void hog_on(unsigned number)
{
	for (;;) {
		for (unsigned i = 0; i < TURN; i++)
			shared.hogged[number]++;
		other_cpus();
	}
}

static void hog(void)
{
	hog_on(HOG);
}

static void start(unsigned cpu, unsigned number, void (*entry)(void), unsigned priority)
{
	struct worker worker = worker_new_on(cpu, number, entry, priority);

	worker_start(&worker);
}

static void start_server(unsigned cpu, unsigned number, void (*entry)(void))
{
	shared.services[number].endpoint = object_new_on(cpu, OBJECT_ENDPOINT);
	shared.services[number].reply = object_new_on(cpu, OBJECT_REPLY);
	shared.services[number].next = CPTR_NULL;
	start(cpu, number, entry, LOW);
}

static void begin(uint64_t turns)
{
	shared.turns = turns;
	shared.begun = derived(new_notification(), RIGHT_ALL, 1, 0);
	shared.waited = UINT64_MAX;
	shared.hogged[HOG] = 0;
}

/* A job of the first one's has begun. */
static void start_first(unsigned cpu)
{
	start(cpu, FIRST, first, LOW);
	OK(send_(SYS_WAIT, shared.begun, 0, 0, now() + LONG));
}

/* The kernel that checks its invariants after each operation takes as long as it likes. */
static uint64_t bound(unsigned jobs)
{
	return boot->command_line[0] == 's' ? LONG / 2 : jobs * JOB + SWITCHES + shared.turns;
}

/* The hog is ready to run before the client has called, and runs as soon as nobody above it does. */
static void run_client(unsigned jobs, unsigned hog_cpu)
{
	start(hog_cpu, HOG, hog, MIDDLE);
	start(0, CLIENT, client, HIGH);
	EXPECT(send_(SYS_WAIT, new_notification(), 0, 0, now() + LONG), ERR_TIMEOUT);
	CHECK(shared.hogged[HOG] > 0);
	CHECK(shared.waited <= bound(jobs));
}

static void test_served(void)
{
	begin(0);
	start_server(0, FRONT, serve_front);
	settle();
	run_client(1, 0);
}

static void test_queued(void)
{
	begin(0);
	start_server(0, FRONT, serve_front);
	start_first(0);
	run_client(2, 0);
}

/* The client is queued at a server that waits for the answer of another. */
static void chain(unsigned cpu)
{
	begin(cpu ? TURNS : 0);
	start_server(cpu, BACK, serve_back);
	start_server(0, FRONT, serve_front);
	shared.services[FRONT].next = shared.services[BACK].endpoint;
	start_first(0);
	run_client(2, cpu);
}

static void test_chain(void)
{
	chain(0);
}

static void test_far(void)
{
	chain(1);
}

static void long_chain(unsigned cpu)
{
	begin(TURNS);
	start_server(cpu, LAST, serve_last);
	start_server(1, BACK, serve_back);
	start_server(0, FRONT, serve_front);
	shared.services[FRONT].next = shared.services[BACK].endpoint;
	shared.services[BACK].next = shared.services[LAST].endpoint;
	start_first(0);
	run_client(2, cpu);
}

static void test_there_and_back(void)
{
	long_chain(0);
}

static void test_farther(void)
{
	long_chain(2 % (unsigned)boot->cpu_count);
}

const struct test tests_inversions[] = {
        {"inversion.served", "a client that is served waits for the server's work only", test_served},
        {"inversion.queued", "a client in the queue waits for the job before it and its own", test_queued},
        {"inversion.chain", "and if the server waits for another server, for that one's work", test_chain},
        {0},
};

const struct test tests_far_inversions[] = {
        {"inversion.far", "the same if the second server and the hog are on another CPU", test_far},
        {"inversion.there-and-back", "and if that one waits for a third on the first CPU",
         test_there_and_back},
        {"inversion.farther", "or on another one", test_farther},
        {0},
};
