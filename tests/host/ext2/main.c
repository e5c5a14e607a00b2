/* SPDX-License-Identifier: MIT */
/*
 * ext2 on the host: random operations of several clients at once against a model, on images of the host's
 * mke2fs, checked by the host's e2fsck; full disks; broken images; power cuts at every kind of moment;
 * restarts. FULL=1 runs many more seeds.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cut.h"
#include "model.h"
#include "states.h"

#define POOL_SIZE    (1024 * 1024)
#define CLIENTS      4
#define SMALL_POOL   (300 * 1024)
#define KILL_BLOCKS  100000 /* basic blocks of the file system until it is killed, at most */
#define FIRST_FILE   12     /* the inode, after lost+found's */
#define MOUNT_BLOCKS 4000   /* some more than one that does not recover takes */

static unsigned effort = 1;
static char content_folder[256];

static int shell(const char *format, const char *argument)
{
	char command[1024];

	snprintf(command, sizeof(command), format, argument);
	return system(command);
}

/* Files of the host's making: sparse, large, linked, long symlink, many names. */
static void make_content(void)
{
	snprintf(content_folder, sizeof(content_folder), "%s/content", work_folder);
	mkdir(content_folder, 0755);
	CHECK(shell("set -e; cd %s; mkdir -p sub/sub2; for i in $(seq 300); do echo $i "
	            ">a-file-with-a-longish-name-$i; done;"
	            "seq 200000 >sub/numbers; ln sub/numbers sub/link; ln -s numbers sub/short; ln -s "
	            "$(printf '%%0200d' 7) sub/long;"
	            "truncate -s 9M sub/sparse; echo end >>sub/sparse; mkfifo sub/fifo; chmod 4711 "
	            "sub/numbers",
	            content_folder) == 0);
}

static const char *const shapes[] = {
        "-b 1024",
        "-b 4096",
        "-b 2048 -I 128",
        "-b 1024 -I 128 -O ^filetype,^dir_index",
        "-b 4096 -O ^resize_inode,^sparse_super",
        "-b 1024 -r 0 -O none",
        "-b 1024 -O meta_bg,^resize_inode -g 256",
        "-b 1024 -g 512 -O sparse_super2,^resize_inode",
        "-b 1024 -g 1024 -N 2048 -E hash_seed=12345678-1234-1234-1234-123456789abc",
};
#define SHAPES (sizeof(shapes) / sizeof(shapes[0]))

struct group_run {
	struct machine *machine;
	struct model models[CLIENTS];
};

static void models_init(struct group_run *run, struct machine *machine, uint64_t seed, unsigned steps)
{
	run->machine = machine;
	for (unsigned i = 0; i < CLIENTS; i++) {
		model_init(&run->models[i], machine, i, seed);
		run->models[i].steps = steps;
	}
}

static void models_quiet(struct group_run *run)
{
	for (unsigned i = 0; i < CLIENTS; i++)
		run->models[i].quiet = true;
}

static void models_run(struct group_run *run, fiber_function *function)
{
	for (unsigned i = 0; i < CLIENTS; i++)
		fiber_start(function, &run->models[i]);
	CHECK(machine_drain(run->machine));
	for (unsigned i = 0; i < CLIENTS; i++)
		CHECK(run->models[i].problems == 0);
}

static void models_free(struct group_run *run)
{
	for (unsigned i = 0; i < CLIENTS; i++)
		model_free(&run->models[i]);
}

/* Unlinked files that are still open do not outlive the mount. */
static void forget_unlinked(struct group_run *run)
{
	for (unsigned i = 0; i < CLIENTS; i++) {
		for (unsigned n = 0; n < MODEL_NODES; n++) {
			struct node *node = &run->models[i].nodes[n];

			if (!node->used || node->parent != -2)
				continue;
			free(node->file);
			memset(node, 0, sizeof(*node));
		}
	}
}

static void test_random(unsigned shape, uint64_t seed, unsigned steps, const char *content)
{
	static struct group_run run;
	struct machine machine;

	/* Every other time, even the smallest directory has an index. */
	index_size_least = (shape + seed) % 2 ? 0 : 8192;
	if (!machine_make(&machine, shapes[shape], content, "16M", shape % 2 ? POOL_SIZE : 600 * 1024)) {
		CHECK(!"mke2fs");
		return;
	}
	CHECK(machine_mount(&machine, false) == 0);
	CHECK(!machine.fs.read_only);
	models_init(&run, &machine, seed, steps);
	models_run(&run, model_fiber);
	models_run(&run, model_verify_fiber);
	CHECK(machine_unmount(&machine) == 0);
	CHECK(machine_fsck(&machine, "-fn", 0) == 0);
	CHECK(machine_mount(&machine, false) == 0);
	forget_unlinked(&run);
	models_run(&run, model_verify_fiber);
	models_run(&run, model_fiber);
	CHECK(!machine.fs.failed);
	CHECK(machine_unmount(&machine) == 0);
	CHECK(machine_fsck(&machine, "-fn", 0) == 0);
	models_free(&run);
	machine_free(&machine);
}

/* debugfs reads what was written here, and this reads what mke2fs -d wrote. */
static void dump_file(struct machine *machine, uint32_t number, uint64_t size, const char *path)
{
	FILE *file = fopen(path, "w");
	struct fs_request *request = calloc(1, sizeof(*request));

	for (uint64_t position = 0; position < size; position += 128 * PAGE_SIZE) {
		uint64_t bytes = size - position < 128 * PAGE_SIZE ? size - position : 128 * PAGE_SIZE;
		struct fs_page *pages = (struct fs_page *)request->data;

		request->operation = FS_READ_PAGES;
		request->inode = number;
		request->count = (uint32_t)((bytes + PAGE_SIZE - 1) / PAGE_SIZE);
		for (uint32_t i = 0; i < request->count; i++)
			pages[i] = (struct fs_page){position / PAGE_SIZE + i, 1, i};
		CHECK(machine_call(machine, request) == 0);
		fwrite(machine->pool1, 1, bytes, file);
	}
	fclose(file);
	free(request);
}

static int lookup(struct machine *machine, uint32_t directory, const char *name, struct fs_attributes *out)
{
	struct fs_request *request = calloc(1, sizeof(*request));
	int error;

	request->operation = FS_LOOKUP;
	request->inode = directory;
	request->name_length = (uint32_t)strlen(name);
	memcpy(request->data, name, request->name_length);
	error = machine_call(machine, request);
	*out = request->attributes;
	free(request);
	return error;
}

static void read_host_content(void *argument)
{
	struct machine *machine = argument;
	struct fs_attributes sub, found;
	char path[300];

	CHECK(lookup(machine, FS_ROOT_INODE, "sub", &sub) == 0 && S_ISDIR(sub.mode));
	CHECK(lookup(machine, FS_ROOT_INODE, "a-file-with-a-longish-name-277", &found) == 0 &&
	      found.size == 4);
	CHECK(lookup(machine, (uint32_t)sub.inode, "numbers", &found) == 0 && found.links == 2 &&
	      (found.mode & 07777) == 04711);
	snprintf(path, sizeof(path), "%s/dump", work_folder);
	dump_file(machine, (uint32_t)found.inode, found.size, path);
	CHECK(shell("cd %s && cmp dump content/sub/numbers", work_folder) == 0);
	CHECK(lookup(machine, (uint32_t)sub.inode, "sparse", &found) == 0 && found.blocks < 100);
	dump_file(machine, (uint32_t)found.inode, found.size, path);
	CHECK(shell("cd %s && cmp dump content/sub/sparse", work_folder) == 0);
	CHECK(lookup(machine, (uint32_t)sub.inode, "long", &found) == 0 && S_ISLNK(found.mode) &&
	      found.size == 200);
	CHECK(lookup(machine, (uint32_t)sub.inode, "fifo", &found) == 0 && S_ISFIFO(found.mode));
}

static uint32_t create_file(struct machine *machine, const char *name)
{
	struct fs_request *request = calloc(1, sizeof(*request));
	uint32_t number;

	request->operation = FS_CREATE;
	request->inode = FS_ROOT_INODE;
	request->attributes.mode = S_IFREG | 0644;
	request->name_length = (uint32_t)strlen(name);
	memcpy(request->data, name, request->name_length);
	number = machine_call(machine, request) ? 0 : (uint32_t)request->attributes.inode;
	free(request);
	return number;
}

static int unlink_file(struct machine *machine, const char *name)
{
	struct fs_request *request = calloc(1, sizeof(*request));
	int error;

	request->operation = FS_UNLINK;
	request->inode = FS_ROOT_INODE;
	request->name_length = (uint32_t)strlen(name);
	memcpy(request->data, name, request->name_length);
	error = machine_call(machine, request);
	free(request);
	return error;
}

static int simple_call(struct machine *machine, uint32_t operation, uint32_t number)
{
	struct fs_request *request = calloc(1, sizeof(*request));
	int error;

	request->operation = operation;
	request->inode = number;
	error = machine_call(machine, request);
	free(request);
	return error;
}

/* count pages from the client's page `pool_page` on to file page `first` */
static int write_pages(struct machine *machine, uint32_t number, uint64_t first, uint32_t count,
                       uint64_t size, uint32_t pool_page)
{
	struct fs_request *request = calloc(1, sizeof(*request));
	struct fs_page *pages = (struct fs_page *)request->data;
	int error;

	request->operation = FS_WRITE_PAGES;
	request->inode = number;
	request->count = count;
	request->attributes.size = size;
	for (uint32_t i = 0; i < count; i++)
		pages[i] = (struct fs_page){first + i, 1, pool_page + i};
	error = machine_call(machine, request);
	free(request);
	return error;
}

