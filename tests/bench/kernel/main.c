/* SPDX-License-Identifier: MIT */
/*
 * `./pith bench kernel`: guest instructions of the kernel's operations. The first component of a boot image
 * of its own, under `-icount shift=0`, where the TSC counts instructions. Each line is `name value unit`;
 * kernel and user stub together. Different address spaces unless the name says otherwise, budgets in force
 * (10 ms round robin).
 *
 * The command line may be `profile=NAME` (that metric is traced), `wall` (the TSC is a clock) or `pairs`.
 */
#include "pair.h"
#include "setup.h"

#define ROUNDS    1000
#define PAGES     512
#define PAIR_RUNS 5

/* What the loops use: the same memory in every space. */
cptr_t bench_endpoint, bench_reply, bench_ping, bench_ping_wait, bench_pong, bench_pong_wait, bench_window,
        bench_vspace;
uint64_t bench_client_info, bench_server_info, bench_area;

void empty_loop(uint64_t rounds);
void client_loop(uint64_t rounds);
void server_loop(void);
void server_vector_loop(void);
void server_apart_loop(void);
void waiter(void);
void pair_client(void);
void pair_server(void);
void signal_loop(uint64_t rounds);
void wait_loop(uint64_t rounds);
void poll_loop(uint64_t rounds);
void ping_loop(uint64_t rounds);
void pong_loop(void);
void yield_loop(uint64_t rounds);
void yielder_loop(void);
void handler_loop(uint64_t rounds);
void handler_first(void);
void foreign_loop(void);
void fault_loop(void);
void pager_loop(uint64_t rounds);
void map_loop(uint64_t rounds);
void scatter_loop(uint64_t rounds);
void bench_main(const struct boot_info *info);

static uint64_t tsc(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return (uint64_t)high << 32 | low;
}

static uint64_t overhead, tsc_hz;
static const char *command_line;

/* It begins with these two words in one; what is for the kernel may follow. */
static bool command_is(const char *first, const char *second)
{
	const char *at = command_line;

	while (*first && *first == *at)
		first++, at++;
	while (!*first && *second && *second == *at)
		second++, at++;
	return !*first && !*second && (!*at || *at == ' ');
}

/* In ticks of the TSC. */
static void print_metric(const char *name, uint64_t value)
{
	bool wall = command_is("wall", "") || command_is("pairs", "");

	print(wall ? "wall_" : "");
	print(name);
	print(" ");
	print_number(wall ? value * 1000000000 / tsc_hz : value);
	print(wall ? " ns\n" : " instructions\n");
}

static uint64_t measure_raw(void (*loop)(uint64_t), uint64_t rounds)
{
	uint64_t begin = tsc();

	loop(rounds);
	return tsc() - begin;
}

/*
 * One metric of the command line (`profile=NAME`) can be traced: the plugin of tools/trace counts between
 * these two. Clocks are read inside of them.
 */
__attribute__((noinline)) static void trace_begin(void)
{
	__asm__ volatile(".globl trace_from\ntrace_from: nop");
}

__attribute__((noinline)) static void trace_end(void)
{
	__asm__ volatile(".globl trace_until\ntrace_until: nop");
}

/* Instructions a round, but for the loop's own two. */
static void measure(const char *name, void (*loop)(uint64_t), uint64_t rounds, uint64_t parts)
{
	uint64_t count;

	if (command_is("profile=", name))
		trace_begin();
	count = measure_raw(loop, rounds);
	if (command_is("profile=", name))
		trace_end();
	count -= overhead * rounds / ROUNDS;
	print_metric(name, (count + rounds * parts / 2) / (rounds * parts));
}

/* The first rounds, which build what later ones find, do not count. */
static void measure_warm(const char *name, void (*loop)(uint64_t))
{
	measure_raw(loop, 10);
	measure(name, loop, ROUNDS, 1);
}

/* A badged capability to a new Notification, and one to wait on it. */
static void notification_new(unsigned cpu, cptr_t *signal, cptr_t *wait)
{
	*wait = object_new_on(cpu, OBJECT_NOTIFICATION);
	*signal = slot_new();
	MUST(INIT_SLOT_CNODE, CNODE_DERIVE, *signal, CPTR_NULL, *wait, RIGHT_ALL, 1);
}

static void new_endpoint_on(unsigned cpu)
{
	bench_endpoint = object_new_on(cpu, OBJECT_ENDPOINT);
	bench_reply = object_new_on(cpu, OBJECT_REPLY);
	bench_client_info = bench_server_info = 0;
}

static void new_endpoint(void)
{
	new_endpoint_on(0);
}

static void stop(const struct worker *worker)
{
	MUST(worker->thread, THREAD_SUSPEND, 0);
}

