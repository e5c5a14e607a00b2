/* SPDX-License-Identifier: MIT */
/*
 * tree FOLDER SECONDS SEED: changes names and files in the folder at random, and knows what must be there.
 * Prints what is not, and ends with status 1 then. What serves the files may die meanwhile.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define FOLDERS   6
#define NAMES     24
#define BYTES_MAX 100000
#define EXCHANGE  2 /* RENAME_EXCHANGE of <linux/fs.h> */

struct file {
	unsigned links, size;
	unsigned char content[BYTES_MAX];
};

static struct file *names[FOLDERS][NAMES]; /* NULL: not there */
static int above[FOLDERS];                 /* the folder that it is in, or -1: the one at the top */
static unsigned long state;
static unsigned wrong;

static unsigned below(unsigned limit)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (unsigned)(state >> 16) % limit;
}

static void complain(const char *format, ...)
{
	va_list arguments;
	int error = errno;

	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	printf(" (%s)\n", strerror(error));
	wrong++;
}

static const char *folder_path(int folder, char *path)
{
	if (above[folder] < 0)
		sprintf(path, "d%d", folder);
	else
		sprintf(path, "d%d/d%d", above[folder], folder);
	return path;
}

/* Some are long, so that folders have several blocks. */
static const char *name_path(int folder, int name, char *path)
{
	folder_path(folder, path);
	sprintf(path + strlen(path), "/%0*d", name % 3 ? 1 : 120, name);
	return path;
}

static void drop(struct file *file)
{
	if (!--file->links)
		free(file);
}

static void fill(struct file *file, unsigned from, unsigned to)
{
	for (unsigned i = from; i < to; i++)
		file->content[i] = (unsigned char)below(256);
}

static void store(struct file *file, const char *path, int flags, unsigned from, unsigned to)
{
	int fd = open(path, O_WRONLY | flags, 0644);

	if (fd < 0) {
		complain("opening %s", path);
		return;
	}
	if (pwrite(fd, file->content + from, to - from, from) != (ssize_t)(to - from))
		complain("writing %s", path);
	if (!below(4) && fsync(fd))
		complain("fsync of %s", path);
	close(fd);
}

static void create(int folder, int name, const char *path)
{
	struct file *file = calloc(1, sizeof(*file));

	file->links = 1;
	file->size = below(below(3) ? 9000 : BYTES_MAX);
	fill(file, 0, file->size);
	store(file, path, O_CREAT | O_EXCL, 0, file->size);
	names[folder][name] = file;
}

static void append(struct file *file, const char *path)
{
	unsigned from = file->size, to = from + below(8000);

	if (to > BYTES_MAX)
		return;
	fill(file, from, to);
	file->size = to;
	store(file, path, 0, from, to);
}

static void cut(struct file *file, const char *path)
{
	unsigned size = below(BYTES_MAX);

	if (truncate(path, size))
		complain("truncating %s", path);
	if (size < file->size)
		memset(file->content + size, 0, file->size - size);
	file->size = size;
}

