/* SPDX-License-Identifier: MIT */
/* System calls on address spaces: mmap, munmap, mprotect, mremap, brk, madvise and what is near them. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include "capability.h"
#include "address_space.h"
#include "syscall.h"
#include "fs/internal.h"

#define PROT_ALL (PROT_READ | PROT_WRITE | PROT_EXEC)
#define MAP_FLAGS_KNOWN                                                                          \
	(MAP_TYPE | MAP_FIXED | MAP_ANONYMOUS | MAP_DENYWRITE | MAP_EXECUTABLE | MAP_GROWSDOWN | \
	 MAP_LOCKED | MAP_NORESERVE | MAP_POPULATE | MAP_NONBLOCK | MAP_STACK | MAP_HUGETLB |    \
	 MAP_FIXED_NOREPLACE)

static uint64_t page_align(uint64_t value)
{
	return (value + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1);
}

static bool aligned(uint64_t value)
{
	return !(value & (PAGE_SIZE - 1));
}

static bool range_valid(uint64_t start, uint64_t length)
{
	return aligned(start) && start < USER_END && length <= USER_END - start;
}

/* Whether the process may have so many pages locked; 0: any at all. */
static bool may_lock(struct thread *thread, size_t pages)
{
	uint64_t limit = thread->process->limits[RLIMIT_MEMLOCK].current;

	return capable(thread, CAP_IPC_LOCK) || (limit && pages <= limit >> PAGE_BITS);
}

/* Whether it may have so many more pages where new ones are locked, too (lock). */
static bool may_lock_more(struct thread *thread, bool lock, uint64_t pages)
{
	return !lock || may_lock(thread, mm_locked_pages(thread->process->mm, 0, USER_END) + pages);
}

static uint64_t find_gap(struct mm *mm, uint64_t size)
{
	uint64_t address = vma_gap_below(&mm->regions, USER_LOW, mm->mmap_top, size);

	return address ? address : vma_gap_below(&mm->regions, mm->mmap_top, STACK_TOP - STACK_LIMIT, size);
}

/* Pages that a NULL pointer may reach are for emulators; the first one is for nobody (USER_BASE). */
static bool low_allowed(uint64_t address)
{
	return address >= USER_LOW || (address >= USER_BASE && capable(current_thread(), CAP_SYS_RAWIO));
}

/* Where the mapping goes; with MAP_FIXED, what was there is chained to *taken: freed only when the new one is
 * there. 0 or -errno. */
static int choose_address(struct mm *mm, uint64_t hint, uint64_t length, unsigned flags, uint64_t *out,
                          struct vma **taken)
{
	if (flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) {
		if (!range_valid(hint, length))
			return aligned(hint) ? -ENOMEM : -EINVAL;
		if (!low_allowed(hint))
			return -EPERM;
		*out = hint;
		if (flags & MAP_FIXED_NOREPLACE)
			return vma_range_free(&mm->regions, hint, hint + length) ? 0 : -EEXIST;
		return mm_take_regions(mm, hint, hint + length, taken);
	}
	hint &= ~(PAGE_SIZE - 1);
	if (hint >= USER_LOW && range_valid(hint, length) &&
	    vma_range_free(&mm->regions, hint, hint + length)) {
		*out = hint;
		return 0;
	}
	*out = find_gap(mm, length);
	return *out ? 0 : -ENOMEM;
}

static int file_may_map(struct file *file, unsigned prot, bool shared)
{
	if (file->flags & O_PATH)
		return -EBADF;
	if (!file_readable(file) || (shared && prot & PROT_WRITE && !file_writable(file)))
		return -EACCES;
	if (shared && file_writable(file) && file->inode->attributes.flags & FS_FLAG_APPEND)
		return -EACCES;
	if (prot & PROT_EXEC && file_noexec(file))
		return -EPERM;
	if (!file->operations->mmap)
		return -ENODEV;
	return file->operations->mmap(file);
}

