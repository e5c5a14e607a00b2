/* SPDX-License-Identifier: MIT */
/* Mount, unmount, sync: the superblock and the life of a mounted file system. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pith/log.h>

#include "ext2.h"

#define INCOMPAT_KNOWN (EXT2_INCOMPAT_FILETYPE | EXT2_INCOMPAT_META_BG)
#define RO_KNOWN       (EXT2_RO_SPARSE_SUPER | EXT2_RO_LARGE_FILE)
#define MAGIC_STATFS   0xef53

static int refuse(int error, const char *why)
{
	log_error("not mounted: %s", why);
	return error;
}

void super_dirty(struct filesystem *fs)
{
	buffer_dirty(&fs->cache, fs->super_buffer, BUFFER_SUPER);
}

int filesystem_error(struct filesystem *fs, const char *format, ...)
{
	char text[160];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	/* A broken disk can give the same error for ever: the log is not its victim. */
	if (fs->error_count++ < 20)
		log_error("corrupt: %s", text);
	if (fs->mounted && !fs->failed) {
		if (!fs->read_only)
			log_error("read-only from now on; run e2fsck");
		fs->failed = true;
		fs->cache.header->failed = 1;
		if (!fs->device->read_only && !fs->read_only) {
			fs->super->state |= EXT2_STATE_ERRORS;
			super_dirty(fs);
		}
		fs->read_only = true;
	}
	return EUCLEAN;
}

/* ---- the superblock ---- */

static int super_read(struct filesystem *fs, const struct mount_options *options, struct ext2_superblock *out)
{
	struct cache_header *header = options->pool;
	struct io_batch batch;
	int error;

	if (options->pool_size < sizeof(*header))
		return refuse(ENOMEM, "the pool for metadata is too small");
	io_begin(&batch, fs->device);
	io_add(&batch, BLOCK_READ, EXT2_SUPER_OFFSET / BLOCK_SECTOR, 0,
	       offsetof(struct cache_header, scratch), sizeof(*out));
	error = io_finish(&batch);
	if (error)
		return refuse(error, "the superblock cannot be read");
	memcpy(out, header->scratch, sizeof(*out));
	return 0;
}

static int super_check_features(const struct ext2_superblock *super, bool *read_only)
{
	if (super->magic != EXT2_MAGIC)
		return refuse(EINVAL, "no ext2 superblock");
	if (super->revision > 1)
		return refuse(EINVAL, "a revision of ext2 that is not known");
	if (super->revision == 0)
		return 0;
	if (super->incompatible & ~INCOMPAT_KNOWN) {
		log_error("not mounted: incompatible features %#x", super->incompatible & ~INCOMPAT_KNOWN);
		return EINVAL;
	}
	/* Compatible features need no knowledge: a journal is left alone (one that must be replayed is an
	 * incompatible feature). But a file of orphans has a link and no name, as if it had lost one. */
	if (super->compatible & EXT2_COMPAT_ORPHAN_FILE) {
		log_warning("a file of orphans is not known: read-only");
		*read_only = true;
	}
	if (super->ro_compatible & ~RO_KNOWN) {
		log_warning("features %#x are not known: read-only", super->ro_compatible & ~RO_KNOWN);
		*read_only = true;
	}
	return 0;
}

