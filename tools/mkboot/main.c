/* SPDX-License-Identifier: MIT */
/*
 * mkboot: packs a boot image out of a manifest and the components' programs. The manifest is put together
 * from one or more texts, checked by the same parser that init uses, and every program that it names must be
 * there.
 */
#include <abi/boot.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../servers/init/manifest/manifest.h"
#include "mkboot.h"

#define PATH_SIZE 4096

static const char usage[] =
        "usage: mkboot --components FOLDER --output IMAGE PART...\n"
        "       mkboot --check [--components FOLDER] PART...\n"
        "       mkboot --print PART...\n"
        "       mkboot --graph PART...\n"
        "Packs a boot image: init, the manifest, and the programs that it names (FOLDER/NAME.elf).\n"
        "--check only checks the manifest, and that the programs are there, --print also prints it, --graph "
        "prints what it says for dot(1).\n"
        "\n"
        "The manifest is what the PARTs give, in this order:\n"
        "  --manifest FILE            a text\n"
        "  --repeat FILE COUNT        a text COUNT times, each @ in it replaced by 1, 2, ...\n"
        "  --config COMPONENT K=V     one line of a component's config\n"
        "Other PARTs:\n"
        "  --file NAME=PATH           one more file in the archive\n";

/* Where each line of the joined manifest comes from, for messages. */
struct origin {
	const char *file;
	unsigned first_line; /* in the joined text */
};

static struct {
	const char *components, *output;
	bool check, print, graph;
	struct buffer text;
	unsigned text_lines;
	struct origin origins[256];
	unsigned origin_count;
	struct {
		const char *name, *path;
	} files[64];
	unsigned file_count;
} options;

_Noreturn void die(const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	fprintf(stderr, "mkboot: ");
	vfprintf(stderr, format, arguments);
	fprintf(stderr, "\n");
	va_end(arguments);
	exit(1);
}

void buffer_append(struct buffer *buffer, const void *data, size_t size)
{
	if (buffer->size + size > buffer->capacity) {
		buffer->capacity = (buffer->size + size) * 2 + 4096;
		buffer->data = realloc(buffer->data, buffer->capacity);
		if (!buffer->data)
			die("out of memory");
	}
	if (size)
		memcpy(buffer->data + buffer->size, data, size);
	buffer->size += size;
}

void buffer_align(struct buffer *buffer, size_t alignment)
{
	static const uint8_t zeros[PAGE_SIZE];
	buffer_append(buffer, zeros, (alignment - buffer->size % alignment) % alignment);
}

/* More is a mistake, such as a device that never ends. */
#define FILE_MAX (256u << 20)

void buffer_read_file(struct buffer *buffer, const char *path)
{
	size_t before = buffer->size;
	uint8_t block[65536];
	FILE *file = fopen(path, "rb");
	if (!file)
		die("%s: %s", path, strerror(errno));
	for (size_t size; (size = fread(block, 1, sizeof(block), file)) > 0;) {
		buffer_append(buffer, block, size);
		if (buffer->size - before > FILE_MAX)
			die("%s: larger than %u MiB", path, FILE_MAX >> 20);
	}
	if (ferror(file))
		die("%s: cannot be read", path);
	fclose(file);
}

static void text_add(const char *file, const char *text, size_t size)
{
	if (options.origin_count == 256)
		die("too many parts of the manifest");
	options.origins[options.origin_count++] = (struct origin){file, options.text_lines};
	buffer_append(&options.text, text, size);
	if (size && text[size - 1] != '\n')
		buffer_append(&options.text, "\n", 1);
	options.text_lines = 0;
	for (size_t i = 0; i < options.text.size; i++)
		options.text_lines += options.text.data[i] == '\n';
}

static void part_manifest(const char *file)
{
	struct buffer content = {0};
	buffer_read_file(&content, file);
	text_add(file, (char *)content.data, content.size);
	free(content.data);
}

static void part_repeat(const char *file, const char *count_text)
{
	char *end;
	unsigned long count = strtoul(count_text, &end, 10);
	if (*end || end == count_text || count > 64)
		die("--repeat: expected a count up to 64, not %s", count_text);
	struct buffer content = {0};
	buffer_read_file(&content, file);
	for (unsigned long i = 1; i <= count; i++) {
		struct buffer copy = {0};
		char number[24];
		size_t length = (size_t)snprintf(number, sizeof(number), "%lu", i);
		for (size_t at = 0; at < content.size; at++) {
			bool mark = content.data[at] == '@';
			buffer_append(&copy, mark ? (void *)number : &content.data[at], mark ? length : 1);
		}
		text_add(file, (char *)copy.data, copy.size);
		free(copy.data);
	}
	free(content.data);
}

static void part_config(const char *component, const char *line)
{
	struct buffer text = {0};
	if (strchr(line, '\n') || !strchr(line, '='))
		die("--config %s: expected KEY=VALUE, not %s", component, line);
	buffer_append(&text, "config ", 7);
	buffer_append(&text, component, strlen(component));
	buffer_append(&text, " {\n\t", 4);
	buffer_append(&text, line, strlen(line));
	buffer_append(&text, "\n}\n", 3);
	text_add("--config", (char *)text.data, text.size);
	free(text.data);
}

static void part_file(char *argument)
{
	char *equals = strchr(argument, '=');
	if (!equals || options.file_count == 64)
		die("--file: expected NAME=PATH, at most 64 times");
	*equals = 0;
	options.files[options.file_count].name = argument;
	options.files[options.file_count++].path = equals + 1;
}

