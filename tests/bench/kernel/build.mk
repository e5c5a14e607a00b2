# SPDX-License-Identifier: MIT
# The kernel benchmark: a boot image whose first component measures. `./pith bench kernel` boots it.

KBENCH       := tests/bench/kernel
KBENCH_FLAGS := -O2 -ffreestanding -mgeneral-regs-only -fno-pic -fno-pie -fno-stack-protector -fcf-protection=none \
                -fno-tree-loop-distribute-patterns -Iabi/include -Itests/kernel/support

$(B)/bench/kernel/%.o: $(KBENCH)/% $(MAKEFILES_USED)
	$(call say,CC,$<)
	@mkdir -p $(@D)
	@$(CC) $(COMMON) $(KBENCH_FLAGS) -c -o $@ $<

KBENCH_OBJECTS := $(patsubst $(KBENCH)/%,$(B)/bench/kernel/%.o,$(wildcard $(KBENCH)/*.c $(KBENCH)/*.S)) \
                  $(B)/bench/kernel/support/setup.c.o
$(B)/bench/kernel/support/setup.c.o: tests/kernel/support/setup.c $(MAKEFILES_USED)
	$(call say,CC,$<)
	@mkdir -p $(@D)
	@$(CC) $(COMMON) $(KBENCH_FLAGS) -c -o $@ $<
DEPENDENCIES   += $(KBENCH_OBJECTS:.o=.d)

$(B)/bench/kernel.elf: $(KBENCH_OBJECTS)
	$(call say,LD,$@)
	$(call link,$(FIRST_LINK),$^)
$(B)/bench/kernel.img: $(B)/bench/kernel.elf tests/kernel/pack.py
	@$(PYTHON) tests/kernel/pack.py $< $@
