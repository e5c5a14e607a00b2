/* SPDX-License-Identifier: MIT */
/*
 * The name cache. A dentry says what a name in a directory is: an inode, or (negative) that it does not
 * exist. Every mount has dentries of its own; of a change made through one mount the others forget the name
 * (dentry_forget_aliases) or follow it (dentry_move_aliases). Where a directory left what a mount shows, its
 * dentries there are dead: unhashed, all of them, so that what is hashed is where it says. Unreferenced
 * dentries stay hashed on an LRU list until there are too many. A dentry holds its parent and its inode.
 */
#include "fs/internal.h"

#define HASH_BUCKETS 8192
#define UNUSED_MAX   4096

static struct dentry *buckets[HASH_BUCKETS];
static struct dentry *lru_first, *lru_last;
static size_t unused_count;

static uint32_t name_hash(const struct dentry *parent, const char *name, size_t length)
{
	uint64_t hash = (uint64_t)(uintptr_t)parent * 0x9e3779b97f4a7c15ull >> 20;
	for (size_t i = 0; i < length; i++)
		hash = hash * 31 + (uint8_t)name[i];
	return (uint32_t)(hash ^ hash >> 32);
}

static void lru_remove(struct dentry *dentry)
{
	if (dentry->lru_previous != NULL)
		dentry->lru_previous->lru_next = dentry->lru_next;
	else
		lru_first = dentry->lru_next;
	if (dentry->lru_next != NULL)
		dentry->lru_next->lru_previous = dentry->lru_previous;
	else
		lru_last = dentry->lru_previous;
	dentry->lru_next = dentry->lru_previous = NULL;
	unused_count--;
}

static void lru_append(struct dentry *dentry)
{
	dentry->lru_previous = lru_last;
	dentry->lru_next = NULL;
	if (lru_last != NULL)
		lru_last->lru_next = dentry;
	else
		lru_first = dentry;
	lru_last = dentry;
	unused_count++;
}

static void alias_add(struct dentry *dentry, struct inode *inode)
{
	dentry->inode = inode_get(inode);
	dentry->alias_next = inode->aliases;
	inode->aliases = dentry;
}

static struct inode *alias_remove(struct dentry *dentry)
{
	struct inode *inode = dentry->inode;
	if (inode == NULL)
		return NULL;
	struct dentry **link = &inode->aliases;
	while (*link != dentry)
		link = &(*link)->alias_next;
	*link = dentry->alias_next;
	dentry->inode = NULL;
	return inode; /* the reference is the caller's now */
}

struct dentry *dentry_create(struct dentry *parent, struct mount *mount, const char *name, size_t length,
                             struct inode *inode)
{
	struct dentry *dentry = calloc(1, sizeof(*dentry));
	if (dentry == NULL)
		return NULL;
	dentry->name = malloc(length + 1);
	if (dentry->name == NULL) {
		free(dentry);
		return NULL;
	}
	dentry->references = 1;
	dentry->mount = mount;
	if (parent != NULL)
		dentry->parent = dentry_get(parent);
	memcpy(dentry->name, name, length);
	dentry->name[length] = 0;
	dentry->name_length = (uint8_t)length;
	dentry->hash = name_hash(parent, name, length);
	if (inode != NULL)
		alias_add(dentry, inode);
	return dentry;
}

struct inode *dentry_inode(struct dentry *dentry)
{
	return dentry->inode;
}

struct dentry *dentry_get(struct dentry *dentry)
{
	if (dentry->references++ == 0)
		lru_remove(dentry);
	return dentry;
}

void dentry_hash(struct dentry *dentry)
{
	struct dentry **bucket = &buckets[dentry->hash % HASH_BUCKETS];
	dentry->hash_next = *bucket;
	*bucket = dentry;
	dentry->hashed = true;
}

void dentry_unhash(struct dentry *dentry)
{
	if (!dentry->hashed)
		return;
	struct dentry **link = &buckets[dentry->hash % HASH_BUCKETS];
	while (*link != dentry)
		link = &(*link)->hash_next;
	*link = dentry->hash_next;
	dentry->hashed = false;
}

