# SPDX-License-Identifier: MIT
# The shared object that servers/linux has in it and maps into processes: a program for Linux, but for its data.

VDSO       := $(B)/lib/vdso.so
VDSO_FLAGS := -O2 -fPIC -shared -nostdlib -ffreestanding -mgeneral-regs-only -fno-stack-protector -fcf-protection=none \
              -fasynchronous-unwind-tables -fomit-frame-pointer -fvisibility=hidden
VDSO_LINK  := -Wl,-T,lib/vdso/vdso.ld -Wl,-soname,linux-vdso.so.1 -Wl,--hash-style=both -Wl,--eh-frame-hdr -Wl,-Bsymbolic \
              -Wl,--build-id=none -Wl,-z,max-page-size=4096 -Wl,-z,noexecstack -Wl,--no-undefined -Wl,-s

$(VDSO): lib/vdso/vdso.c lib/vdso/vdso_data.h lib/vdso/vdso.ld $(MAKEFILES_USED)
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(call link,$(CC) -std=gnu11 -D_GNU_SOURCE $(WARNINGS) $(VDSO_FLAGS) $(VDSO_LINK),$<)

servers/linux_FLAGS += -Ilib/vdso -DVDSO_IMAGE='"$(VDSO)"'
$(B)/native/servers/linux/vdso_image.S.o: $(VDSO)
