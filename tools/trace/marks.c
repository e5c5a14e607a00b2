/* SPDX-License-Identifier: MIT */
/*
 * A QEMU plugin: how often address spaces are switched in each section of a guest program that it marks
 * (plugin.h).
 *
 * -plugin marks.so,out=FILE: at the end FILE has a line for each section, in order: how many instructions
 * wrote CR3 in it. A section that another one's beginning cuts off does not count.
 */
#include <inttypes.h>
#include <stdio.h>

#include "plugin.h"

static FILE *file;
static uint64_t writes;

static void mark(unsigned cpu, void *data)
{
	(void)cpu;
	if (data)
		fprintf(file, "%" PRIu64 "\n", writes);
	writes = 0;
}

static void write_cr3(unsigned cpu, void *data)
{
	(void)cpu, (void)data;
	writes++;
}

/* mov %reg, %cr3, with or without a REX prefix. */
static bool writes_cr3(const struct qemu_plugin_insn *insn)
{
	const uint8_t *code = qemu_plugin_insn_data(insn);
	size_t size = qemu_plugin_insn_size(insn);

	if (size && (code[0] & 0xf0) == 0x40) {
		code++;
		size--;
	}
	return size == 3 && code[0] == 0x0f && code[1] == 0x22 && (code[2] & 0xf8) == 0xd8;
}

static void translated(plugin_id id, struct qemu_plugin_tb *block)
{
	(void)id;
	for (size_t n = 0; n < qemu_plugin_tb_n_insns(block); n++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(block, n);

		if (plugin_is_mark(insn, MARK_BEGIN))
			qemu_plugin_register_vcpu_insn_exec_cb(insn, mark, 0, NULL);
		else if (plugin_is_mark(insn, MARK_END))
			qemu_plugin_register_vcpu_insn_exec_cb(insn, mark, 0, insn);
		else if (writes_cr3(insn))
			qemu_plugin_register_vcpu_insn_exec_cb(insn, write_cr3, 0, NULL);
	}
}

static void finish(plugin_id id, void *data)
{
	(void)id, (void)data;
	fclose(file);
}

int qemu_plugin_install(plugin_id id, const void *info, int count, char **arguments)
{
	const char *out = count == 1 ? plugin_argument(arguments[0], "out") : NULL;

	(void)info;
	if (!out || !(file = fopen(out, "w")))
		return 1;
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	qemu_plugin_register_atexit_cb(id, finish, NULL);
	return 0;
}
