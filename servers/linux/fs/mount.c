/* SPDX-License-Identifier: MIT */
/*
 * The mount table: which file system is seen where. A mount covers its mount point's dentry
 * (dentry->mounted); a bind mount is a second mount of the same file system with a root of its own. Mounts
 * are trees: a mount namespace is the tree that a process lives in. As each mount has dentries of its own,
 * those of others are out of reach by themselves.
 */
#include "capability.h"
#include "fs/notify.h"
#include <stdio.h>
#include "syscall.h"
#include <pith/log.h>

#define ROOT_PARENT_ID 1 /* what Linux mounts the root on, which nobody sees */

static struct mount *mounts, **mounts_end = &mounts; /* in the order they were made; the first is the root */

/* Held by who changes the mounts; then they stay as they are while he waits. */
static struct fiber_mutex mounting;

static const struct filesystem {
	const char *name;
	filesystem_mount *mount;
} filesystems[] = {
        {"tmpfs", tmpfs_mount}, {"proc", proc_mount},   {"devtmpfs", devfs_mount}, {"devpts", devpts_mount},
        {"pith", pithfs_mount}, {"sysfs", sysfs_mount}, {"ramfs", tmpfs_mount},
};

struct mount *mount_first(void)
{
	return mounts;
}

struct mount *root_mount(void)
{
	return mounts;
}

uint64_t device_number_next(void)
{
	static uint32_t minor;
	return linux_device(0, ++minor);
}

bool mount_read_only(const struct dentry *dentry)
{
	return dentry->inode->superblock->read_only ||
	       (dentry->mount != NULL && dentry->mount->flags & LINUX_MS_RDONLY);
}

bool mount_noexec(const struct dentry *dentry)
{
	return dentry->mount != NULL && dentry->mount->flags & LINUX_MS_NOEXEC;
}

#define ACCESS_TIMES (LINUX_MS_NOATIME | LINUX_MS_NODIRATIME | LINUX_MS_RELATIME | LINUX_MS_STRICTATIME)
#define MOUNT_FLAGS_KEPT                                                                               \
	(LINUX_MS_RDONLY | LINUX_MS_NOSUID | LINUX_MS_NODEV | LINUX_MS_NOEXEC | LINUX_MS_NOSYMFOLLOW | \
	 ACCESS_TIMES)

/* Those of them that are a mount's own. */
static unsigned long flags_kept(unsigned long flags)
{
	if (flags & LINUX_MS_STRICTATIME)
		flags &= ~(unsigned long)(LINUX_MS_RELATIME | LINUX_MS_NOATIME);
	else if (flags & LINUX_MS_NOATIME)
		flags &= ~(unsigned long)LINUX_MS_RELATIME;
	else
		flags |= LINUX_MS_RELATIME;
	return flags & MOUNT_FLAGS_KEPT;
}

/* Over what others have put there since it was looked up. */
static void mount_put_on(struct mount *mount, struct dentry *mountpoint)
{
	while (mountpoint->mounted != NULL)
		mountpoint = mountpoint->mounted->root;
	mount->mountpoint = dentry_get(mountpoint);
	mountpoint->mounted = mount;
}

struct mount *mount_attach(struct superblock *superblock, struct inode *root, struct dentry *mountpoint,
                           unsigned long flags)
{
	static unsigned last_id = 20;
	struct mount *mount = calloc(1, sizeof(*mount));
	if (mount == NULL)
		return NULL;
	mount->id = ++last_id;
	mount->superblock = superblock;
	mount->root = dentry_create(NULL, mount, "", 0, root);
	if (mount->root == NULL) {
		free(mount);
		return NULL;
	}
	mount->flags = flags_kept(flags);
	if (mountpoint != NULL)
		mount_put_on(mount, mountpoint);
	superblock->mounts++;
	*mounts_end = mount;
	mounts_end = &mount->next;
	return mount;
}

/* Off its mount point; it stays in the table. */
static void mount_detach(struct mount *mount)
{
	struct dentry *mountpoint = mount->mountpoint;
	if (mountpoint == NULL)
		return;
	mountpoint->mounted = NULL;
	mount->mountpoint = NULL;
	dentry_put(mountpoint);
}

static void mount_remove(struct mount *mount)
{
	struct mount **link = &mounts;
	while (*link != mount)
		link = &(*link)->next;
	*link = mount->next;
	if (mounts_end == &mount->next)
		mounts_end = link;
}