static int super_check_geometry(struct filesystem *fs, const struct ext2_superblock *super)
{
	uint64_t sectors;

	if (super->log_block_size > 2 && super->log_block_size <= 6)
		return refuse(EINVAL, "blocks of more than 4 KiB");
	if (super->log_block_size > 6)
		return refuse(EUCLEAN, "impossible block size in the superblock");
	fs->block_bits = 10 + super->log_block_size;
	fs->block_size = 1u << fs->block_bits;
	fs->pointers = fs->block_size / 4;
	fs->inode_size = super->revision ? super->inode_size : EXT2_INODE_SIZE_MIN;
	fs->first_inode = super->revision ? super->first_inode : EXT2_FIRST_INODE;
	if (fs->inode_size < EXT2_INODE_SIZE_MIN || fs->inode_size > fs->block_size ||
	    fs->inode_size & (fs->inode_size - 1))
		return refuse(EUCLEAN, "impossible inode size in the superblock");
	if (super->first_data_block != (fs->block_size == 1024))
		return refuse(EUCLEAN, "impossible first data block in the superblock");
	if (super->blocks_per_group < 256 || super->blocks_per_group > fs->block_size * 8 ||
	    super->blocks_per_group % 8)
		return refuse(EUCLEAN, "impossible number of blocks per group in the superblock");
	if (!super->inodes_per_group || super->inodes_per_group > fs->block_size * 8 ||
	    super->inodes_per_group % (fs->block_size / fs->inode_size))
		return refuse(EUCLEAN, "impossible number of inodes per group in the superblock");
	if (super->blocks_count <= super->first_data_block + 8)
		return refuse(EUCLEAN, "impossible number of blocks in the superblock");
	sectors = (uint64_t)super->blocks_count << (fs->block_bits - 9);
	if (sectors > fs->device->sectors) {
		log_error("not mounted: the file system is larger (%llu sectors) than the disk (%llu)",
		          (unsigned long long)sectors, (unsigned long long)fs->device->sectors);
		return EUCLEAN;
	}
	fs->blocks_count = super->blocks_count;
	fs->inodes_count = super->inodes_count;
	fs->first_data_block = super->first_data_block;
	fs->blocks_per_group = super->blocks_per_group;
	fs->inodes_per_group = super->inodes_per_group;
	fs->group_count =
	        (fs->blocks_count - fs->first_data_block + fs->blocks_per_group - 1) / fs->blocks_per_group;
	if ((uint64_t)fs->group_count * fs->inodes_per_group != fs->inodes_count ||
	    fs->first_inode < EXT2_FIRST_INODE || fs->first_inode > fs->inodes_per_group)
		return refuse(EUCLEAN, "impossible number of inodes in the superblock");
	if (super->reserved_blocks > fs->blocks_count)
		return refuse(EUCLEAN, "impossible number of reserved blocks in the superblock");
	fs->table_blocks = fs->inodes_per_group / (fs->block_size / fs->inode_size);
	fs->descriptor_blocks =
	        (uint32_t)((fs->group_count * sizeof(struct ext2_group) + fs->block_size - 1) /
	                   fs->block_size);
	fs->first_meta_group = fs->descriptor_blocks;
	if (super->revision && super->incompatible & EXT2_INCOMPAT_META_BG &&
	    super->first_meta_group < fs->descriptor_blocks)
		fs->first_meta_group = super->first_meta_group;
	if (super->revision && super->compatible & EXT2_COMPAT_RESIZE_INODE)
		fs->reserved_descriptor_blocks = super->reserved_descriptor_blocks;
	if (super->revision && super->compatible & EXT2_COMPAT_SPARSE_SUPER2) {
		fs->two_backups = true;
		memcpy(fs->backup_groups, super->backup_groups, sizeof(fs->backup_groups));
	}
	if (fs->first_meta_group + fs->reserved_descriptor_blocks >= fs->blocks_per_group)
		return refuse(EUCLEAN, "impossible number of descriptor blocks in the superblock");
	return 0;
}

/* Limits of triple indirection and of the 32-bit count of 512-byte units (which indirect blocks use too). */
static void set_size_max(struct filesystem *fs)
{
	uint64_t n = fs->pointers, blocks = EXT2_DIRECT + n + n * n + n * n * n;
	uint64_t sectors_limit = 0xffffffffull >> (fs->block_bits - 9);
	uint64_t indirect = 2 + n + sectors_limit / n + 1;

	if (blocks > sectors_limit - indirect)
		blocks = sectors_limit - indirect;
	fs->size_max = blocks << fs->block_bits;
}

/* Holds the superblock's and the descriptors' buffers for as long as the file system is mounted. */
static int load_descriptors(struct filesystem *fs)
{
	uint32_t super_block = fs->block_size == 1024 ? 1 : 0;
	struct buffer **buffers;
	int error;

	if (fs->descriptor_blocks + 32 > fs->cache.count)
		return refuse(ENOMEM, "the pool is too small for so large a file system");
	error = buffer_get(&fs->cache, super_block, &fs->super_buffer);
	if (error)
		return refuse(error, "the superblock cannot be read");
	fs->super =
	        (struct ext2_superblock *)(fs->super_buffer->data + (super_block ? 0 : EXT2_SUPER_OFFSET));
	buffers = calloc(fs->descriptor_blocks, sizeof(*buffers));
	if (!buffers)
		return ENOMEM;
	for (uint32_t i = 0; i < fs->descriptor_blocks; i++) {
		error = buffer_get(&fs->cache, group_descriptor_block(fs, i), &buffers[i]);
		if (error) {
			free(buffers);
			return refuse(error, "the block group descriptors cannot be read");
		}
	}
	fs->descriptor_buffers = buffers;
	return groups_check(fs);
}

static void count_free(struct filesystem *fs)
{
	fs->free_blocks = fs->free_inodes = 0;
	for (uint32_t group = 0; group < fs->group_count; group++) {
		fs->free_blocks += group_descriptor(fs, group)->free_blocks;
		fs->free_inodes += group_descriptor(fs, group)->free_inodes;
	}
}

static void super_update_counts(struct filesystem *fs)
{
	if (fs->super->free_blocks == fs->free_blocks && fs->super->free_inodes == fs->free_inodes)
		return;
	fs->super->free_blocks = (uint32_t)fs->free_blocks;
	fs->super->free_inodes = (uint32_t)fs->free_inodes;
	super_dirty(fs);
}

