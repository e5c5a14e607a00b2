/* SPDX-License-Identifier: MIT */
/* Names: what the calls that make, find, move and remove them say, on a file system in memory. */
#include "../check.h"
#include "capability.h"
#include "fakes.h"
#include "tests.h"

#define AT              ((uint64_t)AT_FDCWD_LINUX)
#define P(text)         ((uint64_t)(uintptr_t)(text))
#define CALL(name, ...) CALL_(name, __VA_ARGS__, 0, 0, 0, 0, 0, 0)
#define CALL_(name, a, b, c, d, e, f, ...)                                                          \
	call(sys_##name, (uint64_t)(a), (uint64_t)(b), (uint64_t)(c), (uint64_t)(d), (uint64_t)(e), \
	     (uint64_t)(f))

static long opened(const char *path, int flags)
{
	return CALL(open, P(path), flags, 0644);
}

static void make_file(const char *path, const char *text)
{
	long fd = opened(path, O_CREAT | O_TRUNC | O_WRONLY);
	CHECK(fd >= 0);
	CHECK(CALL(write, fd, P(text), strlen(text)) == (long)strlen(text));
	CALL(close, fd);
}

static bool holds(const char *path, const char *text)
{
	char data[256] = "";
	long fd = opened(path, O_RDONLY);
	if (fd < 0)
		return false;
	long count = CALL(read, fd, P(data), sizeof(data) - 1);
	CALL(close, fd);
	return count == (long)strlen(text) && memcmp(data, text, strlen(text)) == 0;
}

static void test_open(void)
{
	CHECK(opened("/none", O_RDONLY) == -ENOENT);
	CHECK(opened("", O_RDONLY) == -ENOENT);
	make_file("/f", "data");
	CHECK(holds("/f", "data"));
	CHECK(opened("/f", O_CREAT | O_EXCL | O_RDWR) == -EEXIST);
	CHECK(opened("/f", O_DIRECTORY) == -ENOTDIR);
	CHECK(opened("/f/", O_RDONLY) == -ENOTDIR);
	CHECK(opened("/f/x", O_RDONLY) == -ENOTDIR);
	CHECK(opened("/new/", O_CREAT | O_WRONLY) == -EISDIR);
	CHECK(opened("/", O_WRONLY) == -EISDIR);
	CHECK(opened("/", O_RDONLY | O_CREAT) == -EISDIR);
	CHECK(opened("/f", O_RDONLY | O_TRUNC) >= 0);
	CHECK(holds("/f", ""));
	char long_name[300];
	memset(long_name, 'x', sizeof(long_name) - 1);
	long_name[sizeof(long_name) - 1] = 0;
	CHECK(opened(long_name, O_CREAT | O_WRONLY) == -ENAMETOOLONG);
	CHECK(opened("/f", O_PATH) >= 0);
	long fd = opened("/f", O_PATH);
	char byte;
	CHECK(CALL(read, fd, P(&byte), 1) == -EBADF);
	CHECK(CALL(close_range, 0, 100) == 0);
}

static void test_symlinks(void)
{
	CHECK(CALL(mkdir, P("/d"), 0755) == 0);
	make_file("/d/target", "t");
	CHECK(CALL(symlink, P("d/target"), P("/link")) == 0);
	CHECK(CALL(symlink, P("/d"), P("/dir")) == 0);
	CHECK(holds("/link", "t") && holds("/dir/target", "t") && holds("/dir/../link", "t"));
	CHECK(opened("/link", O_NOFOLLOW) == -ELOOP);
	CHECK(opened("/link", O_CREAT | O_EXCL | O_WRONLY) == -EEXIST);
	CHECK(CALL(symlink, P("loop"), P("/loop")) == 0);
	CHECK(opened("/loop", O_RDONLY) == -ELOOP);
	CHECK(CALL(symlink, P("/made"), P("/dangling")) == 0);
	CHECK(opened("/dangling", O_RDONLY) == -ENOENT);
	make_file("/dangling", "through"); /* creates what the link names */
	CHECK(holds("/made", "through"));
	CHECK(CALL(unlink, P("/link")) == 0 && holds("/d/target", "t"));
	CHECK(CALL(rmdir, P("/dir")) == -ENOTDIR);
	char target[16];
	CHECK(CALL(readlink, P("/dir"), P(target), sizeof(target)) == 2 && memcmp(target, "/d", 2) == 0);
	CHECK(CALL(readlink, P("/d"), P(target), sizeof(target)) == -EINVAL);
}

