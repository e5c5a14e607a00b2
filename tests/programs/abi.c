/* SPDX-License-Identifier: MIT */
/* Flags, commands and options of system calls that Debian's programs use, each with what is just beside it: a
 * wrong flag, an argument that is none. */
#include "check.h"
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/statfs.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <termios.h>
#include <time.h>

/* of Linux's own headers, which musl's compiler does not see */
enum {
	FICLONE_ = 0x40049409,
	FIGETBSZ_ = 2,
	GETSIZE64 = (int)0x80081272, /* BLKGETSIZE64 */
	NOREPLACE = 1,
	EXCHANGE = 2,
};
#define renameat2_(...) syscall(SYS_renameat2, __VA_ARGS__)

#define ADDRESS(value) ((void *)(uintptr_t)(value))

static int make(const char *name, const char *text)
{
	int fd = open(name, O_CREAT | O_TRUNC | O_RDWR, 0644);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		exit(1);
	lseek(fd, 0, SEEK_SET);
	return fd;
}

static void opens(void)
{
	int fd = make("abi.tmp", "text");
	SHOW(open("abi.tmp", O_CREAT | O_EXCL | O_RDWR, 0600));
	SHOW_OK(open("abi.tmp", O_RDONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC | O_LARGEFILE));
	SHOW(open("abi.tmp", O_RDONLY | O_DIRECTORY));
	SHOW(open(".", O_WRONLY));
	SHOW(open(".", O_RDONLY | O_CREAT, 0600));
	SHOW(open("abi.none/", O_RDWR | O_CREAT, 0600));
	SHOW(open("abi.tmp/", O_RDONLY));
	SHOW(open("", O_RDONLY));
	symlink("abi.tmp", "abi.link");
	SHOW(open("abi.link", O_RDONLY | O_NOFOLLOW));
	SHOW_OK(open("abi.link", O_RDONLY | O_NOFOLLOW | O_PATH));
	SHOW(open("abi.link", O_CREAT | O_EXCL | O_WRONLY, 0600));
	int path = open("abi.tmp", O_PATH | O_CLOEXEC);
	char byte;
	struct stat status;
	SHOW(read(path, &byte, 1));
	SHOW(fstat(path, &status));
	SHOW(fcntl(path, F_GETFD));
	SHOW(fcntl(path, F_GETFL) & O_PATH ? 1 : 0);
	SHOW(fchmod(path, 0600));
	SHOW(ioctl(path, FIONREAD, &byte));
	SHOW_OK(openat(path, "x", O_RDONLY));
	close(path);
	int append = open("abi.tmp", O_WRONLY | O_APPEND);
	SHOW(pwrite(append, "+", 1, 0));
	SHOW(lseek(append, 0, SEEK_CUR));
	SHOW(fstat(append, &status) == 0 ? status.st_size : -1);
	close(append);
	SHOW(open("abi.tmp", O_RDONLY | O_TRUNC) >= 0);
	SHOW(fstat(fd, &status) == 0 ? status.st_size : -1);
	close(fd);
	unlink("abi.link");
	unlink("abi.tmp");
}

