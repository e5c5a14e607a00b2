/* SPDX-License-Identifier: MIT */
/*
 * Device registers in mapped memory. Every access goes through these functions: on Pith they are single loads
 * and stores, in a host test a device model answers them.
 */
#pragma once

#include <stdint.h>

#ifdef PITH_HOST_TEST

uint8_t mmio_read8(const volatile void *address);
uint16_t mmio_read16(const volatile void *address);
uint32_t mmio_read32(const volatile void *address);
void mmio_write8(volatile void *address, uint8_t value);
void mmio_write16(volatile void *address, uint16_t value);
void mmio_write32(volatile void *address, uint32_t value);

#else

static inline uint8_t mmio_read8(const volatile void *address)
{
	return *(const volatile uint8_t *)address;
}

static inline uint16_t mmio_read16(const volatile void *address)
{
	return *(const volatile uint16_t *)address;
}

static inline uint32_t mmio_read32(const volatile void *address)
{
	return *(const volatile uint32_t *)address;
}

static inline void mmio_write8(volatile void *address, uint8_t value)
{
	*(volatile uint8_t *)address = value;
}

static inline void mmio_write16(volatile void *address, uint16_t value)
{
	*(volatile uint16_t *)address = value;
}

static inline void mmio_write32(volatile void *address, uint32_t value)
{
	*(volatile uint32_t *)address = value;
}

#endif
