# SPDX-License-Identifier: MIT
#
# The whole build: one non-recursive Makefile, everything below build/. `./pith` calls it; `make` alone builds what a
# boot needs, `make host-tests` the host's unit tests. Folders decide what is built: every servers/NAME and
# drivers/CLASS/NAME becomes build/components/NAME.elf. A folder that needs more says so in a build.mk of its own.

MAKEFLAGS += --no-builtin-rules --no-builtin-variables
.SUFFIXES:
.DELETE_ON_ERROR:
.SECONDARY:
.DEFAULT_GOAL := all

B       := build
CC      := gcc
AR      := ar
NM      := nm
PYTHON  := /usr/bin/python3
FETCH   := $(PYTHON) tools/pith/fetch.py

# A fixed place for what never changes with the sources: the compiler's own headers and support library.
-include $(B)/compiler.mk
$(B)/compiler.mk: Makefile
	@mkdir -p $(@D)
	@printf 'GCC_INCLUDE := %s\nLIBGCC := %s\n' "$$($(CC) -print-file-name=include)" "$$($(CC) -print-libgcc-file-name)" >$@

WARNINGS := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes
COMMON   := -std=gnu11 -g -fno-omit-frame-pointer -fno-common -ffile-prefix-map=$(CURDIR)=. $(WARNINGS) -MMD -MP

# Every object depends on the makefiles: a changed flag rebuilds.
MAKEFILES_USED = $(filter-out $(B)/% %.d,$(MAKEFILE_LIST))

say = @printf '  %-5s %s\n' $(1) $(2)
# Others may be running what is built anew: it is replaced in one step. $(1): the linker, $(2): what it links
link = @$(1) -o $@.new $(2) && mv -f $@.new $@

# ---- kernel -----------------------------------------------------------------------------------------------------

