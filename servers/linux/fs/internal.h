/* SPDX-License-Identifier: MIT */
/*
 * What the files of fs/ and tty/ share: superblocks, mounts, dentries, path walks, the page cache's own
 * parts. Errors are negative errno values everywhere.
 */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <stdlib.h>
#include <sys/stat.h>
#include "kept.h"
#include "vfs.h"
#include "fs/linux_values.h"

#define NAME_LENGTH_MAX 255
#define PATH_SIZE       4096 /* with its NUL */
#define FS_CHANNELS_MAX 16   /* disks; a manifest has room for two components each, and fewer */
#define SYMLINKS_MAX    40

enum inode_flags {
	INODE_HASHED = 1 << 0,   /* found by its number */
	INODE_KEPT = 1 << 1,     /* unlinked but in use: the file system was told FS_OPEN */
	INODE_DIRTY = 1 << 2,    /* on its superblock's dirty list */
	INODE_FLUSHING = 1 << 3, /* a fiber writes it back */
	INODE_LINKABLE = 1 << 5, /* without a name so far, but may get one (O_TMPFILE) */
	INODE_STALE = 1 << 4,    /* of a directory: the file system knows its size and times better */
};

/* Of a negative one. musl has no words for the one that broken disks bring. */
static inline const char *error_name(int error)
{
	return error == -EUCLEAN ? "Structure needs cleaning" : strerror(-error);
}

/* ---- file systems ---- */
struct new_inode { /* what create makes */
	uint32_t mode, uid, gid;
	uint64_t rdev;
};

struct inode_operations {
	/* *out: a new reference. -ENOENT. Called with the directory's lock, as all that changes names. */
	int (*lookup)(struct inode *directory, const char *name, size_t length, struct inode **out);
	int (*create)(struct inode *directory, const char *name, size_t length, const struct new_inode *what,
	              struct inode **out);
	/* A file without a name. NULL: there are none. */
	int (*create_nameless)(struct inode *directory, const struct new_inode *what, struct inode **out);
	int (*symlink)(struct inode *directory, const char *name, size_t length, const char *target,
	               const struct new_inode *what, struct inode **out);
	int (*link)(struct inode *directory, const char *name, size_t length, struct inode *inode);
	int (*unlink)(struct inode *directory, const char *name, size_t length, struct inode *inode);
	int (*rmdir)(struct inode *directory, const char *name, size_t length, struct inode *inode);
	/* target: what the new name names now, or NULL. flags: enum fs_rename_flags */
	int (*rename)(struct inode *from, const char *name, size_t length, struct inode *inode,
	              struct inode *to, const char *new_name, size_t new_length, struct inode *target,
	              unsigned flags);
	ssize_t (*readlink)(struct inode *inode, char *out, size_t size);
	/* Links of /proc that lead to an object, not to a path: *out is a new reference */
	int (*follow)(struct inode *inode, struct thread *thread, struct dentry **out);
	int (*setattr)(struct inode *inode, unsigned mask, const struct fs_attributes *attributes);
	int (*refresh)(struct inode *inode); /* attributes that change by themselves */
	int (*open)(struct inode *inode, struct file *file,
	            struct thread *thread); /* fills in operations, private */
};

struct page_io {
	struct inode *inode;
	bool write;
	bool told;     /* whoever writes waits, and hears of an error */
	uint64_t size; /* the file's, when a write was started */
	uint64_t number; /* writes: they are in a list */
	struct page_io *next, **link;
	unsigned count;
	struct {
		uint64_t index;
		pfn_t pfn;
	} pages[FS_PAGES_MAX];
	void *private; /* of the file system */
};

