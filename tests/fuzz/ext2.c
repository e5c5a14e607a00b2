/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer's target for the file system: an image of the host's mke2fs, damaged in places that the input
 * says, and requests of three clients at once, whose slots change while they are served, with restarts in
 * between. Whatever the disk and the clients say, the file system goes on to answer; and if the disk was
 * whole, it is whole afterwards (e2fsck looks at some).
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "machine.h"

#define POOL_SIZE     (640 * 1024)
#define DISK_SIZE_MAX (2 << 20)
#define CLIENTS       3
#define STEPS_MAX     60 /* of one client */
#define DAMAGE_MAX    12
#define CHECKED_EVERY 32 /* inputs without damage */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

static const char *const shapes[] = {
        "-b 1024 -N 128",
        "-b 4096 -N 128",
        "-b 2048 -I 128 -N 128",
        "-b 1024 -g 512 -N 256 -O ^filetype,^dir_index",
        "-b 1024 -r 0 -O none -N 64",
        "-b 4096 -O ^resize_inode,^sparse_super -N 128",
};
#define SHAPES (sizeof(shapes) / sizeof(shapes[0]))

static struct machine images[SHAPES];
static unsigned long operations, worlds, checked;

/* ---- the input, and random numbers when it is used up ---- */

static const uint8_t *input;
static size_t input_left;
static uint64_t seed;

static uint8_t next_byte(void)
{
	if (!input_left) {
		random_next(&seed);
		return (uint8_t)(seed >> 32);
	}
	input_left--;
	seed = (seed ^ *input) * 0x100000001b3ul | 1ul << 63;
	return *input++;
}

static uint32_t draw(uint32_t below)
{
	uint32_t value = 0;

	for (uint32_t rest = below - 1; rest; rest >>= 8)
		value = value << 8 | next_byte();
	return value % below;
}

/* ---- damage ---- */

static const uint32_t values[] = {0,      1,      2,      3,          11,         12,         0x7fff,
                                  0x8000, 0xffff, 0x41ed, 0x7fffffff, 0x80000000, 0xffffffff, 0xfffffffe};

static uint64_t damage_place(const struct machine *machine)
{
	const struct ext2_superblock *super =
	        (const struct ext2_superblock *)(machine->disk + EXT2_SUPER_OFFSET);
	uint32_t block_size = 1024u << super->log_block_size,
	         inode_size = super->revision ? super->inode_size : 128;
	const struct ext2_group *group =
	        (const struct ext2_group *)(machine->disk +
	                                    (block_size == 1024 ? 2048 : (uint64_t)block_size));
	const struct ext2_inode *inode;
	uint32_t block;

	switch (draw(6)) {
	case 0:
		return EXT2_SUPER_OFFSET + draw(264);
	case 1:
		return (uint64_t)((const uint8_t *)group - machine->disk) + draw(64);
	case 2:
		return (uint64_t)(draw(2) ? group->block_bitmap : group->inode_bitmap) * block_size +
		       draw(64);
	case 3:
		return (uint64_t)group->inode_table * block_size + draw(32) * inode_size + draw(128);
	default:
		/* A block of a file: directories, indirect blocks, symlinks; or its data. */
		inode = (const struct ext2_inode *)(machine->disk +
		                                    (uint64_t)group->inode_table * block_size +
		                                    (draw(2) ? 1 : 10 + draw(20)) * (uint64_t)inode_size);
		block = inode->block[draw(2) ? 0 : draw(EXT2_POINTERS)];
		return block < super->blocks_count
		               ? (uint64_t)block * block_size + draw(draw(2) ? 64 : block_size)
		               : EXT2_SUPER_OFFSET;
	}
}

static void damage(struct machine *machine, const struct machine *good)
{
	uint64_t place = damage_place(good) & ~3ull;
	uint32_t old, value, bytes = 1 + draw(4);

	if (place > machine->size - 4)
		return;
	memcpy(&old, machine->disk + place, 4);
	switch (draw(4)) {
	case 0:
		value = values[draw(sizeof(values) / sizeof(values[0]))];
		break;
	case 1:
		value = old ^ 1u << draw(32);
		break;
	case 2:
		value = draw(4096);
		break;
	default:
		value = draw(UINT32_MAX);
		break;
	}
	memcpy(machine->disk + place + (bytes < 4 ? draw(4 - bytes + 1) : 0), &value, bytes);
}

/* ---- clients ---- */

static const char *const names[] = {
        "a", "b", "c", "folder", "file", "link", "lost+found", ".", "..", "a-name-that-is-rather-long",
        "/", ""};
static const uint64_t sizes[] = {0,     1,      1023,       1024,       4096,       12288,      12289,
                                 65536, 300000, 1ull << 24, 1ull << 31, 1ull << 32, 1ull << 40, ~0ull};

static uint32_t put_name(struct fs_request *request, uint32_t at)
{
	const char *name = names[draw(sizeof(names) / sizeof(names[0]))];

	memcpy(request->data + at, name, strlen(name));
	return (uint32_t)strlen(name);
}

static uint64_t any_inode(void)
{
	switch (draw(8)) {
	case 0:
		return draw(UINT32_MAX);
	case 1:
	case 2:
	case 3:
		return FS_ROOT_INODE;
	default:
		return 11 + draw(16);
	}
}