static long map_memory(struct mm *mm, uint64_t address, uint64_t length, unsigned prot, unsigned flags)
{
	struct shared_memory *shared = NULL;
	uint32_t vma_flags =
	        (flags & MAP_NORESERVE ? VMA_NORESERVE : 0) | (flags & MAP_GROWSDOWN ? VMA_GROWS_DOWN : 0);
	struct vma *taken = NULL;
	int error;

	/* What can never be kept is refused; otherwise memory is promised freely, as Linux's default does. */
	if (prot & PROT_WRITE && !(flags & MAP_NORESERVE) && length >> PAGE_BITS > pages_total())
		return -ENOMEM;
	if ((flags & MAP_TYPE) == MAP_SHARED) {
		if (flags & MAP_GROWSDOWN)
			return -EINVAL;
		shared = calloc(1, sizeof(*shared));
		if (!shared)
			return -ENOMEM;
		shared->references = 1;
		vma_flags |= VMA_SHARED;
	}
	error = choose_address(mm, address, length, flags, &address, &taken);
	if (!error)
		error = mm_add_region(mm, address, address + length, prot, vma_flags, NULL, 0, shared);
	mm_free_taken(taken);
	if (!error)
		return (long)address;
	if (shared)
		shared_memory_put(shared);
	return error;
}

static long map_file(struct mm *mm, struct file *file, uint64_t address, uint64_t length, unsigned prot,
                     unsigned flags, uint64_t offset)
{
	bool shared = (flags & MAP_TYPE) != MAP_PRIVATE;
	uint32_t vma_flags = shared ? VMA_SHARED : 0;
	struct vma *taken = NULL;
	int error = file_may_map(file, prot, shared);

	if (error == MAPS_MEMORY) {
		long result = map_memory(mm, address, length, prot,
		                         (flags & ~(unsigned)MAP_TYPE) | (shared ? MAP_SHARED : MAP_PRIVATE));

		if (result >= 0)
			file_put(file);
		return result;
	}
	if (!error && flags & MAP_GROWSDOWN)
		error = -EINVAL;
	if (!error && shared && file->inode->seals & (SEAL_WRITE | SEAL_FUTURE_WRITE)) {
		error = prot & PROT_WRITE ? -EPERM : 0;
		vma_flags |= VMA_NEVER_WRITABLE;
	}
	if (!error)
		error = choose_address(mm, address, length, flags, &address, &taken);
	if (!error)
		error = mm_add_region(mm, address, address + length, prot, vma_flags, file,
		                      offset >> PAGE_BITS, NULL);
	mm_free_taken(taken);
	return error ? error : (long)address;
}

long mm_map_shared(struct mm *mm, uint64_t address, uint64_t length, uint32_t prot, uint32_t flags,
                   bool replace, struct shared_memory *shared)
{
	unsigned place = !address ? 0 : replace ? MAP_FIXED : MAP_FIXED_NOREPLACE;
	struct vma *taken = NULL;
	int error = choose_address(mm, address, length, place, &address, &taken);

	shared->references++; /* before what is replaced, or merged with, gives its own back */
	if (!error)
		error = mm_add_region(mm, address, address + length, prot, flags | VMA_SHARED, NULL, 0,
		                      shared);
	mm_free_taken(taken);
	if (!error)
		return (long)address;
	shared_memory_put(shared);
	return error == -EEXIST ? -EINVAL : error;
}

static long map(struct thread *thread, const uint64_t arguments[6])
{
	uint64_t address = arguments[0], length = page_align(arguments[1]), offset = arguments[5];
	unsigned prot = arguments[2] & PROT_ALL, flags = (unsigned)arguments[3], type = flags & MAP_TYPE;
	struct mm *mm = thread->process->mm;
	struct file *file;
	long result;

	if (!arguments[1] || !aligned(offset))
		return -EINVAL;
	if (!length || length > USER_END)
		return -ENOMEM;
	if (type != MAP_PRIVATE && type != MAP_SHARED && type != MAP_SHARED_VALIDATE)
		return -EINVAL;
	if (flags & MAP_ANONYMOUS)
		return type == MAP_SHARED_VALIDATE ? -EINVAL : map_memory(mm, address, length, prot, flags);
	if (offset + length < offset)
		return -EOVERFLOW;
	if (type == MAP_SHARED_VALIDATE && flags & ~(unsigned)MAP_FLAGS_KNOWN)
		return -EOPNOTSUPP;
	file = file_table_lookup(thread, (int)arguments[4]);
	if (!file)
		return -EBADF;
	result = map_file(mm, file_get(file), address, length, prot, flags, offset);
	if (result < 0)
		file_put(file);
	return result;
}

