# SPDX-License-Identifier: MIT
# The QEMU plugins that count executions of instructions: built when `./pith bench` or a test asks for them.

$(B)/tools/%.so: tools/trace/%.c tools/trace/plugin.h $(MAKEFILES_USED)
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(call link,$(CC) -std=gnu11 -O2 -D_GNU_SOURCE $(WARNINGS) -fPIC -shared,$<)
