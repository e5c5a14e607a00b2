/* SPDX-License-Identifier: MIT */
/* Corners of system calls that programs rarely come to. */
#include "check.h"
#include <grp.h>
#include <pty.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>

#define PAGE 4096l

static char *map(long pages, int prot, int flags, int fd)
{
	return mmap(NULL, (size_t)(pages * PAGE), prot, flags, fd, 0);
}

static void memory(void)
{
	int child_status;
	char *hole = map(512, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
	munmap(hole, 512 * PAGE);
	char *grows = mmap(hole + 500 * PAGE, 4 * PAGE, PROT_READ | PROT_WRITE,
	                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_FIXED, -1, 0);
	printf("a region that grows: %d\n", grows == hole + 500 * PAGE);
	if (fork() == 0) {
		for (long page = 1; page <= 20; page++)
			grows[-page * PAGE] = 1;
		_exit(7);
	}
	wait(&child_status);
	printf("it grows: status %x\n", (unsigned)child_status);
	SHOW(mmap(NULL, PAGE, PROT_READ, MAP_SHARED | MAP_ANONYMOUS | MAP_GROWSDOWN, -1, 0) == MAP_FAILED
	             ? -1
	             : 0);

	char *data = map(4, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	memset(data, 'd', 4 * PAGE);
	if (fork() == 0) {
		struct rlimit limit = {2 * PAGE, 2 * PAGE};
		setrlimit(RLIMIT_MEMLOCK, &limit);
		if (geteuid() == 0)
			printf("setuid: %d\n", setuid(65534));
		printf("mlock: %d", mlock(data, 2 * PAGE));
		printf(" %d", mlock(data, 2 * PAGE));
		printf(" %d", mlock(data + PAGE, 2 * PAGE));
		printf(" %d\n", mlock(data + PAGE, PAGE));
		SHOW(madvise(data, PAGE, MADV_DONTNEED));
		SHOW(madvise(data, PAGE, MADV_FREE));
		SHOW(madvise(data, 3 * PAGE, MADV_DONTNEED));
		SHOW(madvise(data + 2 * PAGE, PAGE, MADV_DONTNEED));
		printf("%c %d\n", data[0], data[2 * PAGE]);
		_exit(0);
	}
	wait(&child_status);
	SHOW(madvise(data, (size_t)-1, MADV_NORMAL));
	SHOW(madvise(data, PAGE, MADV_REMOVE));
	mprotect(data, PAGE, PROT_READ);
	SHOW(madvise(data, 2 * PAGE, 23)); /* POPULATE_WRITE */
	SHOW(madvise(data, 2 * PAGE, 22)); /* POPULATE_READ */
	mprotect(data, PAGE, PROT_NONE);
	SHOW(madvise(data, 2 * PAGE, 22));

	int fd = (int)syscall(SYS_memfd_create, "file", 0);
	(void)!ftruncate(fd, 3 * PAGE);
	char *file = map(3, PROT_READ | PROT_WRITE, MAP_SHARED, fd);
	memset(file, 'f', 3 * PAGE);
	SHOW(madvise(file + PAGE, PAGE, MADV_REMOVE));
	printf("%c %d %c\n", file[0], file[PAGE], file[2 * PAGE]);
}

static char *growing(char *at, long pages)
{
	return mmap(at, (size_t)(pages * PAGE), PROT_READ | PROT_WRITE,
	            MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_FIXED, -1, 0);
}

static char *touched;

static void touch(void)
{
	*touched = 1;
}

static void show_touch(const char *what, char *at)
{
	touched = at;
	show_child(what, touch);
}

/* What regions that grow keep away from, and what is left of them. */
static void neighbours(void)
{
	char *room = map(2000, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1);
	munmap(room, 2000 * PAGE);
	growing(room + 1000 * PAGE, 4);
	mmap(room + 900 * PAGE, 50 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	show_touch("down to what nobody can use", room + 950 * PAGE);
	show_touch("into it", room + 949 * PAGE);
	SHOW(mprotect(room + 900 * PAGE, PAGE * 50, PROT_READ));
	show_touch("down to what can be read", room + 950 * PAGE);
	munmap(room + 900 * PAGE, 50 * PAGE);
	growing(room + 940 * PAGE, 4);
	show_touch("down to another that grows", room + 944 * PAGE);
	munmap(room + 940 * PAGE, 4 * PAGE);
	SHOW(mprotect(room + 1002 * PAGE, PAGE, PROT_READ | PROT_GROWSDOWN));
	show_touch("to its beginning", room + 1000 * PAGE);
	SHOW(mprotect(room + 1002 * PAGE, PAGE, PROT_READ | PROT_WRITE | PROT_GROWSDOWN));
	show_touch("and again", room + 1000 * PAGE);
	SHOW(mprotect(room + 1002 * PAGE, PAGE, PROT_READ | PROT_GROWSUP));
	SHOW(mprotect(room + 1002 * PAGE, PAGE, PROT_READ | PROT_GROWSUP | PROT_GROWSDOWN));
	SHOW(mprotect(room + 1100 * PAGE, PAGE, PROT_READ | PROT_GROWSDOWN));
	SHOW(mprotect(room + 1002 * PAGE, PAGE, PROT_GROWSDOWN | 0x100));
	munmap(room + 1001 * PAGE, PAGE);
	show_touch("the part below", room + 999 * PAGE);
	show_touch("the part above", room + 1001 * PAGE);
	growing((char *)0x20000, 1);
	show_touch("down to where nobody may map", (char *)0x11000);
	int fd = (int)syscall(SYS_memfd_create, "file", 0);
	SHOW(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_GROWSDOWN, fd, 0) == MAP_FAILED ? -1 : 0);
	close(fd);
}

static void show_pages(const char *pages)
{
	for (int i = 0; i < 4; i++)
		printf(" %d", pages[i * PAGE]);
	printf("\n");
}

static void removed(void)
{
	int status, id = shmget(IPC_PRIVATE, 4 * PAGE, IPC_CREAT | 0600);
	char *shared[2] = {map(4, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1),
	                   shmat(id, NULL, 0)};
	for (int kind = 0; kind < 2; kind++) {
		char *pages = shared[kind];
		memset(pages, 7, 4 * PAGE);
		if (fork() == 0) {
			show_pages(pages);
			SHOW(madvise(pages + PAGE, 2 * PAGE, MADV_REMOVE));
			pages[2 * PAGE] = 9;
			_exit(0);
		}
		wait(&status);
		show_pages(pages);
		SHOW(mlock(pages, PAGE));
		SHOW(madvise(pages, 2 * PAGE, MADV_REMOVE));
		SHOW(munlock(pages, PAGE));
		mprotect(pages, PAGE, PROT_READ);
		SHOW(madvise(pages, PAGE, MADV_REMOVE));
	}
	shmctl(id, IPC_RMID, NULL);
}

/* Of a file that was written and never touched through the mapping, with a hole behind it. */
static void in_the_page_cache(void)
{
	unsigned char resident[4];
	static char page[PAGE];
	int fd = open("cached", O_CREAT | O_RDWR, 0600);
	SHOW(write(fd, page, PAGE));
	SHOW(ftruncate(fd, 1000 * PAGE));
	char *mapped = map(1000, PROT_READ, MAP_SHARED, fd);
	SHOW(mincore(mapped, PAGE, resident));
	printf("written: %d", resident[0] & 1);
	mincore(mapped + 900 * PAGE, PAGE, resident);
	printf(", hole: %d\n", resident[0] & 1);
	munmap(mapped, 1000 * PAGE);
	close(fd);
	unlink("cached");
}

static void clones(void)
{
	int status;
	pid_t silent = (pid_t)syscall(SYS_clone, 0, 0, 0, 0, 0);
	if (silent == 0)
		_exit(3);
	pid_t child = fork();
	if (child == 0)
		_exit(4);
	printf("without a word of clones: %d", waitpid(-1, &status, 0) == child);
	printf(" %x\n", (unsigned)status);
	SHOW(waitpid(silent, &status, 0));
	SHOW(waitpid(-1, &status, WNOHANG));
	printf("with __WCLONE: %d", waitpid(-1, &status, (int)__WCLONE) == silent);
	printf(" %x\n", (unsigned)status);
	silent = (pid_t)syscall(SYS_clone, SIGUSR2 * 0, 0, 0, 0, 0);
	if (silent == 0)
		_exit(5);
	printf("with __WALL: %d", waitpid(-1, &status, __WALL) == silent);
	printf(" %x\n", (unsigned)status);
}

static void many_groups(void)
{
	enum { COUNT = 65536 };
	static gid_t groups[COUNT + 1];
	struct stat status;
	if (geteuid() != 0)
		return;
	SHOW(mkdir("of a group", 0070));
	SHOW(chown("of a group", 0, 70000));
	for (unsigned i = 0; i < COUNT; i++)
		groups[i] = 100000 - i;
	SHOW(syscall(SYS_setgroups, COUNT + 1, groups));
	SHOW(syscall(SYS_setgroups, -1, groups));
	SHOW(syscall(SYS_setgroups, COUNT, groups));
	SHOW(syscall(SYS_setgroups, 2, 8));
	SHOW(syscall(SYS_setgroups, 1, &(gid_t){-1}));
	SHOW(getgroups(COUNT - 1, groups));
	SHOW(getgroups(0, NULL));
	if (fork() == 0) {
		SHOW(getgroups(COUNT + 1, groups));
		printf("%u %u\n", groups[0], groups[COUNT - 1]);
		SHOW(setuid(1000));
		SHOW(stat("of a group/.", &status));
		fflush(stdout);
		_exit(0);
	}
	wait(NULL);
	SHOW(setgroups(33, groups));
	SHOW(getgroups(COUNT, groups));
	if (fork() == 0) {
		SHOW(setuid(1000));
		SHOW(stat("of a group/.", &status));
		fflush(stdout);
		_exit(0);
	}
	wait(NULL);
	SHOW(setgroups(0, NULL));
	SHOW(getgroups(0, NULL));
	SHOW(rmdir("of a group"));
}

static void processes(void)
{
	struct {
		void *handler;
		unsigned long flags;
		void *restorer;
		unsigned long mask;
	} action = {SIG_IGN, 0x12345678 | 0x400, NULL, 0};
	syscall(SYS_rt_sigaction, SIGUSR1, &action, NULL, 8);
	syscall(SYS_rt_sigaction, SIGUSR1, NULL, &action, 8);
	printf("flags of an action: %lx\n", action.flags);

	gid_t groups[4] = {44, 9, 30, 9};
	if (geteuid() == 0) {
		SHOW(setgroups(4, groups));
		SHOW(getgroups(4, groups));
		printf("%u %u %u %u\n", groups[0], groups[1], groups[2], groups[3]);
	}
	many_groups();
	struct utsname name;
	SHOW(personality(PER_LINUX32));
	uname(&name);
	printf("machine: %s\n", name.machine);
	SHOW(personality(PER_LINUX));
	SHOW(prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0));
	SHOW(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0));
	SHOW(prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0));
	SHOW(prctl(PR_GET_THP_DISABLE, 1, 0, 0, 0));
	SHOW(prctl(PR_MCE_KILL_GET, 0, 0, 0, 0));
	enum { PRIVATE = 8, REGISTER = 16 };
	SHOW(syscall(SYS_membarrier, PRIVATE, 0));
	SHOW(syscall(SYS_membarrier, REGISTER, 0));
	SHOW(syscall(SYS_membarrier, PRIVATE, 0));
	SHOW(syscall(SYS_membarrier, PRIVATE | REGISTER, 0));
	SHOW(syscall(SYS_membarrier, 1, 0));
}