void superblock_release(struct superblock *superblock)
{
	if (--superblock->mounts > 0)
		return;
	superblock_sync(superblock);
	notify_unmounted(superblock);
	inodes_forget(superblock);
	if (superblock->operations->unmount != NULL && superblock->operations->unmount(superblock) == -EBUSY)
		return; /* a single instance that lives on (devfs) */
	superblock_end(superblock);
}

/* Of one that is held. 0: gone. -EBUSY: in use. -EINVAL: another fiber was faster. */
static int mount_end(struct mount *mount)
{
	dentries_forget(mount);
	if (mount->ended)
		return -EINVAL;
	if (mount->root->references > 1)
		return -EBUSY;
	mount->ended = true;
	mount_remove(mount);
	mount_detach(mount);
	dentry_put(mount->root);
	free(mount->within);
	mount->within = NULL;
	superblock_release(mount->superblock);
	return 0;
}

void mount_hold(struct mount *mount)
{
	mount->in_use++;
	mount->superblock->mounts++;
}

bool mount_release(struct mount *mount)
{
	bool ended = mount->ended;
	struct superblock *superblock = mount->superblock;
	if (--mount->in_use == 0 && ended)
		free(mount);
	superblock_release(superblock);
	return !ended;
}

int filesystem_create(const char *type, const char *source, const char *options, struct superblock **out)
{
	for (size_t i = 0; i < sizeof(filesystems) / sizeof(filesystems[0]); i++) {
		if (strcmp(filesystems[i].name, type) != 0)
			continue;
		int error = filesystems[i].mount(source, options, out);
		if (error == 0 && (*out)->source[0] == 0)
			snprintf((*out)->source, sizeof((*out)->source), "%s", source);
		return error;
	}
	return -ENODEV;
}

int mount_at(const char *path, const char *type, const char *source, const char *options)
{
	struct dentry *mountpoint;
	struct superblock *superblock;
	int error = path_lookup(NULL, AT_FDCWD_LINUX, path, LOOKUP_FOLLOW | LOOKUP_DIRECTORY, &mountpoint);
	if (error != 0)
		return error;
	error = filesystem_create(type, source, options, &superblock);
	if (error == 0 && mount_attach(superblock, superblock->root, mountpoint, 0) == NULL)
		error = -ENOMEM;
	dentry_put(mountpoint);
	return error;
}

/* Is anything open that could still change the files that are seen through the mount, or with `all` its file
 * system? */
static bool mount_is_written(const struct mount *mount, bool all)
{
	if (!all)
		return mount->writers > 0;
	for (const struct mount *other = mounts; other != NULL; other = other->next) {
		if (other->superblock == mount->superblock && other->writers > 0)
			return true;
	}
	return inodes_kept(mount->superblock);
}

/* For all who see it. */
static void superblock_set_flags(struct superblock *superblock, unsigned long flags)
{
	superblock->read_only = flags & LINUX_MS_RDONLY;
	superblock->synchronous = flags & LINUX_MS_SYNCHRONOUS;
}

static int do_remount(struct dentry *target, unsigned long flags, const char *options)
{
	struct mount *mount = target->mount;
	if (target != mount->root)
		return -EINVAL;
	if (flags & LINUX_MS_RDONLY && !mount_read_only(target) &&
	    mount_is_written(mount, !(flags & LINUX_MS_BIND)))
		return -EBUSY;
	if (!(flags & (LINUX_MS_RDONLY | LINUX_MS_BIND)) && mount->superblock->unwritable)
		return -EROFS;
	int (*remount)(struct superblock *, const char *) = mount->superblock->operations->remount;
	int error = remount != NULL && !(flags & LINUX_MS_BIND) ? remount(mount->superblock, options) : 0;
	if (error != 0)
		return error;
	if (!(flags & ACCESS_TIMES))
		flags |= mount->flags & ACCESS_TIMES;
	mount->flags = flags_kept(flags);
	if (flags & LINUX_MS_RDONLY)
		superblock_sync(mount->superblock);
	if (!(flags & LINUX_MS_BIND))
		superblock_set_flags(mount->superblock, flags);
	return 0;
}

