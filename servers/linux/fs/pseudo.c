/* SPDX-License-Identifier: MIT */
/*
 * The common part of /proc and /pith: inodes are made at each lookup out of the tree of nodes, a file's text
 * when it is opened. Nothing is cached (superblock.volatile_names), since what is shown comes and goes by
 * itself.
 */
#include "fs/pseudo.h"
#include <pith/startup.h>
#include <stdio.h>

#define WRITE_MAX 4096

struct pseudo_super {
	struct superblock superblock;
	uint32_t magic;
};

/* Copying to a reader may wait; another reader's text may take this one's place meanwhile. */
struct shown_text {
	unsigned references; /* readers, and the open file */
	int error;
	struct text text;
};

struct open_text {
	struct shown_text *shown; /* NULL: nobody has read yet */
};

static const struct inode_operations directory_inode, file_inode, link_inode, magic_link_inode;
static const struct file_operations pseudo_directory_operations, pseudo_file_operations;

/* The same file has the same number each time, different ones most likely different numbers. */
static uint64_t inode_number(const struct pseudo *file)
{
	uint64_t hash = (uint64_t)(uintptr_t)file->node;
	hash = (hash ^ (uint64_t)(unsigned)file->id) * 0x9e3779b97f4a7c15u;
	hash = (hash ^ (uint64_t)(unsigned)file->sub) * 0x9e3779b97f4a7c15u;
	for (const char *c = file->name; *c != 0; c++)
		hash = (hash ^ (unsigned char)*c) * 0x100000001b3u;
	return (hash >> 16) | 1;
}

static int make_inode(struct superblock *superblock, const struct pseudo *file, struct inode **out)
{
	uint32_t uid = 0, gid = 0;
	if (file->node->owner != NULL) {
		int error = file->node->owner(file, &uid, &gid);
		if (error != 0)
			return error;
	}
	struct inode *inode = inode_create(superblock);
	struct pseudo *copy = malloc(sizeof(*copy));
	if (inode == NULL || copy == NULL) {
		free(copy);
		if (inode != NULL)
			inode_put(inode);
		return -ENOMEM;
	}
	*copy = *file;
	if (copy->found == 0)
		copy->found = time_now();
	inode->private = copy;
	struct fs_time now = fs_now();
	inode->attributes = (struct fs_attributes){
	        .inode = inode_number(file),
	        .mode = file->node->mode,
	        .links = S_ISDIR(file->node->mode) ? 2 : 1,
	        .uid = uid,
	        .gid = gid,
	        .block_size = 1024,
	        .atime = now,
	        .mtime = now,
	        .ctime = now,
	};
	if (file->node->describe != NULL)
		file->node->describe(file, &inode->attributes);
	if (S_ISDIR(file->node->mode)) {
		inode->operations = &directory_inode;
		inode->file_operations = &pseudo_directory_operations;
	} else if (S_ISLNK(file->node->mode)) {
		inode->operations = file->node->follow != NULL ? &magic_link_inode : &link_inode;
		inode->file_operations = &pseudo_file_operations;
	} else {
		inode->operations = &file_inode;
		inode->file_operations = &pseudo_file_operations;
	}
	*out = inode;
	return 0;
}

/* ---- directories ---- */

static int pseudo_lookup(struct inode *inode, const char *name, size_t length, struct inode **out)
{
	const struct pseudo *directory = inode->private;
	const struct pseudo_node *node = directory->node;
	struct pseudo file = *directory;
	if (directory->id == 0)
		file.found = 0; /* else what is below belongs to the process that was found */
	for (const struct pseudo_node *child = node->children; child != NULL && child->name != NULL;
	     child++) {
		if (strlen(child->name) == length && memcmp(child->name, name, length) == 0) {
			file.node = child;
			return make_inode(inode->superblock, &file, out);
		}
	}
	char text[NAME_LENGTH_MAX + 1];
	if (node->member == NULL || length > NAME_LENGTH_MAX)
		return -ENOENT;
	memcpy(text, name, length);
	text[length] = 0;
	file.node = node->member;
	int error = node->find(directory, text, &file);
	return error != 0 ? error : make_inode(inode->superblock, &file, out);
}