static void descriptors(void)
{
	int fd = make("abi.tmp", "0123456789");
	SHOW(fcntl(fd, F_GETFL) & (O_ACCMODE | O_APPEND | O_NONBLOCK));
	SHOW(fcntl(fd, F_SETFL, O_APPEND | O_NONBLOCK | O_WRONLY | O_CREAT));
	SHOW(fcntl(fd, F_GETFL) & (O_ACCMODE | O_APPEND | O_NONBLOCK | O_CREAT));
	SHOW(fcntl(fd, F_SETFL, 0));
	SHOW(fcntl(fd, F_SETFD, FD_CLOEXEC));
	SHOW(fcntl(fd, F_GETFD));
	SHOW(fcntl(fd, F_SETFD, 0));
	SHOW(fcntl(fd, F_DUPFD, 100));
	SHOW(fcntl(fd, F_DUPFD_CLOEXEC, 100));
	SHOW(fcntl(101, F_GETFD));
	SHOW(fcntl(fd, F_DUPFD, -1));
	SHOW(fcntl(fd, F_DUPFD, 100000000));
	SHOW(fcntl(fd, 999));
	SHOW(fcntl(-1, F_GETFD));
	SHOW(dup3(fd, fd, 0));
	SHOW(dup3(fd, 200, O_NONBLOCK));
	SHOW(dup3(fd, 200, O_CLOEXEC));
	SHOW(dup2(fd, -1));
	SHOW(dup2(999, 3));
	SHOW(syscall(SYS_close_range, 100, 300, 0));
	SHOW(syscall(SYS_close_range, 300, 100, 0));
	SHOW(syscall(SYS_close_range, 300, 400, 64));
	SHOW(fcntl(200, F_GETFD));
	SHOW(ioctl(fd, FIOCLEX));
	SHOW(fcntl(fd, F_GETFD));
	SHOW(ioctl(fd, FIONCLEX));
	int on = 1, count = -1;
	SHOW(ioctl(fd, FIONBIO, &on));
	SHOW(fcntl(fd, F_GETFL) & O_NONBLOCK);
	SHOW(ioctl(fd, FIONREAD, &count));
	SHOW(count);
	SHOW(ioctl(fd, FIONREAD, ADDRESS(8)));
	SHOW(ioctl(fd, FIGETBSZ_, &count) == 0 && count > 0);
	struct winsize size;
	struct termios terminal;
	SHOW(ioctl(fd, TIOCGWINSZ, &size));
	SHOW(ioctl(fd, TCGETS, &terminal));
	SHOW(ioctl(fd, GETSIZE64, &size));
	SHOW(ioctl(fd, 0x301, &size));  /* HDIO_GETGEO */
	SHOW(ioctl(fd, 0x5600, &size)); /* VT_OPENQRY */
	SHOW(ioctl(fd, 0xdeadbeef, 0));
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 2, .l_len = 3};
	SHOW(fcntl(fd, F_SETLK, &lock));
	lock.l_type = 7;
	SHOW(fcntl(fd, F_SETLK, &lock));
	lock = (struct flock){.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = -1, .l_len = 3};
	SHOW(fcntl(fd, F_SETLK, &lock));
	lock = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_END, .l_start = 0, .l_len = -4};
	SHOW(fcntl(fd, F_GETLK, &lock));
	SHOW(lock.l_type);
	SHOW(fcntl(fd, F_GETLK, ADDRESS(8)));
	SHOW(lseek(fd, -1, SEEK_SET));
	SHOW(lseek(fd, 5, SEEK_END));
	SHOW(lseek(fd, -2, SEEK_CUR));
	SHOW(lseek(fd, 0, 77));
	SHOW(lseek(fd, 0, SEEK_DATA));
	SHOW(lseek(fd, 0, SEEK_HOLE));
	SHOW(lseek(fd, 10, SEEK_DATA));
	SHOW(lseek(fd, 11, SEEK_HOLE));
	SHOW(lseek(fd, -1, SEEK_DATA));
	ftruncate(fd, 1 << 20);
	SHOW(pwrite(fd, "x", 1, (1 << 20) - 1));
	SHOW(posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL));
	SHOW(posix_fadvise(fd, 0, 0, 77));
	int ends[2];
	pipe(ends);
	SHOW(posix_fadvise(ends[0], 0, 0, POSIX_FADV_SEQUENTIAL));
	SHOW(lseek(ends[0], 0, SEEK_CUR));
	SHOW(fallocate(fd, 0, 0, 0));
	SHOW(fallocate(fd, 0, -1, 10));
	SHOW(fallocate(fd, 2 /* PUNCH_HOLE without KEEP_SIZE */, 0, 4096));
	SHOW(fallocate(ends[1], 0, 0, 10));
	SHOW(ftruncate(ends[1], 0));
	SHOW(ftruncate(fd, -1));
	SHOW(fsync(ends[0]));
	SHOW(fdatasync(fd));
	SHOW(syscall(SYS_pipe2, ends, 0x10));
	SHOW(syscall(SYS_pipe2, ADDRESS(8), 0));
	close(fd);
	unlink("abi.tmp");
}

static void vectors(void)
{
	int fd = make("abi.tmp", "0123456789");
	char a[4] = "", b[4] = "";
	struct iovec parts[3] = {{a, 3}, {NULL, 0}, {b, 3}};
	SHOW(readv(fd, parts, 3));
	printf("%s %s\n", a, b);
	SHOW(syscall(SYS_readv, fd, parts, -1));
	SHOW(syscall(SYS_readv, fd, parts, 1025));
	SHOW(readv(fd, parts, 0));
	SHOW(syscall(SYS_readv, fd, ADDRESS(8), 1));
	SHOW(preadv(fd, parts, 3, 8));
	SHOW(syscall(SYS_preadv2, fd, parts, 3, 1, 0, 0));
	SHOW(syscall(SYS_preadv2, fd, parts, 3, 0, 0, 0x8000));
	SHOW(syscall(SYS_pwritev2, fd, parts, 3, 4, 0, 0x10)); /* RWF_APPEND */
	SHOW(syscall(SYS_pwritev2, fd, parts, 3, 4, 0, 2));    /* RWF_DSYNC */
	SHOW(lseek(fd, 0, SEEK_END));
	SHOW(syscall(SYS_preadv2, fd, parts, 3, -1, -1, 0));
	parts[0].iov_len = SSIZE_MAX;
	parts[2].iov_len = SSIZE_MAX;
	SHOW(writev(fd, parts, 3));
	SHOW(syscall(SYS_copy_file_range, fd, NULL, fd, NULL, 4, 1));
	int to = make("abi.to", "");
	loff_t from = 2;
	SHOW(syscall(SYS_copy_file_range, fd, &from, to, NULL, 4, 0));
	SHOW(from);
	SHOW(sendfile(to, fd, NULL, 100));
	off_t offset = 1;
	SHOW(sendfile(to, fd, &offset, 5));
	SHOW(offset);
	SHOW(ioctl(to, FICLONE_, fd) < 0 && (errno == EOPNOTSUPP || errno == EINVAL || errno == EXDEV));
	close(fd);
	close(to);
	unlink("abi.tmp");
	unlink("abi.to");
}

