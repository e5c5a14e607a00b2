/* SPDX-License-Identifier: MIT */
/* Processes: fork, vfork, threads, execve, wait, pipes between them, groups and sessions, limits, orphans. */
#include "check.h"
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>

static char self[512];

static void run(char *const arguments[])
{
	int status = 0;
	fflush(stdout);
	pid_t pid = vfork();
	if (pid == 0) {
		execv(arguments[0], arguments);
		_exit(errno);
	}
	waitpid(pid, &status, 0);
	if (WIFEXITED(status))
		printf("run %s: exit %d\n", arguments[0] == self ? "self" : arguments[0],
		       WEXITSTATUS(status));
	else
		printf("run: status %x\n", status);
}

static void write_file(const char *name, const char *text, mode_t mode)
{
	int fd = open(name, O_CREAT | O_TRUNC | O_WRONLY, 0600);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		exit(1);
	fchmod(fd, mode);
	close(fd);
}

static void executions(void)
{
	run((char *[]){self, "argument", "exit", "42", NULL});
	run((char *[]){self, "argument", "print", "a b", "", "c", NULL});
	run((char *[]){"/does/not/exist", NULL});
	run((char *[]){"/", NULL});
	write_file("process.tmp", "neither ELF nor script\n", 0755);
	run((char *[]){"./process.tmp", NULL});
	write_file("process.tmp", "\177ELF\2\1\1", 0755);
	run((char *[]){"./process.tmp", NULL});
	write_file("process.tmp", "#!/no/such/interpreter\n", 0755);
	run((char *[]){"./process.tmp", NULL});
	char script[700];
	snprintf(script, sizeof script, "#!%s argument\nexit\n", self);
	write_file("process.tmp", script, 0755);
	run((char *[]){"./process.tmp", "more", NULL});
	write_file("process.tmp", script, 0644);
	if (geteuid() == 0)
		run((char *[]){"./process.tmp", NULL});
	unlink("process.tmp");
	char *big = malloc(200000);
	memset(big, 'x', 199999);
	big[199999] = 0;
	run((char *[]){self, "argument", big, NULL}); /* one string over 128 KiB */
	big[100000] = 0;
	run((char *[]){self, "argument", "length", big, NULL});
	free(big);
}

static int pipe_ends[2];

static void writer(void)
{
	char block[1000];
	memset(block, 'p', sizeof block);
	close(pipe_ends[0]);
	for (int i = 0; i < 300; i++)
		if (write(pipe_ends[1], block, sizeof block) != sizeof block)
			_exit(1);
}

static void pipes(void)
{
	if (pipe(pipe_ends) != 0)
		exit(1);
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		writer();
		_exit(0);
	}
	close(pipe_ends[1]);
	size_t total = 0;
	ssize_t size;
	char block[777];
	while ((size = read(pipe_ends[0], block, sizeof block)) > 0)
		total += (size_t)size;
	int status;
	waitpid(pid, &status, 0);
	printf("piped %zu bytes, status %d\n", total, status);
	close(pipe_ends[0]);
	int ends[2];
	SHOW(pipe2(ends, O_NONBLOCK));
	SHOW(read(ends[0], block, 1));
	total = 0;
	while ((size = write(ends[1], block, 512)) > 0)
		total += (size_t)size;
	printf("a pipe takes %zu bytes, then %s\n", total, strerrorname(errno));
	SHOW(read(ends[1], block, 1));
	SHOW(lseek(ends[0], 0, SEEK_SET));
	close(ends[1]);
	while ((size = read(ends[0], block, sizeof block)) > 0)
		total -= (size_t)size;
	printf("%zu bytes left, at the end read gives %zd\n", total, size);
	close(ends[0]);
}

static void waits(void)
{
	int status;
	SHOW(waitpid(-1, &status, 0));
	SHOW(waitpid(-1, &status, WNOHANG));
	pid_t child[5];
	for (int i = 0; i < 5; i++)
		if ((child[i] = fork()) == 0)
			_exit(10 + i);
	for (int i = 4; i >= 0; i--) {
		TELL(waitpid(child[i], &status, 0) == child[i]);
		printf("child %d: %d\n", i, WEXITSTATUS(status));
	}
	siginfo_t info;
	pid_t pid = fork();
	if (pid == 0)
		_exit(3);
	SHOW(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT));
	TELL(info.si_pid == pid && info.si_status == 3 && info.si_code == CLD_EXITED);
	TELL(waitpid(pid, &status, 0) == pid);
	SHOW(waitpid(pid, &status, 0));
	/* an orphan is adopted by process 1 or another reaper, never by us */
	int ends[2];
	if (pipe(ends) != 0)
		exit(1);
	pid = fork();
	if (pid == 0) {
		pid_t parent = getpid();
		if (fork() == 0) {
			while (getppid() == parent)
				usleep(1000);
			_exit(write(ends[1], "o", 1) == 1 ? 0 : 1);
		}
		_exit(0);
	}
	waitpid(pid, &status, 0);
	char byte = 0;
	SHOW(read(ends[0], &byte, 1));
	SHOW(waitpid(-1, &status, WNOHANG));
	close(ends[0]);
	close(ends[1]);
}

