/* SPDX-License-Identifier: MIT */
/*
 * inotify: files are watched, and what happens to them is read from a descriptor. A watch belongs to its
 * instance and to its inode. dnotify is older: a signal says that something happened in a directory; its
 * watches belong to the directory's open file. A watch is no reference to the inode, so that the last name's
 * end and the last descriptor's are what they are without it; an inode that is watched stays in memory
 * (inode.c). Only inodes of file systems that forget theirs at once are held.
 */
#include "fs/notify.h"
#include "fs/poll.h"
#include "syscall.h"
#include <pith/startup.h>

enum watch_flags {
	WATCH_EVENTS = 0xfff,
	WATCH_UNMOUNT = 0x2000,
	WATCH_OVERFLOW = 0x4000,
	WATCH_IGNORED = 0x8000,
	WATCH_ONLYDIR = 1 << 24,
	WATCH_DONT_FOLLOW = 1 << 25,
	WATCH_EXCL_UNLINK = 1 << 26,
	WATCH_MASK_CREATE = 1 << 28,
	WATCH_MASK_ADD = 1 << 29,
	WATCH_ISDIR = 1 << 30,
};
#define WATCH_ONESHOT (1u << 31)
#define WATCH_KNOWN                                                                                          \
	(WATCH_EVENTS | WATCH_UNMOUNT | WATCH_OVERFLOW | WATCH_IGNORED | WATCH_ONLYDIR | WATCH_DONT_FOLLOW | \
	 WATCH_EXCL_UNLINK | WATCH_MASK_CREATE | WATCH_MASK_ADD | WATCH_ISDIR | WATCH_ONESHOT)
/* What is told to those who watch the directory, too. */
#define OF_CHILDREN                                                                                  \
	(NOTIFY_ACCESS | NOTIFY_MODIFY | NOTIFY_ATTRIB | NOTIFY_CLOSE_WRITE | NOTIFY_CLOSE_NOWRITE | \
	 NOTIFY_OPEN)

#define EVENTS_PART 8 /* of the heap, one part of so many for a user's events */

struct event {
	struct event *next;
	struct user *user; /* whom it counts for */
	int32_t descriptor;
	uint32_t mask, cookie;
	uint32_t length; /* of the name, without NULs */
	char name[];
};

struct inotify {
	struct inotify *next; /* of all */
	uint32_t uid;
	struct inode_watch *watches;
	unsigned watch_count;
	int32_t last_descriptor;
	bool wrapped; /* descriptors were all used once */
	struct event *first, **end, *last;
	unsigned event_count;
	struct event overflow; /* queued once, when there is no room */
	bool overflowed;
	struct waitq wait;
};

struct inode_watch {
	struct inode_watch *next, **link; /* of its instance or open file */
	struct inode_watch *next_of_inode, **inode_link;
	struct inotify *owner; /* NULL: `file` has it, and tells its owner by a signal */
	struct file *file;
	const struct file_table *table; /* whose descriptor it came by: closing that ends it */
	struct inode *inode;
	int32_t descriptor;
	uint32_t mask;
	bool holds; /* a reference to the inode */
};

unsigned notify_watches;
static struct inotify *instances;
static const struct file_operations inotify_operations;

/* ---- queues ---- */

static bool same(const struct event *event, int32_t descriptor, uint32_t mask, const char *name,
                 size_t length)
{
	return event->mask == mask && event->descriptor == descriptor && event->length == length &&
	       memcmp(event->name, name, length) == 0 && !(mask & WATCH_IGNORED);
}

static void enqueue(struct inotify *owner, struct event *event)
{
	event->next = NULL;
	*owner->end = owner->last = event;
	owner->end = &event->next;
	owner->event_count++;
	waitq_wake_all(&owner->wait);
}

/* An event like the one before it says nothing new. */
static void tell(struct inotify *owner, int32_t descriptor, uint32_t mask, uint32_t cookie, const char *name,
                 size_t length)
{
	size_t size = sizeof(struct event) + length;
	if (owner->first != NULL && same(owner->last, descriptor, mask, name, length))
		return;
	struct user *user = owner->event_count < NOTIFY_EVENTS_MAX && !heap_is_low()
	                            ? user_charge(owner->uid, USER_EVENTS, size, heap_part(EVENTS_PART))
	                            : NULL;
	struct event *event = user != NULL ? malloc(size) : NULL;
	if (user != NULL && event == NULL)
		user_discharge(user, USER_EVENTS, size);
	if (event == NULL) {
		if (!owner->overflowed)
			enqueue(owner, &owner->overflow);
		owner->overflowed = true;
		return;
	}
	*event = (struct event){.user = user,
	                        .descriptor = descriptor,
	                        .mask = mask,
	                        .cookie = cookie,
	                        .length = (uint32_t)length};
	memcpy(event->name, name, length);
	enqueue(owner, event);
}