static int read_page(struct machine *machine, uint32_t number, uint64_t page, uint32_t pool_page)
{
	struct fs_request *request = calloc(1, sizeof(*request));
	struct fs_page *pages = (struct fs_page *)request->data;
	int error;

	request->operation = FS_READ_PAGES;
	request->inode = number;
	request->count = 1;
	pages[0] = (struct fs_page){page, 1, pool_page};
	error = machine_call(machine, request);
	free(request);
	return error;
}

static void fill_page(struct machine *machine, uint32_t pool_page, uint8_t value)
{
	memset(machine->pool1 + (uint64_t)pool_page * PAGE_SIZE, value, PAGE_SIZE);
}

static bool page_is(struct machine *machine, uint32_t pool_page, uint8_t value)
{
	for (unsigned i = 0; i < PAGE_SIZE; i++)
		if (machine->pool1[(uint64_t)pool_page * PAGE_SIZE + i] != value)
			return false;
	return true;
}

/* A page at each level of indirection, over 4 GiB, holes in between. */
static const uint64_t places[] = {0, 5, 100, 40000, 1100000, 3500000};

static uint64_t punch(struct machine *machine, uint32_t number, uint64_t first, uint64_t end, int expected)
{
	struct fs_request *request = calloc(1, sizeof(*request));
	uint64_t blocks;

	request->operation = FS_PUNCH;
	request->inode = number;
	request->offset = first;
	request->attributes.size = end - first;
	CHECK(machine_call(machine, request) == expected);
	blocks = request->attributes.blocks;
	free(request);
	return blocks;
}

static uint64_t seek_from(struct machine *machine, uint32_t number, uint64_t from, unsigned flags)
{
	struct fs_request *request = calloc(1, sizeof(*request));
	uint64_t found;

	request->operation = FS_SEEK;
	request->inode = number;
	request->offset = from;
	request->flags = flags;
	found = machine_call(machine, request) ? UINT64_MAX : request->offset;
	free(request);
	return found;
}

/* Finds each page, and takes them out again in parts of their tables: nothing is left, tables neither. */
static void holes_fiber(void *argument)
{
	struct machine *machine = argument;
	uint32_t number = create_file(machine, "holes");
	uint64_t limit = machine->fs.size_max / PAGE_SIZE, size = 0, at = 0, blocks = 0;

	fill_page(machine, 10, 7);
	for (unsigned i = 0; i < 6 && places[i] < limit; i++) {
		size = (places[i] + 2) * PAGE_SIZE;
		CHECK(write_pages(machine, number, places[i], 1, size, 10) == 0);
	}
	for (unsigned i = 0; i < 6 && places[i] < limit; i++) {
		at = seek_from(machine, number, at, 0);
		CHECK(at == places[i] * PAGE_SIZE);
		CHECK(seek_from(machine, number, at + 9, 0) == at + 9);
		at = seek_from(machine, number, at, FS_SEEK_HOLE);
		CHECK(at == (places[i] + 1) * PAGE_SIZE);
		CHECK(seek_from(machine, number, at + 9, FS_SEEK_HOLE) == at + 9);
	}
	CHECK(seek_from(machine, number, at, 0) == UINT64_MAX);
	CHECK(seek_from(machine, number, size, FS_SEEK_HOLE) == UINT64_MAX);
	CHECK(seek_from(machine, number, UINT64_MAX, 0) == UINT64_MAX);
	/* Not a whole block; nothing; more than there are numbers. */
	blocks = punch(machine, number, 1, machine->fs.block_size - 1, 0);
	CHECK(punch(machine, number, 5, 5, EINVAL) && punch(machine, number, 10, 9, EINVAL));
	CHECK(punch(machine, number, UINT64_MAX - 1, UINT64_MAX, 0) == blocks);
	CHECK(read_page(machine, number, 0, 11) == 0 && page_is(machine, 11, 7));
	for (unsigned i = 0; i < 6 && places[i] < limit; i++) {
		blocks = punch(machine, number, places[i] * PAGE_SIZE, (places[i] + 1) * PAGE_SIZE, 0);
		CHECK(read_page(machine, number, places[i], 11) == 0 && page_is(machine, 11, 0));
	}
	CHECK(blocks == 0);
	CHECK(seek_from(machine, number, 0, 0) == UINT64_MAX);
	CHECK(seek_from(machine, number, size - 1, FS_SEEK_HOLE) == size - 1);
	CHECK(write_pages(machine, number, 3, 1, size, 10) == 0);
	CHECK(punch(machine, number, 0, size, 0) == 0);
}

static int set_size(struct machine *machine, uint32_t number, uint64_t size)
{
	struct fs_request *request = calloc(1, sizeof(*request));
	int error;

	request->operation = FS_SETATTR;
	request->inode = number;
	request->mask = FS_SET_SIZE;
	request->attributes.size = size;
	error = machine_call(machine, request);
	free(request);
	return error;
}

/* The same pages are cut off level by level. */
static void sparse_fiber(void *argument)
{
	struct machine *machine = argument;
	uint32_t number = create_file(machine, "sparse");
	uint64_t limit = machine->fs.size_max / PAGE_SIZE;

	for (unsigned i = 0; i < 6 && places[i] < limit; i++) {
		fill_page(machine, 10, (uint8_t)(i + 1));
		CHECK(write_pages(machine, number, places[i], 1, (places[i] + 1) * PAGE_SIZE, 10) == 0);
	}
	for (unsigned i = 0; i < 6 && places[i] < limit; i++) {
		CHECK(read_page(machine, number, places[i], 11) == 0 &&
		      page_is(machine, 11, (uint8_t)(i + 1)));
		CHECK(read_page(machine, number, places[i] + 1, 11) == 0 && page_is(machine, 11, 0));
	}
	CHECK(write_pages(machine, number, limit, 1, (limit + 1) * PAGE_SIZE, 10) == EFBIG);
	for (int i = 5; i >= 0; i -= 2) {
		if (places[i] >= limit)
			continue;
		CHECK(set_size(machine, number, places[i] * PAGE_SIZE) == 0);
		CHECK(read_page(machine, number, places[i], 11) == 0 && page_is(machine, 11, 0));
		CHECK(read_page(machine, number, places[i - 1], 11) == 0 && page_is(machine, 11, (uint8_t)i));
	}
}

/* A file's block is in the cache from an earlier life: what is cut off there does not write it. */
static void stale_buffer_fiber(void *argument)
{
	struct machine *machine = argument;
	uint32_t number = create_file(machine, "stale"), physical, count;
	struct buffer *buffer;
	struct inode *inode;

	CHECK(write_pages(machine, number, 0, 1, PAGE_SIZE, 10) == 0);
	CHECK(inode_get(&machine->fs, number, INODE_LIVE, &inode) == 0);
	CHECK(map_lookup(&machine->fs, inode, 0, 1, &physical, &count) == 0);
	inode_put(&machine->fs, inode);
	CHECK(buffer_get(&machine->fs.cache, physical, &buffer) == 0);
	buffer_put(&machine->fs.cache, buffer);
	fill_page(machine, 10, 9);
	CHECK(write_pages(machine, number, 0, 1, PAGE_SIZE, 10) == 0);
	CHECK(set_size(machine, number, 100) == 0);
	CHECK(read_page(machine, number, 0, 11) == 0 && machine->pool1[11 * PAGE_SIZE + 99] == 9 &&
	      machine->pool1[11 * PAGE_SIZE + 100] == 0);
}

static void test_host_content(void)
{
	struct machine machine;

	CHECK(machine_make(&machine, "-b 1024", content_folder, "16M", POOL_SIZE));
	CHECK(machine_mount(&machine, false) == 0);
	CHECK(machine_run(&machine, read_host_content, &machine));
	CHECK(machine_unmount(&machine) == 0);
	CHECK(machine_fsck(&machine, "-fn", 0) == 0);
	machine_free(&machine);
	for (unsigned i = 0; i < 3; i++) {
		CHECK(machine_make(&machine, shapes[i], NULL, "16M", POOL_SIZE));
		CHECK(machine_mount(&machine, false) == 0);
		CHECK(machine_run(&machine, holes_fiber, &machine));
		CHECK(machine_run(&machine, sparse_fiber, &machine));
		CHECK(machine_run(&machine, stale_buffer_fiber, &machine));
		CHECK(machine_unmount(&machine) == 0);
		CHECK(machine_fsck(&machine, "-fn", 0) == 0);
		machine_free(&machine);
	}
}

/* A file in long requests: how many block requests does a megabyte take? */
static void sequential_fiber(void *argument)
{
	struct machine *machine = argument;
	uint32_t number = create_file(machine, "sequential");
	uint64_t before;

	for (unsigned i = 0; i < 256; i++)
		fill_page(machine, i, (uint8_t)i);
	for (uint64_t i = 0; i < 8; i++)
		CHECK(write_pages(machine, number, i * 256, 256, (i + 1) * 256 * PAGE_SIZE, 0) == 0);
	before = machine->requests;
	CHECK(write_pages(machine, number, 256, 256, 8 * 256 * PAGE_SIZE, 0) == 0);
	/* With blocks of 1 KiB, an indirect block lies between each 256. */
	CHECK(machine->requests - before <= (machine->fs.block_size == 1024 ? 20 : 5));
	CHECK(simple_call(machine, FS_FSYNC, number) == 0);
	CHECK(simple_call(machine, FS_SYNC, 0) == 0);
}

