/* SPDX-License-Identifier: MIT */
/*
 * The virtual file system: inodes, dentries, mounts, open files, descriptors. Everything that a path can name goes through
 * struct inode and its operations; everything that a descriptor can name is a struct file.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdbool.h>
#include <sys/types.h>
#include <proto/fs.h>
#include "process.h"

struct superblock;
struct pollfd_table;

struct inode_operations;
struct file_operations;

struct inode {
	struct superblock *superblock;
	const struct inode_operations *operations;
	const struct file_operations *file_operations; /* of files opened on it */
	uint32_t references;
	struct fs_attributes attributes; /* authoritative while cached: the page cache and open files change it here first */
	void *private;                   /* of the file system */
	/* page cache (page_cache.c) */
	void *pages;                     /* index -> pfn */
	size_t page_count, dirty_count;
	struct fiber_mutex *lock;        /* created on demand; serialises writers, truncation */
	struct vma *mappings;            /* mm.c: address-space regions that map this file */
};

struct file {
	uint32_t references;
	uint32_t flags;        /* O_* status flags and access mode */
	struct inode *inode;   /* NULL for pipes' ends etc. is not allowed: they have anonymous inodes */
	struct dentry *dentry; /* NULL for anonymous files */
	uint64_t position;
	const struct file_operations *operations;
	void *private;
};

/* Where the bytes of a read go or those of a write come from: user memory, or the server's own. */
struct io_buffer {
	struct thread *thread; /* NULL: kernel is the address of server memory */
	uint64_t user;
	void *kernel;
	size_t size;           /* left */
};
int io_copy_to(struct io_buffer *buffer, const void *from, size_t size);  /* advances; 0 or -EFAULT */
int io_copy_from(struct io_buffer *buffer, void *to, size_t size);

struct poll_table; /* collects the queues that a poll sleeps on */
void poll_wait(struct poll_table *table, struct waitq *queue);

struct file_operations {
	/* bytes, 0 at end of file, or -errno (-EINTR, -EAGAIN with O_NONBLOCK …); position is a pointer to file->position or a pread's own */
	ssize_t (*read)(struct file *file, struct io_buffer *buffer, uint64_t *position);
	ssize_t (*write)(struct file *file, struct io_buffer *buffer, uint64_t *position);
	int64_t (*seek)(struct file *file, int64_t offset, int whence);
	unsigned (*poll)(struct file *file, struct poll_table *table); /* POLLIN | …; NULL: always readable and writable */
	long (*ioctl)(struct file *file, struct thread *thread, unsigned command, uint64_t argument);
	int (*readdir)(struct file *file, struct io_buffer *buffer);   /* struct linux_dirent64; bytes or -errno */
	int (*fsync)(struct file *file);
	void (*release)(struct file *file);                            /* last reference gone */
	/* -ENODEV if NULL. Regular files: the page cache serves the mapping's pages. */
	int (*mmap)(struct file *file);
};

/* ---- for linux-proc: what exec, mm, wait and exit need ---- */
/* Resolve a path for the thread (its root and cwd; dirfd AT_FDCWD or a descriptor). New reference in *out. */
int vfs_lookup(struct thread *thread, int dirfd, const char *path, bool follow, struct dentry **out);
int vfs_open(struct thread *thread, int dirfd, const char *path, int flags, unsigned mode, struct file **out);
ssize_t file_read_kernel(struct file *file, void *to, size_t size, uint64_t position);
/* May the thread execute this file: 0, -EACCES … */
int vfs_may_execute(struct thread *thread, struct file *file);
struct file *file_get(struct file *file);
void file_put(struct file *file);
/* Absolute path of a dentry as the thread sees it; cut at size. "… (deleted)" if unlinked. */
int dentry_path(struct thread *thread, struct dentry *dentry, char *out, size_t size);
struct dentry *dentry_get(struct dentry *dentry);
void dentry_put(struct dentry *dentry);

/* Page cache. The page has a reference for the caller. May wait; -EIO …; beyond the end of the file: -ENXIO (a mapping's SIGBUS). */
int page_cache_get(struct inode *inode, uint64_t index, pfn_t *out);
/* The page if it is there and up to date, with a reference for the caller; PFN_NONE otherwise. Never waits. */
pfn_t page_cache_peek(struct inode *inode, uint64_t index);
void page_cache_mark_dirty(struct inode *inode, uint64_t index, pfn_t pfn);
/* Free up to `wanted` clean unreferenced pages, starting write-back of dirty ones; returns how many were freed now. */
size_t page_cache_reclaim(size_t wanted);
void page_cache_wait_writeback(void); /* until some dirty page became clean */

/* Descriptor tables. */
struct file_table *file_table_create(void);
struct file_table *file_table_get(struct file_table *table);
struct file_table *file_table_copy(struct file_table *table); /* fork */
void file_table_put(struct file_table *table);                /* closes everything with the last reference */
void file_table_close_on_exec(struct file_table *table);
int file_table_install(struct file_table *table, struct file *file, unsigned lowest, bool close_on_exec, uint64_t limit); /* fd or -EMFILE */
struct file *file_table_lookup(struct thread *thread, int fd); /* no new reference; NULL: EBADF. Valid until the next wait: file_get it */
struct fs_context *fs_context_copy(struct fs_context *context);
struct fs_context *fs_context_get(struct fs_context *context);
void fs_context_put(struct fs_context *context);

/* tty.c */
void tty_session_exit(struct process *leader);   /* hang up the controlling terminal of a session leader that exits */

void vfs_init(void);     /* mounts root, /dev, /proc, /pith and what config says; runs on a fiber */
void vfs_shutdown(void); /* writes everything back, unmounts; runs on a fiber */
void vfs_events(uint64_t bits); /* "events" bits that the loop does not know: fs, serial channels */
/* The loop is about to sleep: false if there is work in a channel. */
bool vfs_prepare_sleep(void);
/* run: opens the console as 0, 1, 2 for pid 1; exec: the channel's streams. */
struct file_table *console_files(void);
void exec_channel_run(void); /* exec mode's fiber: takes EXEC_START, starts the program, reports its end */
