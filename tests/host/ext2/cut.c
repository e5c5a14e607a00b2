/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cut.h"

#define FILE_PAGES (CUT_SIZE_MAX / PAGE_SIZE)

static uint32_t below(struct cut_client *client, uint32_t limit)
{
	return random_below(&client->random, limit);
}

/* What byte `position` of a version of a file is. */
static uint8_t content_byte(uint32_t version, uint32_t position)
{
	return (uint8_t)((version * 2654435761u + position / 8) * 2246822519u >> (position % 4 * 8));
}

static struct fs_request *request_new(uint32_t operation, uint64_t inode, const char *name)
{
	struct fs_request *request = calloc(1, sizeof(*request));

	request->operation = operation;
	request->inode = inode;
	if (name) {
		request->name_length = (uint32_t)strlen(name);
		memcpy(request->data, name, request->name_length);
	}
	return request;
}

/* Frees the request. Nothing is answered any more once the power is gone: ECANCELED. */
static int call(struct cut_client *client, struct fs_request *request)
{
	int error = machine_call(client->machine, request);

	free(request);
	if (client->machine->cut)
		return ECANCELED;
	return error;
}

static int create_in(struct cut_client *client, uint32_t directory, const char *name, unsigned mode,
                     uint32_t *number)
{
	struct fs_request *request = request_new(FS_CREATE, directory, name);
	int error;

	request->attributes.mode = mode;
	error = machine_call(client->machine, request);
	*number = (uint32_t)request->attributes.inode;
	free(request);
	return client->machine->cut ? ECANCELED : error;
}

static int create(struct cut_client *client, const char *name, unsigned mode, uint32_t *number)
{
	return create_in(client, client->root ? client->root : FS_ROOT_INODE, name, mode, number);
}

static uint8_t *page_memory(struct cut_client *client, uint32_t page)
{
	return client->machine->pool1 + ((uint64_t)client->index * FILE_PAGES + page) * PAGE_SIZE;
}

static void request_pages(struct cut_client *client, struct fs_request *request, uint32_t first, uint32_t end)
{
	struct fs_page *pages = (struct fs_page *)request->data;

	request->count = end - first;
	for (uint32_t i = first; i < end; i++)
		pages[i - first] = (struct fs_page){i, 1, client->index * FILE_PAGES + i};
}

static uint32_t pages_of(uint32_t size)
{
	return (uint32_t)((size + PAGE_SIZE - 1) / PAGE_SIZE);
}

/* The file's bytes from `from` on; what was before stays. */
static int write_content(struct cut_client *client, uint32_t number, uint32_t version, uint32_t from,
                         uint32_t size)
{
	struct fs_request *request = request_new(FS_WRITE_PAGES, number, NULL);

	request_pages(client, request, from / PAGE_SIZE, pages_of(size));
	request->attributes.size = size;
	for (uint32_t i = from / PAGE_SIZE * PAGE_SIZE; i < pages_of(size) * PAGE_SIZE; i++)
		page_memory(client, 0)[i] = i < size ? content_byte(version, i) : 0;
	return call(client, request);
}

/* A power cut may or may not keep this state of the name, and all that could be there before. */
static void may_be(struct cut_name *name, struct cut_state state)
{
	if (name->count == CUT_STATES)
		memmove(&name->states[0], &name->states[1], --name->count * sizeof(state));
	name->states[name->count++] = state;
}

/* Only the last state of a name is possible from now on. */
static void names_are_safe(struct cut_client *client)
{
	for (unsigned i = 0; i < CUT_NAMES; i++) {
		struct cut_name *name = &client->names[i];

		if (name->count) {
			name->states[0] = name->states[name->count - 1];
			name->states[0].hole_safe = true;
		}
		name->count = name->count ? 1 : 0;
	}
}

static int fsync_file(struct cut_client *client, uint32_t number)
{
	int error = call(client, request_new(FS_FSYNC, number, NULL));

	if (!error) {
		names_are_safe(client);
		client->syncs++;
	}
	return error;
}

