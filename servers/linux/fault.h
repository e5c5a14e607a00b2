/* SPDX-License-Identifier: MIT */
/* A process's page fault, as the event loop answers it. */
#pragma once

#include "address_space.h"

/* What the reply is to map. */
struct fault_mapping {
	cptr_t window;
	uint64_t address, memory_page;
	unsigned rights;
};

/* *map: the page is to be mapped by the reply, else that is done. */
enum fault_result fault_handle(struct mm *mm, uint64_t address, unsigned access, bool *map);
/* What the records say now, when nobody runs any more before the reply. false: the page is gone again. */
bool fault_mapping(struct mm *mm, uint64_t address, struct fault_mapping *mapping);
