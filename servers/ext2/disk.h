/* SPDX-License-Identifier: MIT */
/* The ext2 disk format, as far as this file system uses it. All fields are little-endian, as every machine
 * that Pith runs on. */
#pragma once

#include <abi/types.h>

#define EXT2_SUPER_OFFSET 1024
#define EXT2_MAGIC        0xef53
#define EXT2_ROOT_INODE   2
#define EXT2_FIRST_INODE  11 /* of revision 0 */
#define EXT2_DIRECT       12
#define EXT2_POINTERS     15
#define EXT2_NAME_MAX     255
#define EXT2_LINKS_MAX    32000
#define EXT2_FAST_SYMLINK 60 /* a target shorter than this lives in the inode */
#define EXT2_XATTR_MAGIC  0xea020000u
#define EXT2_BLOCK_MIN    1024
#define EXT2_BLOCK_MAX    4096

enum ext2_state {
	EXT2_STATE_CLEAN = 1,
	EXT2_STATE_ERRORS = 2,
};

enum ext2_compatible {
	EXT2_COMPAT_EXT_ATTR = 0x0008,
	EXT2_COMPAT_RESIZE_INODE = 0x0010,
	EXT2_COMPAT_DIR_INDEX = 0x0020,
	EXT2_COMPAT_SPARSE_SUPER2 = 0x0200,
	EXT2_COMPAT_ORPHAN_FILE = 0x1000,
};

enum ext2_incompatible {
	EXT2_INCOMPAT_FILETYPE = 0x0002,
	EXT2_INCOMPAT_META_BG = 0x0010,
};

enum ext2_ro_compatible {
	EXT2_RO_SPARSE_SUPER = 0x0001,
	EXT2_RO_LARGE_FILE = 0x0002,
};

enum ext2_inode_flags {
	EXT2_FLAG_INDEX = 0x1000,
	EXT2_FLAGS_SHOWN = 0x3dfff,
	EXT2_FLAGS_SET = 0x080ff,           /* by users */
	EXT2_FLAGS_SET_DIRECTORY = 0x380ff, /* and of directories */
};

struct ext2_superblock {
	uint32_t inodes_count;
	uint32_t blocks_count;
	uint32_t reserved_blocks;
	uint32_t free_blocks;
	uint32_t free_inodes;
	uint32_t first_data_block;
	uint32_t log_block_size; /* block size = 1024 << this */
	uint32_t log_fragment_size;
	uint32_t blocks_per_group;
	uint32_t fragments_per_group;
	uint32_t inodes_per_group;
	uint32_t mount_time;
	uint32_t write_time;
	uint16_t mount_count;
	uint16_t mount_count_max;
	uint16_t magic;
	uint16_t state;
	uint16_t errors;
	uint16_t minor_revision;
	uint32_t check_time;
	uint32_t check_interval;
	uint32_t creator;
	uint32_t revision;
	uint16_t reserved_uid;
	uint16_t reserved_gid;
	/* revision 1 */
	uint32_t first_inode;
	uint16_t inode_size;
	uint16_t block_group;
	uint32_t compatible;
	uint32_t incompatible;
	uint32_t ro_compatible;
	uint8_t uuid[16];
	char volume[16];
	char last_mounted[64];
	uint32_t compression;
	uint8_t preallocate[2];
	uint16_t reserved_descriptor_blocks;
	uint8_t journal[16 + 4 + 4]; /* uuid, inode, device */
	uint32_t last_orphan;
	uint32_t hash_seed[4];
	uint8_t hash_version;
	uint8_t journal_backup_type;
	uint16_t descriptor_size;
	uint32_t mount_options;
	uint32_t first_meta_group; /* from this block of descriptors on, EXT2_INCOMPAT_META_BG holds */
	uint32_t made_time;
	uint32_t journal_blocks[17];
	uint32_t blocks_count_high[3];
	uint16_t extra_size_min;
	uint16_t extra_size_want;
	uint8_t later_features[236]; /* ext4's */
	uint32_t backup_groups[2];   /* of EXT2_COMPAT_SPARSE_SUPER2; 0: none */
	uint8_t unused[428];
};
_Static_assert(sizeof(struct ext2_superblock) == 1024, "superblock");
_Static_assert(offsetof(struct ext2_superblock, last_orphan) == 0xe8, "superblock");
_Static_assert(offsetof(struct ext2_superblock, extra_size_min) == 0x15c, "superblock");
_Static_assert(offsetof(struct ext2_superblock, backup_groups) == 0x24c, "superblock");

struct ext2_group {
	uint32_t block_bitmap;
	uint32_t inode_bitmap;
	uint32_t inode_table;
	uint16_t free_blocks;
	uint16_t free_inodes;
	uint16_t directories;
	uint16_t flags;
	uint8_t reserved[12];
};
_Static_assert(sizeof(struct ext2_group) == 32, "group descriptor");

struct ext2_inode {
	uint16_t mode;
	uint16_t uid;
	uint32_t size;
	uint32_t atime;
	uint32_t ctime;
	uint32_t mtime;
	uint32_t dtime; /* when it was deleted; of an orphan: the next orphan's number */
	uint16_t gid;
	uint16_t links;
	uint32_t sectors; /* 512-byte units, with indirect and attribute blocks */
	uint32_t flags;
	uint32_t version;
	uint32_t block[EXT2_POINTERS];
	uint32_t generation;
	uint32_t xattr_block;
	uint32_t size_high; /* regular files */
	uint32_t fragment;
	uint16_t sectors_high;
	uint16_t xattr_block_high;
	uint16_t uid_high;
	uint16_t gid_high;
	uint16_t checksum;
	uint16_t reserved;
	/* where the inode size is over 128, extra_size bytes from here on are in use */
	uint16_t extra_size;
	uint16_t checksum_high;
	uint32_t ctime_extra; /* bits 0..1: bits 32..33 of the seconds; 2..31: nanoseconds */
	uint32_t mtime_extra;
	uint32_t atime_extra;
	uint32_t crtime;
	uint32_t crtime_extra;
	uint32_t version_high;
};
#define EXT2_INODE_SIZE_MIN 128
_Static_assert(offsetof(struct ext2_inode, extra_size) == EXT2_INODE_SIZE_MIN, "inode");

struct ext2_dirent {
	uint32_t inode; /* 0: unused */
	uint16_t record_size;
	uint8_t name_length;
	uint8_t type; /* enum ext2_type with the filetype feature, else 0 */
	char name[];
};
#define EXT2_DIRENT_SIZE(name_length) (((unsigned)(name_length) + 8 + 3) & ~3u)

enum ext2_type {
	EXT2_TYPE_UNKNOWN,
	EXT2_TYPE_REGULAR,
	EXT2_TYPE_DIRECTORY,
	EXT2_TYPE_CHARACTER,
	EXT2_TYPE_BLOCK,
	EXT2_TYPE_FIFO,
	EXT2_TYPE_SOCKET,
	EXT2_TYPE_SYMLINK,
	EXT2_TYPE_COUNT,
};

struct ext2_xattr_header {
	uint32_t magic;
	uint32_t references;
	uint32_t blocks;
	uint32_t hash;
};
