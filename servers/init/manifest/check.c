/* SPDX-License-Identifier: MIT */
/* After the last line: names become numbers, badges are given out, and what does not fit together is refused.
 */
#include <string.h>

#include "manifest.h"

#define EVENT_BITS          60 /* of a Notification; the others stay free for later */
#define POOLS_PER_COMPONENT 16

/* A component can be called if it has a service. */
static bool service_find(struct manifest *manifest, unsigned line, const char *name, int *target)
{
	*target = manifest_component_find(manifest, name);
	if (*target < 0)
		return manifest_fail(manifest, line, "no component named %s", name);
	if (!manifest->components[*target].service)
		return manifest_fail(manifest, line, "%s has no service", name);
	return true;
}

static bool uses_resolve(struct manifest *manifest, struct manifest_component *component, uint64_t *badges)
{
	for (unsigned i = 0; i < component->use_count; i++) {
		struct manifest_use *use = &component->uses[i];
		for (unsigned j = 0; j < i; j++)
			if (strcmp(component->uses[j].name, use->name) == 0)
				return manifest_fail(manifest, use->line, "uses %s: given twice", use->name);
		if (strcmp(use->name, "system") == 0) {
			use->target = MANIFEST_SYSTEM;
			use->badge = ++manifest->system_clients;
			continue;
		}
		if (!service_find(manifest, use->line, use->name, &use->target))
			return false;
		use->badge = ++badges[use->target];
	}
	return true;
}

/*
 * Calls wait. If a calls b and b calls a, directly or through others, both may wait for each other for ever:
 * the graph of `uses` and `device` has no circles.
 */
static bool circles_check(struct manifest *manifest)
{
	uint64_t calls[MANIFEST_COMPONENTS] = {0}; /* bit n: component n, in the end through others, too */
	_Static_assert(MANIFEST_COMPONENTS <= 64, "a bit each");
	for (unsigned i = 0; i < manifest->component_count; i++) {
		const struct manifest_component *component = &manifest->components[i];
		for (unsigned u = 0; u < component->use_count; u++)
			if (component->uses[u].target != MANIFEST_SYSTEM)
				calls[i] |= 1ul << component->uses[u].target;
		for (unsigned d = 0; d < component->device_count; d++)
			calls[i] |= 1ul << component->devices[d].target;
	}
	for (unsigned through = 0; through < manifest->component_count; through++)
		for (unsigned i = 0; i < manifest->component_count; i++)
			if (calls[i] >> through & 1)
				calls[i] |= calls[through];
	for (unsigned i = 0; i < manifest->component_count; i++) {
		const struct manifest_component *component = &manifest->components[i];
		for (unsigned u = 0; u < component->use_count; u++) {
			const struct manifest_use *use = &component->uses[u];
			if (use->target != MANIFEST_SYSTEM && calls[use->target] >> i & 1)
				return manifest_fail(manifest, use->line,
				                     "uses %s: a circle, they could wait for each other",
				                     use->name);
		}
		for (unsigned d = 0; d < component->device_count; d++)
			if (calls[component->devices[d].target] >> i & 1)
				return manifest_fail(
				        manifest, component->devices[d].line,
				        "device: a circle, it and the bus could wait for each other");
	}
	return true;
}

/* init puts the table of the drivers' devices into the bus component's config: "device.NNN=VVVV:DDDD,NNN" */
#define DEVICE_TEXT 28

static bool bus_has_room(const struct manifest *manifest, const struct manifest_device *device)
{
	return manifest->components[device->target].config_length + device->badge * DEVICE_TEXT <
	       MANIFEST_CONFIG;
}

static bool devices_resolve(struct manifest *manifest, struct manifest_component *component, uint64_t *badges)
{
	for (unsigned i = 0; i < component->device_count; i++) {
		struct manifest_device *device = &component->devices[i];
		if (!service_find(manifest, device->line, device->bus, &device->target))
			return false;
		device->badge = ++badges[device->target];
		if (!bus_has_room(manifest, device))
			return manifest_fail(manifest, device->line,
			                     "device: more than the config of %s has room for", device->bus);
		for (unsigned c = 0; c < manifest->component_count; c++) {
			const struct manifest_component *other = &manifest->components[c];
			for (unsigned d = 0; d < other->device_count; d++) {
				const struct manifest_device *twin = &other->devices[d];
				if (twin != device && twin->line < device->line &&
				    strcmp(twin->bus, device->bus) == 0 && twin->vendor == device->vendor &&
				    twin->device == device->device && twin->number == device->number)
					return manifest_fail(manifest, device->line,
					                     "the same device is given to %s", other->name);
			}
		}
	}
	return true;
}

static bool channels_resolve(struct manifest *manifest)
{
	for (unsigned i = 0; i < manifest->channel_count; i++) {
		struct manifest_channel *channel = &manifest->channels[i];
		channel->server = manifest_component_find(manifest, channel->server_name);
		channel->client = manifest_component_find(manifest, channel->client_name);
		if (channel->server < 0 || channel->client < 0)
			return manifest_fail(manifest, channel->line, "no component named %s",
			                     channel->server < 0 ? channel->server_name
			                                         : channel->client_name);
		if (channel->server == channel->client)
			return manifest_fail(manifest, channel->line, "a channel from %s to itself",
			                     channel->server_name);
	}
	return true;
}

