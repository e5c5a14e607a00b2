tests/host/boot_SOURCES := kernel/arch/x86_64/boot_memory.c kernel/arch/x86_64/boot_pvh.c kernel/arch/x86_64/boot_multiboot.c \
                           kernel/arch/x86_64/acpi.c kernel/arch/x86_64/dmar.c
tests/host/boot_FLAGS   := -Ikernel/include -Ikernel/arch/x86_64/include -Ikernel/arch/x86_64
