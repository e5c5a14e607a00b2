/* SPDX-License-Identifier: MIT */
/* One function for each kernel operation: packs arguments into message words and unpacks the results. */
/* Parts of this run before thread-local storage, where the canary lives, is set up. */
#pragma GCC optimize("no-stack-protector")

#include <stdio.h>
#include <string.h>

#include <pith/object.h>
#include <pith/startup.h>

#include "runtime.h"

#define INVOKE(capability, operation, ...)                               \
	({                                                               \
		uint64_t words_[MESSAGE_REGISTER_WORDS] = {__VA_ARGS__}; \
		invoke(capability, operation, words_);                   \
	})

enum error untyped_retype(cptr_t untyped, enum object_type type, unsigned size_bits, unsigned cpu,
                          unsigned count, cptr_t cnode, cptr_t first_slot)
{
	return INVOKE(untyped, UNTYPED_RETYPE,
	              (uint64_t)type | (uint64_t)size_bits << 8 | (uint64_t)cpu << 16, count, cnode,
	              first_slot);
}

enum error untyped_info(cptr_t untyped, struct untyped_info *info)
{
	uint64_t words[MESSAGE_REGISTER_WORDS] = {0};
	enum error error = invoke(untyped, UNTYPED_INFO, words);
	if (error == ERR_NONE)
		*info = (struct untyped_info){.size_bits = (unsigned)words[0],
		                              .chunk_bits = (unsigned)words[1],
		                              .used = words[2],
		                              .device = words[3] != 0,
		                              .physical = words[4]};
	return error;
}

enum error cnode_derive(cptr_t cnode, cptr_t slot, cptr_t source_cnode, cptr_t source, unsigned rights,
                        uint64_t a, uint64_t b)
{
	return INVOKE(cnode, CNODE_DERIVE, slot, source_cnode, source, rights, a, b);
}

enum error cnode_move(cptr_t cnode, cptr_t slot, cptr_t source_cnode, cptr_t source)
{
	return INVOKE(cnode, CNODE_MOVE, slot, source_cnode, source);
}

enum error cnode_delete(cptr_t cnode, cptr_t slot)
{
	return INVOKE(cnode, CNODE_DELETE, slot);
}

enum error cnode_revoke(cptr_t cnode, cptr_t slot)
{
	return INVOKE(cnode, CNODE_REVOKE, slot);
}

enum error capability_derive(cptr_t slot, cptr_t source, unsigned rights, uint64_t a, uint64_t b)
{
	return cnode_derive(runtime.cspace, slot, CPTR_NULL, source, rights, a, b);
}

enum error capability_move(cptr_t slot, cptr_t source)
{
	return cnode_move(runtime.cspace, slot, CPTR_NULL, source);
}

enum error capability_delete(cptr_t slot)
{
	return cnode_delete(runtime.cspace, slot);
}

enum error capability_revoke(cptr_t slot)
{
	return cnode_revoke(runtime.cspace, slot);
}

enum error thread_bind(cptr_t thread, enum thread_binding binding, cptr_t capability)
{
	return INVOKE(thread, THREAD_BIND, binding, capability);
}

enum error thread_set_priority(cptr_t thread, cptr_t cpu_time, unsigned priority)
{
	return INVOKE(thread, THREAD_SET_PRIORITY, cpu_time, priority);
}

enum error thread_resume(cptr_t thread)
{
	return INVOKE(thread, THREAD_RESUME);
}

enum error thread_suspend(cptr_t thread)
{
	return INVOKE(thread, THREAD_SUSPEND);
}

enum error thread_read_registers(cptr_t thread, struct thread_registers *registers)
{
	enum error error = INVOKE(thread, THREAD_READ_REGISTERS);
	if (error == ERR_NONE)
		memcpy(registers, ipc_buffer()->words, sizeof(*registers));
	return error;
}