static void files(void)
{
	char byte = 0;
	int fd = open("neither", O_CREAT | 3, 0600);
	SHOW(write(fd, "x", 1));
	SHOW(read(fd, &byte, 1));
	SHOW(fcntl(fd, F_GETFL) & O_ACCMODE);
	SHOW(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0) == MAP_FAILED ? -1 : 0);
	SHOW(flock(fd, LOCK_SH));
	SHOW(flock(fd, LOCK_UN));
	unlink("neither");
	SHOW(mkfifo("neither", 0600));
	SHOW(open("neither", 3) < 0 ? -1 : 0);
	unlink("neither");
}

/* Without a free number nothing is done. */
static void no_number(void)
{
	struct rlimit old, none = {0};
	struct stat status;
	int fd = open("kept", O_CREAT | O_WRONLY, 0600);
	SHOW(write(fd, "text", 4));
	close(fd);
	getrlimit(RLIMIT_NOFILE, &old);
	none.rlim_max = old.rlim_max;
	SHOW(setrlimit(RLIMIT_NOFILE, &none));
	SHOW(open("kept", O_WRONLY | O_TRUNC));
	SHOW(open("never", O_CREAT | O_EXCL, 0600));
	SHOW(open("nowhere", O_RDONLY));
	SHOW(setrlimit(RLIMIT_NOFILE, &old));
	SHOW(stat("kept", &status));
	SHOW(status.st_size);
	SHOW(stat("never", &status));
	unlink("kept");
}