int mount_path_within(struct dentry *dentry, char **out)
{
	char path[PATH_SIZE];
	struct mount *mount = dentry->mount;
	*out = NULL;
	if (mount == NULL || (dentry == mount->root && mount->within == NULL))
		return 0;
	int length = dentry != mount->root ? dentry_path_raw(mount->root, dentry, path, sizeof(path)) : 0;
	if (length < 0)
		return length;
	const char *above = mount->within != NULL ? mount->within : "";
	*out = malloc(strlen(above) + (size_t)length + 1);
	if (*out == NULL)
		return -ENOMEM;
	sprintf(*out, "%s%.*s", above, length, path);
	return 0;
}

/* NULL: not below `from`, or no memory. */
static char *moved_path(const char *path, const char *from, const char *to)
{
	size_t length = strlen(from);
	if (strncmp(path, from, length) != 0 || (path[length] != 0 && path[length] != '/') ||
	    strncmp(path + length, "//", 2) == 0) /* of that name, but deleted before */
		return NULL;
	char *result = malloc(strlen(path) - length + strlen(to) + 1);
	if (result != NULL)
		sprintf(result, "%s%s", to, path + length);
	return result;
}

void mounts_moved(const struct superblock *superblock, const char *from, const char *to, bool exchange)
{
	for (struct mount *mount = mounts; mount != NULL; mount = mount->next) {
		if (mount->superblock != superblock || mount->within == NULL)
			continue;
		char *within = moved_path(mount->within, from, to);
		if (within == NULL && exchange)
			within = moved_path(mount->within, to, from);
		if (within == NULL)
			continue;
		free(mount->within);
		mount->within = within;
	}
}

/* ---- copies ---- */

/* Of the mount that `from` is seen through, with that as its root; it is mounted nowhere so far. */
static int mount_copy(struct dentry *from, struct mount **out)
{
	char *within;
	int error = mount_path_within(from, &within);
	if (error != 0)
		return error;
	*out = mount_attach(from->inode->superblock, from->inode, NULL, from->mount->flags);
	if (*out == NULL) {
		free(within);
		return -ENOMEM;
	}
	(*out)->within = within;
	return 0;
}

/* What the dentry, which is below `origin` in its mount, is below `top`. */
static int lookup_again(struct dentry *dentry, struct dentry *origin, struct dentry *top, struct dentry **out)
{
	char path[PATH_SIZE];
	int error = dentry_path_raw(origin, dentry, path, sizeof(path));
	struct dentry *found = dentry_get(top);
	for (const char *name = path + 1; error >= 0 && *name != 0;) {
		struct dentry *directory = found;
		size_t length = strcspn(name, "/");
		error = dentry_lookup(directory, name, length, false, &found);
		if (error != 0)
			found = directory;
		else
			dentry_put(directory);
		if (error == 0 && found->inode == NULL)
			error = -ENOENT;
		name += length + (name[length] == '/');
	}
	if (error >= 0) {
		*out = found;
		return 0;
	}
	dentry_put(found);
	return error;
}

/* Where that would be in the copy of its mount, whose root is the copy of `from`. NULL: it has none. */
static struct dentry *origin_of_copy(const struct dentry *mountpoint, struct dentry *from)
{
	struct mount *mount = mountpoint->mount;
	return mount->copy == NULL ? NULL : mount == from->mount ? from : mount->root;
}

static int copy_onto_copy(struct mount *mount, struct dentry *from)
{
	struct dentry *origin = origin_of_copy(mount->mountpoint, from), *mountpoint;
	int error =
	        lookup_again(mount->mountpoint, origin, mount->mountpoint->mount->copy->root, &mountpoint);
	if (error != 0)
		return error;
	error = mount_copy(mount->root, &mount->copy);
	if (error == 0)
		mount_put_on(mount->copy, mountpoint);
	dentry_put(mountpoint);
	return error;
}

static void copies_forget(void)
{
	for (struct mount *mount = mounts; mount != NULL; mount = mount->next)
		mount->copy = NULL;
}

/* Its top. */
static struct mount *tree_of(struct mount *mount)
{
	while (mount->mountpoint != NULL)
		mount = mount->mountpoint->mount;
	return mount;
}

/* Ends mounts in trees where nobody lives; what somebody uses all the same ends another time. */
static void mounts_sweep(void)
{
	for (struct mount *mount = mounts, *next; mount != NULL; mount = next) {
		const struct mount *top = tree_of(mount);
		next = mount->next;
		if (top == root_mount() || top->contexts > 0)
			continue;
		mount_hold(mount);
		if (mount_end(mount) == 0)
			next = mounts; /* now what it was on can end, too */
		mount_release(mount);
	}
}

