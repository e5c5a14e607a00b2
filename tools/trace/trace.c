/* SPDX-License-Identifier: MIT */
/*
 * A QEMU plugin: how often each guest instruction was executed, by any CPU, between one address and another,
 * or in a section that the program marks (plugin.h).
 *
 * -plugin trace.so,from=ADDRESS,until=ADDRESS,out=FILE: counting is on from an execution of `from` to one of
 * `until`. -plugin trace.so,out=FILE: from one mark to the other. At the end FILE has a line `address count
 * bytes text` for each instruction that was executed in between.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "plugin.h"

struct instruction {
	struct instruction *next;
	uint64_t address, count;
	bool begins, ends;
	size_t size;
	uint8_t bytes[16];
	char *text;
};

#define BUCKETS 65536
static struct instruction *buckets[BUCKETS];
static uint64_t from, until;
static const char *out;
static bool counting;

/* QEMU translates the same code several times: one record for each. */
static struct instruction *instruction_find(const struct qemu_plugin_insn *insn)
{
	uint64_t address = qemu_plugin_insn_vaddr(insn);
	struct instruction **bucket = &buckets[address % BUCKETS], *i;
	size_t size = qemu_plugin_insn_size(insn);
	const void *bytes = qemu_plugin_insn_data(insn);

	for (i = *bucket; i; i = i->next)
		if (i->address == address && i->size == size && !memcmp(i->bytes, bytes, size))
			return i;
	i = calloc(1, sizeof(*i));
	if (!i || size > sizeof(i->bytes))
		abort();
	i->address = address;
	i->size = size;
	memcpy(i->bytes, bytes, size);
	i->text = qemu_plugin_insn_disas(insn);
	i->begins = from ? address == from : plugin_is_mark(insn, MARK_BEGIN);
	i->ends = from ? address == until : plugin_is_mark(insn, MARK_END);
	i->next = *bucket;
	*bucket = i;
	return i;
}

static void executed(unsigned cpu, void *data)
{
	struct instruction *i = data;

	(void)cpu;
	if (i->begins)
		counting = true;
	else if (i->ends)
		counting = false;
	i->count += counting;
}

static void translated(plugin_id id, struct qemu_plugin_tb *block)
{
	(void)id;
	for (size_t n = 0; n < qemu_plugin_tb_n_insns(block); n++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(block, n);

		qemu_plugin_register_vcpu_insn_exec_cb(insn, executed, 0, instruction_find(insn));
	}
}

static void write_down(plugin_id id, void *data)
{
	FILE *file = fopen(out, "w");

	(void)id, (void)data;
	if (!file)
		return;
	for (unsigned n = 0; n < BUCKETS; n++)
		for (const struct instruction *i = buckets[n]; i; i = i->next) {
			if (!i->count)
				continue;
			fprintf(file, "%" PRIx64 " %" PRIu64 " ", i->address, i->count);
			for (size_t b = 0; b < i->size; b++)
				fprintf(file, "%02x", i->bytes[b]);
			fprintf(file, " %s\n", i->text ? i->text : "");
		}
	fclose(file);
}

int qemu_plugin_install(plugin_id id, const void *info, int count, char **arguments)
{
	(void)info;
	for (int n = 0; n < count; n++) {
		char *value;

		if ((value = plugin_argument(arguments[n], "from")))
			from = strtoull(value, NULL, 0);
		else if ((value = plugin_argument(arguments[n], "until")))
			until = strtoull(value, NULL, 0);
		else if ((value = plugin_argument(arguments[n], "out")))
			out = strdup(value);
		else
			return 1;
	}
	if (!out)
		return 1;
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	qemu_plugin_register_atexit_cb(id, write_down, NULL);
	return 0;
}