static void opened(void)
{
	enum { PATH = 010000000, DIRECTORY = 0200000, NOFOLLOW = 0400000 };
	SHOW(symlink(".", "link"));
	SHOW(open("link", PATH | DIRECTORY | NOFOLLOW));
	SHOW(open("link", O_RDONLY | DIRECTORY | NOFOLLOW));
	SHOW(open("link", O_RDONLY | NOFOLLOW));
	unlink("link");
	int zero = open("/dev/zero", O_RDWR);
	char *private = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, zero, 0);
	char *shared = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, zero, 0);
	TELL(private != MAP_FAILED && shared != MAP_FAILED && private[PAGE] == 0 && shared[5] == 0);
	if (fork() == 0) {
		private[5] = shared[5] = 'c';
		_exit(0);
	}
	wait(NULL);
	printf("%d %c\n", private[5], shared[5]);
	close(zero);
	zero = open("/dev/zero", O_RDONLY);
	SHOW(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, zero, 0) == MAP_FAILED ? -1 : 0);
	close(zero);
	/* a copy within a file ends where the file does */
	int fd = open("copied", O_CREAT | O_RDWR, 0600);
	int64_t from = 0, to = 4;
	SHOW(write(fd, "text", 4));
	SHOW(syscall(SYS_copy_file_range, fd, &from, fd, &to, 1l << 40, 0));
	SHOW(syscall(SYS_copy_file_range, fd, &to, fd, &from, 1l << 40, 0));
	close(fd);
	unlink("copied");
	/* what a timer cannot reach */
	struct itimerspec never = {.it_value = {INT64_MAX, 0}};
	int timer = (int)syscall(SYS_timerfd_create, CLOCK_REALTIME, 0);
	SHOW(syscall(SYS_timerfd_settime, timer, 3, &never, NULL));
	SHOW(syscall(SYS_timerfd_settime, timer, 0, &never, NULL));
	close(timer);
}