static void drop_first(struct inotify *owner)
{
	struct event *event = owner->first;
	owner->first = event->next;
	if (owner->first == NULL) {
		owner->end = &owner->first;
		owner->last = NULL;
	}
	owner->event_count--;
	if (event == &owner->overflow) {
		owner->overflowed = false;
		return;
	}
	user_discharge(event->user, USER_EVENTS, sizeof(*event) + event->length);
	free(event);
}

/* ---- watches ---- */

static void watch_free(struct inode_watch *watch)
{
	struct inode *inode = watch->holds ? watch->inode : NULL;
	*watch->link = watch->next;
	if (watch->next != NULL)
		watch->next->link = watch->link;
	*watch->inode_link = watch->next_of_inode;
	if (watch->next_of_inode != NULL)
		watch->next_of_inode->inode_link = watch->inode_link;
	if (watch->owner != NULL)
		watch->owner->watch_count--;
	notify_watches--;
	free(watch);
	inode_put(inode);
}

static void watch_end(struct inode_watch *watch)
{
	if (watch->owner != NULL)
		tell(watch->owner, watch->descriptor, WATCH_IGNORED, 0, NULL, 0);
	watch_free(watch);
}

static void happened(struct inode_watch *watch, uint32_t mask, uint32_t cookie, const char *name,
                     size_t length)
{
	static const struct file_signal message = {.code = 3 /* POLL_MSG */,
	                                           .events = POLLIN_ | POLLRDNORM_ | 0x400 /* POLLMSG */};
	if (!(watch->mask & mask & (WATCH_EVENTS | NOTIFY_RENAMED)))
		return;
	if (watch->owner != NULL)
		tell(watch->owner, watch->descriptor, mask, cookie, name, length);
	else
		file_owner_signal(watch->file, watch->descriptor, &message);
	if (watch->mask & WATCH_ONESHOT)
		watch_end(watch);
}

static uint32_t directory_bit(const struct inode *inode)
{
	return S_ISDIR(inode->attributes.mode) ? WATCH_ISDIR : 0;
}

static void happened_to(struct inode *inode, unsigned event)
{
	uint32_t mask = event | (event & (NOTIFY_DELETE_SELF | NOTIFY_MOVE_SELF) ? 0 : directory_bit(inode));
	for (struct inode_watch *watch = inode->watches, *next; watch != NULL; watch = next) {
		next = watch->next_of_inode;
		happened(watch, mask, 0, NULL, 0);
	}
}

void notify_watchers(struct dentry *dentry, struct inode *inode, unsigned event)
{
	struct inode *parent = dentry != NULL && dentry->parent != NULL ? dentry->parent->inode : NULL;
	/* who may not read a device or a pipe learns nothing of its use from the directory */
	bool quiet = event & (NOTIFY_ACCESS | NOTIFY_MODIFY) && !S_ISREG(inode->attributes.mode) &&
	             !S_ISDIR(inode->attributes.mode);
	if (parent != NULL && event & OF_CHILDREN && !quiet) {
		bool unlinked = !dentry->hashed && !parent->superblock->volatile_names;
		for (struct inode_watch *watch = parent->watches, *next; watch != NULL; watch = next) {
			next = watch->next_of_inode;
			if (!unlinked || !(watch->mask & WATCH_EXCL_UNLINK))
				happened(watch, event | directory_bit(inode), 0, dentry->name,
				         dentry->name_length);
		}
	}
	happened_to(inode, event);
}

void notify_directory(struct inode *directory, bool of_directory, const char *name, size_t length,
                      unsigned event, uint32_t cookie)
{
	uint32_t mask = event | (of_directory ? WATCH_ISDIR : 0);
	for (struct inode_watch *watch = directory->watches, *next; watch != NULL; watch = next) {
		next = watch->next_of_inode;
		happened(watch, mask, cookie, name, length);
	}
}

