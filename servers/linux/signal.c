/* SPDX-License-Identifier: MIT */
/* Signals: sending, queueing, and what is due when a thread goes back to user mode. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include "fiber_context.h"
#include "kept.h"
#include "thread.h"

#define DEFAULT_IGNORED \
	(SIGNAL_BIT(SIGCHLD) | SIGNAL_BIT(SIGCONT) | SIGNAL_BIT(SIGURG) | SIGNAL_BIT(SIGWINCH))
#define STOP_SIGNALS (SIGNAL_BIT(SIGSTOP) | SIGNAL_BIT(SIGTSTP) | SIGNAL_BIT(SIGTTIN) | SIGNAL_BIT(SIGTTOU))
#define SYNCHRONOUS                                                                            \
	(SIGNAL_BIT(SIGSEGV) | SIGNAL_BIT(SIGBUS) | SIGNAL_BIT(SIGILL) | SIGNAL_BIT(SIGTRAP) | \
	 SIGNAL_BIT(SIGFPE) | SIGNAL_BIT(SIGSYS))
#define FIRST_REALTIME 32

struct signal_state *signal_state_create(const struct signal_state *copy_from)
{
	struct signal_state *state = calloc(1, sizeof(*state));

	if (state && copy_from)
		memcpy(state->actions, copy_from->actions, sizeof(state->actions));
	return state;
}

void signal_state_free(struct signal_state *state)
{
	signal_queue_flush(&state->pending, ~0ul);
	free(state);
}

void signal_state_exec(struct signal_state *state)
{
	for (int i = 0; i < SIGNAL_COUNT; i++) {
		struct signal_action *action = &state->actions[i];

		*action = (struct signal_action){
		        .handler = action->handler == HANDLER_IGNORE ? HANDLER_IGNORE : HANDLER_DEFAULT};
	}
}

sigset_bits signal_mask_allowed(sigset_bits mask)
{
	return mask & ~(SIGNAL_BIT(SIGKILL) | SIGNAL_BIT(SIGSTOP));
}

bool signal_stops(int signal)
{
	return SIGNAL_BIT(signal) & STOP_SIGNALS;
}

/* ---- queues ---- */

/* A few items are kept for the next signals. */
#define SPARE_ITEMS 64

static struct {
	struct signal_item *first;
	unsigned count;
} spare;

/* Of the classic signals, which come one at a time, there is no limit. */
static struct signal_item *item_create(const struct process *process, const struct linux_siginfo *info)
{
	uint64_t limit =
	        info->signal < FIRST_REALTIME ? SIZE_MAX : process->limits[RLIMIT_SIGPENDING].current;
	struct user *user = user_charge(process->credentials.uid, USER_SIGNALS, 1, limit);
	struct signal_item *item = spare.first;

	if (!user)
		return NULL;
	if (item) {
		spare.first = item->next;
		spare.count--;
	} else {
		item = malloc(sizeof(*item));
		if (!item) {
			user_discharge(user, USER_SIGNALS, 1);
			return NULL;
		}
	}
	*item = (struct signal_item){.user = user, .info = *info};
	return item;
}

static void item_free(struct signal_item *item)
{
	user_discharge(item->user, USER_SIGNALS, 1);
	if (spare.count == SPARE_ITEMS) {
		free(item);
		return;
	}
	item->next = spare.first;
	spare.first = item;
	spare.count++;
}

void signal_queue_flush(struct signal_queue *queue, sigset_bits signals)
{
	struct signal_item **link = &queue->first;

	queue->pending &= ~signals;
	queue->last = NULL;
	while (*link) {
		struct signal_item *item = *link;

		if (SIGNAL_BIT(item->info.signal) & signals) {
			*link = item->next;
			item_free(item);
		} else {
			queue->last = item;
			link = &item->next;
		}
	}
}

