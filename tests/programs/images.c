/* SPDX-License-Identifier: MIT */
/* Programs that make little sense: variants of this one, each executed; how each ends. */
#include "check.h"
#include <elf.h>
#include <stdbool.h>
#include <sys/wait.h>

#define NAME         "image"
#define HEADERS_MAX  32
#define VARIANTS     400
#define SECONDS_EACH 3

static Elf64_Ehdr header;
static Elf64_Phdr headers[HEADERS_MAX];
static off_t file_size;

static void store(const Elf64_Ehdr *first, const Elf64_Phdr *rest)
{
	int fd = open(NAME, O_WRONLY);
	if (pwrite(fd, rest, header.e_phnum * sizeof(*rest), (off_t)header.e_phoff) < 0 ||
	    pwrite(fd, first, sizeof(*first), 0) < 0)
		printf("the file cannot be written\n");
	close(fd);
}

/* What is written by the variant itself is no concern of this. */
static void show_end(const char *name)
{
	int status;
	pid_t pid = fork();
	if (pid == 0) {
		alarm(SECONDS_EACH);
		execl(NAME, NAME, "ran", NULL);
		_exit(errno);
	}
	waitpid(pid, &status, 0);
	printf("%s: %s %d\n", name, WIFSIGNALED(status) ? "signal" : "exit",
	       WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

static unsigned load(unsigned wanted)
{
	for (unsigned i = 0; i < header.e_phnum; i++)
		if (headers[i].p_type == PT_LOAD && wanted-- == 0)
			return i;
	return 0;
}

static void show_with(const char *name, const Elf64_Phdr *changed)
{
	store(&header, changed);
	show_end(name);
}

static void chosen(void)
{
	Elf64_Phdr changed[HEADERS_MAX];
	unsigned last = load(3), text = load(1), first = load(0);
#define CASE(name, change)                                 \
	do {                                               \
		memcpy(changed, headers, sizeof(changed)); \
		change;                                    \
		show_with(name, changed);                  \
	} while (0)
	CASE("as it is", );
	CASE("out of order", changed[text] = headers[load(2)]; changed[load(2)] = headers[text]);
	CASE("the last one first", changed[first] = headers[last]; changed[last] = headers[first]);
	CASE("into the next one", changed[first].p_memsz += 0x1000);
	CASE("twice", changed[first] = headers[text]);
	CASE("no memory", changed[first].p_memsz = changed[first].p_filesz = 0);
	CASE("less memory than file", changed[last].p_memsz = changed[last].p_filesz - 1);
	CASE("nowhere in the file", changed[first].p_offset += 1ul << 40);
	CASE("at the end of all files",
	     changed[first].p_offset = 0x7ffffffffffff000 + headers[first].p_vaddr % 4096);
	CASE("not congruent", changed[first].p_offset += 1);
	CASE("too high", changed[last].p_vaddr = 0x800000000000);
	CASE("in the kernel", changed[last].p_vaddr = 0xffff800000000000);
	CASE("wraps", changed[last].p_memsz = -0x1000ul);
	CASE("more than there is", changed[last].p_memsz = 1ul << 44);
	CASE("more of the file than there is", changed[last].p_filesz = changed[last].p_memsz = 1ul << 44);
	CASE("zeros that cannot be written", changed[text].p_memsz += 100);
	CASE("nothing to load",
	     for (unsigned i = 0; i < header.e_phnum; i++) if (changed[i].p_type == PT_LOAD) changed[i]
	             .p_type = PT_NOTE);
	CASE("a loader that is not there",
	     changed[load(0)] = ((Elf64_Phdr){.p_type = PT_INTERP, .p_offset = 1, .p_filesz = 3}));
	CASE("a loader without an end",
	     changed[load(0)] = ((Elf64_Phdr){.p_type = PT_INTERP, .p_offset = 0, .p_filesz = 3}));
	CASE("a loader beyond the end",
	     changed[load(0)] = ((Elf64_Phdr){.p_type = PT_INTERP, .p_offset = 1ul << 30, .p_filesz = 3}));
	CASE("a loader and a segment that make no sense", changed[last].p_offset += 1;
	     changed[load(0)] = ((Elf64_Phdr){.p_type = PT_INTERP, .p_offset = 1, .p_filesz = 3}));
}

static void damaged(void)
{
	static const uint64_t values[] = {0, 1, 0x1000, 0x400000, 0x7fffffffffff, 1ul << 47, 1ul << 63, ~0ul};
	uint32_t state = 1;
	char name[32];
	for (int variant = 0; variant < VARIANTS; variant++) {
		Elf64_Phdr changed[HEADERS_MAX];
		Elf64_Ehdr first = header;
		memcpy(changed, headers, sizeof(changed));
		for (uint32_t count = 1 + random_next(&state) % 3; count > 0; count--) {
			bool of_first = random_next(&state) % 4 == 0;
			uint8_t *bytes = of_first ? (uint8_t *)&first : (uint8_t *)changed;
			size_t size = of_first ? sizeof(first) : header.e_phnum * sizeof(changed[0]);
			size_t at = random_next(&state) % size;
			if (random_next(&state) % 2 == 0)
				bytes[at] = (uint8_t)random_next(&state);
			else
				memcpy(bytes + at / 8 * 8, &values[random_next(&state) % 8], 8);
		}
		for (unsigned i = 0; i < header.e_phnum; i++) /* the first page is for nobody on Pith */
			if (changed[i].p_type == PT_LOAD && changed[i].p_vaddr < 0x1000)
				changed[i].p_vaddr |= 1ul << 48;
		/* where it begins may be in the middle of anything: only nowhere is the same everywhere */
		if (first.e_entry != header.e_entry)
			first.e_entry |= 1ul << 46;
		store(&first, changed);
		snprintf(name, sizeof(name), "variant %d", variant);
		show_end(name);
	}
}

static void cut(void)
{
	off_t last = (off_t)(headers[load(3)].p_offset + headers[load(3)].p_filesz);
	const off_t sizes[] = {last - 64, last - 5000, file_size / 2, 20000, 4096, 4000, 500, 100, 64, 63, 3,
	                       0};
	char name[32];
	store(&header, headers);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		if (truncate(NAME, sizes[i]) != 0)
			printf("not cut\n");
		snprintf(name, sizeof(name), "cut %zu", i);
		show_end(name);
	}
}

int main(int count, char **arguments)
{
	char data[4096];
	if (count > 1)
		return strcmp(arguments[1], "ran") == 0 ? 99 : 98;
	setvbuf(stdout, NULL, _IONBF, 0);
	int from = open("/proc/self/exe", O_RDONLY), to = open(NAME, O_CREAT | O_TRUNC | O_WRONLY, 0700);
	for (ssize_t length; (length = read(from, data, sizeof(data))) > 0; file_size += length)
		if (write(to, data, (size_t)length) != length)
			printf("the file cannot be written\n");
	close(to);
	if (pread(from, &header, sizeof(header), 0) != sizeof(header) || header.e_phnum > HEADERS_MAX ||
	    pread(from, headers, header.e_phnum * sizeof(headers[0]), (off_t)header.e_phoff) < 0)
		return 1;
	chosen();
	damaged();
	cut();
	unlink(NAME);
	return 0;
}
