/* SPDX-License-Identifier: MIT */
/* Interrupts and ports: every documented error, and the timer chip's interrupt for real. */
#include "test.h"

#define CONTROL INIT_SLOT_IRQ_CONTROL
#define PORTS   INIT_SLOT_IO_PORTS

TEST(irq_errors, "IrqControl and Irq refuse what they should")
{
	cptr_t to = slot_new(), weak = derive(CONTROL, RIGHT_READ), empty = slot_new(), last;
	cptr_t endpoint = object_new(OBJECT_ENDPOINT, 0), notification = object_new(OBJECT_NOTIFICATION, 0);
	struct result r;

	EXPECT(ERR_RIGHTS, weak, IRQ_CONTROL_LINE, 3, 0, CPTR_NULL, to);
	EXPECT(ERR_RIGHTS, weak, IRQ_CONTROL_MESSAGE, 0, 0, CPTR_NULL, to);
	EXPECT(ERR_NO_OPERATION, CONTROL, IRQ_BIND);
	EXPECT(ERR_ARGUMENT, CONTROL, IRQ_CONTROL_LINE, 3, 4, CPTR_NULL, to);
	EXPECT(ERR_ARGUMENT, CONTROL, IRQ_CONTROL_MESSAGE, 1, 0, CPTR_NULL, to);
	EXPECT(ERR_ARGUMENT, CONTROL, IRQ_CONTROL_MESSAGE, 0, 0, CPTR_NULL, to, 1);
	EXPECT(ERR_RANGE, CONTROL, IRQ_CONTROL_LINE, 1000, 0, CPTR_NULL, to);
	EXPECT(ERR_RANGE, CONTROL, IRQ_CONTROL_LINE, 1ul << 32, 0, CPTR_NULL, to);
	EXPECT(ERR_RANGE, CONTROL, IRQ_CONTROL_LINE, 3, 0, CPTR_NULL, 1ul << 40);
	EXPECT(ERR_RANGE, CONTROL, IRQ_CONTROL_MESSAGE, 0, 0, CPTR_NULL, 1ul << 40);
	EXPECT(ERR_OCCUPIED, CONTROL, IRQ_CONTROL_LINE, 3, 0, CPTR_NULL, endpoint);
	EXPECT(ERR_OCCUPIED, CONTROL, IRQ_CONTROL_MESSAGE, 0, 0, CPTR_NULL, endpoint);
	EXPECT(ERR_NO_CAPABILITY, CONTROL, IRQ_CONTROL_LINE, 3, 0, empty, to);
	EXPECT(ERR_NO_CAPABILITY, CONTROL, IRQ_CONTROL_MESSAGE, 0, 0, empty, to);
	EXPECT(ERR_WRONG_TYPE, CONTROL, IRQ_CONTROL_LINE, 3, 0, endpoint, to);
	EXPECT(ERR_WRONG_TYPE, CONTROL, IRQ_CONTROL_MESSAGE, 0, 0, endpoint, to);
	r = EXPECT(ERR_NONE, CONTROL, IRQ_CONTROL_MESSAGE, 0, 0, CPTR_NULL, to);
	CHECK(r.words[0] >> 20 == 0xfee && r.words[1] >= 32 && r.words[1] < 256);

	weak = derive(to, RIGHT_READ);
	EXPECT(ERR_RIGHTS, weak, IRQ_BIND, notification);
	EXPECT(ERR_RIGHTS, weak, IRQ_ACKNOWLEDGE);
	EXPECT(ERR_NO_OPERATION, to, IRQ_CONTROL_LINE);
	EXPECT(ERR_STATE, to, IRQ_ACKNOWLEDGE);
	EXPECT(ERR_ARGUMENT, to, IRQ_BIND, notification, 1);
	EXPECT(ERR_NO_CAPABILITY, to, IRQ_BIND, empty);
	EXPECT(ERR_WRONG_TYPE, to, IRQ_BIND, endpoint);
	EXPECT(ERR_RIGHTS, to, IRQ_BIND, derive(notification, RIGHT_READ));
	EXPECT(ERR_NONE, to, IRQ_BIND, notification);
	EXPECT(ERR_ARGUMENT, to, IRQ_ACKNOWLEDGE, 1);
	EXPECT(ERR_NONE, to, IRQ_ACKNOWLEDGE);
	EXPECT(ERR_NONE, to, IRQ_BIND, CPTR_NULL);

	do {
		last = slot_new();
		r = invoke(CONTROL, IRQ_CONTROL_MESSAGE, 0, 0, CPTR_NULL, last, 0, 0);
	} while (r.status == ERR_NONE);
	EXPECT(ERR_LIMIT, CONTROL, IRQ_CONTROL_MESSAGE, 0, 0, CPTR_NULL, last);
}

