/* SPDX-License-Identifier: MIT */
/* What a process finds of itself below /proc: names of threads, the auxiliary vector, what a thread's folder
 * has, locks. */
#define _GNU_SOURCE
#include <cpuid.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static pthread_barrier_t barrier;
static pid_t other_tid;

static void *other_main(void *unused)
{
	char name[16];
	(void)unused;
	other_tid = (pid_t)syscall(SYS_gettid);
	pthread_barrier_wait(&barrier); /* it has begun */
	pthread_barrier_wait(&barrier); /* it has been named */
	prctl(PR_GET_NAME, name);
	printf("the other's name: %s\n", name);
	pthread_barrier_wait(&barrier);
	return NULL;
}

static void show(const char *path)
{
	char text[256] = "";
	int fd = open(path, O_RDONLY);
	ssize_t length = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;
	text[length > 0 ? length : 0] = 0;
	printf("%s", length >= 0 ? text : "unreadable\n");
	close(fd);
}

static void store(const char *path, const char *text)
{
	int fd = open(path, O_RDWR);
	ssize_t length = fd >= 0 ? write(fd, text, strlen(text)) : -1;
	printf("write: %zd %s\n", length, length < 0 ? strerror(errno) : "");
	close(fd);
}

static void show_arguments(void)
{
	char text[256];
	int fd = open("/proc/self/cmdline", O_RDONLY);
	ssize_t length = read(fd, text, sizeof(text));
	printf("%zd:", length);
	for (ssize_t i = 0; i < length; i++)
		putchar(text[i] != 0 ? text[i] : '|');
	putchar('\n');
	close(fd);
}

static int with_title(char *arguments)
{
	show_arguments();
	strcpy(arguments, "a title that has no room where the arguments were");
	show_arguments();
	strcpy(arguments, "short");
	show_arguments();
	return 0;
}

static void titles(void)
{
	char *arguments[] = {"itself", "title", NULL},
	     *environment[] = {"ROOM=0123456789012345678901234567890123456789", "MORE=1", NULL};
	pid_t child = fork();
	if (child == 0) {
		execve("/proc/self/exe", arguments, environment);
		_exit(1);
	}
	waitpid(child, NULL, 0);
}

static void names(void)
{
	pthread_t other;
	char path[64];
	pthread_barrier_init(&barrier, NULL, 2);
	pthread_create(&other, NULL, other_main, NULL);
	pthread_barrier_wait(&barrier);
	printf("pthread_setname_np: %d\n", pthread_setname_np(other, "worker"));
	snprintf(path, sizeof(path), "/proc/self/task/%d/comm", other_tid);
	show(path);
	store(path, "a name that is too long");
	show(path);
	store("/proc/thread-self/comm", "first\n");
	show("/proc/self/comm");
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	pthread_join(other, NULL);
	snprintf(path, sizeof(path), "/proc/%d/comm", getppid());
	store(path, "not mine");
}

/* Opened before they ended. */
static void *ends(void *unused)
{
	(void)unused;
	other_tid = (pid_t)syscall(SYS_gettid);
	pthread_barrier_wait(&barrier);
	pthread_barrier_wait(&barrier);
	return NULL;
}

static void read_late(int folder, int fd)
{
	char text[256];
	errno = 0;
	printf("read: %zd", read(fd, text, sizeof(text)));
	printf(" %s", strerror(errno));
	errno = 0;
	printf(", open: %d", openat(folder, "stat", O_RDONLY) >= 0);
	printf(" %s\n", strerror(errno));
	close(fd);
	close(folder);
}

static void ended(void)
{
	static const char *const files[] = {"stat", "status", "comm", "oom_score"};
	char path[64];
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		pthread_t thread;
		pthread_create(&thread, NULL, ends, NULL);
		pthread_barrier_wait(&barrier);
		snprintf(path, sizeof(path), "/proc/self/task/%d", other_tid);
		int folder = open(path, O_RDONLY | O_DIRECTORY), fd = openat(folder, files[i], O_RDONLY);
		pthread_barrier_wait(&barrier);
		pthread_join(thread, NULL);
		snprintf(path, sizeof(path), "/proc/self/task/%d/stat", other_tid);
		while (access(path, F_OK) == 0)
			sched_yield();
		read_late(folder, fd);
		pid_t pid = fork();
		if (pid == 0) {
			pause();
			_exit(0);
		}
		snprintf(path, sizeof(path), "/proc/%d", pid);
		folder = open(path, O_RDONLY | O_DIRECTORY);
		fd = openat(folder, files[i], O_RDONLY);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		read_late(folder, fd);
	}
}