static void test_sequential(void)
{
	struct machine machine;

	for (unsigned i = 0; i < 3; i++) {
		CHECK(machine_make(&machine, shapes[i], NULL, "16M", POOL_SIZE));
		CHECK(machine_mount(&machine, false) == 0);
		CHECK(machine_run(&machine, sequential_fiber, &machine));
		CHECK(machine_unmount(&machine) == 0);
		CHECK(machine_fsck(&machine, "-fn", 0) == 0);
		machine_free(&machine);
	}
}

/* ---- one directory with many names ---- */

#define MANY 3000

static int name_call(struct machine *machine, uint32_t operation, uint32_t directory, uint32_t i)
{
	struct fs_request *request = calloc(1, sizeof(*request));
	int error;

	request->operation = operation;
	request->inode = directory;
	request->attributes.mode = S_IFREG | 0644;
	request->name_length =
	        (uint32_t)sprintf((char *)request->data, "%.*s%u", (int)(i * 7 % 60),
	                          "a-long-beginning-that-makes-records-of-many-different-sizes-", i);
	error = machine_call(machine, request);
	free(request);
	return error;
}

static void many_fiber(void *argument)
{
	struct machine *machine = argument;
	static bool there[MANY];
	uint64_t random = 4711;
	struct fs_attributes directory;

	memset(there, 0, sizeof(there));
	for (unsigned step = 0; step < 4 * MANY; step++) {
		uint32_t i = random_below(&random, MANY);
		bool make = step < 2 * MANY ? random_below(&random, 4) : !random_below(&random, 4);

		CHECK(name_call(machine, FS_LOOKUP, FS_ROOT_INODE, i) == (there[i] ? 0 : ENOENT));
		if (make)
			CHECK(name_call(machine, FS_CREATE, FS_ROOT_INODE, i) == (there[i] ? EEXIST : 0));
		else
			CHECK(name_call(machine, FS_UNLINK, FS_ROOT_INODE, i) == (there[i] ? 0 : ENOENT));
		there[i] = make;
	}
	/* Space of removed names is used again: the directory is not larger than its largest time needs, with
	 * some waste. */
	CHECK(lookup(machine, FS_ROOT_INODE, ".", &directory) == 0 && directory.size < MANY * 70);
	for (uint32_t i = 0; i < MANY; i++)
		CHECK(name_call(machine, FS_LOOKUP, FS_ROOT_INODE, i) == (there[i] ? 0 : ENOENT));
}

/* A directory of which the index knows that it cannot have it is walked, without trying again and again; with
 * fewer names it gets one. */
static void large_fiber(void *argument)
{
	struct machine *machine = argument;
	uint64_t before, blocks;

	for (uint32_t i = 0; i < MANY; i++)
		CHECK(name_call(machine, FS_CREATE, FS_ROOT_INODE, i) == 0);
	blocks = MANY * 40 / machine->fs.block_size;
	before = machine->fs.cache.hits;
	for (uint32_t i = 0; i < 10; i++)
		CHECK(name_call(machine, FS_LOOKUP, FS_ROOT_INODE, i) == 0);
	CHECK(machine->fs.cache.hits - before < blocks);
	for (uint32_t i = 100; i < MANY; i++)
		CHECK(name_call(machine, FS_UNLINK, FS_ROOT_INODE, i) == 0);
	before = machine->fs.cache.hits;
	for (uint32_t i = 0; i < 10; i++)
		CHECK(name_call(machine, FS_LOOKUP, FS_ROOT_INODE, MANY + i) == ENOENT);
	CHECK(machine->fs.cache.hits - before < 2 * blocks);
}

static void test_many_names(void)
{
	struct machine machine;

	CHECK(machine_make(&machine, "-b 1024 -N 8192", NULL, "16M", POOL_SIZE));
	CHECK(machine_mount(&machine, false) == 0);
	CHECK(machine_run(&machine, many_fiber, &machine));
	CHECK(machine_unmount(&machine) == 0);
	CHECK(machine_fsck(&machine, "-fn", 0) == 0);
	machine_free(&machine);
	index_slots_most = 2048;
	CHECK(machine_make(&machine, "-b 1024 -N 8192", NULL, "16M", POOL_SIZE));
	CHECK(machine_mount(&machine, false) == 0);
	CHECK(machine_run(&machine, large_fiber, &machine));
	CHECK(machine_unmount(&machine) == 0);
	machine_free(&machine);
	index_slots_most = INDEX_SLOTS_MOST;
}

/* ---- directories in directories ---- */

#define DEEP 5000

static uint32_t make_directory(struct machine *machine, uint32_t parent)
{
	struct fs_request *request = calloc(1, sizeof(*request));
	uint32_t number;

	request->operation = FS_CREATE;
	request->inode = parent;
	request->attributes.mode = S_IFDIR | 0755;
	request->name_length = 1;
	request->data[0] = 'x';
	number = machine_call(machine, request) ? 0 : (uint32_t)request->attributes.inode;
	free(request);
	return number;
}

static int rename_call(struct machine *machine, uint32_t from, const char *old_name, uint32_t to,
                       const char *new_name)
{
	struct fs_request *request = calloc(1, sizeof(*request));
	int error;

	request->operation = FS_RENAME;
	request->inode = from;
	request->other_inode = to;
	request->name_length = (uint32_t)strlen(old_name);
	request->target_length = (uint32_t)strlen(new_name);
	sprintf((char *)request->data, "%s%s", old_name, new_name);
	error = machine_call(machine, request);
	free(request);
	return error;
}

static void deep_fiber(void *argument)
{
	struct machine *machine = argument;
	static uint32_t numbers[DEEP];
	struct inode *inode;
	uint64_t hits;

	for (unsigned i = 0; i < DEEP; i++)
		CHECK((numbers[i] = make_directory(machine, i ? numbers[i - 1] : FS_ROOT_INODE)) != 0);
	CHECK(rename_call(machine, numbers[DEEP - 2], "x", numbers[DEEP - 3], "y") == 0);
	CHECK(simple_call(machine, FS_SYNC, 0) == 0);
	CHECK(machine_fsck(machine, "-fn", 0) == 0);
	/* A way to the root that does not end. */
	CHECK(inode_get(&machine->fs, numbers[5], INODE_LIVE, &inode) == 0);
	CHECK(directory_set_parent(&machine->fs, inode, numbers[50]) == 0);
	inode_put(&machine->fs, inode);
	hits = machine->fs.cache.hits;
	CHECK(rename_call(machine, numbers[70], "x", numbers[69], "y") == EUCLEAN && machine->fs.failed);
	CHECK(machine->fs.cache.hits - hits < 1000);
}

static void test_deep(void)
{
	struct machine machine;

	CHECK(machine_make(&machine, "-b 1024 -N 8192", NULL, "16M", POOL_SIZE));
	CHECK(machine_mount(&machine, false) == 0);
	CHECK(machine_run(&machine, deep_fiber, &machine));
	CHECK(machine_unmount(&machine) == 0);
	machine_free(&machine);
}

/* ---- a full disk ---- */

static void fill_fiber(void *argument)
{
	struct machine *machine = argument;
	struct fs_request *request = calloc(1, sizeof(*request));
	uint32_t number = 1, files = 0;
	char name[32];
	int error = 0;

	while (number && !error) {
		snprintf(name, sizeof(name), "fill%u", files);
		number = create_file(machine, name);
		if (!number)
			break;
		files++;
		error = write_pages(machine, number, 0, 200, 200 * PAGE_SIZE - 77, 0);
	}
	CHECK(error == ENOSPC);
	request->operation = FS_STATFS;
	CHECK(machine_call(machine, request) == 0 && request->statfs.blocks_free == 0);
	/* Names still fit while there are inodes and the directory has room. */
	while (create_file(machine, name))
		snprintf(name, sizeof(name), "%030u", ++files);
	CHECK(simple_call(machine, FS_SYNC, 0) == 0);
	/* Making room makes it work again. */
	memset(request, 0, sizeof(*request));
	request->operation = FS_UNLINK;
	request->inode = FS_ROOT_INODE;
	request->name_length = 5;
	memcpy(request->data, "fill0", 5);
	CHECK(machine_call(machine, request) == 0);
	number = create_file(machine, "again");
	CHECK(number && write_pages(machine, number, 0, 20, 20 * PAGE_SIZE, 0) == 0);
	free(request);
}

static void test_full(unsigned shape)
{
	static struct group_run run;
	struct machine machine;

	CHECK(machine_make(&machine, shapes[shape], NULL, "4M", POOL_SIZE));
	CHECK(machine_mount(&machine, false) == 0);
	CHECK(machine_run(&machine, fill_fiber, &machine));
	CHECK(!machine.fs.failed);
	CHECK(machine_unmount(&machine) == 0);
	CHECK(machine_fsck(&machine, "-fn", 0) == 0);
	machine_free(&machine);
	/* Random work on a disk that is full most of the time. The models' contents are not followed there,
	 * only that all stays whole. */
	CHECK(machine_make(&machine, shapes[shape], NULL, "1500", POOL_SIZE));
	CHECK(machine_mount(&machine, false) == 0);
	models_init(&run, &machine, shape + 5, 150);
	models_quiet(&run);
	for (unsigned i = 0; i < CLIENTS; i++)
		fiber_start(model_fiber, &run.models[i]);
	CHECK(machine_drain(&machine));
	CHECK(!machine.fs.failed);
	CHECK(machine_unmount(&machine) == 0);
	CHECK(machine_fsck(&machine, "-fn", 0) == 0);
	models_free(&run);
	machine_free(&machine);
}

