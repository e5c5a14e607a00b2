/* SPDX-License-Identifier: MIT */
/* Mapping ELF files: text and data from the page cache, the rest as zeroed memory. */
#include "elf_load.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include "vfs.h"

static uint64_t page_up(uint64_t value)
{
	return (value + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1);
}

static int read_image(struct file *file, struct elf_image *image)
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
	return elf_parse_segments(image, headers, size);
}

/* Segments may share a page: the later one has it, as with MAP_FIXED. */
static int map_segment(struct mm *mm, struct file *file, const struct elf_segment *segment, uint64_t base)
{
	uint64_t address = base + segment->address, start = address & ~(PAGE_SIZE - 1);
	uint64_t file_end = page_up(address + segment->file_size),
	         end = page_up(address + segment->memory_size);
	int error = mm_unmap(mm, start, end);

	if (!segment->file_size)
		file_end = start;
	if (!error && file_end > start) {
		error = mm_add_region(mm, start, file_end, segment->prot, 0, file_get(file),
		                      segment->offset >> PAGE_BITS, NULL);
		if (error)
			file_put(file);
	}
	if (!error && end > file_end)
		error = mm_add_region(mm, file_end, end, segment->prot, 0, NULL, 0, NULL);
	if (!error && segment->memory_size > segment->file_size && file_end > start &&
	    segment->prot & PROT_WRITE && (address + segment->file_size) & (PAGE_SIZE - 1))
		error = mm_clear(mm, address + segment->file_size, file_end - address - segment->file_size);
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
	error = (*file)->inode->attributes.size < ELF_HEADER_SIZE ? -EIO : read_image(*file, interp);
	if (error == -ENOEXEC)
		error = -ELIBBAD;
	if (error)
		file_put(*file);
	return error;
}

static int load_interp(struct mm *mm, struct thread *thread, struct file *program,
                       const struct elf_image *image, struct loaded_image *out)
{
	struct elf_image interp;
	struct file *file;
	uint64_t size, low, high, base;
	int error = open_interp(thread, program, image, &interp, &file);

	if (error)
		return error;
	size = interp.high - interp.low;
	low = interp.position_independent ? USER_LOW : interp.low;
	high = interp.position_independent ? mm->mmap_top : interp.high;
	base = vma_gap_below(&mm->regions, low, high, size);
	error = base ? map_image(mm, file, &interp, base - interp.low) : -ENOMEM;
	out->interp_base = base - interp.low;
	out->start = interp.entry + out->interp_base;
	out->unreadable |= !file_may_read(thread, file);
	file_allow_writers(file); /* as Linux does, though programs go on running from it */
	file_put(file);
	return error;
}

int elf_load(struct mm *mm, struct thread *thread, struct file *file, struct loaded_image *out)
{
	struct elf_image image;
	uint64_t base;
	int error = read_image(file, &image);

	if (error)
		return error;
	base = image.position_independent ? PIE_BASE - image.low : 0;
	if (image.position_independent && image.high - image.low > mm->mmap_top - PIE_BASE - (1ul << 30))
		return -ENOMEM;
	error = map_image(mm, file, &image, base);
	if (error)
		return error;
	*out = (struct loaded_image){.entry = image.entry + base,
	                             .start = image.entry + base,
	                             .headers = image.headers_address ? image.headers_address + base : 0,
	                             .header_count = image.header_count,
	                             .brk = image.high + base,
	                             .executable_stack = image.executable_stack,
	                             .unreadable = !file_may_read(thread, file)};
	mm->exe = file_get(file);
	return image.interp_size ? load_interp(mm, thread, file, &image, out) : 0;
}
