/* SPDX-License-Identifier: MIT */
/* Holes of files in the working folder: making, finding and filling them. */
#include "check.h"
#include <sys/ioctl.h>

#define PAGE 4096
/* Pages that an ext2 of 4 KiB blocks maps through two tables. */
#define DOUBLE_START (12 + 1024)
#define DOUBLE_END   (DOUBLE_START + 1024 * 1024)
#define KEEP         1
#define HOLE         2
#define COLLAPSE     8
#define ZERO         16
#define INSERT       32
#define UNSHARE      64

static int fresh(const char *name, size_t size)
{
	int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0644);
	char *data = malloc(size);
	for (size_t i = 0; i < size; i++)
		data[i] = (char)('a' + i / PAGE % 26);
	if (write(fd, data, size) != (ssize_t)size)
		printf("write: %s\n", strerrorname(errno));
	free(data);
	return fd;
}

static void show_size(const char *what, int fd)
{
	struct stat status;
	fstat(fd, &status);
	printf("%s: size %lld, %lld blocks\n", what, (long long)status.st_size, (long long)status.st_blocks);
}

/* Size, blocks, where data lies, and a digest of all of it. */
static void show(const char *what, int fd)
{
	struct stat status;
	char data[PAGE];
	uint64_t hash = HASH_START;
	ssize_t size;
	off_t at = 0, end;
	fstat(fd, &status);
	printf("%s: size %lld, %lld blocks, data", what, (long long)status.st_size,
	       (long long)status.st_blocks);
	while ((at = lseek(fd, at, SEEK_DATA)) >= 0) {
		end = lseek(fd, at, SEEK_HOLE);
		printf(" %lld-%lld", (long long)at, (long long)end);
		at = end;
	}
	printf(" %s", strerrorname(errno));
	if (status.st_size < 1 << 24) {
		for (at = 0; (size = pread(fd, data, sizeof data, at)) > 0; at += size)
			hash = hash_bytes(hash, data, (size_t)size);
		printf(", digest %016llx", (unsigned long long)hash);
	}
	printf("\n");
}

static void refusals(void)
{
	int fd = fresh("holes.1", 5 * PAGE), reader = open("holes.1", O_RDONLY), folder = open(".", O_RDONLY),
	    ends[2], null = open("/dev/null", O_RDWR), appender = open("holes.1", O_RDWR | O_APPEND);
	SHOW(pipe(ends));
	SHOW(fallocate(fd, HOLE, 0, PAGE));
	SHOW(fallocate(fd, HOLE | KEEP, -1, PAGE));
	SHOW(fallocate(fd, HOLE | KEEP, 0, 0));
	SHOW(fallocate(fd, HOLE | KEEP, 0, -5));
	SHOW(fallocate(fd, HOLE | KEEP, INT64_MAX - 10, 100));
	SHOW(fallocate(fd, HOLE | KEEP | ZERO, 0, PAGE));
	SHOW(fallocate(fd, HOLE | KEEP | COLLAPSE, 0, PAGE));
	SHOW(fallocate(fd, HOLE | KEEP | INSERT, 0, PAGE));
	SHOW(fallocate(fd, HOLE | KEEP | UNSHARE, 0, PAGE));
	SHOW(fallocate(fd, COLLAPSE | KEEP, 0, PAGE));
	SHOW(fallocate(fd, INSERT | KEEP, 0, PAGE));
	SHOW(fallocate(fd, INSERT | COLLAPSE, 0, PAGE));
	SHOW(fallocate(fd, UNSHARE | ZERO, 0, PAGE));
	SHOW(fallocate(fd, UNSHARE, 0, PAGE));
	SHOW(fallocate(fd, UNSHARE | KEEP, 0, PAGE));
	SHOW(fallocate(fd, COLLAPSE, 0, PAGE));
	SHOW(fallocate(fd, COLLAPSE, 0, 100));
	SHOW(fallocate(fd, INSERT, 0, PAGE));
	SHOW(fallocate(fd, ZERO, 0, PAGE));
	SHOW(fallocate(fd, ZERO | KEEP, 0, PAGE));
	SHOW(fallocate(fd, 4, 0, PAGE));
	SHOW(fallocate(fd, 128, 0, PAGE));
	SHOW(fallocate(fd, 1 << 31, 0, PAGE));
	SHOW(fallocate(reader, HOLE | KEEP, 0, PAGE));
	SHOW(fallocate(reader, COLLAPSE | KEEP, 0, PAGE));
	SHOW(fallocate(folder, HOLE | KEEP, 0, PAGE));
	SHOW(fallocate(ends[1], HOLE | KEEP, 0, PAGE));
	SHOW(fallocate(null, HOLE | KEEP, 0, PAGE));
	SHOW(fallocate(-1, HOLE | KEEP, 0, PAGE));
	SHOW(fallocate(-1, 128, 0, PAGE));
	show("refused", fd);
	SHOW(fallocate(appender, HOLE | KEEP, PAGE, PAGE));
	show("through a descriptor that appends", fd);
	close(fd);
}