/* Moves "a" of the root to a name of so many letters. */
static int move_to_long(struct machine *machine, uint32_t to, int length)
{
	char name[256];

	sprintf(name, "%0*d", length, 0);
	return rename_call(machine, FS_ROOT_INODE, "a", to, name);
}

/* There is no room for the new name, and while it is looked for what is pending is written. */
static void full_rename_fiber(void *argument)
{
	struct machine *machine = argument;
	uint32_t number, directory;
	char name[8];
	int error = 0;

	CHECK(create_file(machine, "a") != 0);
	for (unsigned i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "more%u", i);
		CHECK((number = create_file(machine, name)) != 0);
	}
	CHECK((directory = make_directory(machine, FS_ROOT_INODE)) != 0);
	for (int length = 250; length < 253; length++) {
		CHECK(move_to_long(machine, directory, length) == 0);
		CHECK(create_file(machine, "a") != 0);
	}
	for (uint64_t page = 0; !error; page += 100)
		error = write_pages(machine, number, page, 100, (page + 100) * PAGE_SIZE, 0);
	CHECK(error == ENOSPC);
	CHECK(simple_call(machine, FS_SYNC, 0) == 0 && simple_call(machine, FS_SYNC, 0) == 0);
	CHECK(unlink_file(machine, "more15") == 0);
	CHECK(move_to_long(machine, directory, 253) == ENOSPC);
}

static void test_full_rename(void)
{
	struct machine machine;

	CHECK(machine_make(&machine, "-b 1024", NULL, "4M", POOL_SIZE));
	CHECK(machine_mount(&machine, false) == 0);
	CHECK(machine_run(&machine, full_rename_fiber, &machine));
	CHECK(machine_unmount(&machine) == 0);
	CHECK(machine_fsck(&machine, "-fn", 0) == 0);
	machine_free(&machine);
}

/* ---- unmounted while a file is read whose name has just changed: a link of it waits to be subtracted ----
 */

static void renamed_fiber(void *argument)
{
	struct machine *machine = argument;
	uint32_t number = create_file(machine, "a");

	CHECK(number && write_pages(machine, number, 0, 1, PAGE_SIZE, 0) == 0);
	CHECK(simple_call(machine, FS_SYNC, 0) == 0);
	CHECK(rename_call(machine, FS_ROOT_INODE, "a", FS_ROOT_INODE, "b") == 0);
}

static void read_renamed_fiber(void *argument)
{
	CHECK(read_page(argument, FIRST_FILE, 0, 1) == 0);
}

static void unmount_request_fiber(void *argument)
{
	CHECK(simple_call(argument, FS_UNMOUNT, 0) == 0);
}

static void test_unmount_under_way(void)
{
	struct machine machine;

	CHECK(machine_make(&machine, shapes[0], NULL, "16M", POOL_SIZE));
	CHECK(machine_mount(&machine, false) == 0);
	CHECK(machine_run(&machine, renamed_fiber, &machine));
	machine.slow_reads = true;
	fiber_start(read_renamed_fiber, &machine);
	fiber_start(unmount_request_fiber, &machine);
	CHECK(machine_drain(&machine));
	CHECK(machine_unmount(&machine) == 0);
	CHECK(machine_fsck(&machine, "-fn", 0) == 0);
	machine_free(&machine);
}

/* ---- power cuts ---- */

/* The disk takes no write after some; nothing here knows. What e2fsck finds, it can repair; and a mount
 * without it is safe. */
static void test_cut(unsigned shape, uint64_t seed, unsigned writes)
{
	static struct group_run run;
	struct machine machine;

	CHECK(machine_make(&machine, shapes[shape], NULL, "8M", shape % 2 ? POOL_SIZE : 600 * 1024));
	CHECK(machine_mount(&machine, false) == 0);
	models_init(&run, &machine, seed, 60);
	machine.writes_left = writes;
	models_quiet(&run);
	for (unsigned i = 0; i < CLIENTS; i++)
		fiber_start(model_fiber, &run.models[i]);
	CHECK(machine_drain(&machine));
	models_free(&run);
	machine.writes_left = UINT64_MAX;
	if (seed % 2) {
		/* Mounted again just as it is, used, unmounted. */
		CHECK(machine_mount(&machine, false) == 0);
		models_init(&run, &machine, seed + 1, 30);
		for (unsigned i = 0; i < CLIENTS; i++)
			snprintf(run.models[i].root_name, sizeof(run.models[i].root_name), "second%u", i);
		models_quiet(&run);
		for (unsigned i = 0; i < CLIENTS; i++)
			fiber_start(model_fiber, &run.models[i]);
		CHECK(machine_drain(&machine));
		machine_unmount(&machine);
		models_free(&run);
	}
	CHECK(machine_fsck(&machine, "-fy", 3) <= 3);
	CHECK(machine_fsck(&machine, "-fn", 0) == 0);
	CHECK(machine_mount(&machine, false) == 0);
	CHECK(machine_unmount(&machine) == 0);
	CHECK(machine_fsck(&machine, "-fn", 0) == 0);
	machine_free(&machine);
}

/* What fsync said is there is there after a cut and e2fsck. */
static void fsync_fiber(void *argument)
{
	struct machine *machine = argument;
	uint32_t number = create_file(machine, "kept");

	fill_page(machine, 3, 0xa7);
	for (uint64_t i = 0; i < 40; i++)
		CHECK(write_pages(machine, number, i * 7, 1, (i * 7 + 1) * PAGE_SIZE, 3) == 0);
	CHECK(simple_call(machine, FS_FSYNC, number) == 0);
	CHECK(simple_call(machine, FS_FSYNC, FS_ROOT_INODE) == 0);
	machine->writes_left = 0;
	for (unsigned i = 0; i < 20; i++) {
		char name[16];

		snprintf(name, sizeof(name), "lost%u", i);
		number = create_file(machine, name);
		CHECK(write_pages(machine, number, 0, 5, 5 * PAGE_SIZE, 20) == 0);
	}
}

static void fsync_check_fiber(void *argument)
{
	struct machine *machine = argument;
	struct fs_attributes found;

	CHECK(lookup(machine, FS_ROOT_INODE, "kept", &found) == 0 && found.size == (39 * 7 + 1) * PAGE_SIZE);
	for (uint64_t i = 0; i < 40; i++) {
		CHECK(read_page(machine, (uint32_t)found.inode, i * 7, 4) == 0 && page_is(machine, 4, 0xa7));
		if (i < 39)
			CHECK(read_page(machine, (uint32_t)found.inode, i * 7 + 1, 4) == 0 &&
			      page_is(machine, 4, 0));
	}
}

static void test_fsync(void)
{
	for (unsigned i = 0; i < 4; i++) {
		struct machine machine;

		CHECK(machine_make(&machine, shapes[i % 2], NULL, "8M", POOL_SIZE));
		CHECK(machine_mount(&machine, false) == 0);
		CHECK(machine_run(&machine, fsync_fiber, &machine));
		machine.writes_left = UINT64_MAX;
		if (i < 2)
			CHECK(machine_fsck(&machine, "-fy", 3) <= 3);
		CHECK(machine_mount(&machine, false) == 0);
		CHECK(machine_run(&machine, fsync_check_fiber, &machine));
		CHECK(machine_unmount(&machine) == 0);
		machine_free(&machine);
	}
}

/* ---- power cuts of a disk that has a cache: what fsync promised is kept, and e2fsck needs no human ---- */

static void cut_clients_run(struct machine *machine, struct cut_client *clients, fiber_function *function)
{
	for (unsigned i = 0; i < CLIENTS; i++)
		fiber_start(function, &clients[i]);
	CHECK(machine_drain(machine));
}

static unsigned cut_problems(struct machine *machine, struct cut_client *clients)
{
	unsigned problems = machine_mount(machine, false) != 0;

	cut_clients_run(machine, clients, cut_check_fiber);
	for (unsigned i = 0; i < CLIENTS; i++)
		problems += clients[i].problems;
	return problems + (machine_unmount(machine) != 0);
}

/* Returns what was lost or wrong. */
static unsigned power_cut_problems(unsigned shape, uint64_t seed, bool lying)
{
	static struct cut_client clients[CLIENTS];
	struct machine machine;
	unsigned problems = 0;

	CHECK(machine_make(&machine, shapes[shape], NULL, "16M", shape % 2 ? POOL_SIZE : 600 * 1024));
	machine.random += seed << 20;
	machine.ignore_flushes = lying;
	CHECK(machine_mount(&machine, false) == 0);
	for (unsigned i = 0; i < CLIENTS; i++)
		cut_client_init(&clients[i], &machine, i, seed);
	cut_clients_run(&machine, clients, cut_setup_fiber);
	machine_cache_writes(&machine, 1 + random_below(&machine.random, 3000));
	cut_clients_run(&machine, clients, cut_client_fiber);
	for (unsigned i = 0; i < CLIENTS; i++)
		CHECK(!clients[i].error || clients[i].error == ECANCELED);
	machine_power_on(&machine);
	if (seed % 2) { /* without e2fsck first */
		problems += cut_problems(&machine, clients);
		problems += !machine_block_bitmaps_agree(&machine);
	}
	problems += machine_fsck(&machine, "-p", 1) > 1;
	problems += machine_fsck(&machine, "-fn", 0) != 0;
	problems += cut_problems(&machine, clients);
	problems += machine_fsck(&machine, "-fn", 0) != 0;
	machine_free(&machine);
	return problems;
}

