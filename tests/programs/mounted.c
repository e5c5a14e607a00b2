/* SPDX-License-Identifier: MIT */
/* What depends on the file system and on how it is mounted: in the working folder, which is a mounted ext2.
 */
#include "check.h"
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/statfs.h>

static int remount(unsigned long flags)
{
	return mount(NULL, ".", NULL, MS_REMOUNT | flags, NULL);
}

static int make_new(void)
{
	int fd = open("new", O_CREAT | O_WRONLY, 0600);
	return fd < 0 ? fd : close(fd);
}

static void show_written(const char *what)
{
	printf("%s: ", what);
	SHOW(remount(MS_RDONLY));
	SHOW(make_new());
	SHOW(remount(0));
}

/* A file system that somebody may still write to does not become read-only. */
static void read_only(void)
{
	int reader, fd = open("written", O_CREAT | O_RDWR, 0600);
	SHOW(ftruncate(fd, 4096));
	show_written("open for writing");
	char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	show_written("mapped for writing");
	munmap(page, 4096);
	reader = open("written", O_RDONLY);
	page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, reader, 0);
	show_written("open for reading, mapped for itself");
	SHOW(unlink("written"));
	show_written("unlinked");
	munmap(page, 4096);
	close(reader);
	show_written("nothing");
	SHOW(mkdir("bound", 0700));
	SHOW(mkdir("folder", 0700));
	SHOW(mount("folder", "bound", NULL, MS_BIND, NULL));
	fd = open("folder/file", O_CREAT | O_WRONLY, 0600);
	SHOW(mount(NULL, "bound", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL));
	SHOW_OK(open("bound/file", O_WRONLY));
	SHOW(mount(NULL, "bound", NULL, MS_REMOUNT | MS_BIND, NULL));
	close(fd);
	fd = open("bound/file", O_WRONLY);
	SHOW(mount(NULL, "bound", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL));
	close(fd);
	SHOW(mount(NULL, "bound", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL));
	SHOW(umount("bound"));
}

#define EXCHANGE    2 /* RENAME_EXCHANGE, which musl does not name */
#define GET_FLAGS   0x80086601
#define SET_FLAGS   0x40086602
#define GET_VERSION 0x80087601
#define IMMUTABLE   0x10
#define APPEND      0x20
#define SEEN        0xff /* Linux may have an index where there is none here */

static int set_flags(const char *name, int flags)
{
	int fd = open(name, O_RDONLY), result = ioctl(fd, SET_FLAGS, &flags);
	close(fd);
	return result;
}

static int get_flags(const char *name)
{
	int flags = -1, fd = open(name, O_RDONLY);
	ioctl(fd, GET_FLAGS, &flags);
	close(fd);
	return flags & SEEN;
}

static int try_open(const char *name, int flags)
{
	int fd = open(name, flags, 0600);
	return fd < 0 ? fd : close(fd);
}

/* What may be done to a file, in the order in which it would be the less. */
static void try_file(const char *name)
{
	struct timespec times[2] = {{1, 0}, {2, 0}};
	int fd;
	SHOW(try_open(name, O_RDONLY));
	SHOW(try_open(name, O_WRONLY));
	SHOW(try_open(name, O_WRONLY | O_APPEND));
	SHOW(try_open(name, O_WRONLY | O_APPEND | O_TRUNC));
	SHOW(try_open(name, O_RDONLY | O_TRUNC));
	SHOW(access(name, W_OK));
	SHOW(truncate(name, 1));
	SHOW(chmod(name, 0640));
	SHOW(chown(name, 1, 1));
	SHOW(utimensat(AT_FDCWD, name, times, 0));
	SHOW(utimensat(AT_FDCWD, name, NULL, 0));
	fd = open(name, O_RDWR | O_APPEND);
	if (fd >= 0) {
		SHOW(write(fd, "more", 4));
		SHOW(ftruncate(fd, 2));
		SHOW(fcntl(fd, F_SETFL, 0));
		SHOW(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4));
		SHOW_OK(mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED ? -1 : 0);
		close(fd);
	}
	SHOW(link(name, "linked"));
	SHOW(rename(name, "renamed"));
	SHOW(rename("other", name));
	SHOW(unlink(name));
}

static void try_folder(const char *name)
{
	char file[64], fresh[64];
	snprintf(file, sizeof file, "%s/file", name);
	snprintf(fresh, sizeof fresh, "%s/fresh", name);
	SHOW(try_open(file, O_RDWR));
	SHOW(try_open(fresh, O_CREAT | O_WRONLY));
	SHOW(mkdir(fresh, 0700));
	SHOW(symlink("x", fresh));
	SHOW(link("other", fresh));
	SHOW(rename("other", fresh));
	SHOW(rename(file, fresh));
	SHOW(rename(file, "out"));
	SHOW(unlink(file));
	SHOW(chmod(name, 0711));
	SHOW(rename(name, "renamed"));
	SHOW(rmdir(name));
}

static void show_attributes(const char *name)
{
	uint64_t statx[32] = {
	        0}; /* the second is stx_attributes, the eighth the mask of those that are known */
	SHOW(syscall(SYS_statx, AT_FDCWD, name, 0, 0x7ff, statx));
	printf("attributes %lx of %lx\n", (long)statx[1] & 0x70, (long)statx[7] & 0x70);
}