static void out(uint64_t port, uint64_t value)
{
	MUST(PORTS, IO_PORTS_OUT, port, 1, value);
}

/* COM2's transmitter: empty, so enabling its interrupt raises it at once. */
TEST(irq_line, "a line's interrupt arrives as the badge's bits, again after it is acknowledged")
{
	cptr_t irq = slot_new(), notification = object_new(OBJECT_NOTIFICATION, 0);
	cptr_t signal = derive_badged(notification, RIGHT_WRITE, 0x40);

	EXPECT(ERR_NONE, CONTROL, IRQ_CONTROL_LINE, 3, 0, CPTR_NULL, irq);
	EXPECT(ERR_OCCUPIED, CONTROL, IRQ_CONTROL_LINE, 3, IRQ_LEVEL, CPTR_NULL, slot_new());
	EXPECT(ERR_NONE, irq, IRQ_BIND, signal);
	out(0x2fc, 0xb);
	for (unsigned i = 0; i < 3; i++) {
		struct registers r;

		out(0x2f9, 2);
		r = EXPECT_CALL(ERR_NONE, SYS_WAIT,
		                (struct registers){.cap = notification, .deadline = soon()});
		CHECK(r.cap == 0x40);
		MUST(PORTS, IO_PORTS_IN, 0x2fa, 1); /* reading the cause clears it */
		out(0x2f9, 0);
		EXPECT(ERR_NONE, irq, IRQ_ACKNOWLEDGE);
	}
	out(0x2fc, 0);
}

TEST(port_errors, "port operations refuse what they should")
{
	cptr_t none = derive(PORTS, RIGHT_MANAGE);

	for (unsigned operation = IO_PORTS_IN; operation <= IO_PORTS_OUT_STRING; operation++) {
		bool string = operation >= IO_PORTS_IN_STRING;

		EXPECT(ERR_RIGHTS, none, operation, 0x80, 1);
		EXPECT(ERR_ARGUMENT, PORTS, operation, 0x80, 1, 0, 1);
		EXPECT(ERR_RANGE, PORTS, operation, 0x10000, 1);
		EXPECT(ERR_RANGE, PORTS, operation, UINT64_MAX, 1);
		if (string)
			EXPECT(ERR_RANGE, PORTS, operation, 0x80, 3073);
		else
			EXPECT(ERR_ARGUMENT, PORTS, operation, 0x80, 3);
	}
	EXPECT(ERR_RANGE, PORTS, IO_PORTS_IN, 0xffff, 2);
	EXPECT(ERR_ARGUMENT, PORTS, IO_PORTS_OUT, 0x80, 1, 0x100);
	EXPECT(ERR_NO_OPERATION, PORTS, IO_PORTS_OUT_STRING + 1);
}

TEST(debug_write, "the debug UART takes at most 48 bytes a call")
{
	EXPECT_CALL(ERR_ARGUMENT, SYS_DEBUG_WRITE, (struct registers){.cap = 49});
	EXPECT_CALL(ERR_NONE, SYS_DEBUG_WRITE, (struct registers){.cap = 0});
	EXPECT_CALL(ERR_NO_SYSCALL, 0, (struct registers){0});
	EXPECT_CALL(ERR_NO_SYSCALL, 99, (struct registers){0});
	EXPECT_CALL(ERR_NO_SYSCALL, UINT64_MAX, (struct registers){0});
}