static bool queue_add(const struct process *process, struct signal_queue *queue,
                      const struct linux_siginfo *info)
{
	struct signal_item *item;

	if (info->signal < FIRST_REALTIME && queue->pending & SIGNAL_BIT(info->signal))
		return true;
	item = item_create(process, info);
	/* That one has come is told even where there is no room for more, but not with a value. */
	if (!item && info->signal >= FIRST_REALTIME && info->code != SI_USER && info->code != SI_KERNEL)
		return false;
	queue->pending |= SIGNAL_BIT(info->signal);
	if (!item)
		return true;
	if (queue->last)
		queue->last->next = item;
	else
		queue->first = item;
	queue->last = item;
	return true;
}

static void queue_take(struct signal_queue *queue, int signal, struct linux_siginfo *info)
{
	struct signal_item **link = &queue->first, *previous = NULL, *item;
	bool more = false;

	while (*link && (*link)->info.signal != signal) {
		previous = *link;
		link = &(*link)->next;
	}
	item = *link;
	*info = (struct linux_siginfo){.signal = signal};
	if (item) {
		*info = item->info;
		*link = item->next;
		if (!item->next)
			queue->last = previous;
		item_free(item);
	}
	for (item = *link; item && !more; item = item->next)
		more = item->info.signal == signal;
	if (!more)
		queue->pending &= ~SIGNAL_BIT(signal);
}

bool signal_dequeue(struct thread *thread, sigset_bits set, struct linux_siginfo *info)
{
	struct signal_queue *own = &thread->private->pending, *shared = &thread->process->signals->pending;
	sigset_bits ready = (own->pending | shared->pending) & set;
	int signal;

	if (!ready)
		return false;
	if (ready & SYNCHRONOUS)
		ready &= SYNCHRONOUS;
	signal = __builtin_ctzl(ready) + 1;
	queue_take(own->pending & SIGNAL_BIT(signal) ? own : shared, signal, info);
	if (info->code == SI_TIMER || signal == SIGALRM)
		timer_signal_taken(thread->process, info);
	return true;
}

/* ---- who is told ---- */

static sigset_bits deaf_to(const struct thread *thread)
{
	return thread->blocked & ~thread->private->wait_set;
}

bool signal_pending(struct thread *thread)
{
	const struct thread_private *private = thread->private;
	const struct signal_state *state = thread->process->signals;

	return private->exiting || state->stopped ||
	       (private->pending.pending | state->pending.pending) & ~deaf_to(thread);
}

bool signal_fatal(const struct thread *thread)
{
	const struct thread_private *private = thread->private;
	const struct process *process = thread->process;
	sigset_bits due = (private->pending.pending | process->signals->pending.pending) & ~deaf_to(thread);

	for (; due; due &= due - 1) {
		int signal = __builtin_ctzl(due) + 1;

		if (process->signals->actions[signal - 1].handler == HANDLER_DEFAULT &&
		    !signal_is_ignored(process, signal) && !signal_stops(signal))
			return true;
	}
	return private->exiting;
}

bool signal_is_queued(const struct process *process, const struct thread *thread, int signal)
{
	const struct signal_queue *queue = thread ? &thread->private->pending : &process->signals->pending;

	return signal && queue->pending & SIGNAL_BIT(signal);
}

bool signal_is_ignored(const struct process *process, int signal)
{
	const struct signal_action *action = &process->signals->actions[signal - 1];

	if (action->handler == HANDLER_IGNORE)
		return true;
	/* Process 1 gets only what it asked for. */
	return action->handler == HANDLER_DEFAULT &&
	       (SIGNAL_BIT(signal) & DEFAULT_IGNORED || process->pid == 1);
}

bool signal_ignored_or_blocked(struct thread *thread, int signal)
{
	return signal_is_ignored(thread->process, signal) || thread->blocked & SIGNAL_BIT(signal);
}

static bool blocked_everywhere(const struct process *process, const struct thread *only, int signal)
{
	for (struct thread *thread = process->threads; thread; thread = thread->next_in_process)
		if ((!only || thread == only) && !(thread->blocked & SIGNAL_BIT(signal)))
			return false;
	return true;
}

