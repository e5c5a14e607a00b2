/* SPDX-License-Identifier: MIT */
/* Bad pointers in system calls: each gives the error that Linux gives, and the caller lives on. */
#include "check.h"
#include <poll.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <time.h>

static char *guarded; /* the last byte of a page that is followed by nothing */

#define TRY(call) report(#call, (call))

/* Results are not shown, but for how many bytes were moved before the bad page. */
static void report(const char *call, long result)
{
	if (result < 0)
		printf("%-44s %s\n", call, strerrorname(errno));
	else
		printf("%-44s %ld\n", call, result < 64 ? result : 64);
}

static void all_calls(const char *label, void *p)
{
	int file = open("badptr.tmp", O_RDWR | O_CREAT | O_TRUNC, 0600);
	int ends[2];
	struct iovec vector = {p, 64};
	printf("-- %s\n", label);
	if (write(file, "0123456789abcdef0123456789abcdef", 32) != 32 || pipe(ends) != 0)
		exit(1);
	TRY(syscall(SYS_pread64, file, p, 32, 0));
	TRY(syscall(SYS_pwrite64, file, p, 32, 0));
	TRY(syscall(SYS_write, ends[1], p, 32));
	TRY(syscall(SYS_readv, file, p, 2));
	TRY(syscall(SYS_writev, file, p, 2));
	TRY(syscall(SYS_writev, ends[1], &vector, 1));
	TRY(syscall(SYS_open, p, O_RDONLY));
	TRY(syscall(SYS_openat, AT_FDCWD, p, O_RDONLY));
	TRY(syscall(SYS_stat, p, &vector));
	TRY(syscall(SYS_stat, ".", p));
	TRY(syscall(SYS_fstat, file, p));
	TRY(syscall(SYS_newfstatat, AT_FDCWD, ".", p, 0));
	TRY(syscall(SYS_access, p, R_OK));
	TRY(syscall(SYS_mkdir, p, 0700));
	TRY(syscall(SYS_unlink, p));
	TRY(syscall(SYS_rename, p, "x"));
	TRY(syscall(SYS_rename, "badptr.tmp", p));
	TRY(syscall(SYS_link, p, "x"));
	TRY(syscall(SYS_symlink, p, "x"));
	TRY(syscall(SYS_readlink, "/proc/self/exe", p, 32));
	TRY(syscall(SYS_chdir, p));
	TRY(syscall(SYS_chmod, p, 0600));
	TRY(syscall(SYS_truncate, p, 0));
	TRY(syscall(SYS_getcwd, p, 4096));
	TRY(syscall(SYS_pipe2, p, 0));
	TRY(syscall(SYS_poll, p, 3, 0));
	TRY(syscall(SYS_uname, p));
	TRY(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, p));
	TRY(syscall(SYS_nanosleep, p, NULL));
	TRY(syscall(SYS_rt_sigaction, SIGUSR1, p, NULL, 8));
	TRY(syscall(SYS_rt_sigaction, SIGUSR1, NULL, p, 8));
	TRY(syscall(SYS_rt_sigprocmask, SIG_BLOCK, p, NULL, 8));
	TRY(syscall(SYS_execve, p, NULL, NULL));
	TRY(syscall(SYS_execve, "/proc/self/exe", p, NULL));
	TRY(syscall(SYS_getrlimit, RLIMIT_NOFILE, p));
	TRY(syscall(SYS_sysinfo, p));
	TRY(syscall(SYS_times, p));
	TRY(syscall(SYS_getrusage, RUSAGE_SELF, p));
	TRY(syscall(SYS_fcntl, file, F_GETLK, p));
	TRY(syscall(SYS_futex, p, 1, 1, 0, 0, 0));
	TRY(syscall(SYS_statfs, p, &vector));
	TRY(syscall(SYS_statfs, ".", p));
	/* The last: what it leaves there is different each time. */
	TRY(syscall(SYS_getrandom, p, 32, 0));
	close(ends[0]);
	close(ends[1]);
	close(file);
}

int main(void)
{
	char *pages = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *none = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (pages == MAP_FAILED || none == MAP_FAILED)
		return 1;
	munmap(pages + 4096, 4096);
	mkdir("badptr.dir", 0700);
	if (chdir("badptr.dir") != 0) /* its path is longer than what fits at the end of a page */
		return 1;
	guarded = pages + 4096 - 4;
	memset(guarded, 'a', 4);
	all_calls("address 1", (void *)1);
	all_calls("hole", pages + 4096 + 8);
	all_calls("PROT_NONE", none);
	all_calls("end of the user half", (void *)0x7ffffffff000);
	all_calls("non-canonical", (void *)0x800000000000);
	all_calls("kernel half", (void *)0xffff800000001000);
	all_calls("last byte", (void *)-1);
	all_calls("last bytes of a page", guarded);
	int file = open("badptr.tmp", O_RDWR | O_CREAT | O_TRUNC, 0600);
	char byte = 0;
	puts("-- a page whose end cannot be read");
	memset(pages + 4096 - 20, 'x', 20);
	TRY(pwrite(file, pages + 4096 - 20, 4096, 0));
	TRY(pwrite(file, pages + 4096 - 10, 4096, 8192));
	TRY(pread(file, &byte, 1, 8192 + 9));
	TRY(byte == 'x');
	TRY(lseek(file, 0, SEEK_END) - 8192);
	TRY(pwrite(file, pages + 4096, 4096, 0));
	close(file);
	unlink("badptr.tmp");
	if (chdir("..") != 0 || rmdir("badptr.dir") != 0)
		return 1;
	puts("still here");
	return 0;
}
