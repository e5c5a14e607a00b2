/* SPDX-License-Identifier: MIT */
/* One life of a component: its objects made out of its own memory, its program loaded, its first thread
 * started; and the end of it. */
#include <string.h>

#include "init.h"

static bool objects_make(struct component *component)
{
	for (unsigned i = 0; i < component->backing_count; i++) {
		const struct backing *backing = &component->backings[i];
		if (backing->type == OBJECT_UNTYPED)
			continue;
		bool sized = backing->type == OBJECT_MEMORY || backing->type == OBJECT_CNODE;
		enum error error = untyped_retype(
		        backing->untyped, (enum object_type)backing->type, sized ? backing->size_bits : 0,
		        backing->type == OBJECT_THREAD ? component->cpu : 0, 1, CPTR_NULL, backing->object);
		if (error != ERR_NONE) {
			log_error("%s: making object %u: %s", component->manifest->name, i,
			          error_text(error));
			return false;
		}
	}
	component->small_used = 0;
	return true;
}

/* The rest of the Memory is zero: it was just made. */
static bool program_load(struct component *component)
{
	const struct program *program = &component->program;
	const struct backing *image = &component->backings[component->image];
	cptr_t window;
	uint8_t *memory = space_scratch(image->object, 0, 1ul << (image->size_bits - PAGE_BITS),
	                                RIGHT_READ | RIGHT_WRITE, &window);
	if (!memory)
		return false;
	for (unsigned i = 0; i < program->segment_count; i++) {
		const struct program_segment *segment = &program->segments[i];
		memcpy(memory + segment->offset + (segment->data_address - segment->address), segment->data,
		       segment->data_size);
	}
	space_scratch_end(window);
	return true;
}

static bool thread_start(struct component *component)
{
	const struct backing *backings = component->backings;
	const struct manifest_component *manifest = component->manifest;
	cptr_t thread = backings[component->thread].object;
	cptr_t context = component_small(component, OBJECT_SCHED_CONTEXT);
	cptr_t time = INIT_SLOT_CPU_TIME + component->cpu;
	const struct {
		enum thread_binding binding;
		cptr_t capability;
	} bindings[] = {
	        {BIND_CSPACE, backings[component->cnode].object},
	        {BIND_VSPACE, backings[component->vspace].object},
	        {BIND_FAULT, component->fault_endpoint},
	        {BIND_IPC_BUFFER, backings[component->ipc].object},
	        {BIND_NOTIFICATION, component->events},
	        {BIND_SCHED_CONTEXT, context},
	};
	enum error error = context ? cpu_time_configure(time, context, manifest->budget, manifest->period)
	                           : ERR_NO_MEMORY;
	for (unsigned i = 0; i < sizeof(bindings) / sizeof(bindings[0]) && error == ERR_NONE; i++)
		error = thread_bind(thread, bindings[i].binding, bindings[i].capability);
	if (error == ERR_NONE)
		error = thread_set_priority(thread, time, manifest->priority);
	struct thread_registers registers = {
	        .rip = component->program.entry,
	        .rsp = LAYOUT_STACK_TOP,
	        .rflags = 0x202,
	        .rdi = STARTUP_ADDRESS,
	};
	if (error == ERR_NONE)
		error = thread_write_registers(thread, &registers);
	thread_name(thread, manifest->name, 0);
	if (error == ERR_NONE)
		error = thread_resume(thread);
	if (error != ERR_NONE)
		log_error("%s: starting its thread: %s", manifest->name, error_text(error));
	return error == ERR_NONE;
}

bool component_start(struct component *component)
{
	component->started = time_now();
	if (!objects_make(component) || !program_load(component) || !layout_map(component) ||
	    !grants_fill(component) || !thread_start(component)) {
		component_stop(component);
		return false;
	}
	component->state = COMPONENT_RUNNING;
	return true;
}

void component_stop(struct component *component)
{
	/* The thread first: whoever waits for its answer is told, and nothing of it runs while the rest goes.
	 */
	struct thread_info info;
	cptr_t thread = component->backings[component->thread].object;
	if (thread_info(thread, &info) == ERR_NONE)
		component->cpu_time_before += info.cpu_time;
	capability_revoke(component->backings[component->thread].untyped);
	for (unsigned i = 0; i < component->backing_count; i++)
		capability_revoke(component->backings[i].untyped);
	if (component->manifest->devices_all)
		for (uint64_t i = 0; i < boot_information->untyped_count; i++)
			if (boot_information->untypeds[i].device)
				capability_revoke((cptr_t)(INIT_SLOT_UNTYPED + i));
}
