/* SPDX-License-Identifier: MIT */
/* Bad pointers in system calls: each gives the error that Linux gives, and the caller lives on. */
#include "check.h"
#include <mqueue.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <grp.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/statfs.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/times.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <termios.h>
#include <time.h>

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif

static char *guarded; /* the last byte of a page that is followed by nothing */

/* Descriptors and ids of what there is for the calls; ids stand for what main() gets. */
enum {
	FILE_ = 20,
	FOLDER,
	READER, /* of a pipe that holds a byte */
	WRITER,
	STREAM, /* a socket whose other end has sent a byte */
	STREAM_END,
	PACKETS, /* the same with packets */
	PACKETS_END,
	UNBOUND,
	LISTENER, /* with somebody who wants to connect */
	EPOLL,    /* with something that is ready */
	WATCHES,
	QUEUE, /* of messages, with one */
	CLOCK,
	TERMINAL,
	PIDFD
};
enum { SELF = -1000, MESSAGES, SEMAPHORES, SHARED, TIMER, IDS_END };
static long ids[IDS_END - SELF];

/* What good pointers lead to. */
static union {
	char bytes[8192];
	struct timespec time;
	struct itimerspec timer;
	struct itimerval interval;
	struct timeval times[2];
	struct iovec vector;
	struct pollfd poll;
	struct sembuf operation;
	struct {
		long type;
		char text[8];
	} message;
	struct {
		uint64_t flags, mode, resolve;
	} how;
	socklen_t length;
	long numbers[16];
} zero, good = {.length = sizeof(good)};
/* Good pointers to bad ones. */
static struct iovec to_bytes;
static struct msghdr with_name, with_bytes, with_control;
static struct mmsghdr many_bytes;
static char *list[2];
static void *set_of_signals[2];
static const struct sockaddr_un address = {AF_UNIX, "\0badptr"};
static struct sigevent event = {.sigev_notify = SIGEV_NONE};
static uint32_t capability[2] = {0x20080522}; /* the version */

struct call {
	const char *name;
	long number;
	unsigned pointers; /* bit n: argument n is one; each is bad once, with the others good. None: it is
	                      what good ones lead to */
	long arguments[6];
};

#define ZERO (long)&zero
#define GOOD (long)&good
#define CALL(name, pointers, ...)            \
	{                                    \
#name, SYS_##name, pointers, \
		{                            \
			__VA_ARGS__          \
		}                            \
	}
#define AS(label, name, pointers, ...)       \
	{                                    \
		label, SYS_##name, pointers, \
		{                            \
			__VA_ARGS__          \
		}                            \
	}
#define TEXT(text) (long)(text)

/*
 * All calls that take pointers. Not here: clone, set_tid_address, set_robust_list, rseq and arch_prctl, which
 * take any; the lists of attributes, which are empty; swapon, swapoff and modules, which a kernel may have
 * none of; reboot; the vectors of vmsplice and the data of mount, of which Linux takes what there is of a
 * page; and a timerfd's read, of which newer kernels give a part.
 */
