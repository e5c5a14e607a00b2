/* SPDX-License-Identifier: MIT */
/*
 * Path resolution and permissions. A walk goes component by component; a symlink's target is put in front of
 * what is left of the path, so that nothing recurses. walk_parent stops before the last component: what that
 * one means is the caller's matter.
 */
#include "capability.h"
#include "fs/internal.h"

static const struct credentials root_credentials = {.effective = CAPABILITY_ALL};

static const struct credentials *credentials_of(struct thread *thread)
{
	return thread != NULL ? &thread->process->credentials : &root_credentials;
}

int permission_check(const struct credentials *credentials, const struct inode *inode, unsigned mask)
{
	uint32_t mode = inode->attributes.mode;
	if (mask & MAY_WRITE && inode->attributes.flags & FS_FLAG_IMMUTABLE)
		return -EPERM;
	if (has_capability(credentials, CAP_DAC_OVERRIDE)) /* all but executing what nobody may execute */
		return (mask & MAY_EXECUTE) && !S_ISDIR(mode) && (mode & 0111) == 0 ? -EACCES : 0;
	if (has_capability(credentials, CAP_DAC_READ_SEARCH) &&
	    (S_ISDIR(mode) ? !(mask & MAY_WRITE) : mask == MAY_READ))
		return 0;
	if (inode->attributes.uid == credentials->fsuid)
		mode >>= 6;
	else if (credentials_in_group(credentials, inode->attributes.gid))
		mode >>= 3;
	return (mode & mask) == mask ? 0 : -EACCES;
}

int inode_permission(struct thread *thread, const struct inode *inode, unsigned mask)
{
	return permission_check(credentials_of(thread), inode, mask);
}

bool inode_owner_or_capable(struct thread *thread, const struct inode *inode)
{
	const struct credentials *credentials = credentials_of(thread);
	return credentials->fsuid == inode->attributes.uid || has_capability(credentials, CAP_FOWNER);
}

struct dentry *thread_root(struct thread *thread)
{
	if (thread != NULL && thread->process->fs != NULL && thread->process->fs->root != NULL)
		return thread->process->fs->root;
	return root_mount()->root;
}

struct dentry *thread_cwd(struct thread *thread)
{
	if (thread != NULL && thread->process->fs != NULL && thread->process->fs->cwd != NULL)
		return thread->process->fs->cwd;
	return root_mount()->root;
}

struct dentry *mount_cross(struct dentry *dentry)
{
	while (dentry->mounted != NULL) {
		struct dentry *top = dentry_get(dentry->mounted->root);
		dentry->mounted->crossed++;
		dentry_put(dentry);
		dentry = top;
	}
	return dentry;
}

static void walk_move(struct walk *walk, struct dentry *to) /* consumes the reference */
{
	dentry_put(walk->current);
	walk->current = to;
}

/* Where absolute paths begin and ".." leads to itself. */
static struct dentry *walk_root(const struct walk *walk)
{
	return walk->scope != NULL ? walk->scope : thread_root(walk->thread);
}

/* From the root of a mount to where it is mounted, up to this root. */
static struct dentry *leave_mounts(struct dentry *dentry, struct dentry *root)
{
	while (dentry != root && dentry->parent == NULL && dentry->mount != NULL &&
	       dentry == dentry->mount->root && dentry->mount->mountpoint != NULL)
		dentry = dentry->mount->mountpoint;
	return dentry;
}

/* As dentry_is_ancestor, but through mounts. */
bool dentry_is_within(struct dentry *scope, struct dentry *dentry)
{
	while (dentry != NULL && dentry != scope) {
		dentry = leave_mounts(dentry, scope);
		if (dentry != scope)
			dentry = dentry->parent;
	}
	return dentry != NULL;
}

static int walk_up(struct walk *walk)
{
	struct dentry *root = walk_root(walk), *dentry = leave_mounts(walk->current, root);
	if (dentry == root && walk->resolve & RESOLVE_BENEATH)
		return -EXDEV;
	if (dentry != walk->current && walk->resolve & RESOLVE_NO_XDEV)
		return -EXDEV;
	if (dentry != root && dentry->parent != NULL)
		dentry = dentry->parent;
	if (walk->scope != NULL && !dentry_is_within(walk->scope, dentry))
		return -EXDEV; /* the directory was moved out of it meanwhile */
	walk_move(walk, mount_cross(dentry_get(dentry)));
	return 0;
}

/* To the root: the symlink is absolute. */
static int walk_to_root(struct walk *walk)
{
	struct dentry *root = walk_root(walk);
	if (walk->resolve & RESOLVE_BENEATH)
		return -EXDEV;
	root = mount_cross(dentry_get(root));
	if (walk->resolve & RESOLVE_NO_XDEV && walk->current->mount != root->mount) {
		dentry_put(root);
		return -EXDEV;
	}
	walk_move(walk, root);
	return 0;
}