KERNEL_ARCH    := kernel/arch/x86_64
KERNEL_SOURCES := $(wildcard kernel/core/*.c $(KERNEL_ARCH)/*.c $(KERNEL_ARCH)/*.S)
KERNEL_FLAGS   := -O2 -ffreestanding -mcmodel=kernel -mno-red-zone -mgeneral-regs-only -fno-pic -fno-pie \
                  -fstack-protector-strong -fcf-protection=none -Iabi/include -Ikernel/include -I$(KERNEL_ARCH)/include
KERNEL_LDFLAGS := -nostdlib -static -no-pie -Wl,-T,$(KERNEL_ARCH)/kernel.ld -Wl,--build-id=none \
                  -Wl,-z,max-page-size=4096 -Wl,-z,noexecstack -Wl,--no-warn-rwx-segments

# kernel: what a boot uses; kernel-debug: the same with PITH_DEBUG, which walks all objects and asserts the invariants;
# kernel-trace: with PITH_TRACE, which writes down what it does (./pith trace). kernel-probe: with tests/kernel/probe, which tries what it must not.
# kernel-noinherit: waiting threads lend no priority, for the test that shows what this prevents.
define kernel_variant
$(1)_OBJECTS := $$(patsubst %,$(B)/$(1)/%.o,$$(KERNEL_SOURCES) $(3))
$(B)/$(1)/%.c.o: %.c $$(MAKEFILES_USED)
	$$(call say,CC,$$<)
	@mkdir -p $$(@D)
	@$(CC) $(COMMON) $$(KERNEL_FLAGS) $(2) -c -o $$@ $$<
$(B)/$(1)/%.S.o: %.S $$(MAKEFILES_USED)
	$$(call say,AS,$$<)
	@mkdir -p $$(@D)
	@$(CC) $(COMMON) $$(KERNEL_FLAGS) $(2) -c -o $$@ $$<
$(B)/$(1)/pith.elf: $$($(1)_OBJECTS) $(KERNEL_ARCH)/kernel.ld tools/kernel-symbols.awk
	$$(call say,LD,$$@)
	@$(CC) $$(KERNEL_LDFLAGS) -o $$(@D)/pass1.elf $$($(1)_OBJECTS) $$(LIBGCC)
	@$(NM) -n $$(@D)/pass1.elf | awk -f tools/kernel-symbols.awk >$$(@D)/symbols.S
	$$(call link,$(CC) $$(KERNEL_LDFLAGS),$$($(1)_OBJECTS) $$(@D)/symbols.S $$(LIBGCC))
DEPENDENCIES += $$($(1)_OBJECTS:.o=.d)
endef
# The fast paths keep nothing for their callers: they never return (kernel/core/fastpath.c).
FASTPATH_FLAGS := -fomit-frame-pointer -fno-stack-protector -ffixed-rbp -mtune-ctrl=^lcp_stall \
                  $(foreach r,rbx r12 r13 r14 r15,-fcall-used-$(r))
$(foreach v,kernel kernel-debug kernel-trace kernel-probe kernel-noinherit,$(B)/$(v)/kernel/core/fastpath.c.o): KERNEL_FLAGS += $(FASTPATH_FLAGS)
$(eval $(call kernel_variant,kernel,))
$(eval $(call kernel_variant,kernel-debug,-DPITH_DEBUG=1))
$(eval $(call kernel_variant,kernel-trace,-DPITH_TRACE=1))
$(eval $(call kernel_variant,kernel-probe,-DPITH_PROBE=1 -Itests/kernel/probe -I$(KERNEL_ARCH),tests/kernel/probe/probe.c))
$(eval $(call kernel_variant,kernel-noinherit,-DPITH_NO_INHERITANCE=1))

ALL += $(B)/kernel/pith.elf

# ---- the C library of native components: Debian's musl source with our system call header ----------------------

# The stamp of a source package of tools/sources.txt. It is named by the pinned version, so that another one is fetched.
PINS         := $(file <tools/sources.txt)
fetched       = $(B)/third-party/$1/.fetched-$(patsubst $1@%,%,$(firstword $(filter $1@%,$(subst source $1 ,$1@,$(PINS)))))
STAMPS       := $(foreach name,musl lua5.4 sqlite3 tcc posixtestsuite,$(call fetched,$(name)))
# .SECONDARY alone would let what is made of another version pass.
$(filter-out $(wildcard $(STAMPS)),$(STAMPS)): .fetch
.PHONY: .fetch
$(STAMPS):
	@$(FETCH) source $(notdir $(@D)) >/dev/null
	@touch $@

MUSL         := $(B)/musl
MUSL_SOURCE  := $(B)/third-party/musl
MUSL_OVERLAY := lib/musl/overlay
MUSL_LIBC    := $(MUSL)/lib/libc.a
MUSL_CFLAGS  := -O2 -g -fno-omit-frame-pointer -fno-pic -fno-pie -fcf-protection=none

# -I in CC comes before musl's own arch folder, so that the overlay's syscall_arch.h wins without a patch.
$(MUSL_LIBC): $(call fetched,musl) $(wildcard $(MUSL_OVERLAY)/*.h $(MUSL_OVERLAY)/*/*.h) $(wildcard lib/musl/build.mk) lib/musl/cc
	$(call say,MUSL,$@)
	@rm -rf $(MUSL) && mkdir -p $(MUSL)/obj
	@cd $(MUSL)/obj && CC="$(CURDIR)/lib/musl/cc -I$(CURDIR)/$(MUSL_OVERLAY)" CFLAGS="$(MUSL_CFLAGS)" \
		$(CURDIR)/$(MUSL_SOURCE)/configure --disable-shared --prefix=$(CURDIR)/$(MUSL) >configure.log 2>&1 \
		|| { tail -20 configure.log; exit 1; }
	@+MAKEFLAGS= $(MAKE) -C $(MUSL)/obj -j2 install-libs install-headers >$(MUSL)/obj/build.log 2>&1 \
		|| { tail -20 $(MUSL)/obj/build.log; exit 1; }

