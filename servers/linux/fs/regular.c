/* SPDX-License-Identifier: MIT */
/* Regular files: read, write and seek through the page cache, whatever file system keeps them. */
#include "capability.h"
#include "fs/notify.h"

#define RLIMIT_FSIZE_ 1
#define SIGXFSZ_      25
#define DAY           86400
#define DIRECT_UNIT   512 /* what O_DIRECT reads and writes are multiples of, and begin at */

bool file_access_tells(const struct file *file)
{
	const struct fs_attributes *a = &file->inode->attributes;
	unsigned long silent = LINUX_MS_NOATIME | (S_ISDIR(a->mode) ? LINUX_MS_NODIRATIME : 0);
	if (file->flags & O_NOATIME || a->flags & FS_FLAG_NOATIME || file->dentry == NULL ||
	    mount_read_only(file->dentry) ||
	    (file->dentry->mount != NULL && file->dentry->mount->flags & silent))
		return false;
	int64_t now = fs_now().seconds;
	bool always = file->dentry->mount != NULL && file->dentry->mount->flags & LINUX_MS_STRICTATIME;
	return a->atime.seconds != now &&
	       (always || a->atime.seconds <= a->mtime.seconds || a->atime.seconds <= a->ctime.seconds ||
	        now - a->atime.seconds > DAY);
}

static void accessed(struct file *file)
{
	if (file_access_tells(file))
		inode_touch(file->inode, FS_SET_ATIME);
}

static bool is_direct(const struct file *file)
{
	return file->flags & O_DIRECT && has_store(file->inode);
}

static ssize_t regular_read(struct file *file, struct io_buffer *buffer, uint64_t *position)
{
	struct inode *inode = file->inode;
	bool may_wait = !(buffer->flags & O_NONBLOCK);
	size_t done = 0;
	int error = 0;
	if (is_direct(file) && (*position | buffer->size) % DIRECT_UNIT != 0)
		return -EINVAL;
	uint64_t at = *position, all = inode->attributes.size - at; /* if there is anything */
	uint64_t last = (at + (buffer->size < all ? buffer->size : all) - 1) / PAGE_SIZE;
	while (buffer->size > 0 && at < inode->attributes.size) {
		uint64_t index = at / PAGE_SIZE;
		size_t offset = at % PAGE_SIZE, part = PAGE_SIZE - offset;
		pfn_t pfn;
		error = page_cache_get_for_file(file, index, last, may_wait, &pfn);
		bool hole = error == -ENODATA;
		if (error == -ENXIO)
			error = 0; /* truncated meanwhile */
		else if (error == 0 && at >= inode->attributes.size)
			page_put(pfn);
		else if (error == 0 || hole) {
			uint64_t left = inode->attributes.size - at;
			if (part > left)
				part = left;
			if (part > buffer->size)
				part = buffer->size;
			size_t before = buffer->size;
			error = hole ? io_clear(buffer, part)
			             : io_copy_to(buffer, (char *)page_address(pfn) + offset, part);
			if (!hole)
				page_put(pfn);
			/* what came before a bad page counts; the next turn meets the page itself */
			if (error == -EFAULT && buffer->size < before) {
				part = before - buffer->size;
				error = 0;
			}
			if (error == 0) {
				at += part;
				done += part;
				if (__builtin_expect(at % COPY_AT_ONCE != 0, 1) || buffer->size == 0 ||
				    wait_yield())
					continue;
			}
		}
		break;
	}
	*position = at;
	if (done > 0)
		accessed(file);
	return done > 0 ? (ssize_t)done : error;
}

/* ---- writing ---- */

/* A page that holds nothing of the disk: filled from the buffer before anybody can see it. */
static int add_new_page(struct inode *inode, uint64_t index, struct io_buffer *whole, pfn_t *out)
{
	pfn_t pfn = page_allocate(whole == NULL);
	if (pfn == PFN_NONE)
		return -ENOMEM;
	int error = whole != NULL ? io_copy_from(whole, page_address(pfn), PAGE_SIZE) : 0;
	if (error == 0)
		error = page_cache_add(inode, index, pfn);
	if (error == 0) {
		page_of(pfn)->flags |= PAGE_UPTODATE;
		*out = pfn;
		return 0;
	}
	if (error == -EEXIST &&
	    whole != NULL) { /* somebody read it meanwhile: what was taken from the buffer must get there */
		pfn_t other;
		error = page_cache_get(inode, index, &other);
		if (error == 0) {
			memcpy(page_address(other), page_address(pfn), PAGE_SIZE);
			*out = other;
		}
	}
	page_put(pfn);
	return error;
}

