/* SPDX-License-Identifier: MIT */
/* inotify: every event in its order, with its name and cookie; equal ones, limits, ends; errors. */
#include "check.h"
#include <poll.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/uio.h>

#define ADDRESS(value) ((void *)(uintptr_t)(value))
#define EVERYTHING     IN_ALL_EVENTS

static const char *const event_names[] = {
        "ACCESS",     "MODIFY",   "ATTRIB",   "CLOSE_WRITE", "CLOSE_NOWRITE", "OPEN",
        "MOVED_FROM", "MOVED_TO", "CREATE",   "DELETE",      "DELETE_SELF",   "MOVE_SELF",
        NULL,         "UNMOUNT",  "OVERFLOW", "IGNORED"};

/* What is there to be read. Watches are numbered from 1 in each instance, cookies as they come. */
static void show(int fd, const char *what)
{
	static char buffer[65536] __attribute__((aligned(8)));
	uint32_t first_cookie = 0;
	ssize_t size;
	printf("-- %s\n", what);
	while ((size = read(fd, buffer, sizeof buffer)) > 0)
		for (ssize_t at = 0; at < size;) {
			struct inotify_event event;
			memcpy(&event, buffer + at, sizeof event);
			printf("  %d:", event.wd);
			for (int bit = 0; bit < 16; bit++)
				if (event.mask >> bit & 1)
					printf(" %s", event_names[bit]);
			if (event.mask & IN_ISDIR)
				printf(" of a directory");
			if (event.mask & ~(0xffffu | IN_ISDIR))
				printf(" and %x", event.mask & ~(0xffffu | IN_ISDIR));
			if (event.cookie != 0 && first_cookie == 0)
				first_cookie = event.cookie;
			if (event.cookie != 0)
				printf(" cookie %u", event.cookie - first_cookie);
			if (event.len > 0)
				printf(" \"%s\" in %u", buffer + at + sizeof event, event.len);
			printf("\n");
			at += (ssize_t)(sizeof event + event.len);
		}
	if (size == 0 || errno != EAGAIN)
		printf("  read: %s\n", strerrorname(errno));
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_CREAT | O_WRONLY, 0644);
	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		exit(1);
	close(fd);
}

static void errors(void)
{
	int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC), file = open(".", O_RDONLY);
	char byte;
	SHOW(inotify_init1(1));
	SHOW(fcntl(fd, F_GETFD));
	SHOW((fcntl(fd, F_GETFL) & (O_ACCMODE | O_NONBLOCK)) == O_NONBLOCK);
	SHOW(read(fd, &byte, 1));
	SHOW(write(fd, &byte, 1));
	SHOW(lseek(fd, 0, SEEK_CUR));
	SHOW(inotify_add_watch(fd, ".", 0));
	SHOW(inotify_add_watch(999, ".", EVERYTHING));
	SHOW(inotify_add_watch(file, ".", EVERYTHING));
	SHOW(inotify_add_watch(fd, "none", EVERYTHING));
	SHOW(inotify_add_watch(fd, "", EVERYTHING));
	SHOW(inotify_add_watch(fd, ADDRESS(8), EVERYTHING));
	SHOW(inotify_add_watch(fd, ".", EVERYTHING | IN_MASK_ADD | IN_MASK_CREATE));
	SHOW(inotify_add_watch(fd, "/etc/passwd", EVERYTHING | IN_ONLYDIR));
	SHOW(inotify_rm_watch(fd, 1));
	SHOW(inotify_rm_watch(999, 1));
	SHOW(inotify_rm_watch(file, 1));
	SHOW(inotify_add_watch(fd, ".", IN_CREATE));
	SHOW(inotify_add_watch(fd, ".", IN_DELETE | IN_MASK_CREATE));
	SHOW(inotify_add_watch(fd, ".", IN_DELETE | IN_MASK_ADD));
	write_file("file", "");
	unlink("file");
	SHOW(read(fd, &byte, 1));
	show(fd, "created, deleted");
	SHOW(inotify_add_watch(fd, ".", IN_DELETE));
	write_file("file", "");
	unlink("file");
	show(fd, "deleted");
	SHOW(inotify_rm_watch(fd, 1));
	SHOW(inotify_rm_watch(fd, 1));
	show(fd, "ignored");
	SHOW(inotify_add_watch(fd, ".", IN_CREATE));
	close(file);
	close(fd);
}