static int in_order(void)
{
	pid_t children[5];
	int ordered = 1, status;
	siginfo_t info;
	for (int i = 0; i < 5; i++) {
		children[i] = fork();
		if (children[i] == 0)
			_exit(0);
	}
	for (int i = 0; i < 5; i++)
		waitid(P_PID, (id_t)children[i], &info, WEXITED | WNOWAIT);
	for (int i = 0; i < 5; i++)
		ordered &= wait(&status) == children[i];
	return ordered;
}

/* Who ignores the ends of his children hears nothing of them. */
static void unheard(void)
{
	sigset_t set, old;
	struct rusage usage;
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, &old);
	signal(SIGCHLD, SIG_IGN);
	if (fork() == 0) {
		for (volatile int i = 0; i < 30000000; i++)
			;
		_exit(0);
	}
	SHOW(wait(NULL));
	sigpending(&set);
	SHOW(sigismember(&set, SIGCHLD));
	getrusage(RUSAGE_CHILDREN, &usage);
	SHOW(usage.ru_utime.tv_sec * 1000000 + usage.ru_utime.tv_usec > 0);
	signal(SIGCHLD, SIG_DFL);
	sigprocmask(SIG_SETMASK, &old, NULL);
}

/* What a child that another one has left had as its status. */
static void left_behind(void)
{
	sigset_t set, old;
	siginfo_t info;
	int ends[2];
	char byte;
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, &old);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	if (pipe(ends) != 0)
		return;
	pid_t child = fork();
	if (child == 0) {
		siginfo_t left;
		pid_t lost = fork();
		if (lost == 0)
			_exit(3);
		waitid(P_PID, (id_t)lost, &left, WEXITED | WNOWAIT);
		_exit(read(ends[0], &byte, 1) != 1);
	}
	SHOW(write(ends[1], "x", 1));
	SHOW(waitpid(child, NULL, 0) == child);
	SHOW(waitid(P_ALL, 0, &info, WEXITED));
	SHOW(info.si_status);
	SHOW(sigwaitinfo(&set, &info) == SIGCHLD);
	printf("%d\n", info.si_status);
	prctl(PR_SET_CHILD_SUBREAPER, 0);
	sigprocmask(SIG_SETMASK, &old, NULL);
	close(ends[0]);
	close(ends[1]);
}

