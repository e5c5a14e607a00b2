/* SPDX-License-Identifier: MIT */
/* System V shared memory. A segment is the memory that regions share, and one reference of its own to it. */
#include "ipc/ipc.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include "address_space.h"
#include "fs/internal.h"
#include "syscall.h"

#define SHM_RDONLY_ 010000
#define SHM_RND_    020000
#define SHM_REMAP_  040000
#define SHM_EXEC_   0100000
#define SHM_HUGE    04000
#define MODE_DEST   01000 /* removed, but still attached */
#define MODE_LOCKED 02000

enum { SHM_LOCK_ = 11, SHM_UNLOCK_ = 12, SHM_STAT_ = 13, SHM_INFO_ = 14, SHM_STAT_ANY_ = 15 };

const uint64_t shm_limits[3] = {UINT64_MAX - (1 << 24), UINT64_MAX - (1 << 24), 4096};

struct shm_segment {
	struct ipc_object object; /* first */
	struct shared_memory *memory;
	uint64_t size;
	int64_t attached, detached, changed; /* seconds */
	int creator, last;                   /* pids */
};

static struct ipc_table segments = {.limit = 4096};
static uint64_t pages_promised;

static uint64_t pages_of(uint64_t size)
{
	return (size + PAGE_SIZE - 1) >> PAGE_BITS;
}

int shm_key(const struct shm_segment *segment)
{
	return segment->object.key;
}

static uint64_t attachments(const struct shm_segment *segment)
{
	return segment->memory->references - 1;
}

static uint64_t resident_pages(const struct shm_segment *segment)
{
	uint64_t count = 0, page = 0;

	for (; page_map_next(&segment->memory->pages, &page, UINT64_MAX); page++)
		count++;
	return count;
}

static void destroy(struct shm_segment *segment)
{
	ipc_remove(&segments, &segment->object);
	pages_promised -= pages_of(segment->size);
	segment->memory->segment = NULL;
	shared_memory_put(segment->memory);
	free(segment);
}

void shm_detached(struct shm_segment *segment)
{
	struct thread *thread = current_thread();

	segment->detached = ipc_now();
	if (thread)
		segment->last = thread->process->pid;
	if (segment->object.mode & MODE_DEST && !attachments(segment))
		destroy(segment);
}

static long create(struct thread *thread, int key, uint64_t size, unsigned flags)
{
	struct shm_segment *segment;
	long id;

	if (!size || size > shm_limits[0])
		return -EINVAL;
	/* What memory could never hold is refused. */
	if (flags & SHM_HUGE || pages_of(size) > pages_total())
		return -ENOMEM;
	segment = kept_alloc(sizeof(*segment));
	if (segment)
		segment->memory = calloc(1, sizeof(*segment->memory));
	if (!segment || !segment->memory) {
		free(segment);
		return -ENOMEM;
	}
	segment->memory->references = 1;
	segment->memory->segment = segment;
	segment->size = size;
	segment->changed = ipc_now();
	segment->creator = thread->process->pid;
	id = ipc_add(&segments, thread, &segment->object, key, flags);
	if (id < 0) {
		free(segment->memory);
		free(segment);
		return id;
	}
	pages_promised += pages_of(size);
	return id;
}

long sys_shmget(struct thread *thread, const uint64_t arguments[6])
{
	int key = (int)arguments[0];
	unsigned flags = (unsigned)arguments[2];
	struct ipc_object *object;
	long id = ipc_get(&segments, thread, key, flags, &object);

	if (id < 0)
		return id;
	if (!object)
		return create(thread, key, arguments[1], flags);
	return arguments[1] > ((struct shm_segment *)object)->size ? -EINVAL : id;
}

long sys_shmat(struct thread *thread, const uint64_t arguments[6])
{
	struct shm_segment *segment = (struct shm_segment *)ipc_find(&segments, (int)arguments[0]);
	uint64_t address = arguments[1];
	unsigned flags = (unsigned)arguments[2];
	bool read_only = flags & SHM_RDONLY_;
	uint32_t prot = PROT_READ | (read_only ? 0 : PROT_WRITE) | (flags & SHM_EXEC_ ? PROT_EXEC : 0);
	long result;

	if (address & (PAGE_SIZE - 1)) {
		if (!(flags & SHM_RND_))
			return -EINVAL;
		address &= ~(PAGE_SIZE - 1);
	}
	if ((!address && flags & SHM_REMAP_) || !segment)
		return -EINVAL;
	if (ipc_allowed(thread, &segment->object, (read_only ? 4 : 6) | (flags & SHM_EXEC_ ? 1 : 0)))
		return -EACCES;
	result = mm_map_shared(thread->process->mm, address, pages_of(segment->size) << PAGE_BITS, prot,
	                       read_only ? VMA_NEVER_WRITABLE : 0, flags & SHM_REMAP_, segment->memory);
	/* What it replaced may have taken time to go, and the segment with it. */
	segment = (struct shm_segment *)ipc_find(&segments, (int)arguments[0]);
	if (result >= 0 && segment) {
		segment->attached = ipc_now();
		segment->last = thread->process->pid;
	}
	return result;
}

long sys_shmdt(struct thread *thread, const uint64_t arguments[6])
{
	struct mm *mm = thread->process->mm;
	uint64_t address = arguments[0];
	struct shared_memory *memory = NULL;
	unsigned i = vma_first(&mm->regions, address);

	if (address & (PAGE_SIZE - 1))
		return -EINVAL;
	/* All that is left of the attachment that began there. */
	while (i < mm->regions.count) {
		const struct vma *vma = vma_at(&mm->regions, i);
		bool ours = vma->shared && vma->shared->segment &&
		            vma->start - (vma->offset << PAGE_BITS) == address &&
		            (!memory || memory == vma->shared);
		int error;

		if (memory && vma->start - address >= memory->segment->size)
			break;
		if (!ours) {
			i++;
			continue;
		}
		if (!memory) {
			memory = vma->shared;
			memory->references++; /* of this loop's own, so that the segment stays */
		}
		error = mm_unmap(mm, vma->start, vma->end);
		if (error) {
			shared_memory_put(memory);
			return error;
		}
	}
	if (!memory)
		return -EINVAL;
	shared_memory_put(memory);
	return 0;
}

