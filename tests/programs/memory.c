/* SPDX-License-Identifier: MIT */
/* Memory: mappings of all kinds, protection, copy-on-write, remapping, files behind memory. */
#include "check.h"
#include <sys/resource.h>
#include <time.h>

#define PAGE 4096

static volatile char *victim;

static void read_victim(void)
{
	(void)*victim;
}

static void write_victim(void)
{
	*victim = 1;
}

static char *map(size_t pages, int protection, int flags)
{
	char *memory = mmap(NULL, pages * PAGE, protection, flags | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED) {
		printf("mmap failed: %s\n", strerrorname(errno));
		exit(1);
	}
	return memory;
}

static void protections(void)
{
	char *memory = map(4, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	for (int i = 0; i < 4; i++)
		TELL(memory[i * PAGE + 17] == 0);
	memset(memory, 'x', 4 * PAGE);
	SHOW(mprotect(memory + PAGE, PAGE, PROT_READ));
	SHOW(mprotect(memory + 2 * PAGE, PAGE, PROT_NONE));
	victim = memory + PAGE;
	show_child("read a read-only page", read_victim);
	show_child("write a read-only page", write_victim);
	victim = memory + 2 * PAGE;
	show_child("read a PROT_NONE page", read_victim);
	SHOW(mprotect(memory + 2 * PAGE, PAGE, PROT_READ | PROT_WRITE));
	TELL(memory[2 * PAGE] == 'x');
	SHOW(munmap(memory + PAGE, PAGE));
	victim = memory + PAGE;
	show_child("read an unmapped page", read_victim);
	TELL(memory[0] == 'x' && memory[2 * PAGE] == 'x');
	SHOW(mprotect(memory, 4 * PAGE, PROT_READ)); /* a hole in it */
	SHOW(munmap(memory, 4 * PAGE));
	SHOW(munmap(memory + 1, PAGE));
	SHOW(munmap(memory, 0));
	SHOW_OK(mmap(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	SHOW_OK(mmap(NULL, PAGE, PROT_READ, MAP_ANONYMOUS, -1, 0));
	SHOW_OK(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, 99, 0));
	SHOW_OK(mmap((void *)123, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
	victim = NULL;
	show_child("read address 0", read_victim);
	victim = (char *)0xffffffff80000000ul;
	show_child("read a kernel address", read_victim);
}

static void copy_on_write(void)
{
	enum { PAGES = 300 };
	char *private = map(PAGES, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	char *shared = map(PAGES, PROT_READ | PROT_WRITE, MAP_SHARED);
	for (int i = 0; i < PAGES; i++)
	private[i * PAGE] = shared[i * PAGE] = (char)i;
	pid_t pid = fork();
	if (pid == 0) {
		int same = 1;
		for (int i = 0; i < PAGES; i++)
			same &= private[i * PAGE] == (char)i && shared[i * PAGE] == (char)i;
		for (int i = 0; i < PAGES; i++)
		private[i * PAGE] = shared[i * PAGE] = (char)(i + 1);
		_exit(same ? 7 : 8);
	}
	int status, kept = 1, seen = 1;
	waitpid(pid, &status, 0);
	TELL(WIFEXITED(status) && WEXITSTATUS(status) == 7);
	for (int i = 0; i < PAGES; i++) {
		kept &= private[i * PAGE] == (char)i;
		seen &= shared[i * PAGE] == (char)(i + 1);
	}
	TELL(kept);
	TELL(seen);
	/* generations of copies of one page */
	for (int depth = 0; depth < 6; depth++) {
		pid = fork();
		if (pid != 0) {
			waitpid(pid, &status, 0);
			if (private[PAGE] != (char)(1 + depth))
				status = 1 << 8;
			if (depth == 0) {
				TELL(status == 0);
				break;
			}
			_exit(WEXITSTATUS(status));
		}
		private[PAGE]++;
		if (depth == 5)
			_exit(private[PAGE] == 7 ? 0 : 1);
	}
	munmap(private, PAGES * PAGE);
	munmap(shared, PAGES * PAGE);
}

static void remapping(void)
{
	char *memory = map(8, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	for (int i = 0; i < 8; i++)
		memory[i * PAGE] = (char)('a' + i);
	char *bigger = mremap(memory, 8 * PAGE, 64 * PAGE, MREMAP_MAYMOVE);
	TELL(bigger != MAP_FAILED);
	TELL(bigger[7 * PAGE] == 'h' && bigger[8 * PAGE] == 0 && bigger[63 * PAGE] == 0);
	char *smaller = mremap(bigger, 64 * PAGE, 2 * PAGE, 0);
	TELL(smaller == bigger && smaller[PAGE] == 'b');
	victim = smaller + 2 * PAGE;
	show_child("read behind a shrunk mapping", read_victim);
	SHOW(madvise(smaller, 2 * PAGE, MADV_DONTNEED));
	TELL(smaller[0] == 0 && smaller[PAGE] == 0);
	char *fixed =
	        mmap(smaller, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	TELL(fixed == smaller);
	errno = 0;
	void *again =
	        mmap(smaller, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	TELL(again == MAP_FAILED && errno == EEXIST);
	/* the system call itself: musl's sbrk refuses to move the break */
	char *heap = (char *)syscall(SYS_brk, 0);
	TELL((char *)syscall(SYS_brk, heap + 1024 * 1024) == heap + 1024 * 1024);
	memset(heap, 5, 1024 * 1024);
	TELL(heap[1024 * 1024 - 1] == 5);
	TELL((char *)syscall(SYS_brk, heap) == heap);
}

static void file_mappings(void)
{
	int fd = open("memory.tmp", O_RDWR | O_CREAT | O_TRUNC, 0600);
	char text[PAGE * 2 + 100], back[16] = "";
	for (size_t i = 0; i < sizeof text; i++)
		text[i] = (char)('A' + i % 23);
	SHOW(write(fd, text, sizeof text));
	char *shared = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	char *private = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	TELL(memcmp(shared, text, sizeof text) == 0);
	TELL(shared[sizeof text] == 0 && shared[3 * PAGE - 1] == 0);
	memcpy(shared + PAGE, "through memory", 14);
	TELL(pread(fd, back, 14, PAGE) == 14 && memcmp(back, "through memory", 14) == 0);
	TELL(memcmp(private + PAGE, "through memory", 14) == 0);
	memcpy(private, "mine alone", 10);
	TELL(pread(fd, back, 10, 0) == 10 && memcmp(back, text, 10) == 0);
	SHOW(pwrite(fd, "by write", 8, 100));
	TELL(memcmp(shared + 100, "by write", 8) == 0);
	SHOW(msync(shared, 3 * PAGE, MS_SYNC));
	SHOW(ftruncate(fd, PAGE));
	victim = shared + PAGE + 5;
	show_child("read behind the end of a truncated file", read_victim);
	SHOW(ftruncate(fd, 2 * PAGE));
	TELL(shared[PAGE + 5] == 0);
	SHOW_OK(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 123));
	close(fd);
	TELL(shared[1] == text[1]);
	munmap(shared, 3 * PAGE);
	munmap(private, 3 * PAGE);
	fd = open("memory.tmp", O_RDONLY);
	SHOW_OK(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
	close(fd);
	fd = open("memory.tmp", O_WRONLY);
	SHOW_OK(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0));
	close(fd);
	unlink("memory.tmp");
}

/* ---- what children get, and limits ---- */

#ifndef MADV_WIPEONFORK
#define MADV_WIPEONFORK 18
#define MADV_KEEPONFORK 19
#endif

static char *five; /* pages */

static void of_child(void)
{
	unsigned char resident;
	for (int i = 0; i < 5; i++) {
		int mapped = mincore(five + i * PAGE, PAGE, &resident) == 0;
		printf("page %d: %s %d\n", i, mapped ? "mapped" : "missing", mapped ? five[i * PAGE] : 0);
	}
	SHOW(munmap(five, 5 * PAGE));
}

static void at_fork(void)
{
	five = mmap(NULL, 5 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (int i = 0; i < 5; i++)
		five[i * PAGE] = (char)(i + 1);
	SHOW(madvise(five + PAGE, 2 * PAGE, MADV_DONTFORK));
	SHOW(madvise(five + 2 * PAGE, PAGE, MADV_DOFORK));
	SHOW(madvise(five + 3 * PAGE, 2 * PAGE, MADV_WIPEONFORK));
	SHOW(madvise(five + 4 * PAGE, PAGE, MADV_KEEPONFORK));
	show_child("child", of_child);
	show_child("the next", of_child);
	for (int i = 0; i < 5; i++)
		printf("still %d\n", five[i * PAGE]);
	SHOW(madvise(five, 5 * PAGE, MADV_DOFORK));
	SHOW(madvise(five, 5 * PAGE, MADV_KEEPONFORK));
	show_child("undone", of_child);
	SHOW(munmap(five + 2 * PAGE, PAGE));
	SHOW(madvise(five, 5 * PAGE, MADV_DONTFORK));
	SHOW(madvise(five, 5 * PAGE, MADV_DOFORK));
	SHOW(madvise(five, 5 * PAGE, MADV_WIPEONFORK));
	SHOW(munmap(five, 5 * PAGE));
	five = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	SHOW(madvise(five, PAGE, MADV_WIPEONFORK));
	SHOW(madvise(five, PAGE, MADV_DONTFORK));
	SHOW(munmap(five, PAGE));
}

static void once_more(void)
{
	char *shared = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char *private = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (int i = 0; i < 3; i++)
		shared[i * PAGE] = (char)('a' + i);
	SHOW(mremap(private, 0, PAGE, MREMAP_MAYMOVE));
	SHOW(mremap(shared, 0, PAGE, 0));
	SHOW(mremap(shared, 0, 0, MREMAP_MAYMOVE));
	char *lost = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	SHOW(mremap(lost, 0, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, lost)); /* over itself */
	char *again = mremap(shared + PAGE, 0, 2 * PAGE, MREMAP_MAYMOVE);
	if (again == MAP_FAILED) {
		printf("no second mapping: %s\n", strerrorname(errno));
		return;
	}
	TELL(again != shared + PAGE);
	printf("%c %c\n", again[0], again[PAGE]);
	again[0] = 'z';
	shared[2 * PAGE] = 'y';
	printf("%c %c %c %c\n", shared[0], shared[PAGE], again[0], again[PAGE]);
	SHOW(munmap(shared, 3 * PAGE));
	printf("%c %c\n", again[0], again[PAGE]);
	SHOW(munmap(again, 2 * PAGE));
	SHOW(munmap(private, PAGE));
}

static void low(void)
{
	char *page = mmap((void *)PAGE, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
	                  -1, 0);
	printf("low page: %s\n", page == MAP_FAILED ? strerrorname(errno) : "ok");
	if (page != MAP_FAILED) {
		*page = 'x';
		printf("%c\n", *page);
		SHOW(munmap(page, PAGE));
	}
	page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *moved = mremap(page, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, (void *)PAGE);
	printf("moved there: %s\n", moved == MAP_FAILED ? strerrorname(errno) : "ok");
}

#define MIB (1l << 20)

static int maps(long size, int prot, int flags)
{
	void *at = mmap(NULL, (size_t)size, prot, flags | MAP_ANONYMOUS, -1, 0);
	return at == MAP_FAILED ? -1 : 0;
}

static void data_limit(void)
{
	struct rlimit limit = {4 * MIB, 4 * MIB};
	char *before = mmap(NULL, 8 * MIB, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *grows = mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	SHOW(setrlimit(RLIMIT_DATA, &limit));
	SHOW(maps(8 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE));
	SHOW(maps(8 * MIB, PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE));
	SHOW(maps(8 * MIB, PROT_READ, MAP_PRIVATE));
	SHOW(maps(8 * MIB, PROT_NONE, MAP_PRIVATE));
	SHOW(maps(8 * MIB, PROT_READ | PROT_WRITE, MAP_SHARED));
	SHOW(mprotect(before, 8 * MIB, PROT_READ | PROT_WRITE));
	SHOW(mprotect(before, MIB, PROT_READ | PROT_WRITE));
	TELL(mremap(grows, MIB, 6 * MIB, MREMAP_MAYMOVE) == MAP_FAILED && errno == ENOMEM);
	SHOW(munmap(grows, MIB));
	SHOW(maps(MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE));
	SHOW(maps(3 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE));
	SHOW(mprotect(before, MIB, PROT_READ));
	SHOW(maps(MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE));
	fflush(stdout);
	if (fork() == 0) { /* a child has the limit and what counts against it */
		SHOW(maps(3 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE));
		fflush(stdout);
		_exit(0);
	}
	wait(NULL);
	limit.rlim_cur = 0;
	SHOW(setrlimit(RLIMIT_DATA, &limit));
}

/* What moves counts once against a limit. */
static void space_limit(void)
{
	struct rlimit limit = {160 * MIB, 160 * MIB};
	char *grows = mmap(NULL, 80 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *above = mmap(grows - MIB, MIB, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	SHOW(setrlimit(RLIMIT_AS, &limit));
	SHOW(maps(90 * MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE));
	char *moved = mremap(grows, 80 * MIB, 100 * MIB, MREMAP_MAYMOVE);
	TELL(moved != MAP_FAILED);
	TELL(mremap(moved, 100 * MIB, 180 * MIB, MREMAP_MAYMOVE) == MAP_FAILED && errno == ENOMEM);
	munmap(above, MIB);
}

/* What is locked may not grow beyond the limit either, however it grows. */
static void locked_limit(void)
{
	struct rlimit limit = {64 * PAGE, 64 * PAGE};
	char *locked = mmap(NULL, 32 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	SHOW(setrlimit(RLIMIT_MEMLOCK, &limit));
	SHOW(setuid(65534));
	SHOW(mlock(locked, 32 * PAGE));
	TELL(mremap(locked, 32 * PAGE, 128 * PAGE, MREMAP_MAYMOVE) == MAP_FAILED && errno == EAGAIN);
	TELL(mremap(locked, 32 * PAGE, 48 * PAGE, MREMAP_MAYMOVE) != MAP_FAILED);
	SHOW(mlockall(MCL_FUTURE));
	char *end = sbrk(0);
	TELL(sbrk(128 * PAGE) == (void *)-1 && sbrk(0) == end);
}

/* What needs no memory may be larger than all of it. */
static void reservation_grows(void)
{
	char *reserved = mmap(NULL, MIB, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	reserved = mremap(reserved, MIB, 1ul << 44, MREMAP_MAYMOVE);
	TELL(reserved != MAP_FAILED);
	SHOW(munmap(reserved, 1ul << 44));
}

/* A reservation of nearly everything has no pages that could be brought in. */
static void nothing_to_populate(void)
{
	SHOW_OK(mmap(NULL, 1ul << 46, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_POPULATE,
	             -1, 0));
}

/* Mappings leave the stack the room that the limit promises. */
static int touch_far_below(void)
{
	char here;
	volatile char *far = (volatile char *)((uintptr_t)&here - 200 * MIB);
	*far = 1;
	return *far;
}

static void large_stack(rlim_t size)
{
	struct rlimit limit = {size, RLIM_INFINITY};
	SHOW(setrlimit(RLIMIT_STACK, &limit));
	execl("/proc/self/exe", "memory", "stack", NULL);
}

/* It can be used up to nearly its end. */
static void stack_of_201_mib(void)
{
	large_stack(201 * MIB);
}

static void stack_without_a_limit(void)
{
	large_stack(RLIM_INFINITY);
}

static int deep(int depth)
{
	volatile char frame[2048];
	memset((char *)frame, depth, sizeof frame);
	return depth == 0 ? 0 : deep(depth - 1) + frame[100] - (char)depth + 1;
}

static void overflow(void)
{
	volatile int depth = 100000000;
	printf("%d\n", deep(depth));
}

int main(int count, char **arguments)
{
	(void)arguments;
	setvbuf(stdout, NULL, _IONBF, 0);
	if (count > 1) {
		printf("far below: %d\n", touch_far_below());
		char *mapped = map(3, PROT_READ | PROT_WRITE, MAP_PRIVATE);
		TELL((uintptr_t)mapped % PAGE == 0);
		SHOW(munmap(mapped + PAGE, PAGE));
		struct timespec now;
		SHOW(clock_gettime(CLOCK_MONOTONIC, &now));
		return 0;
	}
	protections();
	copy_on_write();
	remapping();
	file_mappings();
	at_fork();
	once_more();
	show_child("low", low);
	show_child("data", data_limit);
	show_child("space", space_limit);
	show_child("locked", locked_limit);
	reservation_grows();
	nothing_to_populate();
	show_child("large stack", stack_of_201_mib);
	show_child("stack without a limit", stack_without_a_limit);
	TELL(deep(2000) == 2000);
	show_child("stack overflow", overflow);
	return 0;
}