static void flags(void)
{
	static const int kinds[] = {IMMUTABLE, APPEND};
	int version = 0, number, fd = open("opened", O_CREAT | O_RDWR, 0600);
	SHOW(ioctl(fd, GET_VERSION, &version));
	TELL(version != 0);
	SHOW(ioctl(fd, GET_FLAGS, (void *)8));
	SHOW(ioctl(fd, SET_FLAGS, (void *)8));
	SHOW(set_flags("opened", 0x80)); /* no access times */
	SHOW(get_flags("opened"));
	number = IMMUTABLE;
	SHOW(ioctl(fd, SET_FLAGS, &number));
	SHOW(write(fd, "x", 1));
	SHOW(ftruncate(fd, 10));
	SHOW(fchmod(fd, 0644));
	SHOW(set_flags("opened", 0));
	SHOW(unlink("opened"));
	for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
		SHOW(mkdir("fixed", 0700));
		close(open("fixed/file", O_CREAT | O_WRONLY, 0600));
		close(open("kept", O_CREAT | O_WRONLY, 0600));
		close(open("other", O_CREAT | O_WRONLY, 0600));
		SHOW(set_flags("kept", kinds[i]));
		SHOW(set_flags("fixed", kinds[i]));
		SHOW(get_flags("kept"));
		SHOW(get_flags("fixed"));
		show_attributes("kept");
		show_attributes("fixed");
		try_file("kept");
		try_folder("fixed");
		SHOW(set_flags("kept", 0));
		SHOW(set_flags("fixed", 0));
		SHOW(unlink("kept"));
		unlink("fixed/file");
		unlink("fixed/fresh");
		rmdir("fixed/fresh");
		SHOW(rmdir("fixed"));
		unlink("other");
	}
}

/* A user may set flags of what is his, but not these. */
static void flags_of_users(void)
{
	close(open("own", O_CREAT | O_WRONLY, 0644));
	close(open("others", O_CREAT | O_WRONLY, 0644));
	SHOW(chown("own", 1000, 1000));
	SHOW(setresuid(1000, 1000, 1000));
	SHOW(set_flags("own", 0x40));
	SHOW(get_flags("own"));
	SHOW(set_flags("own", IMMUTABLE));
	SHOW(set_flags("own", 0x40 | APPEND));
	SHOW(set_flags("others", 0x40));
	SHOW(get_flags("others"));
}

/* Times that an inode cannot hold are the nearest that it can. */
static void times(void)
{
	static const long seconds[] = {0,           -1,         -2147483648, -2147483649, -8589934592,
	                               2147483648,  4294967296, 15032385534, 15032385535, 15032385536,
	                               17179869183, 1l << 60,   -(1l << 60)};
	struct stat status;
	close(open("timed", O_CREAT | O_WRONLY, 0600));
	for (size_t i = 0; i < sizeof seconds / sizeof seconds[0]; i++) {
		struct timespec set[2] = {{seconds[i], 5}, {seconds[i], 999999999}};
		SHOW(utimensat(AT_FDCWD, "timed", set, 0));
		stat("timed", &status);
		printf("%ld: %ld.%09ld %ld.%09ld\n", seconds[i], status.st_atim.tv_sec,
		       status.st_atim.tv_nsec, status.st_mtim.tv_sec, status.st_mtim.tv_nsec);
	}
}

static int folder_was_read(const char *name, int flags)
{
	static const struct timespec old[2] = {{1000, 0}, {2000, 0}};
	char entries[1024];
	struct stat status;
	utimensat(AT_FDCWD, name, old, 0);
	int fd = open(name, O_RDONLY | flags);
	if (fd < 0 || syscall(SYS_getdents64, fd, entries, sizeof entries) <= 0 || fstat(fd, &status) < 0)
		return -1;
	close(fd);
	return status.st_atim.tv_sec != old[0].tv_sec;
}

static void access_times(void)
{
	SHOW(mkdir("read", 0700));
	SHOW(folder_was_read("read", 0));
	SHOW(folder_was_read("read", O_NOATIME));
	SHOW(remount(MS_NODIRATIME));
	SHOW(folder_was_read("read", 0));
	SHOW(remount(MS_NOATIME));
	SHOW(folder_was_read("read", 0));
	SHOW(remount(MS_RDONLY));
	SHOW(folder_was_read("read", 0));
	SHOW(remount(0));
	SHOW(set_flags("read", 0x80));
	SHOW(folder_was_read("read", 0));
}

static int remount_with(const char *options)
{
	return mount(NULL, ".", NULL, MS_REMOUNT, options);
}