static bool grant_add(struct manifest *manifest, struct manifest_pool *pool, unsigned component,
                      const struct manifest_grant_spec *spec)
{
	for (unsigned i = 0; i < pool->grant_count; i++)
		if (pool->grants[i].component == (int)component)
			return manifest_fail(manifest, pool->line, "pool: %s is named twice",
			                     manifest->components[component].name);
	if (pool->grant_count == MANIFEST_GRANTS)
		return manifest_fail(manifest, pool->line, "pool: more than %d components", MANIFEST_GRANTS);
	pool->grants[pool->grant_count++] = (struct manifest_grant){
	        .component = (int)component, .mapped = spec->mapped, .dma = spec->dma};
	return true;
}

static bool pool_resolve(struct manifest *manifest, struct manifest_pool *pool)
{
	for (unsigned s = 0; s < pool->spec_count; s++) {
		const struct manifest_grant_spec *spec = &pool->specs[s];
		bool any = false;
		for (unsigned i = 0; i < manifest->component_count; i++) {
			const struct manifest_component *component = &manifest->components[i];
			if (strcmp(spec->every ? component->program : component->name, spec->name) != 0)
				continue;
			any = true;
			if (!grant_add(manifest, pool, i, spec))
				return false;
		}
		if (!any)
			return manifest_fail(manifest, pool->line, "pool: no component %s", spec->name);
	}
	return true;
}

/*
 * When a driver is given up, the bus silences its device before anybody takes back memory that it may be
 * writing: the bus runs before them.
 */
static bool device_memory_check(struct manifest *manifest, int driver, const struct manifest_device *device,
                                const struct manifest_pool *pool)
{
	const struct manifest_component *bus = &manifest->components[device->target];
	bool writes = false;
	for (unsigned g = 0; g < pool->grant_count; g++)
		writes |= pool->grants[g].component == driver && pool->grants[g].dma;
	for (unsigned g = 0; writes && g < pool->grant_count; g++) {
		const struct manifest_component *other = &manifest->components[pool->grants[g].component];
		if (other != bus && other->priority >= bus->priority)
			return manifest_fail(
			        manifest, device->line,
			        "device: the priority of %s must be above that of %s, whose memory "
			        "the device may write",
			        bus->name, other->name);
	}
	return true;
}

static bool buses_check(struct manifest *manifest)
{
	for (unsigned i = 0; i < manifest->component_count; i++) {
		const struct manifest_component *driver = &manifest->components[i];
		for (unsigned d = 0; d < driver->device_count; d++)
			for (unsigned p = 0; p < manifest->pool_count; p++)
				if (!device_memory_check(manifest, (int)i, &driver->devices[d],
				                         &manifest->pools[p]))
					return false;
	}
	return true;
}

static bool components_check(struct manifest *manifest)
{
	for (unsigned i = 0; i < manifest->component_count; i++) {
		const struct manifest_component *component = &manifest->components[i];
		unsigned bits = component->irq_count, pools = 0;
		for (unsigned c = 0; c < manifest->channel_count; c++)
			bits += (manifest->channels[c].server == (int)i) +
			        (manifest->channels[c].client == (int)i);
		if (bits > EVENT_BITS)
			return manifest_fail(manifest, component->line,
			                     "%s: more than %d channels and interrupts", component->name,
			                     EVENT_BITS);
		for (unsigned p = 0; p < manifest->pool_count; p++)
			for (unsigned g = 0; g < manifest->pools[p].grant_count; g++)
				pools += manifest->pools[p].grants[g].component == (int)i;
		if (pools > POOLS_PER_COMPONENT)
			return manifest_fail(manifest, component->line, "%s: more than %d pools",
			                     component->name, POOLS_PER_COMPONENT);
		if (component->service && component->untyped.size == 0 && component->untyped.share == 0)
			return manifest_fail(manifest, component->line,
			                     "%s: a service needs untyped memory for its Replies",
			                     component->name);
	}
	unsigned rest = 0;
	for (unsigned p = 0; p < manifest->pool_count; p++)
		if (manifest->pools[p].rest && rest++)
			return manifest_fail(manifest, manifest->pools[p].line, "a second pool of the rest");
	return true;
}

bool manifest_check(struct manifest *manifest)
{
	uint64_t badges[MANIFEST_COMPONENTS] = {0};
	if (manifest->component_count == 0)
		return manifest_fail(manifest, 1, "no component");
	for (unsigned i = 0; i < manifest->component_count; i++)
		if (!uses_resolve(manifest, &manifest->components[i], badges) ||
		    !devices_resolve(manifest, &manifest->components[i], badges))
			return false;
	if (!circles_check(manifest))
		return false;
	for (unsigned i = 0; i < manifest->pool_count; i++)
		if (!pool_resolve(manifest, &manifest->pools[i]))
			return false;
	return buses_check(manifest) && channels_resolve(manifest) && components_check(manifest);
}
