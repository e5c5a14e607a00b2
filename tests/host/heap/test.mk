tests/host/heap_SOURCES := lib/pith/heap.c
tests/host/heap_FLAGS   := -Ilib/pith/include -Ilib/pith -Itests/host