/* Of a file system, which is so for all who see it, and of one of its mounts. */
static void read_only_for_all(void)
{
	SHOW(mkdir("view", 0700));
	SHOW(mkdir("seen", 0700));
	SHOW(mount("seen", "view", NULL, MS_BIND, NULL));
	SHOW(mount(NULL, "view", NULL, MS_REMOUNT | MS_RDONLY, NULL));
	SHOW(try_open("view/a", O_CREAT | O_WRONLY));
	SHOW(try_open("seen/a", O_CREAT | O_WRONLY));
	SHOW(mount(NULL, "view", NULL, MS_REMOUNT, NULL));
	SHOW(try_open("seen/a", O_CREAT | O_WRONLY));
	SHOW(mount(NULL, "view", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL));
	SHOW(try_open("view/b", O_CREAT | O_WRONLY));
	SHOW(try_open("seen/b", O_CREAT | O_WRONLY));
	SHOW(remount(MS_RDONLY));
	SHOW(mount(NULL, "view", NULL, MS_REMOUNT | MS_BIND, NULL));
	SHOW(try_open("view/c", O_CREAT | O_WRONLY));
	SHOW(remount(0));
	SHOW(try_open("view/c", O_CREAT | O_WRONLY));
	SHOW(umount("view"));
}

static void options(void)
{
	SHOW(remount_with("bogus=1"));
	SHOW(remount_with("errors=remount-ro"));
	SHOW(remount_with("errors=remount-ro,bogus"));
	SHOW(remount_with("errors=remount-r"));
	SHOW(remount_with(""));
}

/* The fields of the last mount: where its root is in the file system, and where it is mounted. */
static void show_last_mount(void)
{
	char line[512], root[256] = "", point[256] = "";
	FILE *file = fopen("/proc/self/mountinfo", "r");
	while (file != NULL && fgets(line, sizeof(line), file) != NULL)
		sscanf(line, "%*s %*s %*s %255s %255s", root, point);
	printf("%s on %s\n", root, point);
	if (file != NULL)
		fclose(file);
}

struct seen {
	long id, parent;
};

/* What mountinfo tells of the last mount on a folder of that name. */
static struct seen seen_mount(const char *name)
{
	char line[512], point[256];
	struct seen found = {0, 0}, this;
	FILE *file = fopen("/proc/self/mountinfo", "r");
	while (file != NULL && fgets(line, sizeof(line), file) != NULL)
		if (sscanf(line, "%ld %ld %*s %*s %255s", &this.id, &this.parent, point) == 3 &&
		    strcmp(strrchr(point, '/') + 1, name) == 0)
			found = this;
	if (file != NULL)
		fclose(file);
	return found;
}

static long mount_of_descriptor(int fd)
{
	char name[64], line[256];
	long id = 0;
	snprintf(name, sizeof(name), "/proc/self/fdinfo/%d", fd);
	FILE *file = fopen(name, "r");
	while (file != NULL && fgets(line, sizeof(line), file) != NULL)
		sscanf(line, "mnt_id: %ld", &id);
	if (file != NULL)
		fclose(file);
	return id;
}

/* A mount keeps its number, and says on which one it is. */
static void numbers(void)
{
	uint64_t statx[32] = {0}; /* stx_mnt_id is the 19th */
	SHOW(mkdir("earlier", 0700));
	SHOW(mkdir("upper", 0700));
	SHOW(mount("none", "earlier", "tmpfs", 0, NULL));
	SHOW(mount("none", "upper", "tmpfs", 0, NULL));
	SHOW(mkdir("upper/inner", 0700));
	SHOW(mount("none", "upper/inner", "tmpfs", 0, NULL));
	struct seen earlier = seen_mount("earlier"), upper = seen_mount("upper"), inner = seen_mount("inner");
	TELL(earlier.parent == upper.parent);
	TELL(inner.parent == upper.id);
	TELL(inner.id != upper.id && inner.id != earlier.id && inner.id != upper.parent);
	SHOW(umount("earlier"));
	TELL(seen_mount("earlier").id == 0);
	TELL(seen_mount("upper").id == upper.id);
	TELL(seen_mount("inner").id == inner.id);
	SHOW(syscall(SYS_statx, AT_FDCWD, "upper/inner", 0, 0x1000, statx));
	TELL((long)statx[18] == inner.id);
	int fd = open("upper", O_RDONLY);
	TELL(mount_of_descriptor(fd) == upper.id);
	close(fd);
	SHOW(umount("upper/inner"));
	SHOW(umount("upper"));
}

/* A socket with a name there keeps a mount busy as long as it is open. */
static void bound_socket(void)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = "home/socket"};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	SHOW(mkdir("home", 0700));
	SHOW(mount("none", "home", "tmpfs", 0, NULL));
	SHOW(bind(fd, (struct sockaddr *)&name, sizeof(name)));
	SHOW(umount("home"));
	SHOW(unlink("home/socket"));
	SHOW(umount("home"));
	SHOW(close(fd));
	SHOW(umount("home"));
}

/* The flags of the last mount on a folder of that name. */
static void show_flags(const char *name)
{
	struct statfs status = {.f_flags = 0};
	char line[512], point[256], flags[256], found[300] = "none";
	FILE *file = fopen("/proc/self/mountinfo", "r");
	while (file != NULL && fgets(line, sizeof(line), file) != NULL)
		if (sscanf(line, "%*s %*s %*s %*s %255s %255s", point, flags) == 2 &&
		    strcmp(strrchr(point, '/') + 1, name) == 0)
			snprintf(found, sizeof(found), "%s%s", flags,
			         strstr(strstr(line, " - "), "w,sync") ? ", synchronous" : "");
	if (file != NULL)
		fclose(file);
	statfs(name, &status);
	printf("%s: %s, %lx\n", name, found, (long)status.f_flags);
}