/* Nobody makes programs of a group that he is not in. */
static void of_the_folder(void)
{
	struct stat status;
	if (geteuid() != 0 || mkdir("group", 0777) != 0)
		return;
	SHOW(chown("group", 0, 44));
	SHOW(chmod("group", 02777));
	if (fork() == 0) {
		umask(0);
		SHOW(setgroups(0, NULL));
		SHOW(setgid(1000));
		SHOW(setuid(1000));
		SHOW(close(open("group/program", O_CREAT | O_RDWR, 02777)));
		SHOW(close(open("group/data", O_CREAT | O_RDWR, 02767)));
		_exit(0);
	}
	wait(NULL);
	stat("group/program", &status);
	printf("%o %u\n", status.st_mode, status.st_gid);
	stat("group/data", &status);
	printf("%o %u\n", status.st_mode, status.st_gid);
	unlink("group/program");
	unlink("group/data");
	rmdir("group");
}

/* Pipes and sockets have owners, modes and times, too. */
static void attributes(void)
{
	struct stat stat;
	const struct timespec times[2] = {{1000, 0}, {2000, 0}};
	int ends[4];
	if (pipe(ends) != 0 || socketpair(AF_UNIX, SOCK_STREAM, 0, ends + 2) != 0)
		return;
	for (int i = 0; i < 4; i += 2) {
		SHOW(fchmod(ends[i], 0640));
		SHOW(fchown(ends[i], getuid(), getgid()));
		SHOW(futimens(ends[i], times));
		SHOW(fstat(ends[i], &stat));
		printf("%o %ld %ld\n", stat.st_mode, (long)stat.st_atime, (long)stat.st_mtime);
		SHOW(fstat(ends[i + 1], &stat));
		printf("%o\n", stat.st_mode);
	}
	for (int i = 0; i < 4; i++)
		close(ends[i]);
}

