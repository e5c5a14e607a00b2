/* SPDX-License-Identifier: MIT */
/* The statements inside a component's block. */
#include <stdio.h>
#include <string.h>

#include "manifest.h"

typedef bool statement_handler(struct manifest *manifest, struct manifest_component *component,
                               const struct manifest_line *line);

static bool bad(struct manifest *manifest, const struct manifest_line *line, const char *expected)
{
	return manifest_fail(manifest, line->number, "%s: expected %s", line->words[0], expected);
}

static bool statement_program(struct manifest *manifest, struct manifest_component *component,
                              const struct manifest_line *line)
{
	if (!manifest_name(line->words[1]))
		return bad(manifest, line, "the name of a file in the boot image");
	strcpy(component->program, line->words[1]);
	return true;
}

static bool statement_priority(struct manifest *manifest, struct manifest_component *component,
                               const struct manifest_line *line)
{
	uint64_t value;
	if (!manifest_number(line->words[1], 250, &value) || value == 0)
		return bad(manifest, line, "a priority from 1 to 250"); /* init is above all */
	component->priority = (unsigned)value;
	return true;
}

/* "A/B" at the word's slash; the word is cut in two. */
static char *slash(char *word)
{
	char *at = strchr(word, '/');
	if (at)
		*at++ = 0;
	return at;
}

/* ns; what the kernel takes (docs/kernel-abi.md) */
#define BUDGET_MIN 10000ul
#define PERIOD_MAX 3600000000000ul

static bool statement_budget(struct manifest *manifest, struct manifest_component *component,
                             const struct manifest_line *line)
{
	char *period = slash(line->words[1]);
	if (!period || !manifest_time(line->words[1], &component->budget) ||
	    !manifest_time(period, &component->period))
		return bad(manifest, line, "BUDGET/PERIOD, as 10ms/10ms");
	if (component->budget > component->period)
		return manifest_fail(manifest, line->number, "budget: more time than its period has");
	if (component->budget < BUDGET_MIN || component->period > PERIOD_MAX)
		return manifest_fail(manifest, line->number,
		                     "budget: less than 10us, or a period of more than an hour");
	return true;
}

static bool page_size(const char *word, uint64_t minimum, uint64_t maximum, uint64_t *value)
{
	return manifest_size(word, value) && *value % 4096 == 0 && *value >= minimum && *value <= maximum;
}

bool manifest_amount(const struct manifest_line *line, unsigned words, uint64_t least, uint64_t most,
                     struct manifest_amount *amount)
{
	uint64_t share;
	*amount = (struct manifest_amount){0};
	if (words == 1)
		return page_size(line->words[1], least, most, &amount->size);
	char *divisor = slash(line->words[1]), *maximum = strstr(line->words[2], "..");
	if (!divisor || !maximum || strcmp(line->words[1], "1") != 0)
		return false;
	*maximum = 0;
	maximum += 2;
	if (!manifest_number(divisor, 1000, &share) || share < 2 ||
	    !page_size(line->words[2], least, most, &amount->minimum) ||
	    !page_size(maximum, amount->minimum, most, &amount->maximum))
		return false;
	amount->share = (unsigned)share;
	return true;
}

static bool statement_memory(struct manifest *manifest, struct manifest_component *component,
                             const struct manifest_line *line)
{
	return manifest_amount(line, line->word_count - 1, 16384, 256ul << 20, &component->memory) ||
	       bad(manifest, line, "a size from 16K to 256M in whole pages, or 1/N MIN..MAX");
}

static bool statement_stack(struct manifest *manifest, struct manifest_component *component,
                            const struct manifest_line *line)
{
	if (!page_size(line->words[1], 8192, 16ul << 20, &component->stack))
		return bad(manifest, line, "a size from 8K to 16M in whole pages");
	return true;
}

static bool statement_dma(struct manifest *manifest, struct manifest_component *component,
                          const struct manifest_line *line)
{
	uint64_t size;
	if (!page_size(line->words[1], 4096, 64ul << 20, &size) || !manifest_power_of_two(size))
		return bad(manifest, line, "a power of two from 4K to 64M");
	component->dma = size;
	return true;
}

static bool statement_untyped(struct manifest *manifest, struct manifest_component *component,
                              const struct manifest_line *line)
{
	return manifest_amount(line, line->word_count - 1, 4096, 1ul << 34, &component->untyped) ||
	       bad(manifest, line, "a size of at least 4K in whole pages, or 1/N MIN..MAX");
}

static bool statement_slots(struct manifest *manifest, struct manifest_component *component,
                            const struct manifest_line *line)
{
	uint64_t value;
	if (!manifest_size(line->words[1], &value) || value < 128 || value > 1 << 20 ||
	    !manifest_power_of_two(value))
		return bad(manifest, line, "a power of two from 128 to 1M");
	component->slots = value;
	return true;
}