static void test_power_cut(uint64_t seed)
{
	unsigned problems = power_cut_problems((unsigned)(seed % SHAPES), seed, false);

	if (problems)
		printf("power cut of seed %lu: %u problems\n", seed, problems);
	CHECK(!problems);
}

/* A disk that does not mean it when it says that it has flushed: the checks notice. */
static void test_lying_disk(void)
{
	unsigned noticed = 0;

	for (uint64_t seed = 1; seed <= 4; seed++)
		noticed += power_cut_problems((unsigned)(seed % 2), seed, true) != 0;
	CHECK(noticed >= 2);
	noticed = 0;
	for (uint64_t seed = 1; seed <= 2; seed++)
		noticed += states_problems_without_flushes(seed) != 0;
	CHECK(noticed >= 1);
}

static void test_commit_states(uint64_t seed, enum states_changes changes)
{
	unsigned problems = states_problems(seed, changes);

	if (problems)
		printf("states of a commit of seed %lu, changes %u: %u problems\n", seed, changes, problems);
	CHECK(!problems);
}

/* ---- a disk with errors: whatever happens, e2fsck can repair it ---- */

static void test_errors(uint64_t seed, uint32_t fail_reads, uint32_t fail_writes)
{
	static struct group_run run;
	struct machine machine;

	CHECK(machine_make(&machine, shapes[seed % 2], content_folder, "16M", 600 * 1024));
	CHECK(machine_mount(&machine, false) == 0);
	models_init(&run, &machine, seed, 100);
	models_quiet(&run);
	machine.random += seed << 20;
	machine.fail_reads = fail_reads;
	machine.fail_writes = fail_writes;
	for (unsigned i = 0; i < CLIENTS; i++)
		fiber_start(model_fiber, &run.models[i]);
	CHECK(machine_drain(&machine));
	machine.fail_reads = machine.fail_writes = 0;
	machine_unmount(&machine);
	models_free(&run);
	CHECK(machine_fsck(&machine, "-fy", 3) <= 3);
	CHECK(machine_fsck(&machine, "-fn", 0) == 0);
	machine_free(&machine);
}

/* What was lost once is not there later either: no fsync says that it is. */
static void lost_fiber(void *argument)
{
	struct machine *machine = argument;
	uint32_t number = create_file(machine, "lost");

	machine->fail_writes = 1;
	CHECK(simple_call(machine, FS_SYNC, 0) == EIO);
	machine->fail_writes = 0;
	CHECK(simple_call(machine, FS_FSYNC, number) == EIO);
}

/* Nobody has asked for what is written to make room, but nothing is changed after it is lost. */
static void lost_for_room_fiber(void *argument)
{
	struct machine *machine = argument;
	uint32_t number = FS_ROOT_INODE;

	machine->fail_writes = 1;
	for (unsigned i = 0; i < 3000 && number; i++)
		number = make_directory(machine, number);
	machine->fail_writes = 0;
	CHECK(machine->fs.failed);
	CHECK(simple_call(machine, FS_FSYNC, FS_ROOT_INODE) == EIO);
}

static void still_lost_fiber(void *argument)
{
	CHECK(simple_call(argument, FS_FSYNC, FS_ROOT_INODE) == EIO);
	CHECK(!create_file(argument, "never"));
	CHECK(simple_call(argument, FS_UNMOUNT, 0) == EIO);
	CHECK(simple_call(argument, FS_UNMOUNT, 0) == EIO && simple_call(argument, FS_SYNC, 0) == EIO);
}

static void test_lost_metadata(fiber_function *function)
{
	struct machine machine;

	CHECK(machine_make(&machine, shapes[0], NULL, "16M", 600 * 1024));
	CHECK(machine_mount(&machine, false) == 0);
	CHECK(machine_run(&machine, function, &machine));
	CHECK(machine_mount(&machine, true) == 0);
	CHECK(machine_run(&machine, still_lost_fiber, &machine));
	CHECK(machine_unmount(&machine) == 0);
	CHECK(machine_fsck(&machine, "-fy", 3) <= 3);
	machine_free(&machine);
}

/* A disk that contradicts itself does not become better by a restart. */
static void test_failed_restart(void)
{
	struct machine machine;
	const struct ext2_superblock *super;

	CHECK(machine_make(&machine, shapes[0], NULL, "16M", POOL_SIZE));
	super = (const struct ext2_superblock *)(machine.disk + EXT2_SUPER_OFFSET);
	CHECK(machine_mount(&machine, false) == 0);
	filesystem_error(&machine.fs, "a test");
	CHECK(machine_mount(&machine, true) == 0);
	CHECK(machine.fs.read_only && machine.fs.failed);
	CHECK(machine_unmount(&machine) == 0);
	CHECK(super->state == EXT2_STATE_ERRORS);
	CHECK(machine_mount(&machine, false) == 0);
	CHECK(!machine.fs.read_only);
	CHECK(machine_unmount(&machine) == 0);
	machine_free(&machine);
}

/* One flush fails of a commit that gives files names in lost+found; the next commit succeeds. */
static void failed_flush_fiber(void *argument)
{
	struct machine *machine = argument;
	uint32_t which = machine->fail_flush_in;

	machine->fail_flush_in = 0;
	for (unsigned i = 0; i < 3; i++) { /* over nothing, over an old file, over a new one */
		CHECK(create_file(machine, "a") != 0);
		if (i == 1)
			CHECK(simple_call(machine, FS_SYNC, 0) == 0);
		CHECK(rename_call(machine, FS_ROOT_INODE, "a", FS_ROOT_INODE, "b") == 0);
	}
	machine->fail_flush_in = which;
	CHECK(simple_call(machine, FS_SYNC, 0) == (machine->fail_flush_in ? 0 : EIO));
}

static void test_failed_flush(void)
{
	struct machine machine;
	uint32_t which = 0;
	bool failed;

	do {
		CHECK(machine_make(&machine, shapes[0], NULL, "16M", POOL_SIZE));
		CHECK(machine_mount(&machine, false) == 0);
		machine.fail_flush_in = ++which;
		CHECK(machine_run(&machine, failed_flush_fiber, &machine));
		failed = !machine.fail_flush_in;
		machine.fail_flush_in = 0;
		CHECK(machine_unmount(&machine) == 0);
		CHECK(machine_fsck(&machine, "-fn", 0) == 0);
		machine_free(&machine);
	} while (failed);
	CHECK(which > 3);
}

/* No flush succeeds: when all buffers are dirty, requests end with an error. When it is over all goes on. */
static void no_flush_fiber(void *argument)
{
	struct machine *machine = argument;
	struct fs_attributes found;
	uint32_t number = FS_ROOT_INODE;

	machine->fail_flushes = 1;
	for (unsigned i = 0; i < 3000 && number; i++)
		number = make_directory(machine, number);
	CHECK(!number);
	CHECK(simple_call(machine, FS_SYNC, 0) == EIO);
	machine->fail_flushes = 0;
	CHECK(simple_call(machine, FS_SYNC, 0) == 0);
	CHECK(lookup(machine, FS_ROOT_INODE, "sub", &found) == 0);
}

static void test_no_flush(void)
{
	struct machine machine;

	CHECK(machine_make(&machine, shapes[0], content_folder, "16M", 300 * 1024));
	CHECK(machine_mount(&machine, false) == 0);
	CHECK(machine_run(&machine, no_flush_fiber, &machine));
	CHECK(machine_unmount(&machine) == 0);
	CHECK(machine_fsck(&machine, "-fn", 0) == 0);
	machine_free(&machine);
}

/* What must come to the disk before the old name goes does not: the file has both, and a link for each. */
static void rename_by_half_fiber(void *argument)
{
	struct machine *machine = argument;
	struct fs_attributes found;
	uint32_t number, folder;

	CHECK((number = create_file(machine, "a")) != 0);
	CHECK((folder = make_directory(machine, FS_ROOT_INODE)) != 0);
	CHECK(simple_call(machine, FS_SYNC, 0) == 0);
	CHECK(rename_call(machine, FS_ROOT_INODE, "a", folder, "b") == 0);
	machine->fail_flush_in = 1;
	CHECK(rename_call(machine, folder, "b", FS_ROOT_INODE, "c") == EIO);
	CHECK(lookup(machine, folder, "b", &found) == 0 && found.inode == number && found.links == 2);
	CHECK(lookup(machine, FS_ROOT_INODE, "c", &found) == 0 && found.inode == number);
}

static void test_rename_by_half(void)
{
	struct machine machine;

	CHECK(machine_make(&machine, shapes[0], NULL, "16M", POOL_SIZE));
	CHECK(machine_mount(&machine, false) == 0);
	CHECK(machine_run(&machine, rename_by_half_fiber, &machine));
	CHECK(machine_unmount(&machine) == 0);
	CHECK(machine_fsck(&machine, "-fn", 0) == 0);
	machine_free(&machine);
}

/* ---- restarts: the component dies between two requests and finds its unwritten buffers again ---- */

static unsigned orphans_count(const struct filesystem *fs)
{
	unsigned count = 0;

	for (const struct inode *inode = fs->orphans; inode; inode = inode->orphan_next)
		count++;
	return count;
}

