/* SPDX-License-Identifier: MIT */
/* What depends on the file system and on how it is mounted: in the working folder, which is a mounted ext2. */
#include "check.h"
#include <sys/mount.h>

static int remount(unsigned long flags)
{
	return mount(NULL, ".", NULL, MS_REMOUNT | flags, NULL);
}

static int make_new(void)
{
	int fd = open("new", O_CREAT | O_WRONLY, 0600);
	return fd < 0 ? fd : close(fd);
}

static void show_written(const char *what)
{
	printf("%s: ", what);
	SHOW(remount(MS_RDONLY));
	SHOW(make_new());
	SHOW(remount(0));
}

/* A file system that somebody may still write to does not become read-only. */
static void read_only(void)
{
	int reader, fd = open("written", O_CREAT | O_RDWR, 0600);
	SHOW(ftruncate(fd, 4096));
	show_written("open for writing");
	char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	show_written("mapped for writing");
	munmap(page, 4096);
	reader = open("written", O_RDONLY);
	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, reader, 0);
	show_written("open for reading, mapped for itself");
	SHOW(unlink("written"));
	show_written("unlinked");
	munmap(page, 4096);
	close(reader);
	show_written("nothing");
	SHOW(mkdir("bound", 0700));
	SHOW(mkdir("folder", 0700));
	SHOW(mount("folder", "bound", NULL, MS_BIND, NULL));
	fd = open("folder/file", O_CREAT | O_WRONLY, 0600);
	SHOW(mount(NULL, "bound", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL));
	SHOW_OK(open("bound/file", O_WRONLY));
	SHOW(mount(NULL, "bound", NULL, MS_REMOUNT | MS_BIND, NULL));
	close(fd);
	fd = open("bound/file", O_WRONLY);
	SHOW(mount(NULL, "bound", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL));
	close(fd);
	SHOW(mount(NULL, "bound", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL));
	SHOW(umount("bound"));
}

int main(void)
{
	show_child("read only", read_only);
	return 0;
}
