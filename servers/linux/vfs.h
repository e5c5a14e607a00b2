/* SPDX-License-Identifier: MIT */
/*
 * The virtual file system: inodes, dentries, mounts, open files, descriptors. Everything that a path can name goes through
 * struct inode and its operations; everything that a descriptor can name is a struct file.
 * What only the files of fs/ and tty/ need of it is in fs/internal.h.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>
#include <sys/types.h>
#include <proto/fs.h>
#include "process.h"

struct superblock;
struct inode_operations;
struct file_operations;
struct text;

/* Page number in a file -> pfn: a tree of 64-way nodes (page_tree.c). */
struct page_tree {
	void *root;
	unsigned height; /* levels; 0: empty */
};

/* Errors that no system call was there for: fsync reports them, once for each open file. */
struct error_count {
	uint32_t count;
	bool unseen; /* the last one: whoever opens a file from now on hears of it too */
};

struct inode {
	struct superblock *superblock;
	const struct inode_operations *operations;
	const struct file_operations *file_operations; /* of files opened on it */
	uint32_t references;
	uint32_t flags;                  /* enum inode_flags */
	int writers;                     /* open files that may write; below 0: that programs run from */
	struct fs_attributes attributes; /* authoritative while cached: the page cache and open files change it here first */
	void *private;                   /* of the file system */
	struct fiber_mutex lock;         /* directories: names; files: writers, truncation */
	struct vma *mappings;            /* mm.c: address-space regions that map this file */
	/* page cache (page_cache.c, writeback.c) */
	struct page_tree pages;
	size_t page_count, dirty_count;
	uint64_t dirty_first;        /* no page before it is dirty */
	size_t reserved_count;       /* dirty pages without blocks on the disk */
	unsigned io_count;           /* page_io in flight */
	bool io_held;                /* nothing is read from the disk or written meanwhile */
	uint32_t pending_attributes; /* enum fs_setattr_mask: changed here, not yet told to the file system */
	int write_error;             /* -errno of the last write-back that failed */
	struct error_count write_errors;
	uint64_t allocated_end;          /* bytes: everything below is known to have blocks, or to be reserved */
	struct inode *dirty_next, *dirty_previous;
	uint64_t dirty_round;            /* of write-back: since when */
	/* inode cache (inode.c) */
	struct inode *hash_next, *lru_next, *lru_previous;
	struct dentry *aliases;          /* dentries that name it, by alias_next */
	/* locks.c, pipe.c */
	struct file_lock *locks;
	struct inode *locked_next, **locked_link; /* of those that have locks; NULL: it has none */
	struct waitq locks_wait;
	struct pipe *pipe;
	uint32_t seals; /* memfd: SEALABLE and F_SEAL_* */
	struct inode_watch *watches; /* inotify.c */
};

struct file {
	uint32_t references;
	uint32_t flags;        /* O_* status flags and access mode */
	int writers;           /* its part of the inode's count: 1, 0 or -1 */
	struct inode *inode;   /* never NULL: pipes' ends etc. have anonymous inodes */
	struct dentry *dentry; /* NULL for anonymous files */
	uint64_t position;
	uint64_t readdir_end; /* tmpfs: names that came after it was opened or rewound are not met */
	struct fiber_mutex position_lock; /* regular files and directories: calls that begin there come one after the other */
	const struct file_operations *operations;
	void *private;
	struct epoll_item *watches; /* epoll sets that watch it */
	struct file_owner *owner;   /* owner.c; NULL: nobody was named */
	struct inode_watch *signals; /* of a directory: inotify.c */
	uint32_t write_errors_seen, sync_errors_seen; /* of the inode's, of its file system's */
	uint64_t ahead_next, ahead_size, ahead_end; /* read-ahead: the page a sequential reader comes to next; window; its end */
};

/* Where the bytes of a read go or those of a write come from: user memory, or the server's own. */
struct io_buffer {
	struct thread *thread; /* NULL: kernel is the address of server memory */
	uint64_t user;
	void *kernel;
	size_t size;           /* left, of all segments */
	/* readv, writev: segments after the one at `user`, and how many of `size` are in them */
	const struct linux_iovec *segments;
	size_t later;
	unsigned flags; /* of this call besides the file's; regular files: O_APPEND, O_DSYNC; they and sockets: O_NONBLOCK */
};
int io_copy_to(struct io_buffer *buffer, const void *from, size_t size);  /* advances; 0 or -EFAULT */
int io_copy_from(struct io_buffer *buffer, void *to, size_t size);
/* The next bytes in one piece, at most `size` (not after a wait). None: -EFAULT. Then io_advance. */
struct span io_span(struct io_buffer *buffer, size_t size, bool to_user);
void io_advance(struct io_buffer *buffer, size_t size);

