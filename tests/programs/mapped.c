/* SPDX-License-Identifier: MIT */
/* mapped [FILE]: one page cache: what mappings, reads and writes see of each other, of the end of a file and
 * of the disk. */
#include "check.h"
#include <setjmp.h>
#include <sys/uio.h>

#define PAGE 4096

static unsigned char *map(int fd, size_t size, int prot, int flags)
{
	unsigned char *address = mmap(NULL, size, prot, flags, fd, 0);
	if (address == MAP_FAILED) {
		printf("mmap: %s\n", strerrorname(errno));
		exit(1);
	}
	return address;
}

static int fresh(const char *name, size_t pages)
{
	int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0644);
	unsigned char page[PAGE];
	for (size_t i = 0; i < pages; i++) {
		memset(page, 'a' + (int)i, sizeof page);
		if (write(fd, page, sizeof page) != PAGE)
			printf("write: %s\n", strerrorname(errno));
	}
	return fd;
}

static sigjmp_buf back;

static void handler(int signal, siginfo_t *info, void *context)
{
	(void)context;
	siglongjmp(back, signal == SIGBUS ? 1 + (info->si_code == BUS_ADRERR) : 3);
}

/* 0: it can be touched; 1, 2: SIGBUS, with another code or BUS_ADRERR; 3: SIGSEGV. */
static int touch(volatile unsigned char *address, int write)
{
	int result = sigsetjmp(back, 1);
	if (result)
		return result;
	if (write)
		*address = 'T';
	else
		(void)*address;
	return 0;
}