static const struct call calls[] = {
        CALL(read, 2, FILE_, GOOD, 32),
        AS("read of a pipe", read, 2, READER, GOOD, 32),
        AS("read of a socket", read, 2, STREAM, GOOD, 32),
        CALL(write, 2, FILE_, GOOD, 32),
        AS("write to a pipe", write, 2, WRITER, GOOD, 32),
        AS("write to a socket", write, 2, STREAM, GOOD, 32),
        CALL(open, 1, 0, O_RDONLY),
        CALL(stat, 3, TEXT("."), GOOD),
        CALL(fstat, 2, FILE_, GOOD),
        CALL(lstat, 3, TEXT("."), GOOD),
        CALL(poll, 1, GOOD, 3, 0),
        AS("FIONREAD", ioctl, 4, READER, FIONREAD, GOOD),
        AS("FIONBIO", ioctl, 4, READER, FIONBIO, GOOD),
        AS("TCGETS", ioctl, 4, TERMINAL, TCGETS, GOOD),
        AS("TCSETS", ioctl, 4, TERMINAL, TCSETS, GOOD),
        AS("TIOCGWINSZ", ioctl, 4, TERMINAL, TIOCGWINSZ, GOOD),
        AS("TIOCSWINSZ", ioctl, 4, TERMINAL, TIOCSWINSZ, GOOD),
        AS("TIOCGPTN", ioctl, 4, TERMINAL, TIOCGPTN, GOOD),
        AS("TIOCSPTLCK", ioctl, 4, TERMINAL, TIOCSPTLCK, GOOD),
        CALL(pread64, 2, FILE_, GOOD, 32, 0),
        CALL(pwrite64, 2, FILE_, GOOD, 32, 0),
        CALL(readv, 2, FILE_, GOOD, 2),
        CALL(writev, 2, FILE_, GOOD, 2),
        AS("readv's bytes", readv, 0, FILE_, TEXT(&to_bytes), 1),
        AS("writev's bytes", writev, 0, FILE_, TEXT(&to_bytes), 1),
        AS("writev's bytes to a pipe", writev, 0, WRITER, TEXT(&to_bytes), 1),
        CALL(access, 1, 0, R_OK),
        CALL(pipe, 1, 0),
        CALL(select, 30, 8, ZERO, ZERO, ZERO, ZERO),
        CALL(sendfile, 4, WRITER, FILE_, ZERO, 4),
        CALL(connect, 2, UNBOUND, 0, 16),
        CALL(accept, 6, LISTENER, GOOD, GOOD),
        CALL(sendto, 2, PACKETS, GOOD, 4, MSG_DONTWAIT, 0, 0),
        AS("sendto an address", sendto, 16, PACKETS, GOOD, 4, MSG_DONTWAIT, 0, 16),
        CALL(recvfrom, 50, PACKETS, GOOD, 32, MSG_DONTWAIT, GOOD, GOOD),
        CALL(sendmsg, 2, PACKETS, 0, MSG_DONTWAIT),
        AS("sendmsg's name", sendmsg, 0, PACKETS, TEXT(&with_name), MSG_DONTWAIT),
        AS("sendmsg's bytes", sendmsg, 0, PACKETS, TEXT(&with_bytes), MSG_DONTWAIT),
        AS("sendmsg's control", sendmsg, 0, PACKETS, TEXT(&with_control), MSG_DONTWAIT),
        CALL(recvmsg, 2, PACKETS, 0, MSG_DONTWAIT),
        AS("recvmsg's bytes", recvmsg, 0, PACKETS, TEXT(&with_bytes), MSG_DONTWAIT),
        CALL(bind, 2, UNBOUND, 0, 16),
        CALL(getsockname, 6, LISTENER, GOOD, GOOD),
        CALL(getpeername, 6, STREAM, GOOD, GOOD),
        CALL(socketpair, 8, AF_UNIX, SOCK_STREAM, 0, GOOD),
        CALL(setsockopt, 8, STREAM, SOL_SOCKET, SO_PASSCRED, GOOD, 8),
        CALL(getsockopt, 24, STREAM, SOL_SOCKET, SO_PEERCRED, GOOD, GOOD),
        AS("F_GETLK", fcntl, 4, FILE_, F_GETLK, GOOD),
        AS("F_SETLK", fcntl, 4, FILE_, F_SETLK, GOOD),
        AS("F_OFD_GETLK", fcntl, 4, FILE_, 36, GOOD),
        AS("F_OFD_SETLK", fcntl, 4, FILE_, 37, GOOD),
        AS("F_SETOWN_EX", fcntl, 4, FILE_, 15, GOOD),
        AS("F_GETOWN_EX", fcntl, 4, FILE_, 16, GOOD),
        CALL(truncate, 1, 0, 0),
        CALL(getdents, 2, FOLDER, GOOD, 1024),
        CALL(getdents64, 2, FOLDER, GOOD, 1024),
        CALL(getcwd, 1, 0, 4096),
        CALL(chdir, 1, 0),
        CALL(rename, 3, TEXT("badptr.tmp"), TEXT("x")),
        CALL(mkdir, 1, 0, 0700),
        CALL(rmdir, 1, 0),
        CALL(creat, 1, 0, 0600),
        CALL(link, 3, TEXT("badptr.tmp"), TEXT("x")),
        CALL(unlink, 1, 0),
        CALL(symlink, 3, TEXT("target"), TEXT("x")),
        CALL(readlink, 3, TEXT("/proc/self/exe"), GOOD, 32),
        CALL(chmod, 1, 0, 0600),
        CALL(chown, 1, 0, 0, 0),
        CALL(lchown, 1, 0, 0, 0),
        CALL(utime, 3, TEXT("badptr.tmp"), GOOD),
        CALL(mknod, 1, 0, S_IFREG | 0600, 0),
        CALL(statfs, 3, TEXT("."), GOOD),
        CALL(fstatfs, 2, FILE_, GOOD),
        CALL(chroot, 1, 0),
        /* mount's target is not there: what is bad is told before. */
        CALL(mount, 7, TEXT("source"), TEXT("/nowhere"), TEXT("tmpfs"), 0, 0),
        CALL(umount2, 1, 0, 0),
        CALL(setxattr, 7, TEXT("badptr.tmp"), TEXT("user.x"), GOOD, 8, 0),
        CALL(lsetxattr, 7, TEXT("badptr.tmp"), TEXT("user.x"), GOOD, 8, 0),
        CALL(fsetxattr, 6, FILE_, TEXT("user.x"), GOOD, 8, 0),
        CALL(getxattr, 3, TEXT("badptr.tmp"), TEXT("user.x"), GOOD, 4),
        CALL(lgetxattr, 3, TEXT("badptr.tmp"), TEXT("user.x"), GOOD, 4),
        CALL(fgetxattr, 2, FILE_, TEXT("user.x"), GOOD, 4),
        CALL(listxattr, 1, TEXT("badptr.tmp"), GOOD, 64),
        CALL(llistxattr, 1, TEXT("badptr.tmp"), GOOD, 64),
        CALL(removexattr, 3, TEXT("badptr.tmp"), TEXT("user.x")),
        CALL(lremovexattr, 3, TEXT("badptr.tmp"), TEXT("user.x")),
        CALL(fremovexattr, 2, FILE_, TEXT("user.x")),
        CALL(epoll_wait, 2, EPOLL, GOOD, 4, 0),
        CALL(epoll_ctl, 8, EPOLL, EPOLL_CTL_ADD, STREAM, GOOD),
        CALL(utimes, 3, TEXT("badptr.tmp"), ZERO),
        CALL(mq_open, 9, TEXT("badptr"), O_RDWR | O_CREAT, 0600, GOOD),
        CALL(mq_unlink, 1, 0),
        CALL(mq_timedsend, 18, QUEUE, GOOD, 4, 0, ZERO),
        CALL(mq_timedreceive, 26, QUEUE, GOOD, 8, GOOD, ZERO),
        CALL(mq_notify, 2, QUEUE, 0),
        CALL(mq_getsetattr, 6, QUEUE, ZERO, GOOD),
        CALL(inotify_add_watch, 2, WATCHES, 0, IN_MODIFY),
        CALL(openat, 2, AT_FDCWD, 0, O_RDONLY),
        CALL(mkdirat, 2, AT_FDCWD, 0, 0700),
        CALL(mknodat, 2, AT_FDCWD, 0, S_IFREG | 0600, 0),
        CALL(fchownat, 2, AT_FDCWD, 0, 0, 0, 0),
        CALL(futimesat, 6, AT_FDCWD, TEXT("badptr.tmp"), ZERO),
        CALL(newfstatat, 6, AT_FDCWD, TEXT("."), GOOD, 0),
        CALL(unlinkat, 2, AT_FDCWD, 0, 0),
        CALL(renameat, 10, AT_FDCWD, TEXT("badptr.tmp"), AT_FDCWD, TEXT("x")),
        CALL(renameat2, 10, AT_FDCWD, TEXT("badptr.tmp"), AT_FDCWD, TEXT("x"), 0),
        CALL(linkat, 10, AT_FDCWD, TEXT("badptr.tmp"), AT_FDCWD, TEXT("x"), 0),
        CALL(symlinkat, 5, TEXT("target"), AT_FDCWD, TEXT("x")),
        CALL(readlinkat, 6, AT_FDCWD, TEXT("/proc/self/exe"), GOOD, 32),
        CALL(fchmodat, 2, AT_FDCWD, 0, 0600),
        CALL(faccessat, 2, AT_FDCWD, 0, R_OK),
        CALL(faccessat2, 2, AT_FDCWD, 0, R_OK, 0),
        CALL(pselect6, 62, 8, ZERO, ZERO, ZERO, ZERO, ZERO),
        AS("pselect6's signals", pselect6, 0, 0, 0, 0, 0, ZERO, TEXT(set_of_signals)),
        CALL(ppoll, 13, GOOD, 3, ZERO, ZERO, 8),
        CALL(splice, 2, FILE_, ZERO, WRITER, 0, 4, 0),
        AS("splice to a file", splice, 8, READER, 0, FILE_, ZERO, 1, 0),
        CALL(vmsplice, 2, WRITER, GOOD, 1, 0),
        CALL(utimensat, 6, AT_FDCWD, TEXT("badptr.tmp"), ZERO, 0),
        CALL(epoll_pwait, 18, EPOLL, GOOD, 4, 0, ZERO, 8),
        CALL(epoll_pwait2, 26, EPOLL, GOOD, 4, ZERO, ZERO, 8),
        CALL(signalfd, 2, -1, 0, 8),
        CALL(signalfd4, 2, -1, 0, 8, 0),
        CALL(timerfd_settime, 12, CLOCK, 0, ZERO, GOOD),
        CALL(timerfd_gettime, 2, CLOCK, GOOD),
        CALL(accept4, 6, LISTENER, GOOD, GOOD, 0),
        CALL(pipe2, 1, 0, 0),
        CALL(preadv, 2, FILE_, GOOD, 2, 0, 0),
        CALL(pwritev, 2, FILE_, GOOD, 2, 0, 0),
        CALL(preadv2, 2, FILE_, GOOD, 2, 0, 0, 0),
        CALL(pwritev2, 2, FILE_, GOOD, 2, 0, 0, 0),
        AS("preadv's bytes", preadv, 0, FILE_, TEXT(&to_bytes), 1, 0, 0),
        AS("pwritev's bytes", pwritev, 0, FILE_, TEXT(&to_bytes), 1, 0, 0),
        CALL(recvmmsg, 18, PACKETS, GOOD, 1, MSG_DONTWAIT, ZERO),
        AS("recvmmsg's bytes", recvmmsg, 0, PACKETS, TEXT(&many_bytes), 1, MSG_DONTWAIT, 0),
        CALL(sendmmsg, 2, PACKETS, 0, 1, MSG_DONTWAIT),
        AS("sendmmsg's bytes", sendmmsg, 0, PACKETS, TEXT(&many_bytes), 1, MSG_DONTWAIT),
        CALL(memfd_create, 1, 0, 0),
        CALL(copy_file_range, 10, FILE_, ZERO, FILE_, ZERO, 1, 0),
        CALL(statx, 18, AT_FDCWD, TEXT("."), 0, 0x7ff, GOOD),
        CALL(pidfd_send_signal, 4, PIDFD, 0, 0, 0),
        CALL(openat2, 6, AT_FDCWD, TEXT("badptr.tmp"), ZERO, 24),
        CALL(mprotect, 1, 0, 4096, PROT_NONE),
        CALL(msync, 1, 0, 4096, MS_SYNC),
        CALL(mincore, 5, (long)(good.bytes), 1, GOOD),
        CALL(madvise, 1, 0, 4096, 0),
        CALL(mlock, 1, 0, 4096),
        CALL(munlock, 1, 0, 4096),
        CALL(mlock2, 1, 0, 4096, 0),
        CALL(rt_sigaction, 6, SIGUSR1, 0, 0, 8),
        CALL(rt_sigprocmask, 6, SIG_BLOCK, ZERO, GOOD, 8),
        CALL(rt_sigpending, 1, 0, 8),
        CALL(rt_sigtimedwait, 5, ZERO, 0, ZERO, 8),
        CALL(rt_sigqueueinfo, 4, SELF, SIGCONT, 0),
        CALL(rt_tgsigqueueinfo, 8, SELF, SELF, SIGCONT, 0),
        CALL(rt_sigsuspend, 1, 0, 8),
        CALL(sigaltstack, 3, 0, 0),
        CALL(nanosleep, 1, 0, 0),
        CALL(clock_nanosleep, 4, CLOCK_MONOTONIC, 0, 0, 0),
        CALL(getitimer, 2, ITIMER_REAL, 0),
        CALL(setitimer, 6, ITIMER_REAL, ZERO, GOOD),
        CALL(clone3, 1, 0, 88),
        CALL(execve, 7, TEXT("/proc/self/exe"), 0, 0),
        AS("execve's argument", execve, 0, TEXT("/proc/self/exe"), TEXT(list), 0),
        CALL(execveat, 14, AT_FDCWD, TEXT("/proc/self/exe"), 0, 0, 0),
        CALL(wait4, 10, -1, GOOD, WNOHANG, GOOD),
        CALL(waitid, 20, P_ALL, 0, GOOD, WEXITED | WNOHANG, GOOD),
        CALL(uname, 1, 0),
        CALL(semop, 2, SEMAPHORES, 0, 1),
        CALL(semtimedop, 10, SEMAPHORES, ZERO, 1, ZERO),
        CALL(semctl, 8, SEMAPHORES, 0, IPC_STAT, 0),
        AS("semctl IPC_SET", semctl, 8, SEMAPHORES, 0, IPC_SET, 0),
        AS("semctl GETALL", semctl, 8, SEMAPHORES, 0, GETALL, 0),
        AS("semctl SETALL", semctl, 8, SEMAPHORES, 0, SETALL, 0),
        CALL(shmat, 2, SHARED, 0, 0),
        CALL(shmdt, 1, 0),
        CALL(shmctl, 4, SHARED, IPC_STAT, 0),
        AS("shmctl IPC_SET", shmctl, 4, SHARED, IPC_SET, 0),
        CALL(msgsnd, 2, MESSAGES, 0, 4, IPC_NOWAIT),
        CALL(msgrcv, 2, MESSAGES, 0, 4, 0, IPC_NOWAIT),
        CALL(msgctl, 4, MESSAGES, IPC_STAT, 0),
        AS("msgctl IPC_SET", msgctl, 4, MESSAGES, IPC_SET, 0),
        CALL(gettimeofday, 3, 0, 0),
        CALL(settimeofday, 3, 0, 0),
        CALL(getrlimit, 2, RLIMIT_NOFILE, 0),
        CALL(setrlimit, 2, RLIMIT_NOFILE, 0),
        CALL(prlimit64, 12, 0, RLIMIT_NOFILE, 0, 0),
        CALL(getrusage, 2, RUSAGE_SELF, 0),
        CALL(sysinfo, 1, 0),
        CALL(times, 1, 0),
        CALL(time, 1, 0),
        CALL(setgroups, 2, 2, 0),
        CALL(getgroups, 2, 2, 0),
        CALL(getresuid, 7, GOOD, GOOD, GOOD),
        CALL(getresgid, 7, GOOD, GOOD, GOOD),
        CALL(capget, 3, TEXT(&capability), GOOD),
        CALL(capset, 3, TEXT(&capability), 0),
        CALL(sched_setparam, 2, 0, 0),
        CALL(sched_getparam, 2, 0, 0),
        CALL(sched_setscheduler, 4, 0, 0, 0),
        CALL(sched_rr_get_interval, 2, 0, 0),
        CALL(sched_setattr, 2, 0, 0, 0),
        CALL(sched_getattr, 2, 0, 0, 48, 0),
        CALL(sched_setaffinity, 4, 0, 8, 0),
        CALL(sched_getaffinity, 4, 0, 8, 0),
        AS("PR_SET_NAME", prctl, 2, PR_SET_NAME, 0),
        AS("PR_GET_NAME", prctl, 2, PR_GET_NAME, 0),
        AS("PR_GET_PDEATHSIG", prctl, 2, PR_GET_PDEATHSIG, 0),
        AS("PR_GET_CHILD_SUBREAPER", prctl, 2, PR_GET_CHILD_SUBREAPER, 0),
        CALL(adjtimex, 1, 0),
        CALL(clock_adjtime, 2, CLOCK_REALTIME, 0),
        CALL(sethostname, 1, 0, 8),
        CALL(setdomainname, 1, 0, 8),
        AS("futex wait", futex, 9, GOOD, 0, 0, 0),
        AS("futex wake", futex, 1, 0, 1, 1),
        AS("futex requeue", futex, 17, GOOD, 3, 1, 1, GOOD),
        AS("futex compare and requeue", futex, 17, GOOD, 4, 1, 1, GOOD, 0),
        AS("futex lock", futex, 1, 0, 6, 0, 0),
        CALL(futex_waitv, 1, 0, 1, 0, 0, 0),
        CALL(timer_create, 6, CLOCK_MONOTONIC, TEXT(&event), GOOD),
        CALL(timer_settime, 12, TIMER, 0, ZERO, GOOD),
        CALL(timer_gettime, 2, TIMER, 0),
        CALL(clock_settime, 2, CLOCK_REALTIME, 0),
        CALL(clock_gettime, 2, CLOCK_MONOTONIC, 0),
        CALL(clock_getres, 2, CLOCK_MONOTONIC, 0),
        CALL(set_mempolicy, 2, 2, 0, 64),
        CALL(get_mempolicy, 3, GOOD, GOOD, 1024, 0, 0),
        CALL(get_robust_list, 6, 0, GOOD, GOOD),
        CALL(getcpu, 3, 0, 0, 0),
        CALL(getrandom, 1, 0, 32, 0),
};

