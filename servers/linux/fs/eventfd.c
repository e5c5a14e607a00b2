/* SPDX-License-Identifier: MIT */
/* Descriptors without a file: eventfd counters and timerfd timers. */
#include "deadline.h"
#include "fs/internal.h"
#include "syscall.h"
#include "times.h"
#include <pith/startup.h>

/* ---- eventfd ---- */

struct counter {
	uint64_t value;
	bool semaphore;
	struct waitq wait;
};

static ssize_t counter_read(struct file *file, struct io_buffer *buffer, uint64_t *position)
{
	struct counter *counter = file->private;
	(void)position;
	if (buffer->size < sizeof(uint64_t))
		return -EINVAL;
	while (counter->value == 0) {
		if (file->flags & O_NONBLOCK)
			return -EAGAIN;
		if (waitq_wait(&counter->wait, true, DEADLINE_NEVER) != 0)
			return -EINTR_RESTART;
	}
	uint64_t value = counter->semaphore ? 1 : counter->value;
	counter->value -= value;
	waitq_wake_for(&counter->wait, WAKE_OUT);
	return io_copy_to(buffer, &value, sizeof(value)) != 0 ? -EFAULT : (ssize_t)sizeof(value);
}

static ssize_t counter_write(struct file *file, struct io_buffer *buffer, uint64_t *position)
{
	struct counter *counter = file->private;
	uint64_t value;
	(void)position;
	if (buffer->size < sizeof(value))
		return -EINVAL;
	if (io_copy_from(buffer, &value, sizeof(value)) != 0)
		return -EFAULT;
	if (value == UINT64_MAX)
		return -EINVAL;
	while (value > UINT64_MAX - 1 - counter->value) {
		if (file->flags & O_NONBLOCK)
			return -EAGAIN;
		if (waitq_wait(&counter->wait, true, DEADLINE_NEVER) != 0)
			return -EINTR_RESTART;
	}
	counter->value += value;
	waitq_wake_for(&counter->wait, WAKE_IN);
	return sizeof(value);
}

static unsigned counter_poll(struct file *file, struct poll_table *table)
{
	struct counter *counter = file->private;
	poll_wait(table, &counter->wait);
	return (counter->value > 0 ? POLLIN_ | POLLRDNORM_ : 0) |
	       (counter->value < UINT64_MAX - 1 ? POLLOUT_ | POLLWRNORM_ : 0);
}

static void counter_release(struct file *file)
{
	free(file->private);
}

static void counter_describe(struct file *file, struct text *text)
{
	text_print(text, "eventfd-count: %16lx\n", ((struct counter *)file->private)->value);
}

static const struct file_operations counter_operations = {.kind = "[eventfd]",
                                                          .read = counter_read,
                                                          .write = counter_write,
                                                          .poll = counter_poll,
                                                          .describe = counter_describe,
                                                          .release = counter_release};

static long counter_create(struct thread *thread, unsigned initial, unsigned flags)
{
	struct file *file;
	if (flags & ~(unsigned)(O_CLOEXEC | O_NONBLOCK | 1))
		return -EINVAL;
	struct counter *counter = calloc(1, sizeof(*counter));
	if (counter == NULL)
		return -ENOMEM;
	counter->value = initial;
	counter->semaphore = flags & 1;
	int error = anonymous_file(0600, O_RDWR | (flags & O_NONBLOCK), &counter_operations, counter, &file);
	if (error != 0) {
		free(counter);
		return error;
	}
	return file_install(thread, file, flags & O_CLOEXEC);
}

long sys_eventfd(struct thread *thread, const uint64_t arguments[6])
{
	return counter_create(thread, (unsigned)arguments[0], 0);
}

long sys_eventfd2(struct thread *thread, const uint64_t arguments[6])
{
	return counter_create(thread, (unsigned)arguments[0], (unsigned)arguments[1]);
}

/* ---- timerfd ---- */

#define SECOND 1000000000ull