long sys_mmap(struct thread *thread, const uint64_t arguments[6])
{
	uint64_t length = page_align(arguments[1]);
	struct mm *mm = thread->process->mm;
	bool lock = arguments[3] & MAP_LOCKED;
	long result;

	if (lock && !may_lock(thread, 0))
		return -EPERM;
	if (!may_lock_more(thread, lock || mm->lock_future, length >> PAGE_BITS))
		return -EAGAIN;
	result = map(thread, arguments);
	if (result < 0)
		return result;
	if (lock)
		mm_lock(mm, (uint64_t)result, (uint64_t)result + length, true);
	if (lock || mm->lock_future || (arguments[3] & (MAP_POPULATE | MAP_NONBLOCK)) == MAP_POPULATE)
		mm_populate(mm, (uint64_t)result, (uint64_t)result + length);
	return result;
}

long sys_munmap(struct thread *thread, const uint64_t arguments[6])
{
	uint64_t length = page_align(arguments[1]);

	if (!length || !range_valid(arguments[0], length))
		return -EINVAL;
	return mm_unmap(thread->process->mm, arguments[0], arguments[0] + length);
}

long sys_mprotect(struct thread *thread, const uint64_t arguments[6])
{
	uint64_t start = arguments[0], length = page_align(arguments[1]), end = start + length;
	uint64_t prot = arguments[2] & ~(uint64_t)(PROT_GROWSDOWN | PROT_GROWSUP);
	struct mm *mm = thread->process->mm;

	if ((arguments[2] & (PROT_GROWSDOWN | PROT_GROWSUP)) == (PROT_GROWSDOWN | PROT_GROWSUP) ||
	    !aligned(start))
		return -EINVAL;
	if (!arguments[1])
		return 0;
	if (!range_valid(start, length) || !length)
		return -ENOMEM;
	if (prot & ~(uint64_t)PROT_ALL)
		return -EINVAL;
	if (arguments[2] & (PROT_GROWSDOWN | PROT_GROWSUP)) {
		/* from its beginning, however far it has grown; none grows upwards */
		struct vma *vma = vma_find(&mm->regions, start);

		if (!vma)
			return -ENOMEM;
		if (arguments[2] & PROT_GROWSUP || !(vma->flags & VMA_GROWS_DOWN))
			return -EINVAL;
		start = vma->start;
	}
	return mm_protect(mm, start, end, (uint32_t)prot);
}

long sys_brk(struct thread *thread, const uint64_t arguments[6])
{
	struct mm *mm = thread->process->mm;
	uint64_t wanted = arguments[0], old = page_align(mm->brk), new = page_align(wanted);

	if (wanted < mm->brk_start || wanted >= STACK_TOP - STACK_LIMIT)
		return (long)mm->brk;
	if (new - mm->brk_start > thread->process->limits[2].current) /* RLIMIT_DATA */
		return (long)mm->brk;
	if (new > old) {
		if ((new - old) >> PAGE_BITS > pages_total() || !vma_range_free(&mm->regions, old, new) ||
		    !may_lock_more(thread, mm->lock_future, (new - old) >> PAGE_BITS) ||
		    mm_add_region(mm, old, new, PROT_READ | PROT_WRITE, 0, NULL, 0, NULL))
			return (long)mm->brk;
	} else if (new < old && mm_unmap(mm, new, old)) {
		return (long)mm->brk;
	}
	mm->brk = wanted;
	return (long)wanted;
}

