/* SPDX-License-Identifier: MIT */
/*
 * epoll: a list of files to poll, kept between calls. A wait asks every file on the list, as poll does;
 * edge-triggered items are reported when the file's queues were woken since the last report. An item goes
 * when its file's last reference does. A set can be on another one's list, but not in a circle.
 */
#include "fs/poll.h"
#include "syscall.h"

enum { CTL_ADD = 1, CTL_DEL = 2, CTL_MOD = 3 };
#define EPOLLEXCLUSIVE_ (1u << 28)
#define EPOLLWAKEUP_    (1u << 29)
#define EPOLLONESHOT_   (1u << 30)
#define EPOLLET_        (1u << 31)
#define WITH_EXCLUSIVE  (POLLIN_ | POLLOUT_ | POLLERR_ | POLLHUP_ | EPOLLWAKEUP_ | EPOLLET_ | EPOLLEXCLUSIVE_)
#define EVENTS_MAX      (INT32_MAX / (int)sizeof(struct epoll_event_)) /* that a wait may ask for */
#define WATCHES_PART    10 /* of the heap, one part of so many for a user's items */
#define NESTED_MAX      5  /* sets, each in the list of the next */

struct epoll_event_ {
	uint32_t events;
	uint64_t data;
} __attribute__((packed));

struct epoll_item {
	struct epoll_item *next, **link;             /* of the set */
	struct epoll_item *next_watch, **watch_link; /* of the file */
	struct user *user;                           /* whom it counts for */
	struct epoll *set;
	struct file *file; /* no reference: epoll_file_released takes the item away */
	int fd;
	struct epoll_event_ event;
	uint64_t edges; /* poll_table.edges at the last report */
	bool fresh;     /* there was none since it was added or changed */
	bool disabled;
};

struct epoll {
	struct file *file; /* its own; no reference */
	struct epoll_item *items, **end;
	unsigned item_count;
	struct waitq changed; /* the list, or what an item asks for */
	/* What was found out on the present visit to sets: many ways may lead to one. */
	uint64_t visit;
	bool ready;
	uint64_t edges;
	unsigned height;
};

/* Nothing waits on it, so there is one at a time. */
static uint64_t visit;
static unsigned visit_depth;

static void visit_begin(void)
{
	if (visit_depth++ == 0)
		visit++;
}

static void visit_end(void)
{
	visit_depth--;
}

static bool visited(struct epoll *set)
{
	if (set->visit == visit)
		return true;
	set->visit = visit;
	return false;
}

static const struct file_operations epoll_operations;

static void item_free(struct epoll_item *item)
{
	*item->link = item->next;
	if (item->next != NULL)
		item->next->link = item->link;
	else
		item->set->end = item->link;
	item->set->item_count--;
	*item->watch_link = item->next_watch;
	if (item->next_watch != NULL)
		item->next_watch->watch_link = item->watch_link;
	user_discharge(item->user, USER_WATCHES, 1);
	free(item);
}

void epoll_file_released(struct file *file)
{
	while (file->watches != NULL)
		item_free(file->watches);
}

/* ---- waiting ---- */

/* Its events, and in table->edges its file's edges. */
static uint32_t item_ready(struct epoll_item *item, struct poll_table *table)
{
	table->edges = 0;
	if (item->disabled)
		return 0;
	table->interest = item->event.events;
	poll_hold(table, item->file); /* it must stay while its queues are slept on */
	uint32_t events = file_poll(item->file, table) & (item->event.events | POLLERR_ | POLLHUP_);
	bool edge = !(item->event.events & EPOLLET_) || item->fresh || item->edges != table->edges;
	return edge ? events : 0;
}

/* What a wait tells: at most as much as it was asked for, or as there are items. */
struct report {
	struct epoll_event_ *events;
	unsigned asked, room;
};

static bool report_room(struct report *report, const struct epoll *set)
{
	unsigned wanted = set->item_count < report->asked ? set->item_count : report->asked;
	if (wanted <= report->room)
		return true;
	free(report->events);
	report->events = malloc(wanted * sizeof(*report->events));
	report->room = report->events != NULL ? wanted : 0;
	return report->events != NULL;
}

/* Those that there is no room for come first the next time. */
static int collect(struct epoll *set, struct report *report, struct poll_table *table)
{
	unsigned ready = 0;
	struct epoll_item **link, *item;
	visit_begin();
	for (link = &set->items; (item = *link) != NULL && ready < report->room; link = &item->next) {
		uint32_t events = item_ready(item, table);
		if (events == 0)
			continue;
		report->events[ready++] = (struct epoll_event_){events, item->event.data};
		item->edges = table->edges;
		item->fresh = false;
		item->disabled = item->event.events & EPOLLONESHOT_;
	}
	visit_end();
	if (item != NULL && ready > 0) {
		*set->end = set->items;
		set->items->link = set->end;
		set->end = link;
		set->items = item;
		item->link = &set->items;
		*link = NULL;
	}
	return (int)ready;
}

