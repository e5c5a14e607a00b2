/* SPDX-License-Identifier: MIT */
/*
 * What happens to files, for those who watch them (inotify.c). While nobody watches anything an event costs
 * its place the look at one counter.
 */
#pragma once

#include "fs/internal.h"

/* Linux's IN_* */
enum notify_events {
	NOTIFY_ACCESS = 1,
	NOTIFY_MODIFY = 2,
	NOTIFY_ATTRIB = 4,
	NOTIFY_CLOSE_WRITE = 8,
	NOTIFY_CLOSE_NOWRITE = 16,
	NOTIFY_OPEN = 32,
	NOTIFY_MOVED_FROM = 64,
	NOTIFY_MOVED_TO = 128,
	NOTIFY_CREATE = 256,
	NOTIFY_DELETE = 512,
	NOTIFY_DELETE_SELF = 1024,
	NOTIFY_MOVE_SELF = 2048,
	NOTIFY_RENAMED = 1 << 28, /* within its directory: for those who are told by signals alone */
};

/* As on Linux: of a user, and of an instance. */
#define NOTIFY_INSTANCES_MAX 128
#define NOTIFY_WATCHES_MAX   8192
#define NOTIFY_EVENTS_MAX    16384

extern unsigned notify_watches; /* there are, of all files */
void notify_watchers(struct dentry *dentry, struct inode *inode, unsigned event);
void notify_directory(struct inode *directory, bool of_directory, const char *name, size_t length,
                      unsigned event, uint32_t cookie);

/* The file, known by this name: those who watch its directory are told the name. dentry NULL: it has none. */
static inline void notify(struct dentry *dentry, struct inode *inode, unsigned event)
{
	if (__builtin_expect(notify_watches != 0, 0))
		notify_watchers(dentry, inode, event);
}

/* A name of the directory that begins or ceases to mean something. */
static inline void notify_name(struct inode *directory, bool of_directory, const char *name, size_t length,
                               unsigned event)
{
	if (__builtin_expect(notify_watches != 0, 0))
		notify_directory(directory, of_directory, name, length, event, 0);
}

/* `dentry` was in `from` under this name. */
void notify_moved(struct inode *from, const char *name, size_t length, struct dentry *dentry);
/* The last reference goes: its watches go too. */
void notify_gone(struct inode *inode);
void notify_unmounted(const struct superblock *superblock);

/* dnotify. F_NOTIFY for the descriptor of a directory; the descriptor, or the open file, is closed. */
long directory_notify_command(struct thread *thread, struct file *file, int fd, uint64_t argument);
void directory_notify_closed(struct file *file, const struct file_table *table);
void directory_notify_released(struct file *file);