/* ---- mremap ---- */

/* Page records move as they are; the kernel's mappings follow with the next faults. */
static void move_pages(struct mm *mm, uint64_t from, uint64_t to, uint64_t length)
{
	uint64_t first = from >> PAGE_BITS, page = first, end = (from + length) >> PAGE_BITS;
	entry_t *entry;

	space_unmap(mm->space, from, length >> PAGE_BITS);
	for (; (entry = page_map_next(&mm->pages, &page, end)); page++) {
		entry_t moved = page_map_take(&mm->pages, page) & ~ENTRY_MAPPED;

		page_map_set(&mm->pages, page - first + (to >> PAGE_BITS), moved);
	}
}

/* So that move_pages() cannot fail. */
static bool make_places(struct mm *mm, uint64_t from, uint64_t to, uint64_t length)
{
	uint64_t first = from >> PAGE_BITS, page = first, end = (from + length) >> PAGE_BITS;

	for (; page_map_next(&mm->pages, &page, end); page++)
		if (!page_map_reserve(&mm->pages, page - first + (to >> PAGE_BITS)))
			return false;
	return true;
}

static long region_move(struct mm *mm, struct vma *vma, uint64_t old, uint64_t old_length, uint64_t to,
                        uint64_t new_length)
{
	uint64_t moved = old_length < new_length ? old_length : new_length;
	struct vma region = *vma;
	int error;

	if (!make_places(mm, old, to, moved)) {
		page_map_prune(&mm->pages, to >> PAGE_BITS, (to + moved) >> PAGE_BITS);
		return -ENOMEM;
	}
	if (region.file)
		file_get(region.file);
	if (region.shared)
		region.shared->references++;
	/* The caller has looked at the limits: what moves counts once. */
	error = mm_place_region(mm, to, to + new_length, region.prot, region.flags, region.file,
	                        region.offset + ((old - region.start) >> PAGE_BITS), region.shared);
	if (error) {
		if (region.file)
			file_put(region.file);
		if (region.shared)
			shared_memory_put(region.shared);
		return error;
	}
	if (old_length) { /* else it is mapped once more */
		move_pages(mm, old, to, moved);
		mm_unmap(mm, old, old + old_length);
	}
	return (long)to;
}

static bool region_extend(struct mm *mm, struct vma *vma, uint64_t end, uint64_t new_end)
{
	if (vma->end != end || !vma_range_free(&mm->regions, end, new_end) ||
	    new_end > STACK_TOP - STACK_LIMIT)
		return false;
	vma->end = new_end;
	mm_account(mm, vma, (int64_t)((new_end - end) >> PAGE_BITS));
	mm->generation++;
	return true;
}

