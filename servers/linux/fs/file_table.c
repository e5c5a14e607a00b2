/* SPDX-License-Identifier: MIT */
/* Descriptor tables, the calls that only move descriptors around, and what threads share by CLONE_FS. */
#include "capability.h"
#include "fs/notify.h"
#include <limits.h>
#include "syscall.h"

#define RLIMIT_FILES_ 7

struct file_table {
	uint32_t references;
	unsigned size;   /* of the arrays */
	unsigned end;    /* behind the last one that is open */
	unsigned lowest; /* there is none below that is free */
	struct file **files;
	bool *close_on_exec;
};

struct file_table *file_table_create(void)
{
	struct file_table *table = calloc(1, sizeof(*table));
	if (table != NULL)
		table->references = 1;
	return table;
}

struct file_table *file_table_get(struct file_table *table)
{
	table->references++;
	return table;
}

static int table_grow(struct file_table *table, unsigned size)
{
	if (size <= table->size)
		return 0;
	if (size > FILE_TABLE_MAX)
		return -EMFILE;
	unsigned rounded = table->size == 0 ? 16 : table->size;
	while (rounded < size)
		rounded *= 2;
	if (kept_refused())
		return -ENOMEM;
	struct file **files = realloc(table->files, rounded * sizeof(*files));
	if (files == NULL)
		return -ENOMEM;
	table->files = files;
	bool *flags = realloc(table->close_on_exec, rounded * sizeof(*flags));
	if (flags == NULL)
		return -ENOMEM;
	table->close_on_exec = flags;
	memset(files + table->size, 0, (rounded - table->size) * sizeof(*files));
	memset(flags + table->size, 0, (rounded - table->size) * sizeof(*flags));
	table->size = rounded;
	return 0;
}

static void slot_set(struct file_table *table, unsigned fd, struct file *file, bool close_on_exec)
{
	table->files[fd] = file;
	table->close_on_exec[fd] = close_on_exec;
	if (fd >= table->end)
		table->end = fd + 1;
}

struct file_table *file_table_copy(struct file_table *table)
{
	struct file_table *copy = file_table_create();
	if (copy == NULL || table_grow(copy, table->end) != 0) {
		file_table_put(copy);
		return NULL;
	}
	copy->lowest = table->lowest;
	for (unsigned fd = 0; fd < table->end; fd++)
		if (table->files[fd] != NULL)
			slot_set(copy, fd, file_get(table->files[fd]), table->close_on_exec[fd]);
	return copy;
}

int file_table_unshare(struct process *process)
{
	if (process->files->references == 1)
		return 0;
	struct file_table *copy = file_table_copy(process->files);
	if (copy == NULL)
		return -ENOMEM;
	file_table_put(process->files);
	process->files = copy;
	return 0;
}

/* One descriptor of the file is gone; process NULL: nobody's doing. */
static void descriptor_closed(struct file *file, struct file_table *table, struct process *process)
{
	directory_notify_closed(file, table);
	file_locks_closed(file, table);
	if (process != NULL && file->operations != NULL && file->operations->closed != NULL)
		file->operations->closed(file, process);
}

void file_table_put(struct file_table *table)
{
	if (table == NULL || --table->references > 0)
		return;
	for (unsigned fd = 0; fd < table->end; fd++) {
		struct file *file = table->files[fd];
		if (file == NULL)
			continue;
		table->files[fd] = NULL;
		descriptor_closed(file, table, NULL);
		file_put(file);
	}
	free(table->files);
	free(table->close_on_exec);
	free(table);
}

static void slot_clear(struct file_table *table, unsigned fd)
{
	table->files[fd] = NULL;
	table->close_on_exec[fd] = false;
	if (fd < table->lowest)
		table->lowest = fd;
	while (table->end > 0 && table->files[table->end - 1] == NULL)
		table->end--;
}

void files_exit(struct process *process)
{
	struct file_table *table = process->files;
	for (unsigned fd = 0; table != NULL && fd < table->end; fd++) {
		struct file *file = table->files[fd];
		if (file != NULL && file->operations != NULL && file->operations->closed != NULL)
			file->operations->closed(file, process);
	}
	process->files = NULL;
	file_table_put(table);
}

/* Takes the descriptor out and closes it, with the effect on the table's POSIX locks. */
static int close_descriptor(struct file_table *table, struct process *process, unsigned fd)
{
	if (fd >= table->size || table->files[fd] == NULL)
		return -EBADF;
	struct file *file = table->files[fd];
	slot_clear(table, fd);
	descriptor_closed(file, table, process);
	file_put(file);
	return 0;
}

