/* SPDX-License-Identifier: MIT */
/*
 * scaling FOLDER: how much longer one takes when there are eight times as many. A line for each: what, and
 * the ratio in hundredths. For a machine whose clock counts instructions.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define FEW  500
#define MANY (8 * FEW)
#define PAGE 4096ul

static const char *folder;
static int fds[MANY], first;
static char *area;

static void need(long result, const char *what)
{
	if (result < 0) {
		perror(what);
		exit(1);
	}
}

static const char *path(char kind, unsigned i)
{
	static char text[2][256];
	static unsigned turn;

	snprintf(text[++turn % 2], sizeof text[0], "%s/%c%u", folder, kind, i);
	return text[turn % 2];
}

static void create(unsigned i)
{
	int fd = open(path('a', i), O_CREAT | O_EXCL, 0644);

	need(fd, "open");
	close(fd);
}

static void look(unsigned i)
{
	struct stat status;

	need(stat(path('a', i), &status), "stat");
}

static void list(unsigned i)
{
	static DIR *directory;

	if (!i)
		directory = opendir(folder);
	need(readdir(directory) ? 0 : -1, "readdir");
}

static void move(unsigned i)
{
	need(rename(path('a', i), path('b', i)), "rename");
}

static void watch(unsigned i)
{
	static int fd;

	if (!i) {
		close(fd);
		fd = inotify_init();
	}
	need(inotify_add_watch(fd, path('b', i), IN_MODIFY), "inotify_add_watch");
}

static void erase(unsigned i)
{
	need(unlink(path('b', i)), "unlink");
}

static void event(unsigned i)
{
	fds[i] = eventfd(0, 0);
	need(fds[i], "eventfd");
}

static void add(unsigned i)
{
	struct epoll_event what = {.events = EPOLLIN};

	if (!i) {
		close(first);
		first = epoll_create1(0);
	}
	need(epoll_ctl(first, EPOLL_CTL_ADD, fds[i], &what), "epoll_ctl");
}

static void take_away(unsigned i)
{
	need(epoll_ctl(first, EPOLL_CTL_DEL, fds[i], NULL), "epoll_ctl");
}

static void end(unsigned i)
{
	need(close(fds[i]), "close");
}

static void protect(unsigned i)
{
	if (!i)
		area = mmap(NULL, 2 * MANY * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		            0);
	need(mprotect(area + 2 * i * PAGE, PAGE, PROT_READ), "mprotect");
}

static void touch(unsigned i)
{
	area[(2 * i + 1) * PAGE] = 1;
}

static void unmap(unsigned i)
{
	need(munmap(area + 2 * i * PAGE, 2 * PAGE), "munmap");
}

static void map_again(unsigned i)
{
	static int fd;
	char *page;

	if (!i) {
		fd = open(path('m', 0), O_CREAT | O_RDWR, 0644);
		need(ftruncate(fd, PAGE), "ftruncate");
	}
	page = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
	need(page == MAP_FAILED ? -1 : 0, "mmap");
	if (!i)
		area = page;
}

static long instructions(void (*operation)(unsigned), unsigned count)
{
	struct timespec before, after;

	clock_gettime(CLOCK_MONOTONIC, &before);
	for (unsigned i = 0; i < count; i++)
		operation(i);
	clock_gettime(CLOCK_MONOTONIC, &after);
	return (after.tv_sec - before.tv_sec) * 1000000000 + after.tv_nsec - before.tv_nsec;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*operation)(unsigned);
	} all[] = {
	        {"create", create}, {"stat", look},        {"readdir", list},
	        {"rename", move},   {"watch", watch},      {"unlink", erase},
	        {"eventfd", event}, {"epoll-add", add},    {"epoll-remove", take_away},
	        {"close", end},     {"mprotect", protect}, {"touch", touch},
	        {"munmap", unmap},  {"mmap", map_again},
	};
	enum { COUNT = sizeof all / sizeof all[0] };
	static long few[COUNT], many[COUNT];
	struct rlimit limit = {MANY + 100, MANY + 100};

	if (argc != 2)
		return 2;
	folder = argv[1];
	need(setrlimit(RLIMIT_NOFILE, &limit), "setrlimit");
	for (unsigned i = 0; i < COUNT; i++)
		few[i] = instructions(all[i].operation, FEW);
	for (unsigned i = 0; i < COUNT; i++)
		many[i] = instructions(all[i].operation, MANY);
	for (unsigned i = 0; i < COUNT; i++)
		printf("%s %ld\n", all[i].name, many[i] * 100 / 8 / few[i]);
	return 0;
}