static int collect_now(struct epoll *set, struct report *report)
{
	struct poll_table table = {.counts = true};
	return collect(set, report, &table);
}

static int wait_for_events(struct epoll *set, struct report *report, deadline_t deadline)
{
	for (;;) {
		struct poll_table table = {.entries = NULL};
		if (!report_room(report, set))
			return -ENOMEM;
		int error = 0, ready = collect_now(set, report);
		if (ready > 0 || deadline == DEADLINE_POLL)
			return ready;
		ready = collect(set, report, &table);
		poll_wait(&table, &set->changed);
		if (ready == 0)
			error = poll_sleep(&table, deadline);
		poll_table_end(&table);
		if (ready > 0)
			return ready;
		if (error == -ETIMEDOUT)
			return collect_now(set, report);
		if (error == -EINTR)
			return -EINTR_NOHAND;
		if (error != 0)
			return error;
	}
}

static struct file *epoll_of(struct thread *thread, int fd, int *error)
{
	struct file *file = file_of(thread, fd);
	*error = file == NULL ? -EBADF : file->operations != &epoll_operations ? -EINVAL : 0;
	if (*error != 0) {
		file_put(file);
		return NULL;
	}
	return file;
}

static long do_wait(struct thread *thread, const uint64_t arguments[6], deadline_t deadline)
{
	int count = (int)arguments[2], error;
	struct report report = {.asked = (unsigned)count};
	if (count <= 0 || count > EVENTS_MAX)
		return -EINVAL;
	struct file *file = epoll_of(thread, (int)arguments[0], &error);
	if (file == NULL)
		return error;
	int result = wait_for_events(file->private, &report, deadline);
	if (result > 0 &&
	    copy_to_user(thread, arguments[1], report.events, (size_t)result * sizeof(*report.events)) != 0)
		result = -EFAULT;
	free(report.events);
	file_put(file);
	return result;
}

long sys_epoll_wait(struct thread *thread, const uint64_t arguments[6])
{
	return do_wait(thread, arguments, poll_deadline_ms(thread, (int)arguments[3]));
}

long sys_epoll_pwait(struct thread *thread, const uint64_t arguments[6])
{
	int error = poll_set_mask(thread, arguments[4], arguments[5]);
	return error != 0 ? error : sys_epoll_wait(thread, arguments);
}

long sys_epoll_pwait2(struct thread *thread, const uint64_t arguments[6])
{
	deadline_t deadline;
	int error = poll_deadline_from_user(thread, arguments[3], &deadline);
	if (error == 0)
		error = poll_set_mask(thread, arguments[4], arguments[5]);
	return error != 0 ? error : do_wait(thread, arguments, deadline);
}

/* ---- the list ---- */

static bool item_is(const struct epoll_item *item, const struct epoll *set, const struct file *file, int fd)
{
	return item->set == set && item->file == file && item->fd == fd;
}

/* In the file's list and in the set's at once, up to the end of the shorter one. */
static struct epoll_item *item_find(struct epoll *set, struct file *file, int fd)
{
	struct epoll_item *watch = file->watches, *item = set->items;
	for (; watch != NULL && item != NULL; watch = watch->next_watch, item = item->next) {
		if (item_is(watch, set, file, fd))
			return watch;
		if (item_is(item, set, file, fd))
			return item;
	}
	return NULL;
}

static int item_add(struct epoll *set, struct file *file, int fd, const struct epoll_event_ *event)
{
	uint32_t uid = current_thread()->process->credentials.uid;
	struct user *user =
	        user_charge(uid, USER_WATCHES, 1, heap_part(WATCHES_PART) / sizeof(struct epoll_item));
	if (user == NULL)
		return -ENOSPC;
	struct epoll_item *item = kept_alloc(sizeof(*item));
	if (item == NULL) {
		user_discharge(user, USER_WATCHES, 1);
		return -ENOMEM;
	}
	*item = (struct epoll_item){.link = set->end,
	                            .next_watch = file->watches,
	                            .watch_link = &file->watches,
	                            .user = user,
	                            .set = set,
	                            .file = file,
	                            .fd = fd,
	                            .event = *event,
	                            .fresh = true};
	if (file->watches != NULL)
		file->watches->watch_link = &item->next_watch;
	*set->end = file->watches = item;
	set->end = &item->next;
	set->item_count++;
	return 0;
}

static struct epoll *set_of(const struct file *file)
{
	return file->operations == &epoll_operations ? file->private : NULL;
}

/* How many sets there are one below the other, from this one on (above: one over the other, up to this one).
 */
