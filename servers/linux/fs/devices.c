/* SPDX-License-Identifier: MIT */
/* Devices: what a character special file opens, by its number; and /dev, a memory file system that starts
 * with the usual nodes. */
#include "capability.h"
#include "fs/internal.h"
#include "random.h"
#include "syscall.h"
#include "tty/tty.h"
#include <stdio.h>
#include <pith/log.h>

enum { MAJOR_MEMORY = 1, MAJOR_SERIAL = 4, MAJOR_TTY = 5, MAJOR_PTS = 136, MAJOR_RTC = 252 };

static int64_t device_seek(struct file *file, int64_t offset, int whence)
{
	(void)whence, (void)offset;
	file->position = 0;
	return 0;
}

static ssize_t null_read(struct file *file, struct io_buffer *buffer, uint64_t *position)
{
	(void)file, (void)buffer, (void)position;
	return 0;
}

static ssize_t null_write(struct file *file, struct io_buffer *buffer, uint64_t *position)
{
	(void)file, (void)position;
	size_t size = buffer->size;
	buffer->size = 0;
	return (ssize_t)size;
}

static ssize_t zero_read(struct file *file, struct io_buffer *buffer, uint64_t *position)
{
	(void)file, (void)position;
	size_t size = buffer->size;
	while (buffer->size > 0) {
		if (io_clear(buffer, buffer->size < COPY_AT_ONCE ? buffer->size : COPY_AT_ONCE) != 0)
			return -EFAULT;
		if (buffer->size > 0 && !wait_yield())
			break;
	}
	return (ssize_t)(size - buffer->size);
}

static ssize_t full_write(struct file *file, struct io_buffer *buffer, uint64_t *position)
{
	(void)file, (void)position;
	return buffer->size == 0 ? 0 : -ENOSPC;
}

static ssize_t random_read(struct file *file, struct io_buffer *buffer, uint64_t *position)
{
	(void)position;
	int error = random_wait(file->flags & O_NONBLOCK);
	if (error != 0)
		return error == -EINTR ? -EINTR_RESTART : error;
	return random_fill(buffer);
}

static ssize_t urandom_read(struct file *file, struct io_buffer *buffer, uint64_t *position)
{
	(void)file, (void)position;
	return random_fill(buffer);
}

static ssize_t random_write(struct file *file, struct io_buffer *buffer, uint64_t *position)
{
	(void)file, (void)position;
	return random_absorb(buffer);
}

enum random_command {
	RANDOM_COUNT = 0x80045200,  /* bits that there are */
	RANDOM_CREDIT = 0x40045201, /* so many more */
	RANDOM_GIVE = 0x40085203,   /* bytes, and how many bits they are worth */
	RANDOM_RESEED = 0x5207,
};

static long random_give(struct thread *thread, uint64_t argument)
{
	struct {
		int32_t bits, size;
	} head;
	if (copy_from_user(thread, &head, argument, sizeof(head)) != 0)
		return -EFAULT;
	if (head.bits < 0 || head.size < 0)
		return -EINVAL;
	struct io_buffer buffer = {
	        .thread = thread, .user = argument + sizeof(head), .size = (size_t)head.size};
	ssize_t taken = random_absorb(&buffer);
	return taken < 0 ? taken : taken == head.size ? 0 : -EFAULT;
}

/* Bits are not counted: there are enough from the first seed on. */
static long random_ioctl(struct file *file, struct thread *thread, unsigned command, uint64_t argument)
{
	(void)file;
	const int32_t bits = 256;
	switch (command) {
	case RANDOM_COUNT:
		return copy_to_user(thread, argument, &bits, sizeof(bits));
	case RANDOM_CREDIT:
	case RANDOM_RESEED:
		return capable(thread, CAP_SYS_ADMIN) ? 0 : -EPERM;
	case RANDOM_GIVE:
		return capable(thread, CAP_SYS_ADMIN) ? random_give(thread, argument) : -EPERM;
	default:
		return -EINVAL;
	}
}

/* Lines written to it become log lines of this component. */
static ssize_t kmsg_write(struct file *file, struct io_buffer *buffer, uint64_t *position)
{
	(void)file, (void)position;
	char line[400];
	size_t size = buffer->size, part = size < sizeof(line) - 1 ? size : sizeof(line) - 1;
	if (io_copy_from(buffer, line, part) != 0)
		return -EFAULT;
	while (part > 0 && line[part - 1] == '\n')
		part--;
	line[part] = 0;
	const char *text = line;
	if (line[0] == '<') { /* a priority */
		const char *end = strchr(line, '>');
		text = end != NULL ? end + 1 : line;
	}
	log_info("kmsg: %s", text);
	return (ssize_t)size;
}

static int zero_mmap(struct file *file)
{
	(void)file;
	return MAPS_MEMORY;
}

static const struct file_operations null_operations = {
        .read = null_read, .write = null_write, .seek = device_seek};
static const struct file_operations zero_operations = {
        .read = zero_read, .write = null_write, .seek = device_seek, .mmap = zero_mmap};