static void names(void)
{
	struct {
		uint32_t mask, words[9];
		uint64_t size, more[30];
	} information; /* struct statx */
	struct stat status;
	close(make("abi.tmp", "abc"));
	mkdir("abi.dir", 0755);
	SHOW(syscall(SYS_statx, AT_FDCWD, "abi.tmp", AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT, 0x200,
	             &information));
	SHOW(information.size);
	SHOW(syscall(SYS_statx, AT_FDCWD, "abi.tmp", 0x10000000, 0x200, &information));
	SHOW(syscall(SYS_statx, AT_FDCWD, "abi.tmp", 0x6000, 0x200, &information));
	SHOW(syscall(SYS_statx, AT_FDCWD, "abi.tmp", 0, 0x80000000u, &information));
	SHOW(syscall(SYS_statx, AT_FDCWD, "", AT_EMPTY_PATH, 0xfff, &information));
	SHOW(syscall(SYS_statx, AT_FDCWD, "", 0, 0xfff, &information));
	SHOW(fstatat(AT_FDCWD, "", &status, AT_EMPTY_PATH));
	SHOW(fstatat(AT_FDCWD, "abi.tmp", &status, 0x40000));
	SHOW(fstatat(999, "abi.tmp", &status, 0));
	SHOW(fstatat(999, "/", &status, 0));
	SHOW(fstatat(0, "", &status, AT_EMPTY_PATH));
	SHOW(syscall(SYS_faccessat2, AT_FDCWD, "abi.tmp", R_OK | X_OK, 0x200));
	SHOW(syscall(SYS_faccessat2, AT_FDCWD, "abi.tmp", R_OK, 0x1));
	SHOW(syscall(SYS_faccessat2, AT_FDCWD, "abi.tmp", 8, 0));
	SHOW(syscall(SYS_faccessat2, AT_FDCWD, "abi.none", F_OK, AT_SYMLINK_NOFOLLOW));
	SHOW(unlinkat(AT_FDCWD, "abi.dir", 0));
	SHOW(unlinkat(AT_FDCWD, "abi.tmp", AT_REMOVEDIR));
	SHOW(unlinkat(AT_FDCWD, "abi.tmp", 1));
	SHOW(renameat2_(AT_FDCWD, "abi.tmp", AT_FDCWD, "abi.dir", NOREPLACE));
	SHOW(renameat2_(AT_FDCWD, "abi.tmp", AT_FDCWD, "abi.dir", 0));
	SHOW(renameat2_(AT_FDCWD, "abi.dir", AT_FDCWD, "abi.tmp", 0));
	SHOW(renameat2_(AT_FDCWD, "abi.tmp", AT_FDCWD, "abi.none", EXCHANGE));
	SHOW(renameat2_(AT_FDCWD, "abi.tmp", AT_FDCWD, "abi.dir", EXCHANGE));
	SHOW(renameat2_(AT_FDCWD, "abi.tmp", AT_FDCWD, "abi.dir", EXCHANGE));
	SHOW(renameat2_(AT_FDCWD, "abi.tmp", AT_FDCWD, "abi.dir", EXCHANGE | NOREPLACE));
	SHOW(renameat2_(AT_FDCWD, "abi.tmp", AT_FDCWD, "abi.new", 0x80));
	SHOW(rename("abi.tmp", "abi.tmp"));
	SHOW(rename("abi.dir", "abi.dir/below"));
	SHOW(rename(".", "abi.new"));
	SHOW(linkat(AT_FDCWD, "abi.tmp", AT_FDCWD, "abi.new", 0x1));
	SHOW(linkat(AT_FDCWD, "abi.dir", AT_FDCWD, "abi.new", 0));
	int fd = open("abi.tmp", O_RDONLY);
	char path[64];
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	SHOW(linkat(AT_FDCWD, path, AT_FDCWD, "abi.new", AT_SYMLINK_FOLLOW));
	SHOW(fstat(fd, &status) == 0 ? (long)status.st_nlink : -1);
	SHOW(unlink("abi.new"));
	SHOW(linkat(fd, "", AT_FDCWD, "abi.new", AT_EMPTY_PATH));
	unlink("abi.new");
	SHOW(fchmodat(AT_FDCWD, "abi.tmp", 0640, 0));
	SHOW(fchownat(AT_FDCWD, "abi.tmp", -1, -1, AT_SYMLINK_NOFOLLOW));
	SHOW(fchownat(fd, "", -1, -1, AT_EMPTY_PATH));
	SHOW(fchownat(AT_FDCWD, "abi.tmp", -1, -1, 0x40000));
	struct timespec times[2] = {{0, UTIME_OMIT}, {0, UTIME_OMIT}};
	SHOW(utimensat(AT_FDCWD, "abi.tmp", times, 0));
	SHOW(utimensat(AT_FDCWD, "abi.tmp", times, 0x40000));
	times[0].tv_nsec = 1000000000;
	SHOW(utimensat(AT_FDCWD, "abi.tmp", times, 0));
	SHOW(futimens(fd, NULL));
	SHOW(mkdirat(AT_FDCWD, "abi.dir", 0755));
	SHOW(mkdir("abi.none/x", 0755));
	SHOW(mknodat(AT_FDCWD, "abi.fifo", S_IFIFO | 0600, 0));
	SHOW(mknodat(AT_FDCWD, "abi.node", S_IFDIR | 0600, 0));
	SHOW(mknodat(AT_FDCWD, "abi.node", 0600, 0));
	SHOW(mknodat(AT_FDCWD, "abi.socket", S_IFSOCK | 0600, 0));
	SHOW(open("abi.socket", O_RDWR));
	SHOW(readlinkat(AT_FDCWD, "abi.tmp", path, sizeof path));
	SHOW(readlinkat(AT_FDCWD, "/proc/self/exe", path, 0));
	struct statfs system;
	SHOW(statfs("abi.none", &system));
	SHOW(fstatfs(fd, &system));
	SHOW(syscall(SYS_getdents64, fd, path, sizeof path));
	int directory = open(".", O_RDONLY | O_DIRECTORY);
	SHOW(syscall(SYS_getdents64, directory, path, 5));
	SHOW(syscall(SYS_getdents64, directory, ADDRESS(8), 4096));
	SHOW(fchdir(fd));
	SHOW(chroot("abi.tmp"));
	SHOW(umask(022));
	close(fd);
	close(directory);
	unlink("abi.fifo");
	unlink("abi.node");
	unlink("abi.socket");
	unlink("abi.tmp");
	rmdir("abi.dir");
}

