/* SPDX-License-Identifier: MIT */
/*
 * Numbers of Linux's x86_64 system call interface that musl's headers (made for the same interface) do not
 * give, or give under names that need other headers. What programs see, not what we choose.
 */
#pragma once

#include <stdint.h>

#ifndef O_PATH
#define O_PATH 010000000
#endif
#define LINUX_O_LARGEFILE 0100000
#define ACCESS_MODE       3 /* musl's O_ACCMODE has more bits */
#define LINUX_O_TMPFILE   020200000

#define AT_FDCWD_LINUX (-100)
#ifndef AT_EMPTY_PATH
#define AT_EMPTY_PATH 0x1000
#endif
#ifndef AT_NO_AUTOMOUNT
#define AT_NO_AUTOMOUNT 0x800
#endif

#define LINUX_MS_RDONLY      1
#define LINUX_MS_NOSUID      2
#define LINUX_MS_NODEV       4
#define LINUX_MS_NOEXEC      8
#define LINUX_MS_SYNCHRONOUS 16
#define LINUX_MS_REMOUNT     32
#define LINUX_MS_NOSYMFOLLOW 256
#define LINUX_MS_NOATIME     1024
#define LINUX_MS_NODIRATIME  2048
#define LINUX_MS_BIND        4096
#define LINUX_MS_MOVE        8192
#define LINUX_MS_REC         16384
#define LINUX_MS_SILENT      32768
#define LINUX_MS_UNBINDABLE  (1 << 17)
#define LINUX_MS_PRIVATE     (1 << 18)
#define LINUX_MS_SLAVE       (1 << 19)
#define LINUX_MS_SHARED      (1 << 20)
#define LINUX_MS_RELATIME    (1 << 21)
#define LINUX_MS_STRICTATIME (1 << 24)

#define LINUX_MNT_FORCE       1
#define LINUX_MNT_DETACH      2
#define LINUX_MNT_EXPIRE      4
#define LINUX_UMOUNT_NOFOLLOW 8

/* struct stat of newfstatat and friends */
struct linux_stat {
	uint64_t st_dev, st_ino, st_nlink;
	uint32_t st_mode, st_uid, st_gid, pad;
	uint64_t st_rdev;
	int64_t st_size, st_blksize, st_blocks;
	uint64_t st_atime_sec, st_atime_nsec, st_mtime_sec, st_mtime_nsec, st_ctime_sec, st_ctime_nsec;
	int64_t unused[3];
};
_Static_assert(sizeof(struct linux_stat) == 144, "struct stat");

struct linux_statfs {
	uint64_t f_type, f_bsize, f_blocks, f_bfree, f_bavail, f_files, f_ffree;
	uint32_t f_fsid[2];
	uint64_t f_namelen, f_frsize, f_flags, f_spare[4];
};
_Static_assert(sizeof(struct linux_statfs) == 120, "struct statfs");

struct linux_statx_time {
	int64_t sec;
	uint32_t nsec;
	int32_t reserved;
};
struct linux_statx {
	uint32_t mask, blksize;
	uint64_t attributes;
	uint32_t nlink, uid, gid;
	uint16_t mode, spare0;
	uint64_t ino, size, blocks, attributes_mask;
	struct linux_statx_time atime, btime, ctime, mtime;
	uint32_t rdev_major, rdev_minor, dev_major, dev_minor;
	uint64_t mnt_id;
	uint32_t dio_mem_align, dio_offset_align;
	uint64_t spare[12];
};
_Static_assert(sizeof(struct linux_statx) == 256, "struct statx");

struct linux_dirent64 {
	uint64_t ino;
	int64_t off;
	uint16_t reclen;
	uint8_t type;
	char name[];
};

struct linux_timespec {
	int64_t seconds, nanoseconds;
};
struct linux_iovec {
	uint64_t base, length;
};
struct linux_flock {
	int16_t type, whence;
	int32_t pad;
	int64_t start, length;
	int32_t pid, pad2;
};

#define LINUX_UTIME_NOW  0x3fffffff
#define LINUX_UTIME_OMIT 0x3ffffffe

/* dev_t as user space sees it */
static inline uint64_t linux_device(uint32_t major, uint32_t minor)
{
	return (uint64_t)(minor & 0xff) | (uint64_t)(major & 0xfff) << 8 | (uint64_t)(minor & ~0xffu) << 12 |
	       (uint64_t)(major & ~0xfffu) << 32;
}
static inline uint32_t device_major(uint64_t device)
{
	return (uint32_t)((device >> 8 & 0xfff) | (device >> 32 & ~0xfffull));
}
static inline uint32_t device_minor(uint64_t device)
{
	return (uint32_t)((device & 0xff) | (device >> 12 & ~0xffull));
}

#define POLLIN_     0x001
#define POLLPRI_    0x002
#define POLLOUT_    0x004
#define POLLERR_    0x008
#define POLLHUP_    0x010
#define POLLNVAL_   0x020
#define POLLRDNORM_ 0x040
#define POLLWRNORM_ 0x100
#define POLLRDHUP_  0x2000
