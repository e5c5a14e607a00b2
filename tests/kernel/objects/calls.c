/* SPDX-License-Identifier: MIT */
/* What is common to all calls: capabilities that are missing, of the wrong type, without rights; unused
 * arguments. */
#include "test.h"

/* Each operation, an object to try it on, and how many argument words it has. */
static const struct {
	unsigned operation, type, arguments;
	bool needs_no_manage;
} operations[] = {
        {UNTYPED_RETYPE, OBJECT_UNTYPED, 4, false},
        {UNTYPED_INFO, OBJECT_UNTYPED, 0, false},
        {CNODE_DERIVE, OBJECT_CNODE, 6, false},
        {CNODE_MOVE, OBJECT_CNODE, 3, false},
        {CNODE_DELETE, OBJECT_CNODE, 1, false},
        {CNODE_REVOKE, OBJECT_CNODE, 1, false},
        {THREAD_BIND, OBJECT_THREAD, 2, false},
        {THREAD_SET_PRIORITY, OBJECT_THREAD, 2, false},
        {THREAD_RESUME, OBJECT_THREAD, 0, false},
        {THREAD_SUSPEND, OBJECT_THREAD, 0, false},
        {THREAD_READ_REGISTERS, OBJECT_THREAD, 0, false},
        {THREAD_WRITE_REGISTERS, OBJECT_THREAD, 0, false},
        {THREAD_READ_VECTOR, OBJECT_THREAD, 0, false},
        {THREAD_WRITE_VECTOR, OBJECT_THREAD, 1, false},
        {THREAD_READ_DEBUG, OBJECT_THREAD, 0, false},
        {THREAD_WRITE_DEBUG, OBJECT_THREAD, 5, false},
        {THREAD_POKE, OBJECT_THREAD, 0, false},
        {THREAD_SET_FOREIGN, OBJECT_THREAD, 1, false},
        {THREAD_SET_TLS, OBJECT_THREAD, 1, false},
        {THREAD_INFO, OBJECT_THREAD, 0, false},
        {CPU_TIME_CONFIGURE, OBJECT_CPU_TIME, 3, false},
        {SCHED_CONTEXT_INFO, OBJECT_SCHED_CONTEXT, 0, false},
        {ENDPOINT_CLOSE, OBJECT_ENDPOINT, 0, false},
        {ENDPOINT_OPEN, OBJECT_ENDPOINT, 0, false},
        {VSPACE_FEED, OBJECT_VSPACE, 2, false},
        {VSPACE_UNMAP, OBJECT_VSPACE, 2, false},
        {VSPACE_HARVEST, OBJECT_VSPACE, 2, false},
        {VSPACE_RECLAIM, OBJECT_VSPACE, 0, false},
        {VSPACE_INFO, OBJECT_VSPACE, 0, false},
        {MEMORY_INFO, OBJECT_MEMORY, 0, true},
        {WINDOW_BIND, OBJECT_WINDOW, 3, false},
        {WINDOW_MAP, OBJECT_WINDOW, 4, false},
        {WINDOW_MAP_SCATTER, OBJECT_WINDOW, 2, false},
        {WINDOW_PROTECT, OBJECT_WINDOW, 3, false},
        {IRQ_CONTROL_LINE, OBJECT_IRQ_CONTROL, 4, false},
        {IRQ_CONTROL_MESSAGE, OBJECT_IRQ_CONTROL, 4, false},
        {IRQ_BIND, OBJECT_IRQ, 1, false},
        {IRQ_ACKNOWLEDGE, OBJECT_IRQ, 0, false},
        {IO_PORTS_IN, OBJECT_IO_PORTS, 2, false},
        {IO_PORTS_OUT, OBJECT_IO_PORTS, 3, false},
        {IO_PORTS_IN_STRING, OBJECT_IO_PORTS, 2, false},
        {IO_PORTS_OUT_STRING, OBJECT_IO_PORTS, 2, false},
};
#define COUNT (sizeof(operations) / sizeof(operations[0]))

