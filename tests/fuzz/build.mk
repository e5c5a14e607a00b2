# SPDX-License-Identifier: MIT
# The host fuzzer: the world of tests/host/kernel and the kernel's core, built with clang, libFuzzer and the sanitizers.
# The kernel is watched for coverage; the generator and the invariants' checker are not.

FUZZ          := tests/fuzz
FUZZ_WORLD    := $(filter-out %/main.c %/stress.c $(wildcard tests/host/kernel/units_*.c),$(wildcard tests/host/kernel/*.c))
FUZZ_SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=all
FUZZ_FLAGS    := -O1 -D_GNU_SOURCE -DPITH_HOST_TEST=1 -DPITH_DEBUG=1 $(FUZZ_SANITIZE) -Iabi/include -Itests/host -Itests/host/kernel $(tests/host/kernel_FLAGS)
FUZZ_OBJECTS  := $(patsubst %,$(B)/fuzz/%.o,$(wildcard $(FUZZ)/*.c) $(FUZZ_WORLD) $(tests/host/kernel_SOURCES))

FUZZ_COVERAGE := -fsanitize=fuzzer-no-link
$(B)/fuzz/kernel/core/invariants.c.o: FUZZ_FLAGS += -Dinvariants_check=invariants_check_all
$(B)/fuzz/kernel/core/invariants.c.o: FUZZ_COVERAGE :=
$(B)/fuzz/kernel/%.c.o: kernel/%.c $(MAKEFILES_USED)
	$(call say,FUZZ,$<)
	@mkdir -p $(@D)
	@clang-14 $(COMMON) $(FUZZ_FLAGS) $(FUZZ_COVERAGE) -c -o $@ $<
$(B)/fuzz/tests/%.c.o: tests/%.c $(MAKEFILES_USED)
	$(call say,FUZZ,$<)
	@mkdir -p $(@D)
	@clang-14 $(COMMON) $(FUZZ_FLAGS) -c -o $@ $<
$(B)/fuzz/host: $(FUZZ_OBJECTS)
	$(call say,LD,$@)
	$(call link,clang-14 $(FUZZ_SANITIZE) -fsanitize=fuzzer,$^)
DEPENDENCIES += $(FUZZ_OBJECTS:.o=.d)