static void memory(void)
{
	size_t page = 4096;
	int fd = make("abi.tmp", "mapped");
	char *private = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_DENYWRITE, fd, 0);
	char *shared = mmap(NULL, page, PROT_READ, MAP_SHARED, fd, 0);
	TELL(!memcmp(private, shared, 6));
	private[0] = 'M';
	TELL(shared[0] == 'm');
	char *nothing = mmap(NULL, page * 4, PROT_NONE,
	                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);
	SHOW(mprotect(nothing, page, PROT_READ | PROT_WRITE | PROT_EXEC));
	SHOW(mprotect(nothing + 1, page, PROT_READ));
	SHOW(mprotect(nothing, page, 0x100));
	SHOW(mprotect(nothing, page, PROT_GROWSDOWN));
	SHOW(mprotect(ADDRESS(0x10000), page, PROT_READ));
	SHOW(mmap(nothing, page, PROT_READ, MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS, -1, 0) == nothing);
	SHOW(mmap(nothing, page, PROT_READ, MAP_PRIVATE | MAP_FIXED_NOREPLACE | MAP_ANONYMOUS, -1, 0) ==
	                     MAP_FAILED
	             ? errno
	             : 0);
	SHOW_OK(mmap(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	SHOW_OK(mmap(NULL, page, PROT_READ, MAP_ANONYMOUS, -1, 0));
	SHOW_OK(mmap(NULL, page, PROT_READ, MAP_PRIVATE, 999, 0));
	SHOW_OK(mmap(NULL, page, PROT_READ, MAP_PRIVATE, fd, 1));
	SHOW_OK(mmap(NULL, page, PROT_READ, MAP_SHARED_VALIDATE | 0x80000000, fd, 0));
	int read_only = open("abi.tmp", O_RDONLY), write_only = open("abi.tmp", O_WRONLY);
	SHOW_OK(mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, read_only, 0));
	SHOW_OK(mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE, write_only, 0));
	char *locked_out = mmap(NULL, page, PROT_READ, MAP_SHARED, read_only, 0);
	SHOW(mprotect(locked_out, page, PROT_READ | PROT_WRITE));
	SHOW(madvise(nothing, page, MADV_DONTNEED));
	SHOW(madvise(nothing, page, MADV_FREE));
	SHOW(madvise(nothing + 1, page, MADV_DONTNEED));
	SHOW(madvise(nothing, page, 999));
	SHOW(madvise(ADDRESS(0x10000), page, MADV_DONTNEED));
	SHOW(madvise(nothing, 0, MADV_DONTNEED));
	SHOW(madvise(shared, page, MADV_FREE));
	SHOW_OK(mremap(nothing, page * 4, page * 2, 0));
	SHOW_OK(mremap(nothing, page, page * 8, MREMAP_MAYMOVE));
	SHOW_OK(mremap(ADDRESS(0x10000), page, page * 8, MREMAP_MAYMOVE));
	SHOW_OK(mremap(nothing, page, 0, MREMAP_MAYMOVE));
	SHOW_OK(mremap(nothing, page, page, 0x80));
	SHOW_OK(mremap(nothing, page, page, MREMAP_FIXED, nothing));
	SHOW(munmap(nothing + 1, page));
	SHOW(munmap(nothing, 0));
	SHOW(munmap(private, page));
	SHOW(munmap(private, page));
	SHOW(msync(shared, page, MS_SYNC | MS_ASYNC));
	SHOW(msync(shared, page, MS_SYNC));
	SHOW(msync(private, page, MS_SYNC));
	close(fd);
	unlink("abi.tmp");
}