/* As mount_copy, with all that is mounted below `from`. Until copies_forget() each mount knows its copy. */
static int tree_copy(struct dentry *from, struct mount **out)
{
	int error = mount_copy(from, out);
	if (error != 0)
		return error;
	from->mount->copy = *out;
	for (struct mount *mount = mounts; mount != NULL && error == 0;) {
		struct dentry *origin = mount->mountpoint != NULL && mount->copy == NULL
		                                ? origin_of_copy(mount->mountpoint, from)
		                                : NULL;
		bool below = origin != NULL && dentry_is_ancestor(origin, mount->mountpoint);
		if (below)
			error = copy_onto_copy(mount, from);
		/* a copy may be what earlier ones are to be put on */
		mount = below && error == 0 ? mounts : mount->next;
		if (error == -ENOENT) /* there is no way to it any more */
			error = 0;
	}
	if (error != 0) {
		copies_forget();
		mounts_sweep();
	}
	return error;
}

/* ---- namespaces ---- */

/* NULL, of what has no name (a pipe, a file in memory, by a link of /proc), is nobody's. */
static bool is_of(struct thread *thread, struct mount *mount)
{
	return mount != NULL && tree_of(mount) == thread->process->fs->tree;
}

struct mount *tree_get(struct mount *top)
{
	top->contexts++;
	return top;
}

void tree_put(struct mount *top)
{
	if (--top->contexts > 0 || top == root_mount())
		return;
	fiber_mutex_lock(&mounting);
	mounts_sweep();
	fiber_mutex_unlock(&mounting);
}

/* From a mount to its copy, if it has one and the same is there. */
static void move_to_copy(struct dentry **place)
{
	struct mount *mount = (*place)->mount;
	struct dentry *old = *place, *new;
	if (mount->copy == NULL || lookup_again(old, mount->root, mount->copy->root, &new) != 0)
		return;
	*place = new;
	dentry_put(old);
}

int tree_unshare(struct fs_context *context)
{
	struct mount *top, *old = context->tree;
	fiber_mutex_lock(&mounting);
	int error = tree_copy(old->root, &top);
	if (error == 0) {
		context->tree = tree_get(top);
		move_to_copy(&context->root);
		move_to_copy(&context->cwd);
		copies_forget();
	}
	fiber_mutex_unlock(&mounting);
	if (error == 0)
		tree_put(old);
	return error;
}

/* ---- the calls ---- */

static int bind(struct dentry *from, struct dentry *target, bool recursive)
{
	struct mount *copy;
	int error = recursive ? tree_copy(from, &copy) : mount_copy(from, &copy);
	copies_forget();
	if (error == 0)
		mount_put_on(copy, target);
	return error;
}

static int do_bind(struct thread *thread, const char *source, struct dentry *target, unsigned long flags)
{
	struct dentry *from;
	int error = path_lookup(thread, AT_FDCWD_LINUX, source, LOOKUP_FOLLOW, &from);
	if (error != 0)
		return error;
	if (!is_of(thread, from->mount))
		error = -EINVAL;
	else if (!dentry_is_live(from) && !from->inode->superblock->volatile_names)
		error = -ENOENT;
	else if (S_ISDIR(from->inode->attributes.mode) != S_ISDIR(target->inode->attributes.mode))
		error = -ENOTDIR;
	else
		error = bind(from, target, flags & LINUX_MS_REC);
	dentry_put(from);
	return error;
}

static int do_move(struct thread *thread, const char *source, struct dentry *target)
{
	struct dentry *from;
	int error = path_lookup(thread, AT_FDCWD_LINUX, source, LOOKUP_FOLLOW, &from);
	if (error != 0)
		return error;
	struct mount *mount = from->mount;
	if (!is_of(thread, mount) || from != mount->root || mount->mountpoint == NULL) {
		error = -EINVAL;
	} else {
		for (struct dentry *up = target; up != NULL;
		     up = up->parent != NULL ? up->parent : up->mount->mountpoint) {
			if (up == from)
				error = -ELOOP;
		}
	}
	if (error == 0) {
		mount_detach(mount);
		mount_put_on(mount, target);
	}
	dentry_put(from);
	return error;
}