struct superblock_operations {
	int (*statfs)(struct superblock *superblock, struct fs_statfs *out);
	/* Starts moving pages; page_io_done is called when they are. -EAGAIN: all requests are in use (only
	 * if !may_wait). */
	int (*io_start)(struct page_io *io, bool may_wait);
	int (*fsync)(struct superblock *superblock, struct inode *inode);    /* inode NULL: everything */
	int (*punch)(struct inode *inode, uint64_t offset, uint64_t length); /* whole pages become a hole */
	/* *offset: the first byte from there on in a hole, or in data, as far as the disk knows. -ENXIO */
	int (*seek)(struct inode *inode, bool hole, uint64_t *offset);
	int (*unmount)(struct superblock *superblock);
	void (*evict)(struct inode *inode);          /* the inode leaves memory: frees private */
	int (*keep)(struct inode *inode, bool keep); /* FS_OPEN, FS_CLOSE */
	/* Other options, at once or not at all; NULL: any are taken, and change nothing. */
	int (*remount)(struct superblock *superblock, const char *options);
	void (*describe)(const struct superblock *superblock, struct text *text); /* them, each with a comma before it */
};

struct superblock {
	const struct superblock_operations *operations;
	void *private;
	uint64_t device;  /* st_dev */
	const char *type; /* as in /proc/mounts */
	char source[64];
	struct inode *root; /* one reference */
	size_t inodes;      /* in memory: the last one takes an ended superblock along */
	bool ended;         /* nothing is mounted of it, nor ever will be */
	bool read_only;
	bool synchronous;               /* all that is written is on the disk at once */
	bool unwritable;                /* and it must be: its server says so */
	bool changed;                   /* since the last fsync of everything */
	struct error_count sync_errors; /* what was written before may be lost */
	bool volatile_names;            /* names come and go by themselves (proc): dentries are not cached */
	unsigned mounts;
	/* write-back */
	struct inode *dirty,
	        *dirty_last;     /* inodes with dirty pages or pending attributes; last: the longest */
	struct fiber_mutex turn; /* over them, by sync or the periodic fiber */
	uint64_t block_size;
	uint64_t blocks_free;     /* on the disk, as it said last */
	uint64_t blocks_reserved; /* for dirty pages: of those being written, some have their blocks already */
	uint64_t page_limit, page_used; /* tmpfs; 0: no limit */
};

extern const struct file_operations regular_file_operations, directory_file_operations;

/* File data are kept elsewhere, too: the page cache need not keep them. */
static inline bool has_store(const struct inode *inode)
{
	return inode->superblock->operations->io_start != NULL;
}
#define FILE_SIZE_MAX ((uint64_t)1 << 43) /* where there is a store */

/* ---- inode.c ---- */
uint32_t inode_type(const struct inode *inode);            /* S_IFREG … */
struct inode *inode_create(struct superblock *superblock); /* one reference; not hashed; NULL: no memory */
struct inode *inode_find(struct superblock *superblock, uint64_t number); /* new reference, or NULL */
void inode_hash(struct inode *inode);
void inode_unhash(struct inode *inode); /* its number may mean another file from now on */
struct inode *inode_get(struct inode *inode);
void inode_put(struct inode *inode);
void inodes_trim(size_t keep);                     /* forgets unused ones; may wait */
void inode_free(struct inode *inode);              /* one that nobody can find */
void inodes_forget(struct superblock *superblock); /* unmount: all of its unused ones */
/* Nothing is mounted of it any more. What keeps inodes of it, such as a bound socket or what a disk did not
 * take, keeps it. */
void superblock_end(struct superblock *superblock);
bool inodes_kept(const struct superblock *superblock); /* some are unlinked, but in use */
struct fs_time fs_now(void);
void inode_touch(struct inode *inode, unsigned mask); /* FS_SET_?TIME: now; told to the file system later */
/* What mask (enum fs_setattr_mask) names of `from`; the type in the mode stays */
void attributes_apply(struct fs_attributes *to, unsigned mask, const struct fs_attributes *from);
int setattr_in_memory(struct inode *inode, unsigned mask, const struct fs_attributes *from);
int inode_setattr(struct inode *inode, unsigned mask, const struct fs_attributes *attributes);
int inode_flush_attributes(struct inode *inode);

/* Whoever writes to a file and whoever runs it exclude each other. share: 1 or -1. */
static inline int inode_claim(struct inode *inode, int share)
{
	if (inode->writers * share < 0)
		return -ETXTBSY;
	inode->writers += share;
	return 0;
}

