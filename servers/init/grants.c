/* SPDX-License-Identifier: MIT */
/*
 * The capabilities that the manifest gives a component, put into its CSpace in a fixed order, and the
 * start-up page that names them. This file is the only place where authority leaves init.
 */
#include <stdio.h>
#include <string.h>

#include "init.h"

/* ---- once at boot: signals between components, interrupts ---- */

static unsigned event_bit(struct component *component)
{
	return component->event_bits++; /* the manifest's check has bounded them */
}

static cptr_t signal_make(const struct component *target, unsigned bit)
{
	cptr_t slot = slot_allocate();
	enum error error =
	        slot ? capability_derive(slot, target->events, RIGHT_WRITE, 1ul << bit, 0) : ERR_LIMIT;
	if (error != ERR_NONE)
		boot_fatal("%s: a signal: %s", target->manifest->name, error_text(error));
	return slot;
}

static unsigned channel_index(unsigned channel, unsigned side, const struct component *component)
{
	unsigned index = 0, other;
	for (unsigned i = 0; i < channel; i++)
		index +=
		        strcmp(init.channels[i].manifest->name, init.channels[channel].manifest->name) == 0 &&
		        channel_side(&init.channels[i], component, &other);
	(void)side;
	return index;
}

void grants_prepare(void)
{
	for (unsigned i = 0; i < init.manifest.channel_count; i++) {
		struct channel *channel = &init.channels[i];
		const int ends[2] = {channel->manifest->server, channel->manifest->client};
		for (unsigned side = 0; side < 2; side++) {
			struct component *component = &init.components[ends[side]];
			channel->bit[side] = event_bit(component);
			channel->signal[side] = signal_make(component, channel->bit[side]);
			channel->index[side] = channel_index(i, side, component);
		}
	}
	for (unsigned i = 0; i < init.manifest.component_count; i++) {
		struct component *component = &init.components[i];
		for (unsigned q = 0; q < component->manifest->irq_count; q++) {
			const struct manifest_irq *irq = &component->manifest->irqs[q];
			component->irqs[q] = slot_allocate();
			component->irq_signals[q] = signal_make(component, event_bit(component));
			enum error error = irq_control_line(INIT_SLOT_IRQ_CONTROL, irq->line,
			                                    (irq->level ? IRQ_LEVEL : 0u) |
			                                            (irq->active_low ? IRQ_ACTIVE_LOW : 0u),
			                                    component->irqs[q]);
			if (error != ERR_NONE)
				boot_fatal("%s: interrupt %u: %s", component->manifest->name, irq->line,
				           error_text(error));
		}
	}
}

/* ---- at each start ---- */

static struct startup_entry *entry_add(struct component *component, enum startup_kind kind, const char *name)
{
	struct startup *start = component->startup;
	if (start->entry_count == STARTUP_ENTRIES) {
		log_error("%s: more capabilities than the start-up page holds", component->manifest->name);
		return NULL;
	}
	component->entry_peer[start->entry_count] = -1;
	struct startup_entry *entry = &start->entries[start->entry_count++];
	*entry = (struct startup_entry){.kind = kind};
	snprintf(entry->name, sizeof(entry->name), "%s", name);
	for (uint32_t i = 0; i + 1 < start->entry_count; i++)
		entry->index += start->entries[i].kind == (uint32_t)kind &&
		                strcmp(start->entries[i].name, entry->name) == 0;
	return entry;
}

/* A capability derived into the component's next slot, and its entry. */
static struct startup_entry *grant(struct component *component, enum startup_kind kind, const char *name,
                                   cptr_t source, unsigned rights, uint64_t a, uint64_t b)
{
	struct startup_entry *entry = entry_add(component, kind, name);
	if (!entry)
		return NULL;
	cptr_t cnode = component->backings[component->cnode].object;
	enum error error = cnode_derive(cnode, component->next_slot, CPTR_NULL, source, rights, a, b);
	if (error != ERR_NONE) {
		log_error("%s: capability \"%s\": %s", component->manifest->name, name, error_text(error));
		return NULL;
	}
	entry->slot = component->next_slot++;
	return entry;
}

static bool grant_own(struct component *component)
{
	const struct backing *backings = component->backings;
	if (!grant(component, STARTUP_CAPABILITY, "cspace", backings[component->cnode].object, RIGHT_ALL, 0,
	           0) ||
	    !grant(component, STARTUP_CAPABILITY, "vspace", backings[component->vspace].object, RIGHT_ALL, 0,
	           0) ||
	    !grant(component, STARTUP_CAPABILITY, "thread", backings[component->thread].object, RIGHT_ALL, 0,
	           0) ||
	    !grant(component, STARTUP_NOTIFICATION, "events", component->events, RIGHT_READ | RIGHT_WRITE, 0,
	           0) ||
	    !grant(component, STARTUP_NOTIFICATION, "log", component->log_signal, RIGHT_WRITE, 0, 0))
		return false;
	return component->service == CPTR_NULL ||
	       grant(component, STARTUP_SERVICE, "service", component->service, RIGHT_READ, 0, 0);
}

