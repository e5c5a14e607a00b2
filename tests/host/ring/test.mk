tests/host/ring_SOURCES := lib/pith/ring.c lib/pith/counters.c
tests/host/ring_FLAGS   := -Ilib/pith/include -Itests/host
