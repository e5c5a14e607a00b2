/* SPDX-License-Identifier: MIT */
/*
 * What happens when a component ends: by a fault, by its own will (STARTUP_EXIT) or because somebody asked
 * for it. It is started again after a back-off, with the same capabilities; too many crashes in the
 * manifest's window mark it failed, and then everybody who depends on it is told.
 */
#include <proto/pci.h>

#include "init.h"

#define BACKOFF_FIRST 10000000ul    /* 10 ms, doubled by each crash */
#define BACKOFF_MOST  500000000ul   /* 500 ms: the limit on crashes does the rest */
#define BUS_PATIENCE  100000000ul   /* the bus answers its calls at once */
#define STABLE_AFTER  10000000000ul /* a life this long starts the back-off anew */

/* true: this crash is one too many in the window. */
static bool crash_count(struct component *component)
{
	const struct manifest_component *manifest = component->manifest;
	uint64_t now = time_now();
	if (manifest->restarts == 0)
		return true;
	component->crash_times[component->crash_next % manifest->restarts] = now;
	component->crash_next++;
	if (component->crash_next < manifest->restarts)
		return false;
	/* The oldest of the last `restarts` crashes: the slot that is overwritten next. */
	return now - component->crash_times[component->crash_next % manifest->restarts] <
	       manifest->restart_window;
}

/* Clients with channels see the mark in their start-up page; callers get ERR_CLOSED. */
static void peers_tell(struct component *component)
{
	if (component->service != CPTR_NULL)
		endpoint_close(component->service);
	for (unsigned c = 0; c < init.manifest.component_count; c++) {
		struct component *other = &init.components[c];
		for (uint32_t i = 0; i < other->startup->entry_count; i++)
			if (other->entry_peer[i] == (int)component->index)
				other->startup->entries[i].peer_failed = 1;
	}
	for (unsigned i = 0; i < init.manifest.channel_count; i++) {
		unsigned side;
		if (channel_side(&init.channels[i], component, &side))
			notification_signal(init.channels[i].signal[!side]);
	}
}

/*
 * A driver that stays away leaves its device as it was, perhaps writing to memory. Its clients take that
 * memory back as soon as they are told, so the bus hears first: opening the device anew silences it. The bus
 * runs before the clients, having the higher priority. Not a call: init must never wait for a component that
 * may be waiting for init.
 */
static void devices_quiet(const struct component *driver)
{
	for (unsigned d = 0; d < driver->manifest->device_count; d++) {
		const struct manifest_device *device = &driver->manifest->devices[d];
		const struct component *bus = &init.components[device->target];
		struct message message = {.info = MESSAGE_INFO(PCI_OPEN, 0)};
		cptr_t slot = bus->state == COMPONENT_RUNNING ? slot_allocate() : CPTR_NULL;
		if (slot == CPTR_NULL)
			continue;
		enum error error = capability_derive(slot, bus->service, RIGHT_WRITE, device->badge, 0);
		if (error == ERR_NONE)
			error = ipc_send(slot, &message, time_now() + BUS_PATIENCE);
		if (error != ERR_NONE)
			log_error("%s: its device may still be active: %s", driver->manifest->name,
			          error_text(error));
		capability_delete(slot);
		slot_free(slot);
	}
}

static void component_give_up(struct component *component, enum component_state state)
{
	component->state = state;
	devices_quiet(component);
	journal_note(component, state == COMPONENT_FAILED ? LOG_ERROR : LOG_INFO, "%s %s",
	             component->manifest->name,
	             state == COMPONENT_FAILED ? "is marked failed: its clients get errors" : "has ended");
	peers_tell(component);
	if (component->manifest->essential) {
		log_error("without %s the system is of no use: power off", component->manifest->name);
		power_off();
	}
}

static void restart_later(struct component *component, uint64_t delay)
{
	component->state = COMPONENT_RESTARTING;
	component->restart_at = time_now() + delay;
}

/*
 * Registers and interrupts that a bus handed out die with it. Its drivers would fault at the next touch; they
 * are restarted at once instead, and it does not count as a crash of theirs: calls to the bus wait until it
 * is there again.
 */
static void drivers_restart(const struct component *bus)
{
	for (unsigned c = 0; c < init.manifest.component_count; c++) {
		struct component *driver = &init.components[c];
		bool depends = false;
		for (unsigned d = 0; d < driver->manifest->device_count; d++)
			depends |= driver->manifest->devices[d].target == (int)bus->index;
		if (!depends || driver->state != COMPONENT_RUNNING)
			continue;
		journal_drain_one(driver);
		component_stop(driver);
		journal_note(driver, LOG_INFO, "%s is restarted with %s", driver->manifest->name,
		             bus->manifest->name);
		restart_later(driver, 0);
	}
}

/* After a crash. */
static void component_crashed(struct component *component)
{
	bool stable = time_now() - component->started > STABLE_AFTER;
	component_stop(component);
	component->backoff = component->backoff == 0 || stable ? BACKOFF_FIRST : component->backoff * 2;
	if (component->backoff > BACKOFF_MOST)
		component->backoff = BACKOFF_MOST;
	if (crash_count(component)) {
		component_give_up(component, COMPONENT_FAILED);
		return;
	}
	journal_note(component, LOG_INFO, "%s is restarted in %lu ms", component->manifest->name,
	             component->backoff / 1000000);
	restart_later(component, component->backoff);
	drivers_restart(component);
}

static bool exit_asked(const struct message *message, const struct thread_registers *registers)
{
	return message_label(message->info) == LABEL_EXCEPTION && message->words[0] == 6 &&
	       registers->rax == STARTUP_EXIT;
}

void supervise_fault(struct component *component, const struct message *message)
{
	struct thread_registers registers = {0};
	if (component->state != COMPONENT_RUNNING)
		return;
	journal_drain_one(component);
	enum error error = thread_read_registers(component->backings[component->thread].object, &registers);
	if (error != ERR_NONE)
		log_warning("%s: its registers: %s", component->manifest->name, error_text(error));
	if (!exit_asked(message, &registers)) {
		crash_report(component, message, &registers);
		component_crashed(component);
	} else if (registers.rdi != 0) {
		journal_note(component, LOG_ERROR, "%s ended with status %ld", component->manifest->name,
		             (long)registers.rdi);
		component_crashed(component);
	} else {
		component_stop(component);
		component_give_up(component, COMPONENT_EXITED);
	}
}

bool supervise_kill(struct component *component)
{
	if (component->state == COMPONENT_FAILED || component->state == COMPONENT_EXITED)
		return false;
	if (component->state != COMPONENT_RUNNING)
		return true; /* it is dead already, and comes back */
	journal_drain_one(component);
	component->kills++;
	component_stop(component);
	journal_note(component, LOG_INFO, "%s was killed by request", component->manifest->name);
	restart_later(component, 0);
	drivers_restart(component);
	return true;
}

deadline_t supervise_timers(void)
{
	deadline_t next = DEADLINE_NEVER;
	for (unsigned i = 0; i < init.manifest.component_count; i++) {
		struct component *component = &init.components[i];
		if (component->state != COMPONENT_RESTARTING)
			continue;
		if (component->restart_at <= time_now()) {
			component->generation++;
			component->restarts++;
			if (!component_start(component))
				component_crashed(component);
		}
		if (component->state == COMPONENT_RESTARTING && component->restart_at < next)
			next = component->restart_at;
	}
	return next;
}

void supervise_start_all(void)
{
	for (unsigned i = 0; i < init.manifest.component_count; i++)
		if (!component_start(&init.components[i]))
			component_crashed(&init.components[i]);
}