void notify_moved(struct inode *from, const char *name, size_t length, struct dentry *dentry)
{
	static uint32_t last_cookie;
	if (notify_watches == 0)
		return;
	uint32_t cookie = ++last_cookie;
	bool of_directory = S_ISDIR(dentry->inode->attributes.mode);
	if (dentry->parent->inode == from)
		notify_directory(from, of_directory, name, length, NOTIFY_RENAMED, 0);
	notify_directory(from, of_directory, name, length, NOTIFY_MOVED_FROM, cookie);
	notify_directory(dentry->parent->inode, of_directory, dentry->name, dentry->name_length,
	                 NOTIFY_MOVED_TO, cookie);
}

void notify_gone(struct inode *inode)
{
	if (inode->attributes.links == 0)
		happened_to(inode, NOTIFY_DELETE_SELF);
	while (inode->watches != NULL)
		watch_end(inode->watches);
}

void notify_unmounted(const struct superblock *superblock)
{
	for (struct inotify *owner = instances; owner != NULL; owner = owner->next)
		for (struct inode_watch *watch = owner->watches, *next; watch != NULL; watch = next) {
			next = watch->next;
			if (watch->inode->superblock != superblock)
				continue;
			tell(owner, watch->descriptor, WATCH_UNMOUNT | directory_bit(watch->inode), 0, NULL,
			     0);
			watch_end(watch);
		}
}

/* ---- reading ---- */

/* struct inotify_event, and the name in multiples of its size */
struct event_record {
	int32_t descriptor;
	uint32_t mask, cookie, length;
};

static uint32_t name_room(const struct event *event)
{
	uint32_t unit = sizeof(struct event_record);
	return event->length == 0 ? 0 : (event->length + unit) / unit * unit;
}

static ssize_t inotify_read(struct file *file, struct io_buffer *buffer, uint64_t *position)
{
	struct inotify *own = file->private;
	ssize_t done = 0;
	(void)position;
	for (;;) {
		while (own->first != NULL) {
			struct {
				struct event_record record;
				char name[NAME_LENGTH_MAX + 1 + sizeof(struct event_record)];
			} copy = {{0}, {0}};
			const struct event *event = own->first;
			size_t size = sizeof(copy.record) + name_room(event);
			if (size > buffer->size)
				return done > 0 ? done : -EINVAL;
			copy.record = (struct event_record){event->descriptor, event->mask, event->cookie,
			                                    name_room(event)};
			memcpy(copy.name, event->name, event->length);
			drop_first(own); /* copying may wait */
			if (io_copy_to(buffer, &copy, size) != 0)
				return -EFAULT;
			done += (ssize_t)size;
		}
		if (done > 0)
			return done;
		if (file->flags & O_NONBLOCK)
			return -EAGAIN;
		if (waitq_wait(&own->wait, true, DEADLINE_NEVER) != 0)
			return -EINTR_RESTART;
	}
}

/* As Linux has it: nothing moves, and nothing is wrong. */
static int64_t inotify_seek(struct file *file, int64_t offset, int whence)
{
	(void)offset, (void)whence;
	return (int64_t)file->position;
}

static unsigned inotify_poll(struct file *file, struct poll_table *table)
{
	struct inotify *own = file->private;
	poll_wait(table, &own->wait);
	return own->first != NULL ? POLLIN_ | POLLRDNORM_ : 0;
}

static long inotify_ioctl(struct file *file, struct thread *thread, unsigned command, uint64_t argument)
{
	enum { FIONREAD_ = 0x541b };
	const struct inotify *own = file->private;
	uint32_t size = 0;
	if (command != FIONREAD_)
		return -ENOTTY;
	for (const struct event *event = own->first; event != NULL; event = event->next)
		size += (uint32_t)sizeof(struct event_record) + name_room(event);
	return copy_to_user(thread, argument, &size, sizeof(size));
}

static void inotify_release(struct file *file)
{
	struct inotify *own = file->private, **link = &instances;
	while (own->watches != NULL)
		watch_free(own->watches);
	while (own->first != NULL)
		drop_first(own);
	while (*link != own)
		link = &(*link)->next;
	*link = own->next;
	free(own);
}

static void inotify_describe(struct file *file, struct text *text)
{
	const struct inotify *own = file->private;
	for (const struct inode_watch *watch = own->watches; watch != NULL; watch = watch->next) {
		uint64_t device = watch->inode->superblock->device;
		text_print(text, "inotify wd:%x ino:%lx sdev:%x mask:%x ignored_mask:0\n", watch->descriptor,
		           watch->inode->attributes.inode, device_major(device) << 20 | device_minor(device),
		           watch->mask);
	}
}

