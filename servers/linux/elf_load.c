/* SPDX-License-Identifier: MIT */
/* Mapping ELF files: text and data from the page cache, the rest as zeroed memory. */
#include "elf_load.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include "capability.h"
#include "vfs.h"

static uint64_t page_up(uint64_t value)
{
	return (value + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1);
}

static int read_image(struct file *file, struct elf_image *image, bool is_loader)
{
	uint64_t size = file->inode->attributes.size;
	uint8_t header[ELF_HEADER_SIZE], headers[ELF_HEADERS_MAX * ELF_ENTRY_SIZE];
	ssize_t got = file_read_kernel(file, header, sizeof(header), 0);
	int error;

	if (got < 0)
		return (int)got;
	error = elf_parse_header(image, header, (size_t)got, size);
	if (error)
		return error;
	got = file_read_kernel(file, headers, image->header_count * ELF_ENTRY_SIZE, image->headers_offset);
	if (got < 0)
		return (int)got;
	if ((size_t)got < image->header_count * ELF_ENTRY_SIZE)
		return -ENOEXEC;
	return elf_parse_segments(image, headers, size, is_loader);
}

/* The part that is in the file. */
static int map_file_part(struct mm *mm, struct file *file, const struct elf_segment *segment,
                         uint64_t address)
{
	uint64_t start = address & ~(PAGE_SIZE - 1), end = page_up(address + segment->file_size);
	int error;

	if (segment->prot & PROT_WRITE && (end - start) >> PAGE_BITS > pages_total())
		return -ETOOLATE;
	error = mm_unmap(mm, start, end);
	if (error)
		return error;
	error = mm_add_region(mm, start, end, segment->prot, 0, file_get(file), segment->offset >> PAGE_BITS,
	                      NULL);
	if (error)
		file_put(file);
	return error;
}

/* What is behind it: the rest of its page, as far as that can be written, and pages of zeros, which can be
 * written in any case. */
static int map_zeros(struct mm *mm, uint64_t from, uint64_t to, uint32_t prot)
{
	uint64_t start = page_up(from), end = page_up(to);
	int error;

	if (start > from)
		(void)mm_clear(mm, from, start - from); /* beyond the end of the file in vain, too */
	if (end <= start)
		return 0;
	if ((end - start) >> PAGE_BITS > pages_total())
		return -ETOOLATE;
	error = mm_unmap(mm, start, end);
	if (error)
		return error;
	return mm_add_region(mm, start, end, PROT_READ | PROT_WRITE | (prot & PROT_EXEC), 0, NULL, 0, NULL);
}

/* In place of what was there of the segments before it. */
static int map_segment(struct mm *mm, struct file *file, const struct elf_segment *segment, uint64_t base)
{
	uint64_t address = base + segment->address, file_end = address + segment->file_size;
	int error = 0;

	if (segment->file_size)
		error = map_file_part(mm, file, segment, address);
	else
		file_end &= ~(PAGE_SIZE - 1);
	if (!error && segment->memory_size > segment->file_size)
		error = map_zeros(mm, file_end, address + segment->memory_size, segment->prot);
	return error;
}

static int map_image(struct mm *mm, struct file *file, const struct elf_image *image, uint64_t base)
{
	int error = 0;

	for (unsigned i = 0; i < image->segment_count && !error; i++)
		error = map_segment(mm, file, &image->segments[i], base);
	return error;
}

/* The loader that a program names, opened and checked; one that it names in turn is not looked at. */
static int open_interp(struct thread *thread, struct file *program, const struct elf_image *image,
                       struct elf_image *interp, struct file **file)
{
	char path[ELF_INTERP_MAX + 1];
	ssize_t got = file_read_kernel(program, path, image->interp_size, image->interp_offset);
	int error;

	if (got < 0 || (size_t)got != image->interp_size || path[got - 1])
		return -ENOEXEC;
	error = vfs_open_program(thread, AT_FDCWD, path, true, file);
	if (error)
		return error;
	error = (*file)->inode->attributes.size < ELF_HEADER_SIZE ? -EIO : read_image(*file, interp, true);
	if (error == -ENOEXEC)
		error = -ELIBBAD;
	if (error)
		file_put(*file);
	return error;
}

static int map_interp(struct mm *mm, struct file *file, const struct elf_image *interp,
                      struct loaded_image *out)
{
	uint64_t low = interp->position_independent ? USER_LOW : interp->low;
	uint64_t high = interp->position_independent ? mm->mmap_top : interp->high;
	uint64_t base = vma_gap_below(&mm->regions, low, high, interp->high - interp->low);

	out->interp_base = base - interp->low;
	out->start = interp->entry + out->interp_base;
	return base ? map_image(mm, file, interp, out->interp_base) : -ETOOLATE;
}

static int map_program(struct mm *mm, struct file *file, const struct elf_image *image,
                       struct loaded_image *out)
{
	uint64_t alignment = image->alignment < PIE_ALIGNMENT_MAX ? image->alignment : PIE_ALIGNMENT_MAX;
	uint64_t base = 0;

	if (image->position_independent) {
		if (image->high - image->low > PIE_SIZE_MAX)
			return -ETOOLATE;
		base = (alignment ? PIE_BASE & ~(alignment - 1) : PIE_BASE) - image->low;
	}
	*out = (struct loaded_image){.entry = image->entry + base,
	                             .start = image->entry + base,
	                             .headers = image->headers_address ? image->headers_address + base : 0,
	                             .header_count = image->header_count,
	                             .brk = image->high + base,
	                             .executable_stack = image->executable_stack};
	return map_image(mm, file, image, base);
}

static bool cannot_be(struct thread *thread, const struct elf_image *image)
{
	uint64_t least = capable(thread, CAP_SYS_RAWIO) ? USER_BASE : USER_LOW;

	return image->broken || (!image->position_independent && image->low < least);
}

int elf_load(struct mm *mm, struct thread *thread, struct file *file, struct loaded_image *out)
{
	struct elf_image image, interp = {.broken = false};
	struct file *loader = NULL;
	int error = read_image(file, &image, false);

	if (!error && image.interp_size)
		error = open_interp(thread, file, &image, &interp, &loader);
	if (error)
		return error;
	error = cannot_be(thread, &image) || (loader && cannot_be(thread, &interp))
	                ? -ETOOLATE
	                : map_program(mm, file, &image, out);
	if (!error && loader)
		error = map_interp(mm, loader, &interp, out);
	if (!error && out->start >= USER_END)
		error = -ETOOLATE;
	if (!error) {
		out->unreadable = !file_may_read(thread, file) || (loader && !file_may_read(thread, loader));
		mm->exe = file_get(file);
	}
	if (loader) {
		file_allow_writers(loader); /* as Linux does, though programs go on running from it */
		file_put(loader);
	}
	return error;
}
