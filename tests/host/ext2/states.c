/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <pith/log.h>

#include "states.h"

#define ITEMS_OLD   20
#define ITEMS       260
#define LINKS       4
#define CHANGES     14
#define SUBSETS     12 /* of one epoch, where there are more */
#define PARENT_ROOT (-1)
#define POOL_SIZE   (600 * 1024)
#define POOL_SMALL  (140 * 1024)

/* A name that an item has or had. */
struct link {
	int parent; /* index of an item */
	char text[256];
	bool old; /* since before the commit */
	bool removed;
};

struct item {
	uint32_t number;
	bool directory, old;
	uint64_t commits; /* when it was made */
	unsigned link_count;
	struct link links[LINKS];
};

/* The tree, which outlives the changes; `found` holds what one disk has of it. */
struct states {
	struct machine *machine;
	uint64_t random;
	unsigned count, names;
	struct item items[ITEMS];
	uint32_t found[ITEMS];
	unsigned problems;
	bool finished; /* the whole commit is on the disk */
};

static uint32_t below(struct states *states, uint32_t limit)
{
	return random_below(&states->random, limit);
}

/* The test itself could not do its work. */
static void must(bool condition, const char *what)
{
	if (!condition)
		fatal("states of a commit: %s failed", what);
}

static int call(struct states *states, uint32_t operation, uint32_t directory, const char *name,
                const char *target, struct fs_request *out)
{
	*out = (struct fs_request){.operation = operation, .inode = directory};
	out->name_length = (uint32_t)strlen(name);
	memcpy(out->data, name, out->name_length);
	out->target_length = (uint32_t)strlen(target);
	memcpy(out->data + out->name_length, target, out->target_length);
	return machine_call(states->machine, out);
}

static uint32_t number_of(const struct states *states, int item)
{
	return item == PARENT_ROOT ? FS_ROOT_INODE : states->items[item].number;
}

/* The newest one. */
static struct link *live_link(struct item *item)
{
	for (unsigned i = item->link_count; i--;)
		if (!item->links[i].removed)
			return &item->links[i];
	return NULL;
}

static struct link *oldest_link(struct item *item)
{
	for (unsigned i = 0; i < item->link_count; i++)
		if (!item->links[i].removed)
			return &item->links[i];
	return NULL;
}

static unsigned live_links(const struct item *item)
{
	unsigned count = 0;

	for (unsigned i = 0; i < item->link_count; i++)
		count += !item->links[i].removed;
	return count;
}

/* A directory that is there; the root more often than others. */
static int some_directory(struct states *states)
{
	for (unsigned i = 0; i < 8; i++) {
		uint32_t item = below(states, states->count + 1);

		if (item < states->count && states->items[item].directory && live_link(&states->items[item]))
			return (int)item;
	}
	return PARENT_ROOT;
}

static struct item *some_item(struct states *states, bool directory)
{
	for (unsigned i = 0; i < 20; i++) {
		struct item *item = &states->items[below(states, states->count)];

		if (item->directory == directory && live_link(item))
			return item;
	}
	return NULL;
}

/* Long and short names, so that directories grow. */
static struct link *link_new(struct states *states, struct item *item, int parent, bool old)
{
	struct link *link = &item->links[item->link_count++];

	uint32_t length;

	*link = (struct link){.parent = parent, .old = old};
	snprintf(link->text, sizeof(link->text), "n%u", states->names++);
	length = (uint32_t)strlen(link->text);
	memset(link->text + length, '-', below(states, 240));
	return link;
}

static void make_in(struct states *states, int parent, bool directory, bool old)
{
	struct item *item = &states->items[states->count];
	struct fs_request request = {.operation = FS_CREATE, .inode = number_of(states, parent)};
	struct link *link;

	if (states->count == ITEMS)
		return;
	*item = (struct item){
	        .directory = directory, .old = old, .commits = states->machine->fs.cache.commits};
	link = link_new(states, item, parent, old);
	request.attributes.mode = directory ? S_IFDIR | 0755 : S_IFREG | 0644;
	request.name_length = (uint32_t)strlen(link->text);
	memcpy(request.data, link->text, request.name_length);
	must(machine_call(states->machine, &request) == 0, "a creation");
	item->number = (uint32_t)request.attributes.inode;
	states->count++;
}

static void make(struct states *states, bool directory, bool old)
{
	make_in(states, some_directory(states), directory, old);
}

