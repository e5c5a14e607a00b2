# SPDX-License-Identifier: MIT
tests/host/uart_SOURCES := $(addprefix drivers/serial/uart/,hardware.c rings.c transfer.c)
tests/host/uart_FLAGS := -Ilib/pith/include -Idrivers/serial/uart -Itests/host/fiber
