/* SPDX-License-Identifier: MIT */
/*
 * Files in memory: tmpfs, and the base of /dev. A directory holds a list of names, each with a reference to
 * its inode, and a hash table of them if they are many; file data are pages of the page cache that have no
 * store. What the names refer to lives until its last name and its last user are gone.
 */
#include "fs/internal.h"
#include <pith/hash.h>
#include <stdio.h>

#define BUCKETS_MIN  32 /* names, from which on there is a table */
#define MODE_DEFAULT 01777

struct name {
	struct name *next, **link;
	struct name *next_alike; /* of its bucket */
	struct inode *inode;     /* a reference */
	uint32_t hash;
	uint64_t cookie; /* for readdir: grows */
	size_t length;
	char text[];
};

struct directory {
	struct name *names, **end;
	struct name **buckets;        /* NULL: the list is searched */
	uint32_t count, bucket_count; /* a power of two; 0 without a table */
	uint64_t next_cookie;
	uint64_t changes; /* of the list */
	uint64_t parent;  /* inode number of .. */
};

/* What mount(2) may ask for. Limits: 0 is none. */
struct options {
	uint64_t page_limit, inode_limit; /* each name counts as one more */
	uint32_t mode, uid, gid;          /* of the root */
	bool short_numbers;               /* inode32: only said again, there is one size */
};

struct tmpfs {
	struct superblock superblock; /* first: it is freed as such */
	struct options options;
	uint64_t last_number, inodes;
};

static const struct inode_operations tmpfs_file_inode, tmpfs_directory_inode, tmpfs_link_inode;
static const struct file_operations tmpfs_directory_operations;

bool inode_in_memory(const struct inode *inode)
{
	return inode != NULL && inode->operations == &tmpfs_file_inode;
}

static struct tmpfs *tmpfs_of(const struct inode *inode)
{
	return inode->superblock->private;
}

static int take_inode(struct tmpfs *tmpfs)
{
	if (tmpfs->options.inode_limit != 0 && tmpfs->inodes >= tmpfs->options.inode_limit)
		return -ENOSPC;
	tmpfs->inodes++;
	return 0;
}

static int make_inode(struct superblock *superblock, const struct new_inode *what, uint64_t parent,
                      struct inode **out)
{
	struct tmpfs *tmpfs = superblock->private;
	int error = take_inode(tmpfs);
	if (error != 0)
		return error;
	struct inode *inode = inode_create(superblock);
	if (inode == NULL) {
		tmpfs->inodes--;
		return -ENOMEM;
	}
	struct fs_time now = fs_now();
	inode->attributes = (struct fs_attributes){
	        .inode = ++tmpfs->last_number,
	        .mode = what->mode,
	        .links = 1,
	        .uid = what->uid,
	        .gid = what->gid,
	        .rdev = what->rdev,
	        .block_size = 4096,
	        .atime = now,
	        .mtime = now,
	        .ctime = now,
	};
	inode->operations = &tmpfs_file_inode;
	inode->file_operations = &regular_file_operations;
	if (S_ISDIR(what->mode)) {
		struct directory *directory = calloc(1, sizeof(*directory));
		if (directory == NULL) {
			inode_put(inode);
			return -ENOMEM;
		}
		directory->end = &directory->names;
		directory->next_cookie = 2;
		directory->parent = parent != 0 ? parent : inode->attributes.inode;
		inode->private = directory;
		inode->attributes.links = 2;
		inode->operations = &tmpfs_directory_inode;
		inode->file_operations = &tmpfs_directory_operations;
	} else if (S_ISLNK(what->mode)) {
		inode->operations = &tmpfs_link_inode;
	}
	*out = inode;
	return 0;
}

static struct name **bucket_of(const struct directory *directory, uint32_t hash)
{
	return &directory->buckets[hash & (directory->bucket_count - 1)];
}

static bool name_is(const struct name *name, const char *text, size_t length)
{
	return name->length == length && memcmp(name->text, text, length) == 0;
}

static struct name *name_find(struct inode *inode, const char *text, size_t length)
{
	struct directory *directory = inode->private;
	bool hashed = directory->buckets != NULL;
	struct name *name = hashed ? *bucket_of(directory, hash_name(text, length)) : directory->names;
	while (name != NULL && !name_is(name, text, length))
		name = hashed ? name->next_alike : name->next;
	return name;
}