/* ---- dentry.c ---- */
struct dentry {
	struct dentry *parent; /* a reference; NULL: root of a mount, or anonymous */
	struct inode *inode;   /* a reference; NULL: negative, the name does not exist */
	struct mount *mount;   /* the mount it is seen through */
	struct mount *mounted; /* the mount on top of it */
	uint32_t references;
	uint32_t hash;
	bool hashed;
	uint8_t name_length;
	struct dentry *hash_next, *lru_next, *lru_previous, *alias_next;
	char *name; /* malloc'd; with the parent, changed by rename only */
};
struct dentry *dentry_create(struct dentry *parent, struct mount *mount, const char *name, size_t length,
                             struct inode *inode);
struct dentry *dentry_find(struct dentry *parent, const char *name,
                           size_t length); /* cached, new reference; NULL */
void dentry_hash(struct dentry *dentry);
void dentry_unhash(struct dentry *dentry);
void dentry_set_inode(struct dentry *dentry,
                      struct inode *inode); /* takes its own reference; NULL: negative */
/* The name in that directory changed: forget it as seen through other mounts than parent's. */
void dentry_forget_aliases(struct dentry *parent, const char *name, size_t length);
/* rename: `old` takes the place of `new`. Exchange: and the other way round; otherwise `new` is negative in
 * the old place, or (if it was a file, which is replaced) not found any more. */
void dentry_move(struct dentry *old, struct dentry *new, bool exchange);
/* A name in a directory. */
struct dentry_name {
	struct dentry *parent;
	const char *name;
	size_t length;
};
/* The same as seen through other mounts, of an inode and what was in its new place (or NULL), with both
 * directories' locks. */
void dentry_move_aliases(const struct dentry_name *from, const struct dentry_name *to, struct inode *inode,
                         struct inode *target, bool exchange);
void dentries_trim(size_t keep);
void dentries_forget(struct mount *mount); /* unused ones */
void dentries_forget_below(struct dentry *directory);
size_t dentries_busy(struct mount *mount); /* with references, but for parents of cached ones */
/* Look the name up, in the cache or the file system; *out may be negative. Takes the directory's lock unless
 * `locked`. */
/* Of a directory: is it where it says? Not if it was removed, or moved out of what the mount shows. */
static inline bool dentry_is_live(const struct dentry *directory)
{
	return directory->hashed || directory->parent == NULL;
}
int dentry_lookup(struct dentry *parent, const char *name, size_t length, bool locked, struct dentry **out);
bool dentry_is_ancestor(struct dentry *ancestor, struct dentry *dentry); /* or the same */
bool dentry_is_within(struct dentry *scope, struct dentry *dentry);       /* the same, through mounts */
int dentry_path_raw(struct dentry *root, struct dentry *dentry, char *out, size_t size);

/* ---- mount.c ---- */
struct mount {
	struct mount *next;
	unsigned id; /* as programs see it; never used again */
	struct superblock *superblock;
	struct dentry *root;       /* a reference */
	struct dentry *mountpoint; /* a reference; NULL: the system's root, or detached */
	char *within;              /* where its root is in the file system; NULL: at the top */
	unsigned long flags;       /* MS_RDONLY, MS_NOSUID, … */
	unsigned writers;          /* regular files that are open for writing through it */
	unsigned contexts;         /* the top of a tree: how many live in it */
	struct mount *copy;        /* while its tree is copied */
	unsigned crossed, expires; /* how often it was entered; and will be when umount2() finds it unused */
	unsigned in_use;           /* a fiber looks at it; then it may be ended, but not freed */
	bool ended;
};
struct mount *tree_get(struct mount *top);
void tree_put(struct mount *top);
void mount_hold(struct mount *mount);
bool mount_release(struct mount *mount); /* false: it is gone, and with it the way to the next one */
struct mount *mount_attach(struct superblock *superblock, struct inode *root, struct dentry *mountpoint,
                           unsigned long flags);
struct mount *mount_first(void);
struct mount *root_mount(void);
/* The dentry's path from the top of its file system, whatever part of it is mounted; *out NULL: it is the
 * top. */
