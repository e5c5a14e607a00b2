# SPDX-License-Identifier: MIT
tests/host/kernel_SOURCES := $(wildcard kernel/core/*.c)
tests/host/kernel_FLAGS := -Itests/host/kernel/include -Ikernel/include -I. -fno-builtin-printf
