/* SPDX-License-Identifier: MIT */
/*
 * A client that remembers what a power cut may leave of its files: it creates, appends, renames over, moves,
 * unlinks and fsyncs in a directory of its own, and after the cut each name must be as in one of the states
 * that it may be in.
 *
 * What is promised (servers/ext2/README.md): fsync keeps the data of its file, and every change of names that
 * was answered before it; a name that is renamed over is never without a file; a file that is moved has its
 * old name or its new one.
 */
#pragma once

#include "machine.h"

#define CUT_NAMES    14
#define CUT_FOLDERS  6
#define CUT_STATES   8
#define CUT_STEPS    400
#define CUT_SIZE_MAX (64 * 4096)

struct cut_state {
	bool absent;
	uint32_t version, size;
	uint32_t synced; /* so much of it is safe once the name is */
	uint32_t number; /* the inode */
	/* Zeros, or not yet: a hole was punched there. Surely zeros if safe. */
	uint32_t hole_from, hole_end;
	bool hole_safe;
	struct cut_name *twin; /* moved there, or from there */
};

struct cut_name {
	char text[200];
	unsigned count; /* 0: never used */
	struct cut_state states[CUT_STATES];
	bool found;
};

/* A folder in a folder with a file in it, made and fsynced, later removed. */
struct cut_folder {
	uint32_t version, size; /* of the file */
	uint32_t outer, inner, file;
	bool used, safe, going; /* safe: all of it is there after a cut; going: or what is left of it */
};

struct cut_client {
	struct machine *machine;
	unsigned index;
	uint64_t random;
	uint32_t root, version;
	bool punches;
	char root_name[16];
	struct cut_name names[CUT_NAMES];
	struct cut_folder folders[CUT_FOLDERS];
	unsigned syncs, problems;
	int error;
};

void cut_client_init(struct cut_client *client, struct machine *machine, unsigned index, uint64_t seed);
void cut_setup_fiber(void *argument);  /* makes its directory, which is safe then */
void cut_client_fiber(void *argument); /* until the power is cut */
void cut_check_fiber(void *argument);  /* on what is left */