static void contents(void)
{
	char text[16];
	int fd = inotify_init1(IN_NONBLOCK);
	write_file("file", "0123456789");
	write_file("other", "");
	SHOW(inotify_add_watch(fd, ".", EVERYTHING));
	SHOW(inotify_add_watch(fd, "file", EVERYTHING));
	int file = open("file", O_RDWR);
	show(fd, "opened");
	read(file, text, 4);
	read(file, text, 4);
	show(fd, "read twice");
	read(file, text, 0);
	lseek(file, 0, SEEK_END);
	read(file, text, 4);
	show(fd, "nothing read");
	write(file, "x", 1);
	write(file, "y", 1);
	pread(file, text, 1, 0);
	pwrite(file, "z", 1, 0);
	show(fd, "written and read");
	struct iovec part = {text, 2};
	lseek(file, 0, SEEK_SET);
	readv(file, &part, 1);
	writev(file, &part, 1);
	show(fd, "vectors");
	ftruncate(file, 5);
	truncate("file", 6);
	show(fd, "truncated");
	fchmod(file, 0600);
	chown("file", 1, 2);
	chown("file", -1, -1);
	show(fd, "chmod and chown");
	futimens(file, NULL);
	struct timespec times[2] = {{5, 0}, {0, UTIME_OMIT}};
	futimens(file, times);
	show(fd, "access time");
	times[0].tv_nsec = UTIME_OMIT;
	times[1].tv_nsec = 0;
	futimens(file, times);
	show(fd, "time of change");
	int other = open("other", O_WRONLY);
	off_t from = 0;
	sendfile(other, file, &from, 3);
	show(fd, "sendfile");
	from = 0;
	copy_file_range(file, &from, other, NULL, 2, 0);
	show(fd, "copy_file_range");
	int path = open("file", O_PATH);
	show(fd, "O_PATH");
	int again = dup(file);
	close(file);
	show(fd, "one of two closed");
	close(again);
	close(other);
	show(fd, "closed");
	close(open("file", O_RDONLY));
	show(fd, "opened and closed");
	close(path);
	unlink("file");
	unlink("other");
	show(fd, "deleted");
	close(fd);
}

static void names(void)
{
	int fd = inotify_init1(IN_NONBLOCK);
	mkdir("a", 0755);
	mkdir("b", 0755);
	SHOW(inotify_add_watch(fd, "a", EVERYTHING));
	SHOW(inotify_add_watch(fd, "b", EVERYTHING));
	mkdir("a/folder", 0755);
	symlink("target", "a/link");
	mkfifo("a/fifo", 0600);
	mknod("a/node", S_IFREG | 0600, 0);
	show(fd, "made");
	SHOW(inotify_add_watch(fd, "a/folder", EVERYTHING));
	SHOW(inotify_add_watch(fd, "a/node", EVERYTHING));
	link("a/node", "b/node");
	show(fd, "linked");
	rename("a/node", "b/new");
	show(fd, "renamed");
	rename("a/folder", "b/folder");
	show(fd, "renamed a folder");
	write_file("b/folder/inside", "");
	show(fd, "in the folder");
	write_file("a/replaced", "");
	SHOW(inotify_add_watch(fd, "a/replaced", EVERYTHING));
	show(fd, "to be replaced");
	rename("b/new", "a/replaced");
	show(fd, "replaced");
	syscall(SYS_renameat2, AT_FDCWD, "a/replaced", AT_FDCWD, "b/folder", 2 /* RENAME_EXCHANGE */);
	show(fd, "exchanged");
	rename("b/node", "b/folder");
	show(fd, "two names of one file");
	rename("a/none", "b/none");
	rmdir("a/replaced");
	show(fd, "what fails");
	unlink("a/replaced/inside");
	rmdir("a/replaced");
	show(fd, "a folder removed");
	unlink("b/node");
	show(fd, "one name of two");
	unlink("b/folder");
	show(fd, "the other one");
	unlink("a/link");
	unlink("a/fifo");
	rmdir("a");
	show(fd, "a watched folder removed");
	int directory = open("b", O_RDONLY | O_DIRECTORY);
	char records[1024];
	while (syscall(SYS_getdents64, directory, records, sizeof records) > 0)
		;
	close(directory);
	show(fd, "a folder read");
	rmdir("b");
	close(fd);
}

