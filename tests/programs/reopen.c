/* SPDX-License-Identifier: MIT */
/* Descriptors under their names in /proc: what the links look like, and what opening one again gives. */
#include "check.h"

static const char *name_of(int fd)
{
	static char name[64];

	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	return name;
}

static void show_link(const char *what, int fd)
{
	struct stat info;

	if (lstat(name_of(fd), &info))
		printf("%s: %s\n", what, strerrorname(errno));
	else
		printf("%s: mode %o, size %ld\n", what, info.st_mode, (long)info.st_size);
}

static void links(void)
{
	int ends[2], file = open("links-file", O_RDWR | O_CREAT, 0600), fd;

	SHOW(pipe(ends));
	show_link("read end", ends[0]);
	show_link("write end", ends[1]);
	show_link("read and write", file);
	fd = open("links-file", O_WRONLY | O_APPEND);
	show_link("append", fd);
	close(fd);
	fd = open("links-file", O_PATH);
	show_link("path", fd);
	close(fd);
	close(file);
	show_link("closed", file);
	unlink("links-file");
	close(ends[0]);
	close(ends[1]);
}

/* A pipe without its other end: whoever opens a FIFO like that waits, but not here. */
static void pipes(void)
{
	char data[16] = "";
	int ends[2], again;

	SHOW(pipe(ends));
	SHOW(write(ends[1], "left", 4));
	close(ends[1]);
	again = open(name_of(ends[0]), O_RDONLY);
	TELL(again >= 0);
	SHOW(read(again, data, sizeof(data)));
	TELL(!memcmp(data, "left", 4));
	SHOW(read(again, data, sizeof(data)));
	SHOW_OK(open(name_of(ends[0]), O_WRONLY | O_NONBLOCK));
	close(again);
	again = open(name_of(ends[0]), O_WRONLY);
	TELL(again >= 0);
	SHOW(write(again, "back", 4));
	SHOW(read(ends[0], data, sizeof(data)));
	SHOW(read(again, data, sizeof(data)));
}

/* A new description: its own position. */
static void files(void)
{
	char data[4] = "";
	int file = open("again", O_RDWR | O_CREAT | O_TRUNC, 0600), other;

	SHOW(write(file, "0123456789", 10));
	other = open(name_of(file), O_RDONLY);
	SHOW(read(other, data, 3));
	SHOW(lseek(file, 0, SEEK_CUR));
	unlink("again");
	SHOW_OK(open(name_of(file), O_RDONLY));
	SHOW_OK(open(name_of(file), O_DIRECTORY));
	close(other);
	close(file);
}

int main(void)
{
	links();
	pipes();
	files();
	return 0;
}