/* What /proc says of a descriptor besides what it says of all. */
static void show_information(int fd)
{
	char path[64], line[256];
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	FILE *file = fopen(path, "r");
	while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
		char *numbers, *device = strstr(line, "ino:");
		if (strncmp(line, "pos:", 4) == 0 || strncmp(line, "flags:", 6) == 0 ||
		    strncmp(line, "mnt_id:", 7) == 0 || strncmp(line, "ino:", 4) == 0 ||
		    strncmp(line, "eventfd-id", 10) == 0 || strncmp(line, "eventfd-sem", 11) == 0)
			continue;
		if (strstr(line, "id:") != NULL)
			strcpy(strchr(line, ':'),
			       atoi(strchr(line, ':') + 1) == getpid() ? " mine\n" : " other\n");
		if (device != NULL)
			memmove(device, strstr(line, "mask:"), strlen(strstr(line, "mask:")) + 1);
		numbers = strstr(line, " fhandle");
		if (numbers != NULL)
			strcpy(numbers, "\n");
		fputs(line, stdout);
	}
	if (file != NULL)
		fclose(file);
}

static void descriptors(void)
{
	enum { PIDFD_OPEN = 434, PIDFD_GETFD = 438 };
	int status, ends[2], events = eventfd(77, 0), watches = inotify_init();
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGRTMAX);
	inotify_add_watch(watches, ".", IN_CREATE | IN_DELETE);
	inotify_add_watch(watches, "/", IN_ATTRIB | IN_ONESHOT);
	int pidfd = (int)syscall(PIDFD_OPEN, getpid(), 0);
	show_information(events);
	show_information(watches);
	show_information(signalfd(-1, &set, 0));
	show_information(pidfd);
	(void)!pipe(ends);
	pid_t child = fork();
	if (child == 0) {
		dup2(events, 100);
		(void)!write(ends[1], "x", 1);
		pause();
	}
	char byte;
	(void)!read(ends[0], &byte, 1);
	int other = (int)syscall(PIDFD_OPEN, child, 0);
	int copy = (int)syscall(PIDFD_GETFD, other, 100, 0);
	printf("another's descriptor: %d, close on exec %d\n", copy >= 0, fcntl(copy, F_GETFD));
	show_information(copy);
	SHOW(syscall(PIDFD_GETFD, other, 101, 0));
	SHOW(syscall(PIDFD_GETFD, other, -1, 0));
	SHOW(syscall(PIDFD_GETFD, other, 100, 1));
	SHOW(syscall(PIDFD_GETFD, events, 100, 0));
	SHOW(syscall(PIDFD_GETFD, 999, 100, 0));
	kill(child, SIGKILL);
	waitpid(child, &status, 0);
	SHOW(syscall(PIDFD_GETFD, other, 100, 0));
	show_information(other);
	if (fork() == 0) {
		if (geteuid() == 0)
			(void)!setuid(65534);
		other = (int)syscall(PIDFD_OPEN, 1, 0);
		SHOW(syscall(PIDFD_GETFD, other, 0, 0));
		_exit(0);
	}
	wait(&status);
}

