/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "model.h"

#define UNLINKED (-2)

#define EXPECT(model, condition)                                                                   \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			(model)->problems++;                                                       \
			if ((model)->problems < 6 && !(model)->quiet)                              \
				printf("%s:%d: %s: client %u: %s\n", __FILE__, __LINE__, __func__, \
				       (model)->index, #condition);                                \
		}                                                                                  \
	} while (0)

static uint32_t below(struct model *model, uint32_t limit)
{
	return random_below(&model->random, limit);
}

static uint32_t directory_number(struct model *model, int parent)
{
	return parent < 0 ? model->root : model->nodes[parent].number;
}

static struct fs_request *request_new(uint32_t operation, uint64_t inode)
{
	struct fs_request *request = calloc(1, sizeof(*request));

	request->operation = operation;
	request->inode = inode;
	return request;
}

static void request_name(struct fs_request *request, const char *name)
{
	request->name_length = (uint32_t)strlen(name);
	memcpy(request->data, name, request->name_length);
}

static void request_target(struct fs_request *request, const char *target)
{
	request->target_length = (uint32_t)strlen(target);
	memcpy(request->data + request->name_length, target, request->target_length);
}

static int call(struct model *model, struct fs_request *request)
{
	int error = machine_call(model->machine, request);

	if (error == ENOSPC)
		model->full++;
	return error;
}

/* ---- the model's tree ---- */

static int node_free_slot(struct model *model)
{
	for (int i = 0; i < MODEL_NODES; i++)
		if (!model->nodes[i].used)
			return i;
	return -1;
}

static int node_find(struct model *model, int parent, const char *name)
{
	for (int i = 0; i < MODEL_NODES; i++)
		if (model->nodes[i].used && model->nodes[i].parent == parent &&
		    !strcmp(model->nodes[i].name, name))
			return i;
	return -1;
}

/* A random node of the type (0: any) that has a name; -1: none met */
static int node_pick(struct model *model, unsigned type)
{
	for (unsigned tries = 0; tries < 40; tries++) {
		int i = (int)below(model, MODEL_NODES);

		if (model->nodes[i].used && model->nodes[i].parent != UNLINKED &&
		    (!type || (model->nodes[i].mode & S_IFMT) == type))
			return i;
	}
	return -1;
}

static int parent_pick(struct model *model)
{
	return below(model, 3) ? node_pick(model, S_IFDIR) : -1;
}

static void name_make(struct model *model, char *name)
{
	unsigned length = below(model, 4) ? 1 : 1 + below(model, 50);

	for (unsigned i = 0; i < length; i++)
		name[i] = (char)('a' + (i ? 5 : below(model, 24)));
	name[length] = 0;
}

static bool node_is_below(struct model *model, int node, int ancestor)
{
	for (; node >= 0; node = model->nodes[node].parent)
		if (node == ancestor)
			return true;
	return false;
}

static bool node_has_children(struct model *model, int node)
{
	for (int i = 0; i < MODEL_NODES; i++)
		if (model->nodes[i].used && model->nodes[i].parent == node)
			return true;
	return false;
}

static unsigned node_links(struct model *model, int node)
{
	unsigned links = 2;

	if (!S_ISDIR(model->nodes[node].mode))
		return model->nodes[node].file ? model->nodes[node].file->links : 1;
	for (int i = 0; i < MODEL_NODES; i++)
		links += model->nodes[i].used && model->nodes[i].parent == node &&
		         S_ISDIR(model->nodes[i].mode);
	return links;
}

static void node_drop(struct model *model, int index)
{
	struct node *node = &model->nodes[index];

	if (node->file && --node->file->links == 0)
		free(node->file);
	free(node->target);
	memset(node, 0, sizeof(*node));
}

/* ---- operations ---- */

static const unsigned create_types[] = {S_IFREG, S_IFREG, S_IFREG, S_IFREG, S_IFDIR, S_IFDIR,
                                        S_IFLNK, S_IFLNK, S_IFIFO, S_IFCHR, S_IFSOCK};

