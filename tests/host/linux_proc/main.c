/* SPDX-License-Identifier: MIT */
/* The pure parts of the process half of servers/linux, against simple models and hostile input. */
#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "address_space.h"
#include "deadline.h"
#include "elf_image.h"
#include "page_map.h"
#include "sigframe.h"
#include "vma.h"

#define CHECK(condition)                                                                \
	do {                                                                            \
		if (!(condition)) {                                                     \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
			exit(1);                                                        \
		}                                                                       \
	} while (0)

static uint64_t state = 88172645463325252ul;

static uint64_t next_random(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

/* ---- deadlines ---- */

static struct deadline deadlines[200];
static deadline_t last_fired;
static unsigned fired;

static void fire(struct deadline *deadline)
{
	CHECK(!deadline->position);
	CHECK(deadline->when >= last_fired);
	last_fired = deadline->when;
	fired++;
}

static void fire_again(struct deadline *deadline)
{
	fired++;
	if (fired < 5)
		CHECK(deadline_set(deadline, deadline->when + 10));
}

static void test_deadlines(void)
{
	unsigned set = 0;

	CHECK(deadline_next() == DEADLINE_NEVER);
	for (int round = 0; round < 20000; round++) {
		struct deadline *deadline = &deadlines[next_random() % 200];
		deadline_t earliest = DEADLINE_NEVER;

		deadline->fire = fire;
		if (next_random() % 3)
			CHECK(deadline_set(deadline, next_random() % 1000));
		else
			deadline_cancel(deadline);
		for (int i = 0; i < 200; i++)
			if (deadlines[i].position && deadlines[i].when < earliest)
				earliest = deadlines[i].when;
		CHECK(deadline_next() == earliest);
	}
	for (int i = 0; i < 200; i++)
		set += deadlines[i].position != 0;
	deadline_run(DEADLINE_NEVER);
	CHECK(fired == set && deadline_next() == DEADLINE_NEVER);
	fired = 0;
	deadlines[0].fire = fire_again;
	CHECK(deadline_set(&deadlines[0], 5));
	deadline_run(4);
	CHECK(fired == 0);
	deadline_run(100);
	CHECK(fired == 5);
}

/* ---- page maps ---- */

#define MODEL_PAGES 3000

static entry_t model[MODEL_PAGES];

/* Spread out, so that chunks are missing between. */
static uint64_t model_page(unsigned i)
{
	return i < 1000 ? i : i < 2000 ? 0x7fff0000000ul / 4096 + i : (uint64_t)i * 1000;
}

static void check_range(struct page_map *map, uint64_t first, uint64_t end)
{
	uint64_t page = first;
	size_t expected = 0, found = 0;
	entry_t *entry;

	for (unsigned i = 0; i < MODEL_PAGES; i++)
		expected += model[i] && model_page(i) >= first && model_page(i) < end;
	for (; (entry = page_map_next(map, &page, end)); page++) {
		CHECK(*entry && page >= first && page < end);
		CHECK(*entry == page_map_get(map, page));
		found++;
	}
	CHECK(found == expected);
}

static void test_page_map(void)
{
	struct page_map map = {0};

	for (int round = 0; round < 30000; round++) {
		unsigned i = (unsigned)(next_random() % MODEL_PAGES);
		entry_t entry = (entry_t)(next_random() % 1000 + 1) | ENTRY_WRITE;

		if (next_random() % 2) {
			CHECK(page_map_set(&map, model_page(i), entry));
			model[i] = entry;
		} else {
			CHECK(page_map_take(&map, model_page(i)) == model[i]);
			model[i] = 0;
		}
		if (round % 500 == 0) {
			uint64_t first = model_page((unsigned)(next_random() % MODEL_PAGES)),
			         end = first + next_random() % 2000000;
			uint32_t before = map.count;

			page_map_prune(&map, first, end);
			check_range(&map, first, end);
			for (uint32_t c = 0; c < map.count; c++)
				CHECK(map.chunks[c]->present || map.chunks[c]->number < first / CHUNK_PAGES ||
				      map.chunks[c]->number * CHUNK_PAGES >= end);
			CHECK(map.count <= before);
			check_range(&map, 0, UINT64_MAX);
		}
	}
	for (unsigned i = 0; i < MODEL_PAGES; i++) {
		CHECK(page_map_get(&map, model_page(i)) == model[i]);
		CHECK(!page_map_find(&map, model_page(i)) == !model[i]);
	}
	page_map_destroy(&map);
	CHECK(!page_map_get(&map, 5) && !map.pages);
}

/* ---- regions ---- */

static void test_regions(void)
{
	struct vma_set set = {0};
	static bool used[256];
	static struct vma regions[256];

	for (int round = 0; round < 20000; round++) {
		unsigned start = (unsigned)(next_random() % 250), size = 1 + (unsigned)(next_random() % 5),
		         run = 0;
		/* Mostly the same end, where the search goes on from the last one. */
		uint64_t gap, low = 0x1000 * (next_random() % 100),
		              high = next_random() % 4 ? 0x1000 * 200 : low + 0x1000 * (next_random() % 156);
		bool free_range = true;

		for (unsigned i = start; i < start + size && i < 256; i++)
			free_range &= !used[i];
		CHECK(vma_range_free(&set, start * 0x1000ul, (start + size) * 0x1000ul) == free_range);
		if (free_range && start + size <= 256) {
			regions[start] =
			        (struct vma){.start = start * 0x1000ul, .end = (start + size) * 0x1000ul};
			CHECK(vma_reserve(&set, 1));
			vma_insert(&set, &regions[start]);
			memset(&used[start], 1, size);
		} else if (vma_find(&set, start * 0x1000ul)) {
			struct vma *vma = vma_find(&set, start * 0x1000ul);

			CHECK(vma->start <= start * 0x1000ul && start * 0x1000ul < vma->end);
			memset(&used[vma->start / 0x1000], 0, (vma->end - vma->start) / 0x1000);
			vma_remove(&set, vma);
		}
		for (unsigned i = 1; i < set.count; i++)
			CHECK(vma_at(&set, i - 1)->end <= vma_at(&set, i)->start);
		/* The highest gap, by brute force. */
		gap = vma_gap_below(&set, low, high, size * 0x1000ul);
		for (int i = (int)(high / 0x1000) - 1; i >= (int)(low / 0x1000) && run < size; i--)
			run = used[i] ? 0 : run + 1;
		if (run < size) {
			CHECK(gap == 0);
		} else if (gap) {
			CHECK(gap >= low && gap + size * 0x1000ul <= high);
			CHECK(vma_range_free(&set, gap, gap + size * 0x1000ul));
			CHECK(gap + size * 0x1000ul == high || used[gap / 0x1000 + size]);
		} else {
			CHECK(low == 0); /* 0 is both an address and "none" */
		}
	}
	free(set.items);
}

/* ---- ELF ---- */

static uint8_t elf_file[8192];

static void make_elf(void)
{
	Elf64_Ehdr *header = (Elf64_Ehdr *)elf_file;
	Elf64_Phdr *segments = (Elf64_Phdr *)(elf_file + 64);

	memset(elf_file, 0, sizeof(elf_file));
	memcpy(header->e_ident, ELFMAG, SELFMAG);
	header->e_ident[EI_CLASS] = ELFCLASS64;
	header->e_ident[EI_DATA] = ELFDATA2LSB;
	header->e_type = ET_EXEC;
	header->e_machine = EM_X86_64;
	header->e_phoff = 64;
	header->e_phentsize = sizeof(Elf64_Phdr);
	header->e_phnum = 3;
	header->e_entry = 0x400100;
	segments[0] = (Elf64_Phdr){.p_type = PT_LOAD,
	                           .p_flags = PF_R | PF_X,
	                           .p_vaddr = 0x400000,
	                           .p_filesz = 0x1000,
	                           .p_memsz = 0x1000};
	segments[1] = (Elf64_Phdr){.p_type = PT_LOAD,
	                           .p_flags = PF_R | PF_W,
	                           .p_offset = 0x1000,
	                           .p_vaddr = 0x402000,
	                           .p_filesz = 0x800,
	                           .p_memsz = 0x3000};
	segments[2] = (Elf64_Phdr){.p_type = PT_INTERP, .p_offset = 0x800, .p_filesz = 20};
}

static int parse(struct elf_image *image)
{
	int error = elf_parse_header(image, elf_file, sizeof(elf_file), sizeof(elf_file));

	if (error)
		return error;
	CHECK(image->header_count <= ELF_HEADERS_MAX);
	CHECK(image->headers_offset + image->header_count * ELF_ENTRY_SIZE <= sizeof(elf_file));
	error = elf_parse_segments(image, elf_file + image->headers_offset, sizeof(elf_file), false);
	return error || !image->broken ? error : -ETOOLATE;
}

/* Whatever passes must be safe to map. */
static void check_image(const struct elf_image *image)
{
	CHECK(image->segment_count && image->low < image->high);
	for (unsigned i = 0; i < image->segment_count; i++) {
		const struct elf_segment *segment = &image->segments[i];

		CHECK(segment->address >= image->low && segment->memory_size >= segment->file_size);
		CHECK((int64_t)(segment->offset + segment->file_size) >= 0);
		CHECK((segment->offset ^ segment->address) % 4096 == 0);
		CHECK(segment->memory_size <= image->high && image->high < 0x7f0000001000ul);
		CHECK(segment->address <= image->high - segment->memory_size);
	}
	CHECK(!image->interp_size || image->interp_offset + image->interp_size <= sizeof(elf_file));
}

static void test_elf(void)
{
	Elf64_Phdr *segments = (Elf64_Phdr *)(elf_file + 64);
	struct elf_image image;
	unsigned accepted = 0;

	make_elf();
	CHECK(parse(&image) == 0);
	check_image(&image);
	CHECK(image.segment_count == 2 && image.low == 0x400000 && image.high == 0x405000);
	CHECK(image.headers_address == 0x400040 && image.interp_size == 20);
	CHECK(elf_parse_header(&image, elf_file, 10, 10) == -ENOEXEC);
	segments[1].p_vaddr = 0x3ff000; /* overlaps, and is out of order */
	CHECK(parse(&image) == 0 && image.low == 0x3ff000 && image.high == 0x402000);
	check_image(&image);
	segments[1].p_offset = 0x100000; /* beyond the end of the file */
	CHECK(parse(&image) == 0);
	make_elf();
	segments[1].p_memsz = UINT64_MAX - 10;
	CHECK(parse(&image) == -ETOOLATE);
	make_elf();
	segments[1].p_offset = 0x1001; /* not congruent */
	CHECK(parse(&image) == -ETOOLATE);
	for (int round = 0; round < 200000; round++) {
		make_elf();
		for (unsigned flips = 1 + (unsigned)(next_random() % 4); flips; flips--)
			elf_file[next_random() % (64 + 3 * 56)] = (uint8_t)next_random();
		if (!parse(&image)) {
			check_image(&image);
			accepted++;
		}
	}
	CHECK(accepted > 1000);
}

/* ---- signal frames ---- */

static void test_sigframe(void)
{
	struct thread_registers in, out = {.fs_base = 7, .gs_base = 8};
	struct linux_sigcontext context;
	uint64_t vector;

	for (uint64_t stack = 0x7ffffffde000; stack < 0x7ffffffde100; stack++) {
		uint64_t frame = sigframe_place(stack, 832, &vector);

		CHECK(frame % 16 == 8 && vector % 64 == 0);
		CHECK(vector + 832 + 4 <= stack && frame + sizeof(struct sigframe) <= vector);
		frame = sigframe_place(stack, 0, &vector);
		CHECK(frame % 16 == 8 && !vector && frame + sizeof(struct sigframe) <= stack);
	}
	for (size_t i = 0; i < sizeof(in) / 8; i++)
		((uint64_t *)&in)[i] = 100 + i;
	sigframe_from_registers(&context, &in);
	sigframe_to_registers(&out, &context);
	in.fs_base = 7;
	in.gs_base = 8;
	CHECK(!memcmp(&in, &out, sizeof(in)));
	CHECK(context.cs == 0x33 && context.ss == 0x2b);
}

int main(void)
{
	test_deadlines();
	test_page_map();
	test_regions();
	test_elf();
	test_sigframe();
	puts("linux_proc: ok");
	return 0;
}