/* Unreferenced and not on the LRU list: freed, and its parents with it if they were only waiting for that. */
static void dentry_free(struct dentry *dentry)
{
	while (dentry != NULL) {
		struct dentry *parent = dentry->parent;
		dentry_unhash(dentry);
		inode_put(alias_remove(dentry));
		free(dentry->name);
		free(dentry);
		dentry = NULL;
		if (parent != NULL && --parent->references == 0) {
			if (parent->hashed)
				lru_append(parent);
			else
				dentry = parent;
		}
	}
}

void dentry_put(struct dentry *dentry)
{
	if (dentry == NULL || --dentry->references > 0)
		return;
	if (!dentry->hashed) {
		dentry_free(dentry);
		return;
	}
	lru_append(dentry);
	if (unused_count > UNUSED_MAX && fiber_current() != NULL)
		dentries_trim(UNUSED_MAX - UNUSED_MAX / 8);
}

struct dentry *dentry_find(struct dentry *parent, const char *name, size_t length)
{
	uint32_t hash = name_hash(parent, name, length);
	for (struct dentry *dentry = buckets[hash % HASH_BUCKETS]; dentry != NULL;
	     dentry = dentry->hash_next) {
		if (dentry->hash == hash && dentry->parent == parent && dentry->name_length == length &&
		    memcmp(dentry->name, name, length) == 0)
			return dentry_get(dentry);
	}
	return NULL;
}

void dentry_set_inode(struct dentry *dentry, struct inode *inode)
{
	if (inode != NULL)
		inode_get(inode);
	struct inode *old = alias_remove(dentry);
	if (inode != NULL) {
		alias_add(dentry, inode);
		inode_put(inode);
	}
	inode_put(old);
}

void dentry_forget_aliases(struct dentry *parent, const char *name, size_t length)
{
	if (parent->inode == NULL)
		return;
	for (struct dentry *alias = parent->inode->aliases; alias != NULL;) {
		struct dentry *child = alias != parent ? dentry_find(alias, name, length) : NULL;
		if (child == NULL || child->mounted != NULL) {
			if (child != NULL)
				child->references--; /* a mount point: it stays (and has other references) */
			alias = alias->alias_next;
			continue;
		}
		dentry_unhash(child);
		dentry_put(child); /* may wait, the list may change: start again; the child is not found a
		                      second time */
		alias = parent->inode->aliases;
	}
}

/* A file that is replaced but open keeps its name, "(deleted)". No memory: it gets the other one's, which
 * only looks odd. */
static bool replace(struct dentry *old, struct dentry *new)
{
	struct dentry *parent = old->parent;
	char *name = malloc(new->name_length + 1u);
	if (name == NULL)
		return false;
	memcpy(name, new->name, new->name_length + 1u);
	dentry_unhash(old);
	dentry_unhash(new);
	free(old->name);
	old->name = name;
	old->name_length = new->name_length;
	old->hash = new->hash;
	old->parent = dentry_get(new->parent);
	dentry_hash(old);
	dentry_put(parent);
	return true;
}

void dentry_move(struct dentry *old, struct dentry *new, bool exchange)
{
	if (!exchange && new->inode != NULL && replace(old, new))
		return;
	struct dentry *parent = old->parent;
	char *name = old->name;
	uint32_t hash = old->hash;
	uint8_t length = old->name_length;
	dentry_unhash(old);
	dentry_unhash(new);
	old->parent = new->parent;
	old->name = new->name;
	old->hash = new->hash;
	old->name_length = new->name_length;
	new->parent = parent;
	new->name = name;
	new->hash = hash;
	new->name_length = length;
	dentry_hash(old);
	if (exchange || new->inode == NULL)
		dentry_hash(new);
}

/* The live dentry of the directory in that mount. */
static struct dentry *alias_through(const struct inode *directory, const struct mount *mount)
{
	for (struct dentry *alias = directory->aliases; alias != NULL; alias = alias->alias_next) {
		if (alias->mount == mount && dentry_is_live(alias))
			return alias;
	}
	return NULL;
}

