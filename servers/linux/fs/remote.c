/* SPDX-License-Identifier: MIT */
/*
 * File systems in other components, through the request channel of proto/fs.h: a fiber fills a slot, submits
 * it and sleeps until remote_events finds it completed. Page transfers do not sleep: their completion goes to
 * the page cache (page_io_done). This server is the file system's only client, so that what it was told once
 * stays true until it changes it itself.
 */
#include "fs/internal.h"
#include <stdio.h>
#include <pith/log.h>
#include <pith/ring.h>
#include <pith/startup.h>

struct call {
	struct page_io *io; /* a page transfer; NULL: a fiber waits */
	bool active, done;
	bool abandoned; /* its file system will never answer */
	struct waitq wait;
};

struct client {
	struct ring ring;
	struct waitq slot_wait;
	struct call calls[FS_SLOTS];
	struct superblock *superblock;
	bool unmounted; /* for good: the file system ends then */
	bool failed;    /* the supervisor has given the file system up: everything is -EIO */
};

static struct client *clients[FS_CHANNELS_MAX];
static unsigned client_count;

static const struct inode_operations remote_file_inode, remote_directory_inode, remote_link_inode;
static const struct file_operations remote_directory_operations;

/* ---- calls ---- */

struct request {
	struct client *client;
	uint32_t number;
	struct fs_request *data;
};

static bool try_begin(struct client *client, enum fs_operation operation, struct request *request)
{
	request->client = client;
	request->data = ring_slot_take(&client->ring, &request->number);
	if (request->data == NULL)
		return false;
	memset(request->data, 0, offsetof(struct fs_request, data));
	request->data->operation = operation;
	client->calls[request->number] = (struct call){.active = true};
	return true;
}

static void begin_numbered(struct client *client, uint64_t number, enum fs_operation operation,
                           struct request *request)
{
	while (!try_begin(client, operation, request))
		waitq_wait(&client->slot_wait, false, DEADLINE_NEVER);
	request->data->inode = number;
}

static void begin(struct inode *inode, enum fs_operation operation, struct request *request)
{
	begin_numbered(inode->superblock->private, inode->attributes.inode, operation, request);
}

static void end(struct request *request)
{
	request->client->calls[request->number].active = false;
	ring_slot_release(&request->client->ring, request->number);
	waitq_wake_one(&request->client->slot_wait);
}

/* As far as it is an errno at all: the other side is not trusted with that. */
static int error_of(const struct fs_request *data)
{
	uint32_t error = data->error;
	return error < 4096 ? -(int)error : -EIO;
}

/* Submits and waits. 0 or -errno. */
static int run(struct request *request)
{
	struct call *call = &request->client->calls[request->number];
	if (request->client->failed)
		return -EIO;
	ring_submit(&request->client->ring, request->number);
	while (!call->done)
		waitq_wait(&call->wait, false, DEADLINE_NEVER);
	return call->abandoned ? -EIO : error_of(request->data);
}

static int run_and_end(struct request *request)
{
	int error = run(request);
	end(request);
	return error;
}

static void set_name(struct request *request, const char *name, size_t length)
{
	memcpy(request->data->data, name, length);
	request->data->name_length = (uint32_t)length;
}

static void set_target(struct request *request, const char *target, size_t length)
{
	memcpy(request->data->data + request->data->name_length, target, length);
	request->data->target_length = (uint32_t)length;
}

static void completed(struct client *client, uint32_t number)
{
	struct call *call = &client->calls[number];
	if (!call->active) { /* of a predecessor of this server */
		ring_slot_release(&client->ring, number);
		return;
	}
	struct fs_request *data = ring_slot(&client->ring, number);
	if (client->superblock != NULL) {
		client->superblock->unwritable = data->read_only != 0;
		client->superblock->read_only |= client->superblock->unwritable;
		client->superblock->blocks_free = data->blocks_free;
	}
	if (call->io == NULL) {
		call->done = true;
		waitq_wake_all(&call->wait);
		return;
	}
	struct page_io *io = call->io;
	int error = error_of(data);
	uint64_t blocks = data->attributes.blocks;
	struct request request = {client, number, data};
	end(&request);
	page_io_done(io, error, blocks);
}

