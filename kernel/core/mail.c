/* SPDX-License-Identifier: MIT */
/*
 * Mailboxes, and threads that travel: see docs/several-cpus.md.
 *
 * A mailbox is an atomic stack that its CPU takes as a whole and turns round, so mail is handled in the order
 * in which it arrived. An interrupt announces the first piece.
 */
#include <kernel/fault.h>
#include <kernel/inherit.h>
#include <kernel/lock.h>
#include <kernel/mail.h>
#include <kernel/notification.h>
#include <kernel/sched.h>
#include <kernel/syscall.h>
#include <kernel/thread.h>
#include <kernel/vspace.h>

static void mail_send(struct cpu *to, struct mail *mail)
{
	struct mail *first = __atomic_load_n(&to->mailbox, __ATOMIC_RELAXED);

	do
		mail->next = first;
	while (!__atomic_compare_exchange_n(&to->mailbox, &first, mail, true, __ATOMIC_RELEASE,
	                                    __ATOMIC_RELAXED));
	if (!first)
		arch_ipi(to->index);
}

/* ---- threads ---- */

/* State first, owner last: from then on only the new owner touches the thread, but for its mail node. */
void thread_travel(struct thread *thread, struct cpu *to, enum trip trip)
{
	deadline_disarm(&thread->deadline);
	thread->state = THREAD_STATE_TRAVELLING;
	thread->trip = (uint8_t)trip;
	sched_dequeue(thread);
	sched_leave(thread);
	if (!thread->away) {
		/* By somebody who was stopped on his way here. Who still comes says it again. */
		thread->canceled = false;
		arch_context_detach(thread);
		thread->lent = (uint8_t)thread_lent(thread);
	}
	thread->away = to != thread->home;
	__atomic_store_n(&thread->cpu, to, __ATOMIC_RELEASE);
	mail_send(to, &thread->mail);
}

/* Home comes last: there it is free again, and what it was told on its way would be forgotten. */
struct cpu *thread_next_stop(const struct thread *thread)
{
	uint32_t away = thread->tour & ~(1u << thread->home->index);

	return away ? cpu_at((unsigned)__builtin_ctz(away)) : thread->home;
}

unsigned thread_go_after(struct thread *thread, bool stop)
{
	struct cpu *owner = thread_owner(thread);

	if (owner == this_cpu() && (!stop || thread->state != THREAD_STATE_TRAVELLING))
		return 0;
	/* Stored before we look where it is now, and again if it has left home in between. */
	do {
		if (stop)
			__atomic_exchange_n(&thread->canceled, true, __ATOMIC_SEQ_CST);
		owner = thread_owner(thread);
	} while (stop && !__atomic_load_n(&thread->canceled, __ATOMIC_ACQUIRE));
	return go_to(owner);
}

void thread_visit(struct thread *thread)
{
	if (thread->canceled)
		thread_suspend(thread);
	else if (thread->trip == TRIP_CALL)
		syscall_run(thread);
	else
		thread_send_again(thread);
}

static void thread_land_home(struct thread *thread)
{
	struct cpu *next = thread_next_stop(thread);

	if (next != this_cpu())
		thread_travel(thread, next, TRIP_HOME);
	else if (thread->canceled)
		thread_stop(thread);
	else
		thread_wake(thread);
}

static void thread_land(struct cpu *cpu, struct thread *thread)
{
	thread->tour &= ~(1u << cpu->index);
	if (thread->home == cpu) {
		sched_charge_visits(thread);
		thread_inherit(thread); /* what its waiters lend it may have changed meanwhile */
	}
	if (thread->trip == TRIP_HOME) {
		thread_land_home(thread);
	} else if (thread->home == cpu) {
		thread_visit(thread); /* its handler lives here now */
	} else {
		thread->state = THREAD_STATE_READY;
		sched_enqueue(thread);
	}
}

/* ---- priorities ---- */

void thread_boost(struct thread *thread, unsigned priority)
{
	if (priority <= thread->lent)
		return;
	__atomic_store_n(&thread->lent, (uint8_t)priority, __ATOMIC_RELAXED);
	if (!__atomic_exchange_n(&thread->boosted, true, __ATOMIC_ACQ_REL))
		mail_send(thread_owner(thread), &thread->boost);
}

/* It may have gone on: the node goes after it. From the moment that it counts as taken it may be sent again.
 */
static void boost_land(struct cpu *cpu, struct thread *thread)
{
	struct cpu *owner = thread_owner(thread);

	if (owner != cpu) {
		mail_send(owner, &thread->boost);
		return;
	}
	__atomic_exchange_n(&thread->boosted, false, __ATOMIC_ACQ_REL);
	thread_inherit(thread);
}

/* ---- signals ---- */

void notification_signal_remote(struct notification *notification, struct cpu *home, uint64_t bits)
{
	if (!bits)
		return;
	__atomic_or_fetch(&notification->remote, bits, __ATOMIC_RELAXED);
	if (!__atomic_exchange_n(&notification->in_mail, true, __ATOMIC_ACQ_REL))
		mail_send(home, &notification->mail);
}

/*
 * From the moment that it counts as taken it may be sent again. An exchange, not a store: so it acquires the
 * bits of a sender who found it in the mailbox.
 */
static void notification_land(struct notification *notification)
{
	__atomic_exchange_n(&notification->in_mail, false, __ATOMIC_ACQUIRE);
	notification_signal(notification, __atomic_exchange_n(&notification->remote, 0, __ATOMIC_RELAXED));
}

/* ---- taking mail ---- */

/* Behind what is left over from last time. */
static void mail_take(struct cpu *cpu)
{
	struct mail *mail = __atomic_exchange_n(&cpu->mailbox, NULL, __ATOMIC_ACQUIRE), *last = mail;
	struct mail *turned = NULL;

	while (mail) {
		struct mail *next = mail->next;

		mail->next = turned;
		turned = mail;
		mail = next;
	}
	if (!turned)
		return;
	*(cpu->inbox ? &cpu->inbox_last->next : &cpu->inbox) = turned;
	cpu->inbox_last = last;
}

static void mail_act(struct cpu *cpu, struct mail *mail)
{
	if (mail->kind == MAIL_THREAD)
		thread_land(cpu, thread_of_mail(mail));
	else if (mail->kind == MAIL_BOOST)
		boost_land(cpu, thread_of_boost(mail));
	else
		notification_land(notification_of_mail(mail));
}

/* Each piece is short, whatever its sender asks for, and was paid for by a system call of his. */
void kernel_mail(void)
{
	struct cpu *cpu = this_cpu();

	debug_lock_take();
	/* In this order: what is taken tells of changes that the flush must know of. */
	mail_take(cpu);
	tlb_catch_up(cpu);
	while (cpu->inbox) {
		struct mail *mail = cpu->inbox;

		cpu->inbox = mail->next; /* before the node may be sent again */
		mail_act(cpu, mail);
		if (cpu->inbox && arch_interrupt_pending()) {
			arch_ipi(cpu->index);
			break;
		}
	}
}

/* ---- operations that go elsewhere ---- */

unsigned go_to(struct cpu *cpu)
{
	this_cpu()->go_to = cpu;
	return STATUS_RESTART;
}

bool must_go(void)
{
	return this_cpu()->go_to != NULL;
}

unsigned go_home(const struct slot *slot)
{
	return slot->home == this_cpu()->index ? 0 : go_to(cpu_at(slot->home));
}