/* A fresh object of any type, with its original capability. */
static cptr_t any_object(unsigned type)
{
	cptr_t slot;

	switch (type) {
	case OBJECT_UNTYPED:
	case OBJECT_MEMORY:
		return object_new(type, 12);
	case OBJECT_CNODE:
		return object_new(type, 8);
	case OBJECT_IRQ:
		slot = slot_new();
		OK(op(INIT_SLOT_IRQ_CONTROL, IRQ_CONTROL_MESSAGE, 0, 0, CPTR_NULL, slot));
		return slot;
	case OBJECT_IRQ_CONTROL:
		return derived(INIT_SLOT_IRQ_CONTROL, FULL, 0, 0);
	case OBJECT_IO_PORTS:
		return derived(INIT_SLOT_IO_PORTS, FULL, 0x80, 1);
	case OBJECT_CPU_TIME:
		return derived(INIT_SLOT_CPU_TIME, FULL, 0, 0);
	default:
		return object_new(type, 0);
	}
}

static void test_no_capability(void)
{
	cptr_t empty = slot_new();

	for (unsigned i = 0; i < COUNT; i++) {
		EXPECT(op(CPTR_NULL, operations[i].operation), ERR_NO_CAPABILITY);
		EXPECT(op(empty, operations[i].operation), ERR_NO_CAPABILITY);
		EXPECT(op(UINT32_MAX, operations[i].operation), ERR_NO_CAPABILITY);
		EXPECT(op(1u << INIT_CNODE_BITS, operations[i].operation), ERR_NO_CAPABILITY);
	}
}

static void test_rights(void)
{
	for (unsigned i = 0; i < COUNT; i++) {
		cptr_t object, weak;

		if (operations[i].needs_no_manage || operations[i].type == OBJECT_UNTYPED)
			continue;
		object = any_object(operations[i].type);
		weak = derived(object, 0, 0, 0);
		EXPECT(op(weak, operations[i].operation), ERR_RIGHTS);
		OK(op(INIT_SLOT_CNODE, CNODE_DELETE, object)); /* gives the Irq back */
		CHECK(!present(weak) || operations[i].type >= OBJECT_IRQ_CONTROL);
	}
}

static void test_unused_arguments(void)
{
	for (unsigned i = 0; i < COUNT; i++) {
		cptr_t object;
		uint64_t words[6] = {0};

		if (operations[i].arguments == 6)
			continue;
		object = any_object(operations[i].type);
		words[operations[i].arguments] = 1;
		EXPECT(op_(object, operations[i].operation, words[0], words[1], words[2], words[3], words[4],
		           words[5]),
		       ERR_ARGUMENT);
		OK(op(INIT_SLOT_CNODE, CNODE_DELETE, object));
	}
}

static void test_no_operation(void)
{
	for (unsigned i = 0; i < COUNT; i++) {
		cptr_t object = any_object(operations[i].type);

		for (unsigned j = 0; j < COUNT; j++) {
			if (operations[j].type != operations[i].type)
				EXPECT(op(object, operations[j].operation), ERR_NO_OPERATION);
		}
		EXPECT(op(object, 0), ERR_NO_OPERATION);
		EXPECT(op(object, UINT32_MAX), ERR_NO_OPERATION);
		OK(op(INIT_SLOT_CNODE, CNODE_DELETE, object));
	}
	EXPECT(op(new_reply(), UNTYPED_INFO), ERR_NO_OPERATION);
	EXPECT(op(new_notification(), UNTYPED_INFO), ERR_NO_OPERATION);
}

static void test_no_syscall(void)
{
	static const uint64_t numbers[] = {0, 11, 63, 0x100, UINT32_MAX, 1ul << 32, UINT64_MAX};

	for (unsigned i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		struct registers r = {0};

		EXPECT(system_call(numbers[i], &r), ERR_NO_SYSCALL);
	}
	last = (struct registers){.cap = 49};
	EXPECT(sys(SYS_DEBUG_WRITE), ERR_ARGUMENT);
}

