# SPDX-License-Identifier: MIT
# The QEMU plugin that counts executions of instructions: built when `./pith bench kernel --profile` or a test asks for it.

$(B)/tools/trace.so: tools/trace/trace.c $(MAKEFILES_USED)
	$(call say,CC,$@)
	@mkdir -p $(@D)
	$(call link,$(CC) -std=gnu11 -O2 -D_GNU_SOURCE $(WARNINGS) -fPIC -shared,$<)
