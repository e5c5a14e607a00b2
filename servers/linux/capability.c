/* SPDX-License-Identifier: MIT */
/*
 * Sets of capabilities: how programs change them, and what becomes of them when users change and programs are
 * run. Files have none, so that a program gets what the superuser's get, or what is ambient.
 */
#include <errno.h>
#include <sys/prctl.h>
#include "capability.h"
#include "syscall.h"

/* Each has a lock, the bit above it. */
enum secure_bits {
	SECURE_NOROOT = 1,
	SECURE_NO_SETUID_FIXUP = 4,
	SECURE_KEEP_CAPS = 16,
	SECURE_KEEP_CAPS_LOCKED = 32,
	SECURE_NO_AMBIENT_RAISE = 64,
	SECURE_BITS = 0x55,
	SECURE_LOCKS = 0xaa,
};

#define OF_FILE_SYSTEMS                                                                                  \
	(CAPABILITY_BIT(CAP_CHOWN) | CAPABILITY_BIT(CAP_MKNOD) | CAPABILITY_BIT(CAP_DAC_OVERRIDE) |      \
	 CAPABILITY_BIT(CAP_DAC_READ_SEARCH) | CAPABILITY_BIT(CAP_FOWNER) | CAPABILITY_BIT(CAP_FSETID) | \
	 CAPABILITY_BIT(CAP_LINUX_IMMUTABLE) | CAPABILITY_BIT(CAP_MAC_OVERRIDE))

void capabilities_init(struct credentials *credentials)
{
	credentials->effective = credentials->permitted = credentials->bounding = CAPABILITY_ALL;
}

static bool any_root(const struct credentials *credentials)
{
	return !credentials->uid || !credentials->euid || !credentials->suid;
}

void capabilities_uids_changed(const struct credentials *old, struct credentials *new)
{
	if (new->secure_bits & SECURE_NO_SETUID_FIXUP)
		return;
	if (any_root(old) && !any_root(new)) {
		if (!(new->secure_bits &SECURE_KEEP_CAPS))
			new->permitted = new->effective = 0;
		new->ambient = 0;
	}
	if (!old->euid && new->euid)
		new->effective = 0;
	if (old->euid && !new->euid)
		new->effective = new->permitted;
}

void capabilities_fsuid_changed(const struct credentials *old, struct credentials *new)
{
	if (new->secure_bits & SECURE_NO_SETUID_FIXUP)
		return;
	if (!old->fsuid && new->fsuid)
		new->effective &= ~OF_FILE_SYSTEMS;
	if (old->fsuid && !new->fsuid)
		new->effective |= new->permitted &OF_FILE_SYSTEMS;
}

void credentials_of_real_user(struct credentials *credentials)
{
	credentials->fsuid = credentials->uid;
	credentials->fsgid = credentials->gid;
	if (!(credentials->secure_bits & SECURE_NO_SETUID_FIXUP))
		credentials->effective = credentials->uid ? 0 : credentials->permitted;
}

bool capabilities_exec(const struct credentials *old, struct credentials *new, bool no_new_privileges)
{
	bool of_root = !(new->secure_bits &SECURE_NOROOT) && (!new->euid || !new->uid),
	     effective = of_root && !new->euid, set_id = new->euid != old->uid || new->egid != old->gid;

	new->permitted = of_root ? new->bounding | new->inheritable : 0;
	if (no_new_privileges && (set_id || new->permitted & ~old->permitted)) {
		new->euid = new->uid;
		new->egid = new->gid;
		new->permitted &= old->permitted;
	}
	if (set_id)
		new->ambient = 0;
	new->permitted |= new->ambient;
	new->effective = effective ? new->permitted : new->ambient;
	new->secure_bits &= ~(unsigned)SECURE_KEEP_CAPS;
	return set_id || (new->uid && (new->effective & ~new->ambient || new->permitted & ~new->ambient));
}

/* ---- calls ---- */

struct capability_header {
	uint32_t version;
	int32_t pid;
};

struct capability_words {
	uint32_t effective, permitted, inheritable;
};

static size_t words_of(uint32_t version)
{
	return version == 0x19980330 ? 1 : version == 0x20071026 || version == 0x20080522 ? 2 : 0;
}

/* The words' number, or -errno; of an unknown version the program is told the one to use. */
static int header_from_user(struct thread *thread, uint64_t address, struct capability_header *header)
{
	uint32_t preferred = 0x20080522;

	if (copy_from_user(thread, &header->version, address, sizeof(header->version)))
		return -EFAULT;
	if (words_of(header->version))
		return copy_from_user(thread, &header->pid, address + sizeof(header->version),
		                      sizeof(header->pid))
		               ? -EFAULT
		               : (int)words_of(header->version);
	return copy_to_user(thread, address, &preferred, sizeof(preferred)) ? -EFAULT : -EINVAL;
}

