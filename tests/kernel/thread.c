/* SPDX-License-Identifier: MIT */
/* Threads, scheduling contexts and CpuTime: every documented error. */
#include "test.h"

static volatile uint64_t counter;

static void count(void)
{
	for (;;) {
		struct registers r = {0};

		counter++;
		system_call(SYS_YIELD, &r);
	}
}

TEST(thread_errors, "operations on threads refuse what they should")
{
	struct worker worker = worker_new(own_space, count, PRIORITY_MAX);
	cptr_t thread = worker.thread, weak = derive(thread, RIGHT_READ),
	       other = object_new(OBJECT_THREAD, 0);
	cptr_t endpoint = object_new(OBJECT_ENDPOINT, 0), low = slot_new(), empty = slot_new();
	cptr_t large = object_new(OBJECT_MEMORY, 17), notification = object_new(OBJECT_NOTIFICATION, 0);
	struct thread_registers *registers = (struct thread_registers *)own_buffer->words;

	for (unsigned operation = THREAD_BIND; operation <= THREAD_WRITE_DEBUG; operation++) {
		EXPECT(ERR_RIGHTS, weak, operation);
		EXPECT(ERR_ARGUMENT, thread, operation, 0, 0, 0, 0, 0, 1);
	}
	EXPECT(ERR_RIGHTS, weak, THREAD_NAME);
	EXPECT(ERR_NO_OPERATION, weak, THREAD_NAME + 1);
	EXPECT(ERR_ARGUMENT, thread, THREAD_BIND, THREAD_BINDING_COUNT, endpoint);
	EXPECT(ERR_NO_CAPABILITY, thread, THREAD_BIND, BIND_FAULT, empty);
	EXPECT(ERR_WRONG_TYPE, thread, THREAD_BIND, BIND_CSPACE, endpoint);
	EXPECT(ERR_RIGHTS, thread, THREAD_BIND, BIND_FAULT, derive(endpoint, RIGHT_READ));
	EXPECT(ERR_ARGUMENT, thread, THREAD_BIND, BIND_IPC_BUFFER, large);
	EXPECT(ERR_NONE, thread, THREAD_BIND, BIND_NOTIFICATION, notification);
	EXPECT(ERR_OCCUPIED, other, THREAD_BIND, BIND_NOTIFICATION, notification);
	EXPECT(ERR_OCCUPIED, other, THREAD_BIND, BIND_SCHED_CONTEXT, INIT_SLOT_SCHED_CONTEXT);
	EXPECT(ERR_NONE, thread, THREAD_BIND, BIND_NOTIFICATION, CPTR_NULL);

	EXPECT(ERR_NO_CAPABILITY, thread, THREAD_SET_PRIORITY, empty, 1);
	EXPECT(ERR_WRONG_TYPE, thread, THREAD_SET_PRIORITY, endpoint, 1);
	EXPECT(ERR_ARGUMENT, thread, THREAD_SET_PRIORITY, INIT_SLOT_CPU_TIME, 256);
	MUST(INIT_SLOT_CNODE, CNODE_DERIVE, low, CPTR_NULL, INIT_SLOT_CPU_TIME, RIGHT_ALL, 10, 100);
	EXPECT(ERR_LIMIT, thread, THREAD_SET_PRIORITY, low, 101);
	EXPECT(ERR_RIGHTS, thread, THREAD_SET_PRIORITY, derive(low, RIGHT_READ), 100);
	EXPECT(ERR_STATE, other, THREAD_RESUME);

	EXPECT(ERR_NONE, thread, THREAD_READ_REGISTERS);
	registers->rip = USER_END;
	EXPECT(ERR_RANGE, thread, THREAD_WRITE_REGISTERS);
	EXPECT(ERR_NONE, thread, THREAD_READ_REGISTERS);
	registers->fs_base = 1ul << 63;
	EXPECT(ERR_RANGE, thread, THREAD_WRITE_REGISTERS);
	EXPECT(ERR_RANGE, thread, THREAD_SET_TLS, USER_END);
	EXPECT(ERR_ARGUMENT, thread, THREAD_SET_FOREIGN, 2);
	EXPECT(ERR_RANGE, thread, THREAD_WRITE_VECTOR, sizeof(own_buffer->data) + 1);
	EXPECT(ERR_ARGUMENT, thread, THREAD_WRITE_VECTOR, 100);
	EXPECT(ERR_STATE, thread, THREAD_POKE);

	counter = 0;
	worker_start(&worker);
	while (counter < 2)
		MUST(thread, THREAD_INFO, 0), system_call(SYS_YIELD, &(struct registers){0});
	CHECK(MUST(thread, THREAD_INFO, 0).words[1] == THREAD_STATE_READY);
	EXPECT(ERR_STATE, thread, THREAD_READ_REGISTERS);
	EXPECT(ERR_STATE, thread, THREAD_WRITE_REGISTERS);
	EXPECT(ERR_STATE, thread, THREAD_READ_VECTOR);
	EXPECT(ERR_STATE, thread, THREAD_WRITE_VECTOR, 0);
	EXPECT(ERR_STATE, thread, THREAD_WRITE_DEBUG);
	EXPECT(ERR_STATE, thread, THREAD_SET_FOREIGN, 1);
	EXPECT(ERR_NONE, thread, THREAD_SUSPEND);
	counter = 0;
	system_call(SYS_YIELD, &(struct registers){0});
	CHECK(counter == 0);
	EXPECT(ERR_NONE, thread, THREAD_READ_REGISTERS);
	EXPECT(ERR_NONE, thread, THREAD_READ_VECTOR);
}

