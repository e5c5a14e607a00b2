/* SPDX-License-Identifier: MIT */
/*
 * What the C library asks of a kernel, answered inside the component: memory out of the heap, output to the
 * log, time from the TSC. Everything else is ENOSYS: files, processes and signals are no business of a native
 * component.
 */
#pragma GCC optimize("no-stack-protector")
#define _GNU_SOURCE

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>

#include <pith/log.h>
#include <pith/slots.h>

#include "runtime.h"

#define OUTPUT_LINE 480

long __native_syscall(long n, long a, long b, long c, long d, long e, long f);
int __set_thread_area(void *base);
int __clone(int (*function)(void *), void *stack, int flags, void *argument, ...);
_Noreturn void __unmapself(void *base, size_t size);
long __syscall_cp_asm(volatile void *cancel, long n, long a, long b, long c, long d, long e, long f);
void __restore(void);
void __restore_rt(void);
int vfork(void);
extern const char __cp_begin[1], __cp_end[1], __cp_cancel[1];

/* ---- output: whole lines go to the log ---- */
static struct {
	char text[OUTPUT_LINE];
	size_t length;
} lines[2];

static void line_flush(int stream)
{
	if (lines[stream].length) {
		if (lines[stream].text[lines[stream].length - 1] != '\n')
			lines[stream].text[lines[stream].length++] = '\n';
		log_output(lines[stream].text, lines[stream].length);
	}
	lines[stream].length = 0;
}

static long output(long fd, const char *text, size_t length)
{
	if (fd != 1 && fd != 2)
		return -EBADF;
	int stream = (int)fd - 1;
	for (size_t i = 0; i < length; i++) {
		lines[stream].text[lines[stream].length++] = text[i];
		if (text[i] == '\n' || lines[stream].length == OUTPUT_LINE - 1)
			line_flush(stream);
	}
	return (long)length;
}

static long output_vector(long fd, const struct iovec *vector, long count)
{
	long total = 0;
	for (long i = 0; i < count; i++) {
		long done = output(fd, vector[i].iov_base, vector[i].iov_len);
		if (done < 0)
			return done;
		total += done;
	}
	return total;
}

/* ---- memory ---- */
static size_t pages_of(long length)
{
	return ((size_t)length + PAGE_SIZE - 1) / PAGE_SIZE;
}

static long memory_map(long address, long length, long flags)
{
	if (length <= 0)
		return -EINVAL;
	if ((flags & MAP_FIXED) || !(flags & MAP_ANONYMOUS))
		return -ENOSYS;
	(void)address; /* a hint */
	void *memory = heap_allocate(pages_of(length));
	return memory ? (long)memory : -ENOMEM;
}

static long memory_remap(long address, long length, long new_length, long flags)
{
	if (length <= 0 || new_length <= 0)
		return -EINVAL;
	size_t pages = pages_of(length), new_pages = pages_of(new_length);
	if (heap_grow((void *)address, pages, new_pages))
		return address;
	if (!(flags & MREMAP_MAYMOVE))
		return -ENOMEM;
	void *moved = heap_allocate(new_pages);
	if (!moved)
		return -ENOMEM;
	memcpy(moved, (void *)address, (pages < new_pages ? pages : new_pages) * PAGE_SIZE);
	heap_free((void *)address, pages);
	return (long)moved;
}

/* ---- time ---- */
static long clock_read(long clock, struct timespec *time)
{
	uint64_t now;
	if (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)
		now = time_wall();
	else if (clock == CLOCK_MONOTONIC || clock == CLOCK_MONOTONIC_RAW ||
	         clock == CLOCK_MONOTONIC_COARSE || clock == CLOCK_BOOTTIME)
		now = time_now();
	else
		return -EINVAL;
	*time = (struct timespec){.tv_sec = (time_t)(now / 1000000000), .tv_nsec = (long)(now % 1000000000)};
	return 0;
}