static void alert_one(struct process *process, int signal)
{
	for (struct thread *thread = process->threads; thread; thread = thread->next_in_process)
		if (!(deaf_to(thread) & SIGNAL_BIT(signal)) && !thread->private->exiting) {
			thread_alert(thread);
			return;
		}
}

static void process_continue(struct process *process)
{
	struct signal_state *state = process->signals;

	signal_queue_flush(&state->pending, STOP_SIGNALS);
	for (struct thread *thread = process->threads; thread; thread = thread->next_in_process)
		signal_queue_flush(&thread->private->pending, STOP_SIGNALS);
	process->stopped = false;
	if (!state->stopped)
		return;
	state->stopped = false;
	process->continued = true;
	waitq_wake_all(&state->continue_wait);
	signal_notify_parent(process, CLD_CONTINUED, SIGCONT);
}

bool signal_post(struct process *process, struct thread *thread, const struct linux_siginfo *info)
{
	int signal = info->signal;
	struct signal_queue *queue = thread ? &thread->private->pending : &process->signals->pending;

	if (process->zombie || signal < 1 || signal > SIGNAL_COUNT)
		return true;
	if (signal == SIGKILL) {
		if (process->pid != 1)
			process_exit_group(process, SIGKILL);
		return true;
	}
	if (signal == SIGCONT)
		process_continue(process);
	else if (signal_stops(signal))
		signal_queue_flush(&process->signals->pending, SIGNAL_BIT(SIGCONT));
	if (signal_is_ignored(process, signal) && !blocked_everywhere(process, thread, signal))
		return true;
	if (!queue_add(process, queue, info))
		return false;
	waitq_wake_all(&process->signals->arrived);
	if (!thread)
		alert_one(process, signal);
	else if (!(deaf_to(thread) & SIGNAL_BIT(signal)))
		thread_alert(thread);
	return true;
}

void signal_post_timer(struct process *process, struct thread *thread, const struct linux_siginfo *info)
{
	struct signal_queue *queue = thread ? &thread->private->pending : &process->signals->pending;

	for (struct signal_item *item = queue->first; item; item = item->next)
		if (item->info.code == SI_TIMER && item->info.signal == info->signal &&
		    item->info.timer == info->timer) {
			item->info.overrun +=
			        info->overrun < INT32_MAX - item->info.overrun ? info->overrun + 1 : 0;
			return;
		}
	signal_post(process, thread, info);
}

static struct linux_siginfo simple_info(int signal, int code, int sender_pid)
{
	struct process *sender = sender_pid ? process_find(sender_pid) : NULL;

	return (struct linux_siginfo){.signal = signal,
	                              .code = code,
	                              .pid = sender_pid,
	                              .uid = sender ? sender->credentials.uid : 0};
}

void signal_send(struct process *process, int signal, int code, int sender_pid)
{
	struct linux_siginfo info = simple_info(signal, code, sender_pid);

	signal_post(process, NULL, &info);
}

void signal_send_thread(struct thread *thread, int signal, int code, int sender_pid)
{
	struct linux_siginfo info = simple_info(signal, code, sender_pid);

	signal_post(thread->process, thread, &info);
}

bool signal_send_group(int pgid, int signal, int code, int sender_pid)
{
	bool found = false;

	for (struct process *process = process_first(), *next; process; process = next) {
		next = process_next(process);
		if (process->pgid != pgid || process->zombie)
			continue;
		found = true;
		if (signal)
			signal_send(process, signal, code, sender_pid);
	}
	return found;
}

void signal_force(struct thread *thread, const struct linux_siginfo *info)
{
	struct signal_action *action = &thread->process->signals->actions[info->signal - 1];

	if (action->handler <= HANDLER_IGNORE || thread->blocked & SIGNAL_BIT(info->signal)) {
		process_exit_group(thread->process, info->signal);
		return;
	}
	queue_add(thread->process, &thread->private->pending, info);
	thread->private->attention = true;
}