struct timer_file {
	struct deadline deadline;         /* first */
	uint64_t next, interval;          /* ns since boot; 0: not armed */
	bool wall;                        /* CLOCK_REALTIME */
	uint64_t wall_time;               /* what it was set to, if that is a time of day; else 0 */
	bool cancel_on_set, canceled;     /* by setting the wall clock */
	struct timer_file *after, **link; /* in wall_timers */
	struct waitq wait;
};

static struct timer_file *wall_timers;

static void timer_fired(struct deadline *deadline)
{
	waitq_wake_all(&((struct timer_file *)deadline)->wait);
}

/* The instant at which the wall clock shows this time. */
static uint64_t instant_of_wall(uint64_t time)
{
	uint64_t wall = time_wall(), now = time_now();
	return time > wall ? now + (time - wall) : now;
}

void timer_files_wall_set(void)
{
	for (struct timer_file *timer = wall_timers; timer != NULL; timer = timer->after) {
		if (timer->next == 0 || timer->wall_time == 0)
			continue;
		timer->next = instant_of_wall(timer->wall_time);
		timer->canceled = timer->cancel_on_set;
		deadline_set(&timer->deadline, timer->next);
		waitq_wake_all(&timer->wait);
	}
}

static uint64_t expirations(const struct timer_file *timer)
{
	uint64_t now = time_now();
	if (timer->next == 0 || now < timer->next)
		return 0;
	return timer->interval == 0 ? 1 : (now - timer->next) / timer->interval + 1;
}

static ssize_t timer_read(struct file *file, struct io_buffer *buffer, uint64_t *position)
{
	struct timer_file *timer = file->private;
	uint64_t count;
	(void)position;
	if (buffer->size < sizeof(count))
		return -EINVAL;
	while ((count = expirations(timer)) == 0 && !timer->canceled) {
		if (file->flags & O_NONBLOCK)
			return -EAGAIN;
		if (waitq_wait(&timer->wait, true, DEADLINE_NEVER) != 0)
			return -EINTR_RESTART;
	}
	if (timer->canceled) {
		timer->canceled = false;
		return -ECANCELED;
	}
	timer->next = timer->interval == 0 ? 0 : timer->next + count * timer->interval;
	timer->wall_time += timer->wall_time != 0 ? count * timer->interval : 0;
	if (timer->next != 0 && !deadline_set(&timer->deadline, timer->next))
		return -ENOMEM;
	return io_copy_to(buffer, &count, sizeof(count)) != 0 ? -EFAULT : (ssize_t)sizeof(count);
}

static unsigned timer_poll(struct file *file, struct poll_table *table)
{
	struct timer_file *timer = file->private;
	poll_wait(table, &timer->wait);
	return expirations(timer) > 0 || timer->canceled ? POLLIN_ | POLLRDNORM_ : 0;
}

static void timer_release(struct file *file)
{
	struct timer_file *timer = file->private;
	deadline_cancel(&timer->deadline);
	if (timer->link != NULL) {
		*timer->link = timer->after;
		if (timer->after != NULL)
			timer->after->link = timer->link;
	}
	free(timer);
}

static const struct file_operations timer_operations = {
        .kind = "[timerfd]", .read = timer_read, .poll = timer_poll, .release = timer_release};

long sys_timerfd_create(struct thread *thread, const uint64_t arguments[6])
{
	struct file *file;
	unsigned clock = (unsigned)arguments[0], flags = (unsigned)arguments[1];
	if ((clock > 1 && clock < 7) || clock > 9 || flags & ~(unsigned)(O_CLOEXEC | O_NONBLOCK))
		return -EINVAL;
	struct timer_file *timer = calloc(1, sizeof(*timer));
	if (timer == NULL)
		return -ENOMEM;
	timer->deadline.fire = timer_fired;
	timer->wall = clock == 0 || clock == 8;
	int error = anonymous_file(0600, O_RDWR | (flags & O_NONBLOCK), &timer_operations, timer, &file);
	if (error != 0) {
		free(timer);
		return error;
	}
	if (timer->wall) {
		timer->after = wall_timers;
		timer->link = &wall_timers;
		if (wall_timers != NULL)
			wall_timers->link = &timer->after;
		wall_timers = timer;
	}
	return file_install(thread, file, flags & O_CLOEXEC);
}

