/* SPDX-License-Identifier: MIT */
/*
 * The inode cache: at most one struct inode for each file that is in use or was lately, found by file system
 * and number. Inodes without references stay on an LRU list (with their pages and attributes, which are
 * coherent because nobody else changes the file system) until there are too many.
 */
#include "fs/notify.h"
#include <pith/startup.h>

#define HASH_BUCKETS 4096
#define UNUSED_MAX   2048
#define TRIM_TRIES   64 /* inodes that stay, one after the other, until trimming gives up */

static struct inode *buckets[HASH_BUCKETS];
static struct inode *lru_first, *lru_last; /* first: longest unused */
static size_t unused_count;

static struct inode **bucket_of(const struct superblock *superblock, uint64_t number)
{
	uint64_t key = (uint64_t)(uintptr_t)superblock / sizeof(*superblock) + number * 0x9e3779b97f4a7c15ull;
	return &buckets[(key >> 32 ^ key) % HASH_BUCKETS];
}

uint32_t inode_type(const struct inode *inode)
{
	return inode->attributes.mode & S_IFMT;
}

struct inode *inode_create(struct superblock *superblock)
{
	struct inode *inode = calloc(1, sizeof(*inode));
	if (inode == NULL && fiber_current() != NULL) { /* caches give way */
		dentries_trim(256);
		inodes_trim(256);
		inode = calloc(1, sizeof(*inode));
	}
	if (inode == NULL)
		return NULL;
	inode->superblock = superblock;
	inode->references = 1;
	superblock->inodes++;
	return inode;
}

void inode_free(struct inode *inode)
{
	struct superblock *superblock = inode->superblock;
	free(inode);
	if (--superblock->inodes == 0 && superblock->ended)
		free(superblock);
}

static void lru_remove(struct inode *inode)
{
	if (inode->lru_previous != NULL)
		inode->lru_previous->lru_next = inode->lru_next;
	else
		lru_first = inode->lru_next;
	if (inode->lru_next != NULL)
		inode->lru_next->lru_previous = inode->lru_previous;
	else
		lru_last = inode->lru_previous;
	inode->lru_next = inode->lru_previous = NULL;
	unused_count--;
}

static void lru_append(struct inode *inode)
{
	inode->lru_previous = lru_last;
	inode->lru_next = NULL;
	if (lru_last != NULL)
		lru_last->lru_next = inode;
	else
		lru_first = inode;
	lru_last = inode;
	unused_count++;
}

void inode_hash(struct inode *inode)
{
	struct inode **bucket = bucket_of(inode->superblock, inode->attributes.inode);
	inode->hash_next = *bucket;
	*bucket = inode;
	inode->flags |= INODE_HASHED;
}

void inode_unhash(struct inode *inode)
{
	if (!(inode->flags & INODE_HASHED))
		return;
	struct inode **link = bucket_of(inode->superblock, inode->attributes.inode);
	while (*link != inode)
		link = &(*link)->hash_next;
	*link = inode->hash_next;
	inode->flags &= ~(uint32_t)INODE_HASHED;
}

struct inode *inode_get(struct inode *inode)
{
	if (inode->references++ == 0)
		lru_remove(inode);
	return inode;
}

struct inode *inode_find(struct superblock *superblock, uint64_t number)
{
	for (struct inode *inode = *bucket_of(superblock, number); inode != NULL; inode = inode->hash_next) {
		if (inode->superblock == superblock && inode->attributes.inode == number)
			return inode_get(inode);
	}
	return NULL;
}

/* The last reference of a file without links is gone, or an inode that is not kept: nothing of it stays. */
static void inode_destroy(struct inode *inode)
{
	inode_unhash(inode);
	if (inode->watches != NULL)
		notify_gone(inode);
	inode->attributes.links = 0; /* its dirty pages are not written any more */
	inode_clear_dirty(inode);    /* before any wait: who finds it there takes a reference */
	page_cache_drop(inode, 0);
	if (inode->flags & INODE_KEPT)
		inode->superblock->operations->keep(inode, false);
	if (inode->superblock->operations->evict != NULL)
		inode->superblock->operations->evict(inode);
	inode_free(inode);
}

void inode_put(struct inode *inode)
{
	if (inode == NULL || --inode->references > 0)
		return;
	if (inode->attributes.links == 0 || !(inode->flags & INODE_HASHED)) {
		/* destroying may wait: nobody can find it meanwhile */
		inode_destroy(inode);
		return;
	}
	lru_append(inode);
	if (unused_count > UNUSED_MAX && fiber_current() != NULL)
		inodes_trim(UNUSED_MAX - UNUSED_MAX / 8);
}

