/* SPDX-License-Identifier: MIT */
/* Signals: handlers, masks, queues, frames, stacks, restarts, faults, floating-point state across handlers.
 */
#include "check.h"
#include <poll.h>
#include <setjmp.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <time.h>
#include <ucontext.h>

static volatile int seen[65], order[32], count;
static sigjmp_buf jump;
static siginfo_t last;

static void handler(int number)
{
	seen[number]++;
	order[count++ % 32] = number;
}

static void handler_info(int number, siginfo_t *info, void *context)
{
	(void)context;
	last = *info;
	seen[number]++;
}

static void handler_jump(int number)
{
	siglongjmp(jump, number);
}

static void handler_vector(int number)
{
	volatile double x = number;
	for (int i = 0; i < 100; i++)
		x = x * 1.5 + 2;
	__asm__ volatile("pcmpeqd %%xmm0, %%xmm0; pcmpeqd %%xmm7, %%xmm7; pcmpeqd %%xmm15, %%xmm15" ::
	                         : "xmm0", "xmm7", "xmm15");
	seen[number]++;
}

static void install(int number, void (*function)(int), int flags)
{
	struct sigaction action = {.sa_handler = function, .sa_flags = flags};
	sigaction(number, &action, NULL);
}

static void install_info(int number, int flags)
{
	struct sigaction action = {.sa_sigaction = handler_info, .sa_flags = SA_SIGINFO | flags};
	sigaction(number, &action, NULL);
}

static void masks(void)
{
	sigset_t set, old, pending;
	install(SIGUSR1, handler, 0);
	install(SIGUSR2, handler, 0);
	raise(SIGUSR1);
	TELL(seen[SIGUSR1] == 1);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	SHOW(sigprocmask(SIG_BLOCK, &set, &old));
	raise(SIGUSR2);
	raise(SIGUSR1);
	raise(SIGUSR1);
	TELL(seen[SIGUSR1] == 1 && seen[SIGUSR2] == 0);
	sigpending(&pending);
	TELL(sigismember(&pending, SIGUSR1) && sigismember(&pending, SIGUSR2) &&
	     !sigismember(&pending, SIGHUP));
	count = 0;
	SHOW(sigprocmask(SIG_SETMASK, &old, NULL));
	TELL(seen[SIGUSR1] == 2 && seen[SIGUSR2] == 1);
	sigprocmask(SIG_BLOCK, &set, &old);
	kill(getpid(), SIGUSR1);
	SHOW(sigsuspend(&old));
	TELL(seen[SIGUSR1] == 3);
	raise(SIGUSR2);
	struct timespec short_time = {0, 1000000};
	SHOW(sigtimedwait(&set, NULL, &short_time));
	SHOW(sigtimedwait(&set, NULL, &short_time));
	sigprocmask(SIG_SETMASK, &old, NULL);
	SHOW(sigaction(SIGKILL, &(struct sigaction){.sa_handler = handler}, NULL));
	SHOW(sigaction(99, NULL, NULL));
	SHOW(kill(getpid(), 0));
	SHOW(kill(999999, 0));
	SHOW(kill(getpid(), 77));
	install(SIGUSR1, handler, SA_RESETHAND);
	raise(SIGUSR1);
	struct sigaction now;
	sigaction(SIGUSR1, NULL, &now);
	TELL(now.sa_handler == SIG_DFL);
}

static void information(void)
{
	install_info(SIGUSR1, 0);
	union sigval value = {.sival_int = 4711};
	SHOW(sigqueue(getpid(), SIGUSR1, value));
	TELL(last.si_code == SI_QUEUE && last.si_value.sival_int == 4711 && last.si_pid == getpid());
	kill(getpid(), SIGUSR1);
	TELL(last.si_code == SI_USER && last.si_pid == getpid());
	install_info(SIGCHLD, 0);
	seen[SIGCHLD] = 0;
	pid_t pid = fork();
	if (pid == 0)
		_exit(5);
	int status;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	TELL(seen[SIGCHLD] == 1 && last.si_code == CLD_EXITED && last.si_status == 5 && last.si_pid == pid);
	signal(SIGCHLD, SIG_DFL);
}

static void *volatile fault_address;

static void handler_fault(int number, siginfo_t *info, void *context)
{
	(void)context;
	fault_address = info->si_addr;
	siglongjmp(jump, number * 10 + info->si_code);
}

static int *volatile unmapped = (int *)0x10; /* volatile: the compiler must not know */