static struct bad {
	const char *name;
	char *at;
} addresses[] = {
        {"address 1", (char *)1},
        {"hole", NULL},
        {"PROT_NONE", NULL},
        {"end of the user half", (char *)0x7ffffffff000},
        {"non-canonical", (char *)0x800000000000},
        {"kernel half", (char *)0xffff800000001000},
        {"last byte", (char *)-1},
        {"last bytes of a page", NULL},
};
#define ADDRESSES (sizeof(addresses) / sizeof(addresses[0]))

/* As the calls expect it, whatever the last one has left. */
static void prepare(char *bad)
{
	struct {
		long type;
		char text[4];
	} message = {1, "abc"};
	siginfo_t info = {0};
	int client = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	memset(guarded, 'a', 4);
	memset(&zero, 0, sizeof(zero));
	memset(&good, 0, sizeof(good));
	good.length = 128;
	to_bytes = (struct iovec){bad, 64};
	with_bytes = (struct msghdr){.msg_iov = &to_bytes, .msg_iovlen = 1};
	with_name = (struct msghdr){.msg_name = bad, .msg_namelen = 16};
	with_control = (struct msghdr){.msg_control = bad, .msg_controllen = 32};
	many_bytes.msg_hdr = with_bytes;
	list[0] = bad;
	set_of_signals[0] = bad;
	set_of_signals[1] = (void *)8;
	timerfd_settime(CLOCK, 0, &(struct itimerspec){.it_value = {0, 1}}, NULL);
	lseek(FILE_, 0, SEEK_SET);
	lseek(FOLDER, 0, SEEK_SET);
	while (read(READER, good.bytes, 64) > 0)
		;
	write(WRITER, "x", 1);
	while (recv(STREAM_END, good.bytes, 64, MSG_DONTWAIT) > 0)
		;
	send(STREAM_END, "x", 1, MSG_DONTWAIT);
	while (recv(PACKETS, good.bytes, 64, MSG_DONTWAIT) > 0)
		;
	while (recv(PACKETS_END, good.bytes, 64, MSG_DONTWAIT) > 0)
		;
	send(PACKETS_END, "x", 1, MSG_DONTWAIT);
	memset(good.bytes, 0, 64);
	good.length = 128;
	connect(client, (const struct sockaddr *)&address, sizeof(sa_family_t) + 8);
	close(client);
	syscall(SYS_mq_timedsend, QUEUE, "x", 1, 0, &zero);
	msgsnd((int)ids[MESSAGES - SELF], &message, 4, IPC_NOWAIT);
	if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0) {
		if (fork() == 0)
			_exit(0);
		waitid(P_ALL, 0, &info, WEXITED | WNOWAIT);
	}
}

