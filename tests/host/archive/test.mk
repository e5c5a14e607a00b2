tests/host/archive_SOURCES := servers/init/archive.c servers/init/program.c tools/mkboot/cpio.c
tests/host/archive_FLAGS   := -Iservers/init -Itools/mkboot -Itests/host
