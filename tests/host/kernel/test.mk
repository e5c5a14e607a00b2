# SPDX-License-Identifier: MIT
tests/host/kernel_SOURCES := $(wildcard kernel/core/*.c)
tests/host/kernel_FLAGS := -Itests/host/kernel/include -Ikernel/include -I. -fno-builtin-printf
# The checker that runs after each operation is the fake architecture's, which calls the kernel's every so often.
$(B)/sanitized/kernel/kernel/core/invariants.c.o: tests/host/kernel_FLAGS += -Dinvariants_check=invariants_check_all
# Between the end of an invocation and what comes of it other CPUs act: in the fake architecture.
$(B)/sanitized/kernel/kernel/core/syscall.c.o: tests/host/kernel_FLAGS += -Dinvoke=fake_invoke