/* The results of one call at all addresses, in one line where they are the same. Success is not shown, but
 * for how many bytes were moved before the bad page. */
static void show(const char *name, int argument, const long results[ADDRESSES], const int errors[ADDRESSES])
{
	printf("%s", name);
	if (argument >= 0)
		printf(" %d", argument);
	for (unsigned i = 0; i < ADDRESSES; i++) {
		if (i > 0 && results[i] == results[i - 1] && errors[i] == errors[i - 1])
			continue;
		if (results[i] < 0)
			printf("%s %s: %s", i > 0 ? "," : "", addresses[i].name, strerrorname(errors[i]));
		else
			printf("%s %s: %ld", i > 0 ? "," : "", addresses[i].name,
			       results[i] < 64 ? results[i] : 64);
	}
	puts("");
}

static void try(const struct call *call, int bad)
{
	long results[ADDRESSES], arguments[6];
	int errors[ADDRESSES];
	for (unsigned i = 0; i < ADDRESSES; i++) {
		prepare(addresses[i].at);
		for (int n = 0; n < 6; n++) {
			long value = call->arguments[n];
			arguments[n] = value >= SELF && value < IDS_END ? ids[value - SELF] : value;
		}
		if (bad >= 0)
			arguments[bad] = (long)addresses[i].at;
		results[i] = syscall(call->number, arguments[0], arguments[1], arguments[2], arguments[3],
		                     arguments[4], arguments[5]);
		errors[i] = errno;
		if (results[i] > 0 && (call->number == SYS_accept || call->number == SYS_accept4))
			results[i] = close((int)results[i]);
		if (results[i] > 0 && call->number == SYS_wait4)
			results[i] = 0; /* a number as any */
	}
	show(call->name, bad, results, errors);
}

