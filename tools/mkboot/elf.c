/* SPDX-License-Identifier: MIT */
/* ELF files of native components: checked once here, so that a broken build is found on the host. */
#include <abi/boot.h>

#include <elf.h>
#include <string.h>

#include "mkboot.h"

static const Elf64_Ehdr *header_check(const struct buffer *elf, const char *path)
{
	const Elf64_Ehdr *header = (const Elf64_Ehdr *)elf->data;
	if (elf->size < sizeof(*header) || memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 ||
	    header->e_ident[EI_CLASS] != ELFCLASS64 || header->e_machine != EM_X86_64 ||
	    header->e_type != ET_EXEC)
		die("%s: not a static 64-bit x86 program", path);
	if (header->e_phentsize != sizeof(Elf64_Phdr) || header->e_phoff > elf->size ||
	    header->e_phnum > (elf->size - header->e_phoff) / sizeof(Elf64_Phdr))
		die("%s: bad program headers", path);
	const Elf64_Phdr *segments = (const Elf64_Phdr *)(elf->data + header->e_phoff);
	for (unsigned i = 0; i < header->e_phnum; i++) {
		const Elf64_Phdr *segment = &segments[i];
		if (segment->p_offset > elf->size || segment->p_filesz > elf->size - segment->p_offset ||
		    (segment->p_type == PT_LOAD && segment->p_filesz > segment->p_memsz))
			die("%s: segment %u is outside of the file", path, i);
		if (segment->p_type == PT_LOAD && (segment->p_flags & PF_W) && (segment->p_flags & PF_X))
			die("%s: segment %u is writable and executable", path, i);
	}
	return header;
}

void elf_place(const struct buffer *elf, const char *path, struct buffer *image)
{
	const Elf64_Ehdr *header = header_check(elf, path);
	const Elf64_Phdr *segments = (const Elf64_Phdr *)(elf->data + header->e_phoff);
	struct boot_image boot;
	memcpy(&boot, image->data, sizeof(boot));
	boot.entry = header->e_entry;
	for (unsigned i = 0; i < header->e_phnum; i++) {
		const Elf64_Phdr *segment = &segments[i];
		if (segment->p_type != PT_LOAD || segment->p_memsz == 0)
			continue;
		if (boot.segment_count == BOOT_SEGMENTS)
			die("%s: more than %d segments", path, BOOT_SEGMENTS);
		uint64_t lead = segment->p_vaddr % PAGE_SIZE;
		static const uint8_t zeros[PAGE_SIZE];
		buffer_align(image, PAGE_SIZE);
		boot.segments[boot.segment_count++] = (struct boot_segment){
		        .address = segment->p_vaddr - lead,
		        .offset = image->size,
		        .file_size = segment->p_filesz + lead,
		        .memory_size = segment->p_memsz + lead,
		        .rights = (segment->p_flags & PF_R ? RIGHT_READ : 0) |
		                  (segment->p_flags & PF_W ? RIGHT_WRITE : 0) |
		                  (segment->p_flags & PF_X ? RIGHT_EXECUTE : 0),
		};
		buffer_append(image, zeros, lead);
		buffer_append(image, elf->data + segment->p_offset, segment->p_filesz);
	}
	buffer_align(image, PAGE_SIZE);
	memcpy(image->data, &boot, sizeof(boot));
}

static const Elf64_Shdr *symbols_find(const struct buffer *elf, const Elf64_Ehdr *header,
                                      const Elf64_Shdr **strings)
{
	if (header->e_shentsize != sizeof(Elf64_Shdr) || header->e_shoff > elf->size ||
	    header->e_shnum > (elf->size - header->e_shoff) / sizeof(Elf64_Shdr))
		return NULL;
	const Elf64_Shdr *sections = (const Elf64_Shdr *)(elf->data + header->e_shoff);
	for (unsigned i = 0; i < header->e_shnum; i++) {
		if (sections[i].sh_type != SHT_SYMTAB || sections[i].sh_link >= header->e_shnum)
			continue;
		*strings = &sections[sections[i].sh_link];
		if (sections[i].sh_offset <= elf->size &&
		    sections[i].sh_size <= elf->size - sections[i].sh_offset &&
		    (*strings)->sh_offset <= elf->size &&
		    (*strings)->sh_size <= elf->size - (*strings)->sh_offset)
			return &sections[i];
	}
	return NULL;
}

void elf_slim(const struct buffer *elf, const char *path, struct buffer *slim)
{
	const Elf64_Ehdr *header = header_check(elf, path);
	const Elf64_Phdr *segments = (const Elf64_Phdr *)(elf->data + header->e_phoff);
	size_t end = header->e_phoff + header->e_phnum * sizeof(Elf64_Phdr);
	for (unsigned i = 0; i < header->e_phnum; i++)
		if (segments[i].p_offset + segments[i].p_filesz > end)
			end = segments[i].p_offset + segments[i].p_filesz;
	buffer_append(slim, elf->data, end);
	Elf64_Ehdr copy = *header;
	copy.e_shoff = copy.e_shnum = copy.e_shstrndx = 0;
	const Elf64_Shdr *strings, *symbols = symbols_find(elf, header, &strings);
	if (symbols) {
		Elf64_Shdr sections[3] = {{0}, *symbols, *strings};
		buffer_align(slim, 8);
		sections[1].sh_offset = slim->size;
		sections[1].sh_link = 2;
		sections[1].sh_name = sections[2].sh_name = 0;
		buffer_append(slim, elf->data + symbols->sh_offset, symbols->sh_size);
		sections[2].sh_offset = slim->size;
		buffer_append(slim, elf->data + strings->sh_offset, strings->sh_size);
		buffer_align(slim, 8);
		copy.e_shoff = slim->size;
		copy.e_shnum = 3;
		buffer_append(slim, sections, sizeof(sections));
	}
	memcpy(slim->data, &copy, sizeof(copy));
}