int mount_path_within(struct dentry *dentry, char **out);
/* Names changed: where the roots of mounts are now. Exchange: and the other way round. */
void mounts_moved(const struct superblock *superblock, const char *from, const char *to, bool exchange);
/* A file system of the kind for mount(2) */
typedef int filesystem_mount(const char *source, const char *options, struct superblock **out);
struct dentry *
mount_cross(struct dentry *dentry); /* the top of what is mounted there; consumes and returns a reference */
bool mount_read_only(const struct dentry *dentry);
bool mount_noexec(const struct dentry *dentry);
int filesystem_create(const char *type, const char *source, const char *options, struct superblock **out);
void superblock_release(struct superblock *superblock);
int mount_at(const char *path, const char *type, const char *source, const char *options);
uint64_t device_number_next(void); /* for superblock.device */
void mounts_end_all(void);         /* shutdown: every file system written back and marked clean */

/* ---- path.c ---- */
enum permission_mask { MAY_EXECUTE = 1, MAY_WRITE = 2, MAY_READ = 4 };
int inode_permission(struct thread *thread, const struct inode *inode, unsigned mask);
int permission_check(const struct credentials *credentials, const struct inode *inode, unsigned mask);
bool inode_owner_or_capable(struct thread *thread, const struct inode *inode);
struct dentry *thread_root(struct thread *thread); /* no new reference */
struct dentry *thread_cwd(struct thread *thread);
enum walk_last { LAST_NAME, LAST_DOT, LAST_DOTDOT, LAST_ROOT };
struct walk {
	struct thread *thread;
	const struct credentials *credentials; /* whose permissions count: its process's, or others */
	struct dentry *current; /* a reference; after walk_parent the directory of the last component
	                           (LAST_NAME), else the result */
	const char *rest;       /* what is left of the path, which must outlive the walk */
	char *buffer;           /* malloc'd, what rest points into once a symlink was followed; else NULL */
	unsigned links;
	enum walk_last last;
	const char *name;
	size_t length;
	bool slash;       /* slashes follow the last component: it must be a directory */
	unsigned resolve; /* enum resolve_flags */
	struct dentry
	        *scope; /* a reference; RESOLVE_BENEATH, RESOLVE_IN_ROOT: it does not leave this directory */
};
/* openat2's, as Linux numbers them */
enum resolve_flags {
	RESOLVE_NO_XDEV = 1,
	RESOLVE_NO_MAGICLINKS = 2,
	RESOLVE_NO_SYMLINKS = 4,
	RESOLVE_BENEATH = 8,
	RESOLVE_IN_ROOT = 16,
	RESOLVE_CACHED = 32,
};
int walk_start(struct walk *walk, struct thread *thread, int dirfd, const char *path, unsigned resolve);
/* The component's dentry, maybe negative; with the directory's lock if `locked`. */
static inline int walk_lookup(struct walk *walk, bool locked, struct dentry **out)
{
	if (walk->resolve & RESOLVE_CACHED) {
		*out = dentry_find(walk->current, walk->name, walk->length);
		return *out != NULL ? 0 : -EAGAIN;
	}
	return dentry_lookup(walk->current, walk->name, walk->length, locked, out);
}
/* Onto what is mounted there. Consumes and returns a reference; an error keeps it. */
static inline int walk_cross(const struct walk *walk, struct dentry **dentry)
{
	if (walk->resolve & RESOLVE_NO_XDEV && (*dentry)->mounted != NULL)
		return -EXDEV;
	*dentry = mount_cross(*dentry);
	return 0;
}
int walk_parent(struct walk *walk);
int walk_follow(struct walk *walk,
                struct dentry *link); /* the last component was this symlink: go on into it */
void walk_end(struct walk *walk);
enum lookup_flags { LOOKUP_FOLLOW = 1, LOOKUP_EMPTY = 2, LOOKUP_DIRECTORY = 4 };
int path_lookup(struct thread *thread, int dirfd, const char *path, unsigned flags, struct dentry **out);
/* With others' permissions than the thread's. */
int path_lookup_as(struct thread *thread, const struct credentials *credentials, int dirfd, const char *path,
                   unsigned flags, struct dentry **out);
/* The path is in user memory: copies it; malloc'd */
int path_from_user(struct thread *thread, uint64_t address, char **out);
int user_path_lookup(struct thread *thread, int dirfd, uint64_t path, unsigned flags, struct dentry **out);