static void add_name(struct states *states, struct item *item)
{
	struct fs_request request = {.operation = FS_LINK};
	struct link *link;

	if (!item || item->link_count == LINKS)
		return;
	link = link_new(states, item, some_directory(states), false);
	request.inode = number_of(states, link->parent);
	request.other_inode = item->number;
	request.name_length = (uint32_t)strlen(link->text);
	memcpy(request.data, link->text, request.name_length);
	must(machine_call(states->machine, &request) == 0, "a link");
}

static void remove_link(struct states *states, struct item *item, struct link *link)
{
	struct fs_request request;
	int error = call(states, item->directory ? FS_RMDIR : FS_UNLINK, number_of(states, link->parent),
	                 link->text, "", &request);

	must(!error || error == ENOTEMPTY, "removing a name");
	link->removed = !error;
}

static void remove_name(struct states *states, struct item *item)
{
	struct link *link = item ? oldest_link(item) : NULL;

	if (link)
		remove_link(states, item, link);
}

static void rename_to(struct states *states, struct link *from, const struct link *to)
{
	struct fs_request request = {.operation = FS_RENAME,
	                             .inode = number_of(states, from->parent),
	                             .other_inode = number_of(states, to->parent),
	                             .name_length = (uint32_t)strlen(from->text),
	                             .target_length = (uint32_t)strlen(to->text)};

	memcpy(request.data, from->text, request.name_length);
	memcpy(request.data + request.name_length, to->text, request.target_length);
	must(machine_call(states->machine, &request) == 0, "a rename");
	from->removed = true;
}

static void rename_link(struct states *states, struct item *item, struct link *from, int parent)
{
	if (item->link_count < LINKS)
		rename_to(states, from, link_new(states, item, parent, false));
}

/* Directories that the disk has stay where they are: a move is known to be seen twice (README). */
static void move(struct states *states, bool directory)
{
	struct item *item = some_item(states, directory);
	struct link *from = item ? live_link(item) : NULL;

	if (from && (!directory || item->commits == states->machine->fs.cache.commits))
		rename_link(states, item, from, directory ? from->parent : some_directory(states));
}

/* A directory with all that is in it; or its files go elsewhere. */
static void remove_tree(struct states *states, struct item *item, bool keep)
{
	if (!item)
		return;
	for (unsigned n = 0; n < states->count && item->directory; n++)
		for (unsigned i = 0; i < states->items[n].link_count; i++) {
			struct link *link = &states->items[n].links[i];

			if (link->removed || link->parent != item - states->items)
				continue;
			if (states->items[n].directory)
				remove_tree(states, &states->items[n], keep);
			else if (keep)
				rename_link(states, &states->items[n], link, PARENT_ROOT);
			else
				remove_link(states, &states->items[n], link);
		}
	remove_name(states, item);
}

/* How names were moved before there was rename. */
static void link_over(struct states *states)
{
	struct item *item = some_item(states, false);

	add_name(states, item);
	remove_name(states, item);
}

/* The name of one item becomes another's. */
static void rename_over(struct states *states, struct item *item, struct item *other)
{
	struct link *from = item ? live_link(item) : NULL, *over = other ? live_link(other) : NULL;

	if (!from || !over || item == other || item->link_count == LINKS)
		return;
	rename_to(states, from, over);
	over->removed = true;
	item->links[item->link_count] = *over;
	item->links[item->link_count].old = false;
	item->links[item->link_count++].removed = false;
}

static void replace(struct states *states)
{
	struct item *item = some_item(states, false), *other = some_item(states, false);

	rename_over(states, item, other);
}

static void sync_disk(struct states *states)
{
	struct fs_request request = {.operation = FS_SYNC};

	must(machine_call(states->machine, &request) == 0, "a sync");
}

static void setup_fiber(void *argument)
{
	struct states *states = argument;

	for (unsigned i = 0; i < ITEMS_OLD; i++)
		make(states, below(states, 3) == 0, true);
	for (unsigned i = 0; i < 3; i++)
		sync_disk(states);
}

static void change_fiber(void *argument)
{
	struct states *states = argument;

	for (unsigned i = 0; i < CHANGES; i++) {
		uint32_t kind = below(states, 100);

		if (kind < 25)
			make(states, true, false);
		else if (kind < 42)
			make(states, false, false);
		else if (kind < 50)
			add_name(states, some_item(states, false));
		else if (kind < 62)
			link_over(states);
		else if (kind < 68)
			remove_name(states, some_item(states, false));
		else if (kind < 80)
			remove_tree(states, some_item(states, true), kind < 72);
		else if (kind < 90)
			move(states, kind >= 86);
		else
			replace(states);
	}
	sync_disk(states);
}

