/* SPDX-License-Identifier: MIT */
/*
 * Threads of several processes that use the same few objects: tangle SEED ROUNDS. Where anycalls makes any call with any
 * arguments, these make calls that mostly succeed, on descriptors, names, regions, timers, segments and processes that another
 * thread is closing, renaming, unmapping, deleting or ending at the same time; and what they read and write is often a page of a file
 * that has to be brought in first. A round ends after its time, with all that it started; the next one begins anew. What the calls
 * give does not matter: the system must go on.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/sendfile.h>
#include <sys/shm.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define ROUND_MS  400
#define PROCESSES 3
#define THREADS   3
#define FIRST_FD  10
#define FDS       14
#define PAGE      4096ul
#define AREA      ((char *)0x200000000000ul) /* where all map and unmap */
#define AREA_SIZE (16 * PAGE)
#define COLD_SIZE (64 * PAGE)

/* <linux/futex.h> */
enum { FUTEX_WAIT = 0, FUTEX_WAKE = 1, FUTEX_REQUEUE = 3 };

struct generator {
	uint64_t state;
};

/* In memory that all processes share. */
static struct shared {
	volatile int pids[16];
	volatile int shm, sem, msg;
	uint32_t futexes[4];
} *shared;

static _Thread_local char *cold; /* pages of a file that are often not in memory */
static _Thread_local int cold_fd;
static timer_t timers[4];

static uint64_t draw(struct generator *g)
{
	g->state ^= g->state << 13;
	g->state ^= g->state >> 7;
	g->state ^= g->state << 17;
	return g->state >> 8;
}

static unsigned below(struct generator *g, unsigned count)
{
	return (unsigned)(draw(g) % count);
}

static int any_fd(struct generator *g)
{
	return FIRST_FD + (int)below(g, FDS);
}

static const char *any_name(struct generator *g)
{
	static const char *const names[] = {"a",   "b",   "d/a", "d/b", "e/a", "e/b",  "d",    "e",
	                                    "d/f", "e/f", "m/a", "m/d", "m",   "m/d/a", "fifo", "link"};

	return names[below(g, sizeof(names) / sizeof(names[0]))];
}

static const char *any_path(struct generator *g, char out[64])
{
	static const char *const files[] = {"maps",   "cmdline", "environ", "status", "stat",   "fd",     "task", "smaps",
	                                    "limits", "mounts",  "fdinfo",  "io",     "auxv",   "comm",   "exe",  "cwd"};

	switch (below(g, 6)) {
	case 0:
		snprintf(out, 64, "/proc/self/fd/%d", any_fd(g));
		return out;
	case 1:
		snprintf(out, 64, "/proc/%d/%s", shared->pids[below(g, 16)], files[below(g, sizeof(files) / sizeof(files[0]))]);
		return out;
	default:
		return any_name(g);
	}
}

/* Memory for a call: its own, or of a file, which is thrown out of memory now and then, or none. */
static void *place(struct generator *g)
{
	static _Thread_local char own[4 * PAGE];

	switch (below(g, 8)) {
	case 0:
		return own + below(g, 3 * PAGE);
	case 1:
		return AREA + below(g, AREA_SIZE);
	case 2:
		madvise(cold, COLD_SIZE, MADV_DONTNEED);
		posix_fadvise(cold_fd, 0, COLD_SIZE, POSIX_FADV_DONTNEED);
		__attribute__((fallthrough));
	case 3:
	case 4:
		return cold + below(g, COLD_SIZE / 8 - 512) * 8;
	default:
		memset(own, 0, 512);
		return own;
	}
}

/* `size` bytes at a place: those given, if they can be written there. */
static void *put(struct generator *g, const void *data, size_t size)
{
	struct iovec local = {(void *)(uintptr_t)data, size};
	char *at = place(g);
	int ends[2];

	/* through the kernel: the place may be nowhere */
	if (pipe(ends) == 0) {
		if (writev(ends[1], &local, 1) > 0 && read(ends[0], at, size) < 0)
			at = local.iov_base;
		close(ends[0]);
		close(ends[1]);
	}
	/* and away again: the call has to bring it in */
	if (below(g, 2)) {
		msync(cold, COLD_SIZE, MS_SYNC);
		madvise(cold, COLD_SIZE, MADV_DONTNEED);
		posix_fadvise(cold_fd, 0, COLD_SIZE, POSIX_FADV_DONTNEED);
	}
	return at;
}

