/* SPDX-License-Identifier: MIT */
/* What recover.c (blocks and inodes) and recover_names.c (names and links) share. */
#pragma once

#include "ext2.h"

#define OVERHANGS 64 /* no more requests than fibers were under way */

/* An inode with a name in lost+found as commits give them. */
struct parked {
	uint32_t inode;
	uint32_t names; /* that it has elsewhere, or had until they were dropped */
};

struct recovery {
	/* A predecessor was killed in the middle of changes, and nothing is lost of what it knew: everything
	 * that does not fit is half done. After a power cut it may be the trace of a file. */
	bool killed;
	uint32_t inodes, blocks;        /* that were in use and marked free */
	uint32_t bad;                   /* pointers to what cannot be a file's */
	bool broken;                    /* there is a directory of which not all names are known */
	uint32_t names;                 /* that led nowhere, or of which no count knows */
	uint32_t leaked, leaked_inodes; /* blocks and inodes that are free again */
	uint32_t links;                 /* counts of links that were wrong */
	uint32_t lost_found;            /* the directory's inode; 0: none */
	struct parked *parked;          /* by number */
	uint32_t parked_count;
	uint8_t *orphans;      /* a bit for each inode; NULL: no memory for so many */
	uint32_t first_orphan; /* of the new list of those that are open, if killed */
	/* A bit for each block from the first data block on: an inode has it. NULL: no memory for so many. */
	uint8_t *claims;
	uint32_t shared;  /* claims of what somebody had already */
	bool claims_only; /* see claim_blocks() */
	/* Of the inode that is looked at: its blocks, and the file's block after the last one. */
	uint32_t own_blocks;
	uint64_t reach;
	/* Inodes with blocks beyond their end. */
	uint32_t overhangs[OVERHANGS], overhang_count;
	/* For each inode: names of files; of directories how many they hold, and NAMED. NULL: not counted. */
	uint16_t *counts;
};

typedef int table_visit(struct filesystem *fs, struct recovery *recovery, uint32_t block,
                        uint32_t first_number);
/* Blocks of the inode tables: all, or those with an inode that is marked as used. */
int tables_visit(struct filesystem *fs, struct recovery *recovery, bool all, table_visit *visit);

/* Removes names that lead to no file, counts directories, and, if killed, makes links and `..` agree with the
 * names: files that have lost the last one are dropped. */
int names_recover(struct filesystem *fs, struct recovery *recovery);
