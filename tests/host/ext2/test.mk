tests/host/ext2_SOURCES := lib/pith/fiber.c $(filter-out servers/ext2/main.c,$(wildcard servers/ext2/*.c))
tests/host/ext2_FLAGS   := -Ilib/pith/include -Iservers/ext2 -Itests/host/fiber