static bool statement_restart(struct manifest *manifest, struct manifest_component *component,
                              const struct manifest_line *line)
{
	if (strcmp(line->words[1], "never") == 0) {
		component->restarts = 0;
		return true;
	}
	char *window = slash(line->words[1]);
	uint64_t count;
	if (!window || !manifest_number(line->words[1], MANIFEST_CRASHES, &count) || count == 0 ||
	    !manifest_time(window, &component->restart_window))
		return bad(manifest, line, "CRASHES/TIME, as 5/60s, or never");
	component->restarts = (unsigned)count;
	return true;
}

static bool statement_service(struct manifest *manifest, struct manifest_component *component,
                              const struct manifest_line *line)
{
	(void)manifest, (void)line;
	component->service = true;
	return true;
}

static bool statement_uses(struct manifest *manifest, struct manifest_component *component,
                           const struct manifest_line *line)
{
	if (component->use_count == MANIFEST_USES)
		return manifest_fail(manifest, line->number, "more than %d uses", MANIFEST_USES);
	if (!manifest_name(line->words[1]))
		return bad(manifest, line, "the name of a component, or system");
	struct manifest_use *use = &component->uses[component->use_count++];
	strcpy(use->name, line->words[1]);
	use->line = line->number;
	return true;
}

/* device BUS VVVV:DDDD N */
static bool statement_device(struct manifest *manifest, struct manifest_component *component,
                             const struct manifest_line *line)
{
	static const char expected[] = "BUS VENDOR:DEVICE NUMBER, as pci 1af4:1042 0";
	if (component->device_count == MANIFEST_DEVICES)
		return manifest_fail(manifest, line->number, "more than %d devices", MANIFEST_DEVICES);
	struct manifest_device *device = &component->devices[component->device_count];
	char ids[2][8];
	const char *colon = strchr(line->words[2], ':');
	if (!manifest_name(line->words[1]) || !colon || colon - line->words[2] != 4 || strlen(colon + 1) != 4)
		return bad(manifest, line, expected);
	snprintf(ids[0], sizeof(ids[0]), "0x%.4s", line->words[2]);
	snprintf(ids[1], sizeof(ids[1]), "0x%.4s", colon + 1);
	uint64_t vendor, id, number;
	if (!manifest_number(ids[0], 0xffff, &vendor) || !manifest_number(ids[1], 0xffff, &id) ||
	    !manifest_number(line->words[3], 255, &number))
		return bad(manifest, line, expected);
	strcpy(device->bus, line->words[1]);
	device->line = line->number;
	device->vendor = (uint16_t)vendor;
	device->device = (uint16_t)id;
	device->number = (unsigned)number;
	component->device_count++;
	return true;
}

/* What only one component can have is given once. */
static bool taken(struct manifest *manifest, const struct manifest_line *line,
                  const struct manifest_component *owner, const char *what)
{
	return manifest_fail(manifest, line->number, "%s: %s has %s already", line->words[0], owner->name,
	                     what);
}

static bool statement_devices(struct manifest *manifest, struct manifest_component *component,
                              const struct manifest_line *line)
{
	if (strcmp(line->words[1], "all") != 0)
		return bad(manifest, line, "all");
	for (unsigned i = 0; i < manifest->component_count; i++)
		if (manifest->components[i].devices_all)
			return taken(manifest, line, &manifest->components[i], "them");
	component->devices_all = true;
	return true;
}

static const struct manifest_component *ports_owner(const struct manifest *manifest, uint64_t first,
                                                    uint64_t count)
{
	for (unsigned i = 0; i < manifest->component_count; i++) {
		const struct manifest_component *other = &manifest->components[i];
		for (unsigned p = 0; p < other->port_count; p++)
			if (first < other->ports[p].first + other->ports[p].count &&
			    other->ports[p].first < first + count)
				return other;
	}
	return NULL;
}

static bool statement_ports(struct manifest *manifest, struct manifest_component *component,
                            const struct manifest_line *line)
{
	uint64_t first, count;
	if (component->port_count == MANIFEST_PORTS)
		return manifest_fail(manifest, line->number, "more than %d port ranges", MANIFEST_PORTS);
	if (!manifest_number(line->words[1], 0xffff, &first) ||
	    !manifest_number(line->words[2], 0x10000, &count) || count == 0 || first + count > 0x10000)
		return bad(manifest, line, "FIRST COUNT, as 0x2f8 8");
	const struct manifest_component *owner = ports_owner(manifest, first, count);
	if (owner)
		return taken(manifest, line, owner, "some of them");
	component->ports[component->port_count++] =
	        (struct manifest_ports){.first = (unsigned)first, .count = (unsigned)count};
	return true;
}

