tests/host/dmar_SOURCES := kernel/arch/x86_64/dmar.c
tests/host/dmar_FLAGS   := -Ikernel/include -Ikernel/arch/x86_64/include -Ikernel/arch/x86_64