static unsigned unlinked_count(const struct group_run *run)
{
	unsigned count = 0;

	for (unsigned i = 0; i < CLIENTS; i++)
		for (unsigned n = 0; n < MODEL_NODES; n++)
			count += run->models[i].nodes[n].used && run->models[i].nodes[n].parent == -2;
	return count;
}

static void new_client_fiber(void *argument)
{
	CHECK(simple_call(argument, FS_CLOSE_ALL, 0) == 0);
}

static void test_restart(unsigned shape, uint64_t seed)
{
	static struct group_run run;
	struct machine machine;

	CHECK(machine_make(&machine, shapes[shape], NULL, "16M", POOL_SIZE));
	CHECK(machine_mount(&machine, false) == 0);
	models_init(&run, &machine, seed, 40);
	for (unsigned i = 0; i < 5; i++) {
		models_run(&run, model_fiber);
		CHECK(machine_mount(&machine, true) == 0);
		models_run(&run, model_verify_fiber);
		/* Only files that are still open are kept: nothing leaks because of a restart. */
		CHECK(orphans_count(&machine.fs) == unlinked_count(&run));
	}
	CHECK(!machine.fs.failed);
	CHECK(machine_run(&machine, new_client_fiber, &machine));
	CHECK(orphans_count(&machine.fs) == 0);
	CHECK(machine_unmount(&machine) == 0);
	CHECK(machine_fsck(&machine, "-fn", 0) == 0);
	forget_unlinked(&run);
	models_free(&run);
	machine_free(&machine);
}

/* ---- open files ---- */

/* More open at once than a successor could be told of: what is unlinked afterwards is free. */
static void many_open_fiber(void *argument)
{
	static uint32_t numbers[OPEN_RECORDS + 50];
	struct machine *machine = argument;
	char name[16];

	for (unsigned i = 0; i < OPEN_RECORDS + 50; i++) {
		snprintf(name, sizeof(name), "open%u", i);
		numbers[i] = create_file(machine, name);
		CHECK(simple_call(machine, FS_OPEN, numbers[i]) == 0);
	}
	for (unsigned i = 0; i < OPEN_RECORDS + 50; i++)
		CHECK(simple_call(machine, FS_CLOSE, numbers[i]) == 0);
	CHECK(unlink_file(machine, "open7") == 0 && orphans_count(&machine->fs) == 0);
}

/* On a disk that is not written to any more, an orphan stays one. */
static void closed_too_late_fiber(void *argument)
{
	struct machine *machine = argument;
	uint32_t number = create_file(machine, "orphan");

	CHECK(simple_call(machine, FS_OPEN, number) == 0 && unlink_file(machine, "orphan") == 0);
	CHECK(orphans_count(&machine->fs) == 1);
	filesystem_error(&machine->fs, "a test");
	CHECK(simple_call(machine, FS_CLOSE, number) == 0);
	CHECK(orphans_count(&machine->fs) == 1 && machine->fs.orphans->number == number);
}

static void test_open(void)
{
	struct machine machine;

	CHECK(machine_make(&machine, shapes[0], NULL, "16M", POOL_SIZE));
	CHECK(machine_mount(&machine, false) == 0);
	CHECK(machine_run(&machine, many_open_fiber, &machine));
	/* A successor knows as little as before. */
	CHECK(machine.fs.cache.header->opens_unknown);
	CHECK(machine_run(&machine, closed_too_late_fiber, &machine));
	CHECK(machine_unmount(&machine) == 0);
	CHECK(machine_fsck(&machine, "-fy", 1) == 1);
	CHECK(machine_fsck(&machine, "-fn", 0) == 0);
	machine_free(&machine);
}

/* The compiler calls it in each basic block of the file system (test.mk). */
void __sanitizer_cov_trace_pc(void);
void __sanitizer_cov_trace_pc(void)
{
	machine_lives();
}

/* It is killed at any moment, also while it takes over from one that was. Whatever was under way is asked
 * again; then all is as if nothing had been. */
static void run_killed(struct group_run *run, struct machine *machine, uint64_t *random)
{
	for (unsigned client = 0; client < CLIENTS; client++)
		fiber_start(model_fiber, &run->models[client]);
	do {
		machine_kill_in(machine, 1 + random_below(random, KILL_BLOCKS >> random_below(random, 4)));
		if (machine->left_pool0) {
			CHECK(machine_mount(machine, true) == 0);
			machine_revived(machine);
		}
	} while (!machine_drain(machine));
	machine_kill_in(NULL, 0);
}

static void test_killed(unsigned shape, uint64_t seed)
{
	static struct group_run run;
	struct machine machine;
	uint64_t random = seed * 0x9e3779b97f4a7c15ull + 1;
	unsigned failed = checks_failed;

	/* The smaller the pool, the more is forgotten and read again. */
	CHECK(machine_make(&machine, shapes[shape], NULL, seed % 5 ? "16M" : "4M",
	                   seed % 2 ? POOL_SIZE : 600 * 1024));
	CHECK(machine_mount(&machine, false) == 0);
	models_init(&run, &machine, seed, 40);
	for (unsigned i = 0; i < 5; i++) {
		run_killed(&run, &machine, &random);
		models_run(&run, model_verify_fiber);
		CHECK(orphans_count(&machine.fs) == unlinked_count(&run));
	}
	CHECK(!machine.fs.failed);
	CHECK(machine_unmount(&machine) == 0);
	CHECK(machine_fsck(&machine, "-fn", 0) == 0);
	if (checks_failed != failed)
		printf("killed: shape %u, seed %lu\n", shape, seed);
	forget_unlinked(&run);
	models_free(&run);
	machine_free(&machine);
}

/* What is damaged before: files have no name that can be read, and are not taken for what was removed. */
#define BROKEN_DIRECTORY                                                        \
	"cd %s && printf '\\0\\0' | dd of=image bs=1 conv=notrunc status=none " \
	"seek=$(($(debugfs -R 'blocks sub' image 2>/dev/null | cut -d' ' -f1) * 1024 + 28))"
#define NAMELESS                                                                                   \
	"cd %s && { echo unlink sub/sparse; echo unlink sub/sub2; echo ssv state 0; } >damage && " \
	"debugfs -wf damage image >/dev/null 2>&1"

static void test_killed_on_damaged_disk(uint64_t seed, const char *damage)
{
	static struct group_run run;
	struct machine machine;
	uint64_t random = seed;

	CHECK(machine_make(&machine, shapes[0], content_folder, "16M", POOL_SIZE));
	machine_free(&machine);
	CHECK(shell("cd %s && for name in sparse sub2; do debugfs -R \"stat sub/$name\" image 2>/dev/null | "
	            "sed -n 's/^Inode: \\([0-9]*\\).*/\\1/p'; done >numbers",
	            work_folder) == 0);
	CHECK(shell(damage, work_folder) == 0);
	CHECK(machine_load(&machine, machine_image(), POOL_SIZE));
	CHECK(machine_mount(&machine, false) == 0);
	models_init(&run, &machine, seed, 100);
	run_killed(&run, &machine, &random);
	CHECK(!machine.fs.was_clean);
	CHECK(machine_unmount(&machine) == 0);
	machine_save(&machine, machine_image());
	CHECK(shell("cd %s && for number in $(cat numbers); do debugfs -R \"stat <$number>\" image "
	            "2>/dev/null "
	            "| grep -q 'Links: [12]' || exit 1; done",
	            work_folder) == 0);
	CHECK(machine_fsck(&machine, "-fy", 3) <= 3);
	forget_unlinked(&run);
	models_free(&run);
	machine_free(&machine);
}

/* A request is asked again whose directory cannot be read: nobody knows whether it was done. */
static void unreadable_fiber(void *argument)
{
	static const uint32_t operations[] = {FS_UNLINK, FS_RMDIR, FS_RENAME};
	struct machine *machine = argument;
	struct fs_request *request = calloc(1, sizeof(*request));
	struct fs_attributes sub;

	CHECK(lookup(machine, FS_ROOT_INODE, "sub", &sub) == 0);
	machine->fail_reads = 1;
	for (unsigned i = 0; i < 3; i++) {
		machine->fs.cache.header->changes[0] = (struct change){CHANGE_BEGUN, FIRST_FILE, 0};
		memset(request, 0, sizeof(*request));
		request->operation = operations[i];
		request->inode = request->other_inode = sub.inode;
		request->name_length = request->target_length = 4;
		memcpy(request->data, "longlink", 8);
		filesystem_serve(&machine->fs, request, 0, true);
		CHECK(request->error == EIO);
	}
	machine->fail_reads = 0;
	free(request);
}

static void test_repeated_unreadable(void)
{
	struct machine machine;

	CHECK(machine_make(&machine, shapes[0], content_folder, "16M", POOL_SIZE));
	CHECK(machine_mount(&machine, false) == 0);
	CHECK(machine_run(&machine, unreadable_fiber, &machine));
	CHECK(machine_unmount(&machine) == 0);
	machine_free(&machine);
}

/* ---- blocks that nobody has: a disk that was not unmounted gets them back ---- */

