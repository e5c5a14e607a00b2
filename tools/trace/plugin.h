/* SPDX-License-Identifier: MIT */
/* QEMU's own header is in no Debian package; these are the few declarations of its version 1 that are used.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

struct qemu_plugin_tb;
struct qemu_plugin_insn;
typedef uint64_t plugin_id;
typedef void translated_callback(plugin_id id, struct qemu_plugin_tb *block);
typedef void executed_callback(unsigned cpu, void *data);
typedef void exit_callback(plugin_id id, void *data);

void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id id, translated_callback *callback);
void qemu_plugin_register_atexit_cb(plugin_id id, exit_callback *callback, void *data);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn, executed_callback *callback,
                                            int flags, void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *block);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *block, size_t index);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);
char *qemu_plugin_insn_disas(const struct qemu_plugin_insn *insn);

EXPORT int qemu_plugin_version = 1;
EXPORT int qemu_plugin_install(plugin_id id, const void *info, int count, char **arguments);

/* Splits `name=value`, an argument of the plugin's: its value if that is its name, else NULL. */
static inline char *plugin_argument(char *argument, const char *name)
{
	size_t length = strlen(name);

	return !strncmp(argument, name, length) && argument[length] == '=' ? argument + length + 1 : NULL;
}

/* A guest program marks a section of its run with two no-ops that no compiler emits, `nopl 0x4c42MM(%rax)`
 * (tests/bench/lbench.c). */
enum mark {
	MARK_BEGIN = 1,
	MARK_END = 2,
};

static inline bool plugin_is_mark(const struct qemu_plugin_insn *insn, enum mark mark)
{
	const uint8_t code[] = {0x0f, 0x1f, 0x80, (uint8_t)mark, 0x42, 0x4c, 0x00};

	return qemu_plugin_insn_size(insn) == sizeof(code) &&
	       !memcmp(qemu_plugin_insn_data(insn), code, sizeof(code));
}
