/* SPDX-License-Identifier: MIT */
/* Signals that tell what happens to open files: who gets them (F_SETOWN and its family), and watched
 * directories. */
#include "check.h"
#include <poll.h>

#define QUEUED (SIGRTMIN + 3)

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_CREAT | O_WRONLY, 0644);
	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		exit(1);
	close(fd);
}

/* The signals that wait. */
static void show(const char *what)
{
	static const struct timespec now;
	siginfo_t info;
	sigset_t set;
	sigfillset(&set);
	printf("%s:", what);
	while (sigtimedwait(&set, &info, &now) > 0) {
		if (info.si_signo == SIGCHLD && info.si_code > 0)
			continue; /* of a child */
		if (info.si_signo == QUEUED)
			printf(" queued");
		else
			printf(" %d", info.si_signo);
		if (info.si_code == SI_KERNEL)
			printf(" of the kernel");
		else
			printf(" code %d band %lx fd %d", info.si_code, (unsigned long)info.si_band,
			       info.si_fd);
		printf(",");
	}
	printf("\n");
}

static void owners(void)
{
	struct f_owner_ex owner = {F_OWNER_PID, getpid()};
	int fd = open(".", O_RDONLY), path = open(".", O_PATH), pipes[2];
	SHOW(fcntl(fd, F_GETOWN));
	SHOW(fcntl(fd, F_GETSIG));
	SHOW(fcntl(fd, F_SETOWN, 0));
	SHOW(fcntl(fd, F_SETOWN, 1 << 30));
	SHOW(fcntl(fd, F_SETOWN, -(1 << 30)));
	SHOW(fcntl(fd, F_SETOWN, INT32_MIN));
	SHOW(fcntl(fd, F_SETSIG, 65));
	SHOW(fcntl(fd, F_SETSIG, 64));
	SHOW(fcntl(fd, F_GETSIG));
	SHOW(fcntl(fd, F_SETSIG, 0));
	SHOW(fcntl(fd, F_SETOWN_EX, NULL));
	SHOW(fcntl(fd, F_GETOWN_EX, NULL));
	SHOW(fcntl(fd, F_SETOWN_EX, &owner));
	TELL(fcntl(fd, F_GETOWN) == getpid());
	owner = (struct f_owner_ex){F_OWNER_PGRP, getpgrp()};
	SHOW(fcntl(fd, F_SETOWN_EX, &owner));
	owner.type = 7;
	SHOW(fcntl(fd, F_SETOWN_EX, &owner));
	owner = (struct f_owner_ex){F_OWNER_PID, 1 << 30};
	SHOW(fcntl(fd, F_SETOWN_EX, &owner));
	SHOW(fcntl(fd, F_GETOWN_EX, &owner));
	TELL(owner.type == F_OWNER_PGRP && owner.pid == getpgrp());
	int other = dup(fd), new = open(".", O_RDONLY);
	SHOW(fcntl(other, F_GETOWN_EX, &owner));
	TELL(owner.type == F_OWNER_PGRP && owner.pid == getpgrp());
	SHOW(fcntl(new, F_GETOWN_EX, &owner));
	TELL(owner.type == F_OWNER_TID && owner.pid == 0);
	SHOW(fcntl(path, F_SETOWN, getpid()));
	SHOW(fcntl(path, F_GETOWN));
	SHOW(fcntl(path, F_NOTIFY, DN_CREATE));
	pid_t child = fork();
	if (child == 0)
		_exit(0);
	SHOW(fcntl(new, F_SETOWN, child));
	waitpid(child, NULL, 0);
	SHOW(fcntl(new, F_GETOWN));
	SHOW(pipe(pipes));
	SHOW(fcntl(pipes[0], F_NOTIFY, DN_CREATE));
	SHOW(fcntl(pipes[0], F_NOTIFY, 0));
	close(pipes[0]), close(pipes[1]), close(fd), close(other), close(new), close(path);
}

