/* SPDX-License-Identifier: MIT */
/* The smallest program: arguments, environment, standard streams, exit status. */
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
	printf("hello");
	for (int i = 1; i < argc; i++)
		printf(" %s", argv[i]);
	printf("\n");
	fprintf(stderr, "HOME is %s\n", getenv("HOME") ? "set" : "not set");
	return argc - 1;
}