static int do_mount(struct thread *thread, const char *source, const char *target_path, const char *type,
                    unsigned long flags, const char *options)
{
	struct dentry *target;
	int error = path_lookup(thread, AT_FDCWD_LINUX, target_path, LOOKUP_FOLLOW, &target);
	if (error != 0)
		return error;
	if (!is_of(thread, target->mount)) {
		error = -EINVAL;
	} else if (!dentry_is_live(target) && !target->inode->superblock->volatile_names) {
		error = -ENOENT;
	} else if (flags & LINUX_MS_REMOUNT) {
		error = do_remount(target, flags, options);
	} else if (flags & LINUX_MS_BIND) {
		error = do_bind(thread, source, target, flags);
	} else if (flags & (LINUX_MS_SHARED | LINUX_MS_PRIVATE | LINUX_MS_SLAVE | LINUX_MS_UNBINDABLE)) {
		error = 0; /* nothing propagates */
	} else if (flags & LINUX_MS_MOVE) {
		error = do_move(thread, source, target);
	} else if (!S_ISDIR(target->inode->attributes.mode)) {
		error = -ENOTDIR;
	} else {
		struct superblock *superblock;
		error = filesystem_create(type, source, options, &superblock);
		if (error == 0 && superblock->mounts == 0)
			superblock_set_flags(superblock, flags);
		if (error == 0 && mount_attach(superblock, superblock->root, target, flags) == NULL)
			error = -ENOMEM;
	}
	dentry_put(target);
	return error;
}

static int optional_string(struct thread *thread, uint64_t address, char **out)
{
	*out = NULL;
	if (address != 0)
		return path_from_user(thread, address, out);
	*out = calloc(1, 1);
	return *out != NULL ? 0 : -ENOMEM;
}

long sys_mount(struct thread *thread, const uint64_t arguments[6])
{
	char *strings[4] = {NULL};
	static const unsigned places[4] = {0, 1, 2, 4};
	if (!capable(thread, CAP_SYS_ADMIN))
		return -EPERM;
	int error = 0;
	for (unsigned i = 0; i < 4 && error == 0; i++)
		error = optional_string(thread, arguments[places[i]], &strings[i]);
	if (error == 0) {
		fiber_mutex_lock(&mounting);
		error = do_mount(thread, strings[0], strings[1], strings[2], arguments[3], strings[3]);
		fiber_mutex_unlock(&mounting);
	}
	for (unsigned i = 0; i < 4; i++)
		free(strings[i]);
	return error;
}

/* Nobody else has crossed onto the mount since the last call with MNT_EXPIRE, which did so too. */
static bool has_expired(struct mount *mount)
{
	if (mount->expires != 0 && mount->crossed == mount->expires)
		return true;
	mount->expires = mount->crossed + 1;
	return false;
}

static int do_umount(struct thread *thread, struct mount *mount, unsigned flags)
{
	if (!is_of(thread, mount))
		return -EINVAL;
	if (mount->mountpoint == NULL)
		return -EBUSY; /* the root of all it sees */
	if (flags & LINUX_MNT_EXPIRE) {
		if (mount == thread_root(thread)->mount || flags & (LINUX_MNT_FORCE | LINUX_MNT_DETACH))
			return -EINVAL;
		dentries_forget(mount);
		if (mount->root->references > 1)
			return -EBUSY;
		if (!has_expired(mount))
			return -EAGAIN;
	}
	int error = superblock_sync(mount->superblock);
	if (error != 0)
		log_warning("umount: write-back failed: %s", error_name(error));
	fiber_mutex_lock(&mounting);
	error = mount_end(mount);
	if (error == -EBUSY && flags & LINUX_MNT_DETACH) {
		mount_detach(mount);
		mounts_sweep();
		error = 0;
	}
	fiber_mutex_unlock(&mounting);
	return error;
}

long sys_umount2(struct thread *thread, const uint64_t arguments[6])
{
	unsigned flags = (unsigned)arguments[1];
	struct dentry *target;
	if (flags &
	    ~(unsigned)(LINUX_MNT_FORCE | LINUX_MNT_DETACH | LINUX_MNT_EXPIRE | LINUX_UMOUNT_NOFOLLOW))
		return -EINVAL;
	int error = user_path_lookup(thread, AT_FDCWD_LINUX, arguments[0],
	                             flags & LINUX_UMOUNT_NOFOLLOW ? 0 : LOOKUP_FOLLOW, &target);
	if (error != 0)
		return error;
	struct mount *mount = target->mount;
	if (!capable(thread, CAP_SYS_ADMIN))
		error = -EPERM;
	else if (mount == NULL || target != mount->root)
		error = -EINVAL;
	if (error != 0) {
		dentry_put(target);
		return error;
	}
	mount_hold(mount);
	dentry_put(target);
	error = do_umount(thread, mount, flags);
	mount_release(mount);
	return error;
}