/* A directory gets blocks that the disk does not have, and is removed. */
static void grown_fiber(void *argument)
{
	struct states *states = argument;
	struct item *item = some_item(states, true);
	struct fs_request request = {.operation = FS_GETATTR};

	must(item != NULL, "finding a directory");
	for (unsigned i = 0; i < CHANGES; i++)
		make_in(states, (int)(item - states->items), false, false);
	request.inode = item->number;
	must(machine_call(states->machine, &request) == 0 &&
	             request.attributes.size > states->machine->fs.block_size,
	     "growing a directory");
	remove_tree(states, item, false);
	sync_disk(states);
}

/* A large directory grows: all that is new of it hangs on what the disk has. */
static void names_fiber(void *argument)
{
	struct states *states = argument;

	for (unsigned i = 0; i < 2; i++) {
		for (unsigned n = 0; n < 110; n++)
			make_in(states, PARENT_ROOT, false, false);
		sync_disk(states);
	}
}

/* A new directory takes the place of an empty one. */
static void replaced_fiber(void *argument)
{
	struct states *states = argument;
	int parent = (int)states->count, other = parent + 1, item = other + 1;

	make_in(states, PARENT_ROOT, true, false);
	make_in(states, parent, true, false);
	sync_disk(states);
	make_in(states, parent, true, false);
	make_in(states, item, false, false);
	rename_over(states, &states->items[item], &states->items[other]);
	if (below(states, 2))
		remove_tree(states, &states->items[item], false);
	sync_disk(states);
}

static void write_pages(struct states *states, uint32_t number, uint32_t first, uint32_t end)
{
	struct fs_request request = {.operation = FS_WRITE_PAGES,
	                             .inode = number,
	                             .count = end - first,
	                             .attributes.size = (uint64_t)end * PAGE_SIZE};
	struct fs_page *pages = (struct fs_page *)request.data;

	for (uint32_t i = first; i < end; i++)
		pages[i - first] = (struct fs_page){i, 1, i};
	must(machine_call(states->machine, &request) == 0, "writing");
}

/* A file gets a second block of pointers below one that the disk has, where another file's data was (two are
 * removed, since one would have had its own pointers there). */
static void large_fiber(void *argument)
{
	struct states *states = argument;
	struct item *item = &states->items[states->count];

	for (unsigned i = 0; i < 2; i++) {
		make_in(states, PARENT_ROOT, false, false);
		write_pages(states, item[i].number, 0, 100);
	}
	for (unsigned i = 0; i < 2; i++)
		remove_tree(states, item++, false);
	sync_disk(states);
	make_in(states, PARENT_ROOT, false, false);
	write_pages(states, item->number, 0, 80);
	sync_disk(states);
	write_pages(states, item->number, 80, 160);
	sync_disk(states);
}

/* ---- one state ---- */

static uint32_t find(struct states *states, const struct link *link)
{
	uint32_t parent = link->parent == PARENT_ROOT ? FS_ROOT_INODE : states->found[link->parent];
	static struct fs_request request;

	if (!parent || call(states, FS_LOOKUP, parent, link->text, "", &request))
		return 0;
	return (uint32_t)request.attributes.inode;
}

static void wrong(struct states *states, const struct item *item, const char *what)
{
	states->problems++;
	printf("inode %u, %s: %s\n", item->number, item->directory ? "a directory" : "a file", what);
	for (unsigned i = 0; i < item->link_count; i++)
		printf("  %u/%.6s%s%s\n", number_of(states, item->links[i].parent), item->links[i].text,
		       item->links[i].old ? ", old" : "", item->links[i].removed ? ", removed" : "");
}

static void verify_fiber(void *argument)
{
	struct states *states = argument;

	for (unsigned n = 0; n < states->count; n++) {
		struct item *item = &states->items[n];
		bool lost = false;

		states->found[n] = 0;
		for (unsigned i = 0; i < item->link_count; i++) {
			struct link *link = &item->links[i];
			uint32_t number = find(states, link);

			if (number == item->number)
				states->found[n] = number;
			/* Of an old name only the file that it leads to may change. */
			lost |= !number && link->old && !link->removed;
			if (states->finished && !link->removed)
				lost |= number != item->number;
		}
		if (lost)
			wrong(states, item, "a name is missing");
		else if (!states->found[n] && item->old && live_links(item))
			wrong(states, item, "it has no name");
	}
}