static void limits(void)
{
	struct rlimit limit;
	static const int which[] = {RLIMIT_STACK,  RLIMIT_FSIZE,      RLIMIT_CORE,    RLIMIT_DATA,
	                            RLIMIT_NICE,   RLIMIT_SIGPENDING, RLIMIT_MEMLOCK, RLIMIT_RSS,
	                            RLIMIT_NOFILE, RLIMIT_MSGQUEUE,   RLIMIT_RTPRIO,  RLIMIT_CPU,
	                            RLIMIT_NPROC,  RLIMIT_AS,         RLIMIT_LOCKS,   RLIMIT_RTTIME};
	for (size_t i = 0; i < sizeof which / sizeof which[0]; i++)
		SHOW(syscall(SYS_prlimit64, 0, which[i], NULL, &limit));
	SHOW(syscall(SYS_prlimit64, 0, 16, NULL, &limit));
	SHOW(syscall(SYS_prlimit64, 999999, RLIMIT_AS, NULL, &limit));
	limit = (struct rlimit){5, 4};
	SHOW(syscall(SYS_prlimit64, 0, RLIMIT_CORE, &limit, NULL));
	limit = (struct rlimit){64, RLIM_INFINITY};
	SHOW(syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, &limit, NULL));
	SHOW(syscall(SYS_prlimit64, 0, RLIMIT_CORE, ADDRESS(8), NULL));
	struct rusage usage;
	SHOW(getrusage(RUSAGE_SELF, &usage));
	SHOW(getrusage(RUSAGE_CHILDREN, &usage));
	SHOW(getrusage(RUSAGE_THREAD, &usage));
	SHOW(getrusage(77, &usage));
	SHOW(getpriority(PRIO_PROCESS, 0));
	SHOW(getpriority(PRIO_PGRP, 0));
	SHOW(getpriority(77, 0));
	SHOW(getpriority(PRIO_PROCESS, 999999));
	SHOW(setpriority(PRIO_PROCESS, 0, 3));
	SHOW(getpriority(PRIO_PROCESS, 0));
	SHOW(setpriority(PRIO_PROCESS, 0, 100));
	SHOW(getpriority(PRIO_PROCESS, 0));
	SHOW(syscall(SYS_ioprio_get, 1, 0) >= 0);
	SHOW(syscall(SYS_ioprio_get, 7, 0));
	cpu_set_t set;
	SHOW(syscall(SYS_sched_getaffinity, 0, sizeof set, &set) > 0);
	SHOW(syscall(SYS_sched_getaffinity, 0, 3, &set));
	SHOW(syscall(SYS_sched_getaffinity, 999999, sizeof set, &set));
	CPU_ZERO(&set);
	SHOW(syscall(SYS_sched_setaffinity, 0, sizeof set, &set));
}

