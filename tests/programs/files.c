/* SPDX-License-Identifier: MIT */
/* Files and directories: what each call does and refuses, in a directory of its own. */
#include "check.h"
#include <dirent.h>
#include <poll.h>
#include <sys/statfs.h>
#include <sys/uio.h>
#include <time.h>

static void make(const char *name, const char *text)
{
	int fd = open(name, O_CREAT | O_TRUNC | O_WRONLY, 0644);
	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text)) {
		printf("cannot make %s: %s\n", name, strerrorname(errno));
		exit(1);
	}
	close(fd);
}

static void show_status(const char *name)
{
	struct stat s;
	if (lstat(name, &s) != 0)
		printf("%s: %s\n", name, strerrorname(errno));
	else
		printf("%s: mode %o links %lu size %ld\n", name, s.st_mode, (unsigned long)s.st_nlink,
		       S_ISDIR(s.st_mode) ? 0 : (long)s.st_size);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void list(const char *name)
{
	char *names[1000];
	int count = 0;
	DIR *directory = opendir(name);
	struct dirent *entry;
	if (!directory) {
		printf("list %s: %s\n", name, strerrorname(errno));
		return;
	}
	while ((entry = readdir(directory)) && count < 1000)
		names[count++] = strdup(entry->d_name);
	closedir(directory);
	qsort(names, (size_t)count, sizeof names[0], compare_names);
	printf("list %s:", name);
	for (int i = 0; i < count; i++)
		printf(" %s", names[i]);
	printf("\n");
}

static void opening(void)
{
	make("a", "hello");
	SHOW_OK(open("a", O_CREAT | O_EXCL | O_RDWR, 0600));
	SHOW_OK(open("none", O_RDONLY));
	SHOW_OK(open("a/b", O_RDONLY));
	SHOW_OK(open("a/", O_RDONLY));
	SHOW_OK(open(".", O_WRONLY));
	SHOW_OK(open(".", O_RDONLY | O_DIRECTORY));
	SHOW_OK(open("a", O_RDONLY | O_DIRECTORY));
	SHOW_OK(open("", O_RDONLY));
	SHOW_OK(open("none/", O_CREAT | O_RDWR, 0600));
	char name[5000];
	memset(name, 'n', sizeof name);
	name[256] = 0;
	SHOW_OK(open(name, O_CREAT | O_RDWR, 0600));
	name[255] = 0;
	int fd = open(name, O_CREAT | O_RDWR, 0600);
	TELL(fd >= 0 && unlink(name) == 0);
	close(fd);
	memset(name, '/', sizeof name);
	name[4999] = 0;
	SHOW_OK(open(name, O_RDONLY));
	SHOW(close(99));
	SHOW(read(99, name, 1));
	umask(027);
	fd = open("masked", O_CREAT | O_RDWR, 0666);
	show_status("masked");
	umask(022);
	close(fd);
	unlink("masked");
}

static void reading_writing(void)
{
	char text[64] = "";
	int fd = open("a", O_RDWR);
	SHOW(write(fd, "HE", 2));
	SHOW(read(fd, text, 10));
	puts(text);
	SHOW(lseek(fd, 0, SEEK_SET));
	SHOW(lseek(fd, -1, SEEK_SET));
	SHOW(lseek(fd, 100, SEEK_END));
	SHOW(lseek(fd, 0, 99));
	SHOW(write(fd, "!", 1));
	show_status("a");
	SHOW(pread(fd, text, 8, 50));
	TELL(text[0] == 0 && text[7] == 0);
	SHOW(pread(fd, text, 8, 104));
	SHOW(pread(fd, text, 8, 200));
	SHOW(pread(fd, text, 8, -1));
	SHOW(ftruncate(fd, 3));
	SHOW(ftruncate(fd, 6));
	SHOW(pread(fd, text, 10, 0));
	TELL(memcmp(text, "HEl\0\0\0", 6) == 0);
	SHOW(ftruncate(fd, -1));
	struct iovec out[3] = {{"one", 3}, {"", 0}, {"three", 5}};
	SHOW(pwritev(fd, out, 3, 1));
	SHOW(pread(fd, text, 20, 0));
	TELL(memcmp(text, "Honethree", 9) == 0);
	close(fd);
	fd = open("a", O_WRONLY | O_APPEND);
	lseek(fd, 0, SEEK_SET);
	SHOW(write(fd, "+", 1));
	SHOW(read(fd, text, 1));
	SHOW(lseek(fd, 0, SEEK_CUR));
	close(fd);
	fd = open("a", O_RDONLY);
	SHOW(write(fd, "x", 1));
	int copy = dup(fd);
	SHOW(read(fd, text, 4));
	SHOW(lseek(copy, 0, SEEK_CUR));
	SHOW(dup2(fd, fd) == fd);
	SHOW(dup3(fd, fd, 0));
	SHOW(fcntl(copy, F_GETFD));
	SHOW(fcntl(copy, F_SETFD, FD_CLOEXEC));
	SHOW(fcntl(copy, F_GETFD));
	close(fd);
	SHOW(read(copy, text, 2));
	close(copy);
	fd = open("sparse", O_CREAT | O_RDWR, 0600);
	SHOW(pwrite(fd, "far", 3, 5000000000));
	show_status("sparse");
	SHOW(pread(fd, text, 3, 4999999999));
	SHOW(pread(fd, text, 3, 4000000000));
	close(fd);
	unlink("sparse");
	SHOW_OK(open("a", O_RDONLY | O_TRUNC));
	show_status("a");
}

static void names(void)
{
	make("a", "1");
	make("b", "22");
	SHOW(link("a", "c"));
	show_status("c");
	SHOW(link("a", "b"));
	SHOW(link("none", "d"));
	SHOW(link(".", "d"));
	SHOW(rename("a", "b"));
	show_status("b");
	show_status("a");
	SHOW(rename("b", "c"));
	show_status("b");
	SHOW(unlink("b"));
	show_status("c");
	SHOW(mkdir("d", 0755));
	SHOW(mkdir("d", 0755));
	SHOW(mkdir("d/e", 0755));
	show_status("d");
	SHOW(rename("d", "d/e/f"));
	SHOW(rename("c", "d"));
	SHOW(rename("d", "c"));
	SHOW(rmdir("d"));
	SHOW(unlink("d"));
	SHOW(rmdir("c"));
	SHOW(rename("c", "d/e/c"));
	list("d");
	list("d/e");
	SHOW(rename("d/e", "e"));
	SHOW(chdir("e"));
	list("..");
	char path[4096];
	SHOW(getcwd(path, 3) != NULL);
	SHOW(getcwd(path, sizeof path) != NULL && strcmp(strrchr(path, '/'), "/e") == 0);
	SHOW(chdir(".."));
	SHOW(rmdir("e/."));
	SHOW(rmdir("e/.."));
	SHOW(unlink("e/c"));
	SHOW(rmdir("e"));
	SHOW(rmdir("d"));
	int fd = open("gone", O_CREAT | O_RDWR, 0600);
	SHOW(write(fd, "kept", 4));
	SHOW(unlink("gone"));
	struct stat s;
	SHOW(fstat(fd, &s));
	TELL(s.st_nlink == 0 && s.st_size == 4);
	SHOW(pread(fd, path, 4, 0));
	close(fd);
	SHOW(unlink("gone"));
	SHOW(access("none", F_OK));
	SHOW(syscall(SYS_renameat2, AT_FDCWD, "none", AT_FDCWD, "x", 1));
}

static void links(void)
{
	char text[100] = "";
	make("target", "content");
	static char long_target[4097], shown[4200];
	memset(long_target, 't', 4095);
	SHOW(symlink(long_target, "a-link-with-a-longer-name"));
	SHOW(readlink("a-link-with-a-longer-name", shown, sizeof(shown)));
	SHOW(unlink("a-link-with-a-longer-name"));
	long_target[4095] = 't';
	SHOW(symlink(long_target, "l"));
	/* who is replaced keeps its name */
	int replaced = open("replaced", O_CREAT | O_RDWR, 0600);
	close(open("replacing", O_CREAT | O_RDWR, 0600));
	SHOW(rename("replacing", "replaced"));
	char descriptor[40];
	snprintf(descriptor, sizeof(descriptor), "/proc/self/fd/%d", replaced);
	ssize_t length = readlink(descriptor, shown, sizeof(shown) - 1);
	shown[length > 0 ? length : 0] = 0;
	printf("%s\n", strrchr(shown, '/') != NULL ? strrchr(shown, '/') : "?");
	close(replaced);
	SHOW(unlink("replaced"));
	SHOW(symlink("target", "link"));
	SHOW(readlink("link", text, sizeof text));
	puts(text);
	SHOW(readlink("target", text, sizeof text));
	SHOW(readlink("link", text, 3));
	show_status("link");
	int fd = open("link", O_RDONLY);
	memset(text, 0, sizeof text);
	SHOW(read(fd, text, 10));
	puts(text);
	close(fd);
	SHOW_OK(open("link", O_RDONLY | O_NOFOLLOW));
	SHOW(symlink("loop2", "loop1"));
	SHOW(symlink("loop1", "loop2"));
	SHOW_OK(open("loop1", O_RDONLY));
	SHOW(symlink("nowhere", "dangling"));
	SHOW_OK(open("dangling", O_RDONLY));
	SHOW_OK(open("dangling", O_CREAT | O_EXCL | O_RDWR, 0600));
	SHOW_OK(open("dangling", O_CREAT | O_RDWR, 0600));
	show_status("nowhere");
	char longer[3001];
	memset(longer, 'l', 3000);
	longer[3000] = 0;
	SHOW(symlink(longer, "longlink"));
	char back[4000];
	SHOW(readlink("longlink", back, sizeof back));
	TELL(memcmp(back, longer, 3000) == 0);
	SHOW(symlink("", "emptylink"));
	for (const char *const *name = (const char *const[]){"link", "loop1", "loop2", "dangling", "nowhere",
	                                                     "longlink", "target", NULL};
	     *name; name++)
		SHOW(unlink(*name));
}

static void attributes(void)
{
	struct stat s;
	make("a", "x");
	SHOW(chmod("a", 04751));
	show_status("a");
	struct timespec times[2] = {{1000000000, 0}, {1234567890, 0}};
	SHOW(utimensat(AT_FDCWD, "a", times, 0));
	stat("a", &s);
	TELL(s.st_atime == 1000000000 && s.st_mtime == 1234567890);
	times[0].tv_nsec = UTIME_OMIT;
	times[1].tv_nsec = UTIME_NOW;
	SHOW(utimensat(AT_FDCWD, "a", times, 0));
	stat("a", &s);
	TELL(s.st_atime == 1000000000 && s.st_mtime > 1234567890);
	if (geteuid() == 0) {
		SHOW(chown("a", 12, 34));
		stat("a", &s);
		TELL(s.st_uid == 12 && s.st_gid == 34);
		show_status("a");
	}
	SHOW(mkfifo("fifo", 0600));
	show_status("fifo");
	SHOW(truncate("none", 1));
	SHOW(truncate(".", 1));
	SHOW(truncate("a", 100000));
	stat("a", &s);
	TELL(s.st_size == 100000 && s.st_blocks < 100);
	unlink("fifo");
	struct statfs f;
	SHOW(statfs(".", &f));
	TELL(f.f_bsize > 0 && f.f_blocks > f.f_bfree && f.f_namelen == 255);
}

static int lock(int fd, int command, short type, off_t start, off_t length)
{
	struct flock l = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = length};
	int result = fcntl(fd, command, &l);
	return result == 0 && command == F_GETLK ? 100 + l.l_type : result;
}