static const struct file_operations full_operations = {
        .read = zero_read, .write = full_write, .seek = device_seek};
static const struct file_operations random_operations = {
        .read = random_read, .write = random_write, .seek = device_seek, .ioctl = random_ioctl};
static const struct file_operations urandom_operations = {
        .read = urandom_read, .write = random_write, .seek = device_seek, .ioctl = random_ioctl};
/* It cannot be read: who tries that goes on to syslog(2), which tells the same. */
static const struct file_operations kmsg_operations = {.write = kmsg_write};

static const struct {
	uint32_t minor;
	const struct file_operations *operations;
} memory_devices[] = {
        {3, &null_operations},   {5, &zero_operations},    {7, &full_operations},
        {8, &random_operations}, {9, &urandom_operations}, {11, &kmsg_operations},
};

int device_open(struct inode *inode, struct file *file, struct thread *thread)
{
	uint32_t major = device_major(inode->attributes.rdev), minor = device_minor(inode->attributes.rdev);
	if (!S_ISCHR(inode->attributes.mode))
		return -ENXIO; /* no block device is visible here: file systems have their own disks */
	if (major == MAJOR_MEMORY) {
		for (size_t i = 0; i < sizeof(memory_devices) / sizeof(memory_devices[0]); i++) {
			if (memory_devices[i].minor == minor) {
				file->operations = memory_devices[i].operations;
				return 0;
			}
		}
	}
	if (major == MAJOR_SERIAL || major == MAJOR_TTY || major == MAJOR_PTS)
		return tty_open(file, thread, major, minor);
	if (major == MAJOR_RTC && minor == 0)
		return rtc_open(file);
	return -ENXIO;
}

/* ---- /dev ---- */

static const struct node {
	const char *name;
	uint32_t mode, major, minor;
} nodes[] = {
        {"null", S_IFCHR | 0666, 1, 3},         {"zero", S_IFCHR | 0666, 1, 5},
        {"full", S_IFCHR | 0666, 1, 7},         {"random", S_IFCHR | 0666, 1, 8},
        {"urandom", S_IFCHR | 0666, 1, 9},      {"kmsg", S_IFCHR | 0644, 1, 11},
        {"tty", S_IFCHR | 0666, 5, 0},          {"console", S_IFCHR | 0600, 5, 1},
        {"ptmx", S_IFCHR | 0666, 5, 2},         {"ttyS1", S_IFCHR | 0620, 4, 65},
        {"rtc0", S_IFCHR | 0600, MAJOR_RTC, 0}, {"shm", S_IFDIR | 01777, 0, 0},
        {"pts", S_IFDIR | 0755, 0, 0},
};

static const struct {
	const char *name, *target;
} links[] = {
        {"fd", "/proc/self/fd"},
        {"stdin", "/proc/self/fd/0"},
        {"stdout", "/proc/self/fd/1"},
        {"stderr", "/proc/self/fd/2"},
        {"rtc", "rtc0"},
};

static int populate(struct inode *root)
{
	int error = 0;
	for (size_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]) && error == 0; i++) {
		struct inode *inode = NULL;
		struct new_inode what = {.mode = nodes[i].mode,
		                         .rdev = linux_device(nodes[i].major, nodes[i].minor)};
		error = root->operations->create(root, nodes[i].name, strlen(nodes[i].name), &what, &inode);
		if (error == 0 && S_ISDIR(what.mode))
			root->attributes.links++;
		inode_put(inode);
	}
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]) && error == 0; i++) {
		struct inode *inode = NULL;
		struct new_inode what = {.mode = S_IFLNK | 0777};
		error = root->operations->symlink(root, links[i].name, strlen(links[i].name), links[i].target,
		                                  &what, &inode);
		inode_put(inode);
	}
	return error;
}

/* There is one /dev, however often it is mounted. */
int devfs_mount(const char *source, const char *options, struct superblock **out)
{
	static struct superblock *instance;
	(void)source, (void)options;
	if (instance == NULL) {
		struct superblock *superblock;
		int error = tmpfs_mount("devtmpfs", "mode=755", &superblock);
		if (error == 0)
			error = populate(superblock->root);
		if (error != 0)
			return error;
		superblock->type = "devtmpfs";
		superblock->mounts = 1; /* of its own: it never goes */
		instance = superblock;
	}
	*out = instance;
	return 0;
}

/* Terminals come and go by themselves here: no name is cached. */
int devpts_mount(const char *source, const char *options, struct superblock **out)
{
	static struct superblock *instance;
	static struct inode_operations of_users; /* they change no names */
	(void)source, (void)options;
	if (instance == NULL) {
		int error = tmpfs_mount("devpts", "mode=755", &instance);
		if (error != 0)
			return error;
		instance->type = "devpts";
		instance->mounts = 1;
		instance->volatile_names = true;
		pty_directory(instance->root);
		of_users.lookup = instance->root->operations->lookup;
		of_users.setattr = instance->root->operations->setattr;
		instance->root->operations = &of_users;
	}
	*out = instance;
	return 0;
}