/* One page of a write. *size: how much of it; less afterwards if the rest of the buffer cannot be read. */
static int write_page(struct inode *inode, uint64_t position, size_t *size, struct io_buffer *buffer,
                      pfn_t *out)
{
	size_t part = *size, before = buffer->size;
	uint64_t index = position / PAGE_SIZE;
	size_t offset = position % PAGE_SIZE;
	bool behind_end = index * PAGE_SIZE >= inode->attributes.size;
	pfn_t pfn = page_tree_find(&inode->pages, index);
	int error = 0;
	if (pfn == PFN_NONE && part == PAGE_SIZE) {
		struct io_buffer again = *buffer;
		error = add_new_page(inode, index, buffer, out);
		if (error != -EFAULT || buffer->size == before)
			return error;
		*size = part = before - buffer->size; /* what can be read, and the rest stays as it is */
		*buffer = again;
		error = 0;
		pfn = page_tree_find(&inode->pages, index);
	}
	if (behind_end) {
		if (pfn == PFN_NONE)
			error = add_new_page(inode, index, NULL, &pfn);
		else
			page_get(pfn); /* beyond the end nothing is ever being read */
	} else {
		error = page_cache_get(inode, index, &pfn);
	}
	if (error != 0)
		return error;
	error = io_copy_from(buffer, (char *)page_address(pfn) + offset, part);
	*size = before - buffer->size;
	if (*size == 0) {
		page_put(pfn);
		return error;
	}
	*out = pfn;
	return 0;
}

static ssize_t write_pages(struct file *file, struct io_buffer *buffer, uint64_t *position)
{
	struct inode *inode = file->inode;
	size_t done = 0;
	int error = 0;
	while (buffer->size > 0) {
		uint64_t index = *position / PAGE_SIZE, old_size = inode->attributes.size;
		size_t offset = *position % PAGE_SIZE, part = PAGE_SIZE - offset;
		bool through;
		pfn_t pfn;
		if (part > buffer->size)
			part = buffer->size;
		if (inode->seals & SEAL_GROW && *position + part > old_size) {
			error = -EPERM;
			break;
		}
		error = space_prepare(inode, index, &through);
		if (error == 0)
			error = write_page(inode, *position, &part, buffer, &pfn);
		if (error != 0)
			break;
		if (*position + part > inode->attributes.size)
			inode->attributes.size = *position + part;
		if (!through)
			space_reserve(inode, index, pfn);
		page_cache_mark_dirty(inode, index, pfn);
		if (through) {
			error = inode_write_through(inode, index);
			if (error != 0) {
				inode->attributes.size = old_size;
				page_put(pfn);
				page_cache_discard(inode, index);
				break;
			}
		}
		page_put(pfn);
		*position += part;
		done += part;
		writeback_throttle();
		if (*position % COPY_AT_ONCE == 0 && buffer->size > 0 && !wait_yield())
			break;
	}
	return done > 0 ? (ssize_t)done : error;
}

void inode_written(struct dentry *dentry, struct inode *inode)
{
	inode_touch(inode, FS_SET_MTIME | FS_SET_CTIME);
	struct thread *thread = current_thread();
	uint32_t set_id =
	        inode->attributes.mode & (S_ISUID | (inode->attributes.mode & S_IXGRP ? S_ISGID : 0));
	if (set_id == 0 || thread == NULL || capable(thread, CAP_FSETID))
		return;
	struct fs_attributes attributes = {.mode = inode->attributes.mode & ~set_id};
	if (inode_setattr(inode, FS_SET_MODE, &attributes) == 0)
		notify(dentry, inode, NOTIFY_ATTRIB);
}

/* How much of [position, position + size) may be written, or why nothing. */
static ssize_t allowed(uint64_t position, size_t size)
{
	struct thread *thread = current_thread();
	uint64_t limit = FILE_SIZE_MAX;
	if (thread != NULL && thread->process->limits[RLIMIT_FSIZE_].current < limit) {
		limit = thread->process->limits[RLIMIT_FSIZE_].current;
		if (position >= limit)
			signal_send_thread(thread, SIGXFSZ_, 0, 0);
	}
	if (position >= limit)
		return -EFBIG;
	return (ssize_t)(size < limit - position ? size : limit - position);
}

