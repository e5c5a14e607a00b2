/* SPDX-License-Identifier: MIT */
#include "program.h"

#include <abi/types.h>
#include <elf.h>
#include <string.h>

/* Programs lie between the null page and the start-up information. */
#define PROGRAM_END 0x10000000ul

static bool range_inside(uint64_t offset, uint64_t size, uint64_t limit)
{
	return offset <= limit && size <= limit - offset;
}

static const char *segment_parse(struct program *program, const Elf64_Phdr *header)
{
	if (header->p_memsz == 0)
		return NULL;
	if (!range_inside(header->p_offset, header->p_filesz, program->file_size) ||
	    header->p_filesz > header->p_memsz)
		return "a segment lies outside of the file";
	if (header->p_vaddr < USER_BASE || !range_inside(header->p_vaddr, header->p_memsz, PROGRAM_END))
		return "a segment lies outside of the range for programs";
	if ((header->p_flags & PF_W) && (header->p_flags & PF_X))
		return "a segment is writable and executable";
	if (program->segment_count == PROGRAM_SEGMENTS)
		return "too many segments";
	uint64_t start = header->p_vaddr & ~(PAGE_SIZE - 1);
	uint64_t end = (header->p_vaddr + header->p_memsz + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1);
	for (unsigned i = 0; i < program->segment_count; i++) {
		const struct program_segment *other = &program->segments[i];
		if (start < other->address + other->size && other->address < end)
			return "two segments share a page";
	}
	program->segments[program->segment_count++] = (struct program_segment){
	        .address = start,
	        .size = end - start,
	        .data_address = header->p_vaddr,
	        .data = program->file + header->p_offset,
	        .data_size = header->p_filesz,
	        .rights = (header->p_flags & PF_R ? RIGHT_READ : 0u) |
	                  (header->p_flags & PF_W ? RIGHT_WRITE : 0u) |
	                  (header->p_flags & PF_X ? RIGHT_EXECUTE : 0u),
	        .offset = program->memory_size,
	};
	program->memory_size += end - start;
	return NULL;
}

const char *program_parse(struct program *program, const uint8_t *file, size_t size)
{
	Elf64_Ehdr header;
	memset(program, 0, sizeof(*program));
	program->file = file;
	program->file_size = size;
	if (size < sizeof(header))
		return "too short for a program";
	memcpy(&header, file, sizeof(header));
	if (memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] != ELFCLASS64 ||
	    header.e_ident[EI_DATA] != ELFDATA2LSB || header.e_machine != EM_X86_64 ||
	    header.e_type != ET_EXEC)
		return "not a static 64-bit x86 program";
	if (header.e_phentsize != sizeof(Elf64_Phdr) ||
	    !range_inside(header.e_phoff, (uint64_t)header.e_phnum * sizeof(Elf64_Phdr), size))
		return "bad program headers";
	program->entry = header.e_entry;
	for (unsigned i = 0; i < header.e_phnum; i++) {
		Elf64_Phdr segment;
		memcpy(&segment, file + header.e_phoff + i * sizeof(segment), sizeof(segment));
		const char *problem = segment.p_type == PT_LOAD ? segment_parse(program, &segment) : NULL;
		if (problem)
			return problem;
	}
	for (unsigned i = 0; i < program->segment_count; i++) {
		const struct program_segment *segment = &program->segments[i];
		if ((segment->rights & RIGHT_EXECUTE) && program->entry - segment->address < segment->size)
			return NULL;
	}
	return "the entry point is not in executable memory";
}

static bool section_read(const struct program *program, const Elf64_Ehdr *header, unsigned number,
                         Elf64_Shdr *section)
{
	if (number >= header->e_shnum || header->e_shentsize != sizeof(*section) ||
	    !range_inside(header->e_shoff, (uint64_t)header->e_shnum * sizeof(*section), program->file_size))
		return false;
	memcpy(section, program->file + header->e_shoff + number * sizeof(*section), sizeof(*section));
	return range_inside(section->sh_offset, section->sh_size, program->file_size);
}

const char *program_symbol(const struct program *program, uint64_t address, uint64_t *offset)
{
	Elf64_Ehdr header;
	Elf64_Shdr symbols, strings;
	const char *best = NULL;
	uint64_t best_value = 0;
	memcpy(&header, program->file, sizeof(header));
	for (unsigned i = 0; i < header.e_shnum; i++) {
		if (!section_read(program, &header, i, &symbols) || symbols.sh_type != SHT_SYMTAB ||
		    !section_read(program, &header, symbols.sh_link, &strings) || strings.sh_size == 0 ||
		    program->file[strings.sh_offset + strings.sh_size - 1] != 0)
			continue;
		for (uint64_t at = 0; at + sizeof(Elf64_Sym) <= symbols.sh_size; at += sizeof(Elf64_Sym)) {
			Elf64_Sym symbol;
			memcpy(&symbol, program->file + symbols.sh_offset + at, sizeof(symbol));
			if (ELF64_ST_TYPE(symbol.st_info) != STT_FUNC || symbol.st_value > address ||
			    (best && symbol.st_value < best_value) || symbol.st_name >= strings.sh_size)
				continue;
			best = (const char *)program->file + strings.sh_offset + symbol.st_name;
			best_value = symbol.st_value;
		}
	}
	*offset = address - best_value;
	return best;
}