static struct cut_state *last_state(struct cut_name *name)
{
	return name->count ? &name->states[name->count - 1] : NULL;
}

/* A new file, maybe fsynced, under its name at once or by a rename over what is there. */
static int do_replace(struct cut_client *client, struct cut_name *name)
{
	struct cut_state state = {.version = ++client->version,
	                          .size = 1 + below(client, below(client, 3) ? 9000 : CUT_SIZE_MAX - 1)};
	struct fs_request *request;
	char temporary[32];
	bool sync = below(client, 3);
	int error;

	snprintf(temporary, sizeof(temporary), "temporary-%u", client->version);
	error = create(client, temporary, S_IFREG | 0644, &state.number);
	if (!error)
		error = write_content(client, state.number, state.version, 0, state.size);
	if (!error && sync) {
		error = fsync_file(client, state.number);
		state.synced = state.size;
	}
	if (error)
		return error;
	if (!name->count)
		may_be(name, (struct cut_state){.absent = true});
	may_be(name, state);
	request = request_new(FS_RENAME, client->root, temporary);
	request->other_inode = client->root;
	request->target_length = (uint32_t)strlen(name->text);
	memcpy(request->data + request->name_length, name->text, request->target_length);
	error = call(client, request);
	return error;
}

static int do_create(struct cut_client *client, struct cut_name *name)
{
	struct cut_state state = {.version = ++client->version, .size = 1 + below(client, CUT_SIZE_MAX - 1)};
	struct cut_state absent = {.absent = true};
	int error;

	if (!name->count)
		may_be(name, absent);
	state.size = below(client, 2) ? state.size : state.size % 5000 + 1;
	may_be(name, state);
	error = create(client, name->text, S_IFREG | 0644, &state.number);
	*last_state(name) = state;
	if (!error)
		error = write_content(client, state.number, state.version, 0, state.size);
	if (!error && below(client, 2)) {
		error = fsync_file(client, state.number);
		if (!error)
			last_state(name)->synced = state.size;
	}
	return error;
}

static int do_append(struct cut_client *client, struct cut_name *name)
{
	struct cut_state *state = last_state(name);
	uint32_t old = state->size;
	int error;

	if (old >= CUT_SIZE_MAX - 1)
		return 0;
	state->size = old + 1 + below(client, CUT_SIZE_MAX - old - 1);
	error = write_content(client, state->number, state->version, old, state->size);
	if (!error && below(client, 2)) {
		error = fsync_file(client, state->number);
		if (!error)
			last_state(name)->synced = last_state(name)->size;
	}
	return error;
}

/* Whole pages of what is safe become a hole, whatever name a cut leaves the file. One hole a file. */
static int do_punch(struct cut_client *client, struct cut_name *name)
{
	struct cut_state *state = last_state(name);
	uint32_t pages = state->synced / PAGE_SIZE, number = state->number, from, end;
	struct fs_request *request;

	if (!pages || state->hole_end)
		return 0;
	from = below(client, pages) * PAGE_SIZE;
	end = from + (1 + below(client, pages - from / PAGE_SIZE)) * PAGE_SIZE;
	for (unsigned i = 0; i < CUT_NAMES; i++)
		for (unsigned j = 0; j < client->names[i].count; j++) {
			struct cut_state *other = &client->names[i].states[j];

			if (other->number == number) {
				other->hole_from = from;
				other->hole_end = end;
				other->hole_safe = false;
			}
		}
	request = request_new(FS_PUNCH, number, NULL);
	request->offset = from;
	request->attributes.size = end - from;
	return call(client, request);
}

static int do_unlink(struct cut_client *client, struct cut_name *name)
{
	may_be(name, (struct cut_state){.absent = true});
	return call(client, request_new(FS_UNLINK, client->root, name->text));
}

