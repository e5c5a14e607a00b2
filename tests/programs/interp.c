/* SPDX-License-Identifier: MIT */
/* Programs that name a loader (PT_INTERP), and all that can be wrong with it. */
#include "check.h"
#include <elf.h>
#include <stddef.h>

#define BASE 0x400000ul

/* A file: a header, program headers, code that ends with a status, the loader's name. */
struct image {
	Elf64_Ehdr header;
	Elf64_Phdr load, interp[2];
	uint8_t code[16];
	char name[200];
};

static struct image image_of(uint16_t type, uint8_t status, const char *name)
{
	const uint8_t code[] = {0xbf, status, 0, 0, 0,    0xb8,
	                        231,  0,      0, 0, 0x0f, 0x05}; /* exit_group(status) */
	uint64_t base = type == ET_EXEC ? BASE : 0;
	struct image image = {
	        .header = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
	                   .e_type = type,
	                   .e_machine = EM_X86_64,
	                   .e_version = EV_CURRENT,
	                   .e_entry = base + offsetof(struct image, code),
	                   .e_phoff = offsetof(struct image, load),
	                   .e_ehsize = sizeof(Elf64_Ehdr),
	                   .e_phentsize = sizeof(Elf64_Phdr),
	                   .e_phnum = name ? 2 : 1},
	        .load = {.p_type = PT_LOAD,
	                 .p_flags = PF_R | PF_X,
	                 .p_vaddr = base,
	                 .p_filesz = sizeof(image),
	                 .p_memsz = sizeof(image),
	                 .p_align = 4096},
	};

	memcpy(image.code, code, sizeof(code));
	if (name) {
		snprintf(image.name, sizeof(image.name), "%s", name);
		image.interp[0] = (Elf64_Phdr){.p_type = PT_INTERP,
		                               .p_flags = PF_R,
		                               .p_offset = offsetof(struct image, name),
		                               .p_filesz = strlen(name) + 1};
	}
	return image;
}

static void write_bytes(const char *path, const void *data, size_t size, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0755);

	if (write(fd, data, size) != (ssize_t)size)
		perror(path);
	fchmod(fd, mode);
	close(fd);
}

static void try(const char *what, const struct image *program)
{
	int status, pid;

	write_bytes("program", program, sizeof(*program), 0755);
	fflush(stdout);
	pid = fork();
	if (!pid) {
		execl("./program", "program", NULL);
		printf("%s: %s\n", what, strerrorname(errno));
		fflush(stdout);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	if (status)
		printf("%s: status %x\n", what, status);
}

static void loader(const char *what, const void *data, size_t size, mode_t mode)
{
	struct image program = image_of(ET_DYN, 1, "loader");

	write_bytes("loader", data, size, mode);
	try(what, &program);
	program = image_of(ET_EXEC, 1, "loader");
	try(what, &program);
}

static void loaders(void)
{
	struct image image = image_of(ET_DYN, 7, NULL);

	loader("a loader", &image, sizeof(image), 0755);
	loader("not executable", &image, sizeof(image), 0644);
	loader("a header's half", &image, 32, 0755);
	loader("no program headers", &image, sizeof(Elf64_Ehdr), 0755);
	loader("empty", "", 0, 0755);
	loader("text", "this is no program, but it is longer than an ELF header would be: 64 bytes", 74,
	       0755);
	loader("script", "#!/bin/sh\nexit 3\n# this is longer than an ELF header would be: 64 bytes\n", 73,
	       0755);
	image.header.e_machine = EM_AARCH64;
	loader("another machine's", &image, sizeof(image), 0755);
	image = image_of(ET_DYN, 7, NULL);
	image.header.e_phentsize = 32;
	loader("odd program headers", &image, sizeof(image), 0755);
	image = image_of(ET_DYN, 7, NULL);
	image.header.e_phnum = 0;
	loader("without program headers", &image, sizeof(image), 0755);
	image = image_of(ET_DYN, 9, "/nonexistent");
	loader("with a loader of its own", &image, sizeof(image), 0755);
	image = image_of(ET_EXEC, 8, NULL);
	image.load.p_vaddr = 0x10000000;
	image.header.e_entry = image.load.p_vaddr + offsetof(struct image, code);
	loader("at an address of its own", &image, sizeof(image), 0755);
}

static void names(void)
{
	struct image image = image_of(ET_DYN, 7, NULL), program = image_of(ET_DYN, 1, "/nonexistent/loader");

	try("missing", &program);
	program = image_of(ET_DYN, 1, ".");
	try("a folder", &program);
	program = image_of(ET_DYN, 1, "/dev/null");
	try("a device", &program);
	program = image_of(ET_DYN, 1, "");
	try("no name", &program);
	write_bytes("loader", &image, sizeof(image), 0755);
	program = image_of(ET_DYN, 1, "loader");
	program.interp[0].p_filesz--;
	try("without an end", &program);
	program = image_of(ET_DYN, 1, "loader");
	program.interp[0].p_filesz = 5000;
	try("too long", &program);
	program = image_of(ET_DYN, 1, "loader");
	program.interp[0].p_offset = 1 << 20;
	try("beyond the end", &program);
	program = image_of(ET_DYN, 1, "loader");
	program.header.e_phnum = 3;
	program.interp[1] = program.interp[0];
	program.interp[1].p_filesz = 0;
	try("two", &program);
	symlink("link", "link");
	program = image_of(ET_DYN, 1, "link");
	try("a circle of links", &program);
}

int main(void)
{
	loaders();
	names();
	unlink("link");
	unlink("loader");
	unlink("program");
	return 0;
}
