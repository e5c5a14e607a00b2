/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <pith/log.h>

#include "machine.h"

const char *work_folder;
bool log_quiet = true;
unsigned log_errors;

void log_write(enum log_level level, const char *format, ...)
{
	va_list arguments;

	log_errors += level == LOG_ERROR;
	if (log_quiet)
		return;
	va_start(arguments, format);
	printf("  log: ");
	vprintf(format, arguments);
	printf("\n");
	va_end(arguments);
}

void fatal(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vprintf(format, arguments);
	printf("\n");
	va_end(arguments);
	abort();
}

/* Moves on with every look, so that nothing depends on real time and every request has a time of its own. */
struct fs_time environment_now(void)
{
	static uint64_t ticks;

	ticks += 1000;
	return (struct fs_time){.seconds = 1790000000 + (int64_t)(ticks / 1000000000),
	                        .nanoseconds = (uint32_t)(ticks % 1000000000)};
}

uint64_t random_next(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* ---- the disk ---- */

static struct block_request *take(struct device *device, uint32_t *number)
{
	struct machine *machine = (struct machine *)device;

	for (uint32_t i = 0; i < MACHINE_SLOTS; i++) {
		if (machine->taken[i])
			continue;
		machine->taken[i] = true;
		*number = i;
		return &machine->slots[i];
	}
	return NULL;
}

static void submit(struct device *device, uint32_t number)
{
	struct machine *machine = (struct machine *)device;

	machine->submitted[number] = true;
	machine->flush_reach[number] = machine->cached_count;
	machine->requests++;
}

static uint8_t *segment_address(struct machine *machine, const struct block_segment *segment)
{
	uint64_t size = segment->pool == 0   ? machine->pool0_size
	                : segment->pool == 1 ? POOL_PAGES * PAGE_SIZE
	                                     : 0;

	if (segment->length % BLOCK_SECTOR || !segment->length || segment->offset > size ||
	    segment->length > size - segment->offset)
		fatal("segment outside of its pool: pool %u offset %lu length %u", segment->pool,
		      segment->offset, segment->length);
	return (segment->pool == 0 ? machine->pool0 : machine->pool1) + segment->offset;
}

/* ---- a disk with a cache ---- */

static void cache_write(struct machine *machine, uint64_t position, const uint8_t *data, uint32_t length)
{
	for (uint32_t done = 0; done < length; done += machine->fs.block_size) {
		struct cached_write *write;

		if (machine->cached_count == machine->cached_room) {
			machine->cached_room = machine->cached_room * 2 + 64;
			machine->cached =
			        realloc(machine->cached, machine->cached_room * sizeof(*machine->cached));
		}
		write = &machine->cached[machine->cached_count++];
		write->position = position + done;
		write->epoch = machine->flushes;
		memcpy(write->data, data + done, machine->fs.block_size);
	}
}

/* The first `reach` cached writes are on stable storage. */
static void cache_flush(struct machine *machine, uint32_t reach)
{
	if (!reach)
		return;
	for (uint32_t i = 0; i < reach; i++)
		memcpy(machine->stable + machine->cached[i].position, machine->cached[i].data,
		       machine->fs.block_size);
	machine->cached_count -= reach;
	memmove(machine->cached, machine->cached + reach, machine->cached_count * sizeof(*machine->cached));
	for (uint32_t i = 0; i < MACHINE_SLOTS; i++)
		machine->flush_reach[i] -= machine->flush_reach[i] < reach ? machine->flush_reach[i] : reach;
}

/* Of the cached writes some are lost, and the last one that arrives at a place stays there. */
static void power_cut(struct machine *machine)
{
	uint32_t lost = random_below(&machine->random, 5), count = machine->cached_count;

	machine->cut = malloc(machine->size);
	memcpy(machine->cut, machine->stable, machine->size);
	for (uint32_t i = 0; i < count; i++) {
		uint32_t other = i + random_below(&machine->random, count - i);
		struct cached_write write = machine->cached[other];

		machine->cached[other] = machine->cached[i];
		machine->cached[i] = write;
		if (random_below(&machine->random, 4) >= lost)
			memcpy(machine->cut + write.position, write.data, machine->fs.block_size);
	}
}

void machine_cache_writes(struct machine *machine, uint64_t cut_in)
{
	machine->stable = malloc(machine->size);
	memcpy(machine->stable, machine->disk, machine->size);
	machine->cut_in = cut_in;
}

void machine_power_on(struct machine *machine)
{
	memcpy(machine->disk, machine->cut ? machine->cut : machine->stable, machine->size);
	free(machine->stable);
	free(machine->cut);
	machine->stable = machine->cut = NULL;
	machine->cached_count = 0;
}

static void transfer(struct machine *machine, struct block_request *request)
{
	uint64_t position = request->sector * BLOCK_SECTOR;
	bool lost = false;

	if (request->operation == BLOCK_WRITE) {
		machine->writes++;
		lost = !machine->writes_left;
		machine->writes_left -= !lost;
	} else {
		machine->reads++;
	}
	if (!request->segment_count || request->segment_count > BLOCK_SEGMENTS_MAX)
		fatal("request with %u segments", request->segment_count);
	for (uint32_t i = 0; i < request->segment_count; i++) {
		struct block_segment *segment = &request->segments[i];
		uint8_t *memory = segment_address(machine, segment);

		if (position > machine->size || segment->length > machine->size - position) {
			request->status = BLOCK_ERROR_RANGE;
			return;
		}
		if (request->operation == BLOCK_READ)
			memcpy(memory, machine->disk + position, segment->length);
		else if (!lost)
			memcpy(machine->disk + position, memory, segment->length);
		if (request->operation == BLOCK_WRITE && machine->stable)
			cache_write(machine, position, memory, segment->length);
		position += segment->length;
		machine->bytes += segment->length;
	}
}

/* ---- a file system that is killed ---- */

static struct machine *victim;
static uint64_t blocks_left;

/* The driver lives on: what was submitted is written. */
static void submitted_write(struct machine *machine, const struct block_request *request)
{
	uint64_t position = request->sector * BLOCK_SECTOR;

	for (uint32_t i = 0; i < request->segment_count; i++) {
		memcpy(machine->left_disk + position, segment_address(machine, &request->segments[i]),
		       request->segments[i].length);
		position += request->segments[i].length;
	}
}

static void die(struct machine *machine)
{
	machine->left_pool0 = malloc(machine->pool0_size);
	memcpy(machine->left_pool0, machine->pool0, machine->pool0_size);
	machine->left_disk = malloc(machine->size);
	memcpy(machine->left_disk, machine->disk, machine->size);
	for (uint32_t i = 0; i < MACHINE_SLOTS; i++)
		if (machine->submitted[i] && machine->slots[i].operation == BLOCK_WRITE)
			submitted_write(machine, &machine->slots[i]);
	victim = NULL;
}

void machine_lives(void)
{
	if (victim && fiber_current() && !--blocks_left)
		die(victim);
}

void machine_kill_in(struct machine *machine, uint64_t blocks)
{
	victim = machine;
	blocks_left = blocks;
}

static void take_over(struct machine *machine)
{
	memcpy(machine->pool0, machine->left_pool0, machine->pool0_size);
	memcpy(machine->disk, machine->left_disk, machine->size);
	free(machine->left_pool0);
	free(machine->left_disk);
	machine->left_pool0 = machine->left_disk = NULL;
}

void machine_revived(struct machine *machine)
{
	wait_queue_wake_all(&machine->bereft, 0);
}

static bool fails(struct machine *machine, uint32_t one_in)
{
	return one_in && !random_below(&machine->random, one_in);
}

static void complete(struct machine *machine, uint32_t number)
{
	struct block_request *request = &machine->slots[number];

	if (machine->stable && machine->cut_in && !--machine->cut_in)
		power_cut(machine);

	request->status = BLOCK_OK;
	if (request->operation == BLOCK_INFO) {
		request->sectors = machine->size / BLOCK_SECTOR;
		request->read_only = 0;
	} else if (request->operation == BLOCK_FLUSH &&
	           ((machine->fail_flush_in && !--machine->fail_flush_in) ||
	            fails(machine, machine->fail_flushes))) {
		request->status = BLOCK_ERROR_IO;
	} else if (request->operation == BLOCK_FLUSH) {
		machine->flushes++;
		if (machine->stable && !machine->ignore_flushes)
			cache_flush(machine, machine->flush_reach[number]);
	} else if (fails(machine,
	                 request->operation == BLOCK_WRITE ? machine->fail_writes : machine->fail_reads)) {
		request->status = BLOCK_ERROR_IO;
	} else {
		transfer(machine, request);
	}
	machine->submitted[number] = false;
	machine->taken[number] = false;
	device_completed(&machine->device, number, request->status);
	device_slot_free(&machine->device);
}

/* One of the requests under way, by chance. */
static bool complete_one(struct machine *machine)
{
	uint32_t ready[MACHINE_SLOTS], count = 0;

	for (uint32_t i = 0; i < MACHINE_SLOTS; i++)
		if (machine->submitted[i] &&
		    !(machine->slow_reads && machine->slots[i].operation == BLOCK_READ))
			ready[count++] = i;
	for (uint32_t i = 0; i < MACHINE_SLOTS && !count; i++)
		if (machine->submitted[i])
			ready[count++] = i;
	if (!count)
		return false;
	complete(machine, ready[random_below(&machine->random, count)]);
	return true;
}

static unsigned fibers_total;

bool machine_drain(struct machine *machine)
{
	do
		fiber_run_all();
	while (complete_one(machine));
	return fiber_pool_free() == fibers_total;
}

bool machine_run(struct machine *machine, fiber_function *function, void *argument)
{
	if (!fiber_start(function, argument))
		fatal("no fiber");
	return machine_drain(machine);
}

/* ---- images ---- */

static void machine_reset(struct machine *machine, uint64_t size)
{
	*machine = (struct machine){.disk = machine->disk,
	                            .pool0 = machine->pool0,
	                            .pool0_size = machine->pool0_size,
	                            .pool1 = machine->pool1};
	machine->device.take = take;
	machine->device.submit = submit;
	machine->device.sectors = size / BLOCK_SECTOR;
	machine->size = size;
	machine->random = 88172645463325252ull;
	machine->writes_left = UINT64_MAX;
}

void machine_init(struct machine *machine, uint64_t size, uint64_t pool0_size)
{
	machine->disk = calloc(1, size);
	machine->pool0_size = pool0_size;
	machine->pool0 = aligned_alloc(PAGE_SIZE, pool0_size);
	memset(machine->pool0, 0, pool0_size);
	machine->pool1 = aligned_alloc(PAGE_SIZE, POOL_PAGES * PAGE_SIZE);
	memset(machine->pool1, 0x5a, POOL_PAGES * PAGE_SIZE);
	machine_reset(machine, size);
	if (!fibers_total) {
		fiber_pool_add(24, 256 * 1024);
		fibers_total = fiber_pool_free();
	}
}

void machine_copy_disk(struct machine *machine, const struct machine *good)
{
	machine_reset(machine, good->size);
	memcpy(machine->disk, good->disk, good->size);
	memset(machine->pool0, 0, machine->pool0_size);
}

void machine_free(struct machine *machine)
{
	free(machine->disk);
	free(machine->stable);
	free(machine->cut);
	free(machine->cached);
	free(machine->left_pool0);
	free(machine->left_disk);
	free(machine->pool0);
	free(machine->pool1);
}

const char *machine_image(void)
{
	static char path[256];

	snprintf(path, sizeof(path), "%s/image", work_folder);
	return path;
}

void machine_save(const struct machine *machine, const char *path)
{
	FILE *file = fopen(path, "w");

	if (!file || fwrite(machine->disk, 1, machine->size, file) != machine->size || fclose(file))
		fatal("cannot write %s", path);
}

static void disk_read(struct machine *machine, const char *path)
{
	FILE *file = fopen(path, "r");

	if (!file || fread(machine->disk, 1, machine->size, file) != machine->size)
		fatal("cannot read %s", path);
	fclose(file);
}

bool machine_load(struct machine *machine, const char *path, uint64_t pool0_size)
{
	FILE *file = fopen(path, "r");
	long size;

	if (!file || fseek(file, 0, SEEK_END) || (size = ftell(file)) <= 0)
		return false;
	fclose(file);
	machine_init(machine, (uint64_t)size, pool0_size);
	disk_read(machine, path);
	return true;
}

bool machine_make(struct machine *machine, const char *options, const char *content, const char *size,
                  uint64_t pool0_size)
{
	char command[1024];

	snprintf(command, sizeof(command), "rm -f %s; mke2fs -q -F -t ext2 %s %s %s %s %s >/dev/null 2>&1",
	         machine_image(), options, content ? "-d" : "", content ? content : "", machine_image(),
	         size);
	if (system(command)) {
		printf("failed: %s\n", command);
		return false;
	}
	return machine_load(machine, machine_image(), pool0_size);
}

int machine_fsck(struct machine *machine, const char *options, int most)
{
	char command[512];
	int status;

	machine_save(machine, machine_image());
	snprintf(command, sizeof(command), "e2fsck %s %s >%s/fsck.out 2>&1", options, machine_image(),
	         work_folder);
	status = WEXITSTATUS(system(command));
	if (status > most) {
		printf("e2fsck %s: status %d\n", options, status);
		fflush(stdout);
		snprintf(command, sizeof(command), "head -40 %s/fsck.out", work_folder);
		if (system(command))
			return -1;
	}
	disk_read(machine, machine_image());
	return status;
}

bool machine_block_bitmaps_agree(struct machine *machine)
{
	char command[512];

	machine_save(machine, machine_image());
	snprintf(command, sizeof(command), "e2fsck -fn %s 2>&1 | grep 'Block bitmap differences'",
	         machine_image());
	return system(command) != 0;
}

/* ---- mounting ---- */

struct mounting {
	struct machine *machine;
	bool restarted;
	int error;
};

static void mount_fiber(void *argument)
{
	struct mounting *mounting = argument;
	struct machine *machine = mounting->machine;
	struct mount_options options = {.device = &machine->device,
	                                .pool = machine->pool0,
	                                .pool_size = machine->pool0_size,
	                                .restarted = mounting->restarted};

	machine->fs.pools[1] = (struct pool){machine->pool1, POOL_PAGES * PAGE_SIZE};
	mounting->error = filesystem_mount(&machine->fs, &options);
}

static void unmount_fiber(void *argument)
{
	struct mounting *mounting = argument;

	mounting->error = filesystem_unmount(&mounting->machine->fs);
}

/* What a component's end does by itself. */
static void filesystem_discard(struct filesystem *fs)
{
	for (unsigned i = 0; i < INODE_HASH; i++) {
		while (fs->inodes[i]) {
			struct inode *next = fs->inodes[i]->hash_next;

			free(fs->inodes[i]);
			fs->inodes[i] = next;
		}
	}
	indexes_free(fs);
	pending_free(fs);
	free(fs->descriptor_buffers);
	fs->descriptor_buffers = NULL;
	cache_destroy(&fs->cache);
}

int machine_mount(struct machine *machine, bool restarted)
{
	struct mounting mounting = {machine, restarted, 0};
	unsigned waiting = fibers_total - fiber_pool_free();

	do {
		filesystem_discard(&machine->fs);
		if (machine->left_pool0) {
			take_over(machine);
			mounting.restarted = true;
		}
		machine_run(machine, mount_fiber, &mounting);
		if (fibers_total - fiber_pool_free() != waiting)
			fatal("mount hangs");
	} while (machine->left_pool0);
	if (mounting.error)
		filesystem_discard(&machine->fs);
	return mounting.error;
}

int machine_unmount(struct machine *machine)
{
	struct mounting mounting = {machine, false, 0};

	if (!machine_run(machine, unmount_fiber, &mounting))
		fatal("unmount hangs");
	filesystem_discard(&machine->fs);
	return mounting.error;
}

int machine_call(struct machine *machine, struct fs_request *request)
{
	struct fs_request asked = *request;
	uint32_t number = (uint32_t)__builtin_ctzl(~machine->calls);
	bool repeated = false;

	machine->calls |= 1ull << number;
	while (machine->left_pool0)
		wait_queue_wait(&machine->bereft);
	for (;;) {
		filesystem_serve(&machine->fs, request, number, repeated);
		if (!machine->left_pool0)
			break;
		*request = asked;
		wait_queue_wait(&machine->bereft);
		repeated = true;
	}
	filesystem_answered(&machine->fs, number);
	machine->calls &= ~(1ull << number);
	return (int)request->error;
}