static void faults(void)
{
	struct sigaction action = {.sa_sigaction = handler_fault, .sa_flags = SA_SIGINFO};
	sigaction(SIGSEGV, &action, NULL);
	sigaction(SIGFPE, &action, NULL);
	sigaction(SIGILL, &action, NULL);
	int got = sigsetjmp(jump, 1);
	if (got == 0)
		*unmapped = 1;
	TELL(got == SIGSEGV * 10 + SEGV_MAPERR && fault_address == (void *)0x10);
	char *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	got = sigsetjmp(jump, 1);
	if (got == 0)
		*(volatile char *)(page + 7) = 1;
	TELL(got == SIGSEGV * 10 + SEGV_ACCERR && fault_address == page + 7);
	got = sigsetjmp(jump, 1);
	if (got == 0) {
		volatile int zero = 0;
		volatile int result = 5 / zero;
		(void)result;
	}
	TELL(got == SIGFPE * 10 + FPE_INTDIV);
	got = sigsetjmp(jump, 1);
	if (got == 0)
		__asm__ volatile("ud2");
	TELL(got / 10 == SIGILL);
	got = sigsetjmp(jump, 1);
	if (got == 0)
		__asm__ volatile("hlt");
	TELL(got == SIGSEGV * 10 + SI_KERNEL);
	signal(SIGSEGV, SIG_DFL);
	signal(SIGFPE, SIG_DFL);
	signal(SIGILL, SIG_DFL);
}

static char *alternate;
static volatile int on_alternate;

static void handler_stack(int number)
{
	char here;
	on_alternate = &here >= alternate && &here < alternate + 65536;
	siglongjmp(jump, number);
}

static int deep(int depth)
{
	volatile char frame[4096];
	frame[0] = (char)depth;
	return depth == 0 ? 0 : deep(depth - 1) + frame[0];
}

static void stacks(void)
{
	alternate = malloc(65536);
	stack_t stack = {.ss_sp = alternate, .ss_size = 65536}, old;
	SHOW(sigaltstack(&stack, NULL));
	SHOW(sigaltstack(NULL, &old));
	TELL(old.ss_sp == alternate && old.ss_flags == 0);
	struct sigaction action = {.sa_handler = handler_stack, .sa_flags = SA_ONSTACK};
	sigaction(SIGSEGV, &action, NULL);
	if (sigsetjmp(jump, 1) == 0)
		printf("%d\n", deep(100000000));
	TELL(on_alternate);
	stack = (stack_t){.ss_sp = alternate, .ss_size = 10};
	SHOW(sigaltstack(&stack, NULL));
	signal(SIGSEGV, SIG_DFL);
}

static void interruptions(void)
{
	int ends[2];
	char byte;
	if (pipe(ends) != 0)
		exit(1);
	for (int restart = 0; restart < 2; restart++) {
		install(SIGALRM, handler, restart ? SA_RESTART : 0);
		seen[SIGALRM] = 0;
		pid_t writer = fork();
		if (writer == 0) {
			usleep(200000);
			_exit(write(ends[1], "x", 1) == 1 ? 0 : 1);
		}
		ualarm(20000, 0);
		errno = 0;
		ssize_t size = read(ends[0], &byte, 1);
		printf("read %s: %zd %s, alarms %d\n", restart ? "with SA_RESTART" : "without", size,
		       size < 0 ? strerrorname(errno) : "", seen[SIGALRM]);
		int status;
		waitpid(writer, &status, 0);
		if (!restart)
			SHOW(read(ends[0], &byte, 1));
	}
	install(SIGALRM, handler, SA_RESTART);
	ualarm(20000, 0);
	struct timespec time = {5, 0}, left = {0, 0};
	SHOW(nanosleep(&time, &left));
	TELL(left.tv_sec == 4);
	ualarm(20000, 0);
	SHOW(pause());
	signal(SIGPIPE, SIG_IGN);
	close(ends[0]);
	SHOW(write(ends[1], "x", 1));
}

static void vector_state(void)
{
	uint64_t in[4] = {0x1122334455667788, 0x99aabbccddeeff00, 0x0123456789abcdef, 0xfedcba9876543210},
	         out[4];
	install(SIGUSR1, handler_vector, 0);
	long pid = getpid(), result;
	__asm__ volatile("movdqu (%2), %%xmm7\n\tmovdqu 16(%2), %%xmm15\n\t"
	                 "mov $62, %%eax\n\tmov %3, %%rdi\n\tmov $10, %%esi\n\tsyscall\n\t"
	                 "movdqu %%xmm7, (%1)\n\tmovdqu %%xmm15, 16(%1)"
	                 : "=&a"(result)
	                 : "r"(out), "r"(in), "r"(pid)
	                 : "rdi", "rsi", "rcx", "r11", "xmm7", "xmm15", "memory");
	TELL(result == 0);
	TELL(memcmp(in, out, sizeof in) == 0);
}