/* ---- namespace.c ---- */
int vfs_mknod(struct thread *thread, int dirfd, const char *path, unsigned mode, uint64_t rdev);
int vfs_mkdir(struct thread *thread, int dirfd, const char *path, unsigned mode);
int vfs_symlink(struct thread *thread, const char *target, int dirfd, const char *path);
int vfs_create(struct thread *thread, struct dentry *parent, struct dentry *dentry, unsigned mode,
               uint64_t rdev);

/* *out: its dentry, which nobody finds. linkable: it may get a name later. */
int vfs_create_nameless(struct thread *thread, struct dentry *parent, unsigned mode, bool linkable,
                        struct dentry **out);

/* ---- attributes.c ---- */
int inode_set_size(struct inode *inode, uint64_t size); /* under the inode's lock */
/* -EINVAL, or the thread's limit: a signal and -EFBIG */
int file_size_check(struct thread *thread, uint64_t size);
/* Takes the inode's lock. dentry: its name for those who watch, or NULL. */
int inode_truncate(struct dentry *dentry, struct inode *inode, uint64_t size);
int path_truncate(struct dentry *dentry, uint64_t size); /* of a file that nobody runs */
/* ioctl's, with Linux's numbers */
#define IOCTL_GET_FLAGS   0x80086601u
#define IOCTL_SET_FLAGS   0x40086602u
#define IOCTL_GET_VERSION 0x80087601u
long file_flags_command(struct thread *thread, struct file *file, unsigned command, uint64_t argument);

/* ---- regular.c ---- */
/* relatime: whether a time of access now says something new, or is due once a day; and is wanted at all. */
bool file_access_tells(const struct file *file);
/* The content was changed through that name, or NULL: times, set-id bits. Under the inode's lock. */
void inode_written(struct dentry *dentry, struct inode *inode);

/* ---- file.c ---- */
struct file *file_create(struct inode *inode, struct dentry *dentry, unsigned flags,
                         const struct file_operations *operations);
/* A file on an inode of its own in the anonymous file system; mode: S_IFIFO|0600 … */
int anonymous_file(unsigned mode, unsigned flags, const struct file_operations *operations, void *private,
                   struct file **out);
struct inode *anonymous_inode(unsigned mode); /* NULL: no memory */
struct superblock *anonymous_superblock(void);
int file_claim(struct file *file, int share);        /* inode_claim() until the file is gone */
struct file *file_of(struct thread *thread, int fd); /* new reference, or NULL; not O_PATH files */
struct file *file_of_any(struct thread *thread, int fd);
int file_open_inode(struct thread *thread, struct dentry *dentry, unsigned flags, struct file **out);
/* -EMFILE: file_install would find no number. For calls that must not have done anything then. */
int file_room(struct thread *thread);
int file_install(struct thread *thread, struct file *file,
                 bool close_on_exec); /* consumes the reference; fd or -errno */
/* Access mode 3 asks for the right to read and write, and allows neither: for ioctl only. */
static inline bool file_readable(const struct file *file)
{
	return (file->flags & ACCESS_MODE) == O_RDONLY || (file->flags & ACCESS_MODE) == O_RDWR;
}
static inline bool file_writable(const struct file *file)
{
	return (file->flags & ACCESS_MODE) == O_WRONLY || (file->flags & ACCESS_MODE) == O_RDWR;
}
int io_clear(struct io_buffer *buffer, size_t size); /* zeros to it */
#define IO_SIZE_MAX   0x7ffff000ul                   /* of one call */
#define IO_VECTOR_MAX 1024
static inline size_t io_size_once(uint64_t size)
{
	return size < IO_SIZE_MAX ? size : IO_SIZE_MAX;
}
/* A buffer of the segments in user memory; *out is to be freed in any case. */
int io_vector_from_user(struct thread *thread, uint64_t address, uint64_t count, struct linux_iovec **out,
                        struct io_buffer *buffer);