ifneq ($(wildcard $(MUSL_OVERLAY)/*.h),)
ALL += $(MUSL_LIBC)
endif

# ---- native components: lib/pith, servers, drivers --------------------------------------------------------------

# Components read no header of the host: the compiler's own, musl's, ours. They are optimised as a whole when they are linked.
NATIVE_FLAGS = -O2 -flto -mgeneral-regs-only -fno-pic -fno-pie -fstack-protector-strong -fcf-protection=none -ffunction-sections -fdata-sections \
               -nostdinc -isystem $(MUSL)/include -isystem $(GCC_INCLUDE) -Iabi/include -Ilib/pith/include

LIBPITH         := $(B)/lib/libpith.a
LIBPITH_SOURCES := $(wildcard lib/pith/*.c lib/pith/*/*.c lib/pith/*.S lib/pith/*/*.S)
LIBPITH_OBJECTS := $(patsubst %,$(B)/native/%.o,$(LIBPITH_SOURCES))
DEPENDENCIES    += $(LIBPITH_OBJECTS:.o=.d)

# Its main() is declared by each component as it likes.
$(B)/native/lib/pith/start.c.o: EXTRA_FLAGS = -fno-lto

$(B)/native/%.c.o: %.c $(MUSL_LIBC) $(MAKEFILES_USED)
	$(call say,CC,$<)
	@mkdir -p $(@D)
	@$(CC) $(COMMON) $(NATIVE_FLAGS) $(EXTRA_FLAGS) -c -o $@ $<
$(B)/native/%.S.o: %.S $(MUSL_LIBC) $(MAKEFILES_USED)
	$(call say,AS,$<)
	@mkdir -p $(@D)
	@$(CC) $(COMMON) $(NATIVE_FLAGS) $(EXTRA_FLAGS) -c -o $@ $<

$(LIBPITH): $(LIBPITH_OBJECTS)
	$(call say,AR,$@)
	@mkdir -p $(@D)
	@rm -f $@
	@gcc-ar rcsD $@ $(LIBPITH_OBJECTS)

# All of libpith is offered to the linker before libc.a, so that what it defines of musl's system call layer wins.
NATIVE_LINK = $(CC) -flto=auto -O2 -g -nostdlib -static -no-pie -Wl,--build-id=none -Wl,--gc-sections -Wl,-z,noexecstack \
              -Wl,-z,separate-code -Wl,-z,max-page-size=4096 -Wl,-z,norelro
NATIVE_LIBS = -Wl,--whole-archive $(LIBPITH) -Wl,--no-whole-archive $(MUSL_LIBC) $(LIBGCC)

COMPONENT_FOLDERS := $(patsubst %/,%,$(dir $(wildcard servers/*/main.c drivers/*/*/main.c tests/components/*/main.c)))
COMPONENTS        := $(patsubst %,$(B)/components/%.elf,$(notdir $(COMPONENT_FOLDERS)))

# $(1): folder. Its C files and those of its subfolders, with the folder itself on the include path.
define component
$(1)_SOURCES := $$(wildcard $(1)/*.c $(1)/*/*.c $(1)/*.S $(1)/*/*.S)
$(1)_OBJECTS := $$(patsubst %,$(B)/native/%.o,$$($(1)_SOURCES))
$$($(1)_OBJECTS): EXTRA_FLAGS = -I$(1) -I$(1)/include $$($(1)_FLAGS)
$(B)/components/$(notdir $(1)).elf: $$($(1)_OBJECTS) $(LIBPITH) $(MUSL_LIBC)
	$$(call say,LD,$$@)
	@mkdir -p $$(@D)
	$$(call link,$$(NATIVE_LINK),$$($(1)_OBJECTS) $$(NATIVE_LIBS))
DEPENDENCIES += $$($(1)_OBJECTS:.o=.d)
endef
$(foreach folder,$(COMPONENT_FOLDERS),$(eval $(call component,$(folder))))

ifneq ($(and $(LIBPITH_SOURCES),$(wildcard $(MUSL_OVERLAY)/*.h)),)
ALL += $(LIBPITH) $(COMPONENTS)
endif

# ---- manifests: the systems that can be booted hold together, with the programs that they name ------------------

SYSTEMS := $(filter-out systems/base.conf systems/disk.conf,$(wildcard systems/*.conf))
ALL     += $(patsubst %.conf,$(B)/%.checked,$(SYSTEMS))

$(B)/systems/%.checked: systems/%.conf systems/base.conf systems/disk.conf $(B)/tools/mkboot | $(COMPONENTS)
	@mkdir -p $(@D)
	@$(B)/tools/mkboot --check --components $(B)/components --manifest systems/base.conf --repeat systems/disk.conf 1 --manifest $<
	@touch $@

# ---- host tools: tools/NAME/*.c (a folder with a build.mk of its own is left to it) ------------------------------

HOST_FLAGS   := -O2 -D_GNU_SOURCE -Iabi/include
TOOL_FOLDERS := $(patsubst %/,%,$(filter-out $(dir $(wildcard tools/*/build.mk)),$(sort $(dir $(wildcard tools/*/*.c)))))

define tool
$(B)/tools/$(notdir $(1)): $$(patsubst %,$(B)/host/%.o,$$(wildcard $(1)/*.c))
	$$(call say,LD,$$@)
	@mkdir -p $$(@D)
	$$(call link,$(CC),$$^)
DEPENDENCIES += $$(patsubst %,$(B)/host/%.d,$$(wildcard $(1)/*.c))
ALL += $(B)/tools/$(notdir $(1))
endef
$(foreach folder,$(TOOL_FOLDERS),$(eval $(call tool,$(folder))))

$(B)/host/%.c.o: %.c $(MAKEFILES_USED)
	$(call say,HOST,$<)
	@mkdir -p $(@D)
	@$(CC) $(COMMON) $(HOST_FLAGS) -c -o $@ $<

# ---- host unit tests: tests/host/NAME -> build/tests/host/NAME --------------------------------------------------
#
# tests/host/NAME/*.c are built with the address and undefined-behaviour sanitizers. An optional test.mk there sets
# tests/host/NAME_SOURCES (files of the tree under test) and tests/host/NAME_FLAGS (more include paths).

HOST_TEST_FOLDERS := $(patsubst %/,%,$(sort $(dir $(wildcard tests/host/*/*.c))))
HOST_TESTS        := $(patsubst %,$(B)/%,$(HOST_TEST_FOLDERS))
SANITIZE          := -fsanitize=address,undefined -fno-sanitize-recover=all
-include $(wildcard tests/host/*/test.mk)

define host_test
$(1)_OBJECTS := $$(patsubst %,$(B)/sanitized/$(notdir $(1))/%.o,$$(wildcard $(1)/*.c) $$($(1)_SOURCES))
$(B)/sanitized/$(notdir $(1))/%.c.o: %.c $$(MAKEFILES_USED)
	$$(call say,TEST,$$<)
	@mkdir -p $$(@D)
	@$(CC) $(COMMON) -O1 -D_GNU_SOURCE -DPITH_HOST_TEST=1 -DPITH_DEBUG=1 $(SANITIZE) -Iabi/include -Itests/host -I$(1) $$($(1)_FLAGS) -c -o $$@ $$<
$(B)/$(1): $$($(1)_OBJECTS)
	$$(call say,LD,$$@)
	@mkdir -p $$(@D)
	$$(call link,$$(CC) $$(SANITIZE),$$($(1)_OBJECTS))
DEPENDENCIES += $$($(1)_OBJECTS:.o=.d)
endef
$(foreach folder,$(HOST_TEST_FOLDERS),$(eval $(call host_test,$(folder))))

# ---- programs for Linux that run on Pith and on Linux: build/guest/NAME, NAME-glibc, NAME-pie --------------------

GUEST_FLAGS := -O2 $(WARNINGS) -Wno-missing-prototypes
GUESTS      := $(notdir $(basename $(wildcard tests/programs/*.c tests/bench/*.c)))

$(B)/guest/%: tests/programs/%.c tests/programs/check.h $(MAKEFILES_USED)
	$(call say,GUEST,$@)
	@mkdir -p $(@D)
	$(call link,musl-gcc -static $(GUEST_FLAGS),$<)
$(B)/guest/%-glibc: tests/programs/%.c tests/programs/check.h $(MAKEFILES_USED)
	$(call say,GUEST,$@)
	@mkdir -p $(@D)
	$(call link,$(CC) -static $(GUEST_FLAGS),$<)
$(B)/guest/%-pie: tests/programs/%.c tests/programs/check.h $(MAKEFILES_USED)
	$(call say,GUEST,$@)
	@mkdir -p $(@D)
	$(call link,$(CC) -static-pie $(GUEST_FLAGS),$<)
$(B)/guest/%: tests/stress/%.c $(MAKEFILES_USED)
	$(call say,GUEST,$@)
	@mkdir -p $(@D)
	$(call link,musl-gcc -static $(GUEST_FLAGS),$<)
$(B)/guest/lbench: tests/bench/lbench.c $(MAKEFILES_USED)
	$(call say,GUEST,$@)
	@mkdir -p $(@D)
	$(call link,musl-gcc -static $(GUEST_FLAGS),$<)

# Lua, SQLite's shell and tcc from their Debian source packages, static.
$(B)/guest/lua: $(call fetched,lua5.4)
	$(call say,GUEST,$@)
	@mkdir -p $(B)/guest/lua-include
	@echo '#define DEB_HOST_MULTIARCH "x86_64-linux-gnu"' >$(B)/guest/lua-include/lua5.4-deb-multiarch.h
	$(call link,$(CC) -static -O2 -std=gnu99 -DLUA_COMPAT_5_3 -DLUA_USE_POSIX -I$(B)/guest/lua-include,$(filter-out %/luac.c,$(wildcard $(<D)/src/*.c)) -lm)

$(B)/guest/sqlite3: $(call fetched,sqlite3)
	$(call say,GUEST,$@)
	@mkdir -p $(B)/guest/sqlite
	@cd $(B)/guest/sqlite && ($(CURDIR)/$(<D)/configure --disable-tcl --disable-readline --disable-shared && \
		MAKEFLAGS= $(MAKE) sqlite3.c shell.c) >build.log 2>&1 || { tail -20 build.log; exit 1; }
	$(call link,$(CC) -static -O2 -DSQLITE_OMIT_LOAD_EXTENSION,$(B)/guest/sqlite/shell.c $(B)/guest/sqlite/sqlite3.c -lm)

# A C compiler with its own sources and musl, as a folder in which it can compile itself (all paths relative to it).
$(B)/guest/compiler/tcc: $(call fetched,tcc)
	$(call say,GUEST,$(@D))
	@mkdir -p $(B)/guest/tcc $(@D)/musl/lib
	@cd $(B)/guest/tcc && ($(CURDIR)/$(<D)/configure --config-musl --cc=musl-gcc --extra-cflags="-O2 -w" --extra-ldflags=-static && \
		MAKEFLAGS= $(MAKE) tcc libtcc1.a) >build.log 2>&1 || { tail -20 build.log; exit 1; }
	@cp -rL /usr/include/x86_64-linux-musl $(@D)/musl/include
	@cp -L $(addprefix /usr/lib/x86_64-linux-musl/,libc.a crt1.o crti.o crtn.o) $(@D)/musl/lib
	@cp -r $(<D)/*.c $(<D)/*.h $(<D)/*.def $(<D)/include $(B)/guest/tcc/config.h $(B)/guest/tcc/libtcc1.a $(B)/guest/tcc/tcc $(@D)

STRESS_GUESTS := $(patsubst tests/stress/%.c,$(B)/guest/%,$(wildcard tests/stress/*.c))
TWICE         := $(filter $(GUESTS),$(notdir $(STRESS_GUESTS)))
$(if $(TWICE),$(error two programs for the guest are called $(TWICE)))

.PHONY: guests guest-packages
guest-packages: $(B)/guest/lua $(B)/guest/sqlite3 $(B)/guest/compiler/tcc
guests: $(STRESS_GUESTS) $(foreach name,$(GUESTS),$(B)/guest/$(name)) $(foreach name,$(filter-out lbench,$(GUESTS)),$(B)/guest/$(name)-glibc $(B)/guest/$(name)-pie)

# ---- what other folders add (ALL, DEPENDENCIES, rules of their own) ---------------------------------------------

include $(wildcard kernel/build.mk lib/*/build.mk servers/*/build.mk drivers/*/*/build.mk tools/*/build.mk tests/kernel/build.mk tests/fuzz/build.mk tests/bench/*/build.mk tests/posix/build.mk tests/waits/build.mk)

.PHONY: all host-tests clean
all: $(ALL)
host-tests: $(HOST_TESTS)
clean:
	rm -rf $(filter-out $(B)/third-party $(B)/apt $(B)/run,$(wildcard $(B)/*))

-include $(DEPENDENCIES)
