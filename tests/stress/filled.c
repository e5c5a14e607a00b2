/* SPDX-License-Identifier: MIT */
/*
 * Most of a machine's memory, every word of it checked: filled MIB FILE FILE_MIB COMMAND... fills memory of
 * its own and a file, runs the command, and then tells how many words are not what they were.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PIECE (1 << 20)
#define WORDS (PIECE / sizeof(uint64_t))

static uint64_t piece[WORDS];

static void fill(uint64_t *words, uint64_t start)
{
	for (uint64_t i = 0; i < WORDS; i++)
		words[i] = (start + i) * 0x9e3779b97f4a7c15;
}

static long wrong(const uint64_t *words, uint64_t start)
{
	long count = 0;
	for (uint64_t i = 0; i < WORDS; i++)
		count += words[i] != (start + i) * 0x9e3779b97f4a7c15;
	return count;
}

int main(int argc, char **argv)
{
	if (argc < 5)
		return 2;
	uint64_t size = strtoul(argv[1], NULL, 10), file_size = strtoul(argv[3], NULL, 10);
	uint64_t *memory =
	        mmap(NULL, size * PIECE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int file = open(argv[2], O_RDWR | O_CREAT | O_TRUNC, 0600), status;
	long in_memory = 0, in_file = 0;
	if (memory == MAP_FAILED || file < 0)
		return 1;
	for (uint64_t i = 0; i < size; i++)
		fill(memory + i * WORDS, i * WORDS);
	for (uint64_t i = 0; i < file_size; i++) {
		fill(piece, ~i * WORDS);
		if (write(file, piece, PIECE) != PIECE)
			return 1;
	}
	pid_t pid = fork();
	if (pid == 0) {
		execvp(argv[4], argv + 4);
		_exit(127);
	}
	if (waitpid(pid, &status, 0) != pid || status != 0)
		return 1;
	for (uint64_t i = 0; i < size; i++)
		in_memory += wrong(memory + i * WORDS, i * WORDS);
	for (uint64_t i = 0; i < file_size; i++) {
		if (pread(file, piece, PIECE, (off_t)(i * PIECE)) != PIECE)
			return 1;
		in_file += wrong(piece, ~i * WORDS);
	}
	printf("%ld words in memory and %ld in the file are wrong\n", in_memory, in_file);
	return 0;
}