static void arguments_parse(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		const char *option = argv[i];
		int left = argc - i - 1;
		if (strcmp(option, "--help") == 0) {
			fputs(usage, stdout);
			exit(0);
		} else if (strcmp(option, "--check") == 0) {
			options.check = true;
		} else if (strcmp(option, "--print") == 0) {
			options.check = options.print = true;
		} else if (strcmp(option, "--graph") == 0) {
			options.check = options.graph = true;
		} else if (strcmp(option, "--components") == 0 && left >= 1) {
			options.components = argv[++i];
		} else if (strcmp(option, "--output") == 0 && left >= 1) {
			options.output = argv[++i];
		} else if (strcmp(option, "--manifest") == 0 && left >= 1) {
			part_manifest(argv[++i]);
		} else if (strcmp(option, "--repeat") == 0 && left >= 2) {
			part_repeat(argv[i + 1], argv[i + 2]);
			i += 2;
		} else if (strcmp(option, "--config") == 0 && left >= 2) {
			part_config(argv[i + 1], argv[i + 2]);
			i += 2;
		} else if (strcmp(option, "--file") == 0 && left >= 1) {
			part_file(argv[++i]);
		} else {
			fputs(usage, stderr);
			die("unknown or incomplete option %s", option);
		}
	}
	if (options.origin_count == 0 || (!options.check && (!options.components || !options.output))) {
		fputs(usage, stderr);
		exit(2);
	}
}

/* The end, for what stands in this line of the joined text. */
static _Noreturn void die_at(unsigned line, const char *problem)
{
	const struct origin *origin = &options.origins[0];
	for (unsigned i = 0; i < options.origin_count; i++)
		if (options.origins[i].first_line < line)
			origin = &options.origins[i];
	fprintf(stderr, "%s:%u: %s\n", origin->file, line - origin->first_line, problem);
	exit(1);
}

static void manifest_or_die(struct manifest *manifest)
{
	const char *text = options.text.data ? (char *)options.text.data : "";
	if (!manifest_parse(manifest, text, options.text.size))
		die_at(manifest->error_line, manifest->error);
}

static void program_path(const struct manifest_component *component, char path[PATH_SIZE])
{
	char problem[PATH_SIZE + 100];
	snprintf(path, PATH_SIZE, "%s/%s.elf", options.components, component->program);
	if (access(path, R_OK) != 0) {
		snprintf(problem, sizeof(problem), "%s: no program %s", component->name, path);
		die_at(component->line, problem);
	}
}

static void program_add(struct buffer *archive, const struct manifest_component *component)
{
	char path[PATH_SIZE];
	struct buffer elf = {0}, slim = {0};
	program_path(component, path);
	buffer_read_file(&elf, path);
	elf_slim(&elf, path, &slim);
	cpio_add(archive, component->program, &slim);
	free(elf.data);
	free(slim.data);
}

static void archive_make(const struct manifest *manifest, struct buffer *archive)
{
	cpio_add(archive, "manifest", &options.text);
	for (unsigned i = 0; i < manifest->component_count; i++) {
		bool packed = false;
		for (unsigned j = 0; j < i; j++)
			packed |=
			        strcmp(manifest->components[i].program, manifest->components[j].program) == 0;
		if (!packed)
			program_add(archive, &manifest->components[i]);
	}
	for (unsigned i = 0; i < options.file_count; i++) {
		struct buffer content = {0};
		buffer_read_file(&content, options.files[i].path);
		cpio_add(archive, options.files[i].name, &content);
		free(content.data);
	}
	cpio_end(archive);
}

static void image_write(const struct buffer *image)
{
	/* By rename: whoever boots the old image meanwhile keeps it. */
	char temporary[4096];
	snprintf(temporary, sizeof(temporary), "%s.new", options.output);
	FILE *file = fopen(temporary, "wb");
	if (!file || fwrite(image->data, 1, image->size, file) != image->size || fclose(file) != 0)
		die("%s: %s", temporary, strerror(errno));
	if (rename(temporary, options.output) != 0)
		die("%s: %s", options.output, strerror(errno));
}

int main(int argc, char **argv)
{
	static struct manifest manifest;
	arguments_parse(argc, argv);
	manifest_or_die(&manifest);
	if (options.print)
		fwrite(options.text.data, 1, options.text.size, stdout);
	if (options.graph)
		graph_print(&manifest);
	char path[PATH_SIZE];
	for (unsigned i = 0; options.components && i < manifest.component_count; i++)
		program_path(&manifest.components[i], path);
	if (options.check)
		return 0;
	struct buffer image = {0}, archive = {0}, init = {0};
	struct boot_image boot = {.magic = BOOT_IMAGE_MAGIC, .version = BOOT_IMAGE_VERSION};
	snprintf(path, sizeof(path), "%s/init.elf", options.components);
	buffer_read_file(&init, path);
	buffer_append(&image, &boot, sizeof(boot));
	elf_place(&init, path, &image);
	archive_make(&manifest, &archive);
	memcpy(&boot, image.data, sizeof(boot));
	boot.archive_offset = image.size;
	boot.archive_size = archive.size;
	buffer_append(&image, archive.data, archive.size);
	buffer_align(&image, PAGE_SIZE);
	boot.size = image.size;
	memcpy(image.data, &boot, sizeof(boot));
	image_write(&image);
	free(init.data);
	free(archive.data);
	free(image.data);
	free(options.text.data);
	return 0;
}
