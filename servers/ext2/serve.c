/* SPDX-License-Identifier: MIT */
/*
 * One request of proto/fs.h, from slot to slot. The slot is shared memory that the client may change at any
 * time: the fixed part is read once and what is used of the data is copied to the fiber's own memory before
 * it is looked at.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "ext2.h"

#define FIXED_SIZE offsetof(struct fs_request, reserved)

/* A request being served. */
struct job {
	struct filesystem *fs;
	struct fs_request *slot;
	uint32_t number;
	bool repeated;
	struct change *change;
	union {
		struct fs_request request; /* fixed part and as much of data as the operation uses */
		uint8_t bytes[sizeof(struct fs_request)];
	};
};

/* Inode numbers are 32 bits here; larger ones do not exist. */
static uint32_t number_of(uint64_t inode)
{
	return inode > UINT32_MAX ? 0 : (uint32_t)inode;
}

static void fetch_data(struct job *job, uint32_t size)
{
	memcpy(job->request.data, job->slot->data, size);
}

/* name, and target right after it */
static int fetch_names(struct job *job, struct name *name, struct name *target)
{
	struct fs_request *request = &job->request;

	if (request->name_length > FS_NAME_MAX)
		return ENAMETOOLONG;
	if (target && request->target_length > FS_SLOT_DATA - request->name_length)
		return ENAMETOOLONG;
	fetch_data(job, request->name_length + (target ? request->target_length : 0));
	*name = (struct name){(const char *)request->data, request->name_length};
	if (target)
		*target = (struct name){(const char *)request->data + request->name_length,
		                        request->target_length};
	return 0;
}

static int serve_getattr(struct job *job)
{
	struct inode *inode;
	int error = inode_get(job->fs, number_of(job->request.inode), INODE_LIVE, &inode);

	if (error)
		return error;
	inode_attributes(job->fs, inode, &job->request.attributes);
	inode_put(job->fs, inode);
	return 0;
}

static int setattr_locked(struct job *job, struct inode *inode)
{
	struct fs_attributes *attributes = &job->request.attributes;
	unsigned mask = job->request.mask;
	struct fs_time now = environment_now();
	int error;

	if (inode_is_gone(inode))
		return ESTALE;
	if (mask & FS_SET_SIZE) {
		if (inode_type(inode) != S_IFREG)
			return inode_type(inode) == S_IFDIR ? EISDIR : EINVAL;
		error = data_set_size(job->fs, inode, attributes->size);
		if (error)
			return error;
		if (!(mask & FS_SET_MTIME))
			inode_set_times(job->fs, inode, FS_SET_MTIME, NULL, &now, NULL);
	}
	if (mask & FS_SET_MODE)
		inode->raw->mode = (uint16_t)((inode->raw->mode & S_IFMT) | (attributes->mode & 07777));
	if (mask & FS_SET_UID) {
		inode->raw->uid = (uint16_t)attributes->uid;
		inode->raw->uid_high = (uint16_t)(attributes->uid >> 16);
	}
	if (mask & FS_SET_GID) {
		inode->raw->gid = (uint16_t)attributes->gid;
		inode->raw->gid_high = (uint16_t)(attributes->gid >> 16);
	}
	if (mask & FS_SET_FLAGS)
		inode_set_flags(job->fs, inode, attributes->flags);
	/* Being read is no change: a client that changes only times says itself whether this one is among
	 * them. */
	if (mask & (FS_SET_SIZE | FS_SET_MODE | FS_SET_UID | FS_SET_GID | FS_SET_FLAGS) &&
	    !(mask & FS_SET_CTIME)) {
		attributes->ctime = now;
		mask |= FS_SET_CTIME;
	}
	inode_set_times(job->fs, inode, mask, &attributes->atime, &attributes->mtime, &attributes->ctime);
	return 0;
}

static int serve_setattr(struct job *job)
{
	struct inode *inode;
	int error = filesystem_writable(job->fs);

	if (!error)
		error = inode_get(job->fs, number_of(job->request.inode), INODE_LIVE, &inode);
	if (error)
		return error;
	fiber_rwlock_write(&inode->lock);
	error = setattr_locked(job, inode);
	inode_attributes(job->fs, inode, &job->request.attributes);
	fiber_rwlock_unlock_write(&inode->lock);
	inode_put(job->fs, inode);
	return error;
}

static int serve_lookup(struct job *job)
{
	struct name name;
	int error = fetch_names(job, &name, NULL);

	return error ? error
	             : namespace_lookup(job->fs, number_of(job->request.inode), name,
	                                &job->request.attributes);
}

static int serve_readdir(struct job *job)
{
	struct fs_request *request = &job->request;
	struct inode *directory;
	int error = inode_get(job->fs, number_of(request->inode), INODE_LIVE, &directory);

	if (error)
		return error;
	fiber_rwlock_read(&directory->lock);
	error = inode_type(directory) != S_IFDIR
	                ? ENOTDIR
	                : directory_read(job->fs, directory, request->offset, request->data, FS_SLOT_DATA,
	                                 &request->length, &request->offset);
	fiber_rwlock_unlock_read(&directory->lock);
	inode_put(job->fs, directory);
	if (!error)
		memcpy(job->slot->data, request->data, request->length);
	return error;
}