static void keep(struct generator *g, int fd)
{
	if (fd < 0)
		return;
	dup3(fd, any_fd(g), below(g, 2) ? O_CLOEXEC : 0);
	close(fd);
}

static void keep_both(struct generator *g, const int ends[2])
{
	keep(g, ends[0]);
	keep(g, ends[1]);
}

/* ---- descriptors ---- */

static void new_descriptor(struct generator *g)
{
	char path[64];
	sigset_t set;
	int ends[2];

	switch (below(g, 14)) {
	case 0:
		if (pipe2(ends, O_NONBLOCK) == 0)
			keep_both(g, ends);
		break;
	case 1:
		if (socketpair(AF_UNIX, below(g, 2) ? SOCK_STREAM | SOCK_NONBLOCK : SOCK_DGRAM | SOCK_NONBLOCK, 0, ends) == 0)
			keep_both(g, ends);
		break;
	case 2:
		keep(g, eventfd(below(g, 3), EFD_NONBLOCK));
		break;
	case 3:
		keep(g, timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK));
		break;
	case 4:
		sigemptyset(&set);
		sigaddset(&set, SIGUSR1);
		keep(g, signalfd(-1, &set, SFD_NONBLOCK));
		break;
	case 5:
		keep(g, epoll_create1(0));
		break;
	case 6:
		keep(g, inotify_init1(IN_NONBLOCK));
		break;
	case 7:
		keep(g, memfd_create("tangle", MFD_ALLOW_SEALING));
		break;
	case 8:
		keep(g, (int)syscall(SYS_pidfd_open, shared->pids[below(g, 16)], 0));
		break;
	case 9:
		keep(g, open("/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK));
		break;
	case 10:
		if (ioctl(any_fd(g), TIOCGPTN, &ends[0]) == 0 && snprintf(path, sizeof(path), "/dev/pts/%d", ends[0]) > 0)
			keep(g, open(path, O_RDWR | O_NOCTTY | O_NONBLOCK));
		break;
	default:
		keep(g, open(any_path(g, path), (int[]){O_RDONLY, O_RDWR | O_CREAT, O_RDWR | O_TRUNC, O_PATH, O_RDWR | O_APPEND, O_DIRECTORY}[below(g, 6)] |
		                                        O_NONBLOCK,
		             0666));
	}
}

static void use_descriptor(struct generator *g)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | (below(g, 2) ? EPOLLET : 0)};
	struct itimerspec soon = {{0, 100000}, {0, 1 + below(g, 1000000)}};
	struct { int type, pid; } owner = {1, shared->pids[below(g, 16)]};
	struct flock range = {below(g, 3) ? F_WRLCK : F_UNLCK, SEEK_SET, below(g, 4096), 1 + below(g, 100), 0};
	struct iovec parts[3] = {{place(g), below(g, 9000)}, {place(g), below(g, 100)}, {place(g), below(g, 5000)}};
	struct pollfd polled[4];
	struct termios terminal;
	int fd = any_fd(g), other = any_fd(g);

	for (int i = 0; i < 4; i++)
		polled[i] = (struct pollfd){any_fd(g), POLLIN | POLLOUT | POLLPRI, 0};
	switch (below(g, 36)) {
	case 0:
	case 1:
		read(fd, place(g), below(g, 20000));
		break;
	case 2:
	case 3:
		write(fd, place(g), below(g, 20000));
		break;
	case 4:
		pread(fd, place(g), below(g, 9000), below(g, 20000));
		break;
	case 5:
		pwrite(fd, place(g), below(g, 9000), below(g, 200000));
		break;
	case 6:
		readv(fd, put(g, parts, sizeof(parts)), 3);
		break;
	case 7:
		writev(fd, put(g, parts, sizeof(parts)), 3);
		break;
	case 8:
	case 9:
		close(fd);
		break;
	case 10:
		dup2(fd, other);
		break;
	case 11:
		epoll_ctl(fd, 1 + (int)below(g, 3), other, put(g, &event, sizeof(event)));
		break;
	case 12:
		epoll_wait(fd, place(g), 8, (int)below(g, 3));
		break;
	case 13:
		poll(put(g, polled, sizeof(polled)), 4, (int)below(g, 3));
		break;
	case 14:
		timerfd_settime(fd, 0, put(g, &soon, sizeof(soon)), place(g));
		break;
	case 15:
		fcntl(fd, F_SETOWN_EX, put(g, &owner, sizeof(owner)));
		break;
	case 16:
		fcntl(fd, (int[]){F_SETLK, F_OFD_SETLK, F_GETLK}[below(g, 3)], put(g, &range, sizeof(range)));
		break;
	case 17:
		flock(fd, (int[]){LOCK_SH, LOCK_EX, LOCK_UN}[below(g, 3)] | (below(g, 4) ? LOCK_NB : 0));
		break;
	case 18:
		fcntl(fd, F_SETPIPE_SZ, PAGE << below(g, 5));
		break;
	case 19:
		sendfile(fd, other, below(g, 2) ? NULL : place(g), below(g, 30000));
		break;
	case 20:
		splice(fd, NULL, other, NULL, below(g, 30000), SPLICE_F_NONBLOCK);
		break;
	case 21:
		tee(fd, other, below(g, 30000), SPLICE_F_NONBLOCK);
		break;
	case 22:
		ftruncate(fd, below(g, 100000));
		break;
	case 23:
		fallocate(fd, (int[]){0, 1, 3, 16}[below(g, 4)], below(g, 50000), 1 + below(g, 50000));
		break;
	case 24:
		below(g, 2) ? fsync(fd) : fdatasync(fd);
		break;
	case 25:
		syscall(SYS_getdents64, fd, place(g), 300 + below(g, 1000));
		break;
	case 26:
		lseek(fd, below(g, 10000), (int)below(g, 5));
		break;
	case 27:
		fstat(fd, place(g));
		break;
	case 28:
		fchmod(fd, 0600 + below(g, 0177));
		break;
	case 29:
		inotify_add_watch(fd, any_name(g), IN_ALL_EVENTS);
		break;
	case 30:
		if (tcgetattr(fd, &terminal) == 0) {
			terminal.c_lflag ^= below(g, 2) ? ICANON : ECHO;
			tcsetattr(fd, below(g, 2) ? TCSANOW : TCSADRAIN, put(g, &terminal, sizeof(terminal)));
		}
		break;
	case 31:
		ioctl(fd, (unsigned long[]){FIONREAD, TIOCOUTQ, TIOCGPGRP, TIOCGSID, TIOCGWINSZ, TIOCSWINSZ, TIOCSCTTY, FIOASYNC}[below(g, 8)], place(g));
		break;
	case 32:
		copy_file_range(fd, NULL, other, NULL, below(g, 100000), 0);
		break;
	case 33:
		fcntl(fd, F_ADD_SEALS, 1 << below(g, 5));
		break;
	case 34:
		syscall(SYS_close_range, FIRST_FD, FIRST_FD + below(g, FDS), below(g, 8) ? 4 : 2);
		break;
	default:
		syscall(SYS_pidfd_getfd, fd, any_fd(g), 0);
	}
}