static unsigned height(struct epoll *set, bool above)
{
	if (visited(set))
		return set->height;
	unsigned most = 0;
	for (struct epoll_item *item = above ? set->file->watches : set->items; item != NULL;
	     item = above ? item->next_watch : item->next) {
		struct epoll *next = above ? item->set : set_of(item->file);
		unsigned below = next != NULL ? height(next, above) : 0;
		most = below > most ? below : most;
	}
	return set->height = most + 1;
}

static int may_nest(struct epoll *set, struct epoll *target)
{
	visit_begin();
	unsigned levels = height(target, false);
	bool circle = set->visit == visit;
	visit_end();
	visit_begin();
	levels += height(set, true);
	visit_end();
	return circle || levels > NESTED_MAX ? -ELOOP : 0;
}

static int change(struct epoll *set, struct file *file, int fd, int operation,
                  const struct epoll_event_ *event)
{
	struct epoll_item *item = item_find(set, file, fd);
	struct epoll *target = set_of(file);
	bool exclusive = operation != CTL_DEL && event->events & EPOLLEXCLUSIVE_;
	if (exclusive && (operation == CTL_MOD || target != NULL || event->events & ~WITH_EXCLUSIVE))
		return -EINVAL;
	if (operation == CTL_ADD) {
		int error = target != NULL ? may_nest(set, target) : 0;
		if (error != 0)
			return error;
		return item != NULL ? -EEXIST : item_add(set, file, fd, event);
	}
	if (item == NULL)
		return -ENOENT;
	if (operation == CTL_DEL) {
		item_free(item);
		return 0;
	}
	if (item->event.events & EPOLLEXCLUSIVE_)
		return -EINVAL;
	item->event = *event;
	item->fresh = true;
	item->disabled = false;
	return 0;
}

long sys_epoll_ctl(struct thread *thread, const uint64_t arguments[6])
{
	int operation = (int)arguments[1], fd = (int)arguments[2], error;
	struct epoll_event_ event = {0};
	if (operation < CTL_ADD || operation > CTL_MOD)
		return -EINVAL;
	if (operation != CTL_DEL && copy_from_user(thread, &event, arguments[3], sizeof(event)) != 0)
		return -EFAULT;
	struct file *file = epoll_of(thread, (int)arguments[0], &error);
	if (file == NULL)
		return error;
	struct file *target = file_of(thread, fd);
	if (target == NULL)
		error = -EBADF;
	else if (target->operations->poll == NULL)
		error = -EPERM;
	else if (target == file)
		error = -EINVAL;
	else
		error = change(file->private, target, fd, operation, &event);
	if (error == 0)
		waitq_wake_all(&((struct epoll *)file->private)->changed);
	file_put(target);
	file_put(file);
	return error;
}

static void epoll_release(struct file *file)
{
	struct epoll *set = file->private;
	while (set->items != NULL)
		item_free(set->items);
	free(set);
}

static unsigned epoll_poll(struct file *file, struct poll_table *table)
{
	struct epoll *set = file->private;
	struct poll_table none = {.counts = true};
	if (table == NULL)
		table = &none;
	uint32_t interest = table->interest;
	uint64_t edges = table->edges;
	visit_begin();
	if (!visited(set)) {
		set->ready = false;
		table->edges = 0;
		poll_wait(table, &set->changed);
		set->edges = table->edges;
		for (struct epoll_item *item = set->items; item != NULL; item = item->next) {
			set->ready |= item_ready(item, table) != 0;
			set->edges = set->edges * EDGES_MIX + table->edges;
		}
	}
	visit_end();
	table->interest = interest;
	table->edges = edges * EDGES_MIX + set->edges;
	return set->ready ? POLLIN_ | POLLRDNORM_ : 0;
}

static const struct file_operations epoll_operations = {
        .kind = "[eventpoll]", .release = epoll_release, .poll = epoll_poll};

static long create(struct thread *thread, bool close_on_exec)
{
	struct file *file;
	struct epoll *set = calloc(1, sizeof(*set));
	if (set == NULL)
		return -ENOMEM;
	int error = anonymous_file(0600, O_RDWR, &epoll_operations, set, &file);
	if (error != 0) {
		free(set);
		return error;
	}
	set->file = file;
	set->end = &set->items;
	return file_install(thread, file, close_on_exec);
}

long sys_epoll_create(struct thread *thread, const uint64_t arguments[6])
{
	return (int)arguments[0] <= 0 ? -EINVAL : create(thread, false);
}

long sys_epoll_create1(struct thread *thread, const uint64_t arguments[6])
{
	return arguments[0] & ~(uint64_t)O_CLOEXEC ? -EINVAL : create(thread, arguments[0] & O_CLOEXEC);
}
