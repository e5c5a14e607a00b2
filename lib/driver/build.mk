# SPDX-License-Identifier: MIT
# libdriver: what drivers share (PCI client, virtio, DMA memory, mapping of registers). Offered to every component.

LIBDRIVER         := $(B)/lib/libdriver.a
LIBDRIVER_OBJECTS := $(patsubst %,$(B)/native/%.o,$(wildcard lib/driver/*.c))
DEPENDENCIES      += $(LIBDRIVER_OBJECTS:.o=.d)

$(LIBDRIVER): $(LIBDRIVER_OBJECTS)
	$(call say,AR,$@)
	@mkdir -p $(@D)
	@rm -f $@
	@$(AR) rcsD $@ $(LIBDRIVER_OBJECTS)

NATIVE_FLAGS += -Ilib/driver/include
NATIVE_LIBS  := $(LIBDRIVER) $(NATIVE_LIBS)
$(COMPONENTS): $(LIBDRIVER)