static char *target_make(struct model *model)
{
	unsigned length = 1 + below(model, below(model, 2) ? 50 : 900);
	char *target = malloc(length + 1);

	memset(target, 'a' + (int)below(model, 26), length);
	target[length] = 0;
	return target;
}

static void do_create(struct model *model)
{
	unsigned type = create_types[below(model, sizeof(create_types) / sizeof(create_types[0]))];
	int parent = parent_pick(model), slot = node_free_slot(model), error;
	struct fs_request *request;
	struct node node = {.used = true, .parent = parent, .mode = type | below(model, 512)};

	if (slot < 0)
		return;
	name_make(model, node.name);
	request = request_new(type == S_IFLNK ? FS_SYMLINK : FS_CREATE, directory_number(model, parent));
	request_name(request, node.name);
	request->attributes.mode = node.mode;
	request->attributes.uid = below(model, 2) * 100000;
	request->attributes.ctime = environment_now();
	if (type == S_IFLNK) {
		node.mode = S_IFLNK | 0777;
		node.target = target_make(model);
		request_target(request, node.target);
	}
	if (type == S_IFCHR)
		request->attributes.rdev = node.rdev = below(model, 2) ? below(model, 65536) : 0x12345678;
	error = call(model, request);
	if (node_find(model, parent, node.name) >= 0) {
		EXPECT(model, error == EEXIST);
	} else if (error != ENOSPC) {
		EXPECT(model, error == 0);
	}
	if (error) {
		free(node.target);
	} else {
		node.number = (uint32_t)request->attributes.inode;
		EXPECT(model, request->attributes.mode == node.mode);
		if (S_ISREG(node.mode)) {
			node.file = calloc(1, sizeof(*node.file));
			node.file->links = 1;
		}
		model->nodes[slot] = node;
	}
	free(request);
}

static void do_link(struct model *model)
{
	int file = node_pick(model, S_IFREG), parent = parent_pick(model), slot = node_free_slot(model),
	    error;
	struct fs_request *request;
	struct node node;

	if (file < 0 || slot < 0)
		return;
	node = model->nodes[file];
	node.parent = parent;
	name_make(model, node.name);
	request = request_new(FS_LINK, directory_number(model, parent));
	request->other_inode = node.number;
	request_name(request, node.name);
	error = call(model, request);
	if (node_find(model, parent, node.name) >= 0)
		EXPECT(model, error == EEXIST);
	else if (error != ENOSPC)
		EXPECT(model, error == 0);
	if (!error) {
		node.file->links++;
		EXPECT(model, request->attributes.links == node.file->links);
		model->nodes[slot] = node;
	}
	free(request);
}

static void close_file(struct model *model, uint32_t number)
{
	struct fs_request *request = request_new(FS_CLOSE, number);

	EXPECT(model, call(model, request) == 0);
	free(request);
}

static void do_unlink(struct model *model)
{
	int node = node_pick(model, 0), error;
	bool keep = node >= 0 && model->nodes[node].file && model->nodes[node].file->links == 1 &&
	            !below(model, 4);
	struct fs_request *request;

	if (node < 0)
		return;
	if (keep) {
		request = request_new(FS_OPEN, model->nodes[node].number);
		EXPECT(model, call(model, request) == 0);
		free(request);
	}
	request = request_new(below(model, 10) || S_ISDIR(model->nodes[node].mode)
	                              ? (S_ISDIR(model->nodes[node].mode) ? FS_RMDIR : FS_UNLINK)
	                              : FS_RMDIR,
	                      directory_number(model, model->nodes[node].parent));
	request_name(request, model->nodes[node].name);
	error = call(model, request);
	if (request->operation == FS_RMDIR && !S_ISDIR(model->nodes[node].mode)) {
		EXPECT(model, error == ENOTDIR);
		if (keep)
			close_file(model, model->nodes[node].number);
	} else if (S_ISDIR(model->nodes[node].mode) && node_has_children(model, node)) {
		EXPECT(model, error == ENOTEMPTY);
	} else {
		EXPECT(model, error == 0);
		if (keep)
			model->nodes[node].parent = UNLINKED;
		else
			node_drop(model, node);
	}
	free(request);
}