static void processes(void)
{
	char name[16] = "";
	SHOW(prctl(PR_SET_NAME, "a name that is far too long"));
	SHOW(prctl(PR_GET_NAME, name));
	printf("%s\n", name);
	SHOW(prctl(PR_SET_NAME, ADDRESS(8)));
	SHOW(prctl(PR_GET_DUMPABLE));
	SHOW(prctl(PR_SET_DUMPABLE, 0));
	SHOW(prctl(PR_GET_DUMPABLE));
	SHOW(prctl(PR_SET_DUMPABLE, 2));
	SHOW(prctl(PR_SET_DUMPABLE, 1));
	SHOW(prctl(PR_CAPBSET_READ, 0));
	SHOW(prctl(PR_CAPBSET_READ, 99));
	SHOW(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, 0, 0, 0));
	SHOW(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, 99, 0, 0));
	SHOW(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0));
	SHOW(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 1, 0, 0));
	SHOW(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
	SHOW(prctl(PR_GET_NO_NEW_PRIVS, 1, 0, 0, 0));
	SHOW(prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0));
	SHOW(prctl(PR_GET_KEEPCAPS));
	SHOW(prctl(PR_SET_KEEPCAPS, 1));
	SHOW(prctl(PR_GET_KEEPCAPS));
	SHOW(prctl(PR_SET_KEEPCAPS, 2));
	SHOW(prctl(PR_SET_KEEPCAPS, 0));
	SHOW(prctl(PR_GET_SECUREBITS));
	SHOW(prctl(PR_GET_TIMERSLACK));
	SHOW(prctl(PR_SET_TIMERSLACK, 1000));
	SHOW(prctl(PR_GET_TIMERSLACK));
	SHOW(prctl(PR_SET_TIMERSLACK, 0));
	SHOW(prctl(PR_GET_TIMERSLACK));
	SHOW(prctl(PR_GET_SECCOMP));
	SHOW(prctl(PR_SET_PDEATHSIG, 65));
	SHOW(prctl(PR_GET_TSC, name));
	SHOW(prctl(999999));
	SHOW(syscall(SYS_wait4, -1, NULL, WNOHANG, NULL));
	SHOW(syscall(SYS_wait4, -1, NULL, WSTOPPED | WCONTINUED, NULL));
	SHOW(syscall(SYS_wait4, -1, NULL, 0x100, NULL));
	SHOW(syscall(SYS_wait4, INT_MIN, NULL, 0, NULL));
	SHOW(kill(0, 0));
	SHOW(kill(1, 65));
	SHOW(kill(999999, 0));
	SHOW(syscall(SYS_tgkill, getpid(), getpid(), 0));
	SHOW(syscall(SYS_tgkill, -1, getpid(), 0));
	SHOW(syscall(SYS_tgkill, getpid(), 999999, 0));
	SHOW(syscall(SYS_set_robust_list, name, 5));
	SHOW(syscall(SYS_getrandom, name, 8, 0));
	SHOW(syscall(SYS_getrandom, name, 8, 1));
	SHOW(syscall(SYS_getrandom, name, 8, 4));
	SHOW(syscall(SYS_getrandom, name, 8, 6));
	SHOW(syscall(SYS_getrandom, name, 8, 8));
	SHOW(syscall(SYS_getrandom, ADDRESS(8), 8, 0));
	SHOW(setpgid(0, -1));
	SHOW(setpgid(999999, 0));
	SHOW(getpgid(999999));
	SHOW(getsid(999999));
	SHOW(syscall(SYS_unshare, 0));
	SHOW(syscall(SYS_unshare, 1));
	SHOW(syscall(SYS_unshare, CLONE_FS | CLONE_FILES | CLONE_SYSVSEM));
	SHOW(syscall(SYS_unshare, CLONE_SIGHAND));
	SHOW(syscall(SYS_unshare, CLONE_THREAD));
	SHOW(syscall(SYS_unshare, CLONE_VM));
	SHOW(syscall(SYS_restart_syscall));
	SHOW(syscall(SYS_reboot, 1, 2, 3, 4));
}

static void no_handler(int signal)
{
	(void)signal;
}

static void clocks(void)
{
	struct timespec time = {0, 1000000};
	for (int clock = 0; clock < 8; clock++) {
		printf("clock %d: ", clock);
		SHOW(clock_gettime(clock, &time));
	}
	SHOW(clock_getres(CLOCK_MONOTONIC, NULL));
	SHOW(clock_getres(99, NULL));
	SHOW(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, ADDRESS(8)));
	time = (struct timespec){0, 1000000};
	SHOW(clock_nanosleep(CLOCK_MONOTONIC, 0, &time, NULL));
	SHOW(clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &time, NULL));
	SHOW(clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &time, NULL));
	SHOW(clock_nanosleep(99, 0, &time, NULL));
	time.tv_nsec = -1;
	SHOW(clock_nanosleep(CLOCK_REALTIME, 0, &time, NULL));
	SHOW(nanosleep(&time, NULL));
	struct itimerval timer = {.it_value = {100, 0}};
	SHOW(setitimer(ITIMER_REAL, &timer, NULL));
	SHOW(getitimer(ITIMER_REAL, &timer));
	SHOW(timer.it_value.tv_sec >= 99);
	SHOW(setitimer(7, &timer, NULL));
	timer.it_value.tv_usec = 1000000;
	SHOW(setitimer(ITIMER_REAL, &timer, NULL));
	SHOW(alarm(0) >= 99);
	timer_t id;
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
	SHOW(timer_create(CLOCK_REALTIME, &event, &id));
	struct itimerspec setting = {.it_value = {100, 0}};
	SHOW(timer_settime(id, 0, &setting, NULL));
	setting.it_value.tv_nsec = -1;
	SHOW(timer_settime(id, 0, &setting, NULL));
	SHOW(timer_delete(id));
	SHOW(syscall(SYS_timer_delete, 12345));
	event.sigev_signo = 99;
	SHOW(timer_create(CLOCK_REALTIME, &event, &id));
	SHOW(timer_create(99, NULL, &id));
}