static void test_directories(void)
{
	CHECK(CALL(mkdir, P("/a"), 0755) == 0 && CALL(mkdir, P("/a/b/"), 0755) == 0);
	CHECK(CALL(mkdir, P("/a"), 0755) == -EEXIST && CALL(mkdir, P("/"), 0755) == -EEXIST);
	CHECK(CALL(mkdir, P("/x/y"), 0755) == -ENOENT);
	CHECK(CALL(rmdir, P("/a")) == -ENOTEMPTY);
	CHECK(CALL(rmdir, P("/a/.")) == -EINVAL && CALL(rmdir, P("/a/b/..")) == -ENOTEMPTY &&
	      CALL(rmdir, P("/")) == -EBUSY);
	CHECK(CALL(unlink, P("/a")) == -EISDIR);
	CHECK(CALL(chdir, P("/a/b")) == 0);
	char path[64];
	CHECK(CALL(getcwd, P(path), sizeof(path)) == 5 && strcmp(path, "/a/b") == 0);
	CHECK(CALL(getcwd, P(path), 3) == -ERANGE);
	CHECK(CALL(rmdir, P("/a/b")) == 0);
	CHECK(CALL(getcwd, P(path), sizeof(path)) == -ENOENT);
	CHECK(opened("new", O_CREAT | O_WRONLY) == -ENOENT);
	CHECK(CALL(chdir, P("/")) == 0);
	CHECK(CALL(rmdir, P("/a")) == 0);
}

static void test_names_in_a_directory(void)
{
	char buffer[512], path[32];
	unsigned seen = 0;
	CHECK(CALL(mkdir, P("/many"), 0755) == 0);
	for (unsigned i = 0; i < 100; i++) {
		snprintf(path, sizeof(path), "/many/f%u", i);
		make_file(path, "");
	}
	long fd = opened("/many", O_RDONLY | O_DIRECTORY), count;
	CHECK(CALL(getdents64, fd, P(buffer), 8) == -EINVAL);
	while ((count = CALL(getdents64, fd, P(buffer), sizeof(buffer))) > 0) {
		for (long at = 0; at < count; seen++) {
			struct linux_dirent64 *entry = (void *)(buffer + at);
			at += entry->reclen;
			if (entry->name[0] == 'f') { /* removing what was seen does not disturb the rest */
				snprintf(path, sizeof(path), "/many/%s", entry->name);
				CHECK(CALL(unlink, P(path)) == 0);
			}
		}
	}
	CHECK(seen == 102 && CALL(rmdir, P("/many")) == 0);
	CALL(close, fd);
}

static void test_rename(void)
{
	make_file("/r1", "1");
	make_file("/r2", "2");
	CHECK(CALL(mkdir, P("/rd"), 0755) == 0 && CALL(mkdir, P("/rd/in"), 0755) == 0);
	make_file("/rd/in/f", "deep");
	CHECK(CALL(rename, P("/r1"), P("/r2")) == 0);
	CHECK(holds("/r2", "1") && opened("/r1", O_RDONLY) == -ENOENT);
	CHECK(CALL(rename, P("/rd"), P("/rd/in/sub")) == -EINVAL);
	CHECK(CALL(rename, P("/r2"), P("/rd")) == -EISDIR && CALL(rename, P("/rd"), P("/r2")) == -ENOTDIR);
	CHECK(CALL(rename, P("/rd/in"), P("/moved")) == 0 && holds("/moved/f", "deep"));
	CHECK(opened("/rd/in/f", O_RDONLY) == -ENOENT);
	CHECK(CALL(chdir, P("/moved")) == 0 && CALL(rename, P("/moved"), P("/rd/back")) == 0);
	char path[64];
	CHECK(CALL(getcwd, P(path), sizeof(path)) > 0 && strcmp(path, "/rd/back") == 0 && holds("f", "deep"));
	CHECK(CALL(chdir, P("/")) == 0);
	CHECK(CALL(renameat2, AT, P("/r2"), AT, P("/rd/back/f"), FS_RENAME_NOREPLACE) == -EEXIST);
	CHECK(CALL(renameat2, AT, P("/r2"), AT, P("/rd/back/f"), FS_RENAME_EXCHANGE) == 0);
	CHECK(holds("/r2", "deep") && holds("/rd/back/f", "1"));
	CHECK(CALL(renameat2, AT, P("/r2"), AT, P("/nothing"), FS_RENAME_EXCHANGE) == -ENOENT);
	CHECK(CALL(link, P("/r2"), P("/r3")) == 0 && CALL(rename, P("/r2"), P("/r3")) == 0 &&
	      holds("/r2", "deep"));
	CHECK(CALL(rename, P("/r2"), P("/r9/")) == -ENOTDIR);
}

static void test_unlinked_but_open(void)
{
	struct linux_stat stat;
	make_file("/u", "still here");
	long fd = opened("/u", O_RDWR);
	CHECK(CALL(unlink, P("/u")) == 0 && opened("/u", O_RDONLY) == -ENOENT);
	char data[16];
	CHECK(CALL(read, fd, P(data), sizeof(data)) == 10);
	CHECK(CALL(fstat, fd, P(&stat)) == 0 && stat.st_nlink == 0);
	make_file("/u", "another");
	CHECK(CALL(pread64, fd, P(data), sizeof(data), 0) == 10 && holds("/u", "another"));
	CALL(close, fd);
}