/*
 * The file system crashed too often and stays away: nobody will complete what is still submitted. The slots
 * are ours again. The pages are not: what it had asked of the disk's driver may still be under way, and there
 * is nobody to tell when it has ended.
 */
static void abandon(struct client *client)
{
	client->failed = true;
	log_error("%s: the file system has failed",
	          client->superblock != NULL ? client->superblock->source : "disk");
	for (uint32_t number = 0; number < FS_SLOTS; number++) {
		struct call *call = &client->calls[number];
		if (!call->active) { /* of a predecessor of this server */
			ring_slot_release(&client->ring, number);
			continue;
		}
		if (call->done)
			continue;
		if (call->io == NULL) {
			call->abandoned = call->done = true;
			waitq_wake_all(&call->wait);
			continue;
		}
		struct page_io *io = call->io;
		struct request request = {client, number, ring_slot(&client->ring, number)};
		end(&request);
		for (unsigned i = 0; i < io->count; i++)
			page_get(io->pages[i].pfn);
		page_io_done(io, -EIO, 0);
	}
}

void remote_events(uint64_t bits)
{
	(void)bits; /* looking into an idle ring costs a load */
	for (unsigned i = 0; i < client_count; i++) {
		uint32_t number;
		while (ring_completed(&clients[i]->ring, &number))
			completed(clients[i], number);
		if (!clients[i]->failed && ring_peer_failed(&clients[i]->ring))
			abandon(clients[i]);
	}
}

bool remote_prepare_sleep(void)
{
	bool may_sleep = true;
	for (unsigned i = 0; i < client_count; i++) {
		may_sleep &= ring_prepare_sleep(&clients[i]->ring);
		may_sleep &= clients[i]->failed || !ring_peer_failed(&clients[i]->ring);
	}
	return may_sleep;
}

/* ---- inodes ---- */

/* What no file system may say: it would break what relies on it. */
static bool sane(const struct fs_attributes *attributes)
{
	uint32_t type = attributes->mode & S_IFMT;
	return attributes->inode != 0 && attributes->size <= INT64_MAX &&
	       (type == S_IFREG || type == S_IFDIR || type == S_IFLNK || type == S_IFCHR || type == S_IFBLK ||
	        type == S_IFIFO || type == S_IFSOCK);
}

static int inode_of(struct superblock *superblock, const struct fs_attributes *attributes, struct inode **out)
{
	if (!sane(attributes))
		return -EIO;
	struct inode *inode = inode_find(superblock, attributes->inode);
	if (inode != NULL) {
		*out = inode;
		return 0;
	}
	inode = inode_create(superblock);
	if (inode == NULL)
		return -ENOMEM;
	/* when memory is short that waits, and another name of the file may have been looked up */
	struct inode *other = inode_find(superblock, attributes->inode);
	if (other != NULL) {
		inode_free(inode);
		*out = other;
		return 0;
	}
	inode->attributes = *attributes;
	inode->attributes.block_size = 4096;
	uint32_t type = inode_type(inode);
	if (type == S_IFDIR) {
		inode->operations = &remote_directory_inode;
		inode->file_operations = &remote_directory_operations;
	} else if (type == S_IFLNK) {
		inode->operations = &remote_link_inode;
	} else {
		inode->operations = &remote_file_inode;
		inode->file_operations = &regular_file_operations;
	}
	if (type == S_IFREG && attributes->blocks * 512 >= attributes->size)
		inode->allocated_end = attributes->size - attributes->size % PAGE_SIZE;
	inode_hash(inode);
	*out = inode;
	return 0;
}

/* Runs a request whose reply's attributes are those of the inode that it is about. */
static int run_for_inode(struct request *request, struct superblock *superblock, struct inode **out)
{
	int error = run(request);
	struct fs_attributes attributes = request->data->attributes;
	end(request);
	return error != 0 ? error : inode_of(superblock, &attributes, out);
}