TEST(buffer_errors, "what needs an IPC buffer says so without one")
{
	static const uint32_t operations[] = {
	        THREAD_READ_REGISTERS, THREAD_WRITE_REGISTERS, THREAD_READ_VECTOR, THREAD_WRITE_VECTOR,
	        IO_PORTS_IN_STRING,    IO_PORTS_OUT_STRING,    VSPACE_HARVEST};
	cptr_t thread = object_new(OBJECT_THREAD, 0);

	for (unsigned i = 0; i < sizeof(operations) / sizeof(operations[0]); i++) {
		uint32_t operation = operations[i];
		bool port = operation >= IO_PORTS_IN, space = operation == VSPACE_HARVEST;

		MUST(INIT_SLOT_THREAD, THREAD_BIND, BIND_IPC_BUFFER, CPTR_NULL);
		EXPECT(ERR_NO_BUFFER,
		       port    ? (cptr_t)INIT_SLOT_IO_PORTS
		       : space ? own_space.vspace
		               : thread,
		       operation,
		       port    ? 0x80
		       : space ? USER_BASE
		               : 0,
		       port || space ? 1 : 0);
		MUST(INIT_SLOT_THREAD, THREAD_BIND, BIND_IPC_BUFFER, INIT_SLOT_IPC_BUFFER);
	}
}

TEST(time_errors, "scheduling contexts and CpuTime refuse what they should")
{
	cptr_t context = object_new(OBJECT_SCHED_CONTEXT, 0), endpoint = object_new(OBJECT_ENDPOINT, 0),
	       low = slot_new(), empty = slot_new();

	MUST(INIT_SLOT_CNODE, CNODE_DERIVE, low, CPTR_NULL, INIT_SLOT_CPU_TIME, RIGHT_ALL, 100, 100);
	EXPECT(ERR_RIGHTS, derive(low, RIGHT_READ), CPU_TIME_CONFIGURE, context, 1000000, 10000000);
	EXPECT(ERR_ARGUMENT, low, CPU_TIME_CONFIGURE, context, 1000000, 10000000, 1);
	EXPECT(ERR_ARGUMENT, low, CPU_TIME_CONFIGURE, context, 2, 1);
	EXPECT(ERR_ARGUMENT, low, CPU_TIME_CONFIGURE, context, 0, 10000000);
	EXPECT(ERR_ARGUMENT, low, CPU_TIME_CONFIGURE, context, 1000000, UINT64_MAX);
	EXPECT(ERR_NO_CAPABILITY, low, CPU_TIME_CONFIGURE, empty, 1000000, 10000000);
	EXPECT(ERR_WRONG_TYPE, low, CPU_TIME_CONFIGURE, endpoint, 1000000, 10000000);
	EXPECT(ERR_LIMIT, low, CPU_TIME_CONFIGURE, context, 2000000, 10000000);
	EXPECT(ERR_NONE, low, CPU_TIME_CONFIGURE, context, 1000000, 10000000);
	EXPECT(ERR_NO_OPERATION, low, CPU_TIME_CONFIGURE + 1);
	EXPECT(ERR_RIGHTS, derive(context, RIGHT_READ), SCHED_CONTEXT_INFO);
	EXPECT(ERR_ARGUMENT, context, SCHED_CONTEXT_INFO, 1);
	EXPECT(ERR_NO_OPERATION, context, THREAD_INFO);
	CHECK(MUST(context, SCHED_CONTEXT_INFO, 0).words[1] == 1000000);
}

TEST(budget_is_kept, "a thread gets no more than its budget in a period")
{
	struct worker worker = worker_new(own_space, count, PRIORITY_MAX);
	cptr_t context = object_new(OBJECT_SCHED_CONTEXT, 0);
	uint64_t begin, used;

	MUST(INIT_SLOT_CPU_TIME, CPU_TIME_CONFIGURE, context, 5000000, 50000000);
	MUST(worker.thread, THREAD_BIND, BIND_SCHED_CONTEXT, context);
	worker_start(&worker);
	begin = now();
	while (now() - begin < 250000000)
		system_call(SYS_YIELD, &(struct registers){0});
	used = MUST(context, SCHED_CONTEXT_INFO, 0).words[0];
	CHECK(used >= 15000000 && used <= 40000000);
	MUST(worker.thread, THREAD_SUSPEND, 0);
}
