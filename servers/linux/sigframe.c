/* SPDX-License-Identifier: MIT */
/* Entering a signal handler and coming back from it. */
#include "sigframe.h"
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <pith/object.h>
#include "address_space.h"
#include "syscall.h"
#include "thread.h"

#define VECTOR_MAXIMUM 3072
#define FLAG_TRAP      (1u << 8)
#define FLAG_DIRECTION (1u << 10)
#define SS_AUTODISARM_ (1u << 31)

/* Never on one that is disarmed while its handler runs, which may then have another. */
static bool on_alternate_stack(const struct thread_private *private, uint64_t stack)
{
	return private->alternate_size && !(private->alternate_flags & SS_AUTODISARM_) &&
	       stack > private->alternate_stack &&
	       stack - private->alternate_stack <= private->alternate_size;
}

static uint64_t handler_stack(struct thread *thread, const struct signal_action *action, uint64_t stack)
{
	struct thread_private *private = thread->private;

	if (action->flags & SA_ONSTACK && private->alternate_size && !on_alternate_stack(private, stack))
		return private->alternate_stack + private->alternate_size;
	return stack - RED_ZONE;
}

/* Of any thread's vector state: VECTOR_LEGACY_SIZE where the processor has no XSAVE. 0: none was seen yet. */
static size_t vector_bytes;

/* The thread's vector state goes to its stack as the processor saved it, with Linux's marks if there is more
 * than the legacy part. */
static bool push_vector(struct thread *thread, uint64_t address, uint8_t *area, size_t size)
{
	struct vector_software_bytes marks = {.magic1 = VECTOR_MAGIC1,
	                                      .extended_size = (uint32_t)size + VECTOR_MAGIC2_SIZE,
	                                      .size = (uint32_t)size};
	uint32_t magic2 = VECTOR_MAGIC2;

	vector_bytes = size;
	if (size == VECTOR_LEGACY_SIZE)
		return !copy_to_user(thread, address, area, size);
	marks.features = 7; /* x87, SSE, AVX: what the kernel keeps of a thread */
	if (size <= VECTOR_HEADER_OFFSET + 64)
		marks.features = 3;
	memcpy(area + VECTOR_SOFTWARE_OFFSET, &marks, sizeof(marks));
	return !copy_to_user(thread, address, area, size) &&
	       !copy_to_user(thread, address + size, &magic2, sizeof(magic2));
}

static struct linux_stack alternate_of(const struct thread_private *private, uint64_t stack)
{
	struct linux_stack result = {.address = private->alternate_stack, .size = private->alternate_size};

	if (!private->alternate_size)
		result.flags = SS_DISABLE;
	else if (on_alternate_stack(private, stack))
		result.flags = SS_ONSTACK;
	result.flags |= (int32_t)(private->alternate_flags & SS_AUTODISARM_);
	return result;
}

static void alternate_put(struct thread_private *private, const struct linux_stack *new)
{
	bool none = ((unsigned)new->flags & ~SS_AUTODISARM_) == SS_DISABLE;

	private->alternate_stack = none ? 0 : new->address;
	private->alternate_size = none ? 0 : new->size;
	private->alternate_flags = (uint32_t) new->flags;
}

static void enter_handler(struct thread *thread, const struct linux_siginfo *info,
                          const struct signal_action *action, uint64_t frame)
{
	struct thread_registers *registers = thread_registers_change(thread);
	struct thread_private *private = thread->private;

	registers->rsp = frame;
	registers->rip = action->handler;
	registers->rax = 0;
	registers->rdi = (uint64_t)info->signal;
	registers->rsi = frame + offsetof(struct sigframe, info);
	registers->rdx = frame + offsetof(struct sigframe, ucontext);
	registers->rflags &= ~(uint64_t)(FLAG_TRAP | FLAG_DIRECTION);
	if (private->alternate_flags & SS_AUTODISARM_)
		alternate_put(private, &(struct linux_stack){.flags = SS_DISABLE});
	private->mask_saved = false;
	signal_set_mask(thread, thread->blocked | action->mask |
	                                (action->flags & SA_NODEFER ? 0 : SIGNAL_BIT(info->signal)));
}

bool sigframe_push(struct thread *thread, const struct linux_siginfo *info,
                   const struct signal_action *action)
{
	struct thread_registers *registers = thread_registers_change(thread);
	struct thread_private *private = thread->private;
	uint8_t area[VECTOR_MAXIMUM];
	size_t vector_size = sizeof(area);
	struct sigframe frame = {.return_address = action->restorer, .info = *info};
	uint64_t address, vector;

	if (!(action->flags & 0x04000000)) /* SA_RESTORER: x86_64 has no other way back */
		return false;
	if (thread_read_vector(private->kernel->object, area, &vector_size) != ERR_NONE)
		vector_size = 0;
	address = sigframe_place(handler_stack(thread, action, registers->rsp), vector_size, &vector);
	frame.ucontext.flags = UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS |
	                       (vector_size > VECTOR_LEGACY_SIZE ? UC_FP_XSTATE : 0);
	frame.ucontext.stack = (struct linux_stack){
	        .address = private->alternate_stack,
	        .size = private->alternate_size,
	        .flags = private->alternate_size ? (int32_t) private->alternate_flags : SS_DISABLE};
	frame.ucontext.mask = private->mask_saved ? private->saved_mask : thread->blocked;
	sigframe_from_registers(&frame.ucontext.context, registers);
	frame.ucontext.context.old_mask = frame.ucontext.mask;
	frame.ucontext.context.cr2 = private->fault_address;
	frame.ucontext.context.trap = private->fault_trap;
	frame.ucontext.context.error = private->fault_code;
	frame.ucontext.context.vector = vector;
	if (vector && !push_vector(thread, vector, area, vector_size))
		return false;
	if (copy_to_user(thread, address, &frame, sizeof(frame)))
		return false;
	if (vector)
		thread_write_vector(private->kernel->object, NULL, 0);
	enter_handler(thread, info, action, address);
	return true;
}