static void test_permissions(void)
{
	struct process *process = current_thread()->process;
	struct credentials root = process->credentials;
	CHECK(CALL(mkdir, P("/p"), 0700) == 0 && CALL(mkdir, P("/sticky"), 0777) == 0);
	CHECK(CALL(chmod, P("/sticky"), 01777) == 0);
	make_file("/p/secret", "x");
	make_file("/sticky/root", "x");
	make_file("/public", "x");
	process->credentials.fsuid = process->credentials.euid = process->credentials.uid = 1000;
	process->credentials.fsgid = 1000;
	capabilities_uids_changed(&root, &process->credentials);
	CHECK(opened("/p/secret", O_RDONLY) == -EACCES);
	CHECK(opened("/public", O_RDONLY) >= 0 && opened("/public", O_RDWR) == -EACCES);
	CHECK(CALL(access, P("/public"), 2) == -EACCES && CALL(access, P("/public"), 4) == 0);
	CHECK(CALL(unlink, P("/public")) == -EACCES);
	CHECK(CALL(unlink, P("/sticky/root")) == -EPERM);
	CHECK(CALL(chmod, P("/public"), 0777) == -EPERM && CALL(chown, P("/public"), 1000, 1000) == -EPERM);
	make_file("/sticky/mine", "x");
	CHECK(CALL(unlink, P("/sticky/mine")) == 0);
	CHECK(CALL(mount, P("none"), P("/p"), P("tmpfs"), 0, 0) == -EPERM);
	process->credentials = root;
	CHECK(CALL(close_range, 0, 100) == 0);
}

static void test_mounts(void)
{
	CHECK(CALL(mkdir, P("/m"), 0755) == 0 && CALL(mkdir, P("/src"), 0755) == 0 &&
	      CALL(mkdir, P("/bind"), 0755) == 0);
	CHECK(CALL(mount, P("none"), P("/m"), P("tmpfs"), 0, P("size=8k")) == 0);
	make_file("/m/f", "inside");
	CHECK(CALL(rename, P("/m/f"), P("/f2")) == -EXDEV && CALL(link, P("/m/f"), P("/f2")) == -EXDEV);
	CHECK(CALL(rmdir, P("/m")) == -EBUSY && holds("/m/../m/f", "inside"));
	static char big[20000];
	long fd = opened("/m/big", O_CREAT | O_WRONLY);
	CHECK(CALL(write, fd, P(big), sizeof(big)) == 4096); /* one page is left */
	CHECK(CALL(write, fd, P(big), 10) == -ENOSPC);
	CHECK(CALL(umount2, P("/m"), 0) == -EBUSY);
	CALL(close, fd);
	CHECK(CALL(umount2, P("/m"), 0) == 0 && opened("/m/f", O_RDONLY) == -ENOENT);
	/* a bind mount sees at once what happens on the other side, negative names too */
	CHECK(CALL(mount, P("/src"), P("/bind"), 0, LINUX_MS_BIND, 0) == 0);
	CHECK(opened("/bind/n", O_RDONLY) == -ENOENT);
	make_file("/src/n", "new");
	CHECK(holds("/bind/n", "new") && CALL(unlink, P("/bind/n")) == 0 &&
	      opened("/src/n", O_RDONLY) == -ENOENT);
	CHECK(CALL(mount, P("/"), P("/bind"), 0, LINUX_MS_BIND | LINUX_MS_REMOUNT | LINUX_MS_RDONLY, 0) == 0);
	CHECK(opened("/bind/n", O_CREAT | O_WRONLY) == -EROFS && opened("/src/n", O_CREAT | O_WRONLY) >= 0);
	CHECK(CALL(umount2, P("/bind"), 0) == 0);
	CHECK(CALL(close_range, 0, 100) == 0);
}

static void test_chroot(void)
{
	CHECK(CALL(mkdir, P("/jail"), 0755) == 0 && CALL(symlink, P("/up"), P("/jail/link")) == 0);
	make_file("/jail/up", "in the jail");
	struct dentry *root = current_thread()->process->fs->root;
	dentry_get(root);
	CHECK(CALL(chroot, P("/jail")) == 0 && CALL(chdir, P("/")) == 0);
	CHECK(holds("/link", "in the jail") && holds("../../up", "in the jail") &&
	      opened("/jail", O_RDONLY) == -ENOENT);
	dentry_put(current_thread()->process->fs->root);
	current_thread()->process->fs->root = root;
	CHECK(CALL(chdir, P("/")) == 0);
}

static void test_deep_trees_end(void)
{
	CHECK(CALL(mkdir, P("/deep"), 0755) == 0);
	CHECK(CALL(mount, P("none"), P("/deep"), P("tmpfs"), 0, P("nr_inodes=0")) == 0 &&
	      CALL(chdir, P("/deep")) == 0);
	for (unsigned i = 0; i < 3000; i++)
		CHECK(CALL(mkdir, P("d"), 0755) == 0 && CALL(chdir, P("d")) == 0);
	CHECK(CALL(chdir, P("/")) == 0);
	dentries_trim(0);
	CHECK(CALL(umount2, P("/deep"), 0) == 0);
}

static void all(void)
{
	test_open();
	test_symlinks();
	test_directories();
	test_names_in_a_directory();
	test_rename();
	test_unlinked_but_open();
	test_permissions();
	test_mounts();
	test_chroot();
	test_deep_trees_end();
}

int namespace_tests(void)
{
	run(all);
	return checks_report();
}
