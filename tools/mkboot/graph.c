/* SPDX-License-Identifier: MIT */
/*
 * The authority graph of a manifest in the language of dot (graphviz): components, and what each may touch.
 * An arrow goes from whoever holds an authority to what it is an authority over.
 */
#include <stdio.h>

#include "../../servers/init/manifest/manifest.h"
#include "mkboot.h"

#define UNITS 4

/* As the manifest writes it: 4096, 16K, 2M, 1G. */
static void size_print(uint64_t size)
{
	static const char letters[UNITS] = {0, 'K', 'M', 'G'};
	unsigned unit = 0;
	while (unit + 1 < UNITS && size > 0 && size % 1024 == 0) {
		size /= 1024;
		unit++;
	}
	printf("%lu%.1s", size, &letters[unit]);
}

static void amount_print(const struct manifest_amount *amount)
{
	if (amount->share)
		printf("1/%u of RAM", amount->share);
	else
		size_print(amount->size);
}

static void time_print(uint64_t ns)
{
	if (ns % 1000000000 == 0)
		printf("%lus", ns / 1000000000);
	else if (ns % 1000000 == 0)
		printf("%lums", ns / 1000000);
	else
		printf("%luus", ns / 1000);
}

static void component_print(const struct manifest_component *component)
{
	printf("\t\"%s\" [shape=box, style=\"rounded,filled\", fillcolor=\"%s\", label=<<b>%s</b>",
	       component->name, component->devices_all || component->irq_control ? "#fde0c8" : "#dce9f7",
	       component->name);
	printf("<br/><font point-size=\"9\">priority %u, cpu %u", component->priority, component->cpu);
	if (component->budget != component->period) {
		printf("<br/>budget ");
		time_print(component->budget);
		printf(" in ");
		time_print(component->period);
	}
	printf("<br/>memory ");
	amount_print(&component->memory);
	if (component->dma) {
		printf(", dma ");
		size_print(component->dma);
	}
	if (component->untyped.share || component->untyped.size) {
		printf("<br/>untyped ");
		amount_print(&component->untyped);
	}
	if (component->restarts == 0) {
		printf("<br/>never restarted");
	} else {
		printf("<br/>fails at %u crashes in ", component->restarts);
		time_print(component->restart_window);
	}
	printf("%s</font>>];\n", component->essential ? "<br/>essential" : "");
}

/* An arrow to something of this component alone, which is a node of its own. */
static void resource_print(const struct manifest_component *component, const char *kind, unsigned number,
                           const char *label)
{
	printf("\t\"%s/%s%u\" [shape=note, fontsize=9, label=\"%s\"];\n", component->name, kind, number,
	       label);
	printf("\t\"%s\" -> \"%s/%s%u\";\n", component->name, component->name, kind, number);
}

static void resources_print(const struct manifest_component *component)
{
	char label[64];
	if (component->devices_all)
		resource_print(component, "devices", 0, "all device memory");
	if (component->irq_control)
		resource_print(component, "irq-control", 0, "all interrupts");
	for (unsigned i = 0; i < component->port_count; i++) {
		const struct manifest_ports *ports = &component->ports[i];
		snprintf(label, sizeof(label), "ports %#x-%#x", ports->first,
		         ports->first + ports->count - 1);
		resource_print(component, "ports", i, label);
	}
	for (unsigned i = 0; i < component->irq_count; i++) {
		snprintf(label, sizeof(label), "irq %u", component->irqs[i].line);
		resource_print(component, "irq", i, label);
	}
	if (component->wall_clock)
		resource_print(component, "wall-clock", 0, "the wall clock");
	if (component->cpu_time) {
		snprintf(label, sizeof(label), "CPU time up to priority %u", component->cpu_time);
		resource_print(component, "cpu-time", 0, label);
	}
}

static void uses_print(const struct manifest *manifest, const struct manifest_component *component)
{
	for (unsigned i = 0; i < component->use_count; i++) {
		int target = component->uses[i].target;
		printf("\t\"%s\" -> \"%s\" [label=\"calls\"];\n", component->name,
		       target == MANIFEST_SYSTEM ? "init" : manifest->components[target].name);
	}
	for (unsigned i = 0; i < component->device_count; i++) {
		const struct manifest_device *device = &component->devices[i];
		printf("\t\"%s\" -> \"%s\" [label=\"device %04x:%04x %u\"];\n", component->name, device->bus,
		       device->vendor, device->device, device->number);
	}
}

static void channel_print(const struct manifest_channel *channel)
{
	printf("\t\"%s\" -> \"%s\" [dir=both, arrowtail=odot, penwidth=2, color=\"#2b6cb0\", label=\"%s ",
	       channel->client_name, channel->server_name, channel->name);
	size_print(channel->size);
	printf("\"];\n");
}

static void pool_print(const struct manifest *manifest, unsigned number)
{
	const struct manifest_pool *pool = &manifest->pools[number];
	printf("\t\"pool/%u\" [shape=cylinder, style=filled, fillcolor=\"#e7f3df\", fontsize=9, "
	       "label=\"pool ",
	       number);
	if (pool->rest)
		printf("of all other RAM");
	else
		amount_print(&pool->amount);
	printf("\"];\n");
	for (unsigned i = 0; i < pool->grant_count; i++) {
		const struct manifest_grant *grant = &pool->grants[i];
		printf("\t\"%s\" -> \"pool/%u\" [style=dashed, label=\"%s%s%s\"];\n",
		       manifest->components[grant->component].name, number, grant->mapped ? "mapped" : "",
		       grant->mapped && grant->dma ? ", " : "", grant->dma ? "dma" : "");
	}
}

void graph_print(const struct manifest *manifest)
{
	printf("digraph authority {\n\trankdir=LR;\n\tnode [fontname=\"sans-serif\", fontsize=11];\n"
	       "\tedge [fontname=\"sans-serif\", fontsize=9];\n"
	       "\t\"init\" [shape=box, style=\"rounded,filled\", fillcolor=\"#f3d9e6\", "
	       "label=<<b>init</b><br/>"
	       "<font point-size=\"9\">builds and supervises all</font>>];\n");
	for (unsigned i = 0; i < manifest->component_count; i++) {
		component_print(&manifest->components[i]);
		resources_print(&manifest->components[i]);
		uses_print(manifest, &manifest->components[i]);
	}
	for (unsigned i = 0; i < manifest->channel_count; i++)
		channel_print(&manifest->channels[i]);
	for (unsigned i = 0; i < manifest->pool_count; i++)
		pool_print(manifest, i);
	printf("}\n");
}
