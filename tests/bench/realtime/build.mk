# SPDX-License-Identifier: MIT
# The benchmark of latencies under load: a boot image whose first component measures. `./pith bench realtime` boots it.

RTBENCH       := tests/bench/realtime
RTBENCH_FLAGS := $(KBENCH_FLAGS) -Itests/kernel

$(B)/bench/realtime/%.o: $(RTBENCH)/% $(MAKEFILES_USED)
	$(call say,CC,$<)
	@mkdir -p $(@D)
	@$(CC) $(COMMON) $(RTBENCH_FLAGS) -c -o $@ $<

RTBENCH_OBJECTS := $(patsubst $(RTBENCH)/%,$(B)/bench/realtime/%.o,$(wildcard $(RTBENCH)/*.c $(RTBENCH)/*.S)) \
                   $(B)/bench/kernel/start.S.o $(B)/bench/kernel/support/setup.c.o $(B)/tests/kernel/support/memory.c.o
DEPENDENCIES    += $(RTBENCH_OBJECTS:.o=.d)

$(B)/bench/realtime.elf: $(RTBENCH_OBJECTS)
	$(call say,LD,$@)
	@$(CC) -nostdlib -static -no-pie -Wl,--build-id=none -Wl,-z,max-page-size=4096 -Wl,-z,noexecstack \
		-Wl,-Ttext-segment=0x400000 -o $@ $^
$(B)/bench/realtime.img: $(B)/bench/realtime.elf tests/kernel/pack.py
	@$(PYTHON) tests/kernel/pack.py $< $@
