/* SPDX-License-Identifier: MIT */
/*
 * The kernel's text is made to fit the machine, once at boot before it becomes read-only: what a machine has
 * not, or does not need, costs nothing on its hot paths.
 */
#include "local.h"

bool kpti;

/* From and to which address each cpu_load_root() is. */
extern char *root_loads[][2], *root_loads_end[][2];

enum patch { PATCH_CALL = 0xe8, PATCH_JUMP = 0xe9 };

/* What is executed at `at`, five bytes or more, is that from now on. */
static void patch(char *at, enum patch opcode, const char *target)
{
	int32_t distance = (int32_t)(target - (at + 5));

	at[0] = (char)opcode;
	__builtin_memcpy(at + 1, &distance, sizeof(distance));
}

/* What follows `beginning` in the text, or NULL: it begins otherwise. */
static const char *behind(const char *text, const char *beginning)
{
	while (*beginning)
		if (*text++ != *beginning++)
			return NULL;
	return text;
}

static bool is_word(const char *text, const char *word)
{
	const char *end = behind(text, word);

	return end && (!*end || *end == ' ');
}

/* The command line's first word `key` with on or off behind it, else `otherwise`. */
static bool choice(const char *command_line, const char *key, bool otherwise)
{
	for (const char *at = command_line; *at; at++) {
		const char *value = at == command_line || at[-1] == ' ' ? behind(at, key) : NULL;

		if (!value)
			continue;
		if (is_word(value, "on") || is_word(value, "off"))
			return is_word(value, "on");
		kernel_log("command line: neither on nor off: %s\n", at);
	}
	return otherwise;
}

static void patch_root_loads(void)
{
	for (unsigned i = 0; root_loads[i] < root_loads_end[0]; i++) {
		patch(root_loads[i][0], PATCH_CALL, cpu_features.pcid ? load_root_pcid : load_root_kpti);
		for (char *rest = root_loads[i][0] + 5; rest < root_loads[i][1]; rest++)
			*rest = (char)0x90; /* nop */
	}
}

void patch_text(const char *command_line)
{
	kpti = choice(command_line, "kpti=", cpu_features.meltdown);
	cpu_features.pcid = choice(command_line, "pcid=", true) && cpu_features.pcid;
	if (cpu_features.fsgsbase)
		switch_jump_target = (int32_t)(switch_bases_instructions - switch_jump_end);
	else {
		patch(switch_native_begin, PATCH_JUMP, switch_bases_msr);
		patch(switch_to_handler_begin, PATCH_JUMP, switch_bases_msr);
	}
	if (kpti || cpu_features.pcid)
		patch_root_loads();
	if (cpu_features.pcid)
		patch((char *)arch_tlb_flush, PATCH_JUMP, (const char *)pcid_tlb_flush);
	if (!kpti)
		return;
	kernel_log("cpu: user mode has page tables of its own (KPTI)\n");
	patch(entry_trap, PATCH_JUMP, entry_trap_kpti);
	patch(leave, PATCH_JUMP, leave_kpti);
	patch(switch_leave, PATCH_JUMP, switch_leave_kpti);
	cpu_init_entry();
}
