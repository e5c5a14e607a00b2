/* SPDX-License-Identifier: MIT */
/*
 * File systems: a request channel (proto/ring.h) named "fs" between `linux` (client) and a file system (server).
 *
 * The client is the only user of the file system and owns the page cache: file data lives in pages of its pools, and the file
 * system only moves whole pages between disk and pool (READ_PAGES, WRITE_PAGES), by handing the pool addresses on
 * to its block driver. The client also caches names and attributes. Inode numbers identify files; an inode that the client has
 * opened (FS_OPEN) stays on disk after its last unlink until FS_CLOSE. Errors are Linux errno values (positive).
 *
 * Names and symlink targets are not NUL-terminated; lengths are explicit. Each slot has FS_SLOT_DATA bytes of its own.
 */
#pragma once

#include <proto/ring.h>

#define FS_SLOTS        64
#define FS_SLOT_DATA    (4096 + 256) /* the longest target of a symlink, with a name */
#define FS_SLOT_SIZE    (512 + FS_SLOT_DATA)
#define FS_CHANNEL_SIZE (384 * 1024)
#define FS_NAME_MAX     255
#define FS_ROOT_INODE   2   /* the root directory */
#define FS_PAGES_MAX    256 /* pages in one READ_PAGES or WRITE_PAGES: struct fs_page array in the slot's data */

enum fs_operation {
	FS_STATFS,      /* -> statfs */
	FS_GETATTR,     /* inode -> attributes */
	FS_SETATTR,     /* inode, mask, attributes (SIZE truncates or extends; the client has dropped or zeroed pages) -> attributes */
	FS_LOOKUP,      /* inode (directory), name -> attributes (with .inode) */
	FS_READDIR,     /* inode, offset (cookie, 0 = start) -> data: packed struct fs_dirent, length used, offset for the next */
	FS_CREATE,      /* inode (directory), name, attributes.{mode,uid,gid,rdev,times}: any file type; a directory gets . and .. -> attributes */
	FS_SYMLINK,     /* inode, name, then target directly after the name in data (target_length) -> attributes */
	FS_LINK,        /* inode (directory), name, other_inode (the file) -> attributes */
	FS_UNLINK,      /* inode, name (not a directory) -> attributes of what was unlinked (links may be 0) */
	FS_RMDIR,       /* inode, name */
	FS_RENAME,      /* inode, name, other_inode (new directory), new name after the name in data (target_length), flags */
	FS_READLINK,    /* inode -> data, length */
	FS_OPEN,        /* inode: keep it although unlinked */
	FS_CLOSE,       /* inode: undo one FS_OPEN; frees the file if it has no links */
	FS_READ_PAGES,  /* inode, count; data: struct fs_page[count]. Holes and what is beyond the end of the file are zeroed. */
	FS_WRITE_PAGES, /* inode, count, attributes.size (the file's size now: allocates, never shrinks); data: fs_page[count] -> attributes.blocks,
	                * count: pages at the start of the array that are on the disk (less than asked only with an error, e.g. ENOSPC).
	                * Times are not touched: SETATTR sets them. */
	FS_FSYNC,       /* inode: its data written by WRITE_PAGES and its metadata are on stable storage */
	FS_SYNC,        /* the same for everything */
	FS_UNMOUNT,     /* FS_SYNC, mark clean, refuse everything after it */
	FS_PUNCH,       /* inode, offset, attributes.size (bytes): the blocks that lie wholly in there become holes -> attributes */
	FS_SEEK,        /* inode, offset, flags (enum fs_seek_flags) -> offset: the first byte from there on that has a block, or is in a hole
	                * (every file ends with one); ENXIO: none before the end */
	FS_CLOSE_ALL,   /* the client is a new one: undoes all FS_OPENs of its predecessor */
	FS_OPERATIONS,
};

enum fs_setattr_mask {
	FS_SET_MODE = 1 << 0,
	FS_SET_UID = 1 << 1,
	FS_SET_GID = 1 << 2,
	FS_SET_SIZE = 1 << 3,
	FS_SET_ATIME = 1 << 4,
	FS_SET_MTIME = 1 << 5,
	FS_SET_CTIME = 1 << 6,
	FS_SET_FLAGS = 1 << 7,
};

/* Linux's, of a file (lsattr). The client heeds these; a file system keeps others, too, as far as its disk does. */
enum fs_file_flags {
	FS_FLAG_IMMUTABLE = 0x10, /* neither the file nor its name changes, nor in a directory any name */
	FS_FLAG_APPEND = 0x20,    /* it only grows; names are only added */
	FS_FLAG_NOATIME = 0x80,
};

enum fs_rename_flags {
	FS_RENAME_NOREPLACE = 1 << 0,
	FS_RENAME_EXCHANGE = 1 << 1,
};

enum fs_seek_flags {
	FS_SEEK_HOLE = 1 << 0, /* else data */
};

struct fs_time {
	int64_t seconds;
	uint32_t nanoseconds; /* 0 where the disk format has none */
	uint32_t reserved;
};

struct fs_attributes {
	uint64_t inode;
	uint64_t size;
	uint64_t blocks; /* 512-byte units */
	uint32_t mode;   /* type and permissions, as Linux's st_mode */
	uint32_t links;
	uint32_t uid, gid;
	uint64_t rdev;
	uint32_t block_size, generation;
	uint32_t flags; /* enum fs_file_flags and others */
	uint32_t reserved;
	struct fs_time atime, mtime, ctime;
};

struct fs_statfs {
	uint64_t block_size, blocks, blocks_free, blocks_available, files, files_free;
	uint32_t name_max, magic; /* Linux's f_type */
	uint64_t read_only;
	uint8_t uuid[16];
};

struct fs_page {
	uint64_t page;   /* page number in the file */
	uint32_t pool;   /* the client's pool number: the same numbering in the file system and its block driver */
	uint32_t offset; /* page number in the pool's Memory */
};

struct fs_dirent {
	uint64_t inode;
	uint64_t next_offset;  /* cookie of the entry after this one */
	uint16_t record_size;  /* of this record, a multiple of 8 */
	uint8_t type;          /* Linux DT_* */
	uint8_t name_length;
	char name[];
};

struct fs_request {
	uint32_t operation; /* enum fs_operation */
	uint32_t error;     /* Linux errno, 0: success */
	uint64_t inode, other_inode;
	uint64_t offset;
	uint32_t count;     /* pages */
	uint32_t flags, mask;
	uint32_t name_length, target_length;
	uint32_t length;    /* bytes of data in a reply */
	/* in every reply: */
	uint32_t read_only;   /* nothing is changed any more, e.g. because the disk is broken */
	uint32_t unused;
	uint64_t blocks_free; /* as in fs_statfs */
	union {
		struct fs_attributes attributes;
		struct fs_statfs statfs;
	};
	uint8_t reserved[512 - 208];
	uint8_t data[FS_SLOT_DATA];
};
_Static_assert(sizeof(struct fs_request) <= FS_SLOT_SIZE, "file system request size");