/* What is mounted below is bound with it, or not. */
static void trees(void)
{
	struct stat status;
	SHOW(mkdir("tree", 0700));
	SHOW(mkdir("tree/part", 0700));
	SHOW(mkdir("copy", 0700));
	SHOW(mkdir("beside", 0700));
	SHOW(mount("none", "beside", "tmpfs", 0, NULL));
	SHOW(mount("none", "tree/part", "tmpfs", MS_NOSUID, NULL));
	SHOW(mkdir("tree/part/a b", 0700));
	SHOW(mount("none", "tree/part/a b", "tmpfs", MS_NOEXEC | MS_NODIRATIME, NULL));
	SHOW(mkdir("tree/part/a b/deep", 0700));
	SHOW(mount("none", "tree/part/a b", "tmpfs", MS_NODEV, NULL)); /* over the other */
	SHOW(mkdir("tree/part/a b/over", 0700));
	SHOW(mount("tree", "copy", NULL, MS_BIND, NULL));
	SHOW(stat("copy/part/a b", &status));
	SHOW(umount("copy"));
	SHOW(mount("tree", "copy", NULL, MS_BIND | MS_REC | MS_NOEXEC, NULL));
	show_flags("copy");
	show_flags("part");
	SHOW(stat("copy/part/a b/over", &status));
	SHOW(mkdir("copy/part/a b/more", 0700));
	SHOW(stat("tree/part/a b/more", &status));
	SHOW(umount("copy"));
	SHOW(umount("copy/part/a b"));
	SHOW(stat("copy/part/a b/deep", &status));
	SHOW(stat("tree/part/a b/over", &status));
	SHOW(umount2("copy", MNT_DETACH));
	SHOW(stat("copy/part/a b", &status));
	SHOW(mount("tree/part/a b", "copy", NULL, MS_BIND | MS_REC, NULL));
	SHOW(stat("copy/over", &status));
	SHOW(umount("copy"));
	/* into itself */
	SHOW(mount(".", "copy", NULL, MS_BIND | MS_REC, NULL));
	SHOW(stat("copy/tree/part/a b/over", &status));
	SHOW(stat("copy/copy/tree", &status));
	SHOW(umount2("copy", MNT_DETACH));
	SHOW(umount("tree/part/a b"));
	SHOW(umount("tree/part/a b"));
	SHOW(umount("tree/part"));
	SHOW(umount("beside"));
}

static void how_unmounted(void)
{
	struct stat status;
	SHOW(mkdir("used", 0700));
	SHOW(symlink("used", "link"));
	SHOW(mount("none", "used", "tmpfs", 0, NULL));
	SHOW(umount2("used", 16));
	SHOW(umount2("used", 0x40000000));
	SHOW(umount2("link", UMOUNT_NOFOLLOW));
	SHOW(umount2("none such", 16));
	SHOW(umount2("used", MNT_EXPIRE | MNT_DETACH));
	SHOW(umount2("used", MNT_EXPIRE | MNT_FORCE));
	int fd = open("used", O_RDONLY);
	SHOW(umount2("used", MNT_EXPIRE));
	close(fd);
	SHOW(umount2("used", MNT_EXPIRE));
	SHOW(stat("used/x", &status));
	SHOW(stat("used", &status));
	SHOW(umount2("used", MNT_EXPIRE));
	SHOW(umount2("link", MNT_EXPIRE));
	SHOW(umount2("used", MNT_EXPIRE));
	SHOW(mount("none", "used", "tmpfs", 0, NULL));
	SHOW(umount("link"));
	SHOW(mount("none", "used", "tmpfs", 0, NULL));
	SHOW(umount2("used", UMOUNT_NOFOLLOW | MNT_FORCE));
	SHOW(setresuid(1000, 1000, 1000));
	SHOW(umount2("none such", 0));
	SHOW(umount2("used", 0));
	SHOW(umount2("used", 16));
}

static void flags_of_mounts(void)
{
	static const unsigned long sets[] = {0,
	                                     MS_NOATIME,
	                                     0,
	                                     MS_STRICTATIME,
	                                     0,
	                                     MS_NODIRATIME,
	                                     MS_NODIRATIME | MS_STRICTATIME,
	                                     MS_NOATIME | MS_STRICTATIME,
	                                     MS_RELATIME | MS_NOSUID | MS_NODEV,
	                                     MS_NOEXEC,
	                                     MS_RDONLY | 256,
	                                     0};
	SHOW(mkdir("flagged", 0700));
	SHOW(mount("none", "flagged", "tmpfs", 0, NULL));
	for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
		printf("%lx: ", sets[i]);
		SHOW(mount(NULL, "flagged", NULL, MS_REMOUNT | sets[i], NULL));
		show_flags("flagged");
	}
	SHOW(mkdir("flagged/folder", 0700));
	SHOW(symlink("folder", "flagged/link"));
	SHOW(mount(NULL, "flagged", NULL, MS_REMOUNT | 256, NULL)); /* no links are followed */
	SHOW_OK(open("flagged/link", O_RDONLY));
	SHOW_OK(open("flagged/link/.", O_RDONLY));
	SHOW(readlink("flagged/link", (char[9]){0}, 9));
	SHOW(mount(NULL, "flagged", NULL, MS_REMOUNT | MS_STRICTATIME, NULL));
	SHOW(folder_was_read("flagged/folder", 0));
	SHOW(folder_was_read("flagged/link", 0));
	SHOW(umount2("flagged", MNT_DETACH));
}