static int remote_lookup(struct inode *directory, const char *name, size_t length, struct inode **out)
{
	struct request request;
	begin(directory, FS_LOOKUP, &request);
	set_name(&request, name, length);
	return run_for_inode(&request, directory->superblock, out);
}

static void set_what(struct request *request, const struct new_inode *what)
{
	struct fs_time now = fs_now();
	struct fs_attributes *a = &request->data->attributes;
	a->mode = what->mode;
	a->uid = what->uid;
	a->gid = what->gid;
	a->rdev = what->rdev;
	a->atime = a->mtime = a->ctime = now;
	request->client->superblock->changed = true;
}

static int remote_create(struct inode *directory, const char *name, size_t length,
                         const struct new_inode *what, struct inode **out)
{
	struct request request;
	begin(directory, FS_CREATE, &request);
	set_name(&request, name, length);
	set_what(&request, what);
	return run_for_inode(&request, directory->superblock, out);
}

static int remote_symlink(struct inode *directory, const char *name, size_t length, const char *target,
                          const struct new_inode *what, struct inode **out)
{
	struct request request;
	size_t target_length = strlen(target);
	if (length + target_length > FS_SLOT_DATA)
		return -ENAMETOOLONG;
	begin(directory, FS_SYMLINK, &request);
	set_name(&request, name, length);
	set_target(&request, target, target_length);
	set_what(&request, what);
	return run_for_inode(&request, directory->superblock, out);
}

static int remote_link(struct inode *directory, const char *name, size_t length, struct inode *inode)
{
	struct request request;
	begin(directory, FS_LINK, &request);
	set_name(&request, name, length);
	request.data->other_inode = inode->attributes.inode;
	directory->superblock->changed = true;
	int error = run(&request);
	if (error == 0) {
		inode->attributes.links++;
		inode->attributes.ctime = request.data->attributes.ctime;
	}
	end(&request);
	return error;
}

static int remote_unlink(struct inode *directory, const char *name, size_t length, struct inode *inode)
{
	struct request request;
	begin(directory, FS_UNLINK, &request);
	set_name(&request, name, length);
	directory->superblock->changed = true;
	int error = run(&request);
	if (error == 0) /* a file system that came back in the middle does not know any more */
		inode->attributes.ctime =
		        request.data->attributes.inode != 0 ? request.data->attributes.ctime : fs_now();
	end(&request);
	return error;
}

static int remote_rmdir(struct inode *directory, const char *name, size_t length, struct inode *inode)
{
	struct request request;
	(void)inode;
	begin(directory, FS_RMDIR, &request);
	set_name(&request, name, length);
	directory->superblock->changed = true;
	return run_and_end(&request);
}

static int remote_rename(struct inode *from, const char *name, size_t length, struct inode *inode,
                         struct inode *to, const char *new_name, size_t new_length, struct inode *target,
                         unsigned flags)
{
	struct request request;
	(void)inode, (void)target;
	begin(from, FS_RENAME, &request);
	set_name(&request, name, length);
	set_target(&request, new_name, new_length);
	request.data->other_inode = to->attributes.inode;
	request.data->flags = flags;
	from->superblock->changed = true;
	return run_and_end(&request);
}

/* A link's target never changes: kept with the inode. */
static ssize_t remote_readlink(struct inode *inode, char *out, size_t size)
{
	char *target = inode->private;
	if (target == NULL) {
		struct request request;
		begin(inode, FS_READLINK, &request);
		int error = run(&request);
		uint32_t length = request.data->length;
		if (error == 0 && length > FS_SLOT_DATA)
			error = -EIO;
		if (error == 0 && (target = malloc(length + 1)) == NULL)
			error = -ENOMEM;
		if (error == 0) {
			memcpy(target, request.data->data, length);
			target[length] = 0;
		}
		end(&request);
		if (error != 0)
			return error;
		free(inode->private); /* another fiber may have been as far */
		inode->private = target;
	}
	size_t length = strlen(target);
	if (length > size)
		length = size;
	memcpy(out, target, length);
	return (ssize_t)length;
}