static void test_leaked_blocks(unsigned shape)
{
	struct machine machine;

	CHECK(machine_make(&machine, shapes[shape], content_folder, "16M", POOL_SIZE));
	machine_free(&machine);
	CHECK(shell("cd %s && for goal in 500 2000 4000; do debugfs -R \"ffb 30 $goal\" image 2>/dev/null; "
	            "done | "
	            "tr ' ' '\\n' | sed -n 's/^[0-9]/setb &/p' >leak && echo ssv state 0 >>leak && "
	            "debugfs -wf leak image >/dev/null 2>&1",
	            work_folder) == 0);
	CHECK(machine_load(&machine, machine_image(), POOL_SIZE));
	CHECK(!machine_block_bitmaps_agree(&machine));
	CHECK(machine_mount(&machine, false) == 0);
	CHECK(machine_unmount(&machine) == 0);
	CHECK(machine_block_bitmaps_agree(&machine));
	CHECK(machine_fsck(&machine, "-fn", 0) == 0);
	CHECK(machine_mount(&machine, false) == 0);
	CHECK(machine_run(&machine, read_host_content, &machine));
	CHECK(machine_unmount(&machine) == 0);
	machine_free(&machine);
}

static void use_a_block(void *argument)
{
	struct machine *machine = argument;

	write_pages(machine, create_file(machine, "one"), 0, 1, PAGE_SIZE, 0);
}

/* Who mounts it is killed on its way, the first time before it knows that there is something to recover: so
 * does the successor. */
static void test_killed_at_mount(void)
{
	struct machine good, machine;

	CHECK(machine_make(&machine, "-b 1024", NULL, "2M", SMALL_POOL));
	machine_free(&machine);
	CHECK(shell("cd %s && { echo setb 1000 50; echo ssv state 0; } >leak && "
	            "debugfs -wf leak image >/dev/null 2>&1",
	            work_folder) == 0);
	CHECK(machine_load(&good, machine_image(), SMALL_POOL));
	machine_init(&machine, good.size, good.pool0_size);
	for (uint64_t blocks = 1; blocks < MOUNT_BLOCKS; blocks += 50) {
		machine_copy_disk(&machine, &good);
		machine_kill_in(&machine, blocks);
		CHECK(machine_mount(&machine, false) == 0);
		machine_kill_in(NULL, 0);
		/* It notices if a bitmap and its count do not agree. */
		CHECK(machine_run(&machine, use_a_block, &machine));
		CHECK(!machine.fs.failed);
		if (machine.fs.failed)
			printf("killed after %lu blocks of the mount\n", blocks);
		CHECK(machine_unmount(&machine) == 0);
	}
	machine_free(&machine);
	machine_free(&good);
}

/* A successor begins to mount with a cache that has to be written first, and with links to subtract of which
 * its predecessor, which was killed in its own mount, knew that the disk has them not. */
static void test_killed_at_mount_with_drops(void)
{
	struct machine machine;
	struct cache_header *header;

	CHECK(machine_make(&machine, "-b 1024", NULL, "2M", SMALL_POOL));
	CHECK(machine_mount(&machine, false) == 0);
	header = machine.fs.cache.header;
	for (uint32_t i = 0; i < header->count; i++)
		header->records[i] = (struct buffer_record){machine.fs.blocks_count - 1 - i, 1};
	header->drops[0] = (struct drop_record){EXT2_FIRST_INODE, 1, 0};
	header->drop_count = header->changing = 1;
	CHECK(machine_mount(&machine, true) == 0);
	CHECK(machine_unmount(&machine) == 0);
	CHECK(machine_fsck(&machine, "-fy", 1) <= 1);
	machine_free(&machine);
}

/* ---- blocks of pointers that lead to themselves ---- */

static void test_endless_pointers(void)
{
	struct machine machine;

	CHECK(machine_make(&machine, "-b 1024", content_folder, "16M", POOL_SIZE));
	machine_free(&machine);
	CHECK(shell("cd %s && debugfs -wR 'sif sub/numbers block[TIND] 3000' image >/dev/null 2>&1 && "
	            "debugfs -wR 'ssv state 0' image >/dev/null 2>&1",
	            work_folder) == 0);
	CHECK(machine_load(&machine, machine_image(), POOL_SIZE));
	for (uint32_t i = 0; i < 256; i++)
		((uint32_t *)(machine.disk + 3000 * 1024))[i] = 3000;
	CHECK(machine_mount(&machine, false) == 0);
	CHECK(machine.fs.cache.hits < 100000);
	CHECK(machine_unmount(&machine) == 0);
	machine_free(&machine);
}

/* A block of pointers that is another file's data: what it maps is its second owner's all the same. */
static void test_shared_pointers(void)
{
	struct machine machine;

	CHECK(machine_make(&machine, "-b 1024", NULL, "16M", POOL_SIZE));
	machine_free(&machine);
	CHECK(shell("cd %s && { for i in 101 102; do echo \"seti <$i>\"; echo \"sif <$i> mode 0100644\"; "
	            "echo \"sif <$i> links_count 1\"; echo \"ln <$i> file$i\"; done; "
	            "echo 'sif <101> block[0] 3000'; echo 'sif <101> size 1024'; "
	            "echo 'sif <102> block[IND] 3000'; echo 'sif <102> size 13312'; echo 'ssv state 0'; } "
	            ">share && debugfs -wf share image >/dev/null 2>&1",
	            work_folder) == 0);
	CHECK(machine_load(&machine, machine_image(), POOL_SIZE));
	((uint32_t *)(machine.disk + 3000 * 1024))[0] = 3100;
	CHECK(machine_mount(&machine, false) == 0);
	CHECK(machine_unmount(&machine) == 0);
	machine_save(&machine, machine_image());
	CHECK(shell("cd %s && debugfs -R 'testb 3100' image 2>/dev/null | grep -q 'marked in use'",
	            work_folder) == 0);
	machine_free(&machine);
}

/* ---- two directories that are in each other: both are asked to go at once ---- */

struct removal {
	struct machine *machine;
	uint32_t directory;
	const char *name;
};

static void remove_directory_fiber(void *argument)
{
	const struct removal *removal = argument;
	struct fs_request *request = calloc(1, sizeof(*request));

	request->operation = FS_RMDIR;
	request->inode = removal->directory;
	request->name_length = 1;
	request->data[0] = (uint8_t)removal->name[0];
	CHECK(machine_call(removal->machine, request) == ENOTEMPTY);
	free(request);
}

static void test_each_other(void)
{
	struct machine machine;
	struct removal outer = {&machine, FIRST_FILE, "b"}, inner = {&machine, FIRST_FILE + 1, "a"};

	CHECK(machine_make(&machine, "-b 1024", NULL, "16M", POOL_SIZE));
	machine_free(&machine);
	CHECK(shell("cd %s && { echo mkdir a; echo mkdir a/b; echo ln a a/b/a; } >each && "
	            "debugfs -wf each image >/dev/null 2>&1",
	            work_folder) == 0);
	CHECK(machine_load(&machine, machine_image(), POOL_SIZE));
	CHECK(machine_mount(&machine, false) == 0);
	fiber_start(remove_directory_fiber, &outer);
	fiber_start(remove_directory_fiber, &inner);
	CHECK(machine_drain(&machine));
	CHECK(machine_unmount(&machine) == 0);
	machine_free(&machine);
}

/* ---- names in lost+found that a commit has left: no count of links knows of them ---- */

static void check_parked_names(void *argument)
{
	struct machine *machine = argument;
	struct fs_attributes folder, found;

	CHECK(lookup(machine, FS_ROOT_INODE, "lost+found", &folder) == 0);
	CHECK(lookup(machine, FS_ROOT_INODE, "one", &found) == 0 && found.inode == 101);
	CHECK(lookup(machine, (uint32_t)folder.inode, "#101", &found) == ENOENT);
	CHECK(lookup(machine, (uint32_t)folder.inode, "#102", &found) == 0 && found.inode == 102);
	CHECK(lookup(machine, (uint32_t)folder.inode, "#103", &found) == 0 && found.links == 2);
}

/* 101 has a name of its own, 102 none, 103 is a link that somebody made. debugfs counts no links. */
static void test_parked_names(unsigned shape)
{
	struct machine machine;

	CHECK(machine_make(&machine, shapes[shape], NULL, "16M", POOL_SIZE));
	machine_free(&machine);
	CHECK(shell("cd %s && { for i in 101 102 103; do echo \"seti <$i>\"; echo \"sif <$i> mode 0100644\"; "
	            "echo \"sif <$i> links_count $((i / 103 + 1))\"; echo \"ln <$i> lost+found/#$i\"; done; "
	            "echo 'ln <101> one'; echo 'ln <103> three'; echo 'ssv state 0'; } >park && "
	            "debugfs -wf park image >/dev/null 2>&1",
	            work_folder) == 0);
	CHECK(machine_load(&machine, machine_image(), POOL_SIZE));
	CHECK(machine_mount(&machine, false) == 0);
	CHECK(machine_run(&machine, check_parked_names, &machine));
	CHECK(machine_unmount(&machine) == 0);
	CHECK(machine_fsck(&machine, "-fn", 0) == 0);
	machine_free(&machine);
}

/* ---- broken disks ---- */