static void signals(void)
{
	/* The kernel's own structure: what libc does not let through. */
	struct {
		void (*handler)(int);
		unsigned long flags;
		void (*restorer)(void);
		uint64_t mask;
	} action = {no_handler, 0x04000000 | SA_NODEFER | SA_RESETHAND | SA_ONSTACK | SA_SIGINFO, NULL, ~0ul},
	  old;
	SHOW(syscall(SYS_rt_sigaction, SIGUSR1, &action, NULL, 8));
	SHOW(syscall(SYS_rt_sigaction, SIGUSR1, NULL, &old, 8));
	printf("%lx %lx\n", old.flags, old.mask);
	SHOW(syscall(SYS_rt_sigaction, SIGUSR1, NULL, &old, 16));
	SHOW(syscall(SYS_rt_sigaction, SIGKILL, &action, NULL, 8));
	SHOW(syscall(SYS_rt_sigaction, SIGKILL, NULL, &old, 8));
	SHOW(syscall(SYS_rt_sigaction, 0, NULL, &old, 8));
	SHOW(syscall(SYS_rt_sigaction, 65, NULL, &old, 8));
	uint64_t set = ~0ul, before = 0;
	SHOW(syscall(SYS_rt_sigprocmask, SIG_SETMASK, &set, &before, 8));
	SHOW(syscall(SYS_rt_sigprocmask, SIG_UNBLOCK, NULL, &before, 8));
	printf("%lx\n", before);
	SHOW(syscall(SYS_rt_sigprocmask, 77, &set, NULL, 8));
	SHOW(syscall(SYS_rt_sigprocmask, 77, NULL, &before, 8));
	SHOW(syscall(SYS_rt_sigprocmask, SIG_BLOCK, &set, NULL, 4));
	struct timespec none = {0};
	set = 1ul << (SIGUSR2 - 1);
	siginfo_t info;
	SHOW(syscall(SYS_rt_sigtimedwait, &set, &info, &none, 8));
	kill(getpid(), SIGUSR2);
	SHOW(syscall(SYS_rt_sigtimedwait, &set, &info, &none, 8));
	SHOW(info.si_code);
	set = 0;
	SHOW(syscall(SYS_rt_sigprocmask, SIG_SETMASK, &set, NULL, 8));
	stack_t stack = {.ss_sp = malloc(65536), .ss_size = 100};
	SHOW(sigaltstack(&stack, NULL));
	stack.ss_size = 65536;
	stack.ss_flags = 0x40;
	SHOW(sigaltstack(&stack, NULL));
	stack.ss_flags = 0;
	SHOW(sigaltstack(&stack, NULL));
	SHOW(sigaltstack(NULL, &stack));
	SHOW(stack.ss_flags);
}

static void waits(void)
{
	struct epoll_event event = {.events = EPOLLIN};
	int set = epoll_create1(EPOLL_CLOEXEC), ends[2];
	SHOW(epoll_create1(1));
	SHOW(syscall(SYS_epoll_create, 0));
	SHOW(fcntl(set, F_GETFD));
	pipe(ends);
	int fd = make("abi.tmp", "x");
	SHOW(epoll_ctl(set, EPOLL_CTL_ADD, fd, &event));
	SHOW(epoll_ctl(set, EPOLL_CTL_ADD, set, &event));
	SHOW(epoll_ctl(set, EPOLL_CTL_ADD, 999, &event));
	SHOW(epoll_ctl(fd, EPOLL_CTL_ADD, ends[0], &event));
	SHOW(epoll_ctl(set, EPOLL_CTL_MOD, ends[0], &event));
	SHOW(epoll_ctl(set, EPOLL_CTL_ADD, ends[0], &event));
	SHOW(epoll_ctl(set, EPOLL_CTL_ADD, ends[0], &event));
	SHOW(epoll_ctl(set, 77, ends[0], &event));
	SHOW(epoll_ctl(set, EPOLL_CTL_MOD, ends[0], NULL));
	SHOW(epoll_wait(set, &event, 1, 0));
	SHOW(epoll_wait(set, &event, 0, 0));
	SHOW(syscall(SYS_epoll_wait, set, ADDRESS(8), 1, 0));
	SHOW(epoll_ctl(set, EPOLL_CTL_DEL, ends[0], NULL));
	SHOW(epoll_ctl(set, EPOLL_CTL_DEL, ends[0], NULL));
	struct {
		int fd;
		short events, revents;
	} polled[2] = {{ends[1], 4, 0}, {999, 1, 0}};
	SHOW(syscall(SYS_poll, polled, 2, 0));
	SHOW(polled[1].revents);
	SHOW(syscall(SYS_poll, polled, 1000000000, 0));
	SHOW(syscall(SYS_poll, ADDRESS(8), 1, 0));
	struct timespec bad = {-1, 0};
	SHOW(syscall(SYS_ppoll, polled, 1, &bad, NULL, 0));
	uint64_t mask = 0;
	SHOW(syscall(SYS_ppoll, polled, 1, NULL, &mask, 5));
	fd_set reads;
	FD_ZERO(&reads);
	FD_SET(60, &reads);
	SHOW(syscall(SYS_pselect6, 1000, &reads, NULL, NULL, NULL, NULL));
	SHOW(syscall(SYS_pselect6, -1, NULL, NULL, NULL, NULL, NULL));
	int word = 1;
	struct timespec short_time = {0, 1000000};
	SHOW(syscall(SYS_futex, &word, 128, 0, NULL, NULL, 0));
	SHOW(syscall(SYS_futex, &word, 128, 1, &short_time, NULL, 0));
	SHOW(syscall(SYS_futex, &word, 9 | 128 | 256, 1, &short_time, NULL, -1));
	SHOW(syscall(SYS_futex, &word, 9 | 128, 1, &short_time, NULL, 0));
	SHOW(syscall(SYS_futex, &word, 1 | 256, 1, NULL, NULL, 0));
	SHOW(syscall(SYS_futex, (char *)&word + 1, 0, 1, NULL, NULL, 0));
	SHOW(syscall(SYS_futex, ADDRESS(8), 0, 1, NULL, NULL, 0));
	SHOW(syscall(SYS_futex, &word, 99, 1, NULL, NULL, 0));
	close(fd);
	unlink("abi.tmp");
}