struct poll_table; /* collects the queues that a poll sleeps on */
void poll_wait(struct poll_table *table, struct waitq *queue);
/* The same where only one kind of wakes concerns the file: WAKE_IN or WAKE_OUT, besides WAKE_ANY. */
void poll_wait_for(struct poll_table *table, struct waitq *queue, enum wake wake);

#define MAPS_MEMORY 1 /* a mapping of it is one of anonymous memory */
struct file_operations {
	const char *kind; /* what /proc says of a file without a name, such as "[eventfd]" */
	/* bytes, 0 at end of file, or -errno (-EINTR, -EAGAIN with O_NONBLOCK …); position is a pointer to file->position or a pread's own */
	ssize_t (*read)(struct file *file, struct io_buffer *buffer, uint64_t *position);
	ssize_t (*write)(struct file *file, struct io_buffer *buffer, uint64_t *position);
	int64_t (*seek)(struct file *file, int64_t offset, int whence);
	unsigned (*poll)(struct file *file, struct poll_table *table); /* POLLIN | …; NULL: always readable and writable */
	long (*ioctl)(struct file *file, struct thread *thread, unsigned command, uint64_t argument);
	int (*readdir)(struct file *file, struct io_buffer *buffer);   /* struct linux_dirent64; bytes or -errno */
	int (*fsync)(struct file *file);
	void (*describe)(struct file *file, struct text *text);        /* what /proc/PID/fdinfo has of its kind; or NULL */
	void (*closed)(struct file *file, struct process *process);    /* the process closed a descriptor of it */
	void (*release)(struct file *file);                            /* last reference gone */
	/* -ENODEV if NULL. Regular files: the page cache serves the mapping's pages. */
	int (*mmap)(struct file *file); /* 0: its pages can be mapped; MAPS_MEMORY, or -errno */
};

/* ---- for linux-proc: what exec, mm, wait and exit need ---- */
/* Resolve a path for the thread (its root and cwd; dirfd AT_FDCWD or a descriptor); thread NULL: as root, from /. New reference in *out. */
int vfs_lookup(struct thread *thread, int dirfd, const char *path, bool follow, struct dentry **out);
bool inode_in_memory(const struct inode *inode); /* tmpfs's: it has no other place */
struct inode *dentry_inode(struct dentry *dentry); /* no new reference */
int vfs_open(struct thread *thread, int dirfd, const char *path, int flags, unsigned mode, struct file **out);
ssize_t file_read_kernel(struct file *file, void *to, size_t size, uint64_t position);
/* What may be executed, opened so: it need not be readable, and nobody may write to it until the file is gone, or
 * file_allow_writers(). With an empty path what the descriptor dirfd is open on. -EACCES, -ETXTBSY … */
int vfs_open_program(struct thread *thread, int dirfd, const char *path, bool follow, struct file **out);
bool file_sets_ids(const struct file *file); /* its set-id bits count where it is mounted */
void file_allow_writers(struct file *file);
/* Its mount is for no programs: mapped, it cannot be executed either. */
bool file_noexec(const struct file *file);
bool file_may_read(struct thread *thread, const struct file *file); /* the permissions, whatever it is open for */
const char *file_last_name(const struct file *file); /* without the path to it */
struct file *file_get(struct file *file);
void file_put(struct file *file);
/* Absolute path of a dentry as the thread sees it; cut at size: its length. "… (deleted)" if unlinked. */
int dentry_path(struct thread *thread, struct dentry *dentry, char *out, size_t size);
struct dentry *dentry_get(struct dentry *dentry);
void dentry_put(struct dentry *dentry);