/* What a program is called that came by a descriptor only. */
static void program_of_memory(void)
{
	static char *const arguments[] = {"arguments", "called", NULL}, *const environment[] = {NULL};
	char data[4096];
	int status, from = open("/proc/self/exe", O_RDONLY);
	int fd = (int)syscall(SYS_memfd_create, "in-memory", 0),
	    script = open("script.sh", O_CREAT | O_RDWR, 0700);
	for (ssize_t length; (length = read(from, data, sizeof(data))) > 0;)
		(void)!write(fd, data, (size_t)length);
	(void)!write(script, "#!/bin/sh\ncat /proc/$$/comm\n", 29);
	close(script);
	script = open("script.sh", O_RDONLY);
	for (int kind = 0; kind < 3; kind++) {
		if (fork() == 0) {
			syscall(SYS_execveat,
			        kind == 0   ? fd
			        : kind == 1 ? script
			                    : AT_FDCWD,
			        kind < 2 ? "" : "script.sh", arguments, environment,
			        kind < 2 ? AT_EMPTY_PATH : 0);
			_exit(1);
		}
		wait(&status);
		printf("status %x\n", (unsigned)status);
	}
	unlink("script.sh");
}

static void called(void)
{
	char name[16];
	prctl(PR_GET_NAME, name);
	printf("called %s\n", name);
}

/* Locks of ranges belong to the table of descriptors, which two processes share here. */
static int locked_file;

static int with_the_table(void *what)
{
	struct flock range = {.l_type = F_WRLCK, .l_len = 10};
	int again;
	switch (*(const char *)what) {
	case 'l':
		return fcntl(locked_file, F_SETLK, &range) != 0;
	case 'o':
		again = open("shared", O_RDWR);
		return close(again) != 0;
	default:
		return close(locked_file) != 0;
	}
}

static void show_lock(const char *when)
{
	int fd = open("shared", O_RDWR);
	struct flock range = {.l_type = F_WRLCK, .l_len = 10};
	printf("%s: %d", when, fcntl(fd, F_OFD_GETLK, &range));
	printf(" %s\n", range.l_type == F_UNLCK ? "free" : "locked");
	/* not closed: that would take the table's own locks away */
}

static void clone_with_table(const char *what)
{
	static char stack[65536] __attribute__((aligned(16)));
	int status;
	pid_t pid =
	        clone(with_the_table, stack + sizeof(stack), CLONE_FILES | SIGCHLD, (void *)(uintptr_t)what);
	waitpid(pid, &status, 0);
	printf("%s: status %x\n", what, (unsigned)status);
}

static void shared_tables(void)
{
	int status;
	locked_file = open("shared", O_CREAT | O_RDWR, 0600);
	for (int round = 0; round < 3; round++) {
		clone_with_table("lock");
		show_lock("its process has ended");
		clone_with_table("open and close");
		show_lock("another process closed one");
		clone_with_table("lock");
		if (fork() == 0)
			_exit(0);
		wait(&status);
		show_lock("a copy of the table is gone");
	}
	clone_with_table("close");
	show_lock("all closed");
	unlink("shared");
	locked_file = open("shared", O_CREAT | O_RDWR, 0600);
	clone_with_table("lock");
	if (fork() == 0) {
		with_the_table((void *)(uintptr_t) "o");
		_exit(0);
	}
	wait(&status);
	show_lock("a copy closed its own");
	unlink("shared");
}

static void show_modes(int fd)
{
	struct termios modes;
	tcgetattr(fd, &modes);
	printf("modes: %o %o %o %o\n", modes.c_iflag, modes.c_oflag, modes.c_cflag, modes.c_lflag);
}

