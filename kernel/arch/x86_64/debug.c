/* SPDX-License-Identifier: MIT */
/* The debug UART (COM1, 115200 8n1, polled) and backtraces. */
#include "local.h"

enum {
	UART = 0x3f8,
	UART_DATA = UART,
	UART_INTERRUPTS = UART + 1,
	UART_FIFO = UART + 2,
	UART_LINE = UART + 3,
	UART_MODEM = UART + 4,
	UART_STATUS = UART + 5,
	UART_SCRATCH = UART + 7,
};
#define UART_CAN_SEND 0x20
/* A byte takes 87 us at 115200 baud, a port access about one: a UART that is busy for longer is stuck. */
#define UART_PATIENCE 20000

static bool uart_present;
static bool uart_stuck; /* it was waited for already: the next byte is lost, or not */

void debug_init(void)
{
	port_out8(UART_SCRATCH, 0x5a);
	uart_present = port_in8(UART_SCRATCH) == 0x5a;
	if (!uart_present)
		return;
	port_out8(UART_INTERRUPTS, 0);
	port_out8(UART_LINE, 0x80);
	port_out8(UART_DATA, 1);
	port_out8(UART_INTERRUPTS, 0);
	port_out8(UART_LINE, 3);
	port_out8(UART_FIFO, 7);
	port_out8(UART_MODEM, 3);
}

static void uart_write(char c)
{
	for (unsigned i = 0; i < UART_PATIENCE && !uart_stuck; i++)
		if (port_in8(UART_STATUS) & UART_CAN_SEND)
			break;
	uart_stuck = false;
	port_out8(UART_DATA, (uint8_t)c);
}

/* One text at a time. Held with interrupts off and for a bounded time, which a virtual machine's host can
 * make long. */
static uint32_t uart_lock;

void debug_claim(void)
{
	uint64_t end = arch_time() + NS_PER_SECOND;

	while (__atomic_exchange_n(&uart_lock, 1, __ATOMIC_ACQUIRE) && arch_time() < end)
		cpu_pause();
}

void debug_break(void)
{
	spin_unlock(&uart_lock);
}

void arch_debug_write(const char *text, size_t length)
{
	if (!uart_present)
		return;
	spin_lock(&uart_lock);
	for (size_t i = 0; i < length; i++)
		uart_write(text[i]);
	spin_unlock(&uart_lock);
}

/* One that stays busy for longer than a byte takes is stuck. After time_init(). */
#define UART_STUCK 1000000ul /* ns */

bool arch_debug_ready(void)
{
	static uint64_t busy_since; /* 0: it was not. All CPUs look. */
	uint64_t since = __atomic_load_n(&busy_since, __ATOMIC_RELAXED), now = arch_time();

	if (!uart_present || port_in8(UART_STATUS) & UART_CAN_SEND) {
		__atomic_store_n(&busy_since, 0, __ATOMIC_RELAXED);
		return true;
	}
	if (!since)
		__atomic_store_n(&busy_since, now, __ATOMIC_RELAXED);
	if (!since || now < since + UART_STUCK)
		return false;
	__atomic_store_n(&busy_since, 0, __ATOMIC_RELAXED);
	uart_stuck = true;
	return true;
}

_Noreturn void arch_halt(void)
{
	for (;;)
		__asm__ volatile("cli; hlt");
}

/* ---- backtrace ---- */
/* Made from the linked kernel (tools/kernel-symbols) and linked in by the second pass: functions by address.
 */
struct symbol {
	uint32_t address; /* low half: all are in the last 2 GiB */
	uint32_t name;    /* offset in kernel_symbol_names */
};
extern const struct symbol kernel_symbols[] __attribute__((weak));
extern const char kernel_symbol_names[] __attribute__((weak));
extern const uint32_t kernel_symbol_count __attribute__((weak));

static void print_address(uint64_t address)
{
	const struct symbol *found = NULL;

	if (&kernel_symbol_count && address >= (uint64_t)text_start && address < (uint64_t)text_end)
		for (uint32_t i = 0; i < kernel_symbol_count; i++)
			if (kernel_symbols[i].address <= (uint32_t)address)
				found = &kernel_symbols[i];
	if (found)
		kernel_log("  %016lx %s+%#lx\n", address, kernel_symbol_names + found->name,
		           (uint64_t)((uint32_t)address - found->address));
	else
		kernel_log("  %016lx\n", address);
}

#define FRAMES_MAX 32

/* Frames are { caller's frame, return address }, at rising addresses of one stack; anything else ends the
 * list. */
static void backtrace_from(uint64_t frame, uint64_t rip)
{
	uint64_t low, high;

	kernel_log("backtrace:\n");
	print_address(rip);
	if (!stack_contains(frame, &low, &high))
		return;
	for (unsigned i = 0; i < FRAMES_MAX; i++) {
		const uint64_t *words = (const uint64_t *)frame;

		if (frame < low || frame > high - 16 || frame % 8 != 0)
			return;
		if (words[1] < (uint64_t)text_start || words[1] >= (uint64_t)text_end)
			return;
		print_address(words[1]);
		if (words[0] <= frame)
			return;
		frame = words[0];
	}
}

/* What panics: an exception's frame, or NULL: whoever called panic(). */
static const struct arch_context *panic_frame;

void backtrace_begin_at(const struct arch_context *frame)
{
	if (!panic_frame)
		panic_frame = frame;
}

static void print_registers(const struct arch_context *f)
{
	kernel_log("  rip %016lx  rsp %016lx  flags %06lx  cs %lx  ss %lx\n", f->rip, f->rsp, f->rflags,
	           f->cs, f->ss);
	kernel_log("  rax %016lx  rbx %016lx  rcx %016lx  rdx %016lx\n", f->rax, f->rbx, f->rcx, f->rdx);
	kernel_log("  rsi %016lx  rdi %016lx  rbp %016lx  r8  %016lx\n", f->rsi, f->rdi, f->rbp, f->r8);
	kernel_log("  r9  %016lx  r10 %016lx  r11 %016lx  r12 %016lx\n", f->r9, f->r10, f->r11, f->r12);
	kernel_log("  r13 %016lx  r14 %016lx  r15 %016lx\n", f->r13, f->r14, f->r15);
}

/* The kernel's registers, those of the thread that was last in user mode here, and how the kernel got there.
 */
void arch_backtrace(void)
{
	const uint64_t *frame = __builtin_frame_address(0);
	const struct arch_context *user = cpu_local()->current;

	kernel_log("cr0 %lx  cr2 %016lx  cr3 %lx  cr4 %lx\n", cr0_read(), cr2_read(), cr3_read(), cr4_read());
	if (panic_frame)
		print_registers(panic_frame);
	if (user && user != &context_nobody) {
		kernel_log("thread %p, in user mode (entered by %#lx):\n", (const void *)user, user->vector);
		print_registers(user);
	}
	if (panic_frame)
		backtrace_from(panic_frame->rbp, panic_frame->rip);
	else
		backtrace_from(frame[0], frame[1]);
}

/* The stack protector's verdict. */
_Noreturn void __stack_chk_fail(void);
__attribute__((used)) _Noreturn void __stack_chk_fail(void)
{
	panic("stack smashed in %p", __builtin_return_address(0));
}