static void do_close_unlinked(struct model *model)
{
	for (int i = 0; i < MODEL_NODES; i++) {
		if (!model->nodes[i].used || model->nodes[i].parent != UNLINKED || below(model, 2))
			continue;
		close_file(model, model->nodes[i].number);
		node_drop(model, i);
		return;
	}
}

static int rename_expected(struct model *model, int source, int parent, int target, unsigned flags)
{
	bool source_directory = S_ISDIR(model->nodes[source].mode), target_directory;

	if (target < 0 && flags & FS_RENAME_EXCHANGE)
		return ENOENT;
	if (target >= 0 && flags & FS_RENAME_NOREPLACE)
		return EEXIST;
	if (source_directory && node_is_below(model, parent, source))
		return EINVAL;
	if (target < 0 || target == source)
		return 0;
	target_directory = S_ISDIR(model->nodes[target].mode);
	if (node_is_below(model, source, target))
		return flags & FS_RENAME_EXCHANGE             ? EINVAL
		       : target_directory && source_directory ? ENOTEMPTY
		                                              : -1;
	if (flags & FS_RENAME_EXCHANGE)
		return 0;
	if (model->nodes[target].number == model->nodes[source].number)
		return 0;
	if (source_directory != target_directory)
		return source_directory ? ENOTDIR : EISDIR;
	return target_directory && node_has_children(model, target) ? ENOTEMPTY : 0;
}

static void do_rename(struct model *model)
{
	static const unsigned flag_choice[] = {0, 0, 0, FS_RENAME_NOREPLACE, FS_RENAME_EXCHANGE};
	unsigned flags = flag_choice[below(model, 5)];
	int source = node_pick(model, 0), parent = below(model, 2) ? -1 : node_pick(model, S_IFDIR), target,
	    error, expected;
	struct fs_request *request;
	char name[64];

	if (source < 0)
		return;
	name_make(model, name);
	if (below(model, 2)) {
		target = node_pick(model, 0);
		if (target >= 0) {
			parent = model->nodes[target].parent;
			strcpy(name, model->nodes[target].name);
		}
	}
	target = node_find(model, parent, name);
	request = request_new(FS_RENAME, directory_number(model, model->nodes[source].parent));
	request->other_inode = directory_number(model, parent);
	request->flags = flags;
	request_name(request, model->nodes[source].name);
	request_target(request, name);
	error = call(model, request);
	expected = rename_expected(model, source, parent, target, flags);
	if (expected == -1)
		EXPECT(model, error == ENOTEMPTY || error == EISDIR);
	else if (error != ENOSPC)
		EXPECT(model, error == expected);
	free(request);
	if (error || target == source)
		return;
	if (flags & FS_RENAME_EXCHANGE) {
		int other = model->nodes[source].parent;

		if (model->nodes[source].number == model->nodes[target].number)
			return;
		strcpy(model->nodes[target].name, model->nodes[source].name);
		strcpy(model->nodes[source].name, name);
		model->nodes[source].parent = parent;
		model->nodes[target].parent = other;
		return;
	}
	if (target >= 0) {
		if (model->nodes[source].number == model->nodes[target].number)
			return;
		node_drop(model, target);
	}
	model->nodes[source].parent = parent;
	strcpy(model->nodes[source].name, name);
}

static uint32_t page_index(struct model *model, uint32_t i)
{
	return model->page_base + (i * 7 + model->index) % MODEL_PAGES;
}

static uint8_t *page_memory(struct model *model, uint32_t i)
{
	return model->machine->pool1 + (uint64_t)page_index(model, i) * PAGE_SIZE;
}

static void request_pages(struct model *model, struct fs_request *request, uint32_t first, uint32_t count)
{
	struct fs_page *pages = (struct fs_page *)request->data;

	request->count = count;
	for (uint32_t i = 0; i < count; i++)
		pages[i] = (struct fs_page){.page = first + i, .pool = 1, .offset = page_index(model, i)};
}

static int file_pick(struct model *model)
{
	for (int i = 0; i < MODEL_NODES; i++)
		if (model->nodes[i].used && model->nodes[i].parent == UNLINKED && !below(model, 6))
			return i;
	return node_pick(model, S_IFREG);
}

