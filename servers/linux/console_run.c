/* SPDX-License-Identifier: MIT */
/* Run mode: pid 1 on the console. When it ends, so does the system. */
#include "fs/internal.h"
#include <stdio.h>
#include <pith/log.h>
#include <pith/startup.h>

#define ARGUMENTS_MAX 16

static struct {
	bool ended;
	int status;
	struct waitq wait;
} first;

static void first_exited(int wait_status)
{
	first.ended = true;
	first.status = wait_status;
	waitq_wake_all(&first.wait);
}

/* "init" of the configuration: a path and arguments, separated by spaces. */
static void split(char *text, char *argv[ARGUMENTS_MAX + 1])
{
	unsigned count = 0;
	for (char *word = strtok(text, " "); word != NULL && count < ARGUMENTS_MAX; word = strtok(NULL, " "))
		argv[count++] = word;
	argv[count] = NULL;
}

static int start_first(const char *path, char *const argv[])
{
	char kind[64] = "linux", term[80];
	startup_config("term", kind, sizeof(kind));
	snprintf(term, sizeof(term), "TERM=%s", kind);
	char *const environment[] = {
	        "HOME=/", term, "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", NULL};
	struct process *process;
	struct file_table *files = console_files();
	if (files == NULL)
		return -ENOMEM;
	return process_start(path, argv, environment, files, "/", first_exited, &process);
}

void console_run(void)
{
	static const char *const others[] = {"/sbin/init", "/bin/sh", NULL};
	char text[256] = "", *argv[ARGUMENTS_MAX + 1] = {NULL};
	int error = -ENOENT;
	if (startup_config("init", text, sizeof(text)))
		split(text, argv);
	if (argv[0] != NULL) {
		error = start_first(argv[0], argv);
		if (error != 0)
			log_error("%s: %s", argv[0], strerror(-error));
	}
	for (unsigned i = 0; error != 0 && others[i] != NULL; i++) {
		char *const plain[] = {(char *)(uintptr_t)others[i], NULL};
		error = start_first(others[i], plain);
		if (error != 0)
			log_error("%s: %s", others[i], strerror(-error));
	}
	while (error == 0 && !first.ended)
		waitq_wait(&first.wait, false, DEADLINE_NEVER);
	if (error != 0)
		log_error("no first program could be started");
	else
		log_error("the first program ended (%s %d)", (first.status & 0x7f) != 0 ? "signal" : "status",
		          (first.status & 0x7f) != 0 ? first.status & 0x7f : first.status >> 8 & 0xff);
	system_shutdown(false);
}