static int emit(struct file *file, struct io_buffer *buffer, const struct pseudo_node *node, const char *name,
                uint64_t next)
{
	const struct pseudo *directory = file->inode->private;
	struct pseudo entry = *directory;
	entry.node = node;
	if (name != node->name)
		snprintf(entry.name, sizeof(entry.name), "%s", name);
	return dirent_emit(buffer, inode_number(&entry), next, node->mode >> 12 & 15, name, strlen(name));
}

/* Positions: 0 ., 1 .., then the children, then from MEMBERS on the members by number. */
#define MEMBERS 1000u

static int pseudo_readdir(struct file *file, struct io_buffer *buffer)
{
	const struct pseudo *directory = file->inode->private;
	const struct pseudo_node *node = directory->node;
	int total = 0, size = 0;
	unsigned count = 0;
	while (node->children != NULL && node->children[count].name != NULL)
		count++;
	while (size >= 0) {
		uint64_t at = file->position, next = at + 1;
		if (at < 2) {
			size = dirent_emit(buffer, file->inode->attributes.inode, next, 4,
			                   at == 0 ? "." : "..", at + 1);
		} else if (at < 2 + count) {
			size = emit(file, buffer, &node->children[at - 2], node->children[at - 2].name, next);
		} else {
			char name[PSEUDO_NAME];
			unsigned number = at < MEMBERS ? 0 : (unsigned)(at - MEMBERS);
			if (node->member == NULL || !node->next(directory, &number, name))
				break;
			next = (uint64_t)MEMBERS + number + 1;
			size = emit(file, buffer, node->member, name, next);
		}
		if (size >= 0) {
			total += size;
			file->position = next;
		}
	}
	if (total == 0 && size < 0)
		return size == -ENOSPC ? -EINVAL : size;
	return total;
}

static int64_t pseudo_directory_seek(struct file *file, int64_t offset, int whence)
{
	return seek_in(file, offset, whence, INT64_MAX);
}

/* ---- files ---- */

static void shown_put(struct shown_text *shown)
{
	if (shown == NULL || --shown->references != 0)
		return;
	free(shown->text.data);
	free(shown);
}

/* The text as it is now, which is the open file's from here on; NULL: no memory. */
static struct shown_text *show(struct file *file)
{
	struct open_text *open = file->private;
	const struct pseudo *pseudo = file->inode->private;
	struct shown_text *shown = calloc(1, sizeof(*shown));
	if (shown == NULL)
		return NULL;
	shown->references = 1;
	if (pseudo->node->show != NULL)
		shown->error = pseudo->node->show(&shown->text, pseudo);
	if (shown->error == 0 && shown->text.failed)
		shown->error = -ENOMEM;
	shown_put(open->shown);
	open->shown = shown;
	return shown;
}

static int pseudo_open(struct inode *inode, struct file *file, struct thread *thread)
{
	(void)inode;
	(void)thread;
	file->operations = &pseudo_file_operations;
	file->private = calloc(1, sizeof(struct open_text));
	return file->private != NULL ? 0 : -ENOMEM;
}

static ssize_t pseudo_read(struct file *file, struct io_buffer *buffer, uint64_t *position)
{
	struct open_text *open = file->private;
	/* A reader that comes back to the start wants news; in between the text must not change. */
	struct shown_text *shown = *position == 0 || open->shown == NULL ? show(file) : open->shown;
	if (shown == NULL)
		return -ENOMEM;
	shown->references++;
	ssize_t result = shown->error;
	if (result == 0)
		result = buffer_read_text(buffer, position, shown->text.data, shown->text.length);
	shown_put(shown);
	return result;
}

static ssize_t pseudo_write(struct file *file, struct io_buffer *buffer, uint64_t *position)
{
	const struct pseudo *pseudo = file->inode->private;
	char data[WRITE_MAX + 1];
	size_t size = buffer->size;
	if (pseudo->node->store == NULL)
		return -EPERM;
	if (size > WRITE_MAX)
		return -EINVAL;
	if (io_copy_from(buffer, data, size) != 0)
		return -EFAULT;
	data[size] = 0;
	int error = pseudo->node->store(pseudo, data, size);
	if (error != 0)
		return error;
	*position += size;
	return (ssize_t)size;
}