static void bucket_add(struct directory *directory, struct name *name)
{
	struct name **bucket = bucket_of(directory, name->hash);
	name->next_alike = *bucket;
	*bucket = name;
}

static void bucket_remove(struct directory *directory, struct name *name)
{
	struct name **link = bucket_of(directory, name->hash);
	while (*link != name)
		link = &(*link)->next_alike;
	*link = name->next_alike;
}

/* Room for one more name. Without memory it goes on with what it has. */
static void buckets_grow(struct directory *directory)
{
	uint32_t count = directory->bucket_count != 0 ? directory->bucket_count * 2 : BUCKETS_MIN;
	if (directory->count + 1 < count)
		return;
	struct name **buckets = calloc(count * 2, sizeof(struct name *));
	if (buckets == NULL)
		return;
	free(directory->buckets);
	directory->buckets = buckets;
	directory->bucket_count = count * 2;
	for (struct name *name = directory->names; name != NULL; name = name->next)
		bucket_add(directory, name);
}

static int name_add(struct inode *inode, const char *text, size_t length, struct inode *target)
{
	struct directory *directory = inode->private;
	struct name *name = kept_alloc(sizeof(*name) + length);
	if (name == NULL)
		return -ENOSPC;
	buckets_grow(directory);
	name->hash = hash_name(text, length);
	name->next = NULL;
	name->link = directory->end;
	name->inode = inode_get(target);
	name->cookie = directory->next_cookie++;
	name->length = length;
	memcpy(name->text, text, length);
	*directory->end = name;
	directory->end = &name->next;
	if (directory->buckets != NULL)
		bucket_add(directory, name);
	directory->count++;
	directory->changes++;
	return 0;
}

static void name_remove(struct inode *inode, const char *text, size_t length)
{
	struct directory *directory = inode->private;
	struct name *name = name_find(inode, text, length);
	if (name == NULL)
		return;
	*name->link = name->next;
	if (name->next != NULL)
		name->next->link = name->link;
	else
		directory->end = name->link;
	if (directory->buckets != NULL)
		bucket_remove(directory, name);
	directory->count--;
	directory->changes++;
	inode_put(name->inode);
	free(name);
}

static int tmpfs_lookup(struct inode *directory, const char *text, size_t length, struct inode **out)
{
	struct name *name = name_find(directory, text, length);
	if (name == NULL)
		return -ENOENT;
	*out = inode_get(name->inode);
	return 0;
}

static int tmpfs_create(struct inode *directory, const char *text, size_t length,
                        const struct new_inode *what, struct inode **out)
{
	struct inode *inode;
	int error = make_inode(directory->superblock, what, directory->attributes.inode, &inode);
	if (error != 0)
		return error;
	error = name_add(directory, text, length, inode);
	if (error != 0) {
		inode_put(inode);
		return error;
	}
	*out = inode;
	return 0;
}

static int tmpfs_create_nameless(struct inode *directory, const struct new_inode *what, struct inode **out)
{
	int error = make_inode(directory->superblock, what, directory->attributes.inode, out);
	if (error == 0)
		(*out)->attributes.links = 0;
	return error;
}

static int tmpfs_symlink(struct inode *directory, const char *text, size_t length, const char *target,
                         const struct new_inode *what, struct inode **out)
{
	char *copy = strdup(target);
	if (copy == NULL)
		return -ENOMEM;
	int error = tmpfs_create(directory, text, length, what, out);
	if (error != 0) {
		free(copy);
		return error;
	}
	(*out)->private = copy;
	(*out)->attributes.size = strlen(copy);
	return 0;
}

static int tmpfs_link(struct inode *directory, const char *text, size_t length, struct inode *inode)
{
	int error = inode->attributes.links != 0 ? take_inode(tmpfs_of(inode)) : 0;
	if (error != 0)
		return error;
	error = name_add(directory, text, length, inode);
	if (error != 0) {
		tmpfs_of(inode)->inodes -= inode->attributes.links != 0;
		return error;
	}
	inode->attributes.links++;
	inode->attributes.ctime = fs_now();
	return 0;
}

static int tmpfs_unlink(struct inode *directory, const char *text, size_t length, struct inode *inode)
{
	/* the caller's dentry holds it while its count of links falls */
	tmpfs_of(inode)->inodes -= inode->attributes.links > 1;
	name_remove(directory, text, length);
	inode->attributes.ctime = fs_now();
	return 0;
}