long sys_capget(struct thread *thread, const uint64_t arguments[6])
{
	struct capability_header header;
	struct capability_words data[2];
	const struct process *target;
	int words = header_from_user(thread, arguments[0], &header);

	if (words < 0)
		return words == -EINVAL && !arguments[1] ? 0 : words;
	if (!arguments[1])
		return 0;
	if (header.pid < 0)
		return -EINVAL;
	target = header.pid ? process_find(header.pid) : thread->process;
	if (!target)
		return -ESRCH;
	for (int i = 0; i < 2; i++)
		data[i] = (struct capability_words){
		        .effective = (uint32_t)(target->credentials.effective >> 32 * i),
		        .permitted = (uint32_t)(target->credentials.permitted >> 32 * i),
		        .inheritable = (uint32_t)(target->credentials.inheritable >> 32 * i),
		};
	return copy_to_user(thread, arguments[1], data, (size_t)words * sizeof(data[0]));
}

/* Nothing is gained but in the inheritable set, and there within what is permitted, or bounding. */
static int set_sets(struct credentials *credentials, uint64_t effective, uint64_t permitted,
                    uint64_t inheritable)
{
	if (!has_capability(credentials, CAP_SETPCAP) &&
	    inheritable & ~(credentials->inheritable | credentials->permitted))
		return -EPERM;
	if (inheritable & ~(credentials->inheritable | credentials->bounding) ||
	    permitted & ~credentials->permitted || effective & ~permitted)
		return -EPERM;
	credentials->effective = effective;
	credentials->permitted = permitted;
	credentials->inheritable = inheritable;
	credentials->ambient &= permitted & inheritable;
	return 0;
}

long sys_capset(struct thread *thread, const uint64_t arguments[6])
{
	struct capability_header header;
	struct capability_words data[2] = {{0}};
	int words = header_from_user(thread, arguments[0], &header);

	if (words < 0)
		return words;
	if (header.pid && header.pid != thread->tid)
		return -EPERM;
	if (copy_from_user(thread, data, arguments[1], (size_t)words * sizeof(data[0])))
		return -EFAULT;
	return set_sets(&thread->process->credentials,
	                (data[0].effective | (uint64_t)data[1].effective << 32) & CAPABILITY_ALL,
	                (data[0].permitted | (uint64_t)data[1].permitted << 32) & CAPABILITY_ALL,
	                (data[0].inheritable | (uint64_t)data[1].inheritable << 32) & CAPABILITY_ALL);
}

static long ambient_prctl(struct credentials *credentials, const uint64_t arguments[6])
{
	uint64_t command = arguments[1], bit;

	if (command == PR_CAP_AMBIENT_CLEAR_ALL) {
		if (arguments[2] || arguments[3] || arguments[4])
			return -EINVAL;
		credentials->ambient = 0;
		return 0;
	}
	if (arguments[2] > CAPABILITY_LAST || arguments[3] || arguments[4])
		return -EINVAL;
	bit = CAPABILITY_BIT(arguments[2]);
	switch (command) {
	case PR_CAP_AMBIENT_IS_SET:
		return (credentials->ambient & bit) != 0;
	case PR_CAP_AMBIENT_LOWER:
		credentials->ambient &= ~bit;
		return 0;
	case PR_CAP_AMBIENT_RAISE:
		if (!(credentials->permitted & credentials->inheritable & bit) ||
		    credentials->secure_bits & SECURE_NO_AMBIENT_RAISE)
			return -EPERM;
		credentials->ambient |= bit;
		return 0;
	default:
		return -EINVAL;
	}
}

/* Locked bits stay, and so do locks. */
static long set_secure_bits(struct credentials *credentials, uint64_t bits)
{
	uint64_t old = credentials->secure_bits, locks = old & SECURE_LOCKS;

	if (locks >> 1 & (old ^ bits) || locks & ~bits || bits & ~(uint64_t)(SECURE_BITS | SECURE_LOCKS) ||
	    !has_capability(credentials, CAP_SETPCAP))
		return -EPERM;
	credentials->secure_bits = (unsigned)bits;
	return 0;
}

long capability_prctl(struct credentials *credentials, const uint64_t arguments[6])
{
	uint64_t value = arguments[1];

	switch (arguments[0]) {
	case PR_CAPBSET_READ:
		return value > CAPABILITY_LAST ? -EINVAL : (long)(credentials->bounding >> value & 1);
	case PR_CAPBSET_DROP:
		if (!has_capability(credentials, CAP_SETPCAP))
			return -EPERM;
		if (value > CAPABILITY_LAST)
			return -EINVAL;
		credentials->bounding &= ~CAPABILITY_BIT(value);
		return 0;
	case PR_CAP_AMBIENT:
		return ambient_prctl(credentials, arguments);
	case PR_GET_SECUREBITS:
		return credentials->secure_bits;
	case PR_SET_SECUREBITS:
		return set_secure_bits(credentials, value);
	case PR_GET_KEEPCAPS:
		return (credentials->secure_bits & SECURE_KEEP_CAPS) != 0;
	case PR_SET_KEEPCAPS:
		if (value > 1)
			return -EINVAL;
		if (credentials->secure_bits & SECURE_KEEP_CAPS_LOCKED)
			return -EPERM;
		credentials->secure_bits &= ~(unsigned)SECURE_KEEP_CAPS;
		credentials->secure_bits |= value ? SECURE_KEEP_CAPS : 0;
		return 0;
	default:
		return -EINVAL;
	}
}