void signal_notify_parent(struct process *process, int code, int status)
{
	struct process *parent = process->parent;
	struct linux_siginfo info = {.signal = SIGCHLD,
	                             .code = code,
	                             .pid = process->pid,
	                             .uid = process->credentials.uid,
	                             .status = status};
	bool job_control = code == CLD_STOPPED || code == CLD_CONTINUED;

	if (!parent)
		return;
	if (!job_control)
		info.signal = process->exit_signal;
	/* who does not want to know of its children is not told, were the signal blocked, too */
	if (info.signal == SIGCHLD && parent->signals->actions[SIGCHLD - 1].handler == HANDLER_IGNORE)
		info.signal = 0;
	info.user_time = (int64_t)(process_cpu_time(process) / 10000000);
	if (info.signal && !(job_control && parent->signals->actions[SIGCHLD - 1].flags & SA_NOCLDSTOP))
		signal_post(parent, NULL, &info);
	waitq_wake_all(&parent->child_wait);
}

/* ---- masks ---- */

/* A thread that was told of a signal can no longer take it: the others are. */
void signal_retarget(struct process *process)
{
	if (!process->signals->pending.pending)
		return;
	for (struct thread *thread = process->threads; thread; thread = thread->next_in_process)
		if (thread != current_thread() && !thread->private->attention && signal_pending(thread))
			thread_alert(thread);
}

static void set_blocked(struct thread *thread, sigset_bits mask)
{
	bool more = signal_mask_allowed(mask) & ~thread->blocked;

	thread->blocked = signal_mask_allowed(mask);
	if (more && thread->process->thread_count > 1)
		signal_retarget(thread->process);
}

void signal_set_mask(struct thread *thread, sigset_bits mask)
{
	set_blocked(thread, mask);
	if (signal_pending(thread))
		thread->private->attention = true;
}

void signal_mask_until_return(struct thread *thread, sigset_bits mask)
{
	struct thread_private *private = thread->private;

	/* A call that is made again keeps what the first time saved. */
	if (!private->mask_saved) {
		private->mask_saved = true;
		private->saved_mask = thread->blocked;
	}
	private->attention = true; /* so that the way back restores it */
	set_blocked(thread, mask);
}

/* ---- on the way back to user mode ---- */

static void process_stop(struct process *process, int signal)
{
	struct signal_state *state = process->signals;

	if (state->stopped)
		return;
	state->stopped = true;
	process->stopped = true;
	process->continued = false;
	process->stop_signal = signal;
	for (struct thread *thread = process->threads; thread; thread = thread->next_in_process)
		if (thread != current_thread())
			thread_alert(thread);
	signal_notify_parent(process, CLD_STOPPED, signal);
}

static void sleep_while_stopped(struct thread *thread)
{
	struct signal_state *state = thread->process->signals;

	while (state->stopped && !thread->private->exiting)
		waitq_wait(&state->continue_wait, false, DEADLINE_NEVER);
}

static void default_action(struct thread *thread, int signal)
{
	struct process *process = thread->process;

	if (SIGNAL_BIT(signal) & DEFAULT_IGNORED)
		return;
	if (process->pid == 1)
		return;
	if (!signal_stops(signal))
		process_exit_group(process, signal);
	else if (signal == SIGSTOP || !process_group_orphaned(process->pgid))
		process_stop(process, signal);
}

bool signal_take(struct thread *thread, struct linux_siginfo *info, struct signal_action *out)
{
	struct thread_private *private = thread->private;
	struct signal_state *state = thread->process->signals;

	for (;;) {
		struct signal_action *action;

		private->attention = false;
		if (private->exiting)
			return false;
		if (state->stopped) {
			sleep_while_stopped(thread);
			continue;
		}
		if (!signal_dequeue(thread, ~thread->blocked, info))
			return false;
		action = &state->actions[info->signal - 1];
		if (action->handler == HANDLER_IGNORE)
			continue;
		if (action->handler == HANDLER_DEFAULT) {
			default_action(thread, info->signal);
			continue;
		}
		*out = *action;
		if (action->flags & SA_RESETHAND)
			action->handler = HANDLER_DEFAULT; /* the flags stay */
		return true;
	}
}