static int serve_create(struct job *job)
{
	struct fs_attributes *attributes = &job->request.attributes;
	struct name name;
	int error = fetch_names(job, &name, NULL);

	if (!error && S_ISLNK(attributes->mode))
		error = EINVAL;
	return error ? error
	             : namespace_create(job->fs, number_of(job->request.inode), name, NULL, 0, attributes,
	                                job->change);
}

static int serve_symlink(struct job *job)
{
	struct fs_attributes *attributes = &job->request.attributes;
	struct name name, target;
	int error = fetch_names(job, &name, &target);

	attributes->mode = S_IFLNK | 0777;
	return error ? error
	             : namespace_create(job->fs, number_of(job->request.inode), name, target.text,
	                                target.length, attributes, job->change);
}

static int serve_link(struct job *job)
{
	struct fs_request *request = &job->request;
	struct name name;
	int error = fetch_names(job, &name, NULL);

	return error ? error
	             : namespace_link(job->fs, number_of(request->inode), name,
	                              number_of(request->other_inode), &request->attributes, job->change);
}

static int serve_unlink(struct job *job)
{
	struct name name;
	int error = fetch_names(job, &name, NULL);

	return error ? error
	             : namespace_unlink(job->fs, number_of(job->request.inode), name,
	                                &job->request.attributes, job->change);
}

static int serve_rmdir(struct job *job)
{
	struct name name;
	int error = fetch_names(job, &name, NULL);

	return error ? error : namespace_rmdir(job->fs, number_of(job->request.inode), name, job->change);
}

static int serve_rename(struct job *job)
{
	struct fs_request *request = &job->request;
	struct name old_name, new_name;
	int error = fetch_names(job, &old_name, &new_name);

	return error ? error
	             : namespace_rename(job->fs, number_of(request->inode), old_name,
	                                number_of(request->other_inode), new_name, request->flags,
	                                job->change);
}

static int serve_readlink(struct job *job)
{
	struct fs_request *request = &job->request;
	int error = namespace_readlink(job->fs, number_of(request->inode), (char *)request->data,
	                               FS_SLOT_DATA, &request->length);

	if (!error)
		memcpy(job->slot->data, request->data, request->length);
	return error;
}

static int serve_open(struct job *job)
{
	struct inode *inode;
	int error = inode_get(job->fs, number_of(job->request.inode), INODE_LIVE, &inode);

	if (error)
		return error;
	/* Done again after a restart: this client opens a file once. */
	if (!job->repeated || !inode->opens)
		inode_open(job->fs, inode);
	inode_attributes(job->fs, inode, &job->request.attributes);
	inode_put(job->fs, inode);
	return 0;
}

static int serve_close(struct job *job)
{
	struct inode *inode;
	int error = inode_get(job->fs, number_of(job->request.inode), INODE_ANY, &inode);

	if (error)
		return error;
	error = inode_close(job->fs, inode);
	inode_put(job->fs, inode);
	return error;
}

static int serve_close_all(struct job *job)
{
	return inodes_close(job->fs);
}

/* The inode of a request about the data of a file. */
static int file_get(struct job *job, struct inode **inode)
{
	int error = inode_get(job->fs, number_of(job->request.inode), INODE_LIVE, inode);

	if (!error && inode_type(*inode) != S_IFREG) {
		error = inode_type(*inode) == S_IFDIR ? EISDIR : EINVAL;
		inode_put(job->fs, *inode);
	}
	return error;
}

static int fetch_pages(struct job *job, struct inode **inode)
{
	struct fs_request *request = &job->request;

	if (!request->count || request->count > FS_PAGES_MAX)
		return EINVAL;
	fetch_data(job, request->count * (uint32_t)sizeof(struct fs_page));
	return file_get(job, inode);
}

static int serve_read_pages(struct job *job)
{
	struct inode *inode;
	int error = fetch_pages(job, &inode);

	if (error)
		return error;
	error = data_read(job->fs, inode, (const struct fs_page *)job->request.data, job->request.count);
	inode_put(job->fs, inode);
	return error;
}

static int serve_write_pages(struct job *job)
{
	struct fs_request *request = &job->request;
	uint64_t size = request->attributes.size;
	struct inode *inode;
	uint32_t done = 0;
	int error = filesystem_writable(job->fs);

	if (!error)
		error = fetch_pages(job, &inode);
	if (error) {
		request->count = 0;
		return error;
	}
	error = data_write(job->fs, inode, (const struct fs_page *)request->data, request->count, size,
	                   &done);
	request->count = done;
	inode_attributes(job->fs, inode, &request->attributes);
	inode_put(job->fs, inode);
	return error;
}

static int serve_fsync(struct job *job)
{
	struct inode *inode;
	int error = inode_get(job->fs, number_of(job->request.inode), INODE_ANY, &inode);

	if (error)
		return error;
	inode_put(job->fs, inode);
	return filesystem_sync(job->fs);
}

