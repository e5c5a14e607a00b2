/* SPDX-License-Identifier: MIT */
/* Writes two files in a folder and fsyncs the first until that fails; then says what each fsync answers. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define TRIES 100

static int open_file(const char *folder, const char *name)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	return open(path, O_CREAT | O_RDWR, 0644);
}

static void tell(const char *what, int result)
{
	printf("%s: %s\n", what, result == 0 ? "ok" : strerror(errno));
}

int main(int argc, char **argv)
{
	int first, second, later, result = 0;

	if (argc != 2)
		return 2;
	first = open_file(argv[1], "first");
	second = open_file(argv[1], "second");
	for (unsigned i = 0; i < TRIES && result == 0; i++) {
		if (write(first, "x", 1) != 1 || write(second, "x", 1) != 1)
			return 1;
		result = fsync(first);
	}
	tell("first", result);
	tell("first again", fsync(first));
	tell("second", fsync(second));
	tell("second again", fsync(second));
	later = open_file(argv[1], "later");
	tell("opened later", write(later, "x", 1) == 1 ? fsync(later) : -1);
	return 0;
}