static void move(int from, int to)
{
	if (from < 0 || dup2(from, to) != to)
		exit(1);
	close(from);
}

static void make_descriptors(void)
{
	struct mq_attr attributes = {.mq_maxmsg = 4, .mq_msgsize = 8};
	int ends[2];
	move(open("badptr.tmp", O_RDWR | O_CREAT | O_TRUNC, 0600), FILE_);
	if (write(FILE_, "0123456789abcdef0123456789abcdef", 32) != 32)
		exit(1);
	move(open(".", O_RDONLY | O_DIRECTORY), FOLDER);
	if (pipe2(ends, O_NONBLOCK) != 0)
		exit(1);
	move(ends[0], READER);
	move(ends[1], WRITER);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) != 0)
		exit(1);
	move(ends[0], STREAM);
	move(ends[1], STREAM_END);
	if (socketpair(AF_UNIX, SOCK_DGRAM, 0, ends) != 0)
		exit(1);
	move(ends[0], PACKETS);
	move(ends[1], PACKETS_END);
	move(socket(AF_UNIX, SOCK_STREAM, 0), UNBOUND);
	move(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0), LISTENER);
	if (bind(LISTENER, (const struct sockaddr *)&address, sizeof(sa_family_t) + 8) != 0 ||
	    listen(LISTENER, 4) != 0)
		exit(1);
	move(epoll_create1(0), EPOLL);
	epoll_ctl(EPOLL, EPOLL_CTL_ADD, READER, &(struct epoll_event){.events = EPOLLIN});
	move(inotify_init1(0), WATCHES);
	move((int)syscall(SYS_mq_open, "badptr", O_RDWR | O_CREAT | O_NONBLOCK, 0600, &attributes), QUEUE);
	syscall(SYS_mq_unlink, "badptr");
	move(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK), CLOCK);
	move(open("/dev/ptmx", O_RDWR | O_NOCTTY), TERMINAL);
	move((int)syscall(SYS_pidfd_open, getpid(), 0), PIDFD);
	ids[MESSAGES - SELF] = msgget(IPC_PRIVATE, 0600);
	ids[SEMAPHORES - SELF] = semget(IPC_PRIVATE, 1, 0600);
	ids[SHARED - SELF] = shmget(IPC_PRIVATE, 4096, 0600);
	ids[0] = getpid();
	setgroups(2, (gid_t[]){1, 2});
	syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &good.length);
	ids[TIMER - SELF] = (long)good.length;
}