void file_table_close_on_exec(struct file_table *table)
{
	struct thread *thread = current_thread();
	for (unsigned fd = 0; fd < table->end; fd++) {
		if (table->files[fd] != NULL && table->close_on_exec[fd])
			close_descriptor(table, thread != NULL ? thread->process : NULL, fd);
	}
}

static unsigned first_free(const struct file_table *table, unsigned lowest)
{
	unsigned fd = lowest > table->lowest ? lowest : table->lowest;
	while (fd < table->end && table->files[fd] != NULL)
		fd++;
	return fd;
}

int file_table_install(struct file_table *table, struct file *file, unsigned lowest, bool close_on_exec,
                       uint64_t limit)
{
	unsigned fd = first_free(table, lowest);
	if (fd >= limit)
		return -EMFILE;
	int error = table_grow(table, fd + 1);
	if (error != 0)
		return error;
	slot_set(table, fd, file_get(file), close_on_exec);
	if (lowest <= table->lowest)
		table->lowest = fd + 1;
	return (int)fd;
}

struct file *file_table_lookup(struct thread *thread, int fd)
{
	struct file_table *table = thread->process->files;
	if (table == NULL || fd < 0 || (unsigned)fd >= table->size)
		return NULL;
	return table->files[fd];
}

struct file *file_of_any(struct thread *thread, int fd)
{
	struct file *file = file_table_lookup(thread, fd);
	return file != NULL ? file_get(file) : NULL;
}

struct file *file_of(struct thread *thread, int fd)
{
	struct file *file = file_table_lookup(thread, fd);
	return file != NULL && !(file->flags & O_PATH) ? file_get(file) : NULL;
}

static uint64_t file_limit(struct thread *thread)
{
	return thread->process->limits[RLIMIT_FILES_].current;
}

int file_room(struct thread *thread)
{
	return first_free(thread->process->files, 0) < file_limit(thread) ? 0 : -EMFILE;
}

int file_install(struct thread *thread, struct file *file, bool close_on_exec)
{
	int fd = file_table_install(thread->process->files, file, 0, close_on_exec, file_limit(thread));
	file_put(file);
	return fd;
}

unsigned file_table_size(const struct file_table *table)
{
	return table->size;
}

unsigned file_table_end(const struct file_table *table)
{
	return table->end;
}

struct file *file_table_at(struct file_table *table, unsigned fd)
{
	return fd < table->size ? table->files[fd] : NULL;
}

/* ---- calls ---- */

long sys_close(struct thread *thread, const uint64_t arguments[6])
{
	return close_descriptor(thread->process->files, thread->process, (unsigned)arguments[0]);
}

long sys_close_range(struct thread *thread, const uint64_t arguments[6])
{
	enum { UNSHARE = 2, CLOEXEC = 4 };
	unsigned first = (unsigned)arguments[0], last = (unsigned)arguments[1],
	         flags = (unsigned)arguments[2];
	if (first > last || flags & ~(unsigned)(UNSHARE | CLOEXEC))
		return -EINVAL;
	if (flags & UNSHARE && file_table_unshare(thread->process) != 0)
		return -ENOMEM;
	struct file_table *table = file_table_get(thread->process->files); /* closing may wait */
	for (uint64_t fd = first; fd <= last && fd < table->end; fd++) {
		if (table->files[fd] == NULL)
			continue;
		if (flags & CLOEXEC)
			table->close_on_exec[fd] = true;
		else
			close_descriptor(table, thread->process, (unsigned)fd);
	}
	file_table_put(table);
	return 0;
}

static long duplicate(struct thread *thread, int fd, unsigned lowest, bool close_on_exec)
{
	struct file *file = file_table_lookup(thread, fd);
	if (file == NULL)
		return -EBADF;
	return file_table_install(thread->process->files, file, lowest, close_on_exec, file_limit(thread));
}

long sys_dup(struct thread *thread, const uint64_t arguments[6])
{
	return duplicate(thread, (int)arguments[0], 0, false);
}

static long duplicate_to(struct thread *thread, int from, unsigned to, bool close_on_exec)
{
	struct file_table *table = thread->process->files;
	struct file *file = file_table_lookup(thread, from);
	if (file == NULL || to >= file_limit(thread))
		return -EBADF;
	int error = table_grow(table, to + 1);
	if (error != 0)
		return error;
	struct file *old = table->files[to];
	slot_set(table, to, file_get(file), close_on_exec);
	if (old != NULL) {
		descriptor_closed(old, table, thread->process);
		file_put(old);
	}
	return (long)to;
}

