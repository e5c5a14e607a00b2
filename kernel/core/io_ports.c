/* SPDX-License-Identifier: MIT */
#include <kernel/arch.h>
#include <kernel/io_ports.h>
#include <kernel/lock.h>
#include <kernel/syscall.h>

#define STRING_MAX sizeof(((struct ipc_buffer *)0)->data)
#define STRING_RUN 64 /* bytes between two preemption points: of a slow bus each takes a microsecond */

static enum error io_ports_check(const struct slot *slot, uint64_t port, uint64_t width)
{
	if (width != 1 && width != 2 && width != 4)
		return ERR_ARGUMENT;
	if (port < slot->object || port - slot->object >= slot->ports ||
	    width > slot->ports - (port - slot->object))
		return ERR_RANGE;
	return ERR_NONE;
}

static enum error io_ports_value(struct thread *caller, const struct slot *slot, bool in)
{
	uint64_t port = argument(caller, 0), width = argument(caller, 1), value = argument(caller, 2);
	enum error error;

	if (!arguments_zero(caller, in ? 2 : 3))
		return ERR_ARGUMENT;
	error = io_ports_check(slot, port, width);
	if (error)
		return error;
	if (!in && value >> (width * 8))
		return ERR_ARGUMENT;
	if (in)
		result(caller, 0, arch_port_in((uint16_t)port, (unsigned)width));
	else
		arch_port_out((uint16_t)port, (unsigned)width, (uint32_t)value);
	return ERR_NONE;
}

/* progress: how many bytes have been moved. */
static unsigned io_ports_string(struct thread *caller, const struct slot *slot, bool in)
{
	uint64_t port = argument(caller, 0), count = argument(caller, 1);
	struct ipc_buffer *buffer = thread_buffer(caller);
	enum error error;

	if (!arguments_zero(caller, 2))
		return ERR_ARGUMENT;
	error = io_ports_check(slot, port, 1);
	if (!error && count > STRING_MAX)
		error = ERR_RANGE;
	if (!error && !buffer)
		error = ERR_NO_BUFFER;
	if (error)
		return error;
	while (caller->progress < count) {
		uint8_t *data = buffer->data + caller->progress;
		uint64_t run = count - caller->progress < STRING_RUN ? count - caller->progress : STRING_RUN;

		if (in)
			arch_port_in_string((uint16_t)port, data, run);
		else
			arch_port_out_string((uint16_t)port, data, run);
		caller->progress += run;
		if (caller->progress < count && preempt_wanted())
			return STATUS_RESTART;
	}
	return ERR_NONE;
}

unsigned io_ports_invoke(struct thread *caller, struct slot *slot, unsigned operation)
{
	bool in = operation == IO_PORTS_IN || operation == IO_PORTS_IN_STRING;

	if (!(slot->rights & (in ? RIGHT_READ : RIGHT_WRITE)))
		return ERR_RIGHTS;
	if (operation == IO_PORTS_IN || operation == IO_PORTS_OUT)
		return io_ports_value(caller, slot, in);
	return io_ports_string(caller, slot, in);
}
