/* SPDX-License-Identifier: MIT */
/* Capabilities, as Linux numbers them: those that something here asks for. */
#pragma once

#include "process.h"

enum capability {
	CAP_CHOWN = 0,
	CAP_DAC_OVERRIDE = 1,
	CAP_DAC_READ_SEARCH = 2,
	CAP_FOWNER = 3,
	CAP_FSETID = 4,
	CAP_KILL = 5,
	CAP_SETGID = 6,
	CAP_SETUID = 7,
	CAP_SETPCAP = 8,
	CAP_LINUX_IMMUTABLE = 9,
	CAP_IPC_LOCK = 14,
	CAP_IPC_OWNER = 15,
	CAP_SYS_MODULE = 16,
	CAP_SYS_RAWIO = 17,
	CAP_SYS_CHROOT = 18,
	CAP_SYS_PTRACE = 19,
	CAP_SYS_ADMIN = 21,
	CAP_SYS_BOOT = 22,
	CAP_SYS_NICE = 23,
	CAP_SYS_RESOURCE = 24,
	CAP_SYS_TIME = 25,
	CAP_MKNOD = 27,
	CAP_AUDIT_CONTROL = 30,
	CAP_MAC_OVERRIDE = 32,
	CAP_SYSLOG = 34,
	CAPABILITY_LAST = 40,
};
#define CAPABILITY_BIT(capability) (1ul << (capability))
#define CAPABILITY_ALL             ((1ul << (CAPABILITY_LAST + 1)) - 1)

static inline bool has_capability(const struct credentials *credentials, enum capability capability)
{
	return credentials->effective & CAPABILITY_BIT(capability);
}

static inline bool capable(const struct thread *thread, enum capability capability)
{
	return has_capability(&thread->process->credentials, capability);
}

/* All that there are: of the first process. */
void capabilities_init(struct credentials *credentials);
/* User ids have changed, as setuid and its like do it; or that of file systems alone. */
void capabilities_uids_changed(const struct credentials *old, struct credentials *new);
void capabilities_fsuid_changed(const struct credentials *old, struct credentials *new);
/* What access() goes by: the rights that the real user would have. */
void credentials_of_real_user(struct credentials *credentials);
/* exec: `new` has the effective user and group that the program's file asks for. true: it may have more
 * rights than who runs it. */
bool capabilities_exec(const struct credentials *old, struct credentials *new, bool no_new_privileges);
/* prctl's PR_CAPBSET_*, PR_CAP_AMBIENT, PR_*_SECUREBITS, PR_*_KEEPCAPS */
long capability_prctl(struct credentials *credentials, const uint64_t arguments[6]);