/* To another of the client's names, which is free. */
static int do_move(struct cut_client *client, struct cut_name *name)
{
	struct cut_name *to = &client->names[below(client, CUT_NAMES)];
	struct cut_state state = *last_state(name);
	struct fs_request *request;

	if (to == name || (last_state(to) && !last_state(to)->absent))
		return 0;
	/* Whole under the one name or the other. */
	state.twin = name;
	if (!to->count)
		may_be(to, (struct cut_state){.absent = true});
	may_be(to, state);
	may_be(name, (struct cut_state){.absent = true, .twin = to});
	request = request_new(FS_RENAME, client->root, name->text);
	request->other_inode = client->root;
	request->target_length = (uint32_t)strlen(to->text);
	memcpy(request->data + request->name_length, to->text, request->target_length);
	return call(client, request);
}

static const char *folder_name(const struct cut_client *client, const struct cut_folder *folder)
{
	static char text[32];

	snprintf(text, sizeof(text), "folder%u", (unsigned)(folder - client->folders));
	return text;
}

static int folder_make(struct cut_client *client, struct cut_folder *folder)
{
	int error;

	*folder = (struct cut_folder){
	        .used = true, .version = ++client->version, .size = 1 + below(client, 9000)};
	error = create(client, folder_name(client, folder), S_IFDIR | 0755, &folder->outer);
	if (!error)
		error = create_in(client, folder->outer, "inner", S_IFDIR | 0755, &folder->inner);
	if (!error)
		error = create_in(client, folder->inner, "file", S_IFREG | 0644, &folder->file);
	if (!error)
		error = write_content(client, folder->file, folder->version, 0, folder->size);
	if (!error && below(client, 4)) {
		error = fsync_file(client, folder->file);
		folder->safe = !error;
	}
	return error;
}

static int folder_remove(struct cut_client *client, struct cut_folder *folder)
{
	int error;

	folder->going = true;
	error = call(client, request_new(FS_UNLINK, folder->inner, "file"));
	if (!error)
		error = call(client, request_new(FS_RMDIR, folder->outer, "inner"));
	if (!error)
		error = call(client, request_new(FS_RMDIR, client->root, folder_name(client, folder)));
	if (!error)
		folder->used = false;
	return error;
}

static int step(struct cut_client *client)
{
	struct cut_folder *folder = &client->folders[below(client, CUT_FOLDERS)];

	struct cut_name *name = &client->names[below(client, CUT_NAMES)];
	struct cut_state *state = last_state(name);
	uint32_t kind = below(client, 100);

	if (kind < 6)
		return fsync_file(client, client->root);
	if (kind >= 85)
		return folder->used ? folder_remove(client, folder) : folder_make(client, folder);
	if (!state || state->absent)
		return kind < 60 ? do_create(client, name) : do_replace(client, name);
	if (kind < 40)
		return do_replace(client, name);
	if (kind < 65)
		return client->punches && kind >= 55 ? do_punch(client, name) : do_append(client, name);
	return kind < 80 ? do_move(client, name) : do_unlink(client, name);
}

void cut_client_init(struct cut_client *client, struct machine *machine, unsigned index, uint64_t seed)
{
	memset(client, 0, sizeof(*client));
	client->machine = machine;
	client->index = index;
	client->random = seed * 0x9e3779b97f4a7c15ull + index * 77 + 1;
	client->punches = seed % 2 == 0;
	snprintf(client->root_name, sizeof(client->root_name), "client%u", index);
	/* Names of a length that spreads them over blocks. */
	for (unsigned i = 0; i < CUT_NAMES; i++)
		snprintf(client->names[i].text, sizeof(client->names[i].text), "name%u-%0150u", i, i);
}

void cut_setup_fiber(void *argument)
{
	struct cut_client *client = argument;

	client->error = create(client, client->root_name, S_IFDIR | 0755, &client->root);
	if (!client->error)
		client->error = call(client, request_new(FS_SYNC, 0, NULL));
}

void cut_client_fiber(void *argument)
{
	struct cut_client *client = argument;

	for (unsigned i = 0; i < CUT_STEPS && !client->error; i++)
		client->error = step(client);
}