/* Page cache. The page has a reference for the caller. May wait; -EIO …; beyond the end of the file: -ENXIO (a mapping's SIGBUS). */
int page_cache_get(struct inode *inode, uint64_t index, pfn_t *out);
/* The page if it is there and up to date, with a reference for the caller; PFN_NONE otherwise. Never waits. */
pfn_t page_cache_peek(struct inode *inode, uint64_t index);
void page_cache_mark_dirty(struct inode *inode, uint64_t index, pfn_t pfn);
/* Before a shared mapping's page is made writable: room on the disk for it (-ENOSPC: SIGBUS). */
int page_cache_make_writable(struct inode *inode, uint64_t index);
/* Free up to `wanted` clean unreferenced pages, starting write-back of dirty ones; returns how many were freed now. */
size_t page_cache_reclaim(size_t wanted);
/* The same for pages that processes map, which fault them in again. */
size_t page_cache_reclaim_mapped(size_t wanted);
void page_cache_wait_writeback(void); /* until some dirty page became clean; at once if none is being written */
size_t page_cache_memory_pages(void); /* of files in memory */
/* Write the dirty pages of [first, last] back and wait (msync): 0 or -errno */
int page_cache_flush(struct inode *inode, uint64_t first, uint64_t last);

/* An empty file in memory, with a name that is in no folder; its pages are never written back. */
int anonymous_memory_file(const char *name, struct file **out);

/* Descriptor tables. */
#define FILE_TABLE_MAX 65536 /* descriptors */
struct file_table *file_table_create(void);
struct file_table *file_table_get(struct file_table *table);
struct file_table *file_table_copy(struct file_table *table); /* fork */
int file_table_unshare(struct process *process); /* one of its own, if others share it: 0 or -ENOMEM */
void file_table_put(struct file_table *table);                /* closes everything with the last reference */
void file_table_close_on_exec(struct file_table *table);
/* fd or -EMFILE; takes its own reference to the file */
int file_table_install(struct file_table *table, struct file *file, unsigned lowest, bool close_on_exec, uint64_t limit);
struct file *file_table_lookup(struct thread *thread, int fd); /* no new reference; NULL: EBADF. Valid until the next wait: file_get it */
bool fd_closes_on_exec(struct thread *thread, int fd);
struct fs_context *fs_context_create(void); /* root and cwd are the system's root */
struct fs_context *fs_context_copy(struct fs_context *context);
int fs_context_unshare(struct process *process); /* one of its own, if others share it: 0 or -ENOMEM */
struct fs_context *fs_context_get(struct fs_context *context);
int tree_unshare(struct fs_context *context); /* mount.c: it gets mounts of its own, the same as it has */
void fs_context_put(struct fs_context *context);
/* Process exit: its POSIX locks go with its descriptors (before file_table_put). */
void files_exit(struct process *process); /* it has no descriptors any more */

/* pidfd.c: the process has ended, and is gone. */
void pidfds_exited(struct process *process);
void pidfds_forget(struct process *process);
/* 0 or -EBADF; *out NULL: it is gone. Then whether its descriptor says not to wait. */
int pidfd_process(struct thread *thread, int fd, struct process **out);
bool pidfd_nonblocking(struct thread *thread, int fd);
/* Of a process that is being made: its descriptor, told at this address. Then one of the two, which take the
 * reference. */
int pidfd_promise(struct thread *thread, uint64_t address, struct file **out);
void pidfd_keep(struct file *file, struct process *process);
void pidfd_break(struct thread *thread, struct file *file);

/* tty.c */
uint64_t tty_device_number(struct tty *tty);     /* dev_t, as in st_rdev */
int tty_foreground_group(struct tty *tty);
void tty_session_exit(struct process *leader);   /* hang up the controlling terminal of a session leader that exits */

/* The channels of file systems. Returns when what a predecessor asked for has ended: until then disks read and write its frames,
 * and none may be given out. Before there are fibers. */
void remote_attach(void);
void vfs_init(void);     /* mounts root, /dev, /proc, /pith and what config says; runs on a fiber */
void vfs_shutdown(void); /* writes everything back, unmounts; runs on a fiber */
void vfs_events(uint64_t bits); /* "events" bits that the loop does not know: fs, serial channels */
/* The loop is about to sleep: false if there is work in a channel. Peers signal what comes then, so there is nothing to prepare again
 * before the next event, unless somebody has stirred: has waited, written to a channel or become ready to take more from it. */
bool vfs_prepare_sleep(void);
void vfs_stir(void);
/* run: opens the console as 0, 1, 2 for pid 1; exec: the channel's streams. */
struct file_table *console_files(void);
void exec_channel_run(void); /* exec mode's fiber: takes EXEC_START, starts the program, reports its end */
/* run mode's: starts pid 1 on the console */
void console_run(void);
