/* SPDX-License-Identifier: MIT */
#include <kernel/tags.h>

void tags_leave(struct tags *tags, uint64_t flushed)
{
	if (tags->loaded)
		tags->tag[tags->loaded - 1].flushed = flushed;
	tags->loaded = 0;
}

unsigned tags_load(struct tags *tags, uint64_t root, uint64_t edited, bool *stale)
{
	for (unsigned i = 0; i < TAGS; i++) {
		if (tags->tag[i].root == root) {
			*stale = tags->tag[i].flushed < edited;
			return tags->loaded = i + 1;
		}
	}
	tags->loaded = tags->next + 1;
	tags->next = tags->loaded % TAGS;
	tags->tag[tags->loaded - 1].root = root;
	*stale = true;
	return tags->loaded;
}
