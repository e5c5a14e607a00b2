/* SPDX-License-Identifier: MIT */
/* The record of a crash, on the debug line and in the component's log: what happened, registers, backtrace
 * with the names of functions; on the debug line its last lines, too. */
#include <string.h>

#include "init.h"

#define BACKTRACE_FRAMES 24
#define BACKTRACE_BYTES  8192ul /* of the stack that are looked at */

static void frame_print(struct component *component, uint64_t address)
{
	uint64_t offset;
	const char *name = program_symbol(&component->program, address, &offset);
	if (name && offset < 65536)
		journal_note(component, LOG_INFO, "    %#lx %.80s+%#lx", address, name, offset);
	else
		journal_note(component, LOG_INFO, "    %#lx", address);
}

/* A word of the dead component's stack. */
struct stack_view {
	uint64_t start, end; /* addresses in the component */
	const uint8_t *memory;
};

static bool stack_word(const struct stack_view *view, uint64_t address, uint64_t *word)
{
	if (address % 8 || address < view->start || address >= view->end || view->end - address < 8)
		return false;
	memcpy(word, view->memory + (address - view->start), 8);
	return true;
}

static void backtrace_print(struct component *component, const struct stack_view *view,
                            const struct thread_registers *registers)
{
	uint64_t frame = registers->rbp, next, address;
	frame_print(component, registers->rip);
	for (int i = 0; i < BACKTRACE_FRAMES; i++) {
		if (!stack_word(view, frame, &next) || !stack_word(view, frame + 8, &address) || address == 0)
			return;
		frame_print(component, address - 1);
		if (next <= frame)
			return;
		frame = next;
	}
}

/* Maps the part of the region from `top` on, as far as one Memory goes, and walks it; false: top is
 * elsewhere. */
static bool backtrace_in(struct component *component, const struct region *region, uint64_t top,
                         const struct thread_registers *registers)
{
	uint64_t address = region->address;
	cptr_t window;
	for (unsigned i = 0; i < region->count; i++) {
		uint64_t size = 1ul << region->parts[i].size_bits;
		if (top < address || top >= address + size) {
			address += size;
			continue;
		}
		uint64_t start = top & ~(PAGE_SIZE - 1), left = address + size - start;
		uint64_t bytes = left < BACKTRACE_BYTES ? left : BACKTRACE_BYTES;
		const uint8_t *memory = space_scratch(region->parts[i].memory, (start - address) / PAGE_SIZE,
		                                      bytes / PAGE_SIZE, RIGHT_READ, &window);
		if (!memory)
			return false;
		struct stack_view view = {.start = start, .end = start + bytes, .memory = memory};
		backtrace_print(component, &view, registers);
		space_scratch_end(window);
		return true;
	}
	return false;
}

/* The stack is where rsp points, or, if it has overflowed, rbp; fibers have theirs in the heap. */
static void backtrace(struct component *component, const struct thread_registers *registers)
{
	if (!backtrace_in(component, &component->stack, registers->rsp, registers) &&
	    !backtrace_in(component, &component->stack, registers->rbp, registers) &&
	    !backtrace_in(component, &component->heap, registers->rsp, registers) &&
	    !backtrace_in(component, &component->heap, registers->rbp, registers))
		frame_print(component, registers->rip);
}

static void cause_print(struct component *component, const struct message *message)
{
	static const char *const exceptions[] = {"division by zero",
	                                         "debug",
	                                         "NMI",
	                                         "breakpoint",
	                                         "overflow",
	                                         "bound",
	                                         "undefined instruction",
	                                         "no FPU",
	                                         "double fault",
	                                         "9",
	                                         "bad TSS",
	                                         "segment not present",
	                                         "stack segment",
	                                         "general protection",
	                                         "page fault",
	                                         "15",
	                                         "x87 error",
	                                         "alignment check",
	                                         "machine check",
	                                         "vector error"};
	const char *name = component->manifest->name;
	const uint64_t *words = message->words;
	if (message_label(message->info) == LABEL_PAGE_FAULT)
		journal_note(component, LOG_ERROR, "%s crashed: cannot %s%s%s at %#lx%s", name,
		             words[1] & FAULT_READ ? "read" : "", words[1] & FAULT_WRITE ? "write" : "",
		             words[1] & FAULT_EXECUTE ? "execute" : "", words[0],
		             words[1] & FAULT_PRESENT ? " (forbidden)" : " (nothing there)");
	else if (words[0] < sizeof(exceptions) / sizeof(exceptions[0]))
		journal_note(component, LOG_ERROR, "%s crashed: %s, error code %#lx", name,
		             exceptions[words[0]], words[1]);
	else
		journal_note(component, LOG_ERROR, "%s crashed: exception %lu, error code %#lx", name,
		             words[0], words[1]);
}

void crash_report(struct component *component, const struct message *message,
                  const struct thread_registers *registers)
{
	const struct thread_registers *r = registers;
	uint64_t end = component->history_written;
	cause_print(component, message);
	journal_note(component, LOG_INFO, "  rip %016lx rsp %016lx rbp %016lx rflags %lx", r->rip, r->rsp,
	             r->rbp, r->rflags);
	journal_note(component, LOG_INFO, "  rax %016lx rbx %016lx rcx %016lx rdx %016lx", r->rax, r->rbx,
	             r->rcx, r->rdx);
	journal_note(component, LOG_INFO, "  rsi %016lx rdi %016lx r8  %016lx r9  %016lx", r->rsi, r->rdi,
	             r->r8, r->r9);
	journal_note(component, LOG_INFO, "  r10 %016lx r11 %016lx r12 %016lx r13 %016lx", r->r10, r->r11,
	             r->r12, r->r13);
	journal_note(component, LOG_INFO, "  r14 %016lx r15 %016lx fs  %016lx", r->r14, r->r15, r->fs_base);
	journal_note(component, LOG_INFO, "  backtrace:");
	backtrace(component, registers);
	log_info("  its last lines:");
	journal_tail(component, end, 6);
}