/* All that can be asked for, one by one, and what it tells of the same changes. */
static void directories(void)
{
	static const struct {
		const char *name;
		unsigned events;
	} all[] = {{"access", DN_ACCESS}, {"modify", DN_MODIFY}, {"create", DN_CREATE},
	           {"delete", DN_DELETE}, {"rename", DN_RENAME}, {"attributes", DN_ATTRIB}};
	for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
		char byte, text[100];
		int fd = open("watched", O_RDONLY), file;
		SHOW(fcntl(fd, F_SETSIG, QUEUED));
		SHOW(fcntl(fd, F_NOTIFY, all[i].events | DN_MULTISHOT));
		printf("-- %s\n", all[i].name);
		write_file("watched/file", "text");
		show("made and written");
		file = open("watched/file", O_RDWR);
		show("opened");
		TELL(read(file, &byte, 1) == 1);
		show("read");
		TELL(pwrite(file, "x", 1, 0) == 1);
		show("written");
		SHOW(fchmod(file, 0600));
		show("mode changed");
		close(file);
		SHOW(rename("watched/file", "watched/other"));
		show("renamed");
		SHOW(rename("watched/other", "moved"));
		show("moved away");
		SHOW(rename("moved", "watched/back"));
		show("moved here");
		SHOW(link("watched/back", "watched/link"));
		show("linked");
		SHOW(mkdir("watched/inner", 0755));
		show("directory made");
		write_file("watched/inner/deep", "");
		SHOW(unlink("watched/inner/deep"));
		show("below it");
		SHOW(rmdir("watched/inner"));
		show("directory gone");
		SHOW(unlink("watched/link"));
		SHOW(unlink("watched/back"));
		show("unlinked");
		SHOW(chmod("watched", 0700));
		show("its own mode");
		SHOW_OK(syscall(SYS_getdents64, fd, text, sizeof text));
		show("listed");
		close(fd);
		write_file("watched/file", "text");
		unlink("watched/file");
		show("closed");
	}
}

/* A file comes and goes in the directory. */
static void show_of_change(const char *what)
{
	write_file("watched/a", "");
	unlink("watched/a");
	show(what);
}

static void once_or_more(void)
{
	int fd = open("watched", O_RDONLY);
	SHOW(fcntl(fd, F_NOTIFY, DN_CREATE | DN_DELETE));
	TELL(fcntl(fd, F_GETOWN) == getpid());
	write_file("watched/a", "");
	show("once, by SIGIO");
	unlink("watched/a");
	show("no more");
	SHOW(fcntl(fd, F_NOTIFY, DN_CREATE | DN_MULTISHOT));
	SHOW(fcntl(fd, F_NOTIFY, DN_DELETE));
	write_file("watched/a", "");
	show("the first one stays");
	unlink("watched/a");
	show("the second");
	unlink("watched/a");
	SHOW(fcntl(fd, F_SETSIG, SIGCHLD));
	write_file("watched/a", "");
	show("a signal with codes of its own");
	SHOW(fcntl(fd, F_SETSIG, SIGIO));
	unlink("watched/a");
	show("SIGIO itself");
	SHOW(fcntl(fd, F_NOTIFY, DN_MULTISHOT));
	write_file("watched/a", "");
	show("ended");
	SHOW(fcntl(fd, F_SETSIG, QUEUED));
	int again = dup(fd), second = open("watched", O_RDONLY);
	SHOW(fcntl(fd, F_NOTIFY, DN_DELETE | DN_MULTISHOT));
	SHOW(fcntl(second, F_NOTIFY, DN_DELETE | DN_MULTISHOT));
	unlink("watched/a");
	show("of two open files");
	close(second);
	close(again);
	show_of_change("one descriptor of the open file is closed");
	SHOW(fcntl(fd, F_SETOWN, 0));
	SHOW(fcntl(fd, F_NOTIFY, DN_DELETE | DN_MULTISHOT));
	TELL(fcntl(fd, F_GETOWN) == getpid());
	SHOW(fcntl(fd, F_SETOWN, -getpgrp()));
	show_of_change("a group");
	struct f_owner_ex owner = {F_OWNER_TID, (pid_t)syscall(SYS_gettid)};
	SHOW(fcntl(fd, F_SETOWN_EX, &owner));
	show_of_change("a thread");
	SHOW(dup2(open("/dev/null", O_RDONLY), fd) == fd);
	show_of_change("something else has the descriptor");
	close(fd);
}

/* Of another user: told by who may signal it alone. */
static void others(void)
{
	char text[100];
	if (setresuid(1000, 1000, 1000) < 0)
		return;
	int file = open("watched", O_RDONLY);
	SHOW(fcntl(file, F_NOTIFY, DN_ACCESS | DN_MULTISHOT));
	SHOW_OK(syscall(SYS_getdents64, file, text, sizeof text));
	show("the user's own");
	SHOW(fcntl(file, F_SETOWN, getppid()));
	lseek(file, 0, SEEK_SET);
	SHOW_OK(syscall(SYS_getdents64, file, text, sizeof text));
	show("another's");
}

int main(void)
{
	sigset_t set;
	setpgid(0, 0);
	sigfillset(&set);
	sigprocmask(SIG_BLOCK, &set, NULL);
	if (mkdir("told.d", 0755) < 0 || chdir("told.d") < 0 || mkdir("watched", 0755) < 0)
		return 1;
	owners();
	directories();
	once_or_more();
	chmod("watched", 0755);
	show_child("others", others);
	show("of others");
	return rmdir("watched") < 0 || chdir("..") < 0 || rmdir("told.d") < 0;
}
