/* SPDX-License-Identifier: MIT */
/*
 * pci: the bus component. Finds the machine's PCI functions and hands each driver its own device: registers,
 * interrupts, configuration space to read; nothing else. See README.md for what the manifest must give it.
 */
#include "claims.h"
#include "interrupts.h"
#include "regions.h"
#include "service.h"

#include <pith/log.h>

int main(void)
{
	static struct server server = {.on_call = service_call};
	config_attach();
	interrupts_attach();
	regions_attach();
	functions_scan();
	functions_assign();
	claims_configure();
	log_info("%u functions", function_count());
	server_run(&server);
}