static void entry_set_peer(struct component *component, struct startup_entry *entry, int peer)
{
	component->entry_peer[entry - component->startup->entries] = peer;
	entry->peer_failed = peer >= 0 && (init.components[peer].state == COMPONENT_FAILED ||
	                                   init.components[peer].state == COMPONENT_EXITED);
}

static bool grant_endpoint(struct component *component, const char *name, int target, uint64_t badge)
{
	cptr_t endpoint = target == MANIFEST_SYSTEM ? init.endpoint : init.components[target].service;
	struct startup_entry *entry =
	        grant(component, STARTUP_ENDPOINT, name, endpoint, RIGHT_WRITE, badge, 0);
	if (entry)
		entry_set_peer(component, entry, target);
	return entry != NULL;
}

static bool grant_endpoints(struct component *component)
{
	const struct manifest_component *manifest = component->manifest;
	for (unsigned i = 0; i < manifest->use_count; i++)
		if (!grant_endpoint(component, manifest->uses[i].name, manifest->uses[i].target,
		                    manifest->uses[i].badge))
			return false;
	for (unsigned i = 0; i < manifest->device_count; i++)
		if (!grant_endpoint(component, manifest->devices[i].bus, manifest->devices[i].target,
		                    manifest->devices[i].badge))
			return false;
	return true;
}

static bool grant_channels(struct component *component)
{
	for (unsigned i = 0; i < init.manifest.channel_count; i++) {
		const struct channel *channel = &init.channels[i];
		unsigned side;
		if (!channel_side(channel, component, &side))
			continue;
		struct startup_entry *entry = grant(component, STARTUP_CHANNEL, channel->manifest->name,
		                                    channel->signal[!side], RIGHT_WRITE, 0, 0);
		if (!entry)
			return false;
		entry->bit = channel->bit[side];
		entry->address = layout_channel_address(component, i);
		entry->size = channel->region.size;
		entry_set_peer(component, entry,
		               side == 0 ? channel->manifest->client : channel->manifest->server);
	}
	return true;
}

static bool grant_pools(struct component *component)
{
	for (unsigned i = 0; i < init.pool_count; i++) {
		struct manifest_grant given;
		if (!pool_grant(&init.pools[i], component, &given))
			continue;
		/* What is not mapped cannot be mapped by the component either: that would need MANAGE. */
		unsigned rights =
		        RIGHT_READ | (given.dma ? RIGHT_DMA : 0u) |
		        (given.mapped ? RIGHT_WRITE | RIGHT_EXECUTE | RIGHT_MANAGE | RIGHT_GRANT : 0u);
		struct startup_entry *entry =
		        grant(component, STARTUP_MEMORY, "pool", init.pools[i].memory, rights, 0, 0);
		if (!entry)
			return false;
		entry->size = 1ul << init.pools[i].size_bits;
		entry->address = layout_pool_address(component, i);
	}
	return true;
}

static bool grant_memory(struct component *component)
{
	if (component->dma.size) {
		struct startup_entry *entry =
		        grant(component, STARTUP_MEMORY, "dma", component->dma.parts[0].memory,
		              RIGHT_READ | RIGHT_WRITE | RIGHT_DMA, 0, 0);
		if (!entry)
			return false;
		entry->address = layout_channel_address(component, init.manifest.channel_count);
		entry->size = component->dma.size;
	}
	return grant_pools(component);
}

/* Untypeds are moved, not derived: a child of the same size, so that revoking the parent takes it back with
 * all that was made of it. */
static bool untyped_give(struct component *component, const char *name, cptr_t parent, unsigned size_bits)
{
	struct startup_entry *entry = entry_add(component, STARTUP_UNTYPED, name);
	cptr_t cnode = component->backings[component->cnode].object;
	enum error error =
	        entry ? untyped_retype(parent, OBJECT_UNTYPED, size_bits, 0, 1, cnode, component->next_slot)
	              : ERR_LIMIT;
	if (error != ERR_NONE) {
		log_error("%s: Untyped \"%s\" of 2^%u bytes: %s", component->manifest->name, name, size_bits,
		          error_text(error));
		return false;
	}
	entry->slot = component->next_slot++;
	entry->size = 1ul << size_bits;
	return true;
}