static void terminals(void)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY), number = -1, lock = -1, id = -1;
	char path[64];
	struct winsize size = {0};
	struct termios terminal;
	SHOW(ioctl(master, TIOCGPTN, &number));
	SHOW(number >= 0);
	snprintf(path, sizeof path, "/dev/pts/%d", number);
	SHOW(open(path, O_RDWR | O_NOCTTY));
	lock = 0;
	SHOW(ioctl(master, TIOCSPTLCK, &lock));
	SHOW(ioctl(master, _IOR('T', 0x39, int), &lock)); /* TIOCGPTLCK */
	SHOW(lock);
	SHOW(ioctl(master, 0x5441, O_RDWR | O_NOCTTY) >= 0); /* TIOCGPTPEER */
	int slave = open(path, O_RDWR | O_NOCTTY);
	SHOW(slave >= 0);
	SHOW(ioctl(slave, TIOCGPTN, &number));
	size.ws_row = 33;
	size.ws_col = 99;
	SHOW(ioctl(slave, TIOCSWINSZ, &size));
	size = (struct winsize){0};
	SHOW(ioctl(master, TIOCGWINSZ, &size));
	SHOW(size.ws_col);
	SHOW(ioctl(slave, TCGETS, &terminal));
	terminal.c_lflag &= ~(unsigned)(ICANON | ECHO);
	SHOW(ioctl(slave, TCSETSW, &terminal));
	SHOW(ioctl(slave, TCSETSF, &terminal));
	SHOW(ioctl(slave, TCSETS, ADDRESS(8)));
	SHOW(ioctl(slave, TCSBRK, 1));
	SHOW(ioctl(slave, TCSBRK, 0));
	SHOW(ioctl(slave, TCXONC, TCOOFF));
	SHOW(ioctl(slave, TCXONC, TCOON));
	SHOW(ioctl(slave, TCXONC, 77));
	SHOW(write(master, "typed", 5));
	struct pollfd typed = {slave, POLLIN, 0}; /* Linux moves it there on its own time */
	SHOW(poll(&typed, 1, 5000));
	SHOW(ioctl(slave, FIONREAD, &number));
	SHOW(number);
	SHOW(ioctl(slave, TCFLSH, TCIFLUSH));
	SHOW(ioctl(slave, FIONREAD, &number));
	SHOW(number);
	SHOW(ioctl(slave, TCFLSH, 77));
	SHOW(ioctl(slave, TIOCOUTQ, &number));
	SHOW(number);
	SHOW(ioctl(slave, TIOCGSID, &id));
	SHOW(ioctl(slave, TIOCGPGRP, &id));
	SHOW(ioctl(slave, TIOCEXCL));
	SHOW(ioctl(slave, TIOCNXCL));
	SHOW(ioctl(slave, TIOCGETD, &id));
	SHOW(id);
	SHOW(ioctl(slave, TIOCNOTTY));
	fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		SHOW(ioctl(slave, TIOCSCTTY, 0));
		SHOW(setsid() == getpid());
		SHOW(ioctl(slave, TIOCSCTTY, 0));
		SHOW(ioctl(slave, TIOCGSID, &id));
		SHOW(id == getpid());
		SHOW(ioctl(slave, TIOCGPGRP, &id));
		SHOW(id == getpid());
		id = 999999;
		SHOW(ioctl(slave, TIOCSPGRP, &id));
		id = -1;
		SHOW(ioctl(slave, TIOCSPGRP, &id));
		id = getpid();
		SHOW(ioctl(slave, TIOCSPGRP, &id));
		SHOW(open("/dev/tty", O_RDWR) >= 0);
		signal(SIGHUP, SIG_IGN);
		SHOW(ioctl(slave, TIOCNOTTY));
		SHOW(open("/dev/tty", O_RDWR));
		fflush(stdout);
		_exit(0);
	}
	waitpid(child, NULL, 0);
	close(slave);
}

int main(void)
{
	opens();
	descriptors();
	vectors();
	names();
	memory();
	show_child("limits", limits);
	show_child("processes", processes);
	clocks();
	signals();
	waits();
	terminals();
	return 0;
}
