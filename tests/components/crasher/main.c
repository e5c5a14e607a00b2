/* SPDX-License-Identifier: MIT */
/*
 * A component that goes wrong in every way, one way in each of its lives, and then serves calls that make it
 * crash again. supervise-test watches what the supervisor makes of it.
 */
#include "crasher.h"

#include <stdlib.h>
#include <string.h>

#include <pith/log.h>
#include <pith/server.h>
#include <pith/startup.h>

static volatile uint64_t in_data = 0x1234, in_bss;
static struct control *control;

static volatile int *volatile null = (int *)8; /* not a constant: the compiler would see through it */

static void fault_null_read(void)
{
	(void)*null;
}

static void fault_null_write(void)
{
	*null = 1;
}

static void fault_code_write(void)
{
	*(volatile uint8_t *)(uintptr_t)fault_null_read = 0xc3;
}

static void fault_heap_execute(void)
{
	uint8_t *code = malloc(16);
	code[0] = 0xc3; /* ret */
	__asm__ volatile("" : : : "memory");
	((void (*)(void))(uintptr_t)code)();
}

static void fault_startup_write(void)
{
	*(volatile uint64_t *)STARTUP_ADDRESS = 0;
}

static void fault_division(void)
{
	/* By hand: the compiler knows other ways to divide one by something. */
	__asm__ volatile("xorl %%ecx, %%ecx\n\tmovl $1, %%eax\n\tcltd\n\tidivl %%ecx"
	                 :
	                 :
	                 : "rax", "rcx", "rdx", "cc");
}

static void fault_instruction(void)
{
	__asm__ volatile("xorl %%eax, %%eax\n\tud2" : : : "rax");
}

static void fault_privileged(void)
{
	__asm__ volatile("cli");
}

static void fault_port(void)
{
	__asm__ volatile("inb $0x60, %%al" : : : "rax");
}

static void fault_address(void)
{
	*(volatile uint8_t *)0x8000000000000000ul = 1;
}

static void fault_kernel_address(void)
{
	*(volatile uint8_t *)0xffffffff80100000ul = 1;
}

__attribute__((noinline)) static int stack_use(int depth)
{
	volatile char room[4096];
	room[0] = (char)depth;
	return depth == -1 ? 0 : stack_use(depth + 1) + room[0];
}

static void fault_stack(void)
{
	stack_use(0);
}

static void fault_exit(void)
{
	fatal("this end is wanted");
}

static void fault_abort(void)
{
	abort();
}

static void fault_status(void)
{
	exit(3);
}

static void (*const faults[])(void) = {
        fault_null_read,      fault_null_write,  fault_code_write, fault_heap_execute, fault_startup_write,
        fault_division,       fault_instruction, fault_privileged, fault_port,         fault_address,
        fault_kernel_address, fault_stack,       fault_exit,       fault_abort,        fault_status,
};

/* What a restarted component gets is as new: data as in the file, everything else zero. */
static bool memory_clean(void)
{
	uint64_t *block = malloc(65536);
	bool clean = in_data == 0x1234 && in_bss == 0 && block;
	for (unsigned i = 0; clean && i < 65536 / 8; i++)
		clean = block[i] == 0;
	in_data = in_bss = 1;
	memset(block, 0xaa, 65536);
	return clean;
}

static void on_call(struct server *server, badge_t badge, struct message *message)
{
	(void)server, (void)badge;
	switch (message_label(message->info)) {
	case CRASHER_PING:
		message->words[0] = startup()->generation;
		message->info = MESSAGE_INFO(0, 1);
		break;
	case CRASHER_CRASH:
		fault_null_write();
		break;
	case CRASHER_FLOOD:
		for (int i = 0; i < 20000; i++)
			log_info("flood %d: nobody wants to read this", i);
		message->info = MESSAGE_INFO(0, 0);
		break;
	case CRASHER_KEEP:
		server_park(server);
		break;
	default:
		message->info = MESSAGE_INFO(99, 0);
	}
}

static void on_event(struct server *server, uint64_t bits)
{
	(void)server, (void)bits;
	fault_division();
}

int main(void)
{
	control = (struct control *)startup_need("control", STARTUP_CHANNEL, 0)->address;
	uint64_t generation = startup()->generation;
	control->starts++;
	if (!memory_clean())
		control->unclean++;
	if (control->always_crash)
		fault_null_read();
	if (generation < sizeof(faults) / sizeof(faults[0])) {
		log_info("fault %lu", generation);
		faults[generation]();
		control->faults_passed++;
	}
	log_info("alive in life %lu", generation);
	struct server server = {.on_call = on_call, .on_event = on_event};
	server_run(&server);
}