static void do_write(struct model *model)
{
	int node = file_pick(model), error;
	uint64_t start, end, new_size;
	struct fs_request *request;
	struct model_file *file;
	uint32_t first, count;
	uint8_t *old;
	uint64_t old_size;

	if (node < 0)
		return;
	file = model->nodes[node].file;
	start = below(model, 4) ? below(model, MODEL_SIZE_MAX / 4) : below(model, MODEL_SIZE_MAX - 4096);
	end = start + 1 + below(model, below(model, 3) ? 9000 : 120000);
	if (end > MODEL_SIZE_MAX)
		end = MODEL_SIZE_MAX;
	first = (uint32_t)(start / PAGE_SIZE);
	count = (uint32_t)((end + PAGE_SIZE - 1) / PAGE_SIZE) - first;
	if (count > MODEL_PAGES)
		count = MODEL_PAGES;
	if (end > (uint64_t)(first + count) * PAGE_SIZE)
		end = (uint64_t)(first + count) * PAGE_SIZE;
	new_size = end > file->size ? end : file->size;
	old = malloc(MODEL_SIZE_MAX);
	memcpy(old, file->content, MODEL_SIZE_MAX);
	old_size = file->size;
	for (uint64_t i = start; i < end; i++)
		file->content[i] = (uint8_t)random_next(&model->random);
	file->size = new_size;
	request = request_new(FS_WRITE_PAGES, model->nodes[node].number);
	request_pages(model, request, first, count);
	request->attributes.size = new_size;
	for (uint32_t i = 0; i < count; i++)
		memcpy(page_memory(model, i), file->content + (first + i) * PAGE_SIZE, PAGE_SIZE);
	error = call(model, request);
	if (error == ENOSPC) {
		uint64_t reached = (first + request->count) * PAGE_SIZE;

		/* What fitted is there; the page in which it ended may be there in part. Adopt the size,
		 * forget this file's content. */
		EXPECT(model, request->count < count);
		(void)reached;
		file->size = request->attributes.size;
		EXPECT(model, file->size >= old_size && file->size <= new_size);
		for (uint64_t i = (first + request->count) * PAGE_SIZE;
		     i < (first + request->count + 1) * PAGE_SIZE && i < file->size; i++)
			old[i] = file->content[i];
		memcpy(file->content + (first + request->count) * PAGE_SIZE,
		       old + (first + request->count) * PAGE_SIZE,
		       MODEL_SIZE_MAX - (first + request->count) * PAGE_SIZE);
		memset(file->content + file->size, 0, MODEL_SIZE_MAX - file->size);
	} else {
		EXPECT(model, error == 0);
		EXPECT(model, request->count == count);
		EXPECT(model, request->attributes.size == new_size);
	}
	free(old);
	free(request);
}

static void do_truncate(struct model *model)
{
	int node = file_pick(model);
	struct fs_request *request;
	struct model_file *file;
	uint64_t size;

	if (node < 0)
		return;
	file = model->nodes[node].file;
	size = below(model, 3) ? below(model, MODEL_SIZE_MAX) : 0;
	request = request_new(FS_SETATTR, model->nodes[node].number);
	request->mask = FS_SET_SIZE;
	request->attributes.size = size;
	EXPECT(model, call(model, request) == 0);
	EXPECT(model, request->attributes.size == size);
	if (size < file->size)
		memset(file->content + size, 0, file->size - size);
	file->size = size;
	free(request);
}

static uint64_t seek(struct model *model, int node, uint64_t from, unsigned flags)
{
	struct fs_request *request = request_new(FS_SEEK, model->nodes[node].number);
	uint64_t found;
	int error;

	request->offset = from;
	request->flags = flags;
	error = call(model, request);
	found = error == ENXIO ? UINT64_MAX : request->offset;
	EXPECT(model, (!error && found >= from) || error == ENXIO);
	free(request);
	return found;
}

