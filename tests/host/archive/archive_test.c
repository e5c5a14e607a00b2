/* SPDX-License-Identifier: MIT */
/* init's readers of the boot image: the cpio archive (written by mkboot's writer) and ELF programs, whole and
 * damaged. */
#include <abi/types.h>
#include <elf.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "archive.h"
#include "check.h"
#include "mkboot.h"
#include "program.h"

void die(const char *format, ...)
{
	(void)format;
	abort();
}

void buffer_append(struct buffer *buffer, const void *data, size_t size)
{
	buffer->data = realloc(buffer->data, buffer->size + size + 1);
	if (size)
		memcpy(buffer->data + buffer->size, data, size);
	buffer->size += size;
}

void buffer_align(struct buffer *buffer, size_t alignment)
{
	static const uint8_t zeros[64];
	buffer_append(buffer, zeros, (alignment - buffer->size % alignment) % alignment);
}

static void test_archive(void)
{
	struct buffer out = {0}, a = {(uint8_t *)"hello", 5, 0}, b = {(uint8_t *)"", 0, 0},
	              c = {(uint8_t *)"abcd", 4, 0};
	cpio_add(&out, "a", &a);
	cpio_add(&out, "empty", &b);
	cpio_add(&out, "name.with-all", &c);
	cpio_end(&out);
	struct archive archive = {out.data, out.size};
	const uint8_t *content;
	size_t size;
	CHECK(archive_find(&archive, "a", &content, &size) && size == 5 && memcmp(content, "hello", 5) == 0);
	CHECK(archive_find(&archive, "empty", &content, &size) && size == 0);
	CHECK(archive_find(&archive, "name.with-all", &content, &size) && size == 4 &&
	      memcmp(content, "abcd", 4) == 0);
	CHECK(!archive_find(&archive, "name", &content, &size) &&
	      !archive_find(&archive, "TRAILER", &content, &size));
	CHECK(!archive_find(&archive, "", &content, &size));
	/* Cut anywhere, in memory of exactly that size: the sanitizer sees a read behind the end. */
	for (size_t length = 0; length < out.size; length++) {
		uint8_t *copy = malloc(length ? length : 1);
		memcpy(copy, out.data, length);
		archive = (struct archive){copy, length};
		if (archive_find(&archive, "name.with-all", &content, &size))
			CHECK(content + size <= copy + length);
		free(copy);
	}
	srand(2);
	for (int round = 0; round < 20000; round++) {
		uint8_t *copy = malloc(out.size);
		memcpy(copy, out.data, out.size);
		for (int i = 0; i < 3; i++)
			copy[(size_t)rand() % out.size] =
			        rand() % 2 ? (uint8_t)rand() : (uint8_t) "0123456789abcdef"[rand() % 16];
		archive = (struct archive){copy, out.size};
		if (archive_find(&archive, "name.with-all", &content, &size) &&
		    (content < copy || size > out.size || content + size > copy + out.size))
			CHECK(!"a file outside of the archive");
		free(copy);
	}
	free(out.data);
}

struct test_program {
	Elf64_Ehdr header;
	Elf64_Phdr segments[2];
	uint8_t code[64];
	Elf64_Sym symbols[3];
	char strings[16];
	Elf64_Shdr sections[3];
};

static void program_make(struct test_program *p)
{
	memset(p, 0, sizeof(*p));
	memcpy(p->header.e_ident, ELFMAG, SELFMAG);
	p->header.e_ident[EI_CLASS] = ELFCLASS64;
	p->header.e_ident[EI_DATA] = ELFDATA2LSB;
	p->header.e_machine = EM_X86_64;
	p->header.e_type = ET_EXEC;
	p->header.e_entry = 0x401010;
	p->header.e_phoff = offsetof(struct test_program, segments);
	p->header.e_phnum = 2;
	p->header.e_phentsize = sizeof(Elf64_Phdr);
	p->header.e_shoff = offsetof(struct test_program, sections);
	p->header.e_shnum = 3;
	p->header.e_shentsize = sizeof(Elf64_Shdr);
	p->segments[0] = (Elf64_Phdr){
	        PT_LOAD, PF_R | PF_X, offsetof(struct test_program, code), 0x401010, 0, 64, 64, 0x1000};
	p->segments[1] = (Elf64_Phdr){
	        PT_LOAD, PF_R | PF_W, offsetof(struct test_program, code), 0x403000, 0, 8, 0x2001, 0x1000};
	p->symbols[1] = (Elf64_Sym){1, ELF64_ST_INFO(STB_GLOBAL, STT_FUNC), 0, 1, 0x401010, 16};
	p->symbols[2] = (Elf64_Sym){7, ELF64_ST_INFO(STB_GLOBAL, STT_FUNC), 0, 1, 0x401020, 16};
	memcpy(p->strings, "\0first\0second\0", 14);
	p->sections[1] = (Elf64_Shdr){
	        0, SHT_SYMTAB, 0, 0, offsetof(struct test_program, symbols), sizeof(p->symbols), 2, 0, 8, 24};
	p->sections[2] =
	        (Elf64_Shdr){0, SHT_STRTAB, 0, 0, offsetof(struct test_program, strings), 14, 0, 0, 1, 0};
}

