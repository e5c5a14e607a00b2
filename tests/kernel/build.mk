# SPDX-License-Identifier: MIT
# The kernel's tests: a boot image whose first component runs them. `./pith test kernel` boots it.

KTEST       := tests/kernel
KTEST_FLAGS := -O2 -ffreestanding -mgeneral-regs-only -fno-pic -fno-pie -fno-stack-protector -fcf-protection=none \
               -fno-tree-loop-distribute-patterns -Iabi/include -I$(KTEST) -I$(KTEST)/support

# A program in the first component's place (the kernel's benchmark is one, too).
FIRST_LINK := $(CC) -nostdlib -static -no-pie -Wl,--build-id=none -Wl,-z,max-page-size=4096 -Wl,-z,noexecstack -Wl,-Ttext-segment=0x400000

$(B)/tests/kernel/%.o: $(KTEST)/% $(MAKEFILES_USED)
	$(call say,CC,$<)
	@mkdir -p $(@D)
	@$(CC) $(COMMON) $(KTEST_FLAGS) -c -o $@ $<

KTEST_OBJECTS := $(patsubst $(KTEST)/%,$(B)/tests/kernel/%.o,$(wildcard $(KTEST)/*.c $(KTEST)/*.S $(KTEST)/support/*.c))
DEPENDENCIES  += $(KTEST_OBJECTS:.o=.d)

$(B)/tests/kernel.elf: $(KTEST_OBJECTS)
	$(call say,LD,$@)
	$(call link,$(FIRST_LINK),$^)
$(B)/tests/kernel.img: $(B)/tests/kernel.elf $(KTEST)/pack.py
	@$(PYTHON) $(KTEST)/pack.py $< $@

# The same for the second program, objects/.
KOBJECTS_FLAGS := $(KTEST_FLAGS) -mno-red-zone
$(B)/tests/kernel-objects/%.o: $(KTEST)/% $(MAKEFILES_USED)
	$(call say,CC,$<)
	@mkdir -p $(@D)
	@$(CC) $(COMMON) $(KOBJECTS_FLAGS) -c -o $@ $<

KOBJECTS     := $(patsubst $(KTEST)/%,$(B)/tests/kernel-objects/%.o,$(wildcard $(KTEST)/objects/*.c) $(KTEST)/start.S $(addprefix $(KTEST)/support/,choose.c memory.c))
DEPENDENCIES += $(KOBJECTS:.o=.d)

$(B)/tests/kernel-objects.elf: $(KOBJECTS)
	$(call say,LD,$@)
	$(call link,$(FIRST_LINK),$^ $(LIBGCC))
$(B)/tests/kernel-objects.img: $(B)/tests/kernel-objects.elf $(KTEST)/pack.py
	@$(PYTHON) $(KTEST)/pack.py $< $@

# And for the third, fuzz/: random system calls.
KFUZZ        := $(patsubst $(KTEST)/%,$(B)/tests/kernel/%.o,$(wildcard $(KTEST)/fuzz/*.c) $(KTEST)/start.S $(KTEST)/support/setup.c $(KTEST)/support/memory.c)
DEPENDENCIES += $(KFUZZ:.o=.d)

$(B)/tests/kernel-fuzz.elf: $(KFUZZ)
	$(call say,LD,$@)
	$(call link,$(FIRST_LINK),$^ $(LIBGCC))
$(B)/tests/kernel-fuzz.img: $(B)/tests/kernel-fuzz.elf $(KTEST)/pack.py
	@$(PYTHON) $(KTEST)/pack.py $< $@