/* ---- floating point ---- */

int float_error_code(struct thread *thread, bool vector)
{
	enum { INVALID = 1, DENORMAL = 2, ZERO_DIVIDE = 4, OVERFLOW = 8, UNDERFLOW = 16, PRECISION = 32 };
	enum { CONTROL_WORD = 0, STATUS_WORD = 2, MXCSR = 24 }; /* offsets */
	uint8_t area[VECTOR_MAXIMUM];
	size_t size = sizeof(area);
	uint16_t control, status;
	uint32_t mxcsr, errors;

	if (thread_read_vector(thread->private->kernel->object, area, &size) != ERR_NONE)
		return 0;
	memcpy(&control, area + CONTROL_WORD, sizeof(control));
	memcpy(&status, area + STATUS_WORD, sizeof(status));
	memcpy(&mxcsr, area + MXCSR, sizeof(mxcsr));
	errors = vector ? mxcsr & ~(mxcsr >> 7) : status & ~(uint32_t)control;
	if (errors & INVALID)
		return FPE_FLTINV;
	if (errors & ZERO_DIVIDE)
		return FPE_FLTDIV;
	if (errors & OVERFLOW)
		return FPE_FLTOVF;
	if (errors & (UNDERFLOW | DENORMAL))
		return FPE_FLTUND;
	return errors & PRECISION ? FPE_FLTRES : 0;
}

/* ---- and back ---- */

static bool restore_vector(struct thread *thread, uint64_t address)
{
	cptr_t object = thread->private->kernel->object;
	struct vector_software_bytes marks;
	uint8_t area[VECTOR_MAXIMUM];
	size_t size = VECTOR_LEGACY_SIZE;

	if (!address)
		return thread_write_vector(object, NULL, 0) == ERR_NONE;
	if (copy_from_user(thread, &marks, address + VECTOR_SOFTWARE_OFFSET, sizeof(marks)))
		return false;
	if (marks.magic1 == VECTOR_MAGIC1 && marks.size == vector_bytes)
		size = vector_bytes;
	if (copy_from_user(thread, area, address, size))
		return false;
	memset(area + VECTOR_SOFTWARE_OFFSET, 0, sizeof(marks));
	if (vector_bytes > size)
		memset(area + size, 0, vector_bytes - size);
	if (vector_bytes > VECTOR_LEGACY_SIZE) {
		/* Only states that we handed out, without marks the legacy ones; the rest of the header must
		 * be zero for the processor to take it. */
		area[VECTOR_HEADER_OFFSET] = size > VECTOR_LEGACY_SIZE ? area[VECTOR_HEADER_OFFSET] & 7 : 3;
		memset(area + VECTOR_HEADER_OFFSET + 1, 0, 63);
	}
	return thread_write_vector(object, area, vector_bytes) == ERR_NONE;
}

static void bad_frame(struct thread *thread)
{
	struct linux_siginfo info = {.signal = SIGSEGV, .code = 0x80}; /* SI_KERNEL */

	signal_force(thread, &info);
}

static int set_alternate(struct thread_private *private, const struct linux_stack *new, uint64_t stack)
{
	unsigned mode = (unsigned)new->flags & ~SS_AUTODISARM_;

	if (on_alternate_stack(private, stack))
		return -EPERM;
	if (mode && mode != SS_DISABLE && mode != SS_ONSTACK)
		return -EINVAL;
	if (mode != SS_DISABLE && new->size < 2048)
		return -ENOMEM;
	alternate_put(private, new);
	return 0;
}

long sys_rt_sigreturn(struct thread *thread, const uint64_t arguments[6])
{
	struct thread_registers *registers = thread_registers_change(thread);
	uint64_t address = registers->rsp - 8; /* the return address was popped */
	struct linux_ucontext context;

	(void)arguments;
	if (copy_from_user(thread, &context, address + offsetof(struct sigframe, ucontext),
	                   sizeof(context)) ||
	    !restore_vector(thread, context.context.vector)) {
		bad_frame(thread);
		return 0;
	}
	if (context.context.rip >= USER_END || context.context.rsp >= USER_END) {
		bad_frame(thread);
		return 0;
	}
	sigframe_to_registers(registers, &context.context);
	set_alternate(thread->private, &context.stack, registers->rsp); /* or it stays, as on Linux */
	signal_set_mask(thread, context.mask);
	return (long)registers->rax;
}

long sys_sigaltstack(struct thread *thread, const uint64_t arguments[6])
{
	struct thread_private *private = thread->private;
	uint64_t stack = thread_registers(thread)->rsp;
	struct linux_stack new, old = alternate_of(private, stack);
	int error = 0;

	if (arguments[0] && copy_from_user(thread, &new, arguments[0], sizeof(new)))
		return -EFAULT;
	if (arguments[0])
		error = set_alternate(private, &new, stack);
	if (error || !arguments[1])
		return error;
	return copy_to_user(thread, arguments[1], &old, sizeof(old));
}
