tests/host/fiber_SOURCES := lib/pith/fiber.c
tests/host/fiber_FLAGS   := -Ilib/pith/include
