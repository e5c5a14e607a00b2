tests/host/ext2_SOURCES := lib/pith/fiber.c $(filter-out servers/ext2/main.c,$(wildcard servers/ext2/*.c))
tests/host/ext2_FLAGS   := -Ilib/pith/include -Iservers/ext2 -Itests/host/fiber

# Of the file system's own code each basic block calls the machine, which may kill it there.
$(B)/sanitized/ext2/servers/%.o: tests/host/ext2_FLAGS += -fsanitize-coverage=trace-pc