enum error thread_write_registers(cptr_t thread, const struct thread_registers *registers)
{
	memcpy(ipc_buffer()->words, registers, sizeof(*registers));
	return INVOKE(thread, THREAD_WRITE_REGISTERS);
}

enum error thread_read_vector(cptr_t thread, void *data, size_t *size)
{
	uint64_t words[MESSAGE_REGISTER_WORDS] = {0};
	enum error error = invoke(thread, THREAD_READ_VECTOR, words);
	if (error != ERR_NONE)
		return error;
	if (words[0] > *size || words[0] > sizeof(ipc_buffer()->data))
		return ERR_RANGE;
	memcpy(data, ipc_buffer()->data, words[0]);
	*size = words[0];
	return ERR_NONE;
}

enum error thread_write_vector(cptr_t thread, const void *data, size_t size)
{
	if (size > sizeof(ipc_buffer()->data))
		return ERR_RANGE;
	if (size)
		memcpy(ipc_buffer()->data, data, size);
	return INVOKE(thread, THREAD_WRITE_VECTOR, size);
}

enum error thread_poke(cptr_t thread)
{
	return INVOKE(thread, THREAD_POKE);
}

enum error thread_set_foreign(cptr_t thread, bool foreign)
{
	return INVOKE(thread, THREAD_SET_FOREIGN, foreign);
}

enum error thread_set_tls(cptr_t thread, uint64_t base)
{
	return INVOKE(thread, THREAD_SET_TLS, base);
}

void thread_name(cptr_t thread, const char *name, unsigned number)
{
	static bool refused; /* a kernel without a trace is asked once */
	uint64_t words[MESSAGE_REGISTER_WORDS] = {0};

	if (refused)
		return;
	if (number)
		snprintf((char *)words, sizeof(words), "%s[%u]", name, number);
	else
		snprintf((char *)words, sizeof(words), "%s", name);
	refused = invoke(thread, THREAD_NAME, words) == ERR_NO_OPERATION;
}

enum error thread_info(cptr_t thread, struct thread_info *info)
{
	uint64_t words[MESSAGE_REGISTER_WORDS] = {0};
	enum error error = invoke(thread, THREAD_INFO, words);
	if (error == ERR_NONE)
		*info = (struct thread_info){.cpu_time = words[0],
		                             .state = (enum thread_state)words[1],
		                             .priority = (unsigned)words[2],
		                             .cpu = (unsigned)words[3]};
	return error;
}

enum error cpu_time_configure(cptr_t cpu_time, cptr_t sched_context, uint64_t budget, uint64_t period)
{
	return INVOKE(cpu_time, CPU_TIME_CONFIGURE, sched_context, budget, period);
}

enum error endpoint_close(cptr_t endpoint)
{
	return INVOKE(endpoint, ENDPOINT_CLOSE);
}

enum error endpoint_open(cptr_t endpoint)
{
	return INVOKE(endpoint, ENDPOINT_OPEN);
}

enum error vspace_feed(cptr_t vspace, cptr_t untyped, unsigned size_bits)
{
	return INVOKE(vspace, VSPACE_FEED, untyped, size_bits);
}

enum error vspace_unmap(cptr_t vspace, uint64_t address, size_t pages, size_t *present)
{
	uint64_t words[MESSAGE_REGISTER_WORDS] = {address, pages};
	enum error error = invoke(vspace, VSPACE_UNMAP, words);
	if (present)
		*present = words[0];
	return error;
}

enum error vspace_harvest(cptr_t vspace, uint64_t address, size_t pages)
{
	return INVOKE(vspace, VSPACE_HARVEST, address, pages);
}

enum error vspace_reclaim(cptr_t vspace, size_t *free_pages)
{
	uint64_t words[MESSAGE_REGISTER_WORDS] = {0};
	enum error error = invoke(vspace, VSPACE_RECLAIM, words);
	if (free_pages)
		*free_pages = words[0];
	return error;
}