/* Of the file system, for all who see it. */
static void synchronous(void)
{
	struct stat status;
	close(open("synced", O_CREAT | O_WRONLY, 0600));
	SHOW(remount(MS_SYNCHRONOUS | MS_NOSUID));
	SHOW(mkdir("sync", 0700));
	SHOW(mkdir("aside", 0700));
	SHOW(mount("aside", "sync", NULL, MS_BIND, NULL));
	show_flags("sync");
	SHOW(mount(NULL, "sync", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL));
	show_flags("sync");
	int fd = open("synced", O_WRONLY);
	SHOW(write(fd, "text", 4));
	SHOW(fstat(fd, &status));
	printf("%ld bytes\n", (long)status.st_size);
	SHOW(remount(0));
	show_flags("sync");
	SHOW(umount("sync"));
	SHOW(mount("none", "sync", "tmpfs", MS_SYNCHRONOUS | MS_RDONLY, NULL));
	show_flags("sync");
	SHOW(try_open("sync/a", O_CREAT | O_WRONLY));
	SHOW(mount(NULL, "sync", NULL, MS_REMOUNT, NULL));
	show_flags("sync");
	SHOW(try_open("sync/a", O_CREAT | O_WRONLY));
	SHOW(umount("sync"));
}

/* How many mounts of a process are on a folder of that name. */
static int mounts_named(pid_t pid, const char *name)
{
	char path[64], line[512], point[256];
	int count = 0;
	snprintf(path, sizeof(path), "/proc/%d/mounts", pid);
	FILE *file = fopen(path, "r");
	while (file != NULL && fgets(line, sizeof(line), file) != NULL)
		count += sscanf(line, "%*s %255s", point) == 1 && strcmp(strrchr(point, '/') + 1, name) == 0;
	if (file != NULL)
		fclose(file);
	return count;
}

/* In a process with mounts of its own, which stands where it stood and has a descriptor of before. */
static void apart(int before)
{
	struct stat status;
	char path[300], old[64];
	snprintf(old, sizeof(old), "/proc/self/fd/%d", before);
	SHOW_OK(getcwd(path, sizeof(path)) == NULL ? -1 : 0);
	printf("%s\n", strrchr(path, '/'));
	SHOW(stat("../common/in/file", &status));
	SHOW(mount("none", "../aside", "tmpfs", MS_NOEXEC, NULL));
	SHOW(mkdir("../aside/seen", 0700));
	SHOW(mount(NULL, "../common/in", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL));
	SHOW_OK(open("../common/in/file", O_RDWR));
	SHOW(umount("../common/in"));
	SHOW(stat("../common/in/file", &status));
	SHOW(fstatat(before, "in/file", &status, 0));
	SHOW(umount(old));
	SHOW(mount("none", old, "tmpfs", 0, NULL));
	SHOW(mount(old, "../aside", NULL, MS_BIND, NULL));
	SHOW(mount(NULL, old, NULL, MS_REMOUNT, NULL));
	SHOW(fchdir(before));
	SHOW(umount("."));
	SHOW_OK(open("in/file", O_RDWR));
}

static int apart_by_clone(void *unused)
{
	(void)unused;
	SHOW(mount("none", "../aside", "tmpfs", 0, NULL));
	fflush(stdout);
	return 0;
}

static void namespaces(void)
{
	struct stat status;
	char byte, stack[65536];
	int told[2], go[2];
	SHOW(mkdir("common", 0700));
	SHOW(mkdir("aside", 0700));
	SHOW(mkdir("place", 0700));
	SHOW(mount("none", "common", "tmpfs", 0, NULL));
	SHOW(mkdir("common/in", 0700));
	SHOW(mount("none", "common/in", "tmpfs", 0, NULL));
	SHOW(try_open("common/in/file", O_CREAT | O_WRONLY));
	SHOW(chdir("place"));
	int before = open("../common", O_RDONLY | O_DIRECTORY);
	long id = seen_mount("in").id;
	(void)!pipe(told);
	(void)!pipe(go);
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		SHOW(unshare(CLONE_NEWNS));
		TELL(seen_mount("in").id != id && seen_mount("in").id != 0);
		TELL(seen_mount("in").parent == seen_mount("common").id);
		apart(before);
		SHOW(mounts_named(getppid(), "in"));
		fflush(stdout);
		(void)!write(told[1], "x", 1);
		(void)!read(go[0], &byte, 1);
		_exit(0);
	}
	(void)!read(told[0], &byte, 1);
	SHOW(mounts_named(pid, "aside"));
	SHOW(mounts_named(pid, "in"));
	SHOW(mounts_named(getpid(), "aside"));
	SHOW(mounts_named(getpid(), "in"));
	SHOW(stat("../aside/seen", &status));
	SHOW(stat("../common/in/file", &status));
	SHOW(try_open("../common/in/file", O_RDWR));
	SHOW(umount("../common/in"));
	snprintf(stack, sizeof(stack), "/proc/%d/root/%s", pid, "none such");
	SHOW(stat(stack, &status));
	(void)!write(go[1], "x", 1);
	SHOW(waitpid(pid, NULL, 0) == pid);
	SHOW(umount("../common/in"));
	fflush(stdout);
	pid = clone(apart_by_clone, stack + sizeof(stack), CLONE_NEWNS | SIGCHLD, NULL);
	SHOW(waitpid(pid, NULL, 0) == pid);
	SHOW(mounts_named(getpid(), "aside"));
	SHOW(clone(apart_by_clone, stack + sizeof(stack), CLONE_NEWNS | CLONE_FS | SIGCHLD, NULL));
	SHOW(chdir(".."));
	SHOW(umount("common"));
	close(before);
	SHOW(umount("common"));
	SHOW(setresuid(1000, 1000, 1000));
	SHOW(unshare(CLONE_NEWNS));
	SHOW(clone(apart_by_clone, stack + sizeof(stack), CLONE_NEWNS | SIGCHLD, NULL));
}

