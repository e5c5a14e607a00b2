/* SPDX-License-Identifier: MIT */
/* proto/system.h: status, logs and killing of components, and power, for those whose manifest line says `uses
 * system`. */
#include <string.h>

#include "init.h"

#define LOG_BYTES 400

static void answer(struct message *message, enum system_status status, unsigned words)
{
	message->words[0] = status;
	message->info = MESSAGE_INFO(0, words);
}

static struct component *component_named(const struct message *message)
{
	char name[STARTUP_NAME + 1] = {0};
	memcpy(name, message->words, STARTUP_NAME);
	int index = manifest_component_find(&init.manifest, name);
	return index < 0 ? NULL : &init.components[index];
}

static void call_name(struct message *message)
{
	uint64_t number = message->words[0];
	if (number >= init.manifest.component_count) {
		answer(message, SYSTEM_NO_COMPONENT, 1);
		return;
	}
	const char *name = init.manifest.components[number].name;
	message->words[1] = strlen(name);
	memcpy(&message->words[2], name, STARTUP_NAME);
	answer(message, SYSTEM_OK, 6);
}

static void call_status(struct message *message)
{
	struct component *component = component_named(message);
	struct thread_info info;
	if (!component) {
		answer(message, SYSTEM_NO_COMPONENT, 1);
		return;
	}
	struct component_status status = {
	        .state = component->state,
	        .restarts = component->restarts,
	        .kills = component->kills,
	        .memory = component->memory_bytes,
	        .cpu_time = component->cpu_time_before,
	        .priority = component->manifest->priority,
	        .started = component->started,
	        .counters = *component->counters,
	};
	if (component->state == COMPONENT_RUNNING &&
	    thread_info(component->backings[component->thread].object, &info) == ERR_NONE)
		status.cpu_time += info.cpu_time;
	memcpy(&ipc_buffer()->words[MESSAGE_REGISTER_WORDS], &status, sizeof(status));
	answer(message, SYSTEM_OK, MESSAGE_REGISTER_WORDS + sizeof(status) / 8);
}

static void call_kill(struct message *message)
{
	struct component *component = component_named(message);
	if (!component)
		answer(message, SYSTEM_NO_COMPONENT, 1);
	else
		answer(message, supervise_kill(component) ? SYSTEM_OK : SYSTEM_GONE, 1);
}

static void call_log(struct message *message)
{
	struct component *component = component_named(message);
	if (!component) {
		answer(message, SYSTEM_NO_COMPONENT, 1);
		return;
	}
	journal_drain_one(component);
	uint64_t position = message->words[4], end = component->history_written;
	uint64_t oldest = end > COMPONENT_HISTORY ? end - COMPONENT_HISTORY : 0;
	if (position < oldest || position > end)
		position = oldest;
	size_t length = end - position < LOG_BYTES ? end - position : LOG_BYTES;
	char *out = (char *)&ipc_buffer()->words[6];
	for (size_t i = 0; i < length; i++)
		out[i] = component->history[(position + i) % COMPONENT_HISTORY];
	message->words[1] = length;
	message->words[2] = position + length;
	answer(message, SYSTEM_OK, 6 + (unsigned)(length + 7) / 8);
}

static void call_power(struct message *message)
{
	if (message->words[0] == SYSTEM_POWER_OFF) {
		log_info("power off");
		power_off();
	}
	if (message->words[0] == SYSTEM_REBOOT) {
		log_info("reboot");
		power_reboot();
	}
	answer(message, SYSTEM_BAD_REQUEST, 1);
}

bool service_call(badge_t badge, struct message *message)
{
	static const struct {
		uint32_t operation, words;
		void (*handler)(struct message *message);
	} calls[] = {
	        {SYSTEM_COMPONENT_NAME, 1, call_name}, {SYSTEM_COMPONENT_STATUS, 4, call_status},
	        {SYSTEM_COMPONENT_KILL, 4, call_kill}, {SYSTEM_COMPONENT_LOG, 5, call_log},
	        {SYSTEM_POWER, 1, call_power},
	};
	if (badge == 0 || badge > init.manifest.system_clients) {
		answer(message, SYSTEM_DENIED, 1);
		return true;
	}
	for (unsigned i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		if (calls[i].operation != message_label(message->info))
			continue;
		if (message_words(message->info) < calls[i].words)
			break;
		calls[i].handler(message);
		return true;
	}
	answer(message, SYSTEM_BAD_REQUEST, 1);
	return true;
}