/* Where the path begins, in walk->current. */
static int walk_from(struct walk *walk, int dirfd, const char *path)
{
	struct thread *thread = walk->thread;
	if (path[0] == '/' && !(walk->resolve & RESOLVE_IN_ROOT)) {
		if (walk->resolve & RESOLVE_BENEATH)
			return -EXDEV;
		walk->current = mount_cross(dentry_get(thread_root(thread)));
		return 0;
	}
	if (dirfd == AT_FDCWD_LINUX || thread == NULL) {
		walk->current = dentry_get(thread_cwd(thread));
		return 0;
	}
	struct file *file = file_table_lookup(thread, dirfd);
	if (file == NULL)
		return -EBADF;
	if (file->dentry == NULL || !S_ISDIR(file->inode->attributes.mode))
		return -ENOTDIR;
	walk->current = dentry_get(file->dentry);
	return 0;
}

int walk_start(struct walk *walk, struct thread *thread, int dirfd, const char *path, unsigned resolve)
{
	/* the rest is set where it gets a meaning: every path comes by here */
	walk->thread = thread;
	walk->credentials = credentials_of(thread);
	walk->current = walk->scope = NULL;
	walk->buffer = NULL;
	walk->links = 0;
	walk->resolve = resolve;
	if (path[0] == 0)
		return -ENOENT;
	if (strlen(path) >= PATH_SIZE)
		return -ENAMETOOLONG;
	int error = walk_from(walk, dirfd, path);
	if (error != 0)
		return error;
	walk->rest = path;
	if (resolve & (RESOLVE_BENEATH | RESOLVE_IN_ROOT))
		walk->scope = dentry_get(walk->current);
	return 0;
}

void walk_end(struct walk *walk)
{
	dentry_put(walk->current);
	if (walk->scope != NULL)
		dentry_put(walk->scope);
	free(walk->buffer);
}

/* A link of /proc that leads to an object, wherever that is. */
static int follow_object(struct walk *walk, struct inode *inode)
{
	struct dentry *target = NULL;
	if (walk->resolve & RESOLVE_NO_MAGICLINKS)
		return -ELOOP;
	int error = inode->operations->follow(inode, walk->thread, &target);
	if (error != 0)
		return error;
	if (walk->scope != NULL ||
	    (walk->resolve & RESOLVE_NO_XDEV && target->mount != walk->current->mount)) {
		dentry_put(target);
		return -EXDEV;
	}
	walk_move(walk, target);
	return 0;
}

int walk_follow(struct walk *walk, struct dentry *link)
{
	struct inode *inode = link->inode;
	if (++walk->links > SYMLINKS_MAX || walk->resolve & RESOLVE_NO_SYMLINKS ||
	    (link->mount != NULL && link->mount->flags & LINUX_MS_NOSYMFOLLOW))
		return -ELOOP;
	if (inode->operations->follow != NULL)
		return follow_object(walk, inode);
	if (inode->operations->readlink == NULL)
		return -EINVAL;
	char *target = malloc(PATH_SIZE);
	if (target == NULL)
		return -ENOMEM;
	ssize_t length = inode->operations->readlink(inode, target, PATH_SIZE - 1);
	size_t rest = strlen(walk->rest);
	if (length == 0)
		length = -ENOENT;
	if (length > 0 && (size_t)length + rest + 2 > PATH_SIZE)
		length = -ENAMETOOLONG;
	if (length < 0) {
		free(target);
		return (int)length;
	}
	/* what was left, or the slash that followed the link, comes after the target */
	if (rest > 0 || walk->slash)
		target[length++] = '/';
	memcpy(target + length, walk->rest, rest + 1);
	free(walk->buffer);
	walk->rest = walk->buffer = target;
	return target[0] == '/' ? walk_to_root(walk) : 0;
}

/* Splits the next component off; false: nothing is left. */
static bool next_component(struct walk *walk)
{
	const char *p = walk->rest;
	while (*p == '/')
		p++;
	if (*p == 0) {
		walk->rest = p;
		return false;
	}
	const char *end = p;
	while (*end != 0 && *end != '/')
		end++;
	walk->name = p;
	walk->length = (size_t)(end - p);
	walk->slash = *end == '/';
	while (*end == '/')
		end++;
	walk->rest = end;
	return true;
}

static int directory_searchable(struct walk *walk)
{
	if (!S_ISDIR(walk->current->inode->attributes.mode))
		return -ENOTDIR;
	return permission_check(walk->credentials, walk->current->inode, MAY_EXECUTE);
}