static int remote_setattr(struct inode *inode, unsigned mask, const struct fs_attributes *attributes)
{
	struct request request;
	begin(inode, FS_SETATTR, &request);
	request.data->attributes = inode->attributes;
	attributes_apply(&request.data->attributes, mask, attributes);
	request.data->mask = mask;
	inode->superblock->changed = true;
	uint32_t pending = inode->pending_attributes & mask;
	inode->pending_attributes &= ~mask;
	int error = run(&request);
	struct fs_attributes answer = request.data->attributes;
	end(&request);
	if (error != 0) {
		inode->pending_attributes |= pending;
		return error;
	}
	mask &= ~inode->pending_attributes; /* what was changed meanwhile is newer */
	attributes_apply(&inode->attributes, mask, attributes);
	/* as far as the disk can say them */
	attributes_apply(&inode->attributes,
	                 mask & (FS_SET_ATIME | FS_SET_MTIME | FS_SET_CTIME | FS_SET_FLAGS), &answer);
	inode->attributes.blocks = answer.blocks;
	return 0;
}

/* ---- directories ---- */

/* Copies what is in a directory from the file's position on. The number of bytes, or -errno. */
static int fetch_records(struct file *file, uint8_t *records)
{
	struct request request;
	begin(file->inode, FS_READDIR, &request);
	request.data->offset = file->position;
	int error = run(&request);
	uint32_t length = request.data->length;
	if (error == 0 && length > FS_SLOT_DATA)
		error = -EIO;
	if (error == 0)
		memcpy(records, request.data->data, length);
	end(&request);
	return error != 0 ? error : (int)length;
}

static int emit_records(struct file *file, struct io_buffer *buffer, const uint8_t *records, size_t length,
                        bool *full)
{
	int bytes = 0;
	for (size_t at = 0; at + sizeof(struct fs_dirent) <= length;) {
		const struct fs_dirent *record = (const void *)(records + at);
		if (record->record_size < sizeof(*record) + record->name_length ||
		    record->record_size % 8 != 0 || at + record->record_size > length)
			return -EIO;
		int size = dirent_emit(buffer, record->inode, record->next_offset, record->type, record->name,
		                       record->name_length);
		if (size == -ENOSPC) {
			*full = true;
			return bytes;
		}
		if (size < 0)
			return size;
		bytes += size;
		file->position = record->next_offset;
		at += record->record_size;
	}
	return bytes;
}

/* User memory is touched without a slot: its pages may have to come from the disk, which takes another. */
static int remote_readdir(struct file *file, struct io_buffer *buffer)
{
	uint8_t *records = malloc(FS_SLOT_DATA);
	int total = 0;
	bool full = false;
	if (records == NULL)
		return -ENOMEM;
	while (!full) {
		int length = fetch_records(file, records);
		int bytes = length > 0 ? emit_records(file, buffer, records, (size_t)length, &full) : length;
		if (bytes < 0 && total == 0)
			total = bytes;
		if (bytes <= 0)
			break;
		total += bytes;
	}
	free(records);
	return total == 0 && full ? -EINVAL : total;
}

static int64_t directory_seek(struct file *file, int64_t offset, int whence)
{
	return seek_in(file, offset, whence, INT64_MAX);
}

/* ---- the file system as a whole ---- */

static int remote_statfs(struct superblock *superblock, struct fs_statfs *out)
{
	struct request request;
	begin(superblock->root, FS_STATFS, &request);
	int error = run(&request);
	*out = request.data->statfs;
	end(&request);
	return error;
}

