/* SPDX-License-Identifier: MIT */
/*
 * Many threads list a folder at once, each into pages that come from a large file: listing FOLDER FILE KILL.
 * KILL is written to before they begin, so that all their requests wait for a file system that is being
 * started again.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define THREADS 100         /* more than there are requests at a time */
#define PART    (64l << 12) /* more than is read around a page */
#define KILLS   50

static pthread_barrier_t barrier;
static const char *folder;
static char *memory;

static void *list(void *argument)
{
	long number = (long)argument;
	int fd = open(folder, O_RDONLY | O_DIRECTORY);

	pthread_barrier_wait(&barrier);
	return (void *)syscall(SYS_getdents64, fd, memory + number * PART, 4096);
}

int main(int argc, char **argv)
{
	pthread_t threads[THREADS];
	int file, kill, good = 0;

	if (argc != 4)
		return 2;
	folder = argv[1];
	file = open(argv[2], O_RDONLY);
	kill = open(argv[3], O_WRONLY);
	memory = mmap(NULL, THREADS * PART, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
	if (kill < 0 || memory == MAP_FAILED || pthread_barrier_init(&barrier, NULL, THREADS + 1))
		return 1;
	for (long i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, list, (void *)i))
			return 1;
	for (int i = 0; i < KILLS; i++)
		if (pwrite(kill, "1", 1, 0) != 1)
			return 1;
	pthread_barrier_wait(&barrier);
	for (int i = 0; i < THREADS; i++) {
		void *result;

		pthread_join(threads[i], &result);
		good += (long)result > 0;
	}
	printf("%d lists\n", good);
	return 0;
}