static void map(struct file *file, const char *path)
{
	int fd = open(path, O_RDWR);
	unsigned char *memory;

	if (!file->size) {
		close(fd);
		return;
	}
	memory = mmap(NULL, file->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (memory == MAP_FAILED) {
		complain("mapping %s", path);
		return;
	}
	for (unsigned i = 0; i < 20; i++) {
		unsigned at = below(file->size);

		memory[at] = file->content[at] = (unsigned char)below(256);
	}
	munmap(memory, file->size);
}

static void verify_content(const struct file *file, int fd, const char *path)
{
	static unsigned char found[BYTES_MAX + 1];
	unsigned size = 0;
	ssize_t got;

	while ((got = pread(fd, found + size, sizeof(found) - size, size)) > 0)
		size += (unsigned)got;
	if (got || size != file->size || memcmp(found, file->content, size))
		complain("%s: %u bytes, and not the %u that were written", path, size, file->size);
}

static void verify(const struct file *file, const char *path)
{
	int fd = open(path, O_RDONLY);
	struct stat status;

	if (fd < 0 || fstat(fd, &status)) {
		complain("%s is not there", path);
	} else {
		if (status.st_nlink != file->links)
			complain("%s: %u links, not %u", path, (unsigned)status.st_nlink, file->links);
		verify_content(file, fd, path);
	}
	close(fd);
}

static void unlink_open(struct file *file, const char *path)
{
	int fd = open(path, O_RDWR);

	if (unlink(path))
		complain("unlink of %s", path);
	verify_content(file, fd, path);
	close(fd);
}

static void move(int folder, int name, int other, int target)
{
	struct file *file = names[folder][name], *replaced = names[other][target];
	char from[300], to[300];

	if (file == replaced)
		return;
	if (rename(name_path(folder, name, from), name_path(other, target, to)))
		complain("renaming %s to %s", from, to);
	if (replaced)
		drop(replaced);
	names[other][target] = file;
	names[folder][name] = NULL;
}

static void exchange(int folder, int name, int other, int target)
{
	struct file *file = names[folder][name];
	char from[300], to[300];

	if (!names[other][target])
		return;
	if (syscall(SYS_renameat2, AT_FDCWD, name_path(folder, name, from), AT_FDCWD,
	            name_path(other, target, to), EXCHANGE))
		complain("exchanging %s and %s", from, to);
	names[folder][name] = names[other][target];
	names[other][target] = file;
}

static void add_link(struct file *file, const char *path, int other, int target)
{
	char to[300];

	if (names[other][target])
		return;
	if (link(path, name_path(other, target, to)))
		complain("linking %s to %s", path, to);
	file->links++;
	names[other][target] = file;
}

/* The second half of the folders wanders about in the first. */
static void move_folder(void)
{
	int folder = FOLDERS / 2 + (int)below(FOLDERS / 2), was = above[folder];
	char from[300], to[300];

	folder_path(folder, from);
	above[folder] = (int)below(FOLDERS / 2 + 1) - 1;
	if (above[folder] != was && rename(from, folder_path(folder, to)))
		complain("renaming %s to %s", from, to);
}

static void step(void)
{
	int folder = (int)below(FOLDERS), name = (int)below(NAMES), other = (int)below(FOLDERS),
	    target = (int)below(NAMES);
	struct file *file = names[folder][name];
	char path[300];

	name_path(folder, name, path);
	if (!file) {
		create(folder, name, path);
		return;
	}
	switch (below(11)) {
	case 0:
		append(file, path);
		break;
	case 1:
		cut(file, path);
		break;
	case 2:
		map(file, path);
		break;
	case 3:
	case 4:
		move(folder, name, other, target);
		break;
	case 5:
		exchange(folder, name, other, target);
		break;
	case 6:
		add_link(file, path, other, target);
		break;
	case 7:
		if (unlink(path))
			complain("unlink of %s", path);
		drop(file);
		names[folder][name] = NULL;
		break;
	case 8:
		unlink_open(file, path);
		drop(file);
		names[folder][name] = NULL;
		break;
	case 9:
		move_folder();
		break;
	default:
		verify(file, path);
	}
}

static void verify_folder(int folder)
{
	unsigned expected = 2, found = 0, folders = 2;
	char path[300];
	struct stat status;
	DIR *directory;

	for (int name = 0; name < NAMES; name++) {
		if (!names[folder][name])
			continue;
		expected++;
		verify(names[folder][name], name_path(folder, name, path));
	}
	for (int other = 0; other < FOLDERS; other++)
		folders += above[other] == folder;
	directory = opendir(folder_path(folder, path));
	while (directory && readdir(directory))
		found++;
	if (found != expected + folders - 2)
		complain("%s has %u names, not %u", path, found, expected + folders - 2);
	if (stat(path, &status) || status.st_nlink != folders)
		complain("%s: %u links, not %u", path, (unsigned)status.st_nlink, folders);
	if (directory)
		closedir(directory);
}

int main(int argc, char **argv)
{
	time_t end;
	char path[300];

	if (argc != 4 || (mkdir(argv[1], 0755) && errno != EEXIST) || chdir(argv[1])) {
		fprintf(stderr, "usage: tree FOLDER SECONDS SEED\n");
		return 2;
	}
	end = time(NULL) + atoi(argv[2]);
	state = strtoul(argv[3], NULL, 10) * 0x9e3779b97f4a7c15ul + 1;
	for (int folder = 0; folder < FOLDERS; folder++) {
		above[folder] = -1;
		if (mkdir(folder_path(folder, path), 0755))
			complain("mkdir of %s", path);
	}
	while (time(NULL) < end && wrong < 10)
		step();
	for (int folder = 0; folder < FOLDERS; folder++)
		verify_folder(folder);
	return wrong != 0;
}
