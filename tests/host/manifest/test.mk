tests/host/manifest_SOURCES := $(wildcard servers/init/manifest/*.c)
tests/host/manifest_FLAGS   := -Iservers/init/manifest -Itests/host
