# SPDX-License-Identifier: MIT
tests/host/linux_proc_SOURCES := servers/linux/deadline.c servers/linux/page_map.c servers/linux/vma.c \
                                 servers/linux/elf_image.c servers/linux/sigframe_layout.c
tests/host/linux_proc_FLAGS := -Iservers/linux -Ilib/pith/include
