tests/host/slots_SOURCES := lib/pith/slots.c lib/pith/heap.c
tests/host/slots_FLAGS   := -Ilib/pith/include -Ilib/pith -Itests/host
