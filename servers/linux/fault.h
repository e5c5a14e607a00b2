/* SPDX-License-Identifier: MIT */
/* A process's page fault, as the event loop answers it. */
#pragma once

#include "address_space.h"

/* What the reply is to map; window CPTR_NULL: nothing, it is done. */
struct fault_mapping {
	cptr_t window;
	uint64_t address, memory_page;
	unsigned rights;
};

enum fault_result fault_handle(struct mm *mm, uint64_t address, unsigned access,
                               struct fault_mapping *mapping);