long sys_mremap(struct thread *thread, const uint64_t arguments[6])
{
	uint64_t old = arguments[0], old_length = page_align(arguments[1]),
	         new_length = page_align(arguments[2]);
	unsigned flags = (unsigned)arguments[3];
	struct mm *mm = thread->process->mm;
	struct vma *vma, *taken = NULL;
	uint64_t to;
	long result;
	int error;

	if (flags & ~(unsigned)(MREMAP_MAYMOVE | MREMAP_FIXED) || !aligned(old) || !new_length)
		return -EINVAL;
	if (flags & MREMAP_FIXED && !(flags & MREMAP_MAYMOVE))
		return -EINVAL;
	vma = vma_find(&mm->regions, old);
	if (!vma || !range_valid(old, old_length))
		return -EFAULT;
	/* What shrinks in its place may be of several regions. */
	if (!(flags & MREMAP_FIXED) && new_length <= old_length) {
		error = new_length < old_length ? mm_unmap(mm, old + new_length, old + old_length) : 0;
		return error ? error : (long)old;
	}
	if (!old_length && !(vma->flags & VMA_SHARED))
		return -EINVAL;
	if (old + old_length > vma->end)
		return -EFAULT;
	if (vma->flags & VMA_VDSO && new_length > old_length)
		return -EFAULT;
	if (new_length > USER_END)
		return -ENOMEM;
	if (new_length > old_length) {
		uint64_t more = (new_length - old_length) >> PAGE_BITS;

		if (!may_lock_more(thread, vma->flags & VMA_LOCKED, more))
			return -EAGAIN;
		if ((vma_is_data(vma->prot, vma->flags) && !(vma->flags & VMA_NORESERVE) &&
		     more > pages_total()) ||
		    !mm_may_grow(mm, vma->prot, vma->flags, more))
			return -ENOMEM;
	}
	if (flags & MREMAP_FIXED) {
		to = arguments[4];
		if (!range_valid(to, new_length) || (to < old + old_length && old < to + new_length))
			return -EINVAL;
		if (!low_allowed(to))
			return -EPERM;
		if (mm_take_regions(mm, to, to + new_length, &taken))
			return -ENOMEM;
		vma = vma_find(&mm->regions, old); /* split, or, to be mapped once more where it is, gone */
		result = vma ? region_move(mm, vma, old, old_length, to, new_length) : -EFAULT;
		mm_free_taken(taken);
		return result;
	}
	if (old_length && region_extend(mm, vma, old + old_length, old + new_length))
		return (long)old;
	if (!(flags & MREMAP_MAYMOVE))
		return -ENOMEM;
	to = find_gap(mm, new_length);
	return to ? region_move(mm, vma, old, old_length, to, new_length) : -ENOMEM;
}

/* ---- advice and residency ---- */

/* Nothing in the range is a file's or shared. */
static bool private_memory(struct mm *mm, uint64_t start, uint64_t end)
{
	for (unsigned i = vma_first(&mm->regions, start); i < mm->regions.count; i++) {
		const struct vma *vma = vma_at(&mm->regions, i);

		if (vma->start >= end)
			break;
		if (vma->file || vma->shared)
			return false;
	}
	return true;
}

/* Every page is in a region; prot: that allows one of these. */
static bool all_allow(struct mm *mm, uint64_t start, uint64_t end, unsigned prot)
{
	while (start < end) {
		struct vma *vma = vma_find(&mm->regions, start);

		if (!vma || (prot && !(vma->prot & prot)))
			return false;
		start = vma->end;
	}
	return true;
}

static bool mapped_throughout(struct mm *mm, uint64_t start, uint64_t end)
{
	return all_allow(mm, start, end, 0);
}

/* Holes in what is behind the range, which must be shared, and of files that may be written. */
static int remove_range(struct thread *thread, uint64_t start, uint64_t end)
{
	while (start < end) {
		struct vma *vma = vma_find(&thread->process->mm->regions, start);
		uint64_t from = start, offset;
		struct file *file;
		int error;

		if (!vma)
			return -ENOMEM;
		if ((!vma->file && !vma->shared) || vma->flags & VMA_LOCKED)
			return -EINVAL;
		if (!(vma->flags & VMA_SHARED) || !mm_may_write(vma))
			return -EACCES;
		start = vma->end < end ? vma->end : end;
		offset = (vma->offset << PAGE_BITS) + (from - vma->start);
		if (vma->shared) {
			shared_memory_punch(vma->shared, offset >> PAGE_BITS,
			                    (offset + start - from) >> PAGE_BITS);
			continue;
		}
		file = file_get(vma->file);
		error = file_punch(file, offset, start - from);
		file_put(file);
		if (error)
			return error;
	}
	return 0;
}

static int populate_advised(struct mm *mm, uint64_t start, uint64_t end, unsigned prot)
{
	if (!mapped_throughout(mm, start, end))
		return -ENOMEM;
	if (!all_allow(mm, start, end, prot))
		return -EINVAL;
	return mm_populate(mm, start, end) ? 0 : -EFAULT;
}