int file_punch(struct file *file, uint64_t offset, uint64_t length); /* FALLOC_FL_PUNCH_HOLE */
ssize_t file_read(struct file *file, struct io_buffer *buffer, uint64_t *position);
ssize_t file_write(struct file *file, struct io_buffer *buffer, uint64_t *position);
unsigned file_poll(struct file *file, struct poll_table *table);
int64_t seek_in(struct file *file, int64_t offset, int whence, uint64_t end);
/* file_table.c */
unsigned file_table_size(const struct file_table *table);          /* descriptors that there is room for */
unsigned file_table_end(const struct file_table *table);           /* the last one that is open, and one */
struct file *file_table_at(struct file_table *table, unsigned fd); /* NULL; no new reference */
bool file_table_closes_on_exec(const struct file_table *table, unsigned fd);
int fd_set_close_on_exec(struct thread *thread, int fd, bool value);
long pipe_size_command(struct thread *thread, struct file *file, bool set, uint64_t size);
long file_lock_command(struct thread *thread, int fd, int command, uint64_t address);
/* Bytes that a call copies in one go: one of gigabytes must not stop all others. */
#define COPY_AT_ONCE (1ul << 20)

ssize_t buffer_read_text(struct io_buffer *buffer, uint64_t *position, const char *text, size_t length);

/* getdents64 records */
int dirent_emit(struct io_buffer *buffer, uint64_t inode, uint64_t next, unsigned type, const char *name,
                size_t length);

/* ---- page_tree.c ---- */
pfn_t page_tree_find(const struct page_tree *tree, uint64_t index);
int page_tree_insert(struct page_tree *tree, uint64_t index, pfn_t pfn); /* -ENOMEM, -EEXIST */
void page_tree_remove(struct page_tree *tree, uint64_t index);
/* The first entry at or after *index: sets *index; PFN_NONE: none */
pfn_t page_tree_next(const struct page_tree *tree, uint64_t *index);

/* ---- page_cache.c ---- */
/* Page flags beyond mm.h's: blocks are reserved on the disk; the page is known to have its blocks; it was
 * used. */
#define PAGE_RESERVED  (1 << 8)
#define PAGE_ALLOCATED (1 << 9)
#define PAGE_USED      (1 << 10)
/* For writing all of the page: no read. */
int page_cache_add(struct inode *inode, uint64_t index,
                   pfn_t pfn); /* the cache takes a reference of its own; -EEXIST, -ENOMEM */
void page_cache_discard(struct inode *inode, uint64_t index); /* one page, dirty or not */
/* All pages from `first` on. Waits for I/O in flight of all of the file. */
void page_cache_drop(struct inode *inode, uint64_t first);
/* Waits while all I/O of the file is held up; false: it may not wait (now). */
bool page_io_may_begin(struct inode *inode, bool may_wait);
void page_io_ended(struct inode *inode); /* one less in flight */
int page_cache_read_ahead(struct inode *inode, uint64_t index, unsigned count);
/* For reading; -ENODATA: a hole of a file in memory, which reading does not fill. */
int page_cache_get_for_file(struct file *file, uint64_t index, uint64_t last_wanted, bool may_wait,
                            pfn_t *out);
void page_io_done(struct page_io *io, int error, uint64_t blocks);
/* [offset, end) becomes zeros, and as far as it is whole pages a hole. Under the inode's lock. */
int page_cache_punch(struct inode *inode, uint64_t offset, uint64_t end);
/* Files in memory: all pages from first to last. -ENOSPC: none; -ENOMEM: some. Under the inode's lock. */
int page_cache_allocate(struct inode *inode, uint64_t first, uint64_t last);
size_t page_cache_pages(void);
/* Pages of file data that came from disks and went to them, ever. */
extern struct page_counts {
	uint64_t read, written;
} page_counts;
/* Truncation to `size`: zeros from there to the end of its page, which is read if it must be (0 or -errno) */
int page_cache_zero_tail(struct inode *inode, uint64_t size);
/* The file grows from `size`: what a mapping may have written behind it in the last page becomes zero, if it
 * is cached */
void page_cache_clear_beyond(struct inode *inode, uint64_t size);