static int tmpfs_rmdir(struct inode *directory, const char *text, size_t length, struct inode *inode)
{
	struct directory *victim = inode->private;
	if (victim->names != NULL)
		return -ENOTEMPTY;
	name_remove(directory, text, length);
	return 0;
}

static int tmpfs_rename(struct inode *from, const char *text, size_t length, struct inode *inode,
                        struct inode *to, const char *new_text, size_t new_length, struct inode *target,
                        unsigned flags)
{
	if (target != NULL && !(flags & FS_RENAME_EXCHANGE) && S_ISDIR(target->attributes.mode) &&
	    ((struct directory *)target->private)->names != NULL)
		return -ENOTEMPTY;
	if (target != NULL) {
		/* the new name is taken over where it is */
		struct name *name = name_find(to, new_text, new_length);
		name->inode = inode_get(inode);
		if (flags & FS_RENAME_EXCHANGE) {
			struct name *old = name_find(from, text, length);
			inode_put(old->inode);
			old->inode = target; /* the reference of the new name */
		} else {
			name_remove(from, text, length);
			tmpfs_of(target)->inodes -=
			        !S_ISDIR(target->attributes.mode) && target->attributes.links > 1;
			inode_put(target);
		}
	} else {
		int error = name_add(to, new_text, new_length, inode);
		if (error != 0)
			return error;
		name_remove(from, text, length);
	}
	if (S_ISDIR(inode->attributes.mode))
		((struct directory *)inode->private)->parent = to->attributes.inode;
	if (target != NULL && flags & FS_RENAME_EXCHANGE && S_ISDIR(target->attributes.mode))
		((struct directory *)target->private)->parent = from->attributes.inode;
	return 0;
}

static ssize_t tmpfs_readlink(struct inode *inode, char *out, size_t size)
{
	size_t length = strlen(inode->private);
	if (length > size)
		length = size;
	memcpy(out, inode->private, length);
	return (ssize_t)length;
}

static unsigned entry_type(const struct inode *inode)
{
	return inode->attributes.mode >> 12 & 15;
}

static int tmpfs_readdir(struct file *file, struct io_buffer *buffer)
{
	struct directory *directory = file->inode->private;
	int total = 0, size = 0;
	if (file->position < 2 || file->readdir_end == 0)
		file->readdir_end = directory->next_cookie;
	while (file->position < 2) {
		bool own = file->position == 0;
		size = dirent_emit(buffer, own ? file->inode->attributes.inode : directory->parent,
		                   file->position + 1, 4, own ? "." : "..", own ? 1 : 2);
		if (size < 0)
			break;
		total += size;
		file->position++;
	}
	struct name *name = size < 0 ? NULL : directory->names;
	while (name != NULL && name->cookie < file->readdir_end) {
		if (name->cookie < file->position) {
			name = name->next;
			continue;
		}
		uint64_t cookie = name->cookie, changes = directory->changes;
		size = dirent_emit(buffer, name->inode->attributes.inode, cookie + 1, entry_type(name->inode),
		                   name->text, name->length);
		if (size < 0)
			break;
		total += size;
		file->position = cookie + 1;
		name = changes == directory->changes ? name->next
		                                     : directory->names; /* copying may have waited */
		while (name != NULL && name->cookie <= cookie)
			name = name->next;
	}
	if (total == 0 && size < 0)
		return size == -ENOSPC ? -EINVAL : size;
	return total;
}

static int64_t tmpfs_directory_seek(struct file *file, int64_t offset, int whence)
{
	return seek_in(file, offset, whence, INT64_MAX);
}

static int nothing_to_sync(struct file *file)
{
	(void)file;
	return 0;
}

static const struct inode_operations tmpfs_file_inode = {.setattr = setattr_in_memory};
static const struct inode_operations tmpfs_link_inode = {.setattr = setattr_in_memory,
                                                         .readlink = tmpfs_readlink};
static const struct inode_operations tmpfs_directory_inode = {
        .lookup = tmpfs_lookup,
        .create = tmpfs_create,
        .create_nameless = tmpfs_create_nameless,
        .symlink = tmpfs_symlink,
        .link = tmpfs_link,
        .unlink = tmpfs_unlink,
        .rmdir = tmpfs_rmdir,
        .rename = tmpfs_rename,
        .setattr = setattr_in_memory,
};
static const struct file_operations tmpfs_directory_operations = {
        .readdir = tmpfs_readdir,
        .seek = tmpfs_directory_seek,
        .fsync = nothing_to_sync,
};