long sys_dup2(struct thread *thread, const uint64_t arguments[6])
{
	int from = (int)arguments[0];
	unsigned to = (unsigned)arguments[1];
	if (from == (int)to)
		return file_table_lookup(thread, from) != NULL ? (long)to : -EBADF;
	return duplicate_to(thread, from, to, false);
}

long sys_dup3(struct thread *thread, const uint64_t arguments[6])
{
	if ((unsigned)arguments[2] & ~(unsigned)O_CLOEXEC || (int)arguments[0] == (int)arguments[1])
		return -EINVAL;
	return duplicate_to(thread, (int)arguments[0], (unsigned)arguments[1],
	                    (arguments[2] & O_CLOEXEC) != 0);
}

bool fd_closes_on_exec(struct thread *thread, int fd)
{
	return file_table_lookup(thread, fd) != NULL && thread->process->files->close_on_exec[fd];
}

int fd_set_close_on_exec(struct thread *thread, int fd, bool value)
{
	if (file_table_lookup(thread, fd) == NULL)
		return -EBADF;
	thread->process->files->close_on_exec[fd] = value;
	return 0;
}

bool file_table_closes_on_exec(const struct file_table *table, unsigned fd)
{
	return table->close_on_exec[fd];
}

#define SETTABLE (O_APPEND | O_NONBLOCK | O_ASYNC | O_DIRECT | O_NOATIME)

static long command_on(struct thread *thread, int fd, struct file *file, int command, uint64_t argument)
{
	enum {
		NOTIFY = 1026,
		DUPFD_CLOEXEC = 1030,
		SETPIPE = 1031,
		GETPIPE = 1032,
		ADD_SEALS = 1033,
		GET_SEALS = 1034
	};
	switch (command) {
	case F_DUPFD:
	case DUPFD_CLOEXEC:
		if (argument >= file_limit(thread))
			return -EINVAL;
		return duplicate(thread, fd, (unsigned)argument, command == DUPFD_CLOEXEC);
	case F_GETFD:
		return fd_closes_on_exec(thread, fd) ? FD_CLOEXEC : 0;
	case F_SETFD:
		return fd_set_close_on_exec(thread, fd, argument & FD_CLOEXEC);
	case F_GETFL:
		return (long)file->flags;
	case F_SETFL:
		if (file->flags & O_PATH)
			return -EBADF;
		if (argument & ~(uint64_t)file->flags & O_NOATIME &&
		    !inode_owner_or_capable(thread, file->inode))
			return -EPERM;
		if ((argument ^ file->flags) & O_APPEND && file->inode->attributes.flags & FS_FLAG_APPEND)
			return -EPERM;
		file->flags = (file->flags & ~(unsigned)SETTABLE) | ((unsigned)argument & SETTABLE);
		return 0;
	case F_GETLK:
	case F_SETLK:
	case F_SETLKW:
	case 36: /* F_OFD_GETLK, F_OFD_SETLK, F_OFD_SETLKW */
	case 37:
	case 38:
		if (file->flags & O_PATH)
			return -EBADF;
		return file_lock_command(thread, fd, command, argument);
	case FILE_SETOWN:
	case FILE_GETOWN:
	case FILE_SETSIG:
	case FILE_GETSIG:
	case FILE_SETOWN_EX:
	case FILE_GETOWN_EX:
		if (file->flags & O_PATH)
			return -EBADF;
		return file_owner_command(thread, file, command, argument);
	case NOTIFY:
		if (file->flags & O_PATH)
			return -EBADF;
		return directory_notify_command(thread, file, fd, argument);
	case SETPIPE:
	case GETPIPE:
		return pipe_size_command(thread, file, command == SETPIPE, argument);
	case ADD_SEALS:
	case GET_SEALS:
		return seals_command(file, command == ADD_SEALS, argument);
	default:
		return -EINVAL;
	}
}

long sys_fcntl(struct thread *thread, const uint64_t arguments[6])
{
	int fd = (int)arguments[0];
	struct file *file = file_of_any(thread, fd); /* some commands wait, and it may be closed meanwhile */
	if (file == NULL)
		return -EBADF;
	long result = command_on(thread, fd, file, (int)arguments[1], arguments[2]);
	file_put(file);
	return result;
}

/* ---- root, working directory, umask ---- */