static void coherence(void)
{
	unsigned char byte, three[3] = "xyz";
	int fd = fresh("mapped.1", 3), other = open("mapped.1", O_RDONLY);
	unsigned char *shared = map(fd, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);
	unsigned char *again = map(other, 3 * PAGE, PROT_READ, MAP_SHARED);
	unsigned char *private = map(fd, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	shared[5000] = 'M';
	TELL(pread(other, &byte, 1, 5000) == 1 && byte == 'M');
	TELL(again[5000] == 'M' && private[5000] == 'M');
	SHOW(pwrite(fd, three, 3, PAGE - 1));
	TELL(shared[PAGE - 1] == 'x' && again[PAGE] == 'y' && private[PAGE + 1] == 'z');
	private[0] = 'P';
	TELL(shared[0] == 'a' && private[0] == 'P');
	SHOW(pwrite(fd, three, 3, 1));
	TELL(shared[1] == 'x' && private[1] == 'a');
	if (fork() == 0) {
		shared[2 * PAGE] = 'C';
		_exit(0);
	}
	wait(NULL);
	TELL(pread(other, &byte, 1, 2 * PAGE) == 1 && byte == 'C');
	/* A write whose bytes come from a mapping of the same file. */
	SHOW(pwrite(fd, shared + 2 * PAGE, PAGE, 10));
	TELL(shared[10] == 'C' && shared[11] == 'c' && shared[PAGE + 9] == 'c');
	munmap(shared, 3 * PAGE);
	munmap(again, 3 * PAGE);
	munmap(private, 3 * PAGE);
	close(fd);
	close(other);
}

static void ends(void)
{
	unsigned char byte;
	int fd = fresh("mapped.2", 4);
	unsigned char *shared = map(fd, 6 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);
	unsigned char *private = map(fd, 6 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
	sigaction(SIGBUS, &action, NULL);
	sigaction(SIGSEGV, &action, NULL);
	SHOW(touch(shared + 3 * PAGE, 1));
	SHOW(touch(private + 3 * PAGE, 1));
	SHOW(touch(shared + 4 * PAGE, 0));
	SHOW(ftruncate(fd, PAGE + 100));
	SHOW(touch(shared + PAGE + 4000, 1));
	SHOW(touch(shared + 2 * PAGE, 0));
	SHOW(touch(shared + 3 * PAGE, 1));
	SHOW(touch(private + 3 * PAGE, 0));
	TELL(shared[PAGE + 99] == 'b' && shared[PAGE + 100] == 0);
	/* What was written behind the end is not in the file. */
	SHOW(ftruncate(fd, 3 * PAGE));
	SHOW(touch(shared + 2 * PAGE, 0));
	TELL(pread(fd, &byte, 1, 2 * PAGE) == 1 && byte == 0);
	TELL(shared[2 * PAGE] == 0 && shared[PAGE + 200] == 0);
	shared[2 * PAGE] = 'n';
	TELL(pread(fd, &byte, 1, 2 * PAGE) == 1 && byte == 'n');
	SHOW(touch(shared + 3 * PAGE, 0));
	SHOW(pwrite(fd, "e", 1, 5 * PAGE + 7));
	SHOW(touch(shared + 5 * PAGE, 1));
	TELL(pread(fd, &byte, 1, 5 * PAGE) == 1 && byte == 'T');
	TELL(lseek(fd, 0, SEEK_END) == 5 * PAGE + 8);
	munmap(shared, 6 * PAGE);
	munmap(private, 6 * PAGE);
	close(fd);
	fd = open("mapped.2", O_RDONLY);
	SHOW_OK(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED ? -1 : 0);
	shared = map(fd, PAGE, PROT_READ, MAP_SHARED);
	SHOW(mprotect(shared, PAGE, PROT_READ | PROT_WRITE));
	SHOW(touch(shared, 1));
	close(fd);
}

static void syncing(void)
{
	unsigned char byte = 's';
	int fd = open("mapped.3", O_RDWR | O_CREAT | O_TRUNC | O_SYNC, 0644),
	    data = open("mapped.3", O_RDWR | O_DSYNC), ends_[2];
	TELL((fcntl(fd, F_GETFL) & O_SYNC) == O_SYNC);
	TELL((fcntl(data, F_GETFL) & O_SYNC) == O_DSYNC);
	SHOW(write(fd, "one", 3));
	SHOW(pwrite(data, "two", 3, 10000));
	SHOW(fdatasync(data));
	SHOW(fsync(fd));
	unsigned char *shared = map(fd, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);
	shared[0] = byte;
	SHOW(msync(shared, 3 * PAGE, MS_SYNC));
	SHOW(msync(shared, 3 * PAGE, MS_ASYNC));
	SHOW(msync(shared, 3 * PAGE, MS_SYNC | MS_INVALIDATE));
	SHOW(msync(shared, 3 * PAGE, MS_SYNC | MS_ASYNC));
	SHOW(msync(shared + 1, PAGE, MS_SYNC));
	SHOW(msync(shared, 3 * PAGE, 64));
	munmap(shared + PAGE, PAGE);
	SHOW(msync(shared, 3 * PAGE, MS_SYNC));
	SHOW(sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE));
	SHOW(sync_file_range(fd, 0, PAGE,
	                     SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE |
	                             SYNC_FILE_RANGE_WAIT_AFTER));
	SHOW(sync_file_range(fd, -1, PAGE, SYNC_FILE_RANGE_WRITE));
	SHOW(sync_file_range(fd, 0, -1, SYNC_FILE_RANGE_WRITE));
	SHOW(sync_file_range(fd, 0, PAGE, 8));
	SHOW(sync_file_range(99, 0, 0, 0));
	if (pipe(ends_) == 0) {
		SHOW(sync_file_range(ends_[0], 0, 0, SYNC_FILE_RANGE_WRITE));
		SHOW(fsync(ends_[0]));
		SHOW(fdatasync(ends_[1]));
	}
	SHOW(fsync(99));
	close(fd);
	close(data);
}

static void direct(void)
{
	static unsigned char memory[4 * PAGE] __attribute__((aligned(PAGE)));
	unsigned char byte = 0;
	int fd = open("mapped.4", O_RDWR | O_CREAT | O_TRUNC | O_DIRECT, 0644),
	    other = open("mapped.4", O_RDWR);
	TELL(fd >= 0 && fcntl(fd, F_GETFL) & O_DIRECT);
	unsigned char *shared = map(other, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);
	memset(memory, 'd', sizeof memory);
	SHOW(pwrite(fd, memory, 2 * PAGE, 0));
	TELL(shared[PAGE] == 'd' && pread(other, &byte, 1, 5) == 1 && byte == 'd');
	SHOW(pwrite(fd, memory, 100, 0));
	SHOW(pwrite(fd, memory, 512, 100));
	SHOW(pread(fd, memory, 100, 0));
	SHOW(pread(fd, memory, PAGE, 7));
	struct iovec parts[2] = {{memory, PAGE}, {memory + PAGE, PAGE}};
	SHOW(preadv(fd, parts, 2, 0));
	shared[PAGE + 1] = 'm';
	SHOW(pread(fd, memory, PAGE, PAGE));
	TELL(memory[1] == 'm' && memory[2] == 'd');
	SHOW(pwrite(other, "tail", 4, 2 * PAGE));
	SHOW(pread(fd, memory, 4 * PAGE, PAGE));
	SHOW(pread(fd, memory, PAGE, 8 * PAGE));
	SHOW(fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_DIRECT));
	SHOW(pwrite(fd, memory + 1, 100, 3));
	close(fd);
	close(other);
}