static struct dentry *first_below(struct dentry *top, size_t bucket)
{
	for (struct dentry *dentry = buckets[bucket]; dentry != NULL; dentry = dentry->hash_next) {
		if (dentry->mount == top->mount && dentry_is_ancestor(top, dentry))
			return dentry;
	}
	return NULL;
}

/* What it names is no longer there, as seen through its mount. */
static void bury(struct dentry *top)
{
	if (top->mounted != NULL)
		return; /* it stays, or there were no way to what is mounted there */
	dentry_unhash(top);
	if (top->inode == NULL || !S_ISDIR(top->inode->attributes.mode))
		return;
	for (size_t i = 0; i < HASH_BUCKETS; i++) {
		for (struct dentry *dentry; (dentry = first_below(top, i)) != NULL;) {
			dentry_get(dentry);
			dentry_unhash(dentry);
			dentry_put(dentry);
		}
	}
}

/* The name in the directory as seen through that mount, if it is known there or (`inode` given) should be. */
static struct dentry *name_through(const struct dentry_name *at, struct dentry *directory,
                                   struct inode *inode)
{
	struct dentry *dentry = directory != NULL ? dentry_find(directory, at->name, at->length) : NULL;
	if (dentry == NULL && directory != NULL && inode != NULL)
		dentry = dentry_create(directory, directory->mount, at->name, at->length, inode);
	return dentry;
}

static void move_through(struct mount *mount, const struct dentry_name *from, const struct dentry_name *to,
                         struct inode *inode, struct inode *target, bool exchange)
{
	struct dentry *source = alias_through(from->parent->inode, mount);
	struct dentry *destination = alias_through(to->parent->inode, mount);
	bool both = source != NULL && destination != NULL;
	struct dentry *old = name_through(from, source, both && exchange ? inode : NULL);
	struct dentry *new = name_through(to, destination, both && (exchange || old != NULL) ? target : NULL);
	if (both && old != NULL && new == NULL)
		new = dentry_create(destination, mount, to->name, to->length, NULL);
	bool known = old != NULL && new != NULL && old->inode == inode;
	if (known && new->inode == target) {
		dentry_move(old, new, exchange);
	} else {
		if (old != NULL)
			bury(old);
		if (new != NULL)
			bury(new);
	}
	dentry_put(old);
	dentry_put(new);
}

void dentry_move_aliases(const struct dentry_name *from, const struct dentry_name *to, struct inode *inode,
                         struct inode *target, bool exchange)
{
	const struct superblock *superblock = inode->superblock;
	if (superblock->mounts == 1)
		return;
	for (struct mount *mount = mount_first(); mount != NULL; mount = mount->next) {
		if (mount->superblock != superblock || mount == from->parent->mount)
			continue;
		mount_hold(mount);
		move_through(mount, from, to, inode, target, exchange);
		if (!mount_release(mount))
			break;
	}
}

void dentries_trim(size_t keep)
{
	while (unused_count > keep && lru_first != NULL) {
		struct dentry *dentry = lru_first;
		lru_remove(dentry);
		dentry_free(dentry);
	}
}

void dentries_forget(struct mount *mount)
{
	for (bool again = true; again;) {
		again = false;
		for (struct dentry *dentry = lru_first; dentry != NULL; dentry = dentry->lru_next) {
			if (dentry->mount != mount)
				continue;
			lru_remove(dentry);
			dentry_free(dentry);
			again = true; /* freeing put parents on the list, or waited */
			break;
		}
	}
}

/* Nobody refers to what is below a directory that was removed: it is not to stay for names that do not exist.
 */
void dentries_forget_below(struct dentry *directory)
{
	for (struct dentry *dentry = lru_first, *next; dentry != NULL; dentry = next) {
		next = dentry->lru_next;
		if (dentry->parent == directory && dentry->inode == NULL) {
			lru_remove(dentry);
			dentry_free(dentry);
		}
	}
}

