/* SPDX-License-Identifier: MIT */
/*
 * `./pith bench kernel`: guest instructions of the kernel's operations. The first component of a boot image
 * of its own, under `-icount shift=0`, where the TSC counts instructions. Each line is `name value unit`;
 * kernel and user stub together. Different address spaces unless the name says otherwise, budgets in force
 * (10 ms round robin).
 */
#include "setup.h"

#define ROUNDS 1000
#define PAGES  512

/* What the loops use: the same memory in every space. */
cptr_t bench_endpoint, bench_reply, bench_ping, bench_ping_wait, bench_pong, bench_pong_wait, bench_window,
        bench_vspace;
uint64_t bench_client_info, bench_server_info, bench_area;

void empty_loop(uint64_t rounds);
void client_loop(uint64_t rounds);
void server_loop(void);
void server_vector_loop(void);
void signal_loop(uint64_t rounds);
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

static uint64_t overhead;
static const char *command_line;

static void print_metric(const char *name, uint64_t value)
{
	print(name);
	print(" ");
	print_number(value);
	print(" instructions\n");
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

static bool traced(const char *name)
{
	const char *wanted = command_line, *key = "profile=";

	while (*key && *key == *wanted)
		key++, wanted++;
	while (!*key && *name && *name == *wanted)
		name++, wanted++;
	return !*key && !*name && !*wanted;
}

/* Instructions a round, but for the loop's own two. */
static void measure(const char *name, void (*loop)(uint64_t), uint64_t rounds, uint64_t parts)
{
	uint64_t count;

	if (traced(name))
		trace_begin();
	count = measure_raw(loop, rounds);
	if (traced(name))
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
static void notification_new(cptr_t *signal, cptr_t *wait)
{
	*wait = object_new(OBJECT_NOTIFICATION, 0);
	*signal = slot_new();
	MUST(INIT_SLOT_CNODE, CNODE_DERIVE, *signal, CPTR_NULL, *wait, RIGHT_ALL, 1);
}

static void new_endpoint(void)
{
	bench_endpoint = object_new(OBJECT_ENDPOINT, 0);
	bench_reply = object_new(OBJECT_REPLY, 0);
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
	bench_client_info = bench_server_info = 0;
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

	notification_new(&bench_ping, &bench_ping_wait);
	notification_new(&bench_pong, &bench_pong_wait);
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

void bench_main(const struct boot_info *info)
{
	struct space other;

	setup("bench", info);
	command_line = info->command_line;
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
	bench_vector(other);
	print("bench done\n");
	finish(0);
}
