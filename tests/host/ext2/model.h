/* SPDX-License-Identifier: MIT */
/*
 * A client with a memory: does random operations below one directory and knows what must be there. Several
 * clients run at the same time on fibers of their own, each in its own directory with its own pages.
 */
#pragma once

#include "machine.h"

#define MODEL_NODES    96
#define MODEL_PAGES    48 /* of pool 1 for each client */
#define MODEL_SIZE_MAX (96 * 4096)

struct node {
	bool used;
	unsigned mode;
	uint32_t number; /* inode; hard links: nodes with the same */
	int parent;      /* node, or -1: the client's directory; -2: unlinked but open */
	char name[64];
	char *target;
	uint8_t *content; /* shared between hard links through `file` */
	struct model_file *file;
	uint64_t rdev;
};

struct model_file {
	unsigned links;
	uint64_t size;
	uint8_t content[MODEL_SIZE_MAX];
};

struct model {
	struct machine *machine;
	unsigned index;
	uint64_t random;
	unsigned steps;
	uint32_t root;
	char root_name[16];
	struct node nodes[MODEL_NODES];
	unsigned problems, full;
	bool quiet; /* the disk forgets, on purpose: differences are no news */
	bool setup_done;
	uint32_t page_base;
};

void model_init(struct model *model, struct machine *machine, unsigned index, uint64_t seed);
void model_free(struct model *model);
void model_fiber(void *argument);        /* model->steps random operations */
void model_verify_fiber(void *argument); /* compares everything */