static int remote_io_start(struct page_io *io, bool may_wait)
{
	struct superblock *superblock = io->inode->superblock;
	struct client *client = superblock->private;
	struct request request;
	enum fs_operation operation = io->write ? FS_WRITE_PAGES : FS_READ_PAGES;
	while (!try_begin(client, operation, &request)) {
		if (!may_wait || fiber_current() == NULL)
			return -EAGAIN;
		waitq_wait(&client->slot_wait, false, DEADLINE_NEVER);
	}
	if (client->failed) {
		end(&request);
		return -EIO;
	}
	request.data->inode = io->inode->attributes.inode;
	request.data->count = io->count;
	request.data->attributes.size = io->size;
	struct fs_page *pages = (void *)request.data->data;
	for (unsigned i = 0; i < io->count; i++) {
		pages[i].page = io->pages[i].index;
		page_pool(io->pages[i].pfn, &pages[i].pool, &pages[i].offset);
	}
	superblock->changed |= io->write;
	client->calls[request.number].io = io;
	vfs_stir();
	ring_submit(&client->ring, request.number);
	return 0;
}

static int remote_fsync(struct superblock *superblock, struct inode *inode)
{
	struct request request;
	begin(inode != NULL ? inode : superblock->root, inode != NULL ? FS_FSYNC : FS_SYNC, &request);
	return run_and_end(&request);
}

static int remote_punch(struct inode *inode, uint64_t offset, uint64_t length)
{
	struct request request;
	begin(inode, FS_PUNCH, &request);
	request.data->offset = offset;
	request.data->attributes.size = length;
	inode->superblock->changed = true;
	int error = run(&request);
	if (error == 0)
		inode->attributes.blocks = request.data->attributes.blocks;
	end(&request);
	return error;
}

static int remote_seek(struct inode *inode, bool hole, uint64_t *offset)
{
	struct request request;
	begin(inode, FS_SEEK, &request);
	request.data->offset = *offset;
	request.data->flags = hole ? FS_SEEK_HOLE : 0;
	int error = run(&request);
	if (error == 0 && request.data->offset >= *offset)
		*offset = request.data->offset;
	end(&request);
	return error;
}

static int remote_unmount(struct superblock *superblock)
{
	struct client *client = superblock->private;
	struct request request;
	begin(superblock->root, FS_UNMOUNT, &request);
	client->unmounted = true;
	int error = run_and_end(&request);
	client->superblock = NULL;
	return error;
}

static int remote_keep(struct inode *inode, bool keep)
{
	struct request request;
	begin(inode, keep ? FS_OPEN : FS_CLOSE, &request);
	return run_and_end(&request);
}

static void remote_evict(struct inode *inode)
{
	free(inode->private);
}

/* A directory that has changed: how large it is now, and the times that are on the disk. */
static int remote_refresh(struct inode *directory)
{
	struct request request;
	if (!(directory->flags & INODE_STALE) || directory->attributes.links == 0)
		return 0;
	directory->flags &= ~(uint32_t)INODE_STALE; /* whoever changes it from here on says so again */
	begin(directory, FS_GETATTR, &request);
	if (directory->attributes.links == 0) { /* removed meanwhile */
		end(&request);
		return 0;
	}
	int error = run(&request);
	if (error == 0) {
		directory->attributes.size = request.data->attributes.size;
		directory->attributes.blocks = request.data->attributes.blocks;
		directory->attributes.mtime = request.data->attributes.mtime;
		directory->attributes.ctime = request.data->attributes.ctime;
	}
	end(&request);
	return error;
}

/* What is so anyway; the flags of mount(2) are not among them. */
static int remote_remount(struct superblock *superblock, const char *options)
{
	static const char *const known[] = {"errors=remount-ro", "bsddf", "nogrpid", "sysvgroups",
	                                    "nouser_xattr",      "noacl", "noquota"};
	(void)superblock;
	while (*options != 0) {
		size_t length = strcspn(options, ","), i = 0;
		while (i < sizeof(known) / sizeof(known[0]) &&
		       (strlen(known[i]) != length || memcmp(known[i], options, length) != 0))
			i++;
		if (length > 0 && i == sizeof(known) / sizeof(known[0]))
			return -EINVAL;
		options += length;
		options += *options == ',';
	}
	return 0;
}

