/* SPDX-License-Identifier: MIT */
/* A long random sequence of operations on a few files: contents, sizes and names must come out the same
 * everywhere. */
#include "check.h"
#include <dirent.h>
#include <sys/uio.h>

#define FILES 24
#define LIMIT (1 << 20)

static uint64_t state = 88172645463325252ull;

static unsigned number(unsigned below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (unsigned)(state >> 20) % below;
}

static char *name(void)
{
	static char names[4][32];
	static unsigned next;
	char *out = names[next++ % 4];
	snprintf(out, sizeof(names[0]), "%sf%u", number(3) == 0 ? "sub/" : "", number(FILES));
	return out;
}

static unsigned sum_of(const uint8_t *data, size_t size)
{
	unsigned sum = 1;
	for (size_t i = 0; i < size; i++)
		sum = sum * 16777619u ^ data[i];
	return sum;
}

static void pattern(uint8_t *data, size_t size)
{
	for (size_t i = 0; i < size; i++)
		data[i] = (uint8_t)number(256);
}

static unsigned write_some(int file)
{
	static uint8_t data[70000];
	size_t size = number(3) == 0 ? number(sizeof(data)) : number(600);
	off_t offset = number(4) == 0 ? (off_t)number(LIMIT) : (off_t)number(20000);
	pattern(data, size);
	if (number(3) == 0) {
		struct iovec parts[2] = {{data, size / 3}, {data + size / 3, size - size / 3}};
		return (unsigned)pwritev(file, parts, 2, offset);
	}
	return (unsigned)pwrite(file, data, size, offset);
}

static unsigned read_some(int file)
{
	static uint8_t data[300000];
	ssize_t count = pread(file, data, number(sizeof(data)), (off_t)number(LIMIT / 2));
	return count < 0 ? (unsigned)-errno : sum_of(data, (size_t)count);
}

/* Through a shared mapping: what is written there and what is written by write are one thing. */
static unsigned map_some(int file)
{
	struct stat stat;
	if (fstat(file, &stat) != 0 || stat.st_size == 0)
		return 0;
	uint8_t *data = mmap(NULL, (size_t)stat.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	if (data == MAP_FAILED)
		return (unsigned)-errno;
	size_t at = number((unsigned)stat.st_size), size = number(5000);
	if (size > (size_t)stat.st_size - at)
		size = (size_t)stat.st_size - at;
	unsigned sum = sum_of(data + at, size);
	pattern(data + at, size);
	uint8_t check[16];
	ssize_t count = pread(file, check, size < 16 ? size : 16, (off_t)at);
	sum ^= count < 0 || memcmp(check, data + at, (size_t)count) != 0 ? 0xbad : 0;
	munmap(data, (size_t)stat.st_size);
	return sum;
}

static unsigned with_file(unsigned what)
{
	int file = open(name(), O_RDWR | (number(2) ? O_CREAT : 0) | (number(40) == 0 ? O_TRUNC : 0), 0644);
	unsigned result;
	if (file < 0)
		return (unsigned)-errno;
	if (what == 0)
		result = write_some(file);
	else if (what == 1)
		result = read_some(file);
	else if (what == 2)
		result = map_some(file);
	else if (what == 3)
		result = (unsigned)ftruncate(file,
		                             number(4) == 0 ? (off_t)number(LIMIT) : (off_t)number(20000));
	else
		result = (unsigned)fsync(file);
	if (number(10) == 0 && what == 0) { /* what is open lives on without its name */
		unlink(name());
		result ^= read_some(file);
	}
	close(file);
	return result;
}

static unsigned with_names(void)
{
	unsigned what = number(5);
	int result = -1;
	if (what == 0)
		result = rename(name(), name());
	else if (what == 1)
		result = link(name(), name());
	else if (what == 2)
		result = unlink(name());
	else if (what == 3)
		result = symlink("f1", name());
	else
		result = truncate(name(), number(9000));
	return result < 0 ? (unsigned)-errno : 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void show_folder(const char *folder)
{
	char *names[2 * FILES];
	unsigned count = 0;
	DIR *dir = opendir(folder);
	for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;) {
		if (entry->d_name[0] == 'f' && count < 2 * FILES)
			names[count++] = strdup(entry->d_name);
	}
	closedir(dir);
	qsort(names, count, sizeof(names[0]), by_name);
	for (unsigned i = 0; i < count; i++) {
		char path[64];
		struct stat stat;
		static uint8_t data[LIMIT + 100000];
		snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
		lstat(path, &stat);
		int file = open(path, O_RDONLY);
		ssize_t size = file >= 0 ? read(file, data, sizeof(data)) : -1;
		printf("%s %o links %d size %ld: %08x\n", path, stat.st_mode, (int)stat.st_nlink,
		       (long)stat.st_size, size >= 0 ? sum_of(data, (size_t)size) : 0);
		if (file >= 0)
			close(file);
		unlink(path);
		free(names[i]);
	}
}

int main(int argc, char **argv)
{
	unsigned rounds = argc > 1 ? (unsigned)atoi(argv[1]) : 6000;
	mkdir("sub", 0755);
	unsigned sum = 0;
	for (unsigned round = 0; round < rounds; round++) {
		unsigned what = number(20);
		unsigned result = what < 15 ? with_file(what < 6    ? 0
		                                        : what < 9  ? 1
		                                        : what < 11 ? 2
		                                        : what < 14 ? 3
		                                                    : 4)
		                            : with_names();
		sum = sum * 31 + result;
		if (round % 500 == 499)
			printf("%u: %08x\n", round + 1, sum);
	}
	show_folder(".");
	show_folder("sub");
	rmdir("sub");
	return 0;
}