/* ---- shmctl ---- */

/* struct shmid64_ds */
struct shm_status {
	struct linux_ipc_perm perm;
	uint64_t size;
	int64_t attached, detached, changed;
	int32_t creator, last;
	uint64_t attachments, unused[2];
};
_Static_assert(sizeof(struct shm_status) == 112, "struct shmid64_ds");

static struct shm_status status_of(const struct shm_segment *segment)
{
	return (struct shm_status){.perm = ipc_perm(&segment->object),
	                           .size = segment->size,
	                           .attached = segment->attached,
	                           .detached = segment->detached,
	                           .changed = segment->changed,
	                           .creator = segment->creator,
	                           .last = segment->last,
	                           .attachments = attachments(segment)};
}

static long tell_limits(struct thread *thread, uint64_t address)
{
	/* struct shminfo64: maximum, minimum, segments, segments of a process, pages of all */
	const uint64_t info[9] = {shm_limits[0], 1, shm_limits[2], shm_limits[2], shm_limits[1]};
	int highest = ipc_highest(&segments);

	if (copy_to_user(thread, address, info, sizeof(info)))
		return -EFAULT;
	return highest < 0 ? 0 : highest;
}

static long tell_use(struct thread *thread, uint64_t address)
{
	/* struct shm_info */
	struct {
		int32_t used, padding;
		uint64_t total, resident, swapped, attempts, successes;
	} info = {.used = (int32_t)segments.used, .total = pages_promised};
	int highest = ipc_highest(&segments);

	for (int i = 0; i <= highest; i++) {
		const struct ipc_object *object = ipc_at(&segments, (unsigned)i);

		if (object)
			info.resident += resident_pages((const struct shm_segment *)object);
	}
	if (copy_to_user(thread, address, &info, sizeof(info)))
		return -EFAULT;
	return highest < 0 ? 0 : highest;
}

static long change(struct thread *thread, int id, int command, uint64_t address)
{
	struct shm_segment *segment;
	struct shm_status status;
	int error;

	if (command == IPC_SET_ && copy_from_user(thread, &status, address, sizeof(status)))
		return -EFAULT;
	segment = (struct shm_segment *)ipc_find(&segments, id);
	if (!segment)
		return -EINVAL;
	error = ipc_may_control(thread, &segment->object);
	if (error)
		return error;
	switch (command) {
	case IPC_SET_:
		ipc_set(&segment->object, &status.perm);
		segment->changed = ipc_now();
		break;
	case IPC_RMID_:
		segment->object.mode |= MODE_DEST;
		segment->object.key = IPC_PRIVATE_; /* nobody finds it any more */
		if (!attachments(segment))
			destroy(segment);
		break;
	case SHM_LOCK_: /* nothing of it ever leaves memory */
		segment->object.mode |= MODE_LOCKED;
		break;
	default:
		segment->object.mode &= ~(uint32_t)MODE_LOCKED;
	}
	return 0;
}

long sys_shmctl(struct thread *thread, const uint64_t arguments[6])
{
	int id = (int)arguments[0], command = (int)arguments[1];
	bool by_place = command == SHM_STAT_ || command == SHM_STAT_ANY_;
	struct shm_segment *segment;
	struct shm_status status;

	if (command < 0 || id < 0)
		return -EINVAL;
	if (command == IPC_INFO_)
		return tell_limits(thread, arguments[2]);
	if (command == SHM_INFO_)
		return tell_use(thread, arguments[2]);
	segment =
	        (struct shm_segment *)(by_place ? ipc_at(&segments, (unsigned)id) : ipc_find(&segments, id));
	switch (command) {
	case IPC_STAT_:
	case SHM_STAT_:
	case SHM_STAT_ANY_:
		if (!segment)
			return -EINVAL;
		if (command != SHM_STAT_ANY_ && ipc_allowed(thread, &segment->object, 4))
			return -EACCES;
		status = status_of(segment);
		id = by_place ? segment->object.id : 0;
		return copy_to_user(thread, arguments[2], &status, sizeof(status)) ? -EFAULT : id;
	case IPC_SET_:
	case IPC_RMID_:
	case SHM_LOCK_:
	case SHM_UNLOCK_:
		return change(thread, id, command, arguments[2]);
	default:
		return -EINVAL;
	}
}

void shm_text(struct text *text)
{
	text_print(text, "       key      shmid perms                  size  cpid  lpid nattch   uid   gid  "
	                 "cuid  cgid      atime      dtime"
	                 "      ctime                   rss                  swap\n");
	for (int i = 0, end = ipc_highest(&segments); i <= end; i++) {
		const struct ipc_object *object = ipc_at(&segments, (unsigned)i);
		const struct shm_segment *segment = (const struct shm_segment *)object;

		if (object)
			text_print(text,
			           "%10d %10d  %4o %21lu %5u %5u  %5lu %5u %5u %5u %5u %10lu %10lu %10lu "
			           "%21lu %21u\n",
			           object->key, object->id, object->mode, segment->size, segment->creator,
			           segment->last, attachments(segment), object->uid, object->gid,
			           object->creator_uid, object->creator_gid, segment->attached,
			           segment->detached, segment->changed, resident_pages(segment) << PAGE_BITS,
			           0);
	}
}