/* An unused inode leaves memory; false: it could not be written back, or is watched (it stays), or has
 * lost its last name meanwhile. May wait. */
static bool inode_evict(struct inode *inode)
{
	inode_get(inode);
	int error = inode_write_back(inode, 0, UINT64_MAX, true);
	if (error == 0)
		error = inode_flush_attributes(inode);
	if (inode->references > 1 || inode->attributes.links == 0 || error != 0 || inode->dirty_count > 0 ||
	    inode->pending_attributes != 0 || inode->watches != NULL) {
		inode_put(inode);
		return false;
	}
	/* from here on as if it had never been read; a lookup waits for nothing that is lost: all is on the
	 * disk or on its way */
	inode_unhash(inode);
	inode_clear_dirty(inode);
	page_cache_drop(inode, 0);
	if (inode->superblock->operations->evict != NULL)
		inode->superblock->operations->evict(inode);
	inode_free(inode);
	return true;
}

void inodes_trim(size_t keep)
{
	static bool active;
	if (active) /* writing back may come here again */
		return;
	active = true;
	/* Some stay, because they are watched, say: not all of them are tried each time. */
	unsigned tries = TRIM_TRIES;
	while (tries > 0 && unused_count > keep && lru_first != NULL)
		tries = inode_evict(lru_first) ? TRIM_TRIES : tries - 1;
	active = false;
}

void inodes_forget(struct superblock *superblock)
{
	/* One that stays goes to the end of the list. While one is tried others may come and go. */
	for (size_t tries = unused_count; tries > 0; tries--) {
		struct inode *inode = lru_first;
		while (inode != NULL && inode->superblock != superblock)
			inode = inode->lru_next;
		if (inode == NULL)
			break;
		inode_evict(inode);
	}
}

void superblock_end(struct superblock *superblock)
{
	struct inode *root = superblock->root;
	superblock->root = NULL;
	inode_put(root);
	inodes_forget(superblock);
	superblock->ended = true;
	if (superblock->inodes == 0)
		free(superblock);
}

bool inodes_kept(const struct superblock *superblock)
{
	for (size_t i = 0; i < HASH_BUCKETS; i++) {
		for (const struct inode *inode = buckets[i]; inode != NULL; inode = inode->hash_next) {
			if (inode->superblock == superblock && inode->attributes.links == 0)
				return true;
		}
	}
	return false;
}

struct fs_time fs_now(void)
{
	uint64_t now = time_wall();
	return (struct fs_time){.seconds = (int64_t)(now / 1000000000u),
	                        .nanoseconds = (uint32_t)(now % 1000000000u)};
}

void inode_touch(struct inode *inode, unsigned mask)
{
	struct fs_time now = fs_now();
	if (mask & FS_SET_ATIME)
		inode->attributes.atime = now;
	if (mask & FS_SET_MTIME)
		inode->attributes.mtime = now;
	if (mask & FS_SET_CTIME)
		inode->attributes.ctime = now;
	if (inode->superblock->operations->io_start == NULL || inode->superblock->read_only)
		return; /* memory file systems have nobody to tell */
	inode->pending_attributes |= mask;
	inode_mark_dirty(inode);
}

void attributes_apply(struct fs_attributes *to, unsigned mask, const struct fs_attributes *from)
{
	if (mask & FS_SET_MODE)
		to->mode = (to->mode & S_IFMT) | (from->mode & 07777);
	if (mask & FS_SET_UID)
		to->uid = from->uid;
	if (mask & FS_SET_GID)
		to->gid = from->gid;
	if (mask & FS_SET_SIZE)
		to->size = from->size;
	if (mask & FS_SET_ATIME)
		to->atime = from->atime;
	if (mask & FS_SET_MTIME)
		to->mtime = from->mtime;
	if (mask & FS_SET_CTIME)
		to->ctime = from->ctime;
	if (mask & FS_SET_FLAGS)
		to->flags = from->flags;
}

int setattr_in_memory(struct inode *inode, unsigned mask, const struct fs_attributes *from)
{
	attributes_apply(&inode->attributes, mask, from);
	return 0;
}

int inode_setattr(struct inode *inode, unsigned mask, const struct fs_attributes *attributes)
{
	if (inode->operations->setattr == NULL)
		return -EPERM;
	return inode->operations->setattr(inode, mask, attributes);
}

int inode_flush_attributes(struct inode *inode)
{
	unsigned mask = inode->pending_attributes;
	if (mask == 0 || inode->attributes.links == 0)
		return 0;
	inode->pending_attributes = 0;
	struct fs_attributes attributes = inode->attributes;
	int error = inode_setattr(inode, mask, &attributes);
	if (error != 0)
		inode->pending_attributes |= mask;
	return error;
}