/* What is not zero is in no hole. */
static void verify_holes(struct model *model, int node)
{
	struct model_file *file = model->nodes[node].file;
	uint64_t at = 0, data;

	while ((data = seek(model, node, at, 0)) != UINT64_MAX) {
		for (uint64_t i = at; i < data && i < MODEL_SIZE_MAX; i++)
			if (file->content[i]) {
				EXPECT(model, !"data in a hole");
				return;
			}
		at = seek(model, node, data, FS_SEEK_HOLE);
		EXPECT(model, at > data && at <= file->size);
		if (at <= data || at >= file->size)
			return;
	}
	for (uint64_t i = at; i < MODEL_SIZE_MAX; i++)
		if (file->content[i]) {
			EXPECT(model, !"data in the last hole");
			return;
		}
}

static void do_punch(struct model *model)
{
	uint64_t block = model->machine->fs.block_size, first, end;
	int node = node_pick(model, S_IFREG);
	struct fs_request *request;
	struct model_file *file;

	if (node < 0)
		return;
	file = model->nodes[node].file;
	request = request_new(FS_PUNCH, model->nodes[node].number);
	request->offset = below(model, MODEL_SIZE_MAX);
	request->attributes.size = 1 + below(model, below(model, 3) ? 20000 : 2 * MODEL_SIZE_MAX);
	first = (request->offset + block - 1) / block * block;
	end = (request->offset + request->attributes.size) / block * block;
	EXPECT(model, call(model, request) == 0);
	EXPECT(model, request->attributes.size == file->size);
	if (first < end && first < MODEL_SIZE_MAX) {
		memset(file->content + first, 0, (end < MODEL_SIZE_MAX ? end : MODEL_SIZE_MAX) - first);
		EXPECT(model, seek(model, node, first, 0) >= end);
	}
	verify_holes(model, node);
	free(request);
}

static void verify_content(struct model *model, int node)
{
	struct model_file *file = model->nodes[node].file;
	uint32_t pages = (uint32_t)((file->size + PAGE_SIZE - 1) / PAGE_SIZE) + 2;

	for (uint32_t first = 0; first < pages; first += MODEL_PAGES) {
		uint32_t count = pages - first < MODEL_PAGES ? pages - first : MODEL_PAGES;
		struct fs_request *request = request_new(FS_READ_PAGES, model->nodes[node].number);

		request_pages(model, request, first, count);
		for (uint32_t i = 0; i < count; i++)
			memset(page_memory(model, i), 0xee, PAGE_SIZE);
		EXPECT(model, call(model, request) == 0);
		for (uint32_t i = 0; i < count; i++) {
			static const uint8_t zeros[PAGE_SIZE];
			uint64_t position = (uint64_t)(first + i) * PAGE_SIZE;

			EXPECT(model, !memcmp(page_memory(model, i),
			                      position < MODEL_SIZE_MAX ? file->content + position : zeros,
			                      PAGE_SIZE));
		}
		free(request);
	}
}

static void verify_node(struct model *model, int index)
{
	struct node *node = &model->nodes[index];
	struct fs_request *request;

	if (node->parent == UNLINKED) {
		request = request_new(FS_GETATTR, node->number);
		EXPECT(model, call(model, request) == 0);
		EXPECT(model, request->attributes.links == 0);
	} else {
		request = request_new(FS_LOOKUP, directory_number(model, node->parent));
		request_name(request, node->name);
		EXPECT(model, call(model, request) == 0);
		EXPECT(model, request->attributes.links == node_links(model, index));
	}
	EXPECT(model, request->attributes.inode == node->number);
	EXPECT(model, request->attributes.mode == node->mode);
	if (node->file)
		EXPECT(model, request->attributes.size == node->file->size);
	if (S_ISCHR(node->mode))
		EXPECT(model, request->attributes.rdev == node->rdev);
	free(request);
	if (node->target) {
		request = request_new(FS_READLINK, node->number);
		EXPECT(model, call(model, request) == 0);
		EXPECT(model, request->length == strlen(node->target) &&
		                      !memcmp(request->data, node->target, request->length));
		free(request);
	}
	if (node->file)
		verify_content(model, index);
}

