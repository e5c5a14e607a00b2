# SPDX-License-Identifier: MIT
# Components among which `linux` is as tests/system/waits.py wants it: copies from and to programs' memory wait now and then, as they do
# for pages that are not there, and what is freed is overwritten at once.

WAITS      := $(B)/components-waits
WAITS_WRAP := -Wl,--wrap=free

$(B)/waits/user_copy.c.o: servers/linux/user_copy.c $(MUSL_LIBC) $(MAKEFILES_USED)
	$(call say,CC,$@)
	@mkdir -p $(@D)
	@$(CC) $(COMMON) $(NATIVE_FLAGS) -Iservers/linux -DCOPIES_WAIT=1 -c -o $@ $<
$(B)/waits/free.c.o: tests/waits/free.c $(MUSL_LIBC) $(MAKEFILES_USED)
	$(call say,CC,$@)
	@mkdir -p $(@D)
	@$(CC) $(COMMON) $(NATIVE_FLAGS) -c -o $@ $<
DEPENDENCIES += $(B)/waits/user_copy.c.d $(B)/waits/free.c.d

WAITS_OBJECTS = $(filter-out %/user_copy.c.o,$(servers/linux_OBJECTS)) $(B)/waits/user_copy.c.o $(B)/waits/free.c.o
$(WAITS)/linux.elf: $(B)/components/linux.elf $(B)/waits/user_copy.c.o $(B)/waits/free.c.o
	$(call say,LD,$@)
	@mkdir -p $(@D)
	@ln -sf $(patsubst %,../components/%.elf,$(filter-out linux,$(notdir $(COMPONENT_FOLDERS)))) $(@D)/
	$(call link,$(NATIVE_LINK) $(WAITS_WRAP),$(WAITS_OBJECTS) $(NATIVE_LIBS))
