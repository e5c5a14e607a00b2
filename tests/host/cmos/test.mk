tests/host/cmos_SOURCES := drivers/rtc/clock/cmos.c
tests/host/cmos_FLAGS   := -Ilib/pith/include -Idrivers/rtc/clock