/* One component that is not the last. */
static int walk_into(struct walk *walk)
{
	struct dentry *child;
	int error = walk_lookup(walk, false, &child);
	if (error != 0)
		return error;
	if (child->inode == NULL)
		error = -ENOENT;
	else if (child->mounted != NULL)
		error = walk_cross(walk, &child);
	if (error == 0 && S_ISDIR(child->inode->attributes.mode)) {
		walk_move(walk, child);
		return 0;
	}
	if (error == 0)
		error = S_ISLNK(child->inode->attributes.mode) ? walk_follow(walk, child) : -ENOTDIR;
	dentry_put(child);
	return error;
}

int walk_parent(struct walk *walk)
{
	walk->last = LAST_ROOT;
	walk->slash = false;
	while (next_component(walk)) {
		int error = directory_searchable(walk);
		if (error != 0)
			return error;
		bool last = *walk->rest == 0;
		if (walk->length == 1 && walk->name[0] == '.') {
			walk->last = LAST_DOT;
			continue;
		}
		if (walk->length == 2 && walk->name[0] == '.' && walk->name[1] == '.') {
			error = walk_up(walk);
			if (error != 0)
				return error;
			walk->last = LAST_DOTDOT;
			continue;
		}
		if (walk->length > NAME_LENGTH_MAX)
			return -ENAMETOOLONG;
		walk->last = LAST_NAME;
		if (last)
			return 0;
		error = walk_into(walk);
		if (error != 0)
			return error;
		walk->last = LAST_ROOT;
	}
	return 0;
}

/* Walks to the end. The result is walk->current. */
static int walk_all(struct walk *walk, unsigned flags)
{
	bool must_be_directory = flags & LOOKUP_DIRECTORY;
	for (;;) {
		int error = walk_parent(walk);
		if (error != 0)
			return error;
		if (walk->last != LAST_NAME)
			break;
		must_be_directory |= walk->slash;
		struct dentry *child;
		error = dentry_lookup(walk->current, walk->name, walk->length, false, &child);
		if (error != 0)
			return error;
		if (child->inode == NULL) {
			dentry_put(child);
			return -ENOENT;
		}
		child = mount_cross(child);
		if (S_ISLNK(child->inode->attributes.mode) && (flags & LOOKUP_FOLLOW || walk->slash)) {
			error = walk_follow(walk, child);
			dentry_put(child);
			if (error != 0)
				return error;
			continue;
		}
		walk_move(walk, child);
		break;
	}
	if (must_be_directory && !S_ISDIR(walk->current->inode->attributes.mode))
		return -ENOTDIR;
	return 0;
}

int path_lookup_as(struct thread *thread, const struct credentials *credentials, int dirfd, const char *path,
                   unsigned flags, struct dentry **out)
{
	if (path[0] == 0 && flags & LOOKUP_EMPTY) {
		if (dirfd == AT_FDCWD_LINUX) {
			*out = dentry_get(thread_cwd(thread));
			return 0;
		}
		struct file *file = file_table_lookup(thread, dirfd);
		if (file == NULL)
			return -EBADF;
		if (file->dentry == NULL)
			return -EINVAL; /* callers that can do without a dentry look at the descriptor first
			                 */
		*out = dentry_get(file->dentry);
		return 0;
	}
	struct walk walk;
	int error = walk_start(&walk, thread, dirfd, path, 0);
	walk.credentials = credentials;
	if (error == 0)
		error = walk_all(&walk, flags);
	if (error == 0)
		*out = dentry_get(walk.current);
	walk_end(&walk);
	return error;
}

int path_lookup(struct thread *thread, int dirfd, const char *path, unsigned flags, struct dentry **out)
{
	return path_lookup_as(thread, credentials_of(thread), dirfd, path, flags, out);
}

int vfs_lookup(struct thread *thread, int dirfd, const char *path, bool follow, struct dentry **out)
{
	return path_lookup(thread, dirfd, path, follow ? LOOKUP_FOLLOW : 0, out);
}

int path_from_user(struct thread *thread, uint64_t address, char **out)
{
	char buffer[PATH_SIZE];
	ssize_t length = copy_string_from_user(thread, buffer, address, sizeof(buffer));
	if (length < 0)
		return (int)length;
	char *copy = malloc((size_t)length + 1);
	if (copy == NULL)
		return -ENOMEM;
	memcpy(copy, buffer, (size_t)length + 1);
	*out = copy;
	return 0;
}

int user_path_lookup(struct thread *thread, int dirfd, uint64_t path, unsigned flags, struct dentry **out)
{
	char *text;
	int error = path_from_user(thread, path, &text);
	if (error != 0)
		return error;
	error = path_lookup(thread, dirfd, text, flags, out);
	free(text);
	return error;
}