/* ---- the tables as text ---- */

/* The last one is that of the disks, which the manifest mounts. */
void filesystems_text(struct text *text)
{
	for (size_t i = 0; i < sizeof(filesystems) / sizeof(filesystems[0]); i++)
		text_print(text, "nodev\t%s\n", filesystems[i].name);
	text_print(text, "\text2\n");
}

static void escaped(struct text *text, const char *name)
{
	for (; *name != 0; name++) {
		if (strchr(" \t\n\\", *name) != NULL)
			text_print(text, "\\%03o", (unsigned)*name);
		else
			text_add(text, name, 1);
	}
}

static void mount_flags_text(struct text *text, const struct mount *mount)
{
	static const struct {
		unsigned long flag;
		const char *text;
	} names[] = {
	        {LINUX_MS_NOSUID, ",nosuid"},           {LINUX_MS_NODEV, ",nodev"},
	        {LINUX_MS_NOEXEC, ",noexec"},           {LINUX_MS_NOATIME, ",noatime"},
	        {LINUX_MS_NODIRATIME, ",nodiratime"},   {LINUX_MS_RELATIME, ",relatime"},
	        {LINUX_MS_NOSYMFOLLOW, ",nosymfollow"},
	};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		text_print(text, "%s", mount->flags & names[i].flag ? names[i].text : "");
}

static const char *access_text(bool read_only)
{
	return read_only ? "ro" : "rw";
}

static const char *superblock_flags_text(const struct superblock *superblock)
{
	return superblock->synchronous ? ",sync" : "";
}

static void options_text(struct text *text, const struct superblock *superblock)
{
	if (superblock->operations->describe != NULL)
		superblock->operations->describe(superblock, text);
}

void mounts_text(struct text *text, struct dentry *root, bool mountinfo)
{
	for (struct mount *mount = mounts; mount != NULL; mount = mount->next) {
		char path[PATH_SIZE];
		if (!dentry_is_within(root, mount->root)) /* out of reach */
			continue;
		if (dentry_path_raw(root, mount->root, path, sizeof(path)) < 0)
			continue;
		if (mountinfo) {
			const struct dentry *mountpoint = mount->mountpoint;
			text_print(text, "%u %u %u:%u ", mount->id,
			           mountpoint != NULL ? mountpoint->mount->id : ROOT_PARENT_ID,
			           device_major(mount->superblock->device),
			           device_minor(mount->superblock->device));
			escaped(text, mount->within != NULL ? mount->within : "/");
			text_print(text, " ");
			escaped(text, path);
			text_print(text, " %s", access_text(mount->flags & LINUX_MS_RDONLY));
			mount_flags_text(text, mount);
			text_print(text, " - %s ", mount->superblock->type);
			escaped(text, mount->superblock->source);
			text_print(text, " %s%s", access_text(mount->superblock->read_only),
			           superblock_flags_text(mount->superblock));
			options_text(text, mount->superblock);
			text_print(text, "\n");
			continue;
		}
		escaped(text, mount->superblock->source[0] != 0 ? mount->superblock->source : "none");
		text_print(text, " ");
		escaped(text, path);
		text_print(text, " %s %s%s", mount->superblock->type,
		           access_text(mount_read_only(mount->root)),
		           superblock_flags_text(mount->superblock));
		mount_flags_text(text, mount);
		options_text(text, mount->superblock);
		text_print(text, " 0 0\n");
	}
}

/* ---- the system's end ---- */

void mounts_end_all(void)
{
	for (struct mount *mount = mounts; mount != NULL; mount = mount->next)
		superblock_sync(mount->superblock);
	/* Processes are gone, so that nothing should be busy; what is, is told to be clean all the same:
	 * nobody writes any more. */
	for (struct mount *mount = mounts; mount != NULL; mount = mount->next) {
		bool told = false;
		for (struct mount *before = mounts; before != mount; before = before->next)
			told |= before->superblock == mount->superblock;
		if (told || mount->superblock->operations->unmount == NULL)
			continue;
		dentries_forget(mount);
		inodes_forget(mount->superblock);
		superblock_sync(mount->superblock);
		int error = mount->superblock->operations->unmount(mount->superblock);
		if (error != 0 && error != -EBUSY)
			log_error("%s: unmount: %s", mount->superblock->source, error_name(error));
	}
}