static const struct file_operations inotify_operations = {.kind = "inotify",
                                                          .read = inotify_read,
                                                          .seek = inotify_seek,
                                                          .poll = inotify_poll,
                                                          .ioctl = inotify_ioctl,
                                                          .describe = inotify_describe,
                                                          .release = inotify_release};

/* ---- calls ---- */

/* Of the user: how many instances, and watches in all of them. */
static void count(uint32_t uid, unsigned *own_instances, unsigned *own_watches)
{
	*own_instances = *own_watches = 0;
	for (const struct inotify *each = instances; each != NULL; each = each->next)
		if (each->uid == uid) {
			++*own_instances;
			*own_watches += each->watch_count;
		}
}

static long create(struct thread *thread, unsigned flags)
{
	struct file *file;
	unsigned own_instances, own_watches;
	if (flags & ~(unsigned)(O_NONBLOCK | O_CLOEXEC))
		return -EINVAL;
	count(thread->process->credentials.uid, &own_instances, &own_watches);
	if (own_instances >= NOTIFY_INSTANCES_MAX)
		return -EMFILE;
	struct inotify *own = calloc(1, sizeof(*own));
	if (own == NULL)
		return -ENOMEM;
	int error = anonymous_file(0600, O_RDONLY | (flags & O_NONBLOCK), &inotify_operations, own, &file);
	if (error != 0) {
		free(own);
		return error;
	}
	own->uid = thread->process->credentials.uid;
	own->end = &own->first;
	own->overflow = (struct event){.descriptor = -1, .mask = WATCH_OVERFLOW};
	own->next = instances;
	instances = own;
	return file_install(thread, file, flags & O_CLOEXEC);
}

long sys_inotify_init(struct thread *thread, const uint64_t arguments[6])
{
	(void)arguments;
	return create(thread, 0);
}

long sys_inotify_init1(struct thread *thread, const uint64_t arguments[6])
{
	return create(thread, (unsigned)arguments[0]);
}

static struct file *inotify_file(struct thread *thread, uint64_t fd, long *error)
{
	struct file *file = file_of(thread, (int)fd);
	*error = file == NULL ? -EBADF : file->operations != &inotify_operations ? -EINVAL : 0;
	if (*error == 0)
		return file;
	file_put(file);
	return NULL;
}

static bool descriptor_used(const struct inotify *own, int32_t descriptor)
{
	const struct inode_watch *watch = own->watches;
	while (watch != NULL && watch->descriptor != descriptor)
		watch = watch->next;
	return watch != NULL;
}

/* In the list of its instance or open file, and in the inode's. */
static void watch_link(struct inode_watch *watch, struct inode_watch **list)
{
	watch->next = *list;
	watch->link = list;
	watch->next_of_inode = watch->inode->watches;
	watch->inode_link = &watch->inode->watches;
	if (watch->next != NULL)
		watch->next->link = &watch->next;
	if (watch->next_of_inode != NULL)
		watch->next_of_inode->inode_link = &watch->next_of_inode;
	*list = watch->inode->watches = watch;
	notify_watches++;
}

static long watch_create(struct inotify *own, struct inode *inode, uint32_t mask)
{
	unsigned own_instances, own_watches;
	count(own->uid, &own_instances, &own_watches);
	struct inode_watch *watch = own_watches < NOTIFY_WATCHES_MAX ? calloc(1, sizeof(*watch)) : NULL;
	if (watch == NULL)
		return own_watches < NOTIFY_WATCHES_MAX ? -ENOMEM : -ENOSPC;
	do {
		own->wrapped |= own->last_descriptor == INT32_MAX;
		own->last_descriptor = own->last_descriptor == INT32_MAX ? 1 : own->last_descriptor + 1;
	} while (own->wrapped && descriptor_used(own, own->last_descriptor));
	*watch = (struct inode_watch){.owner = own,
	                              .inode = inode,
	                              .descriptor = own->last_descriptor,
	                              .mask = mask,
	                              .holds = inode->superblock->volatile_names};
	watch_link(watch, &own->watches);
	own->watch_count++;
	if (watch->holds)
		inode_get(inode);
	return watch->descriptor;
}

static long watch_add(struct inotify *own, struct inode *inode, uint32_t mask)
{
	struct inode_watch *watch = inode->watches;
	uint32_t kept = mask & (WATCH_EVENTS | WATCH_EXCL_UNLINK | WATCH_ONESHOT);
	while (watch != NULL && watch->owner != own)
		watch = watch->next_of_inode;
	if (watch == NULL)
		return watch_create(own, inode, kept);
	if (mask & WATCH_MASK_CREATE)
		return -EEXIST;
	watch->mask = mask & WATCH_MASK_ADD ? watch->mask | kept : kept;
	return watch->descriptor;
}

