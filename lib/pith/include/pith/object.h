/* SPDX-License-Identifier: MIT */
/* One typed wrapper for each operation of <abi/object.h>. CNode arguments: CPTR_NULL is the caller's own CSpace. */
#pragma once

#include <pith/syscall.h>

/* cpu: the home of a Thread, SchedContext, Endpoint, Reply or Notification; 0 for everything else. */
enum error untyped_retype(cptr_t untyped, enum object_type type, unsigned size_bits, unsigned cpu, unsigned count,
			  cptr_t cnode, cptr_t first_slot);
struct untyped_info {
	unsigned size_bits;
	unsigned chunk_bits; /* 0: uncut */
	uint64_t used;       /* bitmap of chunks */
	bool device;
	uint64_t physical; /* 0 without the right DMA */
};
enum error untyped_info(cptr_t untyped, struct untyped_info *info);
enum error cnode_derive(cptr_t cnode, cptr_t slot, cptr_t source_cnode, cptr_t source, unsigned rights, uint64_t a,
			uint64_t b);
/* The same, inside the caller's own CSpace; the runtime knows its CNode capability. */
enum error capability_derive(cptr_t slot, cptr_t source, unsigned rights, uint64_t a, uint64_t b);
enum error capability_move(cptr_t slot, cptr_t source);
enum error capability_delete(cptr_t slot);
enum error capability_revoke(cptr_t slot);
enum error cnode_move(cptr_t cnode, cptr_t slot, cptr_t source_cnode, cptr_t source);
enum error cnode_delete(cptr_t cnode, cptr_t slot);
enum error cnode_revoke(cptr_t cnode, cptr_t slot);

enum error thread_bind(cptr_t thread, enum thread_binding binding, cptr_t capability);
enum error thread_set_priority(cptr_t thread, cptr_t cpu_time, unsigned priority);
enum error thread_resume(cptr_t thread);
enum error thread_suspend(cptr_t thread);
enum error thread_read_registers(cptr_t thread, struct thread_registers *registers);
enum error thread_write_registers(cptr_t thread, const struct thread_registers *registers);
enum error thread_read_vector(cptr_t thread, void *data, size_t *size); /* size: in capacity, out bytes */
enum error thread_write_vector(cptr_t thread, const void *data, size_t size);
enum error thread_poke(cptr_t thread);
enum error thread_set_foreign(cptr_t thread, bool foreign);
enum error thread_set_tls(cptr_t thread, uint64_t base);
/* For `./pith trace`: NAME or, unless the number is 0, NAME[NUMBER]; at most 47 bytes. */
void thread_name(cptr_t thread, const char *name, unsigned number);
struct thread_info {
	uint64_t cpu_time;
	enum thread_state state;
	unsigned priority, cpu;
};
enum error thread_info(cptr_t thread, struct thread_info *info);

enum error cpu_time_configure(cptr_t cpu_time, cptr_t sched_context, uint64_t budget, uint64_t period);
enum error endpoint_close(cptr_t endpoint);
enum error endpoint_open(cptr_t endpoint);

enum error vspace_feed(cptr_t vspace, cptr_t untyped, unsigned size_bits);
enum error vspace_unmap(cptr_t vspace, uint64_t address, size_t pages, size_t *present);
/* ipc_buffer()->data: two bits a page (accessed, dirty) */
enum error vspace_harvest(cptr_t vspace, uint64_t address, size_t pages);
enum error vspace_reclaim(cptr_t vspace, size_t *free_pages);
enum error vspace_info(cptr_t vspace, size_t *free_pages, size_t *used_pages);
enum error memory_info(cptr_t memory, size_t *pages, bool *device, uint64_t *physical);

enum error window_bind(cptr_t window, cptr_t memory, cptr_t vspace, unsigned rights);
/* *done: pages mapped, also on error */
enum error window_map(cptr_t window, uint64_t address, uint64_t first_page, size_t pages, unsigned rights_flags,
		      size_t *done);
/* Entries are already in ipc_buffer()->scatter. */
enum error window_map_scatter(cptr_t window, uint64_t base, size_t entries, size_t *done);
enum error window_protect(cptr_t window, uint64_t address, size_t pages, unsigned rights);

enum error irq_control_line(cptr_t control, unsigned gsi, unsigned flags, cptr_t slot);
enum error irq_control_message(cptr_t control, cptr_t slot, uint64_t *address, uint64_t *data);
enum error irq_bind(cptr_t irq, cptr_t notification);
enum error irq_acknowledge(cptr_t irq);
enum error io_ports_in(cptr_t ports, unsigned port, unsigned width, uint32_t *value);
enum error io_ports_out(cptr_t ports, unsigned port, unsigned width, uint32_t value);
enum error io_ports_in_string(cptr_t ports, unsigned port, uint8_t *out, size_t count);
enum error io_ports_out_string(cptr_t ports, unsigned port, const uint8_t *in, size_t count);