static void die_term(void)
{
	raise(SIGTERM);
}

static void die_abort(void)
{
	abort();
}

static void busy_victim(void)
{
	for (;;)
		;
}

static void running_target(void)
{
	pid_t pid = fork();
	if (pid == 0)
		busy_victim();
	int status;
	usleep(10000);
	SHOW(kill(pid, SIGSTOP));
	TELL(waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
	SHOW(kill(pid, SIGCONT));
	TELL(waitpid(pid, &status, WCONTINUED) == pid && WIFCONTINUED(status));
	SHOW(kill(pid, SIGTERM));
	TELL(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
}

/* ---- alternate stacks that are disarmed, handlers that are reset, floating point ---- */

#ifndef SS_AUTODISARM
#define SS_AUTODISARM (1u << 31)
#endif

static char first_stack[65536], second_stack[65536];

static void show_stack(const char *when)
{
	stack_t now;
	SHOW(sigaltstack(NULL, &now));
	printf("%s: flags %x, %s, size %zu\n", when, (unsigned)now.ss_flags,
	       now.ss_sp == first_stack    ? "first"
	       : now.ss_sp == second_stack ? "second"
	                                   : "none",
	       now.ss_size);
}

static void handler_stacks(int signal, siginfo_t *info, void *context)
{
	ucontext_t *u = context;
	stack_t second = {.ss_sp = second_stack, .ss_size = sizeof second_stack};
	(void)signal;
	(void)info;
	printf("saved: flags %x, %s\n", (unsigned)u->uc_stack.ss_flags,
	       u->uc_stack.ss_sp == first_stack ? "first" : "another");
	show_stack("inside");
	SHOW(sigaltstack(&second, NULL));
	show_stack("changed inside");
}

static void disarmed(unsigned flags)
{
	struct sigaction action = {.sa_sigaction = handler_stacks, .sa_flags = SA_SIGINFO | SA_ONSTACK};
	stack_t first = {.ss_sp = first_stack, .ss_size = sizeof first_stack, .ss_flags = (int)flags};
	sigaction(SIGUSR1, &action, NULL);
	printf("with flags %x\n", flags);
	SHOW(sigaltstack(&first, NULL));
	show_stack("before");
	raise(SIGUSR1);
	show_stack("after");
	first.ss_flags = SS_DISABLE;
	SHOW(sigaltstack(&first, NULL));
}

static void handler_action(int signal)
{
	struct sigaction now;
	sigaction(signal, NULL, &now);
	printf("inside: %s, flags %x, blocks SIGHUP: %d\n",
	       now.sa_handler == SIG_DFL ? "default" : "a handler", (unsigned)now.sa_flags & ~0x04000000u,
	       sigismember(&now.sa_mask, SIGHUP));
}

static void reset(void)
{
	struct sigaction action = {.sa_handler = handler_action,
	                           .sa_flags = (int)(SA_RESETHAND | SA_NODEFER)};
	sigaddset(&action.sa_mask, SIGHUP);
	sigaction(SIGUSR1, &action, NULL);
	raise(SIGUSR1);
}

static sigjmp_buf float_jump;

static void handler_float(int signal, siginfo_t *info, void *context)
{
	(void)context;
	printf("signal %d code %d\n", signal, info->si_code);
	siglongjmp(float_jump, 1);
}

enum { MASK_X87 = 0x37f };

static void x87(int unmasked, double a, double b)
{
	uint16_t control = (uint16_t)(MASK_X87 & ~unmasked), usual = MASK_X87;
	volatile double result;
	if (sigsetjmp(float_jump, 1) == 0) {
		__asm__ volatile("fninit; fldcw %1; fldl %3; fldl %2; fdivp; fstpl %0; fwait"
		                 : "=m"(result)
		                 : "m"(control), "m"(a), "m"(b));
		puts("nothing");
	}
	__asm__ volatile("fninit; fldcw %0" : : "m"(usual));
}

/* The emulator raises nothing for vector instructions. */
static void floating_point(void)
{
	struct sigaction action = {.sa_sigaction = handler_float, .sa_flags = SA_SIGINFO};
	sigaction(SIGFPE, &action, NULL);
	x87(4, 0, 1);
	x87(4, 1, 0);
	x87(1, 0, 0);
	x87(8, 1e-300, 1e300);
	x87(16, 1e300, 1e-300);
	x87(32, 3, 1);
}

static volatile uintptr_t jump_target = 16; /* nothing is there */

static void handler_code(int signal, siginfo_t *info, void *context)
{
	ucontext_t *u = context;
	printf("signal %d code %d error %llx\n", signal, info->si_code,
	       (unsigned long long)u->uc_mcontext.gregs[REG_ERR]);
	siglongjmp(float_jump, 1);
}

static void kernel_address(void)
{
	struct sigaction action = {.sa_sigaction = handler_code, .sa_flags = SA_SIGINFO};
	sigaction(SIGSEGV, &action, NULL);
	if (sigsetjmp(float_jump, 1) == 0)
		(void)*(volatile char *)0xffffffff81000000;
	if (sigsetjmp(float_jump, 1) == 0)
		*(volatile char *)0xffffffff81000000 = 1;
	if (sigsetjmp(float_jump, 1) == 0)
		(void)*(volatile char *)(uintptr_t)jump_target;
}

/* A mask for a call's time lets signals end it, and does nothing else. */
static void masks_of_calls(void)
{
	sigset_t blocked, empty;
	struct timespec none = {0, 0};
	struct epoll_event event = {.events = EPOLLIN};
	int ends[2], set = epoll_create1(0);
	fd_set reads;
	sigemptyset(&empty);
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGUSR1);
	sigprocmask(SIG_BLOCK, &blocked, NULL);
	install(SIGUSR1, handler, 0);
	seen[SIGUSR1] = 0;
	SHOW(pipe(ends));
	SHOW(write(ends[1], "x", 1));
	raise(SIGUSR1);
	struct pollfd ready = {ends[0], POLLIN, 0}, quiet = {-1, 0, 0};
	SHOW(ppoll(&ready, 1, NULL, &empty));
	FD_ZERO(&reads);
	FD_SET(ends[0], &reads);
	SHOW(pselect(ends[0] + 1, &reads, NULL, NULL, NULL, &empty));
	SHOW(epoll_ctl(set, EPOLL_CTL_ADD, ends[0], &event));
	SHOW(epoll_pwait(set, &event, 1, -1, &empty));
	printf("%d\n", seen[SIGUSR1]);
	SHOW(ppoll(&quiet, 1, NULL, &empty));
	printf("%d\n", seen[SIGUSR1]);
	raise(SIGUSR1);
	SHOW(ppoll(&quiet, 1, &none, &empty));
	printf("%d\n", seen[SIGUSR1]);
	sigprocmask(SIG_UNBLOCK, &blocked, NULL);
	close(ends[0]);
	close(ends[1]);
	close(set);
}

static void on_its_own_stack(int number)
{
	(void)number;
	static const char text[] = "on its own stack\n";
	_exit(write(1, text, sizeof(text) - 1) < 0);
}

/* No room for a signal's frame is a fault like others. */
static void no_room(void)
{
	size_t size = 65536;
	char *small = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	stack_t stack = {.ss_sp = malloc(size), .ss_size = size};
	sigaltstack(&stack, NULL);
	install(SIGSEGV, on_its_own_stack, SA_ONSTACK);
	install(SIGALRM, handler, 0);
	__asm__ volatile("mov %0, %%rsp; mov $39, %%eax; syscall; mov %%eax, %%edi; mov $14, %%esi;"
	                 "mov $62, %%eax; syscall; hlt" ::"r"(small + 64)
	                 : "memory");
}

int main(void)
{
	setvbuf(stdout, NULL, _IONBF, 0);
	masks();
	information();
	faults();
	stacks();
	interruptions();
	vector_state();
	show_child("raise(SIGTERM)", die_term);
	show_child("abort()", die_abort);
	running_target();
	disarmed(SS_AUTODISARM);
	disarmed(SS_ONSTACK | SS_AUTODISARM);
	disarmed(0);
	masks_of_calls();
	show_child("no room", no_room);
	show_child("reset", reset);
	show_child("floating point", floating_point);
	show_child("kernel's address", kernel_address);
	install(SIGUSR2, handler_jump, 0);
	for (int i = 0; i < 1000; i++)
		if (sigsetjmp(jump, 1) == 0)
			raise(SIGUSR2);
	puts("done");
	return 0;
}