long sys_madvise(struct thread *thread, const uint64_t arguments[6])
{
	uint64_t start = arguments[0], end = start + page_align(arguments[1]);
	struct mm *mm = thread->process->mm;
	int error = 0;

	if (!aligned(start) || end < start || (arguments[1] && end == start))
		return -EINVAL;
	if (!range_valid(start, end - start))
		return -ENOMEM;
	switch (arguments[2]) {
	case MADV_FREE: /* may be dropped at any time, so it may be dropped now */
		if (!private_memory(mm, start, end) || mm_locked_pages(mm, start, end))
			return -EINVAL;
		mm_drop_pages(mm, start, end);
		break;
	case MADV_DONTNEED:
		if (mm_locked_pages(mm, start, end))
			return -EINVAL;
		mm_drop_pages(mm, start, end);
		break;
	case MADV_REMOVE:
		return remove_range(thread, start, end);
	case MADV_NORMAL:
	case MADV_RANDOM:
	case MADV_SEQUENTIAL:
	case MADV_WILLNEED:
	case 14: /* MADV_HUGEPAGE, NOHUGEPAGE, DONTDUMP, DODUMP, COLD, PAGEOUT */
	case 15:
	case 16:
	case 17:
	case 20:
	case 21:
		break;
	case 22: /* MADV_POPULATE_READ */
		return populate_advised(mm, start, end, PROT_READ | PROT_WRITE);
	case 23: /* MADV_POPULATE_WRITE */
		return populate_advised(mm, start, end, PROT_WRITE);
	case MADV_DONTFORK:
		error = mm_change_flags(mm, start, end, 0, VMA_DONTFORK);
		break;
	case MADV_DOFORK:
		error = mm_change_flags(mm, start, end, VMA_DONTFORK, 0);
		break;
	case 18: /* MADV_WIPEONFORK */
		if (!private_memory(mm, start, end))
			return -EINVAL;
		error = mm_change_flags(mm, start, end, 0, VMA_WIPEONFORK);
		break;
	case 19: /* MADV_KEEPONFORK */
		error = mm_change_flags(mm, start, end, VMA_WIPEONFORK, 0);
		break;
	default:
		return -EINVAL;
	}
	return error || mapped_throughout(mm, start, end) ? error : -ENOMEM;
}

long sys_msync(struct thread *thread, const uint64_t arguments[6])
{
	uint64_t start = arguments[0], end = start + page_align(arguments[1]);
	unsigned flags = (unsigned)arguments[2];
	struct mm *mm = thread->process->mm;

	if (flags & ~(unsigned)(MS_ASYNC | MS_SYNC | MS_INVALIDATE) ||
	    (flags & MS_ASYNC && flags & MS_SYNC) || !aligned(start))
		return -EINVAL;
	if (!range_valid(start, page_align(arguments[1])) || !mapped_throughout(mm, start, end))
		return -ENOMEM;
	while (flags & (MS_SYNC | MS_INVALIDATE) && start < end) {
		struct vma *vma = vma_find(&mm->regions, start);
		struct file *file = vma ? vma->file : NULL;
		int error = 0;

		if (!vma)
			return -ENOMEM; /* unmapped while an earlier part was written */
		if (flags & MS_INVALIDATE && vma->flags & VMA_LOCKED)
			return -EBUSY;
		start = vma->end;
		if (!(flags & MS_SYNC) || !file || !(vma->flags & VMA_SHARED) || !file->operations->fsync)
			continue;
		file_get(file);
		error = file->operations->fsync(file);
		file_put(file);
		if (error)
			return error;
	}
	return 0;
}

/* Mapped, or in the page cache of the file that is mapped there. */
static bool in_memory(struct mm *mm, uint64_t address)
{
	const struct vma *vma = vma_find(&mm->regions, address);
	pfn_t pfn;

	if (page_map_get(&mm->pages, address >> PAGE_BITS))
		return true;
	if (!vma || !vma->file)
		return false;
	pfn = page_cache_peek(vma->file->inode, vma->offset + ((address - vma->start) >> PAGE_BITS));
	if (pfn == PFN_NONE)
		return false;
	page_put(pfn);
	return true;
}