/* Every name once, nothing else; in several calls. */
static void verify_directory(struct model *model, int directory)
{
	unsigned seen = 0, expected = 2;
	uint64_t offset = 0;

	for (int i = 0; i < MODEL_NODES; i++)
		expected += model->nodes[i].used && model->nodes[i].parent == directory;
	for (;;) {
		struct fs_request *request = request_new(FS_READDIR, directory_number(model, directory));
		int error;

		request->offset = offset;
		error = call(model, request);
		EXPECT(model, error == 0);
		if (error || !request->length) {
			free(request);
			break;
		}
		for (uint32_t at = 0; at < request->length;) {
			struct fs_dirent *entry = (struct fs_dirent *)(request->data + at);
			char name[256];
			int node;

			memcpy(name, entry->name, entry->name_length);
			name[entry->name_length] = 0;
			node = node_find(model, directory, name);
			seen++;
			if (strcmp(name, ".") && strcmp(name, "..")) {
				EXPECT(model, node >= 0 && model->nodes[node].number == entry->inode);
				EXPECT(model, node < 0 || !entry->type ||
				                      entry->type == (model->nodes[node].mode >> 12 & 15));
			}
			at += entry->record_size;
		}
		offset = request->offset;
		free(request);
	}
	EXPECT(model, seen == expected);
}

static void verify_missing(struct model *model)
{
	int parent = parent_pick(model);
	struct fs_request *request = request_new(FS_LOOKUP, directory_number(model, parent));
	char name[64];

	name_make(model, name);
	request_name(request, name);
	EXPECT(model, call(model, request) == (node_find(model, parent, name) >= 0 ? 0 : ENOENT));
	free(request);
}

static void do_sync(struct model *model)
{
	int node = node_pick(model, 0);
	struct fs_request *request = request_new(node < 0 || below(model, 2) ? FS_SYNC : FS_FSYNC,
	                                         node < 0 ? 2 : model->nodes[node].number);

	EXPECT(model, call(model, request) == 0);
	free(request);
}

static void step(struct model *model)
{
	uint32_t kind = below(model, 100);
	int node;

	if (kind < 25) {
		do_create(model);
	} else if (kind < 30) {
		do_link(model);
	} else if (kind < 42) {
		do_unlink(model);
	} else if (kind < 45) {
		do_close_unlinked(model);
	} else if (kind < 55) {
		do_rename(model);
	} else if (kind < 75) {
		do_write(model);
	} else if (kind < 82) {
		do_truncate(model);
	} else if (kind < 84) {
		do_punch(model);
	} else if (kind < 85) {
		do_sync(model);
	} else if (kind < 92) {
		node = node_pick(model, 0);
		if (node >= 0)
			verify_node(model, node);
	} else if (kind < 96) {
		verify_directory(model, parent_pick(model));
	} else {
		verify_missing(model);
	}
}

void model_init(struct model *model, struct machine *machine, unsigned index, uint64_t seed)
{
	memset(model, 0, sizeof(*model));
	model->machine = machine;
	model->index = index;
	model->random = seed * 0x9e3779b97f4a7c15ull + index * 77 + 1;
	model->page_base = index * MODEL_PAGES;
	snprintf(model->root_name, sizeof(model->root_name), "client%u", index);
}

void model_free(struct model *model)
{
	for (int i = 0; i < MODEL_NODES; i++)
		if (model->nodes[i].used)
			node_drop(model, i);
}

static void model_make_root(struct model *model)
{
	struct fs_request *request = request_new(FS_CREATE, FS_ROOT_INODE);

	request_name(request, model->root_name);
	request->attributes.mode = S_IFDIR | 0755;
	EXPECT(model, call(model, request) == 0);
	model->root = (uint32_t)request->attributes.inode;
	model->setup_done = true;
	free(request);
}

void model_fiber(void *argument)
{
	struct model *model = argument;

	if (!model->setup_done)
		model_make_root(model);
	for (unsigned i = 0; i < model->steps; i++)
		step(model);
}

void model_verify_fiber(void *argument)
{
	struct model *model = argument;

	verify_directory(model, -1);
	for (int i = 0; i < MODEL_NODES; i++) {
		if (!model->nodes[i].used)
			continue;
		verify_node(model, i);
		if (S_ISDIR(model->nodes[i].mode))
			verify_directory(model, i);
	}
}
