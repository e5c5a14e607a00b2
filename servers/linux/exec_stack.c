/* SPDX-License-Identifier: MIT */
/* The stack that a new program finds: strings at the top, below them the auxiliary vector, the pointers and
 * the count. */
#include "exec_stack.h"
#include <cpuid.h>
#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "random.h"

#define STACK_INITIAL \
	(32 * PAGE_SIZE) /* the region's size beyond what the strings need; it grows by faults */
#define AUXV_PAIRS  21
#define CLOCK_TICKS 100
#define PLATFORM    "x86_64"
#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51
#endif

struct stack_builder {
	struct mm *mm;
	uint64_t position; /* grows down */
	int error;
};

static uint64_t push(struct stack_builder *builder, const void *data, size_t size)
{
	builder->position -= size;
	if (!builder->error)
		builder->error = mm_copy_to(builder->mm, builder->position, data, size);
	return builder->position;
}

static uint64_t cpu_features(void)
{
	unsigned a, b, c, d;

	return __get_cpuid(1, &a, &b, &c, &d) ? d : 0;
}

/* AT_HWCAP2 of Linux: bit 1, FSGSBASE, which the kernel lets programs use wherever there is it. */
static uint64_t cpu_features_2(void)
{
	unsigned a, b, c, d;

	return __get_cpuid_count(7, 0, &a, &b, &c, &d) && b & 1 ? 2 : 0;
}

struct auxv {
	uint64_t pairs[AUXV_PAIRS][2];
	unsigned count;
};

static void auxv_add(struct auxv *auxv, uint64_t type, uint64_t value)
{
	auxv->pairs[auxv->count][0] = type;
	auxv->pairs[auxv->count++][1] = value;
}

static struct auxv auxv_build(const struct loaded_image *image, const struct credentials *credentials,
                              bool secure, uint64_t path, uint64_t platform, uint64_t random)
{
	struct auxv auxv = {.count = 0};

	auxv_add(&auxv, AT_SYSINFO_EHDR, image->vdso);
	auxv_add(&auxv, AT_MINSIGSTKSZ, 1776); /* frame, AVX state, red zone */
	auxv_add(&auxv, AT_HWCAP, cpu_features());
	auxv_add(&auxv, AT_PAGESZ, PAGE_SIZE);
	auxv_add(&auxv, AT_CLKTCK, CLOCK_TICKS);
	auxv_add(&auxv, AT_PHDR, image->headers);
	auxv_add(&auxv, AT_PHENT, ELF_ENTRY_SIZE);
	auxv_add(&auxv, AT_PHNUM, image->header_count);
	auxv_add(&auxv, AT_BASE, image->interp_base);
	auxv_add(&auxv, AT_FLAGS, 0);
	auxv_add(&auxv, AT_ENTRY, image->entry);
	auxv_add(&auxv, AT_UID, credentials->uid);
	auxv_add(&auxv, AT_EUID, credentials->euid);
	auxv_add(&auxv, AT_GID, credentials->gid);
	auxv_add(&auxv, AT_EGID, credentials->egid);
	auxv_add(&auxv, AT_SECURE, secure);
	auxv_add(&auxv, AT_RANDOM, random);
	auxv_add(&auxv, AT_HWCAP2, cpu_features_2());
	auxv_add(&auxv, AT_EXECFN, path);
	auxv_add(&auxv, AT_PLATFORM, platform);
	auxv_add(&auxv, AT_NULL, 0);
	return auxv;
}

/* argc, argv, NULL, envp, NULL: pointers into the strings, which lie at `base`. */
static void fill_pointers(uint64_t *out, const struct exec_strings *strings, uint64_t base)
{
	const char *at = strings->data;

	*out++ = strings->argument_count;
	for (unsigned i = 0; i < strings->argument_count; i++, at += strlen(at) + 1)
		*out++ = base + (uint64_t)(at - strings->data);
	*out++ = 0;
	for (unsigned i = 0; i < strings->environment_count; i++, at += strlen(at) + 1)
		*out++ = base + (uint64_t)(at - strings->data);
	*out = 0;
}

static void note_strings(struct program_start *start, const struct exec_strings *strings, uint64_t base)
{
	const char *at = strings->data;

	for (unsigned i = 0; i < strings->argument_count; i++)
		at += strlen(at) + 1;
	start->arg_start = base;
	start->arg_end = start->env_start = base + (uint64_t)(at - strings->data);
	start->env_end = base + strings->size;
}

int exec_stack_build(struct mm *mm, const struct exec_strings *strings, const char *path,
                     const struct loaded_image *image, const struct credentials *credentials, bool secure,
                     struct process *process, uint64_t *out)
{
	size_t words = 1 + strings->argument_count + 1 + strings->environment_count + 1;
	uint64_t size = STACK_INITIAL + ((strings->size + words * 8 + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1));
	struct stack_builder builder = {.mm = mm, .position = STACK_TOP - 8};
	uint32_t prot = PROT_READ | PROT_WRITE | (image->executable_stack ? PROT_EXEC : 0);
	uint64_t path_address, base, platform, random, *pointers;
	uint8_t random_data[16];
	struct auxv auxv;

	builder.error = mm_add_region(mm, STACK_TOP - size, STACK_TOP, prot, VMA_GROWS_DOWN, NULL, 0, NULL);
	if (builder.error)
		return builder.error;
	pointers = malloc(words * sizeof(*pointers));
	if (!pointers)
		return -ENOMEM;
	random_bytes(random_data, sizeof(random_data));
	path_address = push(&builder, path, strlen(path) + 1);
	base = push(&builder, strings->data ? strings->data : "", strings->size);
	platform = push(&builder, PLATFORM, sizeof(PLATFORM));
	random = push(&builder, random_data, sizeof(random_data));
	auxv = auxv_build(image, credentials, secure, path_address, platform, random);
	fill_pointers(pointers, strings, base);
	/* The stack pointer must end on a multiple of 16. */
	builder.position = (builder.position & ~15ul) - ((words & 1) ? 8 : 0);
	process->start.auxv_start = push(&builder, auxv.pairs, auxv.count * 16);
	process->start.auxv_end = process->start.auxv_start + auxv.count * 16;
	push(&builder, pointers, words * sizeof(*pointers));
	free(pointers);
	note_strings(&process->start, strings, base);
	*out = builder.position;
	return builder.error;
}
