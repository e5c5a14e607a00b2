/* SPDX-License-Identifier: MIT */
/*
 * Access to the memory of processes through the server's own mapping of the pools: what is not there is
 * faulted in first, nothing that a process could say makes the server touch an unmapped address.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include "address_space.h"
#include "process.h"

void *mm_pointer(struct mm *mm, uint64_t address, size_t *size, bool write)
{
	size_t room = PAGE_SIZE - (address & (PAGE_SIZE - 1));
	struct vma *vma;
	entry_t entry;

	if (address >= USER_END)
		return NULL;
	vma = vma_find(&mm->regions, address);
	entry = page_map_get(&mm->pages, address >> PAGE_BITS);
	if (!vma || !entry || !(vma->prot & (write ? PROT_WRITE : PROT_READ | PROT_WRITE | PROT_EXEC)) ||
	    (write && !(entry & ENTRY_WRITE))) {
		if (mm_resolve(mm, address, write ? FAULT_WRITE : FAULT_READ, &entry) != FAULT_OK)
			return NULL;
	}
	if (*size > room)
		*size = room;
	return (uint8_t *)page_address(entry & ENTRY_PFN) + (address & (PAGE_SIZE - 1));
}

int mm_copy_from(struct mm *mm, void *to, uint64_t from, size_t size)
{
	while (size) {
		size_t part = size;
		const void *at = mm_pointer(mm, from, &part, false);

		if (!at)
			return -EFAULT;
		memcpy(to, at, part);
		to = (uint8_t *)to + part;
		from += part;
		size -= part;
	}
	return 0;
}

int mm_copy_to(struct mm *mm, uint64_t to, const void *from, size_t size)
{
	while (size) {
		size_t part = size;
		void *at = mm_pointer(mm, to, &part, true);

		if (!at)
			return -EFAULT;
		memcpy(at, from, part);
		from = (const uint8_t *)from + part;
		to += part;
		size -= part;
	}
	return 0;
}

int mm_clear(struct mm *mm, uint64_t to, size_t size)
{
	while (size) {
		size_t part = size;
		void *at = mm_pointer(mm, to, &part, true);

		if (!at)
			return -EFAULT;
		memset(at, 0, part);
		to += part;
		size -= part;
	}
	return 0;
}

int copy_from_user(struct thread *thread, void *to, uint64_t from, size_t size)
{
	return mm_copy_from(thread->process->mm, to, from, size);
}

int copy_to_user(struct thread *thread, uint64_t to, const void *from, size_t size)
{
	return mm_copy_to(thread->process->mm, to, from, size);
}

int clear_user(struct thread *thread, uint64_t to, size_t size)
{
	return mm_clear(thread->process->mm, to, size);
}

void *user_pointer(struct thread *thread, uint64_t address, size_t *size, bool write)
{
	return mm_pointer(thread->process->mm, address, size, write);
}

ssize_t copy_string_from_user(struct thread *thread, char *to, uint64_t from, size_t size)
{
	size_t length = 0;

	while (length < size) {
		size_t part = size - length;
		const char *at = user_pointer(thread, from + length, &part, false);
		const char *end;

		if (!at)
			return -EFAULT;
		end = memchr(at, 0, part);
		if (end) {
			memcpy(to + length, at, (size_t)(end - at) + 1);
			return (ssize_t)(length + (size_t)(end - at));
		}
		memcpy(to + length, at, part);
		length += part;
	}
	return -ENAMETOOLONG;
}
