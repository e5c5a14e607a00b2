# SPDX-License-Identifier: MIT
tests/host/pci_SOURCES := $(addprefix drivers/bus/pci/,config.c functions.c assign.c regions.c interrupts.c claims.c service.c)
tests/host/pci_FLAGS := -Ilib/pith/include -Ilib/driver/include -Idrivers/bus/pci -Itests/host/fiber