static const struct inode_operations remote_file_inode = {
        .setattr = remote_setattr,
};

static const struct inode_operations remote_link_inode = {
        .setattr = remote_setattr,
        .readlink = remote_readlink,
};

static const struct inode_operations remote_directory_inode = {
        .lookup = remote_lookup,
        .create = remote_create,
        .symlink = remote_symlink,
        .link = remote_link,
        .unlink = remote_unlink,
        .rmdir = remote_rmdir,
        .rename = remote_rename,
        .setattr = remote_setattr,
        .refresh = remote_refresh,
};

static const struct file_operations remote_directory_operations = {
        .readdir = remote_readdir,
        .seek = directory_seek,
        .fsync = file_fsync,
};

static const struct superblock_operations remote_operations = {
        .statfs = remote_statfs,
        .io_start = remote_io_start,
        .fsync = remote_fsync,
        .punch = remote_punch,
        .seek = remote_seek,
        .unmount = remote_unmount,
        .evict = remote_evict,
        .keep = remote_keep,
        .remount = remote_remount,
};

static bool is_quiet(struct client *client)
{
	for (uint32_t number = 0; number < FS_SLOTS; number++)
		if (ring_slot_state(&client->ring, number) != RING_SLOT_FREE)
			return false;
	return true;
}

static bool all_quiet(void)
{
	for (unsigned i = 0; i < client_count; i++)
		if (!is_quiet(clients[i]))
			return false;
	return true;
}

static struct client *client_create(const struct startup_entry *entry)
{
	struct client *client = calloc(1, sizeof(*client));
	if (client == NULL || !ring_client_attach(&client->ring, entry, FS_SLOTS, FS_SLOT_SIZE))
		fatal("no room for the channel of file system %u", client_count);
	return client;
}

/* A file system that dies meanwhile serves the requests when it is back, or is given up. */
void remote_attach(void)
{
	cptr_t events = startup_need("events", STARTUP_NOTIFICATION, 0)->slot;
	const struct startup_entry *entry;
	uint64_t bits;
	while (client_count < FS_CHANNELS_MAX &&
	       (entry = startup_find("fs", STARTUP_CHANNEL, client_count)) != NULL) {
		clients[client_count] = client_create(entry);
		client_count++;
	}
	for (remote_events(0); !all_quiet(); remote_events(0))
		if (remote_prepare_sleep())
			notification_wait(events, &bits, DEADLINE_NEVER);
}

/* What a predecessor had open. If that fails it takes up room until the file system is unmounted. */
static void close_all(struct client *client)
{
	struct request request;
	begin_numbered(client, 0, FS_CLOSE_ALL, &request);
	run_and_end(&request);
}

static int root_inode(struct superblock *superblock, struct client *client, struct inode **out)
{
	struct request request;
	begin_numbered(client, FS_ROOT_INODE, FS_GETATTR, &request);
	return run_for_inode(&request, superblock, out);
}

int remote_mount(unsigned channel, struct superblock **out)
{
	if (channel >= client_count)
		return -ENODEV;
	struct client *client = clients[channel];
	if (client->superblock != NULL || client->unmounted)
		return -EBUSY;
	struct superblock *superblock = calloc(1, sizeof(*superblock));
	if (superblock == NULL)
		return -ENOMEM;
	superblock->operations = &remote_operations;
	superblock->private = client;
	superblock->type = "ext2";
	superblock->device = linux_device(254, channel * 16);
	snprintf(superblock->source, sizeof(superblock->source), "/dev/vd%c", 'a' + (int)channel);
	client->superblock = superblock;
	if (startup()->generation > 0)
		close_all(client);
	int error = root_inode(superblock, client, &superblock->root);
	struct fs_statfs fs;
	if (error == 0)
		error = remote_statfs(superblock, &fs);
	if (error != 0) {
		log_error("file system %u: %s", channel, error_name(error));
		client->superblock = NULL;
		superblock_end(superblock);
		return error;
	}
	superblock->block_size = fs.block_size;
	*out = superblock;
	return 0;
}