static void punching(void)
{
	int fd = fresh("holes.2", 20 * PAGE + 100);
	show("written", fd);
	SHOW(fallocate(fd, HOLE | KEEP, 2 * PAGE, 3 * PAGE));
	show("whole pages", fd);
	SHOW(fallocate(fd, HOLE | KEEP, 2 * PAGE, 3 * PAGE));
	show("once more", fd);
	SHOW(fallocate(fd, HOLE | KEEP, 6 * PAGE + 10, 100));
	show("inside a page", fd);
	SHOW(fallocate(fd, HOLE | KEEP, 8 * PAGE - 1, PAGE + 2));
	show("a page and a byte each side", fd);
	SHOW(fallocate(fd, HOLE | KEEP, 4 * PAGE + 17, 100));
	show("inside a hole", fd);
	SHOW(fallocate(fd, HOLE | KEEP, 11 * PAGE, 4 * PAGE));
	show("from direct to indirect", fd);
	SHOW(fallocate(fd, HOLE | KEEP, 20 * PAGE + 50, PAGE));
	show("the last bytes", fd);
	SHOW(fallocate(fd, HOLE | KEEP, 20 * PAGE, 10 * PAGE));
	show("over the end", fd);
	SHOW(fallocate(fd, HOLE | KEEP, 40 * PAGE, 10 * PAGE));
	show("beyond the end", fd);
	SHOW(fallocate(fd, HOLE | KEEP, 12 * PAGE, INT64_MAX - 12 * PAGE));
	SHOW(fallocate(fd, HOLE | KEEP, 12 * PAGE, (off_t)1 << 40));
	show("all that is indirect", fd);
	SHOW(pwrite(fd, "new", 3, 3 * PAGE + 5));
	SHOW(pwrite(fd, "new", 3, 15 * PAGE + 5));
	SHOW(fsync(fd));
	show("filled again", fd);
	SHOW(fallocate(fd, HOLE | KEEP, 0, (off_t)1 << 40));
	show("all", fd);
	SHOW(ftruncate(fd, 0));
	show("empty", fd);
	SHOW(fallocate(fd, HOLE | KEEP, 0, PAGE));
	SHOW(lseek(fd, 0, SEEK_DATA));
	SHOW(lseek(fd, 0, SEEK_HOLE));
	close(fd);
}