/* Waits on a Notification that nobody signals; "events" would lose its bits. */
static long sleep_until(deadline_t deadline)
{
	static cptr_t never;
	uint64_t bits;
	if (never == CPTR_NULL)
		never = object_create(OBJECT_NOTIFICATION, 0);
	if (never == CPTR_NULL) {
		log_error("no untyped memory for a notification to sleep on");
		return -ENOMEM;
	}
	while (time_now() < deadline)
		notification_wait(never, &bits, deadline);
	return 0;
}

static long sleep_for(const struct timespec *time, bool absolute)
{
	if (time->tv_sec < 0 || time->tv_nsec < 0 || time->tv_nsec > 999999999)
		return -EINVAL;
	uint64_t length = (uint64_t)time->tv_sec * 1000000000 + (uint64_t)time->tv_nsec;
	return sleep_until(absolute ? length : time_now() + length);
}

/* ---- the end ---- */
static _Noreturn void finish(long status)
{
	line_flush(0);
	line_flush(1);
	component_exit((int)status);
}

long __native_syscall(long n, long a, long b, long c, long d, long e, long f)
{
	(void)e, (void)f;
	switch (n) {
	case SYS_write:
		return output(a, (const char *)b, (size_t)c);
	case SYS_writev:
		return output_vector(a, (const struct iovec *)b, c);
	case SYS_ioctl: /* makes standard output line-buffered */
		return (a == 1 || a == 2) && b == TIOCGWINSZ ? 0 : -ENOTTY;
	case SYS_mmap:
		return memory_map(a, b, d);
	case SYS_munmap:
		return b > 0 && heap_free((void *)a, pages_of(b)) ? 0 : -EINVAL;
	case SYS_mremap:
		return memory_remap(a, b, c, d);
	case SYS_mprotect: /* guard pages of malloc's own books: not kept */
		return 0;
	case SYS_brk: /* there is none: malloc takes its books from mmap */
		return 0;
	case SYS_madvise:
		return -EINVAL;
	case SYS_clock_gettime:
		return clock_read(a, (struct timespec *)b);
	case SYS_clock_nanosleep:
		return a == CLOCK_MONOTONIC || (a == CLOCK_REALTIME && b == 0)
		               ? sleep_for((const struct timespec *)c, b != 0)
		               : -EINVAL;
	case SYS_nanosleep:
		return sleep_for((const struct timespec *)a, false);
	case SYS_getpid:
	case SYS_gettid:
	case SYS_set_tid_address:
		return 1;
	case SYS_futex: /* one thread: a lock is never waited for */
	case SYS_rt_sigprocmask:
		return 0;
	case SYS_tkill: /* abort() */
		finish(128 + b);
	case SYS_exit:
	case SYS_exit_group:
		finish(a);
	default:
		return -ENOSYS;
	}
}

int __set_thread_area(void *base)
{
	return thread_set_tls(runtime.thread, (uint64_t)base) == ERR_NONE ? 0 : -EPERM;
}

/*
 * The C library's own versions of these contain system call instructions of Linux. Defined here, before
 * libc.a, they keep them out of every component.
 */
int __clone(int (*function)(void *), void *stack, int flags, void *argument, ...)
{
	(void)function, (void)stack, (void)flags, (void)argument;
	return -ENOSYS;
}

_Noreturn void __unmapself(void *base, size_t size)
{
	(void)base, (void)size;
	finish(125);
}

const char __cp_begin[1], __cp_end[1], __cp_cancel[1];

long __syscall_cp_asm(volatile void *cancel, long n, long a, long b, long c, long d, long e, long f)
{
	(void)cancel;
	return __native_syscall(n, a, b, c, d, e, f);
}

void __restore(void)
{
	finish(125);
}

void __restore_rt(void)
{
	finish(125);
}

int vfork(void)
{
	errno = ENOSYS;
	return -1;
}