static bool grant_untyped(struct component *component)
{
	for (unsigned i = 0; i < component->untyped_count; i++) {
		const struct backing *backing = &component->backings[component->untyped_first + i];
		if (!untyped_give(component, "memory", backing->untyped, backing->size_bits))
			return false;
	}
	if (!component->manifest->devices_all)
		return true;
	for (uint64_t i = 0; i < boot_information->untyped_count; i++) {
		const struct boot_untyped *untyped = &boot_information->untypeds[i];
		/* No bus decodes below 1 MiB for us; slivers between firmware tables are not holes for
		 * devices. */
		if (untyped->device && untyped->address >= 1ul << 20 && untyped->size_bits >= 16 &&
		    !untyped_give(component, "device", (cptr_t)(INIT_SLOT_UNTYPED + i), untyped->size_bits))
			return false;
	}
	return true;
}

static bool grant_hardware(struct component *component)
{
	const struct manifest_component *manifest = component->manifest;
	for (unsigned i = 0; i < manifest->port_count; i++) {
		struct startup_entry *entry =
		        grant(component, STARTUP_IO_PORTS, "ports", INIT_SLOT_IO_PORTS,
		              RIGHT_READ | RIGHT_WRITE, manifest->ports[i].first, manifest->ports[i].count);
		if (!entry)
			return false;
		entry->address = manifest->ports[i].first;
		entry->size = manifest->ports[i].count;
	}
	for (unsigned i = 0; i < manifest->irq_count; i++) {
		struct startup_entry *entry =
		        grant(component, STARTUP_IRQ, "irq", component->irqs[i], RIGHT_ALL, 0, 0);
		enum error error = irq_bind(component->irqs[i], component->irq_signals[i]);
		if (!entry || error != ERR_NONE)
			return false;
		/* Interrupts have the bits after the channels. */
		entry->bit = component->event_bits - manifest->irq_count + i;
	}
	if (manifest->irq_control &&
	    !grant(component, STARTUP_CAPABILITY, "irq-control", INIT_SLOT_IRQ_CONTROL, RIGHT_ALL, 0, 0))
		return false;
	for (unsigned cpu = 0; manifest->cpu_time && cpu < boot_information->cpu_count; cpu++)
		if (!grant(component, STARTUP_CAPABILITY, "cpu-time", INIT_SLOT_CPU_TIME + cpu, RIGHT_ALL,
		           1000, manifest->cpu_time))
			return false;
	return true;
}

/* The manifest's text, and for a bus the table of its clients' devices. */
static bool config_fill(struct component *component)
{
	char *out = component->startup->config;
	size_t length = component->manifest->config_length;
	memcpy(out, component->manifest->config, length + 1);
	for (unsigned c = 0; c < init.manifest.component_count; c++) {
		const struct manifest_component *client = &init.manifest.components[c];
		for (unsigned d = 0; d < client->device_count; d++) {
			const struct manifest_device *device = &client->devices[d];
			if (device->target != (int)component->index)
				continue;
			int more =
			        snprintf(out + length, STARTUP_CONFIG - length, "device.%lu=%04x:%04x,%u\n",
			                 device->badge, device->vendor, device->device, device->number);
			if (more < 0 || (size_t)more >= STARTUP_CONFIG - length)
				return false;
			length += (size_t)more;
		}
	}
	return true;
}

bool grants_fill(struct component *component)
{
	struct startup *start = component->startup;
	memset(start, 0, sizeof(*start));
	start->magic = STARTUP_MAGIC;
	memcpy(start->name, component->manifest->name, sizeof(start->name));
	start->generation = component->generation;
	start->ipc_buffer = LAYOUT_IPC_BUFFER;
	start->heap = component->heap.address;
	start->heap_size = component->heap.size;
	start->tsc_hz = boot_information->tsc_hz;
	start->tsc_at_boot = boot_information->tsc_at_boot;
	start->wall = LAYOUT_WALL;
	start->counters = LAYOUT_COUNTERS;
	start->log = LAYOUT_COUNTERS + PAGE_SIZE;
	start->log_size = LOG_RING_PAGES * PAGE_SIZE;
	start->xsave_bytes = boot_information->xsave_bytes;
	start->ram_bytes = boot_information->ram_bytes;
	start->cpu = component->cpu;
	start->cpu_count = (unsigned)boot_information->cpu_count;
	component->next_slot = 1;
	if (!grant_own(component) || !grant_endpoints(component) || !grant_channels(component) ||
	    !grant_memory(component) || !grant_untyped(component) || !grant_hardware(component) ||
	    !config_fill(component))
		return false;
	start->first_free_slot = component->next_slot;
	start->slot_count = (cptr_t)component->manifest->slots;
	return true;
}