static void locks(void)
{
	make("locked", "0123456789");
	int fd = open("locked", O_RDWR);
	SHOW(lock(fd, F_SETLK, F_WRLCK, 2, 4));
	SHOW(lock(fd, F_SETLK, F_RDLCK, 8, 1));
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		int other = open("locked", O_RDWR);
		SHOW(lock(other, F_GETLK, F_WRLCK, 0, 0));
		SHOW(lock(other, F_SETLK, F_WRLCK, 3, 1));
		SHOW(lock(other, F_SETLK, F_RDLCK, 8, 1));
		SHOW(lock(other, F_SETLK, F_WRLCK, 8, 1));
		SHOW(lock(other, F_SETLK, F_WRLCK, 0, 2));
		fflush(stdout);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	close(open("locked", O_RDONLY)); /* drops the locks of the whole process */
	pid = fork();
	if (pid == 0) {
		int other = open("locked", O_RDWR);
		SHOW(lock(other, F_SETLK, F_WRLCK, 0, 0));
		fflush(stdout);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	close(fd);
	unlink("locked");
}

static void directory_of_many(void)
{
	char name[40];
	int count = 0, good = 1;
	mkdir("many", 0755);
	for (int i = 0; i < 500; i++) {
		snprintf(name, sizeof name, "many/file-with-a-longer-name-%d", i);
		make(name, name);
	}
	for (int i = 0; i < 500; i += 2) {
		snprintf(name, sizeof name, "many/file-with-a-longer-name-%d", i);
		good &= unlink(name) == 0;
	}
	DIR *directory = opendir("many");
	while (readdir(directory))
		count++;
	closedir(directory);
	printf("%d entries\n", count);
	for (int i = 1; i < 500; i += 2) {
		char text[100] = "";
		snprintf(name, sizeof name, "many/file-with-a-longer-name-%d", i);
		int fd = open(name, O_RDONLY);
		good &= read(fd, text, sizeof text) == (ssize_t)strlen(name) && strcmp(text, name) == 0;
		close(fd);
		good &= unlink(name) == 0;
	}
	TELL(good);
	SHOW(rmdir("many"));
}

static void devices(void)
{
	char text[64];
	memset(text, 1, sizeof text);
	int fd = open("/dev/zero", O_RDWR);
	SHOW(read(fd, text, 64));
	TELL(text[0] == 0 && text[63] == 0);
	SHOW(write(fd, text, 64));
	close(fd);
	fd = open("/dev/null", O_RDWR);
	SHOW(read(fd, text, 64));
	SHOW(write(fd, text, 64));
	struct pollfd poll_null = {.fd = fd, .events = POLLIN | POLLOUT};
	SHOW(poll(&poll_null, 1, 0));
	close(fd);
	fd = open("/dev/urandom", O_RDONLY);
	SHOW(read(fd, text, 64));
	close(fd);
	SHOW(isatty(0) && 0);
}

/* In memory: not every file system has files without names. */
static void nameless(void)
{
	char path[64], text[8] = "";
	struct stat status;
	if (mkdir("/dev/shm/nameless", 0755) != 0 || chdir("/dev/shm/nameless") != 0)
		return;
	SHOW(open(".", O_TMPFILE | O_RDONLY, 0600));
	SHOW(open(".", O_TMPFILE | O_RDWR | O_CREAT, 0600));
	SHOW(open(".", (O_TMPFILE & ~O_DIRECTORY) | O_RDWR, 0600));
	SHOW(open("nothing", O_TMPFILE | O_RDWR, 0600));
	int fd = open("plain", O_RDWR | O_CREAT, 0600);
	close(fd);
	SHOW(open("plain", O_TMPFILE | O_RDWR, 0600));
	SHOW(unlink("plain"));
	fd = open(".", O_TMPFILE | O_RDWR, 0666);
	TELL(fd >= 0);
	SHOW(fcntl(fd, F_GETFL) & O_TMPFILE);
	fstat(fd, &status);
	printf("%o, %lu links\n", status.st_mode, (unsigned long)status.st_nlink);
	SHOW(write(fd, "data", 4));
	list(".");
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	SHOW(linkat(AT_FDCWD, path, AT_FDCWD, "name", AT_SYMLINK_FOLLOW));
	SHOW(linkat(fd, "", AT_FDCWD, "second", AT_EMPTY_PATH));
	fstat(fd, &status);
	printf("%lu links\n", (unsigned long)status.st_nlink);
	list(".");
	SHOW(unlink("name"));
	SHOW(unlink("second"));
	SHOW(linkat(AT_FDCWD, path, AT_FDCWD, "third", AT_SYMLINK_FOLLOW));
	close(fd);
	fd = open(".", O_TMPFILE | O_WRONLY, 0600);
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	SHOW(write(fd, "later", 5));
	SHOW(linkat(AT_FDCWD, path, AT_FDCWD, "later", AT_SYMLINK_FOLLOW));
	close(fd);
	fd = open("later", O_RDONLY);
	SHOW(read(fd, text, sizeof text));
	puts(text);
	close(fd);
	SHOW(unlink("later"));
	fd = open(".", O_TMPFILE | O_RDWR | O_EXCL, 0600);
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	SHOW(linkat(AT_FDCWD, path, AT_FDCWD, "never", AT_SYMLINK_FOLLOW));
	close(fd);
	SHOW(chdir("/"));
	SHOW(rmdir("/dev/shm/nameless"));
}

int main(void)
{
	setvbuf(stdout, NULL, _IONBF, 0);
	umask(022);
	if (mkdir("files.tmp", 0755) != 0 || chdir("files.tmp") != 0)
		return 1;
	opening();
	reading_writing();
	names();
	links();
	attributes();
	locks();
	directory_of_many();
	devices();
	unlink("a");
	list(".");
	SHOW(chdir(".."));
	SHOW(rmdir("files.tmp"));
	show_child("nameless", nameless);
	return 0;
}