/* ---- writeback.c ---- */
void inode_mark_dirty(struct inode *inode);
void inode_clear_dirty(struct inode *inode);
int inode_write_back(struct inode *inode, uint64_t first, uint64_t last, bool wait); /* 0 or -errno */
int inode_write_through(struct inode *inode, uint64_t index); /* one page that could not be promised room */
/* The errors before the file was opened are not its own, unless nobody has heard of the last one. */
void file_errors_begin(struct file *file);
int file_fsync(struct file *file);
int superblock_sync(struct superblock *superblock);
void writeback_start(void); /* the periodic fiber */
size_t writeback_kick(
        size_t pages); /* start writing about that many, without waiting; returns how many were started */
void writeback_throttle(void);
size_t pages_dirty(void);
void page_cache_clean(struct page *page);                                /* no longer dirty */
void writeback_finished(struct page_io *io, int error, uint64_t blocks); /* of page_io_done */
/* Before a page of the file is changed. *through: the disk is nearly full, the page is to be written at once
 * and may fail. May wait. */
int space_prepare(struct inode *inode, uint64_t index, bool *through);
void space_reserve(struct inode *inode, uint64_t index,
                   pfn_t pfn); /* the page will be made dirty; until it is written or dropped */
void page_release_space(struct page *page);
uint64_t
inode_blocks(const struct inode *inode); /* as stat shows them: with those that dirty pages will get */

/* ---- file systems ---- */
int remote_mount(unsigned channel, struct superblock **out); /* remote.c: fs channel N */
void remote_events(uint64_t bits);
bool remote_prepare_sleep(void);
int tmpfs_mount(const char *source, const char *options, struct superblock **out);
struct inode *tmpfs_file(struct superblock *superblock, unsigned mode); /* without a name */
int proc_mount(const char *source, const char *options, struct superblock **out);
int pithfs_mount(const char *source, const char *options, struct superblock **out);
int devfs_mount(const char *source, const char *options, struct superblock **out);
int devpts_mount(const char *source, const char *options, struct superblock **out);
int sysfs_mount(const char *source, const char *options, struct superblock **out);

/* devices.c: what a device node opens */
int device_open(struct inode *inode, struct file *file, struct thread *thread);
int rtc_open(struct file *file); /* rtc.c */
/* memfd.c: what may not be done to the file any more */
enum inode_seals {
	SEAL_SEAL = 1,
	SEAL_SHRINK = 2,
	SEAL_GROW = 4,
	SEAL_WRITE = 8,
	SEAL_FUTURE_WRITE = 16,
	SEALABLE = 32, /* it is a memfd: F_ADD_SEALS and F_GET_SEALS are for it */
};
long seals_command(struct file *file, bool add, uint64_t seals);
/* owner.c */
enum file_owner_commands { /* Linux's F_* */
	FILE_SETOWN = 8,
	FILE_GETOWN,
	FILE_SETSIG,
	FILE_GETSIG,
	FILE_SETOWN_EX = 15,
	FILE_GETOWN_EX,
};
struct file_signal { /* what siginfo says: si_code, si_band */
	int code;
	uint32_t events;
};
long file_owner_command(struct thread *thread, struct file *file, int command, uint64_t argument);
long file_owner_default(struct thread *thread, struct file *file); /* the process, if there is none */
void file_owner_signal(const struct file *file, int fd, const struct file_signal *why);
/* epoll.c */
void epoll_file_released(struct file *file);
/* pipe.c */
int fifo_open(struct inode *inode, struct file *file, struct thread *thread);
/* locks.c */
void file_locks_closed(struct file *file, const struct file_table *table); /* one of its descriptors was closed */
void file_locks_released(struct file *file);     /* the open file is gone */

/* ---- text.c: growing text ---- */
struct text {
	char *data;
	size_t length, capacity;
	bool failed;
};
void text_add(struct text *text, const char *data, size_t length);
void locks_text(struct text *text); /* /proc/locks */
size_t files_open(void);
bool cpus_share_package(void);
void cpu_list(struct text *text, uint64_t cpus); /* "0-3,5" */
void text_print(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
void filesystems_text(struct text *text);
void mounts_text(struct text *text, struct dentry *root, bool mountinfo); /* as seen from there */