static void verify(struct states *states)
{
	if (machine_mount(states->machine, false)) {
		states->problems++;
		return;
	}
	must(machine_run(states->machine, verify_fiber, states), "a look");
	states->problems += machine_unmount(states->machine) != 0;
}

/* A state of the disk, made in `scratch`: the log up to an epoch, and some of that epoch. */
static unsigned state_problems(struct states *states, struct machine *scratch, const uint8_t *before,
                               const struct machine *logged, uint64_t epoch, uint64_t kept)
{
	unsigned in_epoch = 0, old = states->problems;

	machine_copy_disk(scratch, logged);
	memcpy(scratch->disk, before, logged->size);
	for (uint32_t i = 0; i < logged->cached_count; i++) {
		const struct cached_write *write = &logged->cached[i];

		if (write->epoch > epoch || (write->epoch == epoch && !(kept >> in_epoch++ % 64 & 1)))
			continue;
		memcpy(scratch->disk + write->position, write->data, logged->fs.block_size);
	}
	states->machine = scratch;
	if (kept % 4 == 1) /* without e2fsck first */
		verify(states);
	states->problems += machine_fsck(scratch, "-p", 1) > 1;
	verify(states);
	if (kept % 4 == 2)
		states->problems += machine_fsck(scratch, "-fn", 0) != 0;
	return states->problems - old;
}

static unsigned epoch_writes(const struct machine *logged, uint64_t epoch)
{
	unsigned count = 0;

	for (uint32_t i = 0; i < logged->cached_count; i++)
		count += logged->cached[i].epoch == epoch;
	return count;
}

static void replay(struct states *states, const struct machine *logged, const uint8_t *before)
{
	uint64_t last = logged->cached_count ? logged->cached[logged->cached_count - 1].epoch : 0;
	struct machine scratch;

	machine_init(&scratch, logged->size, logged->pool0_size);
	for (uint64_t epoch = logged->cached[0].epoch; epoch <= last; epoch++) {
		unsigned writes = epoch_writes(logged, epoch);
		bool all = writes < 63 && 1ull << writes <= SUBSETS;
		uint64_t subsets = all ? 1ull << writes : SUBSETS;

		for (uint64_t i = 0; writes && i < subsets; i++) {
			uint64_t kept = all ? i : random_next(&states->random);
			unsigned problems = state_problems(states, &scratch, before, logged, epoch, kept);

			if (problems)
				printf("epoch %lu of %lu, blocks %#lx of %u\n",
				       epoch - logged->cached[0].epoch, last - logged->cached[0].epoch, kept,
				       writes);
		}
	}
	states->finished = true;
	state_problems(states, &scratch, before, logged, last, UINT64_MAX);
	machine_free(&scratch);
}

static unsigned run(uint64_t seed, fiber_function *change, uint64_t pool_size, bool lying)
{
	static struct states states;
	struct machine machine;
	uint8_t *before;

	must(machine_make(&machine, "-b 1024 -g 1024 -I 256 -N 512", NULL, "2M", pool_size), "set-up");
	states = (struct states){.machine = &machine, .random = seed * 0x9e3779b97f4a7c15ull + 1};
	machine.random += seed << 20;
	must(machine_mount(&machine, false) == 0, "set-up");
	must(machine_run(&machine, setup_fiber, &states), "set-up");
	before = malloc(machine.size);
	memcpy(before, machine.disk, machine.size);
	machine_cache_writes(&machine, 0);
	machine.ignore_flushes = true;
	must(machine_run(&machine, change, &states), "set-up");
	for (uint32_t i = 0; lying && i < machine.cached_count; i++)
		machine.cached[i].epoch = 0;
	replay(&states, &machine, before);
	states.machine = &machine;
	machine_unmount(&machine);
	machine_free(&machine);
	free(before);
	return states.problems;
}

unsigned states_problems(uint64_t seed, enum states_changes changes)
{
	static fiber_function *const fibers[] = {
	        [STATES_RANDOM] = change_fiber,     [STATES_GROWN] = grown_fiber,
	        [STATES_NAMES] = names_fiber,       [STATES_CROWDED] = names_fiber,
	        [STATES_REPLACED] = replaced_fiber, [STATES_LARGE] = large_fiber,
	};

	return run(seed, fibers[changes], changes == STATES_CROWDED ? POOL_SMALL : POOL_SIZE, false);
}

unsigned states_problems_without_flushes(uint64_t seed)
{
	return run(seed, change_fiber, POOL_SIZE, true);
}
