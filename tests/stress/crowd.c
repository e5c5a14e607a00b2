/* SPDX-License-Identifier: MIT */
/*
 * Many copies of a process with many pages: crowd COUNT. The copies share their pages; what each takes is the
 * system's own record of them. Says how many there were at once.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define SIZE (18l << 20) /* as much as an interpreter maps */

int main(int argc, char **argv)
{
	int wanted = argc > 1 ? atoi(argv[1]) : 0, count = 0;
	char *memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pid_t *copies = malloc((size_t)wanted * sizeof(*copies));

	if (memory == MAP_FAILED || copies == NULL)
		return 1;
	for (long i = 0; i < SIZE; i += 4096)
		memory[i] = 1;
	for (; count < wanted; count++) {
		copies[count] = fork();
		if (copies[count] == 0)
			for (;;)
				pause();
		if (copies[count] < 0) {
			perror("crowd: fork");
			break;
		}
	}
	for (int i = 0; i < count; i++)
		kill(copies[i], SIGKILL);
	while (wait(NULL) > 0)
		;
	printf("%d copies\n", count);
	return 0;
}