static int tmpfs_statfs(struct superblock *superblock, struct fs_statfs *out)
{
	const struct tmpfs *tmpfs = superblock->private;
	uint64_t limit = superblock->page_limit, used = superblock->page_used;
	uint64_t inode_limit = tmpfs->options.inode_limit;
	*out = (struct fs_statfs){
	        .block_size = 4096,
	        .blocks = limit,
	        .blocks_free = limit > used ? limit - used : 0,
	        .files = inode_limit,
	        .files_free = inode_limit > tmpfs->inodes ? inode_limit - tmpfs->inodes : 0,
	        .name_max = NAME_LENGTH_MAX,
	        .magic = 0x01021994,
	};
	out->blocks_available = out->blocks_free;
	return 0;
}

static void tmpfs_evict(struct inode *inode)
{
	tmpfs_of(inode)->inodes--;
	if (S_ISDIR(inode->attributes.mode)) {
		struct directory *directory = inode->private;
		while (directory != NULL && directory->names != NULL) {
			struct name *name = directory->names;
			struct directory *below =
			        S_ISDIR(name->inode->attributes.mode) ? name->inode->private : NULL;
			if (below != NULL && below->names != NULL && name->inode->references == 1) {
				/* a tree goes down name by name, not by recursion */
				*directory->end = below->names;
				directory->end = below->end;
				below->names = NULL;
			}
			directory->names = name->next;
			if (directory->names == NULL)
				directory->end = &directory->names;
			inode_put(name->inode);
			free(name);
		}
		if (directory != NULL)
			free(directory->buckets);
	}
	free(inode->private);
}

static int tmpfs_unmount(struct superblock *superblock)
{
	(void)superblock;
	return 0;
}

static uint64_t with_unit(uint64_t number, char **end)
{
	switch (**end) {
	case 'k':
	case 'K':
		++*end;
		return number << 10;
	case 'm':
	case 'M':
		++*end;
		return number << 20;
	case 'g':
	case 'G':
		++*end;
		return number << 30;
	default:
		return number;
	}
}

static bool begins(const char *option, size_t length, const char *with)
{
	return length >= strlen(with) && memcmp(option, with, strlen(with)) == 0;
}

/* size=N[kmg%], nr_blocks=N[kmg], nr_inodes=N[kmg], mode=OCTAL, uid=N, gid=N, inode32, inode64; -EINVAL */
static int parse_option(const char *option, size_t length, struct options *out)
{
	/* of no meaning here: there is one size of pages, and one node of memory */
	if (begins(option, length, "huge=") || begins(option, length, "mpol="))
		return strchr(option, '=') + 1 < option + length ? 0 : -EINVAL;
	if (length == 7 && (begins(option, length, "inode32") || begins(option, length, "inode64"))) {
		out->short_numbers = option[5] == '3';
		return 0;
	}
	const char *equals = memchr(option, '=', length);
	if (equals == NULL || equals[1] < '0' || equals[1] > '9')
		return -EINVAL;
	char *end;
	uint64_t number = strtoull(equals + 1, &end, begins(option, length, "mode=") ? 8 : 10);
	if (begins(option, length, "size=")) {
		uint64_t size =
		        *end == '%' ? pages_total() * PAGE_SIZE / 100 * number : with_unit(number, &end);
		end += *end == '%';
		out->page_limit = size / PAGE_SIZE + (size % PAGE_SIZE != 0);
	} else if (begins(option, length, "nr_blocks=")) {
		out->page_limit = with_unit(number, &end);
	} else if (begins(option, length, "nr_inodes=")) {
		out->inode_limit = with_unit(number, &end);
	} else if (begins(option, length, "mode=")) {
		out->mode = (uint32_t)number & 07777;
	} else if (begins(option, length, "uid=")) {
		out->uid = (uint32_t)number;
	} else if (begins(option, length, "gid=")) {
		out->gid = (uint32_t)number;
	} else {
		return -EINVAL;
	}
	return end == option + length ? 0 : -EINVAL;
}

static int parse_options(const char *options, struct options *out)
{
	int error = 0;
	for (const char *p = options != NULL ? options : ""; *p != 0 && error == 0;) {
		size_t length = strcspn(p, ",");
		if (length > 0)
			error = parse_option(p, length, out);
		p += length;
		p += *p == ',';
	}
	return error;
}