int main(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0); /* what hangs is the next one */
	char *pages = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *none = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (pages == MAP_FAILED || none == MAP_FAILED)
		return 1;
	munmap(pages + 4096, 4096);
	mkdir("badptr.dir", 0700);
	if (chdir("badptr.dir") != 0) /* its path is longer than what fits at the end of a page */
		return 1;
	guarded = pages + 4096 - 4;
	addresses[1].at = pages + 4096 + 8;
	addresses[2].at = none;
	addresses[7].at = guarded;
	make_descriptors();
	for (unsigned i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		if (calls[i].pointers == 0)
			try(&calls[i], -1);
		for (int argument = 0; argument < 6; argument++)
			if (calls[i].pointers >> argument & 1)
				try(&calls[i], argument);
	}
	semctl((int)ids[SEMAPHORES - SELF], 0, IPC_RMID);
	shmctl((int)ids[SHARED - SELF], IPC_RMID, NULL);
	msgctl((int)ids[MESSAGES - SELF], IPC_RMID, NULL);
	char byte = 0;
	puts("-- a page whose end cannot be read");
	memset(pages + 4096 - 20, 'x', 20);
	ftruncate(FILE_, 0);
	SHOW(pwrite(FILE_, pages + 4096 - 20, 4096, 0));
	SHOW(pwrite(FILE_, pages + 4096 - 10, 4096, 8192));
	SHOW(pread(FILE_, &byte, 1, 8192 + 9));
	SHOW(byte == 'x');
	SHOW(lseek(FILE_, 0, SEEK_END) - 8192);
	SHOW(pwrite(FILE_, pages + 4096, 4096, 0));
	unlink("badptr.tmp");
	if (chdir("..") != 0 || rmdir("badptr.dir") != 0)
		return 1;
	puts("still here");
	return 0;
}
