/* SPDX-License-Identifier: MIT */
/*
 * spread FILE MEGABYTES PROCESSES: processes that have the whole file mapped together, larger than memory
 * maybe, each with a byte of its own in every page; then the file is read, and unmapped pieces, too.
 */
#include "check.h"

#define PAGE 4096

static unsigned char mark(size_t page, unsigned writer)
{
	return (unsigned char)(page * 7 + writer * 31 + 1);
}

/* Every second one from the end to the beginning. */
static void write_all(unsigned char *at, size_t pages, unsigned writer)
{
	for (size_t i = 0; i < pages; i++) {
		size_t page = writer % 2 ? pages - 1 - i : i;
		at[page * PAGE + writer] = mark(page, writer);
	}
	if (msync(at, pages * PAGE, MS_SYNC))
		printf("msync: %s\n", strerrorname(errno));
}

static int is_whole(const unsigned char *data, size_t page, unsigned writers)
{
	for (unsigned writer = 0; writer < writers; writer++)
		if (data[writer] != mark(page, writer))
			return 0;
	return data[writers] == 0 && data[PAGE - 1] == 0;
}

int main(int argc, char **argv)
{
	if (argc < 4)
		return 2;
	size_t pages = strtoul(argv[2], NULL, 10) * 256, wrong = 0;
	unsigned writers = (unsigned)strtoul(argv[3], NULL, 10);
	int fd = open(argv[1], O_RDWR | O_CREAT | O_TRUNC, 0644), status;
	unsigned char data[PAGE];
	if (fd < 0 || ftruncate(fd, (off_t)(pages * PAGE)) != 0)
		return 1;
	unsigned char *at = mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED)
		return 1;
	for (unsigned writer = 0; writer < writers; writer++)
		if (fork() == 0) {
			write_all(at, pages, writer);
			_exit(0);
		}
	for (unsigned writer = 0; writer < writers; writer++) {
		wait(&status);
		printf("writer: %d\n", status);
	}
	for (size_t page = 0; page < pages; page++)
		wrong += !is_whole(at + page * PAGE, page, writers);
	printf("wrong through the mapping: %zu\n", wrong);
	for (size_t page = 0; page < pages; page++)
		wrong +=
		        pread(fd, data, PAGE, (off_t)(page * PAGE)) != PAGE || !is_whole(data, page, writers);
	printf("wrong in all: %zu\n", wrong);
	return wrong != 0;
}