enum error vspace_info(cptr_t vspace, size_t *free_pages, size_t *used_pages)
{
	uint64_t words[MESSAGE_REGISTER_WORDS] = {0};
	enum error error = invoke(vspace, VSPACE_INFO, words);
	*free_pages = words[0];
	*used_pages = words[1];
	return error;
}

enum error memory_info(cptr_t memory, size_t *pages, bool *device, uint64_t *physical)
{
	uint64_t words[MESSAGE_REGISTER_WORDS] = {0};
	enum error error = invoke(memory, MEMORY_INFO, words);
	if (pages)
		*pages = words[0];
	if (device)
		*device = words[1] != 0;
	if (physical)
		*physical = words[2];
	return error;
}

enum error window_bind(cptr_t window, cptr_t memory, cptr_t vspace, unsigned rights)
{
	return INVOKE(window, WINDOW_BIND, memory, vspace, rights);
}

enum error window_map(cptr_t window, uint64_t address, uint64_t first_page, size_t pages,
                      unsigned rights_flags, size_t *done)
{
	uint64_t words[MESSAGE_REGISTER_WORDS] = {address, first_page, pages, rights_flags};
	enum error error = invoke(window, WINDOW_MAP, words);
	if (done)
		*done = error == ERR_NONE ? pages : error == ERR_NO_MEMORY ? words[0] : 0;
	return error;
}

enum error window_map_scatter(cptr_t window, uint64_t base, size_t entries, size_t *done)
{
	uint64_t words[MESSAGE_REGISTER_WORDS] = {base, entries};
	enum error error = invoke(window, WINDOW_MAP_SCATTER, words);
	if (done)
		*done = error == ERR_NONE ? entries : error == ERR_NO_MEMORY ? words[0] : 0;
	return error;
}

enum error window_protect(cptr_t window, uint64_t address, size_t pages, unsigned rights)
{
	return INVOKE(window, WINDOW_PROTECT, address, pages, rights);
}

enum error irq_control_line(cptr_t control, unsigned gsi, unsigned flags, cptr_t slot)
{
	return INVOKE(control, IRQ_CONTROL_LINE, gsi, flags, CPTR_NULL, slot);
}

enum error irq_control_message(cptr_t control, cptr_t slot, uint64_t *address, uint64_t *data)
{
	uint64_t words[MESSAGE_REGISTER_WORDS] = {0, 0, CPTR_NULL, slot};
	enum error error = invoke(control, IRQ_CONTROL_MESSAGE, words);
	*address = words[0];
	*data = words[1];
	return error;
}

enum error irq_bind(cptr_t irq, cptr_t notification)
{
	return INVOKE(irq, IRQ_BIND, notification);
}

enum error irq_acknowledge(cptr_t irq)
{
	return INVOKE(irq, IRQ_ACKNOWLEDGE);
}

enum error io_ports_in(cptr_t ports, unsigned port, unsigned width, uint32_t *value)
{
	uint64_t words[MESSAGE_REGISTER_WORDS] = {port, width};
	enum error error = invoke(ports, IO_PORTS_IN, words);
	*value = (uint32_t)words[0];
	return error;
}

enum error io_ports_out(cptr_t ports, unsigned port, unsigned width, uint32_t value)
{
	return INVOKE(ports, IO_PORTS_OUT, port, width, value);
}

enum error io_ports_in_string(cptr_t ports, unsigned port, uint8_t *out, size_t count)
{
	if (count > sizeof(ipc_buffer()->data))
		return ERR_RANGE;
	enum error error = INVOKE(ports, IO_PORTS_IN_STRING, port, count);
	if (error == ERR_NONE)
		memcpy(out, ipc_buffer()->data, count);
	return error;
}

enum error io_ports_out_string(cptr_t ports, unsigned port, const uint8_t *in, size_t count)
{
	if (count > sizeof(ipc_buffer()->data))
		return ERR_RANGE;
	memcpy(ipc_buffer()->data, in, count);
	return INVOKE(ports, IO_PORTS_OUT_STRING, port, count);
}