long sys_mincore(struct thread *thread, const uint64_t arguments[6])
{
	uint64_t start = arguments[0], pages = page_align(arguments[1]) >> PAGE_BITS;
	struct mm *mm = thread->process->mm;

	if (!aligned(start))
		return -EINVAL;
	if (!range_valid(start, pages << PAGE_BITS) ||
	    !mapped_throughout(mm, start, start + (pages << PAGE_BITS)))
		return -ENOMEM;
	for (uint64_t i = 0; i < pages; i++) {
		uint8_t resident = in_memory(mm, start + (i << PAGE_BITS));

		if (i % PAGE_SIZE == PAGE_SIZE - 1 && !wait_yield())
			return -EINTR;
		if (copy_to_user(thread, arguments[2] + i, &resident, 1))
			return -EFAULT;
	}
	return 0;
}

/* ---- locking ---- */

static long lock_range(struct thread *thread, const uint64_t arguments[6], bool lock, bool populate)
{
	uint64_t start = arguments[0] & ~(PAGE_SIZE - 1), end = page_align(arguments[0] + arguments[1]);
	struct mm *mm = thread->process->mm;
	int error;

	if (end < start)
		return -EINVAL;
	if (lock && !may_lock(thread, 0))
		return -EPERM;
	/* what is locked already is not counted twice */
	if (lock && !may_lock(thread, mm_locked_pages(mm, 0, USER_END) - mm_locked_pages(mm, start, end) +
	                                      ((end - start) >> PAGE_BITS)))
		return -ENOMEM;
	error = mm_lock(mm, start, end, lock);
	if (error || !populate)
		return error;
	return mm_populate(mm, start, end) && all_allow(mm, start, end, PROT_READ | PROT_WRITE | PROT_EXEC)
	               ? 0
	               : -ENOMEM;
}

long sys_mlock(struct thread *thread, const uint64_t arguments[6])
{
	return lock_range(thread, arguments, true, true);
}

long sys_mlock2(struct thread *thread, const uint64_t arguments[6])
{
	if (arguments[2] & ~1ul) /* MLOCK_ONFAULT */
		return -EINVAL;
	return lock_range(thread, arguments, true, !arguments[2]);
}

long sys_munlock(struct thread *thread, const uint64_t arguments[6])
{
	return lock_range(thread, arguments, false, false);
}

/* Each region by itself: there are gaps between them. */
static void lock_all(struct mm *mm, bool lock, bool populate)
{
	uint64_t at = 0;

	for (unsigned i = 0; i < mm->regions.count; i++) {
		struct vma *vma = vma_at(&mm->regions, i);

		vma->flags = lock ? vma->flags | VMA_LOCKED : vma->flags & ~(uint32_t)VMA_LOCKED;
	}
	/* By address: while pages are waited for, regions come and go. */
	for (unsigned i; populate && (i = vma_first(&mm->regions, at)) < mm->regions.count;) {
		const struct vma *vma = vma_at(&mm->regions, i);

		at = vma->end;
		mm_populate(mm, vma->start, at); /* as Linux does, without regard to what fails */
	}
}

long sys_mlockall(struct thread *thread, const uint64_t arguments[6])
{
	struct mm *mm = thread->process->mm;
	unsigned flags = (unsigned)arguments[0];

	if (flags & ~(unsigned)(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) ||
	    !(flags & (MCL_CURRENT | MCL_FUTURE)))
		return -EINVAL;
	if (!may_lock(thread, 0))
		return -EPERM;
	if (flags & MCL_CURRENT && !may_lock(thread, mm->virtual_pages))
		return -ENOMEM;
	mm->lock_future = flags & MCL_FUTURE;
	if (flags & MCL_CURRENT)
		lock_all(mm, true, !(flags & MCL_ONFAULT));
	return 0;
}

long sys_munlockall(struct thread *thread, const uint64_t arguments[6])
{
	(void)arguments;
	thread->process->mm->lock_future = false;
	lock_all(thread->process->mm, false, false);
	return 0;
}