struct fs_context *fs_context_create(void)
{
	struct fs_context *context = calloc(1, sizeof(*context));
	if (context == NULL)
		return NULL;
	context->references = 1;
	context->umask = 022;
	context->tree = tree_get(root_mount());
	context->root = dentry_get(root_mount()->root);
	context->cwd = dentry_get(root_mount()->root);
	return context;
}

struct fs_context *fs_context_copy(struct fs_context *context)
{
	struct fs_context *copy = calloc(1, sizeof(*copy));
	if (copy == NULL)
		return NULL;
	copy->references = 1;
	copy->umask = context->umask;
	copy->tree = tree_get(context->tree);
	copy->root = dentry_get(context->root);
	copy->cwd = dentry_get(context->cwd);
	return copy;
}

int fs_context_unshare(struct process *process)
{
	if (process->fs->references == 1)
		return 0;
	struct fs_context *copy = fs_context_copy(process->fs);
	if (copy == NULL)
		return -ENOMEM;
	fs_context_put(process->fs);
	process->fs = copy;
	return 0;
}

struct fs_context *fs_context_get(struct fs_context *context)
{
	context->references++;
	return context;
}

void fs_context_put(struct fs_context *context)
{
	if (context == NULL || --context->references > 0)
		return;
	dentry_put(context->root);
	dentry_put(context->cwd);
	tree_put(context->tree);
	free(context);
}

static int set_directory(struct thread *thread, struct dentry *dentry, bool root)
{
	int error = 0;
	if (!S_ISDIR(dentry->inode->attributes.mode))
		error = -ENOTDIR;
	else
		error = inode_permission(thread, dentry->inode, MAY_EXECUTE);
	if (error != 0) {
		dentry_put(dentry);
		return error;
	}
	struct dentry **place = root ? &thread->process->fs->root : &thread->process->fs->cwd;
	struct dentry *old = *place;
	*place = dentry;
	dentry_put(old);
	return 0;
}

long sys_chdir(struct thread *thread, const uint64_t arguments[6])
{
	struct dentry *dentry;
	int error = user_path_lookup(thread, AT_FDCWD_LINUX, arguments[0], LOOKUP_FOLLOW | LOOKUP_DIRECTORY,
	                             &dentry);
	return error != 0 ? error : set_directory(thread, dentry, false);
}

long sys_fchdir(struct thread *thread, const uint64_t arguments[6])
{
	struct file *file = file_table_lookup(thread, (int)arguments[0]);
	if (file == NULL)
		return -EBADF;
	if (file->dentry == NULL)
		return -ENOTDIR;
	return set_directory(thread, dentry_get(file->dentry), false);
}

long sys_chroot(struct thread *thread, const uint64_t arguments[6])
{
	struct dentry *dentry;
	int error = user_path_lookup(thread, AT_FDCWD_LINUX, arguments[0], LOOKUP_FOLLOW | LOOKUP_DIRECTORY,
	                             &dentry);
	if (error != 0)
		return error;
	if (!capable(thread, CAP_SYS_CHROOT)) {
		dentry_put(dentry);
		return -EPERM;
	}
	return set_directory(thread, dentry, true);
}

long sys_umask(struct thread *thread, const uint64_t arguments[6])
{
	unsigned old = thread->process->fs->umask;
	thread->process->fs->umask = (unsigned)arguments[0] & 0777;
	return (long)old;
}

long sys_getcwd(struct thread *thread, const uint64_t arguments[6])
{
	char path[PATH_SIZE];
	struct dentry *cwd = thread_cwd(thread);
	if (cwd->parent != NULL && !cwd->hashed && !cwd->inode->superblock->volatile_names)
		return -ENOENT;
	int length = dentry_path(thread, cwd, path, sizeof(path));
	if (length < 0)
		return length;
	if (!dentry_is_within(thread_root(thread), cwd)) { /* it was left outside when the root changed */
		static const char prefix[] = "(unreachable)";
		if ((size_t)length + sizeof(prefix) > sizeof(path))
			return -ENAMETOOLONG;
		memmove(path + sizeof(prefix) - 1, path, (size_t)length + 1);
		memcpy(path, prefix, sizeof(prefix) - 1);
		length += (int)sizeof(prefix) - 1;
	}
	if ((uint64_t)length + 1 > arguments[1])
		return -ERANGE;
	int error = copy_to_user(thread, arguments[0], path, (size_t)length + 1);
	return error != 0 ? error : length + 1;
}