static void pass_descriptor(struct generator *g)
{
	char control[CMSG_SPACE(2 * sizeof(int))] = {0};
	struct iovec part = {place(g), 1 + below(g, 3000)};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof(control)};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	if (below(g, 2)) {
		message.msg_control = place(g);
		message.msg_controllen = 64;
		if (recvmsg(any_fd(g), &message, MSG_DONTWAIT) < 0)
			return;
		return;
	}
	*header = (struct cmsghdr){CMSG_LEN(2 * sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
	((int *)(void *)CMSG_DATA(header))[0] = any_fd(g);
	((int *)(void *)CMSG_DATA(header))[1] = any_fd(g);
	sendmsg(any_fd(g), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* ---- names ---- */

static void use_name(struct generator *g)
{
	const char *name = any_name(g), *other = any_name(g);
	char path[64];

	switch (below(g, 20)) {
	case 0:
	case 1:
		unlink(name);
		break;
	case 2:
		rmdir(name);
		break;
	case 3:
		mkdir(name, 0777);
		break;
	case 4:
	case 5:
		rename(name, other);
		break;
	case 6:
		link(name, other);
		break;
	case 7:
		symlink(other, name);
		break;
	case 8:
		mkfifo(name, 0666);
		break;
	case 9:
		truncate(name, below(g, 50000));
		break;
	case 10:
		chmod(name, 0700 + below(g, 077));
		break;
	case 11:
		stat(any_path(g, path), place(g));
		break;
	case 12:
		utimensat(AT_FDCWD, name, NULL, 0);
		break;
	case 13:
		syscall(SYS_renameat2, AT_FDCWD, name, AT_FDCWD, other, 2); /* exchange */
		break;
	case 14:
		readlink(any_path(g, path), place(g), 200);
		break;
	case 15:
		chdir(name);
		chdir("/tmp/tangle");
		break;
	case 16:
		mount("tmpfs", "m", "tmpfs", 0, NULL);
		break;
	case 17:
		mount(name, other, NULL, MS_BIND, NULL);
		break;
	case 18:
		umount2(name, below(g, 2) ? MNT_DETACH : 0);
		break;
	default:
		if (below(g, 20) == 0)
			sync();
		access(any_path(g, path), R_OK);
	}
}

/* ---- memory ---- */

static void use_memory(struct generator *g)
{
	char *at = AREA + below(g, 12) * PAGE, *to = AREA + below(g, 12) * PAGE;
	size_t size = (1 + below(g, 4)) * PAGE;
	int prot = (int)below(g, 4), fd = any_fd(g);

	switch (below(g, 16)) {
	case 0:
		mmap(at, size, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
		break;
	case 1:
		mmap(at, size, prot, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
		break;
	case 2:
	case 3:
		mmap(at, size, prot, (below(g, 2) ? MAP_PRIVATE : MAP_SHARED) | MAP_FIXED, fd, below(g, 8) * PAGE);
		break;
	case 4:
		munmap(at, size);
		break;
	case 5:
		mprotect(at, size, prot);
		break;
	case 6:
		mremap(at, size, (1 + below(g, 4)) * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, to);
		break;
	case 7:
		madvise(at, size, (int[]){MADV_DONTNEED, MADV_FREE, MADV_REMOVE, MADV_WILLNEED, 22, 23}[below(g, 6)]);
		break;
	case 8:
		msync(at, size, MS_SYNC);
		break;
	case 9:
		mlock(at, size);
		munlock(to, size);
		break;
	case 10:
		mincore(at, size, place(g));
		break;
	case 11:
		shmat(shared->shm, at, SHM_REMAP);
		break;
	case 12:
		shmdt(at);
		break;
	case 13:
		mmap(at, size, prot, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_POPULATE, -1, 0);
		break;
	default:
		read(fd, at, size);
	}
}

/* ---- System V, timers, futexes ---- */

static void use_ipc(struct generator *g)
{
	struct sembuf operation = {(unsigned short)below(g, 2), (short)((int)below(g, 3) - 1), IPC_NOWAIT | SEM_UNDO};
	struct timespec moment = {0, 1 + below(g, 2000000)};
	uint32_t *word = &shared->futexes[below(g, 4)], *other = &shared->futexes[below(g, 4)];
	struct itimerspec often = {{0, 300000}, {0, 1 + below(g, 1000000)}};
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
	timer_t *timer = &timers[below(g, 4)];
	struct rlimit64 limit = {1000, 1000};

	switch (below(g, 20)) {
	case 0:
		shared->shm = shmget(IPC_PRIVATE, 1 + below(g, 4 * PAGE), 0600);
		break;
	case 1:
		shmctl(shared->shm, IPC_RMID, NULL);
		break;
	case 2:
		shmctl(shared->shm, (int[]){IPC_SET, IPC_STAT}[below(g, 2)], place(g));
		break;
	case 3:
		shared->sem = semget(IPC_PRIVATE, 2, 0600);
		break;
	case 4:
		semctl(shared->sem, 0, IPC_RMID);
		break;
	case 5:
		semtimedop(shared->sem, put(g, &operation, sizeof(operation)), 1, put(g, &moment, sizeof(moment)));
		break;
	case 6:
		semctl(shared->sem, 0, (int[]){IPC_SET, IPC_STAT, 13 /* GETALL */, 17 /* SETALL */}[below(g, 4)], place(g));
		break;
	case 7:
		shared->msg = msgget(IPC_PRIVATE, 0600);
		break;
	case 8:
		msgctl(shared->msg, (int[]){IPC_RMID, IPC_SET, IPC_STAT}[below(g, 3)], place(g));
		break;
	case 9:
		msgsnd(shared->msg, put(g, (long[]){1, 2}, 16), 8, IPC_NOWAIT);
		break;
	case 10:
		msgrcv(shared->msg, place(g), 100, 0, IPC_NOWAIT);
		break;
	case 11:
		syscall(SYS_futex, word, FUTEX_WAIT, 0, put(g, &moment, sizeof(moment)), NULL, 0);
		break;
	case 12:
		syscall(SYS_futex, word, FUTEX_WAKE, 1 + below(g, 3), NULL, NULL, 0);
		break;
	case 13:
		syscall(SYS_futex, word, FUTEX_REQUEUE, below(g, 2), (long)(below(g, 2) ? 1 : 0x7fffffff), other, 0);
		break;
	case 14:
		syscall(SYS_timer_create, CLOCK_MONOTONIC, put(g, &event, sizeof(event)), timer);
		break;
	case 15:
		syscall(SYS_timer_settime, *(int *)timer, 0, put(g, &often, sizeof(often)), place(g));
		break;
	case 16:
		syscall(SYS_timer_delete, *(int *)timer);
		break;
	case 17:
		syscall(SYS_prlimit64, shared->pids[below(g, 16)], (int[]){RLIMIT_NOFILE, RLIMIT_CORE, RLIMIT_NPROC, RLIMIT_MEMLOCK}[below(g, 4)],
		        below(g, 8) ? NULL : put(g, &limit, sizeof(limit)), place(g));
		break;
	case 18:
		syscall(SYS_get_robust_list, below(g, 2) ? 0 : shared->pids[below(g, 16)], place(g), place(g));
		break;
	default:
		nanosleep(put(g, &moment, sizeof(moment)), place(g));
	}
}

/* ---- processes ---- */

static void *short_thread(void *argument)
{
	getppid();
	return argument;
}

/* What fork has made: the child plays for a moment, its parent lets others know of it. */
static void play_child(struct generator *g, long pid, int slot)
{
	if (pid == 0) {
		for (unsigned i = below(g, 20); i > 0; i--)
			use_descriptor(g);
		_exit(0);
	}
	if (pid > 0)
		shared->pids[slot] = (int)pid;
}

static void use_process(struct generator *g)
{
	pthread_attr_t attributes;
	pthread_t thread;
	int slot = (int)below(g, 12) + PROCESSES, pidfd;
	long pid;

	switch (below(g, 9)) {
	case 0:
	case 1:
		pid = fork();
		play_child(g, pid, slot);
		break;
	case 2:
		pid = syscall(SYS_clone, CLONE_FILES | (below(g, 2) ? CLONE_PARENT : 0) | CLONE_PIDFD | SIGCHLD, 0, put(g, &slot, 4), 0, 0);
		play_child(g, pid, slot);
		break;
	case 3:
		if (shared->pids[slot] > 1)
			kill(shared->pids[slot], (int[]){SIGKILL, SIGUSR1, SIGSTOP, SIGCONT, SIGTERM}[below(g, 5)]);
		break;
	case 4:
		waitpid(-1, place(g), WNOHANG);
		break;
	case 5:
		syscall(SYS_waitid, P_ALL, 0, place(g), WNOHANG | WEXITED, place(g));
		break;
	case 6:
		pthread_attr_init(&attributes);
		pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
		pthread_create(&thread, &attributes, short_thread, NULL);
		break;
	case 7:
		pid = vfork();
		if (pid == 0) {
			execl("/bin/true", "true", NULL);
			_exit(1);
		}
		break;
	default:
		pidfd = (int)syscall(SYS_pidfd_open, shared->pids[slot], 0);
		syscall(SYS_pidfd_send_signal, pidfd, SIGUSR1, NULL, 0);
		close(pidfd);
	}
}

static void nothing(int signal)
{
	(void)signal;
}

static void begin_cold(uint64_t seed)
{
	char name[64];

	snprintf(name, sizeof(name), "cold-%lu", seed % 16);
	cold_fd = fcntl(open(name, O_RDWR | O_CREAT, 0600), F_DUPFD, 200);
	if (cold_fd < 0 || ftruncate(cold_fd, COLD_SIZE))
		_exit(1);
	cold = mmap(NULL, COLD_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, cold_fd, 0);
	if (cold == MAP_FAILED)
		_exit(1);
}

static void *caller(void *argument)
{
	struct generator g = {(uint64_t)(uintptr_t)argument};

	begin_cold(g.state);
	for (;;) {
		switch (below(&g, 16)) {
		case 0:
		case 1:
			new_descriptor(&g);
			break;
		case 2:
		case 3:
			use_name(&g);
			break;
		case 4:
		case 5:
			use_memory(&g);
			break;
		case 6:
		case 7:
			use_ipc(&g);
			break;
		case 8:
			use_process(&g);
			break;
		case 9:
			pass_descriptor(&g);
			break;
		default:
			use_descriptor(&g);
		}
	}
	return NULL;
}

static void play(uint64_t seed)
{
	struct itimerval often = {{0, 5000}, {0, 5000}};
	struct sigaction action = {.sa_handler = nothing};
	pthread_t thread;

	sigaction(SIGALRM, &action, NULL); /* what waits does not wait for long */
	sigaction(SIGUSR1, &action, NULL);
	sigaction(SIGIO, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
	setitimer(ITIMER_REAL, &often, NULL);
	for (uintptr_t i = 1; i < THREADS; i++)
		pthread_create(&thread, NULL, caller, (void *)((seed * 0x9e3779b97f4a7c15ul + i * 0xbf58476d1ce4e5b9ul) | 1));
	caller((void *)((seed * 0x9e3779b97f4a7c15ul) | 1));
}

/* All that the round started is our child now or when its parent has ended. */
static void kill_children(void)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;

	while (proc && (entry = readdir(proc))) {
		char path[300];
		FILE *file;
		int pid, parent;

		snprintf(path, sizeof(path), "/proc/%s/stat", entry->d_name);
		if (atoi(entry->d_name) <= 1 || !(file = fopen(path, "r")))
			continue;
		if (fscanf(file, "%d (%*[^)]) %*c %d", &pid, &parent) == 2 && parent == getpid())
			kill(pid, SIGKILL);
		fclose(file);
	}
	if (proc)
		closedir(proc);
}

static void end_round(void)
{
	pid_t ended;

	do {
		kill_children();
		while ((ended = waitpid(-1, NULL, WNOHANG)) > 0)
			;
		usleep(1000);
	} while (ended == 0);
}

static void one_round(uint64_t seed)
{
	memset((void *)(uintptr_t)shared, 0, sizeof(*shared));
	for (unsigned i = 0; i < PROCESSES; i++) {
		pid_t pid = fork();

		if (pid == 0)
			play(seed * PROCESSES + i);
		shared->pids[i] = pid;
	}
	usleep(ROUND_MS * 1000);
	end_round();
	if (shared->shm > 0)
		shmctl(shared->shm, IPC_RMID, NULL);
	if (shared->sem > 0)
		semctl(shared->sem, 0, IPC_RMID);
	if (shared->msg > 0)
		msgctl(shared->msg, IPC_RMID, NULL);
	for (int i = 0; i < 100 && (umount2("m", MNT_DETACH) == 0 || umount2("d", MNT_DETACH) == 0 || umount2("e", MNT_DETACH) == 0); i++)
		;
}

int main(int argc, char **argv)
{
	uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 1;
	int rounds = argc > 2 ? atoi(argv[2]) : 10;

	prctl(PR_SET_CHILD_SUBREAPER, 1);
	shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	mkdir("/tmp/tangle", 0777);
	if (chdir("/tmp/tangle") || shared == MAP_FAILED)
		return 2;
	mkdir("m", 0777);
	for (int round = 0; round < rounds; round++) {
		mkdir("d", 0777);
		mkdir("e", 0777);
		one_round(seed + (uint64_t)round);
	}
	printf("%d rounds\n", rounds);
	return 0;
}