static void test_syscall_capabilities(void)
{
	static const unsigned on_endpoint[] = {SYS_CALL, SYS_SEND, SYS_RECV, SYS_REPLY_RECV};
	cptr_t endpoint = new_endpoint(), notification = new_notification(), reply = new_reply(),
	       empty = slot_new();
	cptr_t weak_endpoint = derived(endpoint, RIGHT_MANAGE, 0, 0),
	       weak = derived(notification, RIGHT_MANAGE, 0, 0);

	for (unsigned i = 0; i < 4; i++) {
		EXPECT(send_(on_endpoint[i], empty, 0, reply, DEADLINE_POLL), ERR_NO_CAPABILITY);
		EXPECT(send_(on_endpoint[i], notification, 0, reply, DEADLINE_POLL), ERR_WRONG_TYPE);
		EXPECT(send_(on_endpoint[i], weak_endpoint, 0, reply, DEADLINE_POLL), ERR_RIGHTS);
	}
	EXPECT(send_(SYS_SIGNAL, empty, 0, 0, 0), ERR_NO_CAPABILITY);
	EXPECT(send_(SYS_SIGNAL, endpoint, 0, 0, 0), ERR_WRONG_TYPE);
	EXPECT(send_(SYS_SIGNAL, weak, 0, 0, 0), ERR_RIGHTS);
	EXPECT(send_(SYS_WAIT, empty, 0, 0, DEADLINE_POLL), ERR_NO_CAPABILITY);
	EXPECT(send_(SYS_WAIT, endpoint, 0, 0, DEADLINE_POLL), ERR_WRONG_TYPE);
	EXPECT(send_(SYS_WAIT, weak, 0, 0, DEADLINE_POLL), ERR_RIGHTS);
	EXPECT(send_(SYS_REPLY, 0, 0, empty, 0), ERR_NO_CAPABILITY);
	EXPECT(send_(SYS_REPLY, 0, 0, endpoint, 0), ERR_WRONG_TYPE);
	EXPECT(send_(SYS_REPLY, 0, 0, reply, 0), ERR_STATE);
	EXPECT(send_(SYS_RECV, endpoint, 0, notification, DEADLINE_POLL), ERR_WRONG_TYPE);
	EXPECT(send_(SYS_RECV, endpoint, 0, empty, DEADLINE_POLL), ERR_NO_CAPABILITY);
	EXPECT(send_(SYS_REPLY_RECV, endpoint, 0, REPLY_PAIR(reply, 0), DEADLINE_POLL), ERR_STATE);
	EXPECT(send_(SYS_RECV, endpoint, 0, reply, DEADLINE_POLL), ERR_TIMEOUT);
	EXPECT(send_(SYS_REPLY_RECV, endpoint, 0, REPLY_PAIR(0, reply), DEADLINE_POLL), ERR_TIMEOUT);
	EXPECT(send_(SYS_CALL, endpoint, 0, 0, DEADLINE_POLL), ERR_TIMEOUT);
	EXPECT(send_(SYS_SEND, endpoint, 0, 0, DEADLINE_POLL), ERR_TIMEOUT);
	OK(send_(SYS_YIELD, 0, 0, 0, 0));
}

static void test_message_info(void)
{
	static const uint64_t bad[] = {65,
	                               127,
	                               1ul << 7,
	                               5ul << 8,
	                               1ul << 11,
	                               1ul << 12,
	                               1ul << 16,
	                               1ul << 31,
	                               2 << 8 | 4ul << 12,
	                               (uint64_t)LABEL_KERNEL << 32,
	                               (uint64_t)LABEL_PAGE_FAULT << 32,
	                               UINT64_MAX};
	cptr_t endpoint = new_endpoint();

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		EXPECT(send_(SYS_CALL, endpoint, bad[i], 0, DEADLINE_POLL), ERR_ARGUMENT);
		EXPECT(send_(SYS_SEND, endpoint, bad[i], 0, DEADLINE_POLL), ERR_ARGUMENT);
	}
	own_buffer->caps[0] = slot_new();
	EXPECT(send_(SYS_SEND, endpoint, MESSAGE_INFO_CAPS(0, 0, 1, 0), 0, DEADLINE_POLL), ERR_NO_CAPABILITY);
	own_buffer->caps[0] = endpoint;
	EXPECT(send_(SYS_SEND, derived(endpoint, RIGHT_WRITE, 0, 0), MESSAGE_INFO_CAPS(0, 0, 1, 0), 0,
	             DEADLINE_POLL),
	       ERR_RIGHTS);
	own_buffer->caps[0] = new_reply();
	EXPECT(send_(SYS_SEND, endpoint, MESSAGE_INFO_CAPS(0, 0, 1, 0), 0, DEADLINE_POLL), ERR_WRONG_TYPE);
}

const struct test tests_calls[] = {
        {"call.no-capability", "every operation refuses a slot that is null, empty or out of range",
         test_no_capability},
        {"call.rights", "every operation refuses a capability without its right", test_rights},
        {"call.unused-arguments", "every operation refuses arguments that it does not have",
         test_unused_arguments},
        {"call.no-operation", "every object refuses the operations of the others", test_no_operation},
        {"call.no-syscall", "unknown system calls are refused", test_no_syscall},
        {"call.capabilities", "every system call checks type and rights of its capabilities",
         test_syscall_capabilities},
        {"call.message-info", "impossible message infos are refused", test_message_info},
        {0},
};