/* What cannot be bound. */
static void no_source(void)
{
	char name[64];
	int ends[2], fd = open("gone", O_CREAT | O_RDWR, 0600);
	(void)!pipe(ends);
	unlink("gone");
	close(open("onto", O_CREAT | O_WRONLY, 0600));
	for (int kind = 0; kind < 2; kind++) {
		snprintf(name, sizeof(name), "/proc/self/fd/%d", kind == 0 ? fd : ends[0]);
		SHOW(mount(name, "onto", NULL, MS_BIND, NULL));
	}
	mkdir("folder gone", 0700);
	mkdir("onto folder", 0700);
	int top = open(".", O_RDONLY | O_DIRECTORY);
	SHOW(chdir("folder gone"));
	SHOW(unlinkat(top, "folder gone", AT_REMOVEDIR));
	snprintf(name, sizeof(name), "/proc/self/fd/%d/onto folder", top);
	SHOW(mount(".", name, NULL, MS_BIND, NULL));
	SHOW(mount("/proc/self/fd", name, NULL, MS_BIND, NULL));
	SHOW(umount(name));
}

/* A file that is on no mount. */
static void onto_memory(void)
{
	char name[64];
	snprintf(name, sizeof(name), "/proc/self/fd/%ld", syscall(SYS_memfd_create, "memory", 0));
	SHOW(mkdir("moves", 0700));
	SHOW(mount("none", "moves", "tmpfs", 0, NULL));
	SHOW(mount("moves", name, NULL, MS_MOVE, NULL));
	SHOW(mount("moves", name, NULL, MS_BIND, NULL));
	SHOW(mount("onto", name, NULL, MS_BIND, NULL));
	SHOW(mount("none", name, "tmpfs", 0, NULL));
	SHOW(mount(NULL, name, NULL, MS_REMOUNT, NULL));
	SHOW(mount(NULL, name, NULL, MS_PRIVATE, NULL));
	SHOW(umount(name));
	SHOW(umount("moves"));
}

/* What is done to a folder that is gone does not reach the one that got its number. */
static void removed_folder(void)
{
	struct stat before, after;
	const struct timespec times[2] = {{1000, 0}, {2000, 0}};
	char names[4096];
	SHOW(mkdir("removed", 0755));
	SHOW(mkdir("seen", 0755));
	SHOW(mount("removed", "seen", NULL, MS_BIND, NULL));
	int fd = open("removed", O_RDONLY | O_DIRECTORY);
	SHOW(rmdir("removed"));
	for (int i = 0; i < 20; i++) {
		snprintf(names, sizeof(names), "next%d", i);
		mkdir(names, 0751);
	}
	fstat(fd, &before);
	SHOW(fchmod(fd, 0700));
	SHOW(fchown(fd, 12, 34));
	SHOW(futimens(fd, times));
	fstat(fd, &after);
	printf("%o %d %d %ld, links %d, same file: %d\n", after.st_mode, after.st_uid, after.st_gid,
	       (long)after.st_mtime, (int)after.st_nlink, before.st_ino == after.st_ino);
	SHOW(syscall(SYS_getdents64, fd, names, sizeof(names)));
	SHOW_OK(openat(fd, "in it", O_CREAT | O_WRONLY, 0600));
	SHOW(mkdir("seen/in it", 0700));
	SHOW_OK(open("seen/in it", O_CREAT | O_WRONLY, 0600));
	SHOW(umount("seen"));
	for (int i = 0; i < 20; i++) {
		snprintf(names, sizeof(names), "next%d", i);
		stat(names, &after);
		printf("%o %d %d %d%s", after.st_mode, after.st_uid, after.st_gid, after.st_mtime == 2000,
		       i % 10 == 9 ? "\n" : ", ");
		SHOW(rmdir(names));
	}
}

static void bound(void)
{
	SHOW(mkdir("outer", 0700));
	SHOW(mkdir("outer/in ner", 0700));
	SHOW(mkdir("point", 0700));
	SHOW(mount("outer", "point", NULL, MS_BIND, NULL));
	show_last_mount();
	SHOW(mount("point/in ner", "outer", NULL, MS_BIND, NULL));
	show_last_mount();
	SHOW(umount("outer"));
	SHOW(umount("point"));
	SHOW(mount(".", "point", NULL, MS_BIND, NULL));
	show_last_mount();
	SHOW(umount("point"));
}