static void bench_calls(struct space space)
{
	static const struct {
		const char *name;
		unsigned words;
	} sizes[] = {{"ipc_roundtrip_0w", 0},
	             {"ipc_roundtrip_4w", 4},
	             {"ipc_roundtrip_6w", 6},
	             {"ipc_roundtrip_64w", 64}};
	struct worker server = worker_new(space, server_loop, PRIORITY_MAX);
	cptr_t passed = slot_new();

	new_endpoint();
	worker_start(&server);
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		bench_client_info = bench_server_info = MESSAGE_INFO(0, sizes[i].words);
		measure_warm(sizes[i].name, client_loop);
	}
	MUST(INIT_SLOT_CNODE, CNODE_DERIVE, passed, CPTR_NULL, bench_endpoint, RIGHT_WRITE);
	own_buffer->caps[0] = own_buffer->receive_slots[0] = passed;
	server.buffer->caps[0] = server.buffer->receive_slots[0] = slot_new();
	bench_client_info = bench_server_info = MESSAGE_INFO_CAPS(0, 0, 1, 1);
	measure_warm("ipc_roundtrip_cap", client_loop);
	stop(&server);
}

static void bench_same_space(void)
{
	struct worker server = worker_new(own_space, server_loop, PRIORITY_MAX);

	new_endpoint();
	worker_start(&server);
	measure_warm("ipc_roundtrip_same_space", client_loop);
	stop(&server);
}

static void bench_notifications(struct space space)
{
	struct worker peer = worker_new(space, pong_loop, PRIORITY_MAX);

	notification_new(0, &bench_ping, &bench_ping_wait);
	notification_new(0, &bench_pong, &bench_pong_wait);
	measure_warm("notify_no_waiter", signal_loop);
	measure_warm("poll_empty", poll_loop);
	worker_start(&peer);
	measure_warm("notify_pingpong", ping_loop);
	stop(&peer);
}

static void bench_yield(struct space space)
{
	struct worker peer = worker_new(space, yielder_loop, PRIORITY_MAX);

	worker_start(&peer);
	measure_raw(yield_loop, 10);
	measure("yield_oneway", yield_loop, ROUNDS, 2);
	stop(&peer);
}

static void bench_foreign(struct space space)
{
	struct worker worker = worker_new(space, foreign_loop, PRIORITY_MAX);

	new_endpoint();
	MUST(worker.thread, THREAD_SET_FOREIGN, 1);
	MUST(worker.thread, THREAD_BIND, BIND_SYSCALL, bench_endpoint);
	bench_server_info = MESSAGE_INFO(0, 1);
	worker_start(&worker);
	handler_first();
	measure_warm("foreign_syscall", handler_loop);
	stop(&worker);
}

static void bench_faults(struct space space)
{
	struct worker worker = worker_new(space, fault_loop, PRIORITY_MAX);
	cptr_t memory = object_new(OBJECT_MEMORY, LARGE_PAGE_BITS);

	new_endpoint();
	bench_area = 0x40000000;
	bench_window = object_new(OBJECT_WINDOW, 0);
	MUST(bench_window, WINDOW_BIND, memory, space.vspace, RIGHT_READ | RIGHT_WRITE);
	/* The page table is there before the first fault. */
	MUST(bench_window, WINDOW_MAP, bench_area + (PAGES - 1) * PAGE_SIZE, 0, 1, RIGHT_READ | RIGHT_WRITE);
	MUST(worker.thread, THREAD_BIND, BIND_FAULT, bench_endpoint);
	bench_server_info = MESSAGE_INFO(REPLY_MAP, 6);
	worker_start(&worker);
	handler_first();
	measure("fault_map_reply", pager_loop, PAGES / 2, 1);
	stop(&worker);
}

static void bench_maps(struct space space)
{
	cptr_t memory = object_new(OBJECT_MEMORY, LARGE_PAGE_BITS);

	bench_area = 0x48000000;
	bench_vspace = space.vspace;
	bench_window = object_new(OBJECT_WINDOW, 0);
	MUST(bench_window, WINDOW_BIND, memory, space.vspace, RIGHT_READ | RIGHT_WRITE);
	measure_warm("map_unmap_page", map_loop);
	for (unsigned i = 0; i < PAGES; i++)
		own_buffer->scatter[i] = (struct scatter_entry){
		        .memory_page = i * 37 % PAGES,
		        .virtual_page_rights = i << 4 | RIGHT_READ | RIGHT_WRITE,
		};
	measure_raw(scatter_loop, 1);
	MUST(space.vspace, VSPACE_UNMAP, bench_area, PAGES);
	measure("map_scatter_page", scatter_loop, 1, PAGES);
}

static void bench_vector(struct space space)
{
	struct worker server = worker_new(space, server_vector_loop, PRIORITY_MAX);

	new_endpoint();
	worker_start(&server);
	__asm__ volatile("pxor %%xmm0, %%xmm0" : : : "memory");
	measure_warm("ipc_roundtrip_fpu", client_loop);
	stop(&server);
}

