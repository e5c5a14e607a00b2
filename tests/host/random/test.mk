tests/host/random_SOURCES := lib/pith/random.c
tests/host/random_FLAGS   := -Ilib/pith/include