static void unlinked(void)
{
	int fd = inotify_init1(IN_NONBLOCK);
	char byte;
	mkdir("a", 0755);
	write_file("a/file", "text");
	SHOW(inotify_add_watch(fd, "a", EVERYTHING));
	int file = open("a/file", O_RDONLY);
	SHOW(inotify_add_watch(fd, "a/file", EVERYTHING));
	show(fd, "open");
	unlink("a/file");
	show(fd, "unlinked");
	read(file, &byte, 1);
	show(fd, "read");
	SHOW(inotify_add_watch(fd, "a", EVERYTHING | IN_EXCL_UNLINK));
	read(file, &byte, 1);
	show(fd, "read, without unlinked ones");
	close(file);
	show(fd, "closed");
	/* a file with a watch of its own that goes before it */
	write_file("a/once", "");
	show(fd, "made");
	int watch = inotify_add_watch(fd, "a/once", IN_OPEN | IN_ONESHOT);
	close(open("a/once", O_RDONLY));
	show(fd, "once");
	SHOW(inotify_rm_watch(fd, watch));
	close(open("a/once", O_RDONLY));
	show(fd, "again");
	symlink("once", "a/link");
	show(fd, "a link");
	SHOW(inotify_add_watch(fd, "a/link", IN_ATTRIB | IN_DELETE_SELF | IN_DONT_FOLLOW));
	lchown("a/link", 1, 1);
	chmod("a/link", 0644);
	unlink("a/link");
	show(fd, "the link itself");
	SHOW(inotify_add_watch(fd, "a/once", IN_DELETE_SELF));
	unlink("a/once");
	rmdir("a");
	show(fd, "gone");
	close(fd);
}

static void waiting(void)
{
	int fd = inotify_init1(0), set = epoll_create1(0), size = -1;
	char buffer[64];
	struct pollfd polled = {fd, POLLIN | POLLOUT, 0};
	struct epoll_event event = {.events = EPOLLIN};
	SHOW(epoll_ctl(set, EPOLL_CTL_ADD, fd, &event));
	SHOW(inotify_add_watch(fd, ".", IN_CREATE | IN_DELETE));
	SHOW(poll(&polled, 1, 0));
	SHOW(epoll_wait(set, &event, 1, 0));
	SHOW(ioctl(fd, FIONREAD, &size));
	SHOW(size);
	fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		usleep(20000);
		write_file("file", "");
		_exit(0);
	}
	SHOW(read(fd, buffer, sizeof buffer));
	waitpid(child, NULL, 0);
	child = fork();
	if (child == 0) {
		usleep(20000);
		unlink("file");
		_exit(0);
	}
	SHOW(poll(&polled, 1, 10000));
	SHOW(polled.revents);
	SHOW(epoll_wait(set, &event, 1, 0));
	waitpid(child, NULL, 0);
	write_file("a name that is longer", "");
	SHOW(ioctl(fd, FIONREAD, &size));
	SHOW(size);
	SHOW(read(fd, buffer, 16));
	SHOW(read(fd, buffer, 40)); /* one of the two */
	SHOW(read(fd, buffer, 40));
	SHOW(read(fd, buffer, 48));
	SHOW(poll(&polled, 1, 0));
	unlink("a name that is longer");
	SHOW(syscall(SYS_read, fd, ADDRESS(8), 64));
	close(fd);
	close(set);
}