static void finding(void)
{
	int fd = open("holes.3", O_RDWR | O_CREAT | O_TRUNC, 0644);
	SHOW(ftruncate(fd, 10 * PAGE + 10));
	show("nothing but a size", fd);
	SHOW(pwrite(fd, "x", 1, 4 * PAGE + 100));
	show("a byte", fd);
	SHOW(fsync(fd));
	show("a byte on the disk", fd);
	SHOW(lseek(fd, 4 * PAGE + 50, SEEK_DATA));
	SHOW(lseek(fd, 4 * PAGE + 50, SEEK_HOLE));
	SHOW(lseek(fd, 5 * PAGE + 50, SEEK_HOLE));
	SHOW(lseek(fd, 5 * PAGE + 50, SEEK_DATA));
	SHOW(lseek(fd, 0, SEEK_CUR));
	SHOW(lseek(fd, 10 * PAGE + 9, SEEK_HOLE));
	SHOW(lseek(fd, 10 * PAGE + 10, SEEK_HOLE));
	SHOW(lseek(fd, 10 * PAGE + 10, SEEK_DATA));
	SHOW(lseek(fd, -1, SEEK_DATA));
	SHOW(lseek(fd, -1, SEEK_HOLE));
	/* Far apart: direct, indirect, double and triple indirect. */
	SHOW(pwrite(fd, "y", 1, 50 * PAGE));
	SHOW(pwrite(fd, "z", 1, (off_t)5000 * PAGE));
	SHOW(pwrite(fd, "t", 1, (off_t)(DOUBLE_END + 77) * PAGE));
	SHOW(fsync(fd));
	show("far apart", fd);
	SHOW(fallocate(fd, HOLE | KEEP, (off_t)DOUBLE_START * PAGE,
	               (off_t)(DOUBLE_END - DOUBLE_START) * PAGE));
	show("without one", fd);
	SHOW(fallocate(fd, HOLE | KEEP, (off_t)60 * PAGE, (off_t)1 << 50));
	SHOW(fallocate(fd, HOLE | KEEP, (off_t)60 * PAGE, (off_t)1 << 40));
	show("without the far ones", fd);
	SHOW(pwrite(fd, "z", 1, (off_t)5000 * PAGE));
	SHOW(fsync(fd));
	show("with one again", fd);
	close(fd);
}

static void mapping(void)
{
	int fd = fresh("holes.4", 6 * PAGE);
	char *shared = mmap(NULL, 6 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0),
	     *private = mmap(NULL, 6 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	private[2 * PAGE] = 'P';
	shared[PAGE + 1] = 'S';
	TELL(private[3 * PAGE] == 'd');
	SHOW(fallocate(fd, HOLE | KEEP, PAGE - 1, 3 * PAGE + 2));
	TELL(shared[PAGE - 2] == 'a' && shared[PAGE - 1] == 0 && shared[PAGE + 1] == 0 &&
	     shared[3 * PAGE] == 0);
	TELL(shared[4 * PAGE] == 0 && shared[4 * PAGE + 1] == 'e');
	TELL(private[3 * PAGE] == 0 && private[PAGE - 1] == 0);
	TELL(private[2 * PAGE] == 'P' && private[2 * PAGE + 1] == 'c');
	show("under mappings", fd);
	shared[2 * PAGE + 9] = 'N';
	TELL(private[3 * PAGE] == 0);
	SHOW(msync(shared, 6 * PAGE, MS_SYNC));
	show("written through one", fd);
	munmap(shared, 6 * PAGE);
	munmap(private, 6 * PAGE);
	close(fd);
}

static void times(void)
{
	int fd = fresh("holes.5", 4 * PAGE);
	struct timespec old[2] = {{1000, 0}, {2000, 0}};
	struct stat status;
	futimens(fd, old);
	SHOW(fallocate(fd, HOLE | KEEP, 0, PAGE));
	fstat(fd, &status);
	TELL(status.st_atime == 1000 && status.st_mtime > 2000);
	futimens(fd, old);
	SHOW(fallocate(fd, HOLE | KEEP, 40 * PAGE, PAGE));
	fstat(fd, &status);
	printf("beyond the end: modified %s\n", status.st_mtime == 2000 ? "then" : "now");
	SHOW(fchmod(fd, 06777));
	SHOW(fallocate(fd, HOLE | KEEP, PAGE, PAGE));
	fstat(fd, &status);
	printf("mode %o\n", status.st_mode);
	close(fd);
}

static void plain(void)
{
	int fd = fresh("holes.6", PAGE + 10);
	SHOW(fallocate(fd, 0, 0, PAGE));
	show_size("what is there", fd);
	SHOW(fallocate(fd, KEEP, 0, 3 * PAGE));
	show_size("keeping the size", fd);
	SHOW(fallocate(fd, 0, 0, 4 * PAGE));
	show_size("more", fd);
	SHOW(fallocate(fd, 0, 6 * PAGE, PAGE + 1));
	show_size("farther", fd);
	SHOW(posix_fallocate(fd, 0, 9 * PAGE));
	show_size("by POSIX", fd);
	SHOW(ftruncate(fd, 20 * PAGE));
	show_size("longer", fd);
	close(fd);
}

int main(void)
{
	setvbuf(stdout, NULL, _IONBF, 0);
	refusals();
	punching();
	finding();
	mapping();
	times();
	plain();
	return 0;
}