/* Under the inode's lock. */
static ssize_t write_locked(struct file *file, struct io_buffer *buffer, uint64_t *position)
{
	struct inode *inode = file->inode;
	if (inode->seals & (SEAL_WRITE | SEAL_FUTURE_WRITE) || inode->attributes.flags & FS_FLAG_IMMUTABLE)
		return -EPERM;
	if ((file->flags | buffer->flags) & O_APPEND)
		*position = inode->attributes.size;
	if (is_direct(file) && (*position | buffer->size) % DIRECT_UNIT != 0)
		return -EINVAL;
	ssize_t result = allowed(*position, buffer->size);
	if (result <= 0)
		return result;
	size_t kept = buffer->size - (size_t)result;
	if (kept > 0 && buffer->later > 0) { /* only with limits: the last bytes are not written */
		result = buffer->size - buffer->later < (size_t)result
		                 ? (ssize_t)(buffer->size - buffer->later)
		                 : result;
		buffer->later = 0;
	}
	buffer->size = (size_t)result;
	if (*position > inode->attributes.size)
		page_cache_clear_beyond(inode, inode->attributes.size);
	result = write_pages(file, buffer, position);
	if (result > 0)
		inode_written(file->dentry, inode);
	return result;
}

static ssize_t regular_write(struct file *file, struct io_buffer *buffer, uint64_t *position)
{
	struct inode *inode = file->inode;
	if (buffer->size == 0)
		return 0;
	fiber_mutex_lock(&inode->lock);
	ssize_t result = write_locked(file, buffer, position);
	fiber_mutex_unlock(&inode->lock);
	bool synchronous =
	        (file->flags | buffer->flags) & (O_SYNC | O_DSYNC) || inode->superblock->synchronous;
	if (result > 0 && synchronous) {
		int error = file_fsync(file);
		if (error != 0)
			return error;
	} else if (result > 0 && is_direct(file)) {
		/* the disk has it, though maybe in its own cache */
		int error = inode_write_back(inode, (*position - (uint64_t)result) / PAGE_SIZE,
		                             (*position - 1) / PAGE_SIZE, true);
		if (error != 0)
			return error;
	}
	return result;
}

/* The first byte from `from` on that has a page (or none); UINT64_MAX: there is none before the end. */
static uint64_t next_in_memory(const struct inode *inode, uint64_t from, bool data)
{
	uint64_t first = from / PAGE_SIZE, index = first;
	if (data) {
		if (page_tree_next(&inode->pages, &index) == PFN_NONE)
			return UINT64_MAX;
	} else {
		while (page_tree_find(&inode->pages, index) != PFN_NONE)
			index++;
	}
	return index == first ? from : index * PAGE_SIZE;
}

/* Pages that wait to be written may have no blocks yet. If they get none, fsync tells. */
static int next_on_disk(struct inode *inode, uint64_t *offset, bool hole)
{
	inode_write_back(inode, 0, UINT64_MAX, true);
	return inode->superblock->operations->seek(inode, hole, offset);
}

static int64_t regular_seek(struct file *file, int64_t offset, int whence)
{
	enum { DATA = 3, HOLE = 4 };
	uint64_t size = file->inode->attributes.size;
	if (whence != DATA && whence != HOLE)
		return seek_in(file, offset, whence, size);
	if (offset < 0 || (uint64_t)offset >= size)
		return -ENXIO;
	uint64_t found = (uint64_t)offset;
	int error = 0;
	/* What has no store behind it has holes where it has no pages. */
	if (has_store(file->inode))
		error = next_on_disk(file->inode, &found, whence == HOLE);
	else
		found = next_in_memory(file->inode, found, whence == DATA);
	if (error != 0)
		return error;
	if (found >= size && whence == DATA)
		return -ENXIO;
	file->position = found < size ? found : size;
	return (int64_t)file->position;
}

static int regular_mmap(struct file *file)
{
	accessed(file);
	return 0;
}

const struct file_operations regular_file_operations = {
        .read = regular_read,
        .write = regular_write,
        .seek = regular_seek,
        .fsync = file_fsync,
        .mmap = regular_mmap,
};