/* Walks and changes whatever is there. Only that it ends is asked. */
static void wander_fiber(void *argument)
{
	struct machine *machine = argument;
	struct fs_request *request = calloc(1, sizeof(*request));
	struct fs_request *more = calloc(1, sizeof(*more));
	uint32_t directories[64] = {FS_ROOT_INODE}, count = 1;

	for (uint32_t i = 0; i < count; i++) {
		uint64_t offset = 0;

		for (unsigned calls = 0; calls < 40; calls++) {
			request->operation = FS_READDIR;
			request->inode = directories[i];
			request->offset = offset;
			if (machine_call(machine, request) || !request->length)
				break;
			offset = request->offset;
			for (uint32_t at = 0; at < request->length;) {
				struct fs_dirent *entry = (struct fs_dirent *)(request->data + at);
				uint32_t number = (uint32_t)entry->inode;

				at += entry->record_size;
				memset(more, 0, sizeof(*more));
				more->operation = FS_GETATTR;
				more->inode = number;
				if (machine_call(machine, more))
					continue;
				if (S_ISDIR(more->attributes.mode) && count < 64 && entry->name[0] != '.') {
					directories[count++] = number;
				} else if (S_ISREG(more->attributes.mode)) {
					uint64_t size = more->attributes.size;

					read_page(machine, number, 0, 1);
					read_page(machine, number, size / PAGE_SIZE, 1);
					read_page(machine, number, size / PAGE_SIZE / 2, 1);
					if (at % 3 == 0)
						write_pages(machine, number, size / PAGE_SIZE + 1, 3,
						            size + 3 * PAGE_SIZE, 1);
				} else if (S_ISLNK(more->attributes.mode)) {
					simple_call(machine, FS_READLINK, number);
				}
				if (at % 5 == 0) {
					memset(more, 0, sizeof(*more));
					more->operation =
					        S_ISDIR(more->attributes.mode) ? FS_RMDIR : FS_UNLINK;
					more->inode = directories[i];
					more->name_length = entry->name_length;
					memcpy(more->data, entry->name, entry->name_length);
					machine_call(machine, more);
				}
			}
		}
		create_file(machine, "new-one");
	}
	free(request);
	free(more);
}

static void test_corrupt(const struct machine *good, uint64_t seed)
{
	struct machine machine;
	uint64_t state = seed * 0x9e3779b97f4a7c15ull + 1;
	unsigned flips = 1 + random_below(&state, 40);

	machine_init(&machine, good->size, POOL_SIZE);
	memcpy(machine.disk, good->disk, good->size);
	for (unsigned i = 0; i < flips;) {
		/* Metadata: mostly at the front of each group; else anything that is not zero */
		uint64_t at = random_below(&state, 3) ? random_below(&state, 600 * 1024)
		                                      : random_below(&state, (uint32_t)good->size);

		if (random_below(&state, 8) && !machine.disk[at])
			continue;
		machine.disk[at] =
		        (uint8_t)(random_below(&state, 4) ? machine.disk[at] ^ (1u << random_below(&state, 8))
		                                          : random_next(&state));
		i++;
	}
	if (machine_mount(&machine, false) == 0) {
		CHECK(machine_run(&machine, wander_fiber, &machine));
		machine_unmount(&machine);
	} else {
		checks_passed++;
	}
	machine_free(&machine);
}

/* Damage with a known answer. */
static int mount_changed(const struct machine *good, uint64_t at, uint64_t value, unsigned bytes)
{
	struct machine machine;
	int error;

	machine_init(&machine, good->size, POOL_SIZE);
	memcpy(machine.disk, good->disk, good->size);
	memcpy(machine.disk + at, &value, bytes);
	error = machine_mount(&machine, false);
	if (!error) {
		error = machine.fs.read_only ? -1 : 0;
		machine_unmount(&machine);
	}
	machine_free(&machine);
	return error;
}

static void test_refusals(const struct machine *good)
{
	const uint64_t super = EXT2_SUPER_OFFSET;

	CHECK(mount_changed(good, super + offsetof(struct ext2_superblock, magic), 0, 2) == EINVAL);
	CHECK(mount_changed(good, super + offsetof(struct ext2_superblock, incompatible), 0x42, 4) == EINVAL);
	CHECK(mount_changed(good, super + offsetof(struct ext2_superblock, ro_compatible), 0x403, 4) == -1);
	CHECK(mount_changed(good, super + offsetof(struct ext2_superblock, compatible), 0x8000038, 4) == 0);
	CHECK(mount_changed(good, super + offsetof(struct ext2_superblock, compatible), 0x1038, 4) == -1);
	CHECK(mount_changed(good, super + offsetof(struct ext2_superblock, blocks_count), 1u << 30, 4) ==
	      EUCLEAN);
	CHECK(mount_changed(good, super + offsetof(struct ext2_superblock, log_block_size), 40, 4) ==
	      EUCLEAN);
	CHECK(mount_changed(good, super + offsetof(struct ext2_superblock, blocks_per_group), 0, 4) ==
	      EUCLEAN);
	CHECK(mount_changed(good, super + offsetof(struct ext2_superblock, inodes_per_group), 0, 4) ==
	      EUCLEAN);
	CHECK(mount_changed(good, super + offsetof(struct ext2_superblock, inode_size), 0, 2) == EUCLEAN);
	CHECK(mount_changed(good, super + offsetof(struct ext2_superblock, revision), 7, 4) == EINVAL);
	CHECK(mount_changed(good, 2048 + offsetof(struct ext2_group, inode_table), 3, 4) == EUCLEAN);
	CHECK(mount_changed(good, 2048 + offsetof(struct ext2_group, block_bitmap), 0xffffffff, 4) ==
	      EUCLEAN);
}

static void test_broken(void)
{
	struct machine good;

	CHECK(machine_make(&good, "-b 1024 -g 4096", content_folder, "16M", POOL_SIZE));
	test_refusals(&good);
	for (uint64_t seed = 0; seed < 40 * effort; seed++)
		test_corrupt(&good, seed);
	machine_free(&good);
}

static void hang(int signal_number)
{
	static const char text[] = "a test hangs\n";

	(void)signal_number;
	if (write(1, text, sizeof(text) - 1))
		abort();
	abort();
}

/* Of power cuts, the states of commits, or kills. */
static void test_seeds(uint64_t from, uint64_t to, const char *what)
{
	for (uint64_t seed = from; seed < to; seed++) {
		if (!strcmp(what, "states"))
			test_commit_states(seed, STATES_RANDOM);
		else if (!strcmp(what, "kills"))
			test_killed((unsigned)(seed % SHAPES), seed);
		else
			test_power_cut(seed);
	}
}

int main(int argc, char **argv)
{
	/* In memory, where there is such a place: e2fsck waits for what it writes. */
	static char fast[] = "/dev/shm/pith-ext2-XXXXXX", folder[] = "/tmp/pith-ext2-XXXXXX";

	setvbuf(stdout, NULL, _IOLBF, 0);
	log_quiet = !getenv("LOG");
	effort = getenv("FULL") ? 20 : 1;
	work_folder = mkdtemp(fast);
	if (!work_folder)
		work_folder = mkdtemp(folder);
	signal(SIGALRM, hang);
	alarm(300 * effort); /* on a busy machine, too */
	make_content();
	if (argc > 2) {
		alarm(0);
		test_seeds((uint64_t)atoi(argv[1]), (uint64_t)atoi(argv[2]), argc > 3 ? argv[3] : "cuts");
		shell("rm -rf %s", work_folder);
		return checks_report();
	}
	if (argc > 1)
		effort = (unsigned)atoi(argv[1]);
	test_host_content();
	test_sequential();
	test_many_names();
	test_deep();
	test_open();
	for (unsigned shape = 0; shape < SHAPES; shape++)
		for (uint64_t seed = 1; seed <= effort; seed++)
			test_random(shape, seed, 250, shape % 3 == 0 ? content_folder : NULL);
	for (unsigned shape = 0; shape < 4; shape++)
		test_full(shape);
	test_full_rename();
	test_unmount_under_way();
	test_fsync();
	for (uint64_t seed = 1; seed <= 12 * effort; seed++)
		test_cut((unsigned)(seed % 4), seed, (unsigned)(seed * 17 % 200));
	for (uint64_t seed = 1; seed <= 15 * effort; seed++)
		test_power_cut(seed);
	/* A directory in a new directory. */
	test_power_cut(433);
	/* A replaced file, dead on the disk, whose block the next commit writes before it is dead in memory.
	 */
	test_power_cut(121);
	test_lying_disk();
	for (uint64_t seed = 1; seed <= 8 * effort; seed++)
		test_commit_states(seed, STATES_RANDOM);
	for (enum states_changes changes = STATES_GROWN; changes < STATES_CHANGES; changes++)
		for (uint64_t seed = 1; seed <= 2 * effort; seed++)
			test_commit_states(seed, changes);
	/* A directory waits for what an earlier commit had removed. */
	test_commit_states(193, STATES_RANDOM);
	for (uint64_t seed = 1; seed <= 2 * effort; seed++)
		test_restart((unsigned)(seed % 2), seed);
	for (uint64_t seed = 1; seed <= 6 * effort; seed++)
		test_killed((unsigned)(seed % SHAPES), seed);
	for (uint64_t seed = 1; seed <= 2 * effort; seed++) {
		test_killed_on_damaged_disk(seed, BROKEN_DIRECTORY);
		test_killed_on_damaged_disk(seed, NAMELESS);
	}
	test_repeated_unreadable();
	for (unsigned shape = 0; shape < SHAPES; shape++) {
		test_leaked_blocks(shape);
		test_parked_names(shape);
	}
	test_killed_at_mount();
	test_killed_at_mount_with_drops();
	test_endless_pointers();
	test_shared_pointers();
	test_each_other();
	test_lost_metadata(lost_fiber);
	test_lost_metadata(lost_for_room_fiber);
	test_failed_restart();
	test_failed_flush();
	test_no_flush();
	test_rename_by_half();
	for (uint64_t seed = 1; seed <= 2 * effort; seed++) {
		test_errors(seed, 20, 0);
		test_errors(seed, 0, 20);
	}
	test_broken();
	shell("rm -rf %s", work_folder);
	return checks_report();
}
