/* SPDX-License-Identifier: MIT */
/*
 * /pith: the system's own components as files. /pith/components/NAME/status shows one, `log` what it said; a
 * 1 written to `kill` or `restart` ends it and has it started again. All of it is asked of the supervisor
 * (proto/system.h), which answers at once.
 */
#include "fs/pseudo.h"
#include <pith/log.h>
#include <pith/startup.h>
#include <pith/syscall.h>
#include <proto/system.h>
#include <stdio.h>

#define NAME_WORDS 4
#define LOG_PART   400

/* One call; words in and out. -EIO: the supervisor does not answer. */
static int system_call_words(unsigned operation, struct message *message, unsigned words)
{
	const struct startup_entry *entry = startup_find("system", STARTUP_ENDPOINT, 0);
	if (entry == NULL)
		return -ENODEV;
	message->info = MESSAGE_INFO(operation, words);
	if (ipc_call(entry->slot, message, DEADLINE_NEVER) != ERR_NONE)
		return -EIO;
	switch (message->words[0]) {
	case SYSTEM_OK:
		return 0;
	case SYSTEM_NO_COMPONENT:
		return -ENOENT;
	case SYSTEM_DENIED:
		return -EPERM;
	case SYSTEM_GONE:
		return -ESRCH;
	default:
		return -EINVAL;
	}
}

static void put_name(struct message *message, const char *name)
{
	char packed[NAME_WORDS * 8] = "";
	memcpy(packed, name, strnlen(name, sizeof(packed) - 1));
	memcpy(message->words, packed, sizeof(packed));
}

static int component_status(const char *name, struct component_status *status)
{
	struct message message = {0};
	put_name(&message, name);
	int error = system_call_words(SYSTEM_COMPONENT_STATUS, &message, NAME_WORDS);
	if (error != 0)
		return error;
	memcpy(status, &ipc_buffer()->words[MESSAGE_REGISTER_WORDS], sizeof(*status));
	return 0;
}

static int show_status(struct text *text, const struct pseudo *file)
{
	static const char *const states[] = {"starting", "running", "restarting", "failed", "exited"};
	struct component_status status;
	int error = component_status(file->name, &status);
	if (error != 0)
		return error;
	text_print(text, "name: %s\nstate: %s\n", file->name,
	           status.state < 5 ? states[status.state] : "unknown");
	text_print(text,
	           "restarts: %lu\nkills: %lu\nmemory: %lu\ncpu_time: %lu\npriority: %lu\nstarted: %lu\n",
	           status.restarts, status.kills, status.memory, status.cpu_time, status.priority,
	           status.started);
	text_print(text, "messages: %lu\nevents: %lu\nrequests: %lu\nserved: %lu\n", status.counters.messages,
	           status.counters.events, status.counters.requests, status.counters.served);
	return 0;
}

int component_log(const char *name, uint64_t *position, struct text *text)
{
	for (;;) {
		struct message message = {0};
		put_name(&message, name);
		message.words[NAME_WORDS] = *position;
		int error = system_call_words(SYSTEM_COMPONENT_LOG, &message, NAME_WORDS + 1);
		uint64_t length = message.words[1];
		if (error != 0 || length == 0 || length > LOG_PART || message.words[2] <= *position)
			return error;
		text_add(text, (const char *)&ipc_buffer()->words[MESSAGE_REGISTER_WORDS], length);
		*position = message.words[2];
	}
}

static int show_log(struct text *text, const struct pseudo *file)
{
	uint64_t position = 0;
	return component_log(file->name, &position, text);
}

static int store_kill(const struct pseudo *file, char *data, size_t length)
{
	struct message message = {0};
	if (strcmp(data, "1") != 0 && strcmp(data, "1\n") != 0)
		return -EINVAL;
	(void)length;
	put_name(&message, file->name);
	return system_call_words(SYSTEM_COMPONENT_KILL, &message, NAME_WORDS);
}

static int component_find(const struct pseudo *directory, const char *name, struct pseudo *member)
{
	struct component_status status;
	(void)directory;
	if (strlen(name) >= NAME_WORDS * 8)
		return -ENOENT;
	snprintf(member->name, sizeof(member->name), "%s", name);
	return component_status(name, &status);
}

bool component_name(unsigned *number, char name[PSEUDO_NAME])
{
	struct message message = {.words = {*number}};
	if (system_call_words(SYSTEM_COMPONENT_NAME, &message, 1) != 0)
		return false;
	memcpy(name, &message.words[2], NAME_WORDS * 8);
	name[NAME_WORDS * 8 - 1] = 0;
	return true;
}

uint64_t components_cpu_time(void)
{
	char name[PSEUDO_NAME];
	uint64_t sum = 0;
	for (unsigned number = 0; component_name(&number, name); number++) {
		struct component_status status;
		if (component_status(name, &status) == 0)
			sum += status.cpu_time;
	}
	return sum;
}

static bool component_next(const struct pseudo *directory, unsigned *number, char name[PSEUDO_NAME])
{
	(void)directory;
	return component_name(number, name);
}

static const struct pseudo_node component_files[] = {
        {.name = "kill", .mode = S_IFREG | 0200, .store = store_kill},
        {.name = "log", .mode = S_IFREG | 0444, .show = show_log},
        {.name = "restart", .mode = S_IFREG | 0200, .store = store_kill},
        {.name = "status", .mode = S_IFREG | 0444, .show = show_status},
        {.name = NULL},
};
static const struct pseudo_node component_member = {
        .name = "NAME", .mode = S_IFDIR | 0555, .children = component_files};
static const struct pseudo_node pith_folders[] = {
        {.name = "components",
         .mode = S_IFDIR | 0555,
         .member = &component_member,
         .find = component_find,
         .next = component_next},
        {.name = NULL},
};
static const struct pseudo_node pith_root = {
        .name = "pith", .mode = S_IFDIR | 0555, .children = pith_folders};

int pithfs_mount(const char *source, const char *options, struct superblock **out)
{
	(void)options;
	return pseudo_mount("pith", &pith_root, source, 0x50495448, out);
}