struct timer_setting {
	struct linux_timespec interval, value;
};

static struct linux_timespec to_timespec(uint64_t time)
{
	return (struct linux_timespec){(int64_t)(time / SECOND), (int64_t)(time % SECOND)};
}

static struct timer_setting current_setting(const struct timer_file *timer)
{
	uint64_t now = time_now(), left = 0;
	if (timer->next != 0 && timer->next > now)
		left = timer->next - now;
	else if (timer->next != 0 && timer->interval != 0)
		left = timer->interval - (now - timer->next) % timer->interval;
	return (struct timer_setting){to_timespec(timer->interval), to_timespec(left)};
}

static bool valid_time(struct linux_timespec time)
{
	return time.seconds >= 0 && time.nanoseconds >= 0 && (uint64_t)time.nanoseconds < SECOND;
}

static uint64_t nanoseconds(struct linux_timespec time)
{
	if ((uint64_t)time.seconds >= INT64_MAX / SECOND)
		return INT64_MAX; /* as good as never */
	return (uint64_t)time.seconds * SECOND + (uint64_t)time.nanoseconds;
}

#define TFD_TIMER_ABSTIME_       1
#define TFD_TIMER_CANCEL_ON_SET_ 2

static int timer_set(struct timer_file *timer, const struct timer_setting *new, unsigned flags)
{
	bool absolute = flags & TFD_TIMER_ABSTIME_;
	uint64_t value = nanoseconds(new->value), now = time_now();
	deadline_cancel(&timer->deadline);
	timer->interval = nanoseconds(new->interval);
	timer->next = timer->wall_time = 0;
	timer->canceled = false;
	timer->cancel_on_set = timer->wall && absolute && flags & TFD_TIMER_CANCEL_ON_SET_;
	if (value == 0)
		return 0;
	if (!absolute) {
		timer->next = now + value;
	} else if (timer->wall) {
		timer->wall_time = value;
		timer->next = instant_of_wall(value);
	} else {
		timer->next = value;
	}
	return deadline_set(&timer->deadline, timer->next) ? 0 : -ENOMEM;
}

static struct file *timer_of(struct thread *thread, int fd, int *error)
{
	struct file *file = file_of(thread, fd);
	*error = file == NULL ? -EBADF : file->operations != &timer_operations ? -EINVAL : 0;
	if (*error == 0)
		return file;
	file_put(file);
	return NULL;
}

long sys_timerfd_settime(struct thread *thread, const uint64_t arguments[6])
{
	struct timer_setting new, old;
	int error;
	if (copy_from_user(thread, &new, arguments[2], sizeof(new)) != 0)
		return -EFAULT;
	if (arguments[1] & ~3ull || !valid_time(new.value) || !valid_time(new.interval))
		return -EINVAL;
	struct file *file = timer_of(thread, (int)arguments[0], &error);
	if (file == NULL)
		return error;
	old = current_setting(file->private);
	error = timer_set(file->private, &new, (unsigned)arguments[1]);
	if (error == 0 && arguments[3] != 0)
		error = copy_to_user(thread, arguments[3], &old, sizeof(old));
	file_put(file);
	return error;
}

long sys_timerfd_gettime(struct thread *thread, const uint64_t arguments[6])
{
	int error;
	struct file *file = timer_of(thread, (int)arguments[0], &error);
	if (file == NULL)
		return error;
	struct timer_setting setting = current_setting(file->private);
	file_put(file);
	return copy_to_user(thread, arguments[1], &setting, sizeof(setting));
}