/* A limit below what is used, or where there was none, comes too late. */
static bool may_limit(uint64_t old, uint64_t new, uint64_t used)
{
	return new == 0 || new == old || (old != 0 && new >= used);
}

/* The limits only: whose the root is, chmod and chown say. */
static int tmpfs_remount(struct superblock *superblock, const char *text)
{
	struct tmpfs *tmpfs = superblock->private;
	struct options options = tmpfs->options;
	if (parse_options(text, &options) != 0 ||
	    !may_limit(tmpfs->options.page_limit, options.page_limit, superblock->page_used) ||
	    !may_limit(tmpfs->options.inode_limit, options.inode_limit, tmpfs->inodes))
		return -EINVAL;
	superblock->page_limit = tmpfs->options.page_limit = options.page_limit;
	tmpfs->options.inode_limit = options.inode_limit;
	return 0;
}

static void tmpfs_describe(const struct superblock *superblock, struct text *text)
{
	const struct options *options = &((const struct tmpfs *)superblock->private)->options;
	if (superblock->volatile_names)
		return; /* terminals */
	if (options->page_limit != pages_total() / 2)
		text_print(text, ",size=%luk", options->page_limit * PAGE_SIZE / 1024);
	if (options->inode_limit != pages_total() / 2)
		text_print(text, ",nr_inodes=%lu", options->inode_limit);
	if (options->mode != MODE_DEFAULT)
		text_print(text, ",mode=%03o", options->mode);
	if (options->uid != 0)
		text_print(text, ",uid=%u", options->uid);
	if (options->gid != 0)
		text_print(text, ",gid=%u", options->gid);
	text_print(text, ",inode%d", options->short_numbers ? 32 : 64);
}

static const struct superblock_operations tmpfs_operations = {
        .statfs = tmpfs_statfs,
        .unmount = tmpfs_unmount,
        .evict = tmpfs_evict,
        .remount = tmpfs_remount,
        .describe = tmpfs_describe,
};

int tmpfs_mount(const char *source, const char *options, struct superblock **out)
{
	struct tmpfs *tmpfs = calloc(1, sizeof(*tmpfs));
	if (tmpfs == NULL)
		return -ENOMEM;
	struct superblock *superblock = &tmpfs->superblock;
	tmpfs->options = (struct options){
	        .page_limit = pages_total() / 2, .inode_limit = pages_total() / 2, .mode = MODE_DEFAULT};
	superblock->operations = &tmpfs_operations;
	superblock->private = tmpfs;
	superblock->type = "tmpfs";
	superblock->device = device_number_next();
	snprintf(superblock->source, sizeof(superblock->source), "%s",
	         source != NULL && *source != 0 ? source : "tmpfs");
	int error = parse_options(options, &tmpfs->options);
	superblock->page_limit = tmpfs->options.page_limit;
	struct new_inode root = {
	        .mode = S_IFDIR | tmpfs->options.mode, .uid = tmpfs->options.uid, .gid = tmpfs->options.gid};
	if (error == 0)
		error = make_inode(superblock, &root, 0, &superblock->root);
	if (error != 0) {
		free(tmpfs);
		return error;
	}
	*out = superblock;
	return 0;
}

int anonymous_memory_file(const char *name, struct file **out)
{
	static struct superblock *superblock;
	static struct dentry *folder; /* they are in it as unlinked files are in theirs */
	if (superblock == NULL) {
		int error = tmpfs_mount("anon", "size=0,nr_inodes=0", &superblock);
		if (error != 0)
			return error;
		superblock->mounts = 1;
	}
	if (folder == NULL && (folder = dentry_create(NULL, NULL, "", 0, superblock->root)) == NULL)
		return -ENOMEM;
	struct new_inode what = {.mode = S_IFREG | 0600};
	struct inode *inode;
	int error = make_inode(superblock, &what, 0, &inode);
	if (error != 0)
		return error;
	inode->attributes.links = 0;
	struct dentry *dentry = dentry_create(folder, NULL, name, strlen(name), inode);
	*out = dentry != NULL ? file_create(inode, dentry, O_RDWR, &regular_file_operations) : NULL;
	dentry_put(dentry);
	inode_put(inode);
	return *out != NULL ? 0 : -ENOMEM;
}