static const struct manifest_component *irq_owner(const struct manifest *manifest, uint64_t number)
{
	for (unsigned i = 0; i < manifest->component_count; i++)
		for (unsigned q = 0; q < manifest->components[i].irq_count; q++)
			if (manifest->components[i].irqs[q].line == number)
				return &manifest->components[i];
	return NULL;
}

static bool statement_irq(struct manifest *manifest, struct manifest_component *component,
                          const struct manifest_line *line)
{
	static const char expected[] = "NUMBER [level] [low]";
	uint64_t number;
	if (component->irq_count == MANIFEST_IRQS)
		return manifest_fail(manifest, line->number, "more than %d interrupts", MANIFEST_IRQS);
	struct manifest_irq *irq = &component->irqs[component->irq_count];
	if (!manifest_number(line->words[1], 1023, &number))
		return bad(manifest, line, expected);
	const struct manifest_component *owner = irq_owner(manifest, number);
	if (owner)
		return taken(manifest, line, owner, "that number");
	irq->line = (unsigned)number;
	for (unsigned i = 2; i < line->word_count; i++) {
		if (strcmp(line->words[i], "level") == 0)
			irq->level = true;
		else if (strcmp(line->words[i], "low") == 0)
			irq->active_low = true;
		else
			return bad(manifest, line, expected);
	}
	component->irq_count++;
	return true;
}

static bool statement_irq_control(struct manifest *manifest, struct manifest_component *component,
                                  const struct manifest_line *line)
{
	(void)manifest, (void)line;
	component->irq_control = true;
	return true;
}

static bool statement_wall_clock(struct manifest *manifest, struct manifest_component *component,
                                 const struct manifest_line *line)
{
	for (unsigned i = 0; i < manifest->component_count; i++)
		if (manifest->components[i].wall_clock)
			return taken(manifest, line, &manifest->components[i], "it");
	component->wall_clock = true;
	return true;
}

static bool statement_essential(struct manifest *manifest, struct manifest_component *component,
                                const struct manifest_line *line)
{
	(void)manifest, (void)line;
	component->essential = true;
	return true;
}

static bool statement_cpu_time(struct manifest *manifest, struct manifest_component *component,
                               const struct manifest_line *line)
{
	uint64_t value;
	if (!manifest_number(line->words[1], 250, &value) || value == 0)
		return bad(manifest, line, "the highest priority that it may give");
	component->cpu_time = (unsigned)value;
	return true;
}

static bool statement_cpu(struct manifest *manifest, struct manifest_component *component,
                          const struct manifest_line *line)
{
	uint64_t value;
	if (!manifest_number(line->words[1], 255, &value))
		return bad(manifest, line, "the number of a CPU, from 0 to 255");
	component->cpu = (unsigned)value;
	return true;
}

static const struct statement {
	const char *word;
	statement_handler *handler;
	uint8_t words_min, words_max;
	bool repeats;
} statements[] = {
        {"program", statement_program, 2, 2, false},
        {"priority", statement_priority, 2, 2, false},
        {"budget", statement_budget, 2, 2, false},
        {"memory", statement_memory, 2, 3, false},
        {"stack", statement_stack, 2, 2, false},
        {"dma", statement_dma, 2, 2, false},
        {"untyped", statement_untyped, 2, 3, false},
        {"slots", statement_slots, 2, 2, false},
        {"restart", statement_restart, 2, 2, false},
        {"service", statement_service, 1, 1, false},
        {"uses", statement_uses, 2, 2, true},
        {"device", statement_device, 4, 4, true},
        {"devices", statement_devices, 2, 2, false},
        {"ports", statement_ports, 3, 3, true},
        {"irq", statement_irq, 2, 4, true},
        {"irq-control", statement_irq_control, 1, 1, false},
        {"cpu", statement_cpu, 2, 2, false},
        {"cpu-time", statement_cpu_time, 2, 2, false},
        {"wall-clock", statement_wall_clock, 1, 1, false},
        {"essential", statement_essential, 1, 1, false},
};

bool manifest_component_statement(struct manifest *manifest, struct manifest_component *component,
                                  const struct manifest_line *line)
{
	for (unsigned i = 0; i < sizeof(statements) / sizeof(statements[0]); i++) {
		const struct statement *statement = &statements[i];
		if (strcmp(line->words[0], statement->word) != 0)
			continue;
		if (line->word_count < statement->words_min || line->word_count > statement->words_max)
			return manifest_fail(manifest, line->number, "%s: wrong number of words",
			                     statement->word);
		if (!statement->repeats && component->given >> i & 1)
			return manifest_fail(manifest, line->number, "%s: given twice", statement->word);
		component->given |= 1u << i;
		return statement->handler(manifest, component, line);
	}
	return manifest_fail(manifest, line->number, "unknown word \"%.40s\" in a component", line->words[0]);
}