static int serve_punch(struct job *job)
{
	struct fs_request *request = &job->request;
	struct inode *inode;
	int error = filesystem_writable(job->fs);

	if (!error)
		error = file_get(job, &inode);
	if (error)
		return error;
	fiber_rwlock_write(&inode->lock);
	error = inode_is_gone(inode) ? ESTALE
	                             : data_punch(job->fs, inode, request->offset, request->attributes.size);
	inode_attributes(job->fs, inode, &request->attributes);
	fiber_rwlock_unlock_write(&inode->lock);
	inode_put(job->fs, inode);
	return error;
}

static int serve_seek(struct job *job)
{
	struct inode *inode;
	int error = file_get(job, &inode);

	if (error)
		return error;
	fiber_rwlock_read(&inode->lock);
	error = data_seek(job->fs, inode, job->request.flags & FS_SEEK_HOLE, &job->request.offset);
	fiber_rwlock_unlock_read(&inode->lock);
	inode_put(job->fs, inode);
	return error;
}

static int serve_statfs(struct job *job)
{
	filesystem_statfs(job->fs, &job->request.statfs);
	return 0;
}

static int serve_sync(struct job *job)
{
	return filesystem_sync(job->fs);
}

/* Nothing new begins, and what is under way ends first: a read, too, keeps links from being subtracted. */
static int serve_unmount(struct job *job)
{
	struct filesystem *fs = job->fs;

	fs->unmounting = true;
	while (fs->cache.header->changing > 1 || fs->serving > 1)
		wait_queue_wait(&fs->changed);
	fs->unmount_error = filesystem_unmount(fs);
	return fs->unmount_error;
}

static const struct {
	int (*serve)(struct job *job);
	bool changes;
} operations[] = {
        [FS_STATFS] = {serve_statfs, false},
        [FS_GETATTR] = {serve_getattr, false},
        [FS_SETATTR] = {serve_setattr, true},
        [FS_LOOKUP] = {serve_lookup, false},
        [FS_READDIR] = {serve_readdir, false},
        [FS_CREATE] = {serve_create, true},
        [FS_SYMLINK] = {serve_symlink, true},
        [FS_LINK] = {serve_link, true},
        [FS_UNLINK] = {serve_unlink, true},
        [FS_RMDIR] = {serve_rmdir, true},
        [FS_RENAME] = {serve_rename, true},
        [FS_READLINK] = {serve_readlink, false},
        [FS_OPEN] = {serve_open, false},
        [FS_CLOSE] = {serve_close, true},
        [FS_READ_PAGES] = {serve_read_pages, false},
        [FS_WRITE_PAGES] = {serve_write_pages, true},
        [FS_FSYNC] = {serve_fsync, false},
        [FS_SYNC] = {serve_sync, false},
        [FS_UNMOUNT] = {serve_unmount, true},
        [FS_PUNCH] = {serve_punch, true},
        [FS_SEEK] = {serve_seek, false},
        [FS_CLOSE_ALL] = {serve_close_all, true},
};

/* Unmounted, about to be, or never mounted because the disk is bad. A second unmount, e.g. after a restart,
 * finds it done. */
static int serve_unmounted(struct job *job)
{
	struct filesystem *fs = job->fs;

	if (job->request.operation != FS_UNMOUNT && job->request.operation != FS_SYNC)
		return fs->mount_error ? fs->mount_error : EIO;
	while (fs->mounted)
		wait_queue_wait(&fs->changed);
	return fs->unmount_error;
}

static int job_run(struct job *job)
{
	uint32_t operation = job->request.operation;
	uint32_t *changing = &job->fs->cache.header->changing;
	int error;

	if (operation >= sizeof(operations) / sizeof(operations[0]))
		return ENOSYS;
	if (!job->fs->mounted || job->fs->unmounting)
		return serve_unmounted(job);
	job->request.length = 0;
	job->change = &job->fs->cache.header->changes[job->number % CHANGES_MAX];
	if (!job->repeated)
		filesystem_answered(job->fs, job->number);
	job->fs->serving++;
	*changing += operations[operation].changes;
	error = operations[operation].serve(job);
	*changing -= operations[operation].changes;
	job->fs->serving--;
	wait_queue_wake_all(&job->fs->changed, 0);
	return error;
}

void filesystem_answered(struct filesystem *fs, uint32_t number)
{
	if (fs->mounted)
		fs->cache.header->changes[number % CHANGES_MAX].state = CHANGE_NONE;
}

void filesystem_serve(struct filesystem *fs, struct fs_request *slot, uint32_t number, bool repeated)
{
	struct job job;

	job.fs = fs;
	job.slot = slot;
	job.number = number;
	job.repeated = repeated;
	memcpy(&job.request, slot, FIXED_SIZE);
	job.request.error = (uint32_t)job_run(&job);
	job.request.read_only = fs->read_only;
	job.request.blocks_free = filesystem_free_blocks(fs);
	memcpy(slot, &job.request, FIXED_SIZE);
}
