/* SPDX-License-Identifier: MIT */
/*
 * File systems whose files are made when they are looked at (/proc, /pith): a tree of nodes, some of them
 * standing for as many things as there are at the moment (processes, descriptors, components).
 */
#pragma once

#include "fs/internal.h"

#define PSEUDO_NAME 40

/* Which file: its node, and which of the things that the node and those above it stand for. */
struct pseudo {
	const struct pseudo_node *node;
	int id, sub;            /* process and descriptor or thread; what a file system's find says */
	uint64_t found;         /* when, in ns since boot; 0: not yet */
	char name[PSEUDO_NAME]; /* of a thing that has a name and no number */
};

struct pseudo_node {
	const char *name; /* NULL: ends a list; for a member: any text */
	uint32_t mode;    /* type and permissions */
	/* Regular files: the whole text. -errno. Called at open and again when read from the start. */
	int (*show)(struct text *text, const struct pseudo *file);
	union { /* of a show that serves many files */
		uint64_t number;
		const struct process_show *process; /* procfs_process.c */
	};
	/* What one write brought, NUL-terminated: 0 or -errno */
	int (*store)(const struct pseudo *file, char *data, size_t length);
	/* Links: the target's length, or -errno */
	ssize_t (*target)(const struct pseudo *file, char *out, size_t size);
	/* Links that lead to an object rather than to their text; *out is a new reference */
	int (*follow)(const struct pseudo *file, struct dentry **out);
	/* Directories: fixed entries, and a kind of entry of which there are many: */
	const struct pseudo_node *children;
	const struct pseudo_node *member;
	/* fills in member->{id, sub, name}; -ENOENT */
	int (*find)(const struct pseudo *directory, const char *name, struct pseudo *member);
	/* The first member whose number is at least *number: sets it, and its name. false: none */
	bool (*next)(const struct pseudo *directory, unsigned *number, char name[PSEUDO_NAME]);
	/* Who owns it; NULL: root. -ENOENT: it is gone. */
	int (*owner)(const struct pseudo *file, uint32_t *uid, uint32_t *gid);
	/* Attributes that are not the same for all members; NULL: all are */
	void (*describe)(const struct pseudo *file, struct fs_attributes *attributes);
};

/* pithfs.c: what the component wrote into its log from *position on; the first component whose number is at
 * least *number. */
int component_log(const char *name, uint64_t *position, struct text *text);
uint64_t components_cpu_time(void); /* ns, of all of them */
bool component_name(unsigned *number, char name[PSEUDO_NAME]);

const struct pseudo *pseudo_of(const struct inode *inode); /* NULL: it is of no such file system */
int pseudo_mount(const char *type, const struct pseudo_node *root, const char *source, uint32_t magic,
                 struct superblock **out);
