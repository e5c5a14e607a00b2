/* SPDX-License-Identifier: MIT */
/*
 * What each component consists of, allocated once at boot: sizes are fixed by the manifest, so a restart
 * needs no memory and cannot fail for the lack of it. Whatever asks for more than the machine has ends the
 * boot with a message.
 */
#include <string.h>

#include "init.h"

struct system init;

unsigned size_bits_of(uint64_t size)
{
	unsigned bits = 0;
	while (1ul << bits < size)
		bits++;
	return bits;
}

static unsigned backing_add(struct component *component, enum object_type type, unsigned size_bits)
{
	if (component->backing_count == BACKINGS_MAX)
		boot_fatal("%s: too many pieces of memory", component->manifest->name);
	struct backing *backing = &component->backings[component->backing_count];
	backing->type = (uint8_t)type;
	backing->size_bits = (uint8_t)size_bits;
	backing->untyped = ram_take(size_bits);
	backing->object = slot_allocate();
	if (backing->untyped == CPTR_NULL || backing->object == CPTR_NULL)
		boot_fatal("not enough memory for %s: %lu KiB are wanted, %lu KiB are left in pieces",
		           component->manifest->name, (1ul << size_bits) / 1024, ram_free() / 1024);
	component->memory_bytes += 1ul << size_bits;
	return component->backing_count++;
}

/* The largest power of two that is left in size and that RAM still has; sizes fall from part to part. */
static unsigned part_bits(uint64_t size, unsigned parts_left, unsigned limit)
{
	unsigned bits = parts_left == 1 ? size_bits_of(size) : 63u - (unsigned)__builtin_clzl(size);
	return bits < limit ? bits : limit;
}

bool region_allocate(struct region *region, uint64_t size, struct component *owner)
{
	region->size = size;
	region->count = 0;
	unsigned limit = 63;
	for (uint64_t left = size; left > 0;) {
		if (region->count == PARTS_MAX)
			return false;
		unsigned bits = part_bits(left, PARTS_MAX - region->count, limit);
		unsigned index = region->count++;
		region->parts[index].size_bits = (uint8_t)bits;
		if (owner) {
			unsigned backing = backing_add(owner, OBJECT_MEMORY, bits);
			region->parts[index].memory = owner->backings[backing].object;
		} else {
			cptr_t untyped = ram_take(bits), memory = slot_allocate();
			if (untyped == CPTR_NULL || memory == CPTR_NULL ||
			    untyped_retype(untyped, OBJECT_MEMORY, bits, 0, 1, CPTR_NULL, memory) != ERR_NONE)
				return false;
			region->parts[index].memory = memory;
		}
		left -= left < 1ul << bits ? left : 1ul << bits;
	}
	return true;
}

static uint64_t amount_bytes(const struct manifest_amount *amount)
{
	if (!amount->share)
		return amount->size;
	uint64_t size = boot_information->ram_bytes / amount->share;
	if (size < amount->minimum)
		size = amount->minimum;
	if (size > amount->maximum)
		size = amount->maximum;
	/* Two large pieces are better than many small ones. */
	unsigned top = 63u - (unsigned)__builtin_clzl(size);
	return size >> (top - 1) << (top - 1);
}

/* A component's Untypeds for kernel objects of its own. */
static void untyped_prepare(struct component *component)
{
	uint64_t size = amount_bytes(&component->manifest->untyped);
	component->untyped_first = component->backing_count;
	for (uint64_t left = size; left > 0;) {
		unsigned bits = part_bits(left, PARTS_MAX - component->untyped_count, 63);
		backing_add(component, OBJECT_UNTYPED, bits);
		component->untyped_count++;
		left -= left < 1ul << bits ? left : 1ul << bits;
	}
}

static void program_prepare(struct component *component)
{
	const uint8_t *file;
	size_t size;
	const char *name = component->manifest->program;
	if (!archive_find(&init.archive, name, &file, &size))
		boot_fatal("%s: the boot image holds no program \"%s\"", component->manifest->name, name);
	const char *problem = program_parse(&component->program, file, size);
	if (problem)
		boot_fatal("%s: program \"%s\": %s", component->manifest->name, name, problem);
}

/* What stays when the component dies. */
static void lasting_prepare(struct component *component)
{
	cptr_t untyped = ram_take(INFO_BITS);
	component->info = slot_allocate();
	component->events = object_create_on(component->cpu, OBJECT_NOTIFICATION, 0);
	if (component->manifest->service)
		component->service = object_create_on(component->cpu, OBJECT_ENDPOINT, 0);
	component->fault_endpoint = slot_allocate();
	component->log_signal = slot_allocate();
	if (untyped == CPTR_NULL || component->events == CPTR_NULL ||
	    untyped_retype(untyped, OBJECT_MEMORY, INFO_BITS, 0, 1, CPTR_NULL, component->info) != ERR_NONE ||
	    capability_derive(component->fault_endpoint, init.endpoint, RIGHT_WRITE,
	                      BADGE_FAULT + component->index, 0) != ERR_NONE ||
	    capability_derive(component->log_signal, init.events, RIGHT_WRITE, EVENT_LOG, 0) != ERR_NONE)
		boot_fatal("%s: no memory for its channels to init", component->manifest->name);
	uint8_t *info =
	        space_map(component->info, 0, INFO_LOG_PAGE + LOG_RING_PAGES, RIGHT_READ | RIGHT_WRITE);
	if (!info)
		boot_fatal("%s: its start-up information cannot be mapped", component->manifest->name);
	component->startup = (struct startup *)info;
	component->counters = (const struct counters *)(info + INFO_COUNTERS_PAGE * PAGE_SIZE);
	component->log_ring = (struct log_ring *)(info + INFO_LOG_PAGE * PAGE_SIZE);
	atomic_store(&component->log_ring->reader_waits, 1);
	component->memory_bytes += 1ul << INFO_BITS;
}

