/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>

#include "world.h"

/* Operations are numbered behind the system calls. */
static const struct {
	unsigned call;
	uint8_t errors[16];
} documented[] = {
#define DOCUMENTED(name, ...) {name, {__VA_ARGS__}},
#include "../../kernel/documented.h"
#undef DOCUMENTED
};

static bool is_documented(uint64_t call, uint64_t status)
{
	for (unsigned i = 0; i < sizeof(documented) / sizeof(documented[0]); i++)
		for (unsigned j = 0; documented[i].call == call && j < sizeof(documented[0].errors); j++)
			if (documented[i].errors[j] == status)
				return true;
	return false;
}

void documented_check(uint64_t number, const struct call *call, uint64_t status)
{
	bool is_call = number >= SYS_CALL && number <= SYS_DEBUG_WRITE;

	if (status == ERR_NONE ||
	    (status == RECV_NOTIFICATION && (number == SYS_RECV || number == SYS_REPLY_RECV)))
		return;
	if (!is_call && status == ERR_NO_SYSCALL)
		return;
	if (is_call && is_documented(number, status))
		return;
	if (number == SYS_INVOKE && call->info > SYS_DEBUG_WRITE && is_documented(call->info, status))
		return;
	fprintf(stderr, "system call %lu, operation %#lx: status %lu is not documented\n", number, call->info,
	        status);
	abort();
}