size_t dentries_busy(struct mount *mount)
{
	size_t count = 0;
	for (size_t i = 0; i < HASH_BUCKETS; i++) {
		for (struct dentry *dentry = buckets[i]; dentry != NULL; dentry = dentry->hash_next)
			count += dentry->mount == mount && dentry->references > 0;
	}
	return count;
}

/* On a damaged disk a directory may be in itself. */
static bool leads_up(const struct dentry *parent, const struct inode *inode)
{
	while (parent != NULL && parent->inode != inode)
		parent = parent->parent;
	return parent != NULL;
}

/* With the directory's lock. */
static int lookup_locked(struct dentry *parent, const char *name, size_t length, struct dentry **out)
{
	struct inode *inode = NULL;
	struct dentry *dentry = dentry_find(parent, name, length);
	if (dentry != NULL) {
		*out = dentry;
		return 0;
	}
	if (parent->inode->operations->lookup == NULL)
		return -ENOTDIR;
	if (parent->inode->attributes.links == 0) /* removed: its number may mean another one now */
		return -ENOENT;
	int error = parent->inode->operations->lookup(parent->inode, name, length, &inode);
	if (error != 0 && error != -ENOENT)
		return error;
	if (inode != NULL && S_ISDIR(inode->attributes.mode) && leads_up(parent, inode)) {
		inode_put(inode);
		return -EUCLEAN; /* its lock is held, or is to be taken before the parent's */
	}
	dentry = dentry_create(parent, parent->mount, name, length, inode);
	inode_put(inode);
	if (dentry == NULL)
		return -ENOMEM;
	if (!parent->inode->superblock->volatile_names && dentry_is_live(parent))
		dentry_hash(dentry);
	*out = dentry;
	return 0;
}

int dentry_lookup(struct dentry *parent, const char *name, size_t length, bool locked, struct dentry **out)
{
	if (length > NAME_LENGTH_MAX)
		return -ENAMETOOLONG;
	if (locked)
		return lookup_locked(parent, name, length, out);
	struct dentry *dentry = dentry_find(parent, name, length);
	if (dentry != NULL) {
		*out = dentry;
		return 0;
	}
	fiber_mutex_lock(&parent->inode->lock);
	int error = lookup_locked(parent, name, length, out);
	fiber_mutex_unlock(&parent->inode->lock);
	return error;
}

bool dentry_is_ancestor(struct dentry *ancestor, struct dentry *dentry)
{
	for (; dentry != NULL; dentry = dentry->parent) {
		if (dentry == ancestor)
			return true;
	}
	return false;
}

/* Writes the path backwards into the end of out; crosses mounts upwards until root. */
int dentry_path_raw(struct dentry *root, struct dentry *dentry, char *out, size_t size)
{
	char buffer[PATH_SIZE];
	size_t start = sizeof(buffer);
	bool deleted = dentry->parent != NULL && !dentry->hashed &&
	               !dentry->parent->inode->superblock->volatile_names;
	if (deleted) {
		start -= 10;
		memcpy(buffer + start, " (deleted)", 10);
	}
	bool any = false;
	while (dentry != root) {
		if (dentry->parent == NULL) {
			if (dentry->mount == NULL || dentry->mount->mountpoint == NULL ||
			    dentry != dentry->mount->root)
				break;
			dentry = dentry->mount->mountpoint;
			continue;
		}
		if (start < (size_t)dentry->name_length + 1)
			return -ENAMETOOLONG;
		start -= dentry->name_length;
		memcpy(buffer + start, dentry->name, dentry->name_length);
		buffer[--start] = '/';
		any = true;
		dentry = dentry->parent;
	}
	if (!any)
		buffer[--start] = '/';
	size_t length = sizeof(buffer) - start;
	if (length >= size)
		length = size - 1;
	memcpy(out, buffer + start, length);
	out[length] = 0;
	return (int)length;
}

int dentry_path(struct thread *thread, struct dentry *dentry, char *out, size_t size)
{
	return dentry_path_raw(thread_root(thread), dentry, out, size);
}
