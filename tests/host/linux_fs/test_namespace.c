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

/* Names that come, or come again, while a directory is read are not met: this would never end. */
static void read_while_renaming(long fd)
{
	char buffer[512], from[300], to[300];
	unsigned seen = 0;
	long count;
	while (seen < 1000 && (count = CALL(getdents64, fd, P(buffer), sizeof(buffer))) > 0) {
		for (long at = 0; at < count; seen++) {
			struct linux_dirent64 *entry = (void *)(buffer + at);
			at += entry->reclen;
			if (entry->name[0] != 'f')
				continue;
			snprintf(from, sizeof(from), "/many/%s", entry->name);
			snprintf(to, sizeof(to), "/many/f%s", entry->name);
			CHECK(CALL(rename, P(from), P(to)) == 0);
		}
	}
	CHECK(seen == 102 && CALL(lseek, fd, 0, SEEK_SET) == 0);
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
	read_while_renaming(fd);
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
	CHECK(CALL(renameat2, AT, P("/rd"), AT, P("/r2/"), FS_RENAME_EXCHANGE) == -ENOTDIR &&
	      CALL(renameat2, AT, P("/r2"), AT, P("/rd/"), FS_RENAME_EXCHANGE) == 0 && holds("/rd", "deep"));
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
	CHECK(CALL(link, P("/public"), P("/public2")) == 0 && CALL(mkdir, P("/free"), 0755) == 0 &&
	      CALL(chown, P("/free"), 1000, 1000) == 0 && CALL(mkdir, P("/free/here"), 0755) == 0 &&
	      CALL(mkdir, P("/free/mine"), 0755) == 0 && CALL(chown, P("/free/mine"), 1000, 1000) == 0);
	process->credentials.fsuid = process->credentials.euid = process->credentials.uid = 1000;
	process->credentials.fsgid = 1000;
	capabilities_uids_changed(&root, &process->credentials);
	CHECK(opened("/p/secret", O_RDONLY) == -EACCES);
	CHECK(opened("/public", O_RDONLY) >= 0 && opened("/public", O_RDWR) == -EACCES);
	CHECK(CALL(access, P("/public"), 2) == -EACCES && CALL(access, P("/public"), 4) == 0);
	CHECK(CALL(unlink, P("/public")) == -EACCES);
	CHECK(CALL(unlink, P("/sticky/root")) == -EPERM);
	CHECK(CALL(chmod, P("/public"), 0777) == -EPERM && CALL(chown, P("/public"), 1000, 1000) == -EPERM);
	CHECK(CALL(rename, P("/public"), P("/public2")) == 0 && /* nothing happens */
	      CALL(rename, P("/public"), P("/public3")) == -EACCES);
	/* a folder's parent is in it */
	CHECK(CALL(rename, P("/free/here"), P("/free/there")) == 0 &&
	      CALL(rename, P("/free/there"), P("/free/mine/here")) == -EACCES);
	CHECK(CALL(mkdir, P("/free/mine/own"), 0755) == 0 &&
	      CALL(renameat2, AT, P("/free/mine/own"), AT, P("/free/there"), FS_RENAME_EXCHANGE) == -EACCES &&
	      CALL(rename, P("/free/mine/own"), P("/free/own")) == 0);
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
	/* what is mounted is gone; then others of its name come and go */
	CHECK(CALL(mkdir, P("/src/in"), 0755) == 0 &&
	      CALL(mount, P("/src/in"), P("/bind"), 0, LINUX_MS_BIND, 0) == 0);
	for (unsigned i = 0; i < 3; i++)
		CHECK(CALL(rmdir, P("/src/in")) == 0 && CALL(mkdir, P("/src/in"), 0755) == 0);
	CHECK(CALL(rename, P("/src"), P("/src2")) == 0);
	struct mount *last = mount_first();
	while (last->next != NULL)
		last = last->next;
	CHECK(strcmp(last->within, "/src2/in//deleted") == 0);
	CHECK(CALL(umount2, P("/bind"), 0) == 0 && CALL(rename, P("/src2"), P("/src")) == 0);
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

/* ---- what waits ---- */

static unsigned keeps, closes, setattrs, failures;

static int count_keep(struct inode *inode, bool keep)
{
	(void)inode;
	fiber_yield();
	keep ? keeps++ : closes++;
	return 0;
}
static int wait_for_disk(struct superblock *superblock, struct inode *inode)
{
	(void)superblock, (void)inode;
	fiber_yield();
	fiber_yield();
	return 0;
}
static int no_pages(struct page_io *io, bool may_wait)
{
	(void)io, (void)may_wait;
	return -EIO;
}

static const struct inode_operations *in_memory;
static void take_a_while(void)
{
	for (unsigned i = 0; i < 4; i++)
		fiber_yield();
}
static int slow_unlink(struct inode *directory, const char *name, size_t length, struct inode *inode)
{
	take_a_while();
	if (failures > 0) {
		failures--;
		return -EIO;
	}
	return in_memory->unlink(directory, name, length, inode);
}
static int slow_link(struct inode *directory, const char *name, size_t length, struct inode *inode)
{
	take_a_while();
	return in_memory->link(directory, name, length, inode);
}
static int slow_rename(struct inode *from, const char *name, size_t length, struct inode *inode,
                       struct inode *to, const char *new_name, size_t new_length, struct inode *target,
                       unsigned flags)
{
	take_a_while();
	if (failures > 0) {
		failures--;
		return -EIO;
	}
	return in_memory->rename(from, name, length, inode, to, new_name, new_length, target, flags);
}
static int count_setattr(struct inode *inode, unsigned mask, const struct fs_attributes *attributes)
{
	setattrs++;
	attributes_apply(&inode->attributes, mask, attributes);
	return 0;
}
static int find_itself(struct inode *directory, const char *name, size_t length, struct inode **out)
{
	(void)name, (void)length;
	*out = inode_get(directory);
	return 0;
}

static struct inode *inode_of(const char *path)
{
	struct dentry *dentry;
	CHECK(path_lookup(current_thread(), AT_FDCWD_LINUX, path, 0, &dentry) == 0);
	struct inode *inode = dentry->inode; /* its name holds it */
	dentry_put(dentry);
	return inode;
}

/* A folder whose changes take a while, on a file system that wants to know what stays in use. */
static void make_slow(const char *path)
{
	static struct inode_operations slow;
	static struct superblock_operations keeping;
	CHECK(CALL(mkdir, P(path), 0755) == 0);
	struct inode *inode = inode_of(path);
	if (in_memory == NULL) {
		in_memory = inode->operations;
		slow = *in_memory;
		slow.unlink = slow_unlink;
		slow.link = slow_link;
		slow.rename = slow_rename;
		slow.setattr = count_setattr;
		keeping = *inode->superblock->operations;
		keeping.keep = count_keep;
		keeping.fsync = wait_for_disk;
		keeping.io_start = no_pages;
	}
	inode->operations = &slow;
	inode->superblock->operations = &keeping;
}

static unsigned ended;
static long results[2];
static void unlink_one(void)
{
	results[0] = CALL(unlink, P("/slow/a/f"));
	ended++;
}
static void unlink_other(void)
{
	results[1] = CALL(unlink, P("/slow/b/g"));
	ended++;
}
static void replace_one(void)
{
	results[0] = CALL(rename, P("/slow/a/new"), P("/slow/a/f"));
	ended++;
}
static void link_again(void)
{
	results[1] = CALL(link, P("/slow/a/f"), P("/slow/b/g"));
	ended++;
}

static void both(void (*one)(void), void (*other)(void))
{
	struct thread *first = new_process(11, 0), *second = new_process(12, 0);
	ended = 0;
	run_beside(first, one);
	run_beside(second, other);
	while (ended < 2)
		fiber_yield();
	end_process(first);
	end_process(second);
}

/* Whose names go at once from several folders, or go and come: it is kept while it is open, and let go once.
 */
static void test_last_names_at_once(void)
{
	CHECK(CALL(mkdir, P("/slow"), 0755) == 0 &&
	      CALL(mount, P("none"), P("/slow"), P("tmpfs"), 0, 0) == 0);
	make_slow("/slow/a");
	make_slow("/slow/b");
	make_file("/slow/a/f", "");
	CHECK(CALL(link, P("/slow/a/f"), P("/slow/b/g")) == 0);
	long fd = opened("/slow/a/f", O_RDWR);
	both(unlink_one, unlink_other);
	CHECK(results[0] == 0 && results[1] == 0 && keeps == 1 && closes == 0);
	CALL(close, fd);
	CHECK(closes == 1);
	make_file("/slow/a/f", "");
	make_file("/slow/a/new", "");
	CHECK(CALL(link, P("/slow/a/f"), P("/slow/b/g")) == 0);
	fd = opened("/slow/a/f", O_RDWR);
	both(unlink_other, replace_one);
	CHECK(results[0] == 0 && results[1] == 0 && keeps == 2 && closes == 1);
	CALL(close, fd);
	CHECK(closes == 2);
	fd = opened("/slow/a/f", O_RDWR);
	both(unlink_one, link_again);
	CHECK(results[0] == 0 && results[1] == -ENOENT && keeps == 3 && closes == 2);
	CALL(close, fd);
	CHECK(closes == 3);
	/* a name that stays after all */
	make_file("/slow/a/f", "");
	make_file("/slow/a/new", "");
	fd = opened("/slow/a/f", O_RDWR);
	failures = 2;
	CHECK(CALL(unlink, P("/slow/a/f")) == -EIO && keeps == 4 && closes == 4);
	CHECK(CALL(rename, P("/slow/a/new"), P("/slow/a/f")) == -EIO && keeps == 5 && closes == 5);
	CHECK(CALL(unlink, P("/slow/a/f")) == 0 && keeps == 6 && closes == 5);
	CALL(close, fd);
	CHECK(closes == 6);
}

static void test_removed_directory(void)
{
	struct linux_stat stat;
	const struct linux_timespec times[2] = {{5, 0}, {6, 0}};
	make_slow("/slow/gone");
	CHECK(CALL(mkdir, P("/view"), 0755) == 0 &&
	      CALL(mount, P("/slow/gone"), P("/view"), 0, LINUX_MS_BIND, 0) == 0);
	long fd = opened("/slow/gone", O_RDONLY | O_DIRECTORY);
	CHECK(CALL(fchmod, fd, 0711) == 0 && setattrs == 1 && CALL(rmdir, P("/slow/gone")) == 0);
	CHECK(CALL(fchmod, fd, 0700) == 0 && CALL(fchown, fd, 3, 4) == 0 &&
	      CALL(utimensat, fd, 0, P(times), 0) == 0 && setattrs == 1);
	CHECK(CALL(fstat, fd, P(&stat)) == 0 && stat.st_mode == (S_IFDIR | 0700) && stat.st_uid == 3 &&
	      stat.st_mtime_sec == 6);
	CHECK(opened("/view/new", O_CREAT | O_WRONLY) == -ENOENT);
	CALL(close, fd);
	CHECK(CALL(umount2, P("/view"), 0) == 0);
}

/* On a damaged disk. */
static void test_directory_in_itself(void)
{
	static struct inode_operations damaged;
	CHECK(CALL(mkdir, P("/slow/odd"), 0755) == 0);
	struct inode *inode = inode_of("/slow/odd");
	damaged = *inode->operations;
	damaged.lookup = find_itself;
	inode->operations = &damaged;
	CHECK(CALL(rmdir, P("/slow/odd/x")) == -EUCLEAN && opened("/slow/odd/x/y", O_RDONLY) == -EUCLEAN);
	CHECK(CALL(rename, P("/slow/odd/x"), P("/slow/y")) == -EUCLEAN);
	inode->operations = in_memory;
}

static void unmount_one(void)
{
	results[0] = CALL(umount2, P("/slow"), 0);
	ended++;
}
static void unmount_other(void)
{
	results[1] = CALL(umount2, P("/slow"), 0);
	ended++;
}

static void unmount_in_between(void)
{
	CHECK(CALL(umount2, P("/seen"), 0) == 0);
}

static void test_unmounts_at_once(void)
{
	both(unmount_one, unmount_other);
	CHECK(results[0] + results[1] == -EINVAL && results[0] * results[1] == 0);
	/* while what stat says is copied */
	struct linux_stat stat;
	CHECK(CALL(mkdir, P("/seen"), 0755) == 0 &&
	      CALL(mount, P("none"), P("/seen"), P("tmpfs"), 0, 0) == 0);
	make_file("/seen/f", "");
	test_before_copy = unmount_in_between;
	CHECK(CALL(stat, P("/seen/f"), P(&stat)) == 0 && S_ISREG(stat.st_mode));
}

static struct file_table *shared;
static void slow_release(struct file *file)
{
	(void)file;
	fiber_yield();
	fiber_yield();
}
static void close_all(void)
{
	results[0] = CALL(close_range, 0, 100);
	ended++;
}

/* The table is another's by then, who ends. */
static void test_table_that_is_left(void)
{
	static const struct file_operations slow = {.release = slow_release};
	struct thread *first = new_process(11, 0), *second = new_process(12, 0);
	file_table_put(second->process->files);
	shared = second->process->files = file_table_get(first->process->files);
	for (unsigned i = 0; i < 3; i++) {
		struct file *file;
		CHECK(anonymous_file(0600, O_RDWR, &slow, NULL, &file) == 0);
		CHECK(file_table_install(shared, file, 0, false, 100) == (int)i);
		file_put(file);
	}
	ended = 0;
	run_beside(first, close_all);
	CHECK(ended == 0 && file_table_unshare(first->process) == 0);
	end_process(second);
	while (ended == 0)
		fiber_yield();
	CHECK(results[0] == 0);
	end_process(first);
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
	test_last_names_at_once();
	test_removed_directory();
	test_directory_in_itself();
	test_unmounts_at_once();
	test_table_that_is_left();
	test_deep_trees_end();
}

int namespace_tests(void)
{
	run(all);
	return checks_report();
}