static void component_prepare(struct component *component, unsigned index)
{
	const struct manifest_component *manifest = &init.manifest.components[index];
	component->manifest = manifest;
	component->index = index;
	component->cpu = manifest->cpu % (unsigned)boot_information->cpu_count;
	program_prepare(component);
	lasting_prepare(component);
	component->cnode = backing_add(component, OBJECT_CNODE, size_bits_of(manifest->slots) + SLOT_BITS);
	component->vspace = backing_add(component, OBJECT_VSPACE, 13);
	component->thread = backing_add(component, OBJECT_THREAD, 11);
	component->small = backing_add(component, OBJECT_UNTYPED, 14); /* SMALL_OBJECTS of 256 bytes */
	component->ipc = backing_add(component, OBJECT_MEMORY, PAGE_BITS + 1);
	unsigned image_bits = size_bits_of(component->program.memory_size);
	component->image =
	        backing_add(component, OBJECT_MEMORY, image_bits < PAGE_BITS ? PAGE_BITS : image_bits);
	if (!region_allocate(&component->stack, manifest->stack, component) ||
	    !region_allocate(&component->heap, amount_bytes(&manifest->memory), component) ||
	    (manifest->dma && !region_allocate(&component->dma, manifest->dma, component)))
		boot_fatal("%s: its memory is in too many pieces", manifest->name);
	component->stack.address = LAYOUT_STACK_TOP - component->stack.size;
	component->heap.address = LAYOUT_HEAP;
	untyped_prepare(component);
	for (unsigned i = 0; i < SMALL_OBJECTS; i++)
		component->small_slots[i] = slot_allocate();
}

static void channels_prepare(void)
{
	for (unsigned i = 0; i < init.manifest.channel_count; i++) {
		struct channel *channel = &init.channels[i];
		channel->manifest = &init.manifest.channels[i];
		if (!region_allocate(&channel->region, channel->manifest->size, NULL))
			boot_fatal("not enough memory for channel %s", channel->manifest->name);
	}
}

static void pool_add(unsigned statement, cptr_t untyped, unsigned size_bits)
{
	struct pool *pool = &init.pools[init.pool_count];
	pool->statement = statement;
	pool->size_bits = size_bits;
	pool->memory = slot_allocate();
	if (untyped == CPTR_NULL)
		boot_fatal("not enough memory for line %u of the manifest, a pool of %lu KiB: of %lu MiB, "
		           "%lu KiB are left in pieces",
		           init.manifest.pools[statement].line, (1ul << size_bits) / 1024,
		           boot_information->ram_bytes >> 20, ram_free() >> 10);
	enum error error = untyped_retype(untyped, OBJECT_MEMORY, size_bits, 0, 1, CPTR_NULL, pool->memory);
	if (error != ERR_NONE)
		boot_fatal("line %u of the manifest: a pool of %lu KiB: %s",
		           init.manifest.pools[statement].line, (1ul << size_bits) / 1024, error_text(error));
	init.pool_count++;
}

static void pools_prepare(void)
{
	for (unsigned i = 0; i < init.manifest.pool_count; i++) {
		const struct manifest_pool *pool = &init.manifest.pools[i];
		if (pool->rest)
			continue;
		unsigned bits = 63u - (unsigned)__builtin_clzl(amount_bytes(&pool->amount));
		pool_add(i, ram_take(bits), bits);
	}
}

/* After everything else: all RAM that is left, in large pieces. */
static void pools_rest(void)
{
	int rest = -1;
	unsigned explicit_most = 0;
	for (unsigned i = 0; i < init.manifest.pool_count; i++)
		if (init.manifest.pools[i].rest)
			rest = (int)i;
	if (rest < 0)
		return;
	for (unsigned c = 0; c < init.manifest.component_count; c++) {
		unsigned count = 0;
		struct manifest_grant grant;
		for (unsigned p = 0; p < init.pool_count; p++)
			count += pool_grant(&init.pools[p], &init.components[c], &grant);
		explicit_most = count > explicit_most ? count : explicit_most;
	}
	uint64_t bytes = 0;
	for (unsigned left = COMPONENT_POOLS - explicit_most; left > 0; left--) {
		unsigned bits;
		cptr_t untyped = ram_take_largest(LARGE_PAGE_BITS, &bits);
		if (untyped == CPTR_NULL)
			break;
		pool_add((unsigned)rest, untyped, bits);
		bytes += 1ul << bits;
	}
	if (bytes == 0)
		boot_fatal("line %u of the manifest: no RAM is left for the pool",
		           init.manifest.pools[rest].line);
	log_info("%lu MiB of %lu MiB for the pool of the rest, %lu KiB unused", bytes >> 20,
	         boot_information->ram_bytes >> 20, ram_free() >> 10);
}

void components_prepare(void)
{
	for (unsigned i = 0; i < init.manifest.component_count; i++)
		component_prepare(&init.components[i], i);
	channels_prepare();
	pools_prepare();
	grants_prepare();
	for (unsigned i = 0; i < init.manifest.component_count; i++) {
		/* Page tables: known once the sizes of all pools are; the rest needs at most one page for
		 * each GiB. */
		struct component *component = &init.components[i];
		unsigned bits = size_bits_of(layout_table_pages(component)) + PAGE_BITS;
		component->tables = backing_add(component, OBJECT_UNTYPED, bits);
	}
	pools_rest();
}