static void fill_pages(struct fs_request *request)
{
	struct fs_page *pages = (struct fs_page *)request->data;
	uint64_t first = draw(4) ? draw(100) : sizes[draw(sizeof(sizes) / sizeof(sizes[0]))] / PAGE_SIZE;

	request->count = draw(32) ? 1 + draw(20) : draw(UINT32_MAX);
	for (uint32_t i = 0; i < request->count && i < FS_PAGES_MAX; i++)
		pages[i] = (struct fs_page){draw(8) ? first + i : draw(64), draw(64) ? 1 : draw(32),
		                            draw(64) ? draw(POOL_PAGES) : draw(UINT32_MAX)};
}

static void fill_request(struct fs_request *request)
{
	memset(request, 0, sizeof(*request));
	request->operation = draw(FS_OPERATIONS + 1);
	if (request->operation == FS_UNMOUNT && draw(8))
		request->operation = FS_LOOKUP;
	request->inode = any_inode();
	request->other_inode = any_inode();
	request->offset = sizes[draw(sizeof(sizes) / sizeof(sizes[0]))];
	request->flags = draw(4);
	request->mask = draw(256);
	if (request->operation == FS_READ_PAGES || request->operation == FS_WRITE_PAGES) {
		fill_pages(request);
	} else {
		request->name_length = put_name(request, 0);
		request->target_length = put_name(request, request->name_length);
		if (!draw(32))
			request->name_length = draw(UINT32_MAX);
		if (!draw(32))
			request->target_length = draw(2048);
	}
	request->attributes.size = sizes[draw(sizeof(sizes) / sizeof(sizes[0]))];
	request->attributes.mode = (draw(16) << 12) | draw(4096);
	request->attributes.uid = draw(3) * 100000;
}

static struct fs_request slots[CLIENTS];
static unsigned steps[CLIENTS];

static void client_fiber(void *argument)
{
	struct machine *machine = argument;
	unsigned index = 0;

	while (steps[index])
		index++;
	for (steps[index] = 1 + draw(STEPS_MAX); steps[index] > 1; steps[index]--) {
		fill_request(&slots[index]);
		filesystem_serve(&machine->fs, &slots[index], index, !draw(16));
		operations++;
		/* A client that writes into what is not its own any more. */
		if (!draw(4))
			memset((uint8_t *)&slots[draw(CLIENTS)] + draw(sizeof(slots[0]) - 8), (int)draw(256),
			       draw(8));
	}
}

/* ---- one input ---- */

static void need(bool condition, const char *what)
{
	if (condition)
		return;
	fprintf(stderr, "%s\n", what);
	abort();
}

static void clients_run(struct machine *machine)
{
	memset(steps, 0, sizeof(steps));
	for (unsigned i = 0; i < CLIENTS; i++)
		need(fiber_start(client_fiber, machine), "a fiber");
	need(machine_drain(machine), "every request is answered");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct machine machine;
	const struct machine *good;
	unsigned damages, restarts;

	input = data;
	input_left = size;
	seed = 1;
	good = &images[draw(SHAPES)];
	if (!machine.disk)
		machine_init(&machine, DISK_SIZE_MAX, POOL_SIZE);
	machine_copy_disk(&machine, good);
	machine.random += (uint64_t)draw(65536) << 20;
	damages = draw(4) ? 1 + draw(DAMAGE_MAX) : 0;
	for (unsigned i = 0; i < damages; i++)
		damage(&machine, good);
	restarts = draw(3);
	if (!machine_mount(&machine, false)) {
		clients_run(&machine);
		for (unsigned i = 0; i < restarts && !machine_mount(&machine, true); i++)
			clients_run(&machine);
	}
	machine_unmount(&machine);
	if (!damages && ++checked % CHECKED_EVERY == 0)
		need(machine_fsck(&machine, "-fn", 0) == 0, "a disk that was whole is whole");
	worlds++;
	return 0;
}

static void report(void)
{
	fprintf(stderr, "fuzz: %lu requests in %lu worlds, %lu of them without damage\n", operations, worlds,
	        checked);
}

static char folder[] = "/tmp/pith-fuzz-XXXXXX";

static void remove_folder(void)
{
	char command[64];

	report();
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	if (system(command))
		fprintf(stderr, "%s is left\n", folder);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	char command[512];

	(void)argc;
	(void)argv;
	work_folder = mkdtemp(folder);
	snprintf(command, sizeof(command),
	         "cd %s && mkdir -p tree/folder && for i in 1 2 3 4 5 6; do echo $i "
	         ">tree/folder/a-longish-name-$i; done; seq 1 60000 >tree/file; "
	         "ln tree/file tree/b; ln -s file tree/link; ln -s $(printf '%%0100d' 7) tree/folder/link; "
	         "truncate -s 800000 tree/c",
	         folder);
	need(system(command) == 0, "a tree");
	snprintf(command, sizeof(command), "%s/tree", folder);
	for (unsigned i = 0; i < SHAPES; i++)
		need(machine_make(&images[i], shapes[i], command, "1500K", POOL_SIZE) &&
		             images[i].size <= DISK_SIZE_MAX,
		     "an image");
	atexit(remove_folder);
	return 0;
}