static void show_made(const char *name)
{
	char path[300];
	int fd = open(name, O_CREAT | O_WRONLY, 0600);
	SHOW_OK(fd);
	close(fd);
	SHOW(mkdir("made", 0700));
	SHOW(rmdir("made"));
	SHOW_OK(getcwd(path, sizeof(path)) == NULL ? -1 : 0);
	printf("%s\n", strrchr(path, '/'));
}

static void show_link(int fd)
{
	char name[64], path[300];
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	ssize_t length = readlink(name, path, sizeof(path) - 1);
	path[length < 0 ? 0 : length] = 0;
	printf("%s\n", strrchr(path, '/'));
}

/* Names that are changed through one mount, for those who stand in the other or have it open. */
static void names_of_bound(void)
{
	struct stat status;
	SHOW(mkdir("one", 0700));
	SHOW(mkdir("other", 0700));
	SHOW(mkdir("one/a", 0700));
	SHOW(mkdir("one/a/b", 0700));
	SHOW(mount("one", "other", NULL, MS_BIND, NULL));
	int top = open(".", O_RDONLY | O_DIRECTORY), fd;
	SHOW(chdir("other/a/b"));
	fd = open("file", O_CREAT | O_RDWR, 0600);
	SHOW(renameat(top, "one/a", top, "one/c"));
	show_made("after a rename");
	show_link(fd);
	SHOW(renameat(top, "one/c/b", top, "one/d"));
	show_made("after a rename of its own");
	SHOW(renameat(top, "one/d/file", top, "one/d/renamed"));
	show_link(fd);
	SHOW(chdir(".."));
	SHOW(stat("d/renamed", &status));
	SHOW(stat("a", &status));
	/* into itself, by names of two mounts */
	SHOW(rename("d", "d/in"));
	SHOW(chdir("d"));
	SHOW(renameat(top, "one/d", top, "one/e"));
	SHOW(rename("../e", "in"));
	SHOW(renameat(top, "other/e", AT_FDCWD, "in"));
	SHOW(syscall(SYS_renameat2, top, "one/e", top, "one/c", EXCHANGE));
	show_made("after an exchange");
	SHOW(stat("../e", &status));
	SHOW(mkdirat(top, "one/empty", 0700));
	SHOW(renameat(top, "one/c", top, "one/empty"));
	show_made("after one replaced another");
	SHOW(unlinkat(top, "one/empty/renamed", 0));
	show_link(fd);
	SHOW(fchdir(top));
	SHOW(umount("other"));
	close(fd);
}

/* What is moved out of what is seen through a mount, and in again. */
static void moved_out_of_bound(void)
{
	struct stat status;
	SHOW(mkdir("whole", 0700));
	SHOW(mkdir("whole/part", 0700));
	SHOW(mkdir("whole/part/x", 0700));
	SHOW(mkdir("whole/part/x/y", 0700));
	SHOW(mkdir("shown", 0700));
	SHOW(mount("whole/part", "shown", NULL, MS_BIND, NULL));
	show_last_mount();
	int top = open(".", O_RDONLY | O_DIRECTORY);
	SHOW(chdir("shown/x/y"));
	SHOW(renameat(top, "whole/part/x", top, "whole/x"));
	SHOW(fstatat(top, "shown/x", &status, 0));
	SHOW(renameat(top, "whole/x", top, "whole/part/z"));
	SHOW(fstatat(top, "shown/z/y", &status, 0));
	TELL(renameat(top, "shown/z", AT_FDCWD, "inside") < 0);
	SHOW(fchdir(top));
	SHOW(rename("whole/part", "whole/moved"));
	show_last_mount();
	SHOW(rename("whole", "entire"));
	show_last_mount();
	SHOW(mkdir("entire/third", 0700));
	SHOW(syscall(SYS_renameat2, AT_FDCWD, "entire/third", AT_FDCWD, "entire/moved", EXCHANGE));
	show_last_mount();
	SHOW(rmdir("entire/third/z/y"));
	SHOW(rmdir("entire/third/z"));
	SHOW(rmdir("entire/third"));
	show_last_mount();
	SHOW(umount("shown"));
}

static void bound_in_memory(void)
{
	SHOW(mkdir("tmpfs", 0700));
	SHOW(mount("tmpfs", "tmpfs", "tmpfs", 0, NULL));
	SHOW(chdir("tmpfs"));
	names_of_bound();
	moved_out_of_bound();
}

static void fill(const char *path)
{
	static char page[4096];
	long pages = 0;
	int fd = open(path, O_CREAT | O_WRONLY, 0600);
	while (pages < 300 && write(fd, page, sizeof(page)) == sizeof(page))
		pages++;
	printf("%ld pages\n", pages);
	close(fd);
}

