/* SPDX-License-Identifier: MIT */
/* Checking ELF headers, before anything is mapped. Programs that make little sense are refused, run or fail
 * where Linux refuses them, runs them or lets them fail. */
#include "elf_image.h"
#include <elf.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <abi/types.h>

#define HIGH_LIMIT 0x7f0000000000ul /* room for the stack above any image */

int elf_parse_header(struct elf_image *image, const void *data, size_t size, uint64_t file_size)
{
	Elf64_Ehdr header;

	if (size < sizeof(header))
		return -ENOEXEC;
	memcpy(&header, data, sizeof(header));
	if (memcmp(header.e_ident, ELFMAG, SELFMAG) || header.e_machine != EM_X86_64)
		return -ENOEXEC; /* Linux, too, looks at no other byte of e_ident */
	if (header.e_type != ET_EXEC && header.e_type != ET_DYN)
		return -ENOEXEC;
	if (header.e_phentsize != ELF_ENTRY_SIZE || !header.e_phnum || header.e_phnum > ELF_HEADERS_MAX)
		return -ENOEXEC;
	if (header.e_phoff > file_size ||
	    file_size - header.e_phoff < (uint64_t)header.e_phnum * ELF_ENTRY_SIZE)
		return -ENOEXEC;
	*image = (struct elf_image){.position_independent = header.e_type == ET_DYN,
	                            .entry = header.e_entry,
	                            .headers_offset = header.e_phoff,
	                            .header_count = header.e_phnum};
	return 0;
}

/* What lies beyond the end of the file is found when it is touched. */
static bool segment_valid(const Elf64_Phdr *header)
{
	if (header->p_filesz > header->p_memsz || header->p_offset > INT64_MAX - HIGH_LIMIT)
		return false;
	if (header->p_vaddr >= HIGH_LIMIT || header->p_memsz > HIGH_LIMIT - header->p_vaddr)
		return false;
	return ((header->p_offset ^ header->p_vaddr) & (PAGE_SIZE - 1)) == 0;
}

static uint32_t segment_prot(uint32_t flags)
{
	return (flags & PF_R ? PROT_READ : 0) | (flags & PF_W ? PROT_WRITE : 0) |
	       (flags & PF_X ? PROT_EXEC : 0);
}

static void add_segment(struct elf_image *image, const Elf64_Phdr *header)
{
	uint64_t start = header->p_vaddr & ~(PAGE_SIZE - 1), end = header->p_vaddr + header->p_memsz;

	image->broken |= !segment_valid(header);
	if (image->broken)
		return;
	end = (end + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1);
	if (header->p_align > image->alignment && !(header->p_align & (header->p_align - 1)))
		image->alignment = header->p_align;
	if (!image->segment_count || start < image->low)
		image->low = start;
	if (end > image->high)
		image->high = end;
	image->segments[image->segment_count++] = (struct elf_segment){.address = header->p_vaddr,
	                                                               .memory_size = header->p_memsz,
	                                                               .file_size = header->p_filesz,
	                                                               .offset = header->p_offset,
	                                                               .prot = segment_prot(header->p_flags)};
	if (image->headers_offset >= header->p_offset &&
	    image->headers_offset - header->p_offset < header->p_filesz)
		image->headers_address = header->p_vaddr + image->headers_offset - header->p_offset;
}

static int add_interp(struct elf_image *image, const Elf64_Phdr *header, uint64_t file_size)
{
	/* The first one counts. */
	if (image->interp_size)
		return 0;
	if (header->p_filesz < 2 || header->p_filesz > ELF_INTERP_MAX)
		return -ENOEXEC;
	if (header->p_offset > file_size || file_size - header->p_offset < header->p_filesz)
		return -EIO; /* as Linux, which tries to read it */
	image->interp_offset = header->p_offset;
	image->interp_size = header->p_filesz;
	return 0;
}

int elf_parse_segments(struct elf_image *image, const void *headers, uint64_t file_size, bool is_loader)
{
	int error = 0;

	for (unsigned i = 0; i < image->header_count && !error; i++) {
		Elf64_Phdr header;

		memcpy(&header, (const uint8_t *)headers + i * sizeof(header), sizeof(header));
		if (header.p_type == PT_LOAD)
			add_segment(image, &header);
		else if (header.p_type == PT_INTERP && !is_loader)
			error = add_interp(image, &header, file_size);
		else if (header.p_type == PT_GNU_STACK)
			image->executable_stack = header.p_flags & PF_X;
	}
	image->broken |= image->low == image->high;
	return error;
}
