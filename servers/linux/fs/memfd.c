/* SPDX-License-Identifier: MIT */
/* memfd_create: a file in memory without a name, and seals, which take away for good what may be done to it.
 */
#include "fs/internal.h"
#include "syscall.h"
#include "vma.h"

#define PREFIX    "memfd:"
#define NAME_MAX_ 249
#define SEALS_ALL (SEAL_SEAL | SEAL_SHRINK | SEAL_GROW | SEAL_WRITE | SEAL_FUTURE_WRITE)

/* Some mapping can change it, or be made to by mprotect. */
static bool mapped_writable(const struct inode *inode)
{
	for (const struct vma *vma = inode->mappings; vma != NULL; vma = vma->inode_next)
		if ((vma->flags & (VMA_SHARED | VMA_NEVER_WRITABLE)) == VMA_SHARED &&
		    file_writable(vma->file))
			return true;
	return false;
}

static int add_seals(struct inode *inode, uint64_t seals)
{
	if (inode->seals & SEAL_SEAL)
		return -EPERM;
	if (seals & SEAL_WRITE && !(inode->seals & SEAL_WRITE) && mapped_writable(inode))
		return -EBUSY;
	inode->seals |= (uint32_t)seals;
	return 0;
}

long seals_command(struct file *file, bool add, uint64_t seals)
{
	struct inode *inode = file->inode;
	if (!(inode->seals & SEALABLE))
		return -EINVAL;
	if (!add)
		return inode->seals & SEALS_ALL;
	if (!file_writable(file))
		return -EPERM;
	if (seals & ~(uint64_t)SEALS_ALL)
		return -EINVAL;
	file_get(file);
	fiber_mutex_lock(&inode->lock); /* who was allowed to write has done so */
	int error = add_seals(inode, seals);
	fiber_mutex_unlock(&inode->lock);
	file_put(file);
	return error;
}

long sys_memfd_create(struct thread *thread, const uint64_t arguments[6])
{
	enum { CLOEXEC = 1, ALLOW_SEALING = 2 };
	unsigned flags = (unsigned)arguments[1];
	char name[sizeof(PREFIX) + NAME_MAX_] = PREFIX;
	struct file *file;
	if (flags & ~(unsigned)(CLOEXEC | ALLOW_SEALING))
		return -EINVAL;
	ssize_t length = copy_string_from_user(thread, name + strlen(PREFIX), arguments[0], NAME_MAX_ + 1);
	if (length < 0)
		return length == -ENAMETOOLONG ? -EINVAL : length;
	int error = anonymous_memory_file(name, &file);
	if (error != 0)
		return error;
	file->flags |= LINUX_O_LARGEFILE;
	file->inode->attributes.mode = S_IFREG | 0777;
	file->inode->attributes.uid = thread->process->credentials.fsuid;
	file->inode->attributes.gid = thread->process->credentials.fsgid;
	file->inode->seals = SEALABLE | (flags & ALLOW_SEALING ? 0 : SEAL_SEAL);
	return file_install(thread, file, flags & CLOEXEC);
}