static unsigned char *area; /* 16 pages, alone among pages that nobody may touch */

/* Which regions it is made of, in pages. */
static void show_regions(const char *what)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	unsigned char *start, *end;
	char line[512], rights[5];

	printf("%s:", what);
	while (fgets(line, sizeof line, maps))
		if (sscanf(line, "%p-%p %4s", (void **)&start, (void **)&end, rights) == 3 && start >= area &&
		    end <= area + 16 * PAGE)
			printf(" %d-%d %s", (int)((start - area) / PAGE), (int)((end - area) / PAGE), rights);
	printf("\n");
	fclose(maps);
}

static void put(size_t page, size_t pages, int flags, int fd, size_t offset)
{
	if (mmap(area + page * PAGE, pages * PAGE, PROT_READ | PROT_WRITE, flags | MAP_FIXED, fd,
	         (off_t)(offset * PAGE)) == MAP_FAILED)
		printf("mmap: %s\n", strerrorname(errno));
}

static void clear(void)
{
	mmap(area, 16 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

static void split_and_join(const char *what)
{
	SHOW(madvise(area + 3 * PAGE, PAGE, MADV_DONTFORK));
	SHOW(mprotect(area + 5 * PAGE, 2 * PAGE, PROT_READ));
	show_regions(what);
	SHOW(madvise(area + 3 * PAGE, PAGE, MADV_DOFORK));
	show_regions(what);
	SHOW(mprotect(area + 5 * PAGE, 2 * PAGE, PROT_READ | PROT_WRITE));
	show_regions(what);
	for (size_t page = 0; page < 8; page++)
		printf("%d ", area[page * PAGE]);
	printf("\n");
	clear();
}

/* What lies side by side and is alike is one region. */
static void joining(void)
{
	int fd = fresh("mapped.5", 8);

	area = map(-1, 48 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS);
	mprotect(area + 15 * PAGE, PAGE, PROT_READ); /* apart from what is beside the area */
	mprotect(area + 32 * PAGE, PAGE, PROT_READ);
	area += 16 * PAGE;
	put(0, 8, MAP_PRIVATE, fd, 0);
	split_and_join("a file's, private");
	put(0, 8, MAP_SHARED, fd, 0);
	split_and_join("a file's, shared");
	put(0, 8, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	split_and_join("shared memory");
	put(0, 8, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	split_and_join("memory");

	put(2, 1, MAP_PRIVATE, fd, 2);
	put(1, 1, MAP_PRIVATE, fd, 1);
	put(3, 1, MAP_PRIVATE, fd, 3);
	put(5, 1, MAP_PRIVATE, fd, 5);
	put(4, 1, MAP_PRIVATE, fd, 4);
	put(0, 1, MAP_PRIVATE, fd, 1);
	put(6, 1, MAP_SHARED, fd, 6);
	show_regions("pages of a file");
	for (size_t page = 0; page < 7; page++)
		printf("%c ", area[page * PAGE]);
	printf("\n");
	clear();
	for (size_t page = 12; page > 4; page -= 2)
		put(page, 1, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	show_regions("pages of memory");
	for (size_t page = 11; page > 3; page -= 2)
		put(page, 1, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	show_regions("pages of memory");
	SHOW(munmap(area + 7 * PAGE, PAGE));
	show_regions("pages of memory");
	close(fd);
	unlink("mapped.5");
}

/* A hole is filled through a mapping until the disk is full: SIGBUS, and what was filled stays. */
static int fill(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0644), result = 0;
	size_t pages = 16384, filled = 0;
	unsigned char byte;
	SHOW(ftruncate(fd, (off_t)(pages * PAGE)));
	unsigned char *shared = map(fd, pages * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED);
	struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
	sigaction(SIGBUS, &action, NULL);
	while (filled < pages && !(result = touch(shared + filled * PAGE, 1)))
		filled++;
	TELL(result == 2 && filled > 100 && filled < pages);
	SHOW(fsync(fd));
	SHOW(touch(shared, 1));
	TELL(pread(fd, &byte, 1, (off_t)((filled - 1) * PAGE)) == 1 && byte == 'T');
	TELL(pread(fd, &byte, 1, (off_t)(filled * PAGE)) == 1 && byte == 0);
	SHOW(ftruncate(fd, PAGE));
	SHOW(pwrite(fd, "room", 4, 100 * PAGE));
	SHOW(fsync(fd));
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 2)
		return fill(argv[1]);
	coherence();
	ends();
	syncing();
	direct();
	joining();
	for (char name[] = "mapped.1"; name[7] <= '4'; name[7]++)
		unlink(name);
	return 0;
}
