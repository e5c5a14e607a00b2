/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer's target for what execve is given: each input is a file. It is parsed, and loaded into an address
 * space that checks what it is asked for; then looked at as a script. Where the input names an interpreter,
 * that is the same file.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "elf_load.h"
#include "script.h"
#include "vfs.h"

#define TOP          0x7f0000000000ul
#define REGIONS_KEPT 512

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t *content;
static struct inode inode;
static struct file file = {.inode = &inode};
static struct process process;
static struct thread caller = {.process = &process};

/* What is mapped. */
static struct {
	uint64_t start, end;
	uint32_t prot;
} regions[REGIONS_KEPT];
static unsigned region_count, references;

static void need(bool condition, const char *what)
{
	if (condition)
		return;
	fprintf(stderr, "%s\n", what);
	abort();
}

static void need_range(uint64_t start, uint64_t end)
{
	need(start < end && end <= TOP + PAGE_SIZE, "a range inside of what programs have");
	need(start % PAGE_SIZE == 0 && end % PAGE_SIZE == 0, "whole pages");
}

int mm_unmap(struct mm *mm, uint64_t start, uint64_t end)
{
	(void)mm;
	need_range(start, end);
	for (unsigned i = 0; i < region_count; i++) {
		if (regions[i].start < start && regions[i].end > end) {
			need(region_count < REGIONS_KEPT, "not more regions than segments make");
			regions[region_count].start = end;
			regions[region_count].end = regions[i].end;
			regions[region_count++].prot = regions[i].prot;
			regions[i].end = start;
		}
		if (regions[i].start >= start && regions[i].start < end)
			regions[i].start = regions[i].end < end ? regions[i].end : end;
		if (regions[i].end > start && regions[i].end <= end)
			regions[i].end = regions[i].start < start ? start : regions[i].start;
	}
	return 0;
}

int mm_add_region(struct mm *mm, uint64_t start, uint64_t end, uint32_t prot, uint32_t flags, struct file *of,
                  uint64_t offset, struct shared_memory *shared)
{
	(void)mm;
	(void)flags;
	(void)shared;
	need_range(start, end);
	need(!(prot & ~(uint32_t)(PROT_READ | PROT_WRITE | PROT_EXEC)), "rights that exist");
	need(!of || offset <= INT64_MAX / PAGE_SIZE, "pages that a file may have");
	for (unsigned i = 0; i < region_count; i++)
		need(regions[i].start == regions[i].end || end <= regions[i].start || start >= regions[i].end,
		     "a free range");
	need(region_count < REGIONS_KEPT, "not more regions than segments");
	regions[region_count].start = start;
	regions[region_count].end = end;
	regions[region_count++].prot = prot;
	return 0;
}

int mm_clear(struct mm *mm, uint64_t to, size_t size)
{
	(void)mm;
	for (unsigned i = 0; i < region_count; i++)
		if (to >= regions[i].start && to < regions[i].end && size <= regions[i].end - to &&
		    regions[i].prot & PROT_WRITE)
			return 0;
	need(size < PAGE_SIZE, "the rest of a page");
	return -EFAULT;
}

size_t pages_total(void)
{
	return 1000;
}

uint64_t vma_gap_below(struct vma_set *set, uint64_t low, uint64_t high, uint64_t size)
{
	uint64_t end = high & ~(PAGE_SIZE - 1);
	unsigned i = 0;

	(void)set;
	need(size && size % PAGE_SIZE == 0, "a gap of whole pages");
	while (i < region_count && end > low && size <= end - low) {
		if (regions[i].start < end && regions[i].end > end - size) {
			end = regions[i].start;
			i = 0;
		} else {
			i++;
		}
	}
	return end > low && size <= end - low ? end - size : 0;
}

ssize_t file_read_kernel(struct file *of, void *to, size_t size, uint64_t position)
{
	uint64_t left = position < of->inode->attributes.size ? of->inode->attributes.size - position : 0;

	size = size < left ? size : left;
	memcpy(to, content + position, size);
	return (ssize_t)size;
}

struct file *file_get(struct file *of)
{
	references++;
	return of;
}

void file_put(struct file *of)
{
	(void)of;
	references--;
}

int vfs_open_program(struct thread *thread, int dirfd, const char *path, bool follow, struct file **out)
{
	(void)thread;
	(void)dirfd;
	(void)follow;
	if (!*path)
		return -ENOENT;
	*out = file_get(&file);
	return 0;
}

void file_allow_writers(struct file *of)
{
	need(references > 0, "an interpreter that is still held");
	(void)of;
}

bool file_may_read(struct thread *thread, const struct file *of)
{
	(void)thread;
	(void)of;
	return true;
}

static void run_script(const uint8_t *data, size_t size)
{
	char line[SCRIPT_LINE], *interp, *argument;
	size_t got = size < sizeof(line) - 1 ? size : sizeof(line) - 1;

	memcpy(line, data, got);
	line[got] = 0;
	if (script_parse(line, got, &interp, &argument) <= 0)
		return;
	need(interp > line && *interp && !strpbrk(interp, " \t\n"), "an interpreter");
	need(interp + strlen(interp) < line + sizeof(line), "inside of the line");
	need(!argument ||
	             (argument > interp && *argument && argument + strlen(argument) < line + sizeof(line)),
	     "an argument");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mm mm = {.mmap_top = TOP};
	struct loaded_image image;

	content = data;
	inode.attributes.size = size;
	region_count = references = 0;
	elf_load(&mm, &caller, &file, &image);
	run_script(data, size);
	return 0;
}
