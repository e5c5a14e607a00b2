/* SPDX-License-Identifier: MIT */
/*
 * A QEMU plugin: which CPU executes instructions, where the CPUs take turns (under -icount).
 *
 * -plugin turns.so,mark=ADDRESS,out=FILE: FILE becomes a list of `struct turn` in order: each time another
 * CPU goes on, or CPU 0 executes `mark`.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "plugin.h"

enum kind {
	TURN,   /* this CPU's turn is over */
	PAUSED, /* the same, because the kernel paused */
	MARK,
};

struct turn {
	uint64_t end; /* instructions of all CPUs up to here */
	uint32_t cpu, kind;
};

static uint64_t mark, total;
static unsigned running;
static bool paused;
static FILE *out;

static void put(unsigned cpu, enum kind kind)
{
	fwrite(&(struct turn){.end = total, .cpu = cpu, .kind = kind}, sizeof(struct turn), 1, out);
}

static void executed_plain(unsigned cpu, void *data)
{
	(void)data;
	if (cpu != running) {
		put(running, paused ? PAUSED : TURN);
		running = cpu;
	}
	paused = false;
	total++;
}

static void executed_pause(unsigned cpu, void *data)
{
	executed_plain(cpu, data);
	paused = true;
}

static void executed_mark(unsigned cpu, void *data)
{
	executed_plain(cpu, data);
	if (!cpu)
		put(cpu, MARK);
}

static bool is_pause_of_kernel(const struct qemu_plugin_insn *insn)
{
	return qemu_plugin_insn_vaddr(insn) >> 63 && qemu_plugin_insn_size(insn) == 2 &&
	       !memcmp(qemu_plugin_insn_data(insn), "\xf3\x90", 2);
}

static void translated(plugin_id id, struct qemu_plugin_tb *block)
{
	(void)id;
	for (size_t n = 0; n < qemu_plugin_tb_n_insns(block); n++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(block, n);
		executed_callback *callback = executed_plain;

		if (qemu_plugin_insn_vaddr(insn) == mark)
			callback = executed_mark;
		else if (is_pause_of_kernel(insn))
			callback = executed_pause;
		qemu_plugin_register_vcpu_insn_exec_cb(insn, callback, 0, NULL);
	}
}

static void end(plugin_id id, void *data)
{
	(void)id, (void)data;
	fclose(out);
}

int qemu_plugin_install(plugin_id id, const void *info, int count, char **arguments)
{
	(void)info;
	for (int n = 0; n < count; n++) {
		char *value;

		if ((value = plugin_argument(arguments[n], "mark")))
			mark = strtoull(value, NULL, 0);
		else if ((value = plugin_argument(arguments[n], "out")))
			out = fopen(value, "w");
		else
			return 1;
	}
	if (!out)
		return 1;
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	qemu_plugin_register_atexit_cb(id, end, NULL);
	return 0;
}