/*
 * Another caller, of a higher priority than the server and a lower than ours, waits in the queue all the
 * time: each call queues before it and lends the server its priority, each answer leaves the server with the
 * other's.
 */
static void bench_inherit(struct space space)
{
	struct worker server = worker_new(space, server_apart_loop, 1);
	struct worker other = worker_new(space, waiter, 2);
	struct result info;

	new_endpoint();
	worker_start(&server);
	worker_start(&other);
	measure_warm("ipc_roundtrip_inherit", client_loop);
	info = MUST(other.thread, THREAD_INFO, 0);
	if (info.words[1] != THREAD_STATE_BLOCKED_SEND)
		fail("nobody is queued", info.words[1]);
	info = MUST(server.thread, THREAD_INFO, 0);
	if (info.words[4] != 2)
		fail("nothing is inherited", info.words[4]);
	stop(&other);
	stop(&server);
}

/* To another CPU and back. Only one of the two has something to do at any time, and the other is halted: what
 * is counted are the instructions of both. */
static void bench_remote(struct space space)
{
	struct worker server = worker_new_on(1, space, server_loop, PRIORITY_MAX);

	new_endpoint_on(1);
	worker_start(&server);
	measure_warm("ipc_roundtrip_remote", client_loop);
	stop(&server);
}

/* ---- pairs of client and server, each on a CPU of its own ---- */

static struct pair {
	cptr_t go, done, endpoint, reply;
	cptr_t go_signal, done_wait; /* ours */
} pairs[2];
#define ASSERT_OFFSET(field, offset) _Static_assert(offsetof(struct pair, field) == (offset), #field)
ASSERT_OFFSET(go, PAIR_GO);
ASSERT_OFFSET(done, PAIR_DONE);
ASSERT_OFFSET(endpoint, PAIR_ENDPOINT);
ASSERT_OFFSET(reply, PAIR_REPLY);

static void pair_start(unsigned cpu)
{
	struct pair *pair = &pairs[cpu];
	struct worker client = worker_new_on(cpu, space_new(), pair_client, PRIORITY_MAX);
	struct worker server = worker_new_on(cpu, space_new(), pair_server, PRIORITY_MAX);

	pair->endpoint = object_new_on(cpu, OBJECT_ENDPOINT);
	pair->reply = object_new_on(cpu, OBJECT_REPLY);
	notification_new(cpu, &pair->go_signal, &pair->go);
	notification_new(0, &pair->done, &pair->done_wait);
	worker_argument(&client, (uint64_t)pair);
	worker_argument(&server, (uint64_t)pair);
	worker_start(&server);
	worker_start(&client);
}

/* All calls of so many pairs at the same time. */
static uint64_t pairs_run(unsigned count)
{
	uint64_t begin = tsc();

	for (unsigned i = count; i-- > 0;) {
		bench_ping = pairs[i].go_signal;
		signal_loop(1);
	}
	for (unsigned i = 0; i < count; i++) {
		bench_ping_wait = pairs[i].done_wait;
		wait_loop(1);
	}
	return tsc() - begin;
}

/* The best of some runs of each. */
static void bench_pairs(uint64_t cpus)
{
	uint64_t one = UINT64_MAX, two = UINT64_MAX;

	if (cpus < 2)
		fail("two pairs want two CPUs", cpus);
	pair_start(0);
	pair_start(1);
	for (unsigned i = 0; i < PAIR_RUNS; i++) {
		uint64_t took_one = pairs_run(1), took_two = pairs_run(2);

		one = took_one < one ? took_one : one;
		two = took_two < two ? took_two : two;
	}
	print_metric("one_pair_roundtrip", one / PAIR_CALLS);
	print_metric("two_pairs_roundtrip", two / PAIR_CALLS / 2);
}

void bench_main(const struct boot_info *info)
{
	struct space other;

	setup("bench", info);
	command_line = info->command_line;
	tsc_hz = info->tsc_hz;
	if (command_is("pairs", "")) {
		bench_pairs(info->cpu_count);
		print("bench done\n");
		finish(0);
	}
	other = space_new();
	measure_raw(empty_loop, ROUNDS);
	overhead = measure_raw(empty_loop, ROUNDS);
	if (overhead < ROUNDS || overhead > 10 * ROUNDS)
		print("warning: the clock does not count instructions\n");
	bench_calls(other);
	bench_same_space();
	bench_notifications(other);
	bench_yield(other);
	bench_foreign(other);
	bench_faults(other);
	bench_maps(other);
	bench_inherit(other);
	if (info->cpu_count > 1)
		bench_remote(other);
	bench_vector(other);
	print("bench done\n");
	finish(0);
}
