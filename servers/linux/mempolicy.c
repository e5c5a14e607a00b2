/* SPDX-License-Identifier: MIT */
/* Where memory comes from: there is one node, 0, so that a policy is kept and told, and changes nothing. */
#include <errno.h>
#include "syscall.h"
#include "thread.h"

enum { POLICY_DEFAULT, POLICY_PREFERRED, POLICY_BIND, POLICY_INTERLEAVE, POLICY_LOCAL };
enum { FLAG_NODE = 1, FLAG_ADDRESS = 2, FLAG_ALLOWED = 4 };
#define MODE_FLAGS (3u << 14) /* MPOL_F_STATIC_NODES, MPOL_F_RELATIVE_NODES */
#define NODES_MAX  (8 * 4096)

static int get_nodes(struct thread *thread, uint64_t address, uint64_t count, uint64_t *nodes)
{
	*nodes = 0;
	if (!address || count <= 1)
		return 0;
	if (--count > NODES_MAX) /* as Linux: one bit less than it is told */
		return -EINVAL;
	for (uint64_t i = 0; i * 64 < count; i++) {
		uint64_t word;

		if (copy_from_user(thread, &word, address + i * 8, sizeof(word)))
			return -EFAULT;
		if (count - i * 64 < 64)
			word &= (1ul << (count - i * 64)) - 1;
		if (i ? word : word & ~1ul)
			return -EINVAL;
		*nodes |= i ? 0 : word;
	}
	return 0;
}

long sys_set_mempolicy(struct thread *thread, const uint64_t arguments[6])
{
	unsigned mode = (unsigned)arguments[0] & ~MODE_FLAGS, flags = (unsigned)arguments[0] & MODE_FLAGS;
	uint64_t nodes;
	int error;

	if (mode > POLICY_LOCAL || flags == MODE_FLAGS)
		return -EINVAL;
	error = get_nodes(thread, arguments[1], arguments[2], &nodes);
	if (error)
		return error;
	if ((mode == POLICY_DEFAULT || mode == POLICY_LOCAL) && (nodes || (flags && mode == POLICY_LOCAL)))
		return -EINVAL;
	if ((mode == POLICY_BIND || mode == POLICY_INTERLEAVE) && !nodes)
		return -EINVAL;
	if (mode == POLICY_PREFERRED && !nodes) {
		if (flags)
			return -EINVAL;
		mode = POLICY_LOCAL;
	}
	thread->private->memory_policy = (uint16_t)(mode == POLICY_DEFAULT ? 0 : mode | flags);
	return 0;
}

long sys_get_mempolicy(struct thread *thread, const uint64_t arguments[6])
{
	uint64_t policy = arguments[0], address = arguments[1], count = arguments[2], nodes = 0;
	unsigned flags = (unsigned)arguments[4];
	unsigned mode = thread->private->memory_policy & ~MODE_FLAGS;
	int32_t answer = thread->private->memory_policy;

	if (flags & ~(unsigned)(FLAG_NODE | FLAG_ADDRESS | FLAG_ALLOWED) || (address && count < 1))
		return -EINVAL;
	if (flags & FLAG_ALLOWED) {
		if (flags & (FLAG_NODE | FLAG_ADDRESS))
			return -EINVAL;
		answer = 0;
		nodes = 1;
	} else if (flags & FLAG_ADDRESS) {
		uint8_t byte; /* the page is brought in, as Linux does to tell its node */

		if (copy_from_user(thread, &byte, arguments[3], 1))
			return -EFAULT;
		answer = 0;
	} else if (arguments[3]) {
		return -EINVAL;
	} else if (flags & FLAG_NODE) {
		if (mode != POLICY_INTERLEAVE)
			return -EINVAL;
		answer = 0;
	} else {
		nodes = mode == POLICY_PREFERRED || mode == POLICY_BIND || mode == POLICY_INTERLEAVE;
	}
	if (policy && copy_to_user(thread, policy, &answer, sizeof(answer)))
		return -EFAULT;
	if (!address)
		return 0;
	if (count > NODES_MAX)
		return -EINVAL;
	if (copy_to_user(thread, address, &nodes, sizeof(nodes)))
		return -EFAULT;
	return count > 64 ? clear_user(thread, address + 8, (count - 1) / 64 * 8) : 0;
}