static void super_stamp(struct filesystem *fs)
{
	fs->super->write_time = (uint32_t)environment_now().seconds;
	super_dirty(fs);
}

/* ---- mount ---- */

static void release_all(struct filesystem *fs)
{
	indexes_free(fs);
	pending_free(fs);
	free(fs->descriptor_buffers);
	fs->descriptor_buffers = NULL;
	cache_destroy(&fs->cache);
}

/* From here on the disk says that it is in use; it is repaired enough first that nothing gets worse. */
static int begin_writing(struct filesystem *fs, bool recover)
{
	bool killed = !fs->cache.header->cut_off;
	int error;

	fs->super->state &= (uint16_t)~EXT2_STATE_CLEAN;
	fs->super->mount_count++;
	fs->super->mount_time = (uint32_t)environment_now().seconds;
	super_stamp(fs);
	error = cache_commit(&fs->cache);
	if (error)
		return refuse(error, "the superblock cannot be written");
	if (recover) {
		log_warning(
		        killed ? "the predecessor was killed in the middle of a change: checking everything"
		               : "was not unmounted cleanly: checking bitmaps and names");
		error = disk_recover(fs, killed);
		if (error)
			return error;
		count_free(fs);
	}
	return 0;
}

/* Without a root nobody can use anything. */
static int root_check(struct filesystem *fs)
{
	struct inode *root;
	int error = inode_get(fs, EXT2_ROOT_INODE, INODE_LIVE, &root);

	if (!error) {
		error = inode_type(root) == 0x4000 ? 0 : EUCLEAN;
		inode_put(fs, root);
	}
	if (error == EUCLEAN || error == ESTALE)
		return refuse(EUCLEAN, "corrupt: the root directory is none");
	return error;
}

static int load(struct filesystem *fs, const struct mount_options *options,
                const struct ext2_superblock *super)
{
	bool recover = options->restarted &&
	               cache_recoverable(options->pool, options->pool_size, fs->block_size, super->uuid);
	int error = cache_init(&fs->cache, options->device, options->pool, options->pool_size, fs->block_size,
	                       fs->blocks_count);

	if (error)
		return refuse(error, "the pool for metadata is too small");
	fs->cache.inode_size = fs->inode_size;
	if (recover)
		log_info("restarted: %u blocks of the predecessor recovered", cache_recover(&fs->cache));
	fs->inherited = recover;
	if (!recover) {
		memset(fs->cache.header->changes, 0, sizeof(fs->cache.header->changes));
		memset(fs->cache.header->opens, 0, sizeof(fs->cache.header->opens));
		fs->cache.header->drop_count = 0;
		fs->cache.header->opens_unknown = options->restarted;
		/* Whoever dies before he knows what the disk lost leaves it to his successor. */
		fs->cache.header->was_clean = 0;
		fs->cache.header->changing = fs->cache.header->cut_off = 1;
		fs->cache.header->failed = fs->cache.header->lost = 0;
	}
	fs->metadata_lost = fs->cache.header->lost;
	if (fs->metadata_lost || fs->cache.header->failed) {
		log_warning("the predecessor could not go on: read-only; run e2fsck");
		fs->failed = fs->read_only = true;
	}
	fs->opens_unknown = fs->cache.header->opens_unknown;
	cache_mark_mounted(&fs->cache, super->uuid);
	error = pending_init(fs);
	if (!error)
		error = load_descriptors(fs);
	return error ? error : root_check(fs);
}