static int64_t pseudo_seek(struct file *file, int64_t offset, int whence)
{
	struct open_text *open = file->private;
	return seek_in(file, offset, whence, open->shown != NULL ? open->shown->text.length : 0);
}

static void pseudo_release(struct file *file)
{
	struct open_text *open = file->private;
	if (open != NULL)
		shown_put(open->shown);
	free(open);
}

/* ---- links ---- */

static ssize_t pseudo_readlink(struct inode *inode, char *out, size_t size)
{
	const struct pseudo *file = inode->private;
	char text[PATH_SIZE];
	ssize_t length = file->node->target(file, text, sizeof(text));
	if (length < 0)
		return length;
	if ((size_t)length > size)
		length = (ssize_t)size;
	memcpy(out, text, (size_t)length);
	return length;
}

static int pseudo_follow(struct inode *inode, struct thread *thread, struct dentry **out)
{
	const struct pseudo *file = inode->private;
	(void)thread;
	return file->node->follow(file, out);
}

/* Opening a file with O_TRUNC, as a shell's redirection does, changes nothing. */
static int pseudo_setattr(struct inode *inode, unsigned mask, const struct fs_attributes *attributes)
{
	(void)inode;
	(void)attributes;
	return mask & (FS_SET_MODE | FS_SET_UID | FS_SET_GID) ? -EPERM : 0;
}

static int nothing_to_sync(struct file *file)
{
	(void)file;
	return -EINVAL;
}

static const struct inode_operations directory_inode = {.lookup = pseudo_lookup, .setattr = pseudo_setattr};
static const struct inode_operations file_inode = {.open = pseudo_open, .setattr = pseudo_setattr};
static const struct inode_operations link_inode = {.readlink = pseudo_readlink, .setattr = pseudo_setattr};
static const struct inode_operations magic_link_inode = {
        .readlink = pseudo_readlink, .follow = pseudo_follow, .setattr = pseudo_setattr};
static const struct file_operations pseudo_directory_operations = {.readdir = pseudo_readdir,
                                                                   .seek = pseudo_directory_seek};
static const struct file_operations pseudo_file_operations = {
        .read = pseudo_read,
        .write = pseudo_write,
        .seek = pseudo_seek,
        .fsync = nothing_to_sync,
        .release = pseudo_release,
};

/* ---- the file system ---- */

static int pseudo_statfs(struct superblock *superblock, struct fs_statfs *out)
{
	struct pseudo_super *super = superblock->private;
	*out = (struct fs_statfs){.block_size = 4096, .name_max = NAME_LENGTH_MAX, .magic = super->magic};
	return 0;
}

static void pseudo_evict(struct inode *inode)
{
	free(inode->private);
}

static int pseudo_unmount(struct superblock *superblock)
{
	(void)superblock;
	return 0;
}

static const struct superblock_operations pseudo_operations = {
        .statfs = pseudo_statfs,
        .evict = pseudo_evict,
        .unmount = pseudo_unmount,
};

const struct pseudo *pseudo_of(const struct inode *inode)
{
	return inode->superblock->operations == &pseudo_operations ? inode->private : NULL;
}

int pseudo_mount(const char *type, const struct pseudo_node *root, const char *source, uint32_t magic,
                 struct superblock **out)
{
	struct pseudo_super *super = calloc(1, sizeof(*super));
	if (super == NULL)
		return -ENOMEM;
	struct superblock *superblock = &super->superblock;
	super->magic = magic;
	superblock->operations = &pseudo_operations;
	superblock->private = super;
	superblock->type = type;
	superblock->device = device_number_next();
	superblock->volatile_names = true;
	snprintf(superblock->source, sizeof(superblock->source), "%s",
	         source != NULL && *source != 0 ? source : type);
	struct pseudo file = {.node = root};
	int error = make_inode(superblock, &file, &superblock->root);
	if (error != 0) {
		free(super);
		return error;
	}
	*out = superblock;
	return 0;
}