static void in_a_session(const char *name)
{
	setsid();
	int fd = open(name, O_RDWR);
	printf("tcgetpgrp: %d", tcgetpgrp(fd) == getpgrp());
	signal(SIGHUP, SIG_IGN);
	printf(", TIOCNOTTY: %d\n", ioctl(fd, TIOCNOTTY));
	SHOW(tcgetpgrp(fd));
	SHOW(write(fd, "still", 5));
	_exit(0);
}

static void terminals(void)
{
	int master, slave, value = 5, status;
	char text[16], name[64];
	struct termios modes;
	struct {
		unsigned short input, output, control, local;
		unsigned char discipline, characters[8];
	} shorts;
	openpty(&master, &slave, name, NULL, NULL);
	SHOW(read(master, text, 0));
	SHOW(read(slave, text, 0));
	SHOW(ioctl(slave, TIOCSETD, &value));
	value = 0;
	SHOW(ioctl(slave, TIOCSETD, &value));
	SHOW(ioctl(slave, 0x80045440, &value)); /* TIOCGEXCL */
	printf("exclusive: %d\n", value);
	SHOW(ioctl(slave, TIOCEXCL));
	SHOW(ioctl(slave, 0x80045440, &value));
	printf("exclusive: %d\n", value);
	if (fork() == 0) {
		if (geteuid() == 0)
			(void)!setuid(65534);
		errno = 0;
		printf("another open: %d\n", open(name, O_RDWR | O_NOCTTY) < 0);
		_exit(0);
	}
	wait(&status);
	value = 5;
	SHOW(ioctl(master, 0x80045440, &value));
	printf("the master: %d\n", value);
	close(slave);
	if (fork() == 0) {
		if (geteuid() == 0)
			(void)!setuid(65534);
		printf("opened when it was closed: %d\n", open(name, O_RDWR | O_NOCTTY) < 0);
		_exit(0);
	}
	wait(&status);
	slave = open(name, O_RDWR | O_NOCTTY);
	SHOW(ioctl(slave, TIOCNXCL));
	SHOW(ioctl(slave, TIOCGSOFTCAR, &value));
	value = 1;
	SHOW(ioctl(slave, TIOCSSOFTCAR, &value));
	SHOW(ioctl(slave, TCGETA, &shorts));
	printf("short modes: %o %o %o %o, %d %d\n", shorts.input, shorts.output, shorts.control, shorts.local,
	       shorts.characters[0], shorts.characters[2]);
	shorts.local &= (unsigned short)~ECHO;
	shorts.characters[0] = 7;
	SHOW(ioctl(slave, TCSETAF, &shorts));
	show_modes(slave);
	tcgetattr(slave, &modes);
	modes.c_cflag = (modes.c_cflag & ~(tcflag_t)(CSIZE | CREAD)) | CS5 | PARENB;
	modes.c_iflag |= PARMRK;
	modes.c_lflag &= ~(tcflag_t)ICANON;
	tcsetattr(slave, TCSANOW, &modes);
	show_modes(slave);
	SHOW(write(master, "a\377b", 3));
	ssize_t length = read(slave, text, sizeof(text));
	printf("marked:");
	for (ssize_t i = 0; i < length; i++)
		printf(" %02x", text[i] & 0xff);
	printf("\n");
	if (fork() == 0)
		in_a_session(name);
	wait(&status);
	/* the session's end hangs nothing up */
	if (fork() == 0) {
		setsid();
		_exit(open(name, O_RDWR) < 0);
	}
	wait(&status);
	SHOW(write(slave, "goes on", 7));
	SHOW(ioctl(slave, FIONREAD, &value));
	SHOW(write(master, "c", 1));
	SHOW(read(slave, text, sizeof(text)));
}

int main(int count, char **arguments)
{
	setvbuf(stdout, NULL, _IONBF, 0);
	if (count > 1 && strcmp(arguments[1], "called") == 0) {
		called();
		return 0;
	}
	memory();
	neighbours();
	removed();
	in_the_page_cache();
	clones();
	processes();
	files();
	no_number();
	opened();
	of_the_folder();
	attributes();
	descriptors();
	program_of_memory();
	shared_tables();
	terminals();
	return 0;
}
