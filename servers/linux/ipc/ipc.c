/* SPDX-License-Identifier: MIT */
/* What the three kinds of System V IPC share: tables, keys, ids, permissions. */
#include "capability.h"
#include "ipc/ipc.h"
#include <errno.h>
#include <stdlib.h>
#include <pith/startup.h>

/* As Linux divides an id; places are used in turn, so that an id that was removed is not soon another
 * object's. */
#define PLACE_BITS 15
#define PLACES     (1u << PLACE_BITS)
#define TURN_MIN   64
#define SEQUENCES  (1u << (31 - PLACE_BITS))

int64_t ipc_now(void)
{
	return (int64_t)(time_wall() / 1000000000);
}

struct ipc_object *ipc_at(const struct ipc_table *table, unsigned index)
{
	return index < table->size ? table->objects[index] : NULL;
}

struct ipc_object *ipc_find(const struct ipc_table *table, int id)
{
	struct ipc_object *object = id < 0 ? NULL : ipc_at(table, (unsigned)id % PLACES);

	return object && object->id == id ? object : NULL;
}

int ipc_highest(const struct ipc_table *table)
{
	for (unsigned i = table->size; i > 0; i--)
		if (table->objects[i - 1])
			return (int)i - 1;
	return -1;
}

static bool in_group(struct thread *thread, uint32_t gid)
{
	const struct credentials *credentials = &thread->process->credentials;

	return credentials->egid == gid || credentials_in_group(credentials, gid);
}

int ipc_allowed(struct thread *thread, const struct ipc_object *object, unsigned mode)
{
	uint32_t uid = thread->process->credentials.euid, granted = object->mode;

	if (uid == object->uid || uid == object->creator_uid)
		granted >>= 6;
	else if (in_group(thread, object->gid) || in_group(thread, object->creator_gid))
		granted >>= 3;
	return !(mode & ~granted & 7) || capable(thread, CAP_IPC_OWNER) ? 0 : -EACCES;
}

int ipc_may_control(struct thread *thread, const struct ipc_object *object)
{
	uint32_t uid = thread->process->credentials.euid;

	return uid == object->uid || uid == object->creator_uid || capable(thread, CAP_SYS_ADMIN) ? 0
	                                                                                          : -EPERM;
}

long ipc_get(struct ipc_table *table, struct thread *thread, int key, unsigned flags, struct ipc_object **out)
{
	/* what is asked for by any of owner, group and others */
	unsigned asked = (flags >> 6 | flags >> 3 | flags) & 7;

	*out = NULL;
	for (unsigned i = 0; i < table->size && key != IPC_PRIVATE_; i++) {
		struct ipc_object *object = table->objects[i];

		if (!object || object->key != key)
			continue;
		if (flags & IPC_CREAT_ && flags & IPC_EXCL_)
			return -EEXIST;
		*out = object;
		return ipc_allowed(thread, object, asked) ? -EACCES : object->id;
	}
	return key == IPC_PRIVATE_ || flags & IPC_CREAT_ ? 0 : -ENOENT;
}

static bool grow(struct ipc_table *table)
{
	unsigned size = table->size ? table->size * 2 : TURN_MIN;
	struct ipc_object **objects = realloc(table->objects, size * sizeof(struct ipc_object *));

	if (!objects)
		return false;
	for (unsigned i = table->size; i < size; i++)
		objects[i] = NULL;
	table->objects = objects;
	table->size = size;
	return true;
}

/* The next free place after the last one, round the part of the table that is in turn. */
static unsigned next_place(const struct ipc_table *table)
{
	unsigned round = table->used * 3 / 2 > TURN_MIN ? table->used * 3 / 2 : TURN_MIN;

	if (round > table->size)
		round = table->size;
	if (round > PLACES) /* more than that the ids cannot tell apart */
		round = PLACES;
	for (unsigned i = 1; i <= round; i++) {
		unsigned place = (table->last + i) % round;

		if (!table->objects[place])
			return place;
	}
	return table->size;
}

long ipc_add(struct ipc_table *table, struct thread *thread, struct ipc_object *object, int key,
             unsigned flags)
{
	const struct credentials *credentials = &thread->process->credentials;
	bool first = !table->size;
	unsigned place;

	if (table->used >= table->limit)
		return -ENOSPC;
	if (table->used * 3 / 2 >= table->size && !grow(table))
		return -ENOMEM;
	if (first)
		table->last = TURN_MIN - 1; /* so that the first place is 0 */
	place = next_place(table);
	if (place == table->size)
		return -ENOSPC;
	if (place <= table->last && !first)
		table->sequence = (uint16_t)((table->sequence + 1) % SEQUENCES);
	table->last = place;
	table->used++;
	object->key = key;
	object->id = (int)((uint32_t)table->sequence << PLACE_BITS | place);
	object->uid = object->creator_uid = credentials->euid;
	object->gid = object->creator_gid = credentials->egid;
	object->mode = flags & 0777;
	table->objects[place] = object;
	return object->id;
}

void ipc_remove(struct ipc_table *table, struct ipc_object *object)
{
	table->objects[(unsigned)object->id % PLACES] = NULL;
	table->used--;
	object->removed = true;
}

struct linux_ipc_perm ipc_perm(const struct ipc_object *object)
{
	return (struct linux_ipc_perm){.key = object->key,
	                               .uid = object->uid,
	                               .gid = object->gid,
	                               .creator_uid = object->creator_uid,
	                               .creator_gid = object->creator_gid,
	                               .mode = object->mode,
	                               .sequence = (uint16_t)((uint32_t)object->id >> PLACE_BITS)};
}

void ipc_set(struct ipc_object *object, const struct linux_ipc_perm *perm)
{
	object->uid = perm->uid;
	object->gid = perm->gid;
	object->mode = (object->mode & ~0777u) | (perm->mode & 0777);
}