/* ---- after the cut ---- */

static int lookup(struct cut_client *client, uint32_t directory, const char *name, struct fs_attributes *out)
{
	struct fs_request *request = request_new(FS_LOOKUP, directory, name);
	int error = machine_call(client->machine, request);

	*out = request->attributes;
	free(request);
	return error;
}

static bool content_is(struct cut_client *client, const struct fs_attributes *found,
                       const struct cut_state *state)
{
	struct fs_request *request;
	int error;

	if (found->size < state->synced)
		return false;
	if (!state->synced)
		return true;
	request = request_new(FS_READ_PAGES, found->inode, NULL);
	request_pages(client, request, 0, pages_of(state->synced));
	error = machine_call(client->machine, request);
	free(request);
	for (uint32_t i = 0; i < state->synced && !error; i++) {
		bool hole = i >= state->hole_from && i < state->hole_end;
		uint8_t byte = page_memory(client, 0)[i];

		if (byte != content_byte(state->version, i) ? byte || !hole
		                                            : byte && hole && state->hole_safe)
			return false;
	}
	return !error;
}

static bool name_is_good(struct cut_client *client, struct cut_name *name)
{
	struct fs_attributes found;
	int error = lookup(client, client->root, name->text, &found);

	name->found = !error;
	if (error && error != ENOENT)
		return false;
	for (unsigned i = 0; i < name->count; i++)
		if (error ? name->states[i].absent
		          : !name->states[i].absent && content_is(client, &found, &name->states[i]))
			return true;
	return !name->count && error;
}

static bool folder_is_good(struct cut_client *client, struct cut_folder *folder)
{
	struct cut_state state = {.version = folder->version, .size = folder->size, .synced = folder->size};
	struct fs_attributes found;

	if (!folder->safe || folder->going)
		return true;
	return !lookup(client, client->root, folder_name(client, folder), &found) &&
	       !lookup(client, (uint32_t)found.inode, "inner", &found) &&
	       !lookup(client, (uint32_t)found.inode, "file", &found) && content_is(client, &found, &state);
}

/* A file that was surely there under its old name, was moved, and has neither name. */
static bool is_nowhere(struct cut_name *name)
{
	struct cut_state *state = last_state(name), *moved;

	if (name->count < 2 || !state->absent || !state->twin)
		return false;
	moved = last_state(state->twin);
	for (unsigned i = 0; i + 1 < name->count; i++)
		if (name->states[i].absent)
			return false;
	return !moved->absent && moved->twin == name && !name->found && !state->twin->found;
}

void cut_check_fiber(void *argument)
{
	struct cut_client *client = argument;
	struct fs_attributes found;

	client->root = lookup(client, FS_ROOT_INODE, client->root_name, &found) ? 0 : (uint32_t)found.inode;
	for (unsigned i = 0; i < CUT_NAMES; i++) {
		struct cut_name *name = &client->names[i];

		if (name_is_good(client, name))
			continue;
		client->problems++;
		printf("client %u: %.6s is %s, but may be\n", client->index, name->text,
		       name->found ? "there" : "missing");
		for (unsigned n = 0; n < name->count; n++)
			printf("  %s, version %u, %u of %u bytes synced\n",
			       name->states[n].absent ? "absent" : "there", name->states[n].version,
			       name->states[n].synced, name->states[n].size);
	}
	for (unsigned i = 0; i < CUT_FOLDERS; i++) {
		if (folder_is_good(client, &client->folders[i]))
			continue;
		client->problems++;
		printf("client %u: folder%u is not whole\n", client->index, i);
	}
	for (unsigned i = 0; i < CUT_NAMES; i++) {
		if (!is_nowhere(&client->names[i]))
			continue;
		client->problems++;
		printf("client %u: %.6s was moved to %.6s, and is nowhere\n", client->index,
		       client->names[i].text, last_state(&client->names[i])->twin->text);
	}
}
