/* SPDX-License-Identifier: MIT */
/*
 * Access to the memory of processes through the server's own mapping of the pools: what is not there is
 * faulted in first, nothing that a process could say makes the server touch an unmapped address.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <pith/startup.h>
#include "address_space.h"
#include "oom.h"
#include "thread.h"

/* Defined by tests/waits: any copy may find that its page is not there, and wait for it. */
#ifndef COPIES_WAIT
#define COPIES_WAIT 0
#endif

static void wait_now_and_then(void)
{
	static uint64_t random = 1;

	random ^= random << 13;
	random ^= random >> 7;
	random ^= random << 17;
	if (random % 8 == 0 && current_thread())
		wait_suspend(false, time_now() + random / 8 % 400 * 1000);
}

/* The page was not there, or not for this: its entry now, or 0. */
__attribute__((noinline)) static entry_t resolve(struct mm *mm, uint64_t address, bool write)
{
	struct thread *thread = current_thread();
	enum fault_result result;
	entry_t entry;

	if (COPIES_WAIT)
		wait_now_and_then();
	while ((result = mm_resolve(mm, address, write ? FAULT_WRITE : FAULT_READ, &entry)) ==
	       FAULT_NO_MEMORY) {
		oom_kill();
		if (!thread || thread->private->exiting)
			break;
	}
	return result == FAULT_OK ? entry : 0;
}

struct span mm_span(struct mm *mm, uint64_t address, size_t size, bool write)
{
	size_t offset = address & (PAGE_SIZE - 1), room = PAGE_SIZE - offset;
	uint32_t prot = write ? PROT_WRITE : PROT_READ | PROT_WRITE | PROT_EXEC;
	struct vma *vma;
	entry_t entry;

	if (address >= USER_END)
		return (struct span){NULL, 0};
	vma = vma_find(&mm->regions, address);
	entry = page_map_get(&mm->pages, address >> PAGE_BITS);
	if (COPIES_WAIT || !vma || !entry || !(vma->prot & prot) || (write && !(entry & ENTRY_WRITE)))
		entry = resolve(mm, address, write);
	if (!entry)
		return (struct span){NULL, 0};
	return (struct span){(uint8_t *)page_address(entry & ENTRY_PFN) + offset, size < room ? size : room};
}

int mm_copy_from(struct mm *mm, void *to, uint64_t from, size_t size)
{
	while (size) {
		struct span part = mm_span(mm, from, size, false);

		if (!part.at)
			return -EFAULT;
		memcpy(to, part.at, part.size);
		to = (uint8_t *)to + part.size;
		from += part.size;
		size -= part.size;
	}
	return 0;
}

int mm_copy_to(struct mm *mm, uint64_t to, const void *from, size_t size)
{
	while (size) {
		struct span part = mm_span(mm, to, size, true);

		if (!part.at)
			return -EFAULT;
		memcpy(part.at, from, part.size);
		from = (const uint8_t *)from + part.size;
		to += part.size;
		size -= part.size;
	}
	return 0;
}

int mm_clear(struct mm *mm, uint64_t to, size_t size)
{
	while (size) {
		struct span part = mm_span(mm, to, size, true);

		if (!part.at)
			return -EFAULT;
		memset(part.at, 0, part.size);
		to += part.size;
		size -= part.size;
	}
	return 0;
}

int copy_from_user(struct thread *thread, void *to, uint64_t from, size_t size)
{
	return mm_copy_from(thread->process->mm, to, from, size);
}

int copy_struct_from_user(struct thread *thread, void *to, size_t size, uint64_t from, size_t given)
{
	size_t known = given < size ? given : size;

	if (given > PAGE_SIZE)
		return -E2BIG;
	memset((uint8_t *)to + known, 0, size - known);
	if (copy_from_user(thread, to, from, known))
		return -EFAULT;
	while (known < given) {
		struct span part = user_span(thread, from + known, given - known, false);

		if (!part.at)
			return -EFAULT;
		for (size_t i = 0; i < part.size; i++)
			if (((const uint8_t *)part.at)[i])
				return -E2BIG;
		known += part.size;
	}
	return 0;
}

int copy_to_user(struct thread *thread, uint64_t to, const void *from, size_t size)
{
	return mm_copy_to(thread->process->mm, to, from, size);
}

int clear_user(struct thread *thread, uint64_t to, size_t size)
{
	return mm_clear(thread->process->mm, to, size);
}

struct span user_span(struct thread *thread, uint64_t address, size_t size, bool write)
{
	return mm_span(thread->process->mm, address, size, write);
}

ssize_t copy_string_from_user(struct thread *thread, char *to, uint64_t from, size_t size)
{
	size_t length = 0;

	while (length < size) {
		struct span part = user_span(thread, from + length, size - length, false);
		const char *end;

		if (!part.at)
			return -EFAULT;
		end = memchr(part.at, 0, part.size);
		if (end)
			part.size = (size_t)(end - (const char *)part.at) + 1;
		memcpy(to + length, part.at, part.size);
		length += part.size;
		if (end) {
			to[length - 1] = 0; /* another thread may have written there since */
			return (ssize_t)length - 1;
		}
	}
	return -ENAMETOOLONG;
}