long sys_inotify_add_watch(struct thread *thread, const uint64_t arguments[6])
{
	uint32_t mask = (uint32_t)arguments[2];
	unsigned lookup = (mask & WATCH_DONT_FOLLOW ? 0 : LOOKUP_FOLLOW) |
	                  (mask & WATCH_ONLYDIR ? LOOKUP_DIRECTORY : 0);
	struct dentry *dentry;
	long result;
	if (mask & ~WATCH_KNOWN || mask == 0)
		return -EINVAL;
	struct file *file = inotify_file(thread, arguments[0], &result);
	if (file == NULL)
		return result;
	if (mask & WATCH_MASK_ADD && mask & WATCH_MASK_CREATE)
		result = -EINVAL;
	else
		result = user_path_lookup(thread, AT_FDCWD_LINUX, arguments[1], lookup, &dentry);
	if (result == 0) {
		result = inode_permission(thread, dentry->inode, MAY_READ);
		if (result == 0)
			result = watch_add(file->private, dentry->inode, mask);
		dentry_put(dentry);
	}
	file_put(file);
	return result;
}

long sys_inotify_rm_watch(struct thread *thread, const uint64_t arguments[6])
{
	int32_t descriptor = (int32_t)arguments[1];
	long result;
	struct file *file = inotify_file(thread, arguments[0], &result);
	if (file == NULL)
		return result;
	struct inode_watch *watch = ((struct inotify *)file->private)->watches;
	while (watch != NULL && watch->descriptor != descriptor)
		watch = watch->next;
	if (watch != NULL)
		watch_end(watch);
	else
		result = -EINVAL;
	file_put(file);
	return result;
}

/* ---- dnotify ---- */

#define AGAIN_AND_AGAIN (1u << 31) /* DN_MULTISHOT */

/* Of DN_*; 0: it asks for nothing. */
static uint32_t directory_events(uint32_t asked)
{
	static const uint32_t events[] = {NOTIFY_ACCESS,
	                                  NOTIFY_MODIFY,
	                                  NOTIFY_CREATE | NOTIFY_MOVED_TO,
	                                  NOTIFY_DELETE | NOTIFY_MOVED_FROM,
	                                  NOTIFY_RENAMED,
	                                  NOTIFY_ATTRIB};
	uint32_t mask = 0;
	for (unsigned bit = 0; bit < sizeof(events) / sizeof(*events); bit++)
		mask |= asked >> bit & 1 ? events[bit] : 0;
	return mask;
}

static struct inode_watch *watch_of_file(const struct file *file, const struct file_table *table)
{
	struct inode_watch *watch = file->signals;
	while (watch != NULL && watch->table != table)
		watch = watch->next;
	return watch;
}

/* Until it is told once, unless it is to go on, which an earlier one may have said. */
static void watch_more(struct inode_watch *watch, int fd, uint32_t asked)
{
	bool goes_on = asked & AGAIN_AND_AGAIN || (watch->mask != 0 && !(watch->mask & WATCH_ONESHOT));
	watch->descriptor = fd;
	watch->mask |= directory_events(asked) | WATCH_ONESHOT;
	if (goes_on)
		watch->mask &= ~WATCH_ONESHOT;
}

long directory_notify_command(struct thread *thread, struct file *file, int fd, uint64_t argument)
{
	const struct file_table *table = thread->process->files;
	struct inode_watch *watch = watch_of_file(file, table);
	uint32_t asked = (uint32_t)argument;
	if ((asked & ~AGAIN_AND_AGAIN) == 0) {
		directory_notify_closed(file, table);
		return 0;
	}
	if (!S_ISDIR(file->inode->attributes.mode))
		return -ENOTDIR;
	long error = file_owner_default(thread, file);
	if (error != 0)
		return error;
	if (watch == NULL) {
		watch = malloc(sizeof(*watch));
		if (watch == NULL)
			return -ENOMEM;
		*watch = (struct inode_watch){.file = file, .table = table, .inode = file->inode};
		watch_link(watch, &file->signals);
	}
	watch_more(watch, fd, asked);
	return 0;
}

void directory_notify_closed(struct file *file, const struct file_table *table)
{
	struct inode_watch *watch = watch_of_file(file, table);
	if (watch != NULL)
		watch_free(watch);
}

void directory_notify_released(struct file *file)
{
	while (file->signals != NULL)
		watch_free(file->signals);
}