static void in_memory(void)
{
	SHOW(mkdir("memory", 0700));
	SHOW(mkdir("jail", 0700));
	SHOW(mount("tmpfs", "memory", "tmpfs", 0, "size=64k"));
	fill("memory/a");
	SHOW(mount(NULL, "memory", NULL, MS_REMOUNT, "size=256k"));
	fill("memory/b");
	SHOW(mount(NULL, "memory", NULL, MS_REMOUNT, "size=128k"));
	SHOW(unlink("memory/b"));
	SHOW(mount(NULL, "memory", NULL, MS_REMOUNT, "size=128k"));
	fill("memory/b");
	SHOW(mount(NULL, "memory", NULL, MS_REMOUNT, "size=junk"));
	SHOW(mount(NULL, "memory", NULL, MS_REMOUNT, "size=1mm"));
	SHOW(mount(NULL, "memory", NULL, MS_REMOUNT, "bogus"));
	SHOW(mount(NULL, "memory", NULL, MS_REMOUNT, "bogus=1"));
	SHOW(mount("tmpfs", "jail", "tmpfs", 0, "size=x"));
	SHOW(mount(NULL, "memory", NULL, MS_REMOUNT, "size=0"));
	fill("memory/b");
	SHOW(umount("memory"));
}

static void show_limits(const char *name)
{
	char line[512], point[256], options[256];
	struct statfs status;
	FILE *file = fopen("/proc/mounts", "r");
	while (file != NULL && fgets(line, sizeof(line), file) != NULL)
		if (sscanf(line, "%*s %255s %*s %255s", point, options) == 2 &&
		    strcmp(strrchr(point, '/') + 1, name) == 0)
			printf("%s\n", options);
	if (file != NULL)
		fclose(file);
	SHOW(statfs(name, &status));
	printf("%ld blocks, %ld files, %ld free\n", (long)status.f_blocks, (long)status.f_files,
	       (long)status.f_ffree);
}

static int linked(const char *from, const char *to)
{
	int fd = open(from, O_TMPFILE | O_RDWR, 0600);
	char path[64];
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	int result = fd < 0 ? fd : linkat(AT_FDCWD, path, AT_FDCWD, to, AT_SYMLINK_FOLLOW);
	close(fd);
	return result;
}

static void limits_of_memory(void)
{
	SHOW(mkdir("limited", 0700));
	SHOW(mount("tmpfs", "limited", "tmpfs", 0, "nr_inodes=5,size=100k,mode=750,uid=3,gid=4"));
	show_limits("limited");
	for (int i = 0; i < 6; i++) {
		char name[64];
		snprintf(name, sizeof(name), "limited/%d", i);
		SHOW(try_open(name, O_CREAT | O_WRONLY));
	}
	SHOW(link("limited/0", "limited/linked"));
	SHOW(mkdir("limited/folder", 0700));
	SHOW(symlink("x", "limited/x"));
	SHOW(linked("limited", "limited/nameless"));
	int fd = open("limited/1", O_RDONLY);
	SHOW(unlink("limited/1"));
	SHOW(mkdir("limited/folder", 0700));
	close(fd);
	SHOW(link("limited/0", "limited/linked"));
	show_limits("limited");
	SHOW(rename("limited/2", "limited/linked"));
	show_limits("limited");
	SHOW(linked("limited", "limited/nameless"));
	show_limits("limited");
	SHOW(unlink("limited/nameless"));
	SHOW(mkdir("limited/folder", 0700));
	SHOW(rmdir("limited/folder"));
	show_limits("limited");
	static const char *const options[] = {"nr_inodes=2", "nr_inodes=3", "nr_inodes=1k", "nr_inodes=1%",
	                                      "nr_inodes=",  "nr_inodes=0", "nr_inodes=10", "nr_blocks=20",
	                                      "size=0",      "size=64k",    "mode=700",     "inode32",
	                                      "inode64",     "inode16",     "huge=",        "huge=never"};
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		printf("%s: ", options[i]);
		SHOW(mount(NULL, "limited", NULL, MS_REMOUNT, options[i]));
		if (strncmp(options[i], "inode", 5) != 0) /* whose numbers are long stays so on Linux */
			show_limits("limited");
	}
	SHOW(umount("limited"));
}

static void left_outside(void)
{
	char path[300];
	int outside = open(".", O_RDONLY | O_DIRECTORY);
	SHOW(chroot("jail"));
	SHOW(syscall(SYS_getcwd, path, sizeof(path)));
	printf("%s\n", path);
	SHOW(chdir("/"));
	SHOW(syscall(SYS_getcwd, path, sizeof(path)));
	printf("%s\n", path);
	SHOW(fchdir(outside));
	SHOW(syscall(SYS_getcwd, path, sizeof(path)));
	printf("%s\n", path);
}

int main(void)
{
	show_child("read only", read_only);
	show_child("flags", flags);
	show_child("flags of users", flags_of_users);
	show_child("times", times);
	show_child("access times", access_times);
	show_child("read only for all", read_only_for_all);
	show_child("options", options);
	show_child("numbers", numbers);
	show_child("bound socket", bound_socket);
	show_child("trees", trees);
	show_child("how unmounted", how_unmounted);
	show_child("flags of mounts", flags_of_mounts);
	show_child("synchronous", synchronous);
	show_child("namespaces", namespaces);
	show_child("no source", no_source);
	show_child("onto memory", onto_memory);
	show_child("removed folder", removed_folder);
	show_child("bound", bound);
	show_child("names of bound", names_of_bound);
	show_child("moved out of bound", moved_out_of_bound);
	show_child("bound in memory", bound_in_memory);
	show_child("in memory", in_memory);
	show_child("limits of memory", limits_of_memory);
	show_child("left outside", left_outside);
	return 0;
}
