# SPDX-License-Identifier: MIT
# The host fuzzers, built with clang, libFuzzer and the sanitizers: `host`, the world of tests/host/kernel and the kernel's core; `ext2`,
# the file system in the machine of tests/host/ext2; `elf`, what execve is given. What is tested is watched for coverage; generators
# and the invariants' checker are not.

FUZZ          := tests/fuzz
FUZZ_WORLD    := $(filter-out %/main.c %/stress.c $(wildcard tests/host/kernel/units_*.c),$(wildcard tests/host/kernel/*.c))
FUZZ_SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=all
FUZZ_FLAGS    := -O1 -D_GNU_SOURCE -DPITH_HOST_TEST=1 -DPITH_DEBUG=1 $(FUZZ_SANITIZE) -Iabi/include -Itests/host -Itests/host/kernel $(tests/host/kernel_FLAGS)
FUZZ_OBJECTS  := $(patsubst %,$(B)/fuzz/%.o,$(FUZZ)/host.c $(FUZZ_WORLD) $(tests/host/kernel_SOURCES))
FUZZ_EXT2     := $(patsubst %,$(B)/fuzz/%.o,$(FUZZ)/ext2.c tests/host/ext2/machine.c $(tests/host/ext2_SOURCES))
FUZZ_ELF      := $(patsubst %,$(B)/fuzz/%.o,$(FUZZ)/elf.c $(addprefix servers/linux/,elf_image.c elf_load.c script.c))
$(FUZZ_EXT2): FUZZ_FLAGS += $(tests/host/ext2_FLAGS) -Itests/host/ext2
$(FUZZ_ELF): FUZZ_FLAGS += -Iservers/linux -Ilib/pith/include

FUZZ_COVERAGE := -fsanitize=fuzzer-no-link
$(B)/fuzz/kernel/core/invariants.c.o: FUZZ_FLAGS += -Dinvariants_check=invariants_check_all
$(B)/fuzz/kernel/core/invariants.c.o: FUZZ_COVERAGE :=
define fuzz_watched
$(B)/fuzz/$(1)/%.c.o: $(1)/%.c $(MAKEFILES_USED)
	$$(call say,FUZZ,$$<)
	@mkdir -p $$(@D)
	@clang-14 $$(COMMON) $$(FUZZ_FLAGS) $$(FUZZ_COVERAGE) -c -o $$@ $$<
endef
$(foreach folder,kernel servers lib,$(eval $(call fuzz_watched,$(folder))))
$(B)/fuzz/tests/%.c.o: tests/%.c $(MAKEFILES_USED)
	$(call say,FUZZ,$<)
	@mkdir -p $(@D)
	@clang-14 $(COMMON) $(FUZZ_FLAGS) -c -o $@ $<
$(B)/fuzz/host: $(FUZZ_OBJECTS)
	$(call say,LD,$@)
	$(call link,clang-14 $(FUZZ_SANITIZE) -fsanitize=fuzzer,$^)
$(B)/fuzz/ext2: $(FUZZ_EXT2)
	$(call say,LD,$@)
	$(call link,clang-14 $(FUZZ_SANITIZE) -fsanitize=fuzzer,$^)
$(B)/fuzz/elf: $(FUZZ_ELF)
	$(call say,LD,$@)
	$(call link,clang-14 $(FUZZ_SANITIZE) -fsanitize=fuzzer,$^)
DEPENDENCIES += $(patsubst %.o,%.d,$(FUZZ_OBJECTS) $(FUZZ_EXT2) $(FUZZ_ELF))
