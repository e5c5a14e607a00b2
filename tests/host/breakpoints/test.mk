tests/host/breakpoints_SOURCES := kernel/arch/x86_64/breakpoints.c
tests/host/breakpoints_FLAGS   := -Ikernel/include -Ikernel/arch/x86_64/include -Ikernel/arch/x86_64