static void test_program_parse(void)
{
	struct test_program p;
	struct program program;
	uint64_t offset;
	program_make(&p);
	CHECK(program_parse(&program, (uint8_t *)&p, sizeof(p)) == NULL);
	CHECK(program.segment_count == 2 && program.memory_size == 0x1000 + 0x3000);
	CHECK(program.segments[0].rights == (RIGHT_READ | RIGHT_EXECUTE) &&
	      program.segments[1].offset == 0x1000);
	const char *name = program_symbol(&program, 0x40102f, &offset);
	CHECK(name && strcmp(name, "second") == 0 && offset == 15);
	name = program_symbol(&program, 0x401018, &offset);
	CHECK(name && strcmp(name, "first") == 0 && offset == 8);
	CHECK(program_symbol(&program, 0x400000, &offset) == NULL);
#define BROKEN(change)                                                            \
	do {                                                                      \
		program_make(&p);                                                 \
		change;                                                           \
		CHECK(program_parse(&program, (uint8_t *)&p, sizeof(p)) != NULL); \
	} while (0)
	BROKEN(p.header.e_ident[0] = 0);
	BROKEN(p.header.e_type = ET_DYN);
	BROKEN(p.header.e_machine = EM_386);
	BROKEN(p.header.e_phoff = UINT64_MAX - 10);
	BROKEN(p.header.e_phnum = 60000);
	BROKEN(p.header.e_entry = 0x403000);
	BROKEN(p.header.e_entry = 0);
	BROKEN(p.segments[0].p_flags = PF_R | PF_W | PF_X);
	BROKEN(p.segments[0].p_offset = UINT64_MAX);
	BROKEN(p.segments[0].p_filesz = 1 << 20);
	BROKEN(p.segments[1].p_vaddr = 0x401800);
	BROKEN(p.segments[1].p_memsz = UINT64_MAX - 0x403000);
	BROKEN(p.segments[1].p_vaddr = 0);
	BROKEN(p.segments[1].p_vaddr = 0xffffffff80000000);
	CHECK(program_parse(&program, (uint8_t *)&p, 10) != NULL);
}

static void test_program_fuzz(void)
{
	srand(3);
	for (int round = 0; round < 100000; round++) {
		struct test_program *p = malloc(sizeof(*p));
		struct program program;
		uint64_t offset;
		program_make(p);
		for (int i = rand() % 4; i >= 0; i--) {
			static const uint8_t values[] = {0, 1, 0x7f, 0x80, 0xff};
			((uint8_t *)p)[(size_t)rand() % sizeof(*p)] =
			        rand() % 2 ? (uint8_t)rand() : values[rand() % 5];
		}
		if (program_parse(&program, (uint8_t *)p, sizeof(*p)) == NULL) {
			uint64_t end = program.memory_size;
			for (unsigned i = 0; i < program.segment_count; i++) {
				const struct program_segment *s = &program.segments[i];
				/* What start.c copies stays inside of the program's Memory and of the file.
				 */
				uint64_t lead = s->data_address - s->address;
				if (s->offset + s->size > end || lead + s->data_size > s->size ||
				    s->data + s->data_size > (uint8_t *)(p + 1))
					CHECK(!"a segment outside of its Memory or of the file");
			}
			const char *name = program_symbol(&program, 0x401020, &offset);
			if (name && strlen(name) > 16)
				CHECK(!"a name outside of the string table");
		}
		free(p);
	}
}

int main(void)
{
	test_archive();
	test_program_parse();
	test_program_fuzz();
	return checks_report();
}