static void folder_of_a_thread(void)
{
	static const char *const files[] = {
	        "attr/current", "auxv",      "cgroup",    "cmdline", "comm",       "cwd",   "environ",
	        "exe",          "fd/0",      "fdinfo/0",  "limits",  "loginuid",   "maps",  "mountinfo",
	        "root",         "schedstat", "gid_map",   "smaps",   "stat",       "statm", "status",
	        "uid_map",      "task",      "oom_score", "mounts",  "personality"};
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		char path[64];
		struct stat status;
		snprintf(path, sizeof(path), "/proc/thread-self/%s", files[i]);
		int result = lstat(path, &status);
		printf("%s: %d %o\n", files[i], result, result == 0 ? status.st_mode & (S_IFMT | 0444) : 0);
	}
	show("/proc/self/uid_map");
}

/* Who logged in is said by the process itself, and handed on. */
static void login(void)
{
	char text[32] = "";
	int fd = open("/proc/self/loginuid", O_RDWR);
	printf("login: %zd %zd", pwrite(fd, "x", 1, 0), pwrite(fd, "4294967296", 10, 0));
	printf(" %zd\n", pwrite(fd, "1000", 4, 0));
	close(fd);
	if (fork() == 0) {
		fd = open("/proc/self/loginuid", O_RDONLY);
		printf("%zd: %s\n", read(fd, text, sizeof(text) - 1), text);
		_exit(0);
	}
	wait(NULL);
}

static unsigned long number_of(const char *path, const char *name)
{
	char line[4096];
	unsigned long number = 0;
	FILE *file = fopen(path, "r");
	while (file != NULL && fgets(line, sizeof(line), file) != NULL)
		if (strncmp(line, name, strlen(name)) == 0)
			number = strtoul(line + strlen(name), NULL, 10);
	if (file != NULL)
		fclose(file);
	return number;
}

/* What was started is counted, also when it has ended. */
static void counted(void)
{
	unsigned long before = number_of("/proc/stat", "processes ");
	for (int i = 0; i < 5; i++) {
		if (fork() == 0)
			_exit(0);
		wait(NULL);
	}
	printf("processes counted: %s\n", number_of("/proc/stat", "processes ") >= before + 5 ? "yes" : "no");
}

static void known_filesystems(void)
{
	static const char *const names[] = {"proc",     "tmpfs", "sysfs",    "devpts",
	                                    "devtmpfs", "ramfs", "none such"};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char line[64];
		int known = 0;
		FILE *file = fopen("/proc/filesystems", "r");
		while (file != NULL && fgets(line, sizeof(line), file) != NULL)
			known |= strncmp(line, "nodev\t", 6) == 0 &&
			         strncmp(line + 6, names[i], strlen(names[i])) == 0;
		if (file != NULL)
			fclose(file);
		printf("%s: %s\n", names[i], known ? "known" : "unknown");
	}
}

/* Bases of segments that a program sets by itself are its own. */
static void segment_bases(void)
{
	unsigned a, b = 0, c, d;
	unsigned long found = 0x123456789000;
	__get_cpuid_count(7, 0, &a, &b, &c, &d);
	printf("told as it is: %s\n", (getauxval(AT_HWCAP2) >> 1 & 1) == (b & 1) ? "yes" : "no");
	if (getauxval(AT_HWCAP2) & 2) {
		__asm__ volatile("wrgsbase %0" : : "r"(found));
		for (int i = 0; i < 100; i++) {
			if (fork() == 0) {
				__asm__ volatile("wrgsbase %0" : : "r"(1ul));
				_exit(0);
			}
			wait(NULL);
		}
		__asm__ volatile("rdgsbase %0" : "=r"(found));
	}
	printf("kept: %lx\n", found);
}