static void groups(void)
{
	int status;
	pid_t pid = fork();
	if (pid == 0) {
		int bad = 0;
		bad |= setsid() != getpid();
		bad |= getpgrp() != getpid() || getsid(0) != getpid();
		bad |= setsid() != -1;
		pid_t member = fork();
		if (member == 0) {
			setpgid(0, 0);
			pause();
			_exit(0);
		}
		setpgid(member, member);
		bad |= getpgid(member) != member;
		bad |= kill(-member, SIGKILL) != 0;
		bad |= waitpid(-member, &status, 0) != member || WTERMSIG(status) != SIGKILL;
		bad |= setpgid(0, 999999) != -1;
		_exit(bad);
	}
	waitpid(pid, &status, 0);
	TELL(status == 0);
	SHOW(getpgid(999999));
	SHOW(setpgid(0, -5));
	SHOW(setpgid(-1, 0));
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static long counter, ready;
static __thread long own;

static void *count(void *argument)
{
	for (int i = 0; i < 2000; i++) {
		pthread_mutex_lock(&mutex);
		counter++;
		own++;
		pthread_mutex_unlock(&mutex);
		if (i % 500 == 0)
			sched_yield();
	}
	pthread_mutex_lock(&mutex);
	ready++;
	pthread_cond_signal(&condition);
	pthread_mutex_unlock(&mutex);
	return (void *)((long)argument + own);
}

static void threads(void)
{
	pthread_t thread[8];
	for (long i = 0; i < 8; i++)
		if (pthread_create(&thread[i], NULL, count, (void *)i) != 0) {
			puts("pthread_create failed");
			exit(1);
		}
	pthread_mutex_lock(&mutex);
	while (ready < 8)
		pthread_cond_wait(&condition, &mutex);
	pthread_mutex_unlock(&mutex);
	for (long i = 0; i < 8; i++) {
		void *result;
		pthread_join(thread[i], &result);
		TELL((long)result == 2000 + i);
	}
	printf("counted %ld, own %ld\n", counter, own);
}

static void *exit_all(void *argument)
{
	(void)argument;
	exit(23);
}

static void exit_from_thread(void)
{
	pthread_t thread;
	pthread_create(&thread, NULL, exit_all, NULL);
	for (;;)
		pause();
}

static void limits(void)
{
	struct rlimit limit = {16, 16};
	SHOW(setrlimit(RLIMIT_NOFILE, &limit));
	int opened = 0, fd;
	while ((fd = open("/dev/null", O_RDONLY)) >= 0)
		opened++;
	printf("opened up to descriptor 15: %s, then %s\n", opened > 0 && opened <= 13 ? "yes" : "no",
	       strerrorname(errno));
	limit = (struct rlimit){17, 17};
	if (geteuid() != 0)
		SHOW(setrlimit(RLIMIT_NOFILE, &limit));
	limit = (struct rlimit){18, 17};
	SHOW(setrlimit(RLIMIT_NOFILE, &limit));
}

static void many(void)
{
	int good = 0;
	for (int i = 0; i < 200; i++) {
		int status;
		pid_t pid = fork();
		if (pid == 0)
			_exit(i & 127);
		if (waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == (i & 127))
			good++;
	}
	printf("%d of 200 forks\n", good);
}

/* ---- what was used ---- */

#define TOUCHED (12l << 20)
#define PEAK \
	(TOUCHED / 1024 * 7 / 8) /* KiB, at least: Linux adds up what its CPUs counted only now and then */

static void use(void)
{
	char *memory = mmap(NULL, TOUCHED, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (long i = 0; i < TOUCHED; i += 4096)
		memory[i] = 1;
	munmap(memory, TOUCHED);
	usleep(1000);
}

static long status_kib(const char *path, const char *name)
{
	char line[256];
	long value = -1;
	FILE *file = fopen(path, "r");
	while (file && fgets(line, sizeof line, file))
		if (strncmp(line, name, strlen(name)) == 0)
			value = strtol(line + strlen(name), NULL, 10);
	if (file)
		fclose(file);
	return value;
}

/* The 14th and 15th fields of stat: CPU time in ticks. */
static long stat_time(const char *path)
{
	char text[1024] = "", *field;
	int fd = open(path, O_RDONLY);
	if (fd < 0 || read(fd, text, sizeof text - 1) < 0)
		return -1;
	close(fd);
	field = strrchr(text, ')');
	for (int i = 0; field && i < 12; i++)
		field = strchr(field + 1, ' ');
	return field ? strtol(field, &field, 10) + strtol(field, NULL, 10) : -1;
}

static void *idle(void *path)
{
	sprintf(path, "/proc/self/task/%d/stat", (int)gettid());
	pause();
	return NULL;
}

static void usage_of_threads(void)
{
	static char path[64];
	pthread_t thread;
	pthread_create(&thread, NULL, idle, path);
	struct timespec used = {0};
	while (used.tv_sec == 0 && used.tv_nsec < 300000000)
		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	long all = stat_time("/proc/self/stat"), other = stat_time(path);
	TELL(all >= 20);
	TELL(other >= 0 && other < 10);
}

static void usage(void)
{
	struct rusage one, sum;
	int status;
	pid_t pid = fork();
	if (pid == 0) {
		use();
		TELL(status_kib("/proc/self/status", "VmHWM:") >= PEAK);
		TELL(status_kib("/proc/self/status", "VmPeak:") >= PEAK);
		TELL(status_kib("/proc/self/status", "VmRSS:") < TOUCHED / 1024);
		TELL(getrusage(RUSAGE_SELF, &one) == 0 && one.ru_maxrss >= PEAK);
		TELL(one.ru_nvcsw > 0);
		if (fork() == 0)
			execl(self, self, "argument", "exit", "3", NULL);
		wait(NULL);
		_exit(0);
	}
	TELL(wait4(pid, &status, 0, &one) == pid);
	TELL(one.ru_maxrss >= PEAK && one.ru_maxrss < 2 * TOUCHED / 1024);
	TELL(one.ru_minflt > 0);
	TELL(getrusage(RUSAGE_CHILDREN, &sum) == 0 && sum.ru_maxrss >= one.ru_maxrss);
	TELL(sum.ru_minflt >= one.ru_minflt);
	/* a program that follows another in the same process does not take the peak away */
	pid = fork();
	if (pid == 0) {
		use();
		execl(self, self, "argument", "exit", "0", NULL);
	}
	TELL(wait4(pid, &status, 0, &one) == pid && one.ru_maxrss >= PEAK);
	show_child("usage of threads", usage_of_threads);
}

static int as_argument(int count_, char **arguments)
{
	if (count_ > 1 && strcmp(arguments[0], "exit") == 0)
		return atoi(arguments[1]);
	if (count_ > 1 && strcmp(arguments[0], "length") == 0)
		printf("argument of %zu bytes\n", strlen(arguments[1]));
	else
		for (int i = 0; i < count_; i++)
			if (strlen(arguments[i]) < 100)
				printf("argument %d: \"%s\"\n", i, arguments[i]);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc > 2 && strcmp(argv[1], "argument") == 0)
		return as_argument(argc - 2, argv + 2);
	setvbuf(stdout, NULL, _IONBF, 0);
	ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
	TELL(length > 0);
	executions();
	pipes();
	waits();
	unheard();
	SHOW(in_order());
	left_behind();
	groups();
	threads();
	show_child("exit from a thread", exit_from_thread);
	show_child("limits", limits);
	many();
	usage();
	char name[16] = "";
	SHOW(prctl(PR_SET_NAME, "renamed"));
	SHOW(prctl(PR_GET_NAME, name));
	puts(name);
	return 0;
}