int filesystem_mount(struct filesystem *fs, const struct mount_options *options)
{
	struct ext2_superblock super;
	struct pool pools[POOLS_MAX];
	struct cache_header *header;
	bool clean, whole;
	int error;

	memcpy(pools, fs->pools, sizeof(pools));
	memset(fs, 0, sizeof(*fs));
	memcpy(fs->pools, pools, sizeof(pools));
	fs->device = options->device;
	fs->read_only = options->read_only || options->device->read_only;
	error = super_read(fs, options, &super);
	if (!error)
		error = super_check_features(&super, &fs->read_only);
	if (!error)
		error = super_check_geometry(fs, &super);
	if (error)
		return error;
	fs->filetype = super.revision && super.incompatible & EXT2_INCOMPAT_FILETYPE;
	fs->sparse_super = super.revision && super.ro_compatible & EXT2_RO_SPARSE_SUPER;
	error = load(fs, options, &super);
	if (error) {
		release_all(fs);
		return error;
	}
	set_size_max(fs);
	count_free(fs);
	fs->generation = (uint32_t)environment_now().seconds ^ (uint32_t)environment_now().nanoseconds;
	/* A predecessor that died between two requests has lost nothing: what it knew is in the pool. But of
	 * links that it was to subtract it is not known whether the disk, or a block of it in the pool, has
	 * them. */
	clean = (fs->super->state & (EXT2_STATE_CLEAN | EXT2_STATE_ERRORS)) == EXT2_STATE_CLEAN;
	header = fs->cache.header;
	whole = clean || (fs->inherited && !header->changing && !header->drop_count);
	fs->was_clean = clean || (fs->inherited && header->was_clean);
	header->was_clean = fs->was_clean;
	if (clean)
		header->cut_off = 0;
	/* Whoever dies now leaves it to his successor to recover once more. */
	header->changing = 1;
	if (fs->super->state & EXT2_STATE_ERRORS)
		log_warning("has errors: run e2fsck");
	if (!fs->read_only)
		error = begin_writing(fs, !whole);
	fs->mounted = !error;
	if (!error && fs->metadata_lost)
		filesystem_error(fs, METADATA_LOST);
	if (!error)
		error = opens_restore(fs);
	if (!error)
		error = drops_restore(fs);
	if (!error && !fs->read_only)
		error = orphans_recover(fs);
	if (!error && !fs->read_only)
		error = drops_apply(fs);
	if (!error && !fs->read_only)
		parks_init(fs);
	if (error) {
		fs->mounted = false;
		release_all(fs);
		return error;
	}
	header->was_clean = fs->was_clean;
	header->cut_off = 0;
	header->changing = 0;
	log_info("mounted%s: %u blocks of %u bytes, %llu free, %u inodes, %llu free",
	         fs->read_only ? " read-only" : "", fs->blocks_count, fs->block_size,
	         (unsigned long long)fs->free_blocks, fs->inodes_count, (unsigned long long)fs->free_inodes);
	return 0;
}

static int commit(struct filesystem *fs)
{
	super_update_counts(fs);
	return cache_commit(&fs->cache);
}

int filesystem_sync(struct filesystem *fs)
{
	int error;

	if (fs->read_only && !fs->failed)
		return 0;
	error = commit(fs);
	/* What this finds wrong is not the caller's. */
	if (!fs->read_only)
		drops_apply(fs);
	return fs->metadata_lost ? EIO : error;
}

bool filesystem_reclaim(struct filesystem *fs)
{
	if (!fs->pending_groups[0] && !fs->pending_groups[1] && !fs->cache.header->drop_count)
		return false;
	filesystem_sync(fs);
	if (fs->pending_groups[0] || fs->pending_groups[1])
		commit(fs);
	return !fs->read_only;
}

int filesystem_unmount(struct filesystem *fs)
{
	int error = 0, last;

	if (!fs->mounted)
		return 0;
	last = filesystem_sync(fs);
	if (!fs->read_only)
		error = orphans_free_all(fs);
	error = error ? error : last;
	last = filesystem_sync(fs);
	error = error ? error : last;
	/* What was not clean before stays so: leaks and lost names are e2fsck's, and so are links of inodes
	 * that cannot be read. */
	if (fs->cache.header->drop_count)
		fs->was_clean = false;
	if (!fs->read_only && !error) {
		if (fs->was_clean)
			fs->super->state |= EXT2_STATE_CLEAN;
		super_stamp(fs);
		error = commit(fs);
	}
	fs->mounted = false;
	fs->read_only = true;
	if (!error)
		cache_mark_unmounted(&fs->cache);
	log_info(error ? "unmounted, with errors" : "unmounted");
	return error;
}

static uint64_t overhead_blocks(struct filesystem *fs)
{
	uint64_t overhead = fs->first_data_block;

	for (uint32_t group = 0; group < fs->group_count; group++) {
		uint32_t super = group_super_blocks(fs, group);

		overhead += (super ? super - fs->reserved_descriptor_blocks : 0) + 2 + fs->table_blocks;
	}
	return overhead;
}

uint64_t filesystem_free_blocks(const struct filesystem *fs)
{
	return fs->free_blocks + fs->dropped_blocks;
}

void filesystem_statfs(struct filesystem *fs, struct fs_statfs *out)
{
	uint32_t reserved = fs->super->reserved_blocks;
	uint64_t free = filesystem_free_blocks(fs);

	*out = (struct fs_statfs){
	        .block_size = fs->block_size,
	        .blocks = fs->blocks_count - overhead_blocks(fs),
	        .blocks_free = free,
	        .blocks_available = free > reserved ? free - reserved : 0,
	        .files = fs->inodes_count,
	        .files_free = fs->free_inodes + fs->dropped_inodes,
	        .name_max = EXT2_NAME_MAX,
	        .magic = MAGIC_STATFS,
	        .read_only = fs->read_only,
	};
	memcpy(out->uuid, fs->super->uuid, sizeof(out->uuid));
}