static void limits(void)
{
	int fds[200], count = 0;
	while (count < 200 && (fds[count] = inotify_init1(IN_NONBLOCK)) >= 0)
		count++;
	SHOW(count == 200 ? 0 : errno == EMFILE);
	for (int i = 0; i < count; i++)
		close(fds[i]);
	int fd = inotify_init1(IN_NONBLOCK);
	inotify_add_watch(fd, ".", IN_CREATE | IN_DELETE | IN_ATTRIB);
	for (int i = 0; i < 20000; i++)
		if (i % 2 == 0)
			write_file("file", "");
		else
			unlink("file");
	/* 16384 events and one for the rest */
	int events = 0, overflows = 0;
	struct inotify_event *event;
	static char buffer[65536] __attribute__((aligned(8)));
	ssize_t size;
	while ((size = read(fd, buffer, sizeof buffer)) > 0)
		for (ssize_t at = 0; at < size; at += (ssize_t)(sizeof *event + event->len)) {
			event = (struct inotify_event *)(void *)(buffer + at);
			events += event->mask != IN_Q_OVERFLOW;
			overflows += event->mask == IN_Q_OVERFLOW && event->wd == -1;
		}
	SHOW(events);
	SHOW(overflows);
	write_file("file", "");
	show(fd, "after the overflow");
	/* equal ones count once, and only next to each other */
	for (int i = 0; i < 100; i++)
		chmod("file", 0600);
	show(fd, "equal ones");
	unlink("file");
	close(fd);
}

static void as_others(void)
{
	mkdir("closed", 0700);
	write_file("readable", "");
	chmod("readable", 0644);
	int fd = inotify_init1(IN_NONBLOCK);
	if (setresuid(1000, 1000, 1000) < 0)
		return;
	SHOW(inotify_add_watch(fd, "closed", EVERYTHING));
	SHOW(inotify_add_watch(fd, "closed/x", EVERYTHING));
	SHOW(inotify_add_watch(fd, "readable", EVERYTHING));
}

static void mounts(void)
{
	int fd = inotify_init1(IN_NONBLOCK);
	mkdir("mounted", 0755);
	if (mount("none", "mounted", "tmpfs", 0, NULL) < 0)
		printf("no mount: %s\n", strerrorname(errno));
	write_file("mounted/file", "text");
	SHOW(inotify_add_watch(fd, "mounted", EVERYTHING));
	SHOW(inotify_add_watch(fd, "mounted/file", EVERYTHING));
	write_file("mounted/file", "more");
	write_file("mounted/new", "");
	show(fd, "in memory");
	int file = open("mounted/new", O_RDWR);
	SHOW(fallocate(file, 0, 0, 100));
	close(file);
	show(fd, "fallocate");
	unlink("mounted/new");
	rename("mounted/file", "mounted/moved");
	show(fd, "names in memory");
	SHOW(umount("mounted"));
	show(fd, "unmounted");
	SHOW(inotify_rm_watch(fd, 1));
	SHOW(inotify_add_watch(fd, "/proc/self/status", EVERYTHING));
	close(fd);
	rmdir("mounted");
}

int main(void)
{
	mkdir("watches.d", 0777);
	if (chdir("watches.d") < 0 || chmod(".", 0777) < 0)
		return 1;
	umask(022);
	errors();
	contents();
	names();
	unlinked();
	waiting();
	limits();
	show_child("as others", as_others);
	mounts();
	rmdir("closed");
	unlink("readable");
	return chdir("..") < 0 || rmdir("watches.d") < 0;
}
