/* SPDX-License-Identifier: MIT */
/*
 * hammer DIR SEED OPERATIONS: random file operations on a few files in DIR, each mirrored in memory; reads
 * are compared with the mirror as they happen. Prints one checksum for each file that is left; `check` as a
 * fourth argument only reads them again.
 */
#include "check.h"

#define FILES     12
#define SIZE_MAX_ (3 * 1024 * 1024)

static unsigned char *mirror[FILES];
static size_t size[FILES];
static unsigned char block[256 * 1024], back[256 * 1024];

static const char *path(const char *directory, int i)
{
	static char text[512];
	snprintf(text, sizeof text, "%s/hammer.%d", directory, i);
	return text;
}

static _Noreturn void fail(const char *what, int i)
{
	printf("file %d: %s: %s\n", i, what, strerrorname(errno));
	exit(1);
}

static void step(const char *directory, uint32_t *state)
{
	int i = (int)(random_next(state) % FILES);
	unsigned action = random_next(state) % 10;
	int fd = open(path(directory, i), O_RDWR | O_CREAT, 0600);
	if (fd < 0)
		fail("open", i);
	size_t at = random_next(state) % (size[i] + 100000), length = random_next(state) % sizeof block;
	if (at + length > SIZE_MAX_)
		at = SIZE_MAX_ - length;
	if (action < 5) {
		for (size_t k = 0; k < length; k++)
			block[k] = (unsigned char)random_next(state);
		if (pwrite(fd, block, length, (off_t)at) != (ssize_t)length)
			fail("write", i);
		memcpy(mirror[i] + at, block, length);
		if (length && at + length > size[i])
			size[i] = at + length;
	} else if (action < 8) {
		size_t expected = at >= size[i] ? 0 : size[i] - at < length ? size[i] - at : length;
		if (pread(fd, back, length, (off_t)at) != (ssize_t)expected)
			fail("read: wrong size", i);
		if (memcmp(back, mirror[i] + at, expected) != 0)
			fail("read: wrong data", i);
	} else if (action == 8) {
		if (ftruncate(fd, (off_t)at) != 0)
			fail("truncate", i);
		if (at < size[i])
			memset(mirror[i] + at, 0, size[i] - at);
		size[i] = at;
	} else if (random_next(state) % 3 == 0) {
		if (unlink(path(directory, i)) != 0)
			fail("unlink", i);
		memset(mirror[i], 0, size[i]);
		size[i] = 0;
	} else if (fsync(fd) != 0) {
		fail("fsync", i);
	}
	if (close(fd) != 0)
		fail("close", i);
}

static void print_sums(const char *directory)
{
	for (int i = 0; i < FILES; i++) {
		uint64_t hash = HASH_START;
		size_t total = 0;
		ssize_t got;
		int fd = open(path(directory, i), O_RDONLY);
		if (fd < 0) {
			printf("file %d: %s\n", i, strerrorname(errno));
			continue;
		}
		while ((got = read(fd, block, sizeof block)) > 0) {
			hash = hash_bytes(hash, block, (size_t)got);
			total += (size_t)got;
		}
		close(fd);
		printf("file %d: %zu bytes %016lx\n", i, total, (unsigned long)hash);
	}
}

int main(int argc, char **argv)
{
	if (argc < 4)
		return 2;
	uint32_t state = (uint32_t)atoi(argv[2]);
	if (argc > 4) {
		print_sums(argv[1]);
		return 0;
	}
	for (int i = 0; i < FILES; i++)
		mirror[i] = calloc(1, SIZE_MAX_);
	for (int i = 0; i < FILES; i++)
		unlink(path(argv[1], i));
	for (int n = atoi(argv[3]); n > 0; n--)
		step(argv[1], &state);
	print_sums(argv[1]);
	return 0;
}
