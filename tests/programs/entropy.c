/* SPDX-License-Identifier: MIT */
/* getrandom, /dev/random, /dev/urandom, AT_RANDOM: errors and edges, never the bytes themselves. */
#include "check.h"

#include <sys/auxv.h>
#include <sys/ioctl.h>
#include <sys/random.h>

#define COUNT 4096

static unsigned char bytes[COUNT], others[COUNT];

static long raw(void *at, size_t size, unsigned long flags)
{
	return syscall(SYS_getrandom, at, size, flags);
}

static void test_flags(void)
{
	for (unsigned flags = 0; flags < 16; flags++) {
		errno = 0;
		long result = raw(bytes, 16, flags);
		printf("getrandom, flags %x: %ld %s\n", flags, result, result < 0 ? strerrorname(errno) : "");
	}
	SHOW(raw(bytes, 16, 0x100000000)); /* flags are an int */
	SHOW(raw(bytes, 0, 0));
	SHOW(raw(NULL, 0, 0));
	SHOW(raw(bytes, COUNT, 0));
	SHOW(raw(NULL, 16, 0));
	SHOW(raw((void *)-4096, 16, 0));
}

/* What lies before a page that is not there is written. */
static void test_edge_of_memory(void)
{
	long page = sysconf(_SC_PAGESIZE);
	char *area = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	munmap(area + page, page);
	SHOW(raw(area + page - 100, 100, 0));
	SHOW(raw(area + page - 100, 200, 0));
	SHOW(raw(area + page, 1, 0));
	int fd = open("/dev/urandom", O_RDWR);
	SHOW(read(fd, area + page - 100, 200));
	SHOW(write(fd, area + page - 100, 100));
	SHOW(write(fd, area + page, 1));
	close(fd);
	munmap(area, page);
}

/* Every bit of the bytes changes from call to call, half of the time: what does not is stuck. */
static unsigned stuck_bits(int fd)
{
	unsigned char ever[64] = {0}, always[64];
	unsigned stuck = 0;
	memset(always, 0xff, sizeof(always));
	for (int round = 0; round < 64; round++) {
		unsigned char now[64];
		if (fd < 0 ? raw(now, 64, 0) != 64 : read(fd, now, 64) != 64)
			return 1000;
		for (int i = 0; i < 64; i++) {
			ever[i] |= now[i];
			always[i] &= now[i];
		}
	}
	for (int i = 0; i < 64; i++)
		stuck += (unsigned)__builtin_popcount((unsigned char)~ever[i]) +
		         (unsigned)__builtin_popcount(always[i]);
	return stuck;
}

static void test_device(const char *path)
{
	printf("%s\n", path);
	int fd = open(path, O_RDWR), count = -1;
	TELL(stuck_bits(fd) == 0);
	SHOW(read(fd, bytes, COUNT));
	SHOW(read(fd, bytes, 0));
	SHOW(write(fd, bytes, COUNT));
	SHOW(write(fd, "x", 1));
	SHOW(pread(fd, bytes, 10, 5));
	SHOW(lseek(fd, 100, SEEK_SET) >= 0);
	SHOW(ioctl(fd, 0x80045200, &count)); /* RNDGETENTCNT */
	TELL(count >= 256);
	SHOW(ioctl(fd, 0x80045200, NULL));
	SHOW(ioctl(fd, 0x5299, NULL));
	close(fd);
	fd = open(path, O_RDONLY | O_NONBLOCK);
	SHOW(read(fd, bytes, COUNT));
	SHOW(write(fd, bytes, 1));
	close(fd);
	struct stat status;
	SHOW(stat(path, &status));
	printf("%o %x\n", status.st_mode, (unsigned)status.st_rdev);
}

/* A program is given 16 bytes at its start; parent and child, made by fork, see no common bytes in what they
 * ask for. */
static void test_processes(void)
{
	TELL(getauxval(AT_RANDOM) != 0);
	int ends[2];
	if (pipe(ends) != 0)
		return;
	pid_t pid = fork();
	if (pid == 0) {
		raw(others, 256, 0);
		_exit(write(ends[1], others, 256) != 256);
	}
	raw(bytes, 256, 0);
	SHOW(read(ends[0], others, 256));
	waitpid(pid, NULL, 0);
	TELL(memcmp(bytes, others, 256) != 0);
	raw(others, 256, 0);
	TELL(memcmp(bytes, others, 256) != 0);
}

int main(void)
{
	test_flags();
	test_edge_of_memory();
	TELL(stuck_bits(-1) == 0);
	test_device("/dev/random");
	test_device("/dev/urandom");
	test_processes();
	return 0;
}
