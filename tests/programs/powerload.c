/* SPDX-License-Identifier: MIT */
/*
 * powerload DIR WORKERS SEED STEPS: what the power is cut under. Each worker has a folder of its own and a
 * sequence of steps that the seed says wholly, so that tests/system/power.py knows what it did. After each
 * step it writes its number into its page of DIR/marks, in place and without a flush: who sees it in the
 * image, or in a log of the disk's writes, knows that the step had ended by then.
 */
#include "check.h"
#include <sys/uio.h>

#define NAMES     8
#define SIZE_MAX_ 60000

struct mark {
	char magic[8];
	uint32_t worker, step;
};

static struct {
	int exists;
	uint32_t version, size;
} names[NAMES];

static unsigned char content[SIZE_MAX_ + 8];

static _Noreturn void fail(const char *what)
{
	printf("%s: %s\n", what, strerrorname(errno));
	fflush(stdout);
	_exit(1);
}

static void must(long result, const char *what)
{
	if (result < 0)
		fail(what);
}

/* The first `size` bytes of a version of a file. */
static void fill(uint32_t version, uint32_t size)
{
	for (uint32_t i = 0; i * 8 < size; i++) {
		uint64_t word = (version * 0x9e3779b97f4a7c15u + i) * 0xbf58476d1ce4e5b9u;
		memcpy(content + i * 8, &word, 8);
	}
}

static const char *path(int name)
{
	static char text[2][16];
	static int turn;
	turn = !turn;
	snprintf(text[turn], sizeof text[turn], "f%d", name);
	return text[turn];
}

/* How what is written gets to the disk. */
enum way { BY_FSYNC, BY_FDATASYNC, BY_O_SYNC, BY_O_DSYNC, BY_RWF_DSYNC, WAYS, LATER };

/* The bytes of a file from `from` on are written; when this returns they are on the disk, unless it is LATER.
 */
static void put(const char *name, uint32_t version, uint32_t from, uint32_t size, enum way way)
{
	enum { RWF_DSYNC_ = 2 };
	if (from == size && way != LATER) /* a write of nothing syncs nothing */
		way = BY_FSYNC;
	int flags = way == BY_O_SYNC ? O_SYNC : way == BY_O_DSYNC ? O_DSYNC : 0;
	int fd = open(name, O_RDWR | O_CREAT | flags, 0644);
	struct iovec vector = {content + from, size - from};
	must(fd, "open");
	fill(version, size);
	if (syscall(SYS_pwritev2, fd, &vector, 1, from, 0, way == BY_RWF_DSYNC ? RWF_DSYNC_ : 0) !=
	    (long)(size - from))
		fail("write");
	if (way == BY_FSYNC)
		must(fsync(fd), "fsync");
	if (way == BY_FDATASYNC)
		must(fdatasync(fd), "fdatasync");
	must(close(fd), "close");
}

static void overwrite(int name, uint32_t version)
{
	uint32_t size = names[name].size;
	int fd = open(path(name), O_RDWR);
	must(fd, "open");
	unsigned char *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		fail("mmap");
	fill(version, size);
	memcpy(map, content, size);
	must(msync(map, size, MS_SYNC), "msync");
	must(munmap(map, size), "munmap");
	must(close(fd), "close");
}

static void step(uint32_t number, uint32_t *state, int directory)
{
	int name = (int)(random_next(state) % NAMES), other = (name + 1) % NAMES;
	uint32_t kind = random_next(state) % 100, size = random_next(state);
	size = 1 + size % (random_next(state) % 4 ? 6000 : 40000);
	enum way synced = number % WAYS;
	if (kind < 8) {
		must(fsync(directory), "fsync");
	} else if (!names[name].exists ? kind >= 60 : kind < 40) {
		put("temporary", number, 0, size, kind % 3 != 0 ? synced : LATER);
		must(rename("temporary", path(name)), "rename");
		names[name].exists = 1;
		names[name].version = number;
		names[name].size = size;
	} else if (!names[name].exists) {
		put(path(name), number, 0, size, kind % 2 ? synced : LATER);
		names[name].exists = 1;
		names[name].version = number;
		names[name].size = size;
	} else if (kind < 55) {
		uint32_t old = names[name].size, new = old + size > SIZE_MAX_ ? SIZE_MAX_ : old + size;
		put(path(name), names[name].version, old, new, kind % 2 ? synced : LATER);
		names[name].size = new;
	} else if (kind < 70) {
		overwrite(name, number);
		names[name].version = number;
	} else if (kind < 85) {
		if (names[other].exists)
			return;
		must(rename(path(name), path(other)), "rename");
		names[other] = names[name];
		names[name].exists = 0;
	} else {
		must(unlink(path(name)), "unlink");
		names[name].exists = 0;
	}
}

static void work(uint32_t worker, uint32_t seed, uint32_t steps, int marks)
{
	uint32_t state = seed * 1000 + worker;
	struct mark mark = {.magic = "PITHMARK", .worker = worker};
	int directory = open(".", O_RDONLY | O_DIRECTORY);
	must(directory, "open");
	for (uint32_t number = 1; number <= steps; number++) {
		step(number, &state, directory);
		mark.step = number;
		if (pwrite(marks, &mark, sizeof mark, worker * 4096) != (ssize_t)sizeof mark)
			fail("write");
		must(sync_file_range(marks, worker * 4096, 4096,
		                     SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
		                             SYNC_FILE_RANGE_WAIT_AFTER),
		     "sync_file_range");
	}
}

int main(int argc, char **argv)
{
	if (argc != 5)
		return 2;
	uint32_t workers = (uint32_t)atoi(argv[2]), seed = (uint32_t)atoi(argv[3]),
	         steps = (uint32_t)atoi(argv[4]);
	must(chdir(argv[1]), "chdir");
	int marks = open("marks", O_RDWR | O_CREAT, 0644), bad = 0, status;
	must(marks, "open");
	for (uint32_t i = 0; i < workers; i++) {
		char name[16];
		snprintf(name, sizeof name, "w%u", i);
		must(mkdir(name, 0755), "mkdir");
		if (pwrite(marks, content, 4096, i * 4096) != 4096)
			fail("write");
	}
	sync();
	printf("ready\n");
	fflush(stdout);
	for (uint32_t i = 0; i < workers; i++) {
		if (fork() == 0) {
			char name[16];
			snprintf(name, sizeof name, "w%u", i);
			must(chdir(name), "chdir");
			work(i, seed, steps, marks);
			_exit(0);
		}
	}
	while (wait(&status) > 0)
		bad |= status;
	return bad != 0;
}