static void auxiliary_vector(void)
{
	Elf64_auxv_t vector[64] = {0};
	int fd = open("/proc/self/auxv", O_RDONLY);
	ssize_t length = read(fd, vector, sizeof(vector));
	int equal = 0, others = 0;
	for (int i = 0; i < length / (ssize_t)sizeof(vector[0]) && vector[i].a_type != AT_NULL; i++)
		*(getauxval(vector[i].a_type) == vector[i].a_un.a_val ? &equal : &others) += 1;
	printf("auxv: %d differ, %s, page size %lu\n", others, equal > 10 ? "many are equal" : "few",
	       getauxval(AT_PAGESZ));
	close(fd);
}

/* The lines of /proc/locks that are of this process's file. */
static void locks(void)
{
	char path[] = "lockedXXXXXX", line[256], inode[32];
	int fd = mkstemp(path), again = open(path, O_RDWR);
	struct flock range = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 10, .l_len = 20},
	             rest = {.l_type = F_RDLCK, .l_start = 100};
	struct stat status;
	fstat(fd, &status);
	snprintf(inode, sizeof(inode), ":%lu ", (unsigned long)status.st_ino);
	printf("locks: %d %d %d\n", fcntl(fd, F_SETLK, &range), fcntl(again, F_OFD_SETLK, &rest),
	       flock(fd, LOCK_SH));
	for (int pass = 0; pass < 2; pass++) {
		FILE *file = fopen("/proc/locks", "r");
		char kind[16], mode[16], first[24], last[24];
		int pid, kinds[2] = {0};
		while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
			if (strstr(line, inode) == NULL ||
			    sscanf(line, "%*s %15s ADVISORY %15s %d %*s %23s %23s", kind, mode, &pid, first,
			           last) != 5)
				continue;
			kinds[kind[0] == 'F']++;
			if (kind[0] == 'P')
				printf("%s %s %s %s %s\n", kind, mode, pid == getpid() ? "mine" : "another's",
				       first, last);
		}
		printf("of this file: %d of ranges, %d of the whole\n", kinds[0], kinds[1]);
		if (file != NULL)
			fclose(file);
		close(again);
		close(fd);
	}
	unlink(path);
}

/* The program by its link, when its name is gone. */
static int gone(void)
{
	char target[64] = "", *name;
	struct {
		uint64_t flags, mode, resolve;
	} how = {O_RDONLY, 0, 2 /* RESOLVE_NO_MAGICLINKS */};
	struct stat status;
	(void)!readlink("/proc/self/exe", target, sizeof(target) - 1);
	name = strrchr(target, '/');
	printf("the program: %s\n", name != NULL ? name + 1 : target);
	printf("opened: %d, %ld bytes\n", open("/proc/self/exe", O_RDONLY) >= 0,
	       stat("/proc/self/exe", &status) == 0 ? (long)(status.st_size > 0) : -1);
	printf("to write: %d", open("/proc/self/exe", O_WRONLY));
	printf(" %s\n", strerror(errno));
	printf("without such links: %ld",
	       syscall(SYS_openat2, AT_FDCWD, "/proc/self/exe", &how, sizeof(how)));
	printf(" %s\n", strerror(errno));
	return 0;
}

static void program(const char *self)
{
	const char *copy = "copy-of-itself";
	char command[300];
	snprintf(command, sizeof(command), "cat <&%d >%s && chmod 755 %s", open(self, O_RDONLY), copy, copy);
	(void)!system(command);
	if (fork() == 0) {
		execl(copy, copy, "gone", copy, NULL);
		_exit(1);
	}
	wait(NULL);
	unlink(copy);
}

int main(int count, char **arguments)
{
	setvbuf(stdout, NULL, _IONBF, 0);
	if (count > 1 && strcmp(arguments[1], "title") == 0)
		return with_title(arguments[0]);
	if (count > 1) {
		unlink(arguments[2]);
		return gone();
	}
	names();
	ended();
	folder_of_a_thread();
	login();
	counted();
	known_filesystems();
	segment_bases();
	auxiliary_vector();
	locks();
	program("/proc/self/exe");
	titles();
	return 0;
}
