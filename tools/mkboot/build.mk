# SPDX-License-Identifier: MIT
# mkboot: with the manifest parser of init.

MKBOOT_OBJECTS := $(patsubst %,$(B)/host/%.o,$(wildcard tools/mkboot/*.c servers/init/manifest/*.c))
DEPENDENCIES   += $(MKBOOT_OBJECTS:.o=.d)
ALL            += $(B)/tools/mkboot

$(B)/tools/mkboot: $(MKBOOT_OBJECTS)
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(call link,$(CC),$^)
