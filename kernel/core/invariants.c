/* SPDX-License-Identifier: MIT */
/*
 * The invariants of docs/invariants.md, asserted on every object. Compiled into debug kernels and host tests,
 * where it runs after every operation: it is slow (it visits everything) and changes nothing.
 */
#include <kernel/invariants.h>

#ifdef PITH_DEBUG
#include <kernel/cnode.h>
#include <kernel/cpu.h>
#include <kernel/delete.h>
#include <kernel/endpoint.h>
#include <kernel/inherit.h>
#include <kernel/io_space.h>
#include <kernel/irq.h>
#include <kernel/notification.h>
#include <kernel/reply.h>
#include <kernel/sched.h>
#include <kernel/vspace.h>
#include <kernel/window.h>

#ifndef require /* proofs assume before, and prove after, an operation */
#define require(condition) \
	((condition) ? (void)0 : panic("invariant broken (%s:%d): %s", __FILE__, __LINE__, #condition))
#endif

/* ---- the tree ---- */

static void check_links(const struct slot *slot)
{
	require(slot->type != OBJECT_NULL);
	require(!slot->child || slot->child->prev == slot);
	require(!slot->next || (slot->next->prev == slot && slot->next != slot->child));
	require(slot->prev && (slot->prev->child == slot || slot->prev->next == slot));
}

static void check_derived(const struct slot *slot, const struct slot *parent)
{
	require(parent->type == slot->type);
	require(!(slot->rights & ~parent->rights));
	require((slot->flags & SLOT_DEVICE) == (parent->flags & SLOT_DEVICE));
	switch (slot->type) {
	case OBJECT_MEMORY:
		require(slot->object >= parent->object);
		require(slot->object + (slot->pages << PAGE_BITS) <=
		        parent->object + (parent->pages << PAGE_BITS));
		break;
	case OBJECT_IO_PORTS:
	case OBJECT_IO_SPACE_CONTROL:
		require(slot->object >= parent->object);
		require(slot->object + slot->ports <= parent->object + parent->ports);
		break;
	case OBJECT_CPU_TIME:
		require(slot->time.share <= parent->time.share &&
		        slot->time.priority <= parent->time.priority);
		break;
	case OBJECT_ENDPOINT:
	case OBJECT_NOTIFICATION:
		require(slot->badge == parent->badge || !parent->badge);
		require(slot->object == parent->object);
		break;
	default:
		require(slot->object == parent->object);
		break;
	}
}

static uint64_t original_address(const struct slot *slot)
{
	if (slot->type == OBJECT_UNTYPED || slot->type == OBJECT_MEMORY || slot->type == CAP_TABLE_PAGES)
		return slot->object;
	/* The object word of a dying CNode still names its memory. */
	return virt_to_phys(slot_object(slot));
}

static bool is_zero(uint64_t physical, uint64_t size)
{
	const uint64_t *words = phys_to_virt(physical);

	/* A few words stand for all: what was used is dirty nearly everywhere. */
	return !size || (!words[0] && !words[size / 16] && !words[size / 8 - 1]);
}

/* What is said to be cleared is. */
static void check_clean(const struct slot *slot)
{
	uint64_t clean = slot->chunks.clean, chunk = 1ul << slot->untyped.chunk_bits;

	require(!(slot->chunks.used & clean));
	for (; clean; clean &= clean - 1)
		require(is_zero(slot->object + (uint64_t)__builtin_ctzl(clean) * chunk, chunk));
}

/* Each child has a chunk of its own, and nothing else is in use. */
static void check_untyped(const struct slot *slot)
{
	uint64_t used = 0;

	if (slot->flags & (SLOT_DYING | SLOT_DOOMED))
		return;
	check_clean(slot);
	for (const struct slot *child = slot->child; child; child = child->next) {
		uint64_t offset = original_address(child) - slot->object, bit;

		require(offset < 1ul << slot->untyped.size_bits);
		bit = 1ul << (offset >> slot->untyped.chunk_bits);
		require(child->flags & SLOT_ORIGINAL && !(used & bit));
		used |= bit;
	}
	require(used == slot->chunks.used);
}

#define SLOTS_A_CHECK 64
static uint32_t rounds; /* of the checker */

/* Empty slots have no links. A part each time: there are many. */
static void check_cnode(const struct slot *cnode)
{
	const struct slot *slots = slot_object(cnode);

	if (cnode->flags & SLOT_DYING || !cnode->slots)
		return;
	for (uint32_t i = 0; i < SLOTS_A_CHECK; i++) {
		const struct slot *slot = &slots[(rounds * SLOTS_A_CHECK + i) % cnode->slots];

		require(slot->place == PLACE_CNODE);
		require(!slot_empty(slot) || (!slot->child && !slot->next && !slot->prev));
	}
}

static bool lies_in(const void *object, const void *start, uint64_t bytes)
{
	return (uint64_t)object - (uint64_t)start < bytes;
}

static void check_dying(const struct slot *slot)
{
	require(slot->flags & SLOT_DYING && slot->flags & SLOT_ORIGINAL);
	require(slot->dying.next->dying.prev == slot && slot->dying.prev->dying.next == slot);
	if (slot->type == OBJECT_CNODE) {
		require(slot_object(slot) == slot);
		return;
	}
	require(slot->type == OBJECT_UNTYPED && slot->flags & SLOT_DOOMED);
	if (slot->flags & SLOT_SELF_HELD)
		require(lies_in(slot, phys_to_virt(slot->object), 1ul << slot->untyped.size_bits));
	else
		require(slot->holder->doomed && slot->holder->flags & SLOT_DYING);
}

/* ---- objects ---- */

static const struct heap_node *heap_root(const struct heap_node *node)
{
	while (node->parent)
		node = node->parent;
	return node;
}

static bool thread_is_in_queue(const struct thread *thread)
{
	return thread->state == THREAD_STATE_BLOCKED_SEND || thread->state == THREAD_STATE_BLOCKED_RECV ||
	       thread->state == THREAD_STATE_BLOCKED_WAIT;
}

static void check_thread_queued(const struct thread *thread)
{
	require(thread->queued ==
	        (thread->state == THREAD_STATE_READY && sched_context_usable(sched_payer(thread))));
}

static void check_thread_state(const struct thread *thread)
{
	require(thread->state <= THREAD_STATE_BLOCKED_WAIT || thread->state == THREAD_STATE_TRAVELLING);
	require(thread->away == (thread->cpu != thread->home));
	/* Away from home it visits, sends, waits for a reply, or travels. */
	if (thread->state == THREAD_STATE_READY || thread->state == THREAD_STATE_RUNNING)
		require(!thread->away || thread->trip != TRIP_HOME);
	else if (thread->state != THREAD_STATE_BLOCKED_SEND && thread->state != THREAD_STATE_BLOCKED_REPLY &&
	         thread->state != THREAD_STATE_TRAVELLING)
		require(!thread->away);
	require(thread_is_in_queue(thread) == (thread->waits_on != NULL));
	if (deadline_armed(&thread->deadline))
		require(thread->state != THREAD_STATE_STOPPED && thread->state != THREAD_STATE_TRAVELLING);
	require(thread_is_armed_for(thread, thread_deadline(thread)));
	require((thread->state == THREAD_STATE_RUNNING) == (thread->cpu->current == thread));
	check_thread_queued(thread);
	if (thread->state == THREAD_STATE_READY || thread->state == THREAD_STATE_RUNNING)
		require(!slot_empty(&thread->bindings[BIND_VSPACE]) || (thread->away && thread->canceled));
}

static void check_ready_links(const struct thread *thread)
{
	if (thread->queued && thread->ready_prev)
		require(thread->ready_prev->ready_next == thread);
	else if (thread->queued)
		require(thread->cpu->ready[thread->priority].first == thread);
}

static void check_wait_links(const struct thread *thread)
{
	const struct wait_queue *queue = thread->waits_on;

	require(queue ? heap_node_linked(&thread->wait) || queue->waiting.root == &thread->wait
	              : !heap_node_linked(&thread->wait));
	if (!queue)
		return;
	require(heap_root(&thread->wait) == queue->waiting.root);
	/* Who waits alone may have no key. */
	require(!queue->waiting.root->left ||
	        thread->wait.key >> ARRIVAL_BITS == (uint64_t)(PRIORITY_MAX - thread->priority));
}

static void check_thread_replies(const struct thread *thread)
{
	if (thread->state == THREAD_STATE_BLOCKED_REPLY)
		require(thread->reply && thread->reply->caller == thread);
	else if (thread->state == THREAD_STATE_BLOCKED_RECV)
		require(!thread->reply ||
		        (thread->reply->state == REPLY_EXPECTING && thread->reply->holder == thread));
	else
		require(!thread->reply);
	if (thread->active)
		require(thread->active->state == REPLY_ACTIVE && thread->active->holder == thread);
}

/* The most urgent of all that wait in front of the endpoint and could pay. */
static const struct thread *check_helper(const struct thread *thread)
{
	const struct heap_node *best = NULL, *node = thread->owns ? thread->owns->senders.waiting.root : NULL;
	unsigned count = 0;

	for (; node && count < CHAIN_HELPERS; node = heap_next(node), count++) {
		const struct thread *sender = thread_of_wait((struct heap_node *)node);

		if (sender->home == thread->home && sched_context_usable(sender->sched) &&
		    (!best || node->key < best->key))
			best = node;
	}
	return best ? thread_of_wait((struct heap_node *)best) : NULL;
}

static const struct sched_context *check_payer(const struct thread *thread)
{
	const struct thread *caller = thread->active ? thread->active->caller : NULL;
	bool lent = caller && caller->home == thread->home;
	const struct sched_context *usual = lent ? caller->sched : thread->own;

	if (sched_context_usable(usual))
		return usual;
	if (check_helper(thread))
		return check_helper(thread)->sched;
	return lent && sched_context_usable(thread->own) ? thread->own : usual;
}

/* Priority and depth of the thread are what those lend it who wait for it. */
static void check_lent(const struct thread *thread)
{
	const struct thread *caller = thread->active ? thread->active->caller : NULL;
	const struct thread *first = thread->owns ? queue_first(&thread->owns->senders) : NULL;
	unsigned priority = thread->base_priority, depth = 0;

	if (INHERIT && caller && caller->priority > priority)
		priority = caller->priority;
	if (INHERIT && first && first->priority > priority)
		priority = first->priority;
	if (caller)
		depth = caller->depth + 1u;
	for (unsigned i = 0; thread->owns && i < CHAIN_MAX; i++) {
		if (thread->owns->depths[i] && i + 1 > depth)
			depth = i + 1;
	}
	require(thread->priority == priority);
	require(thread->depth == depth && depth <= CHAIN_MAX);
}

/* What rises while it is away it learns where it is, all else when it comes home, or, stopped there, is
 * resumed.
 */
static void check_inherited(const struct thread *thread)
{
	unsigned lent = thread->lent > thread->base_priority ? thread->lent : thread->base_priority;

	require(thread->sched == check_payer(thread));
	require(!thread->owns || thread->owns->owner == thread);
	require(!thread->away || thread->lent >= thread_lent(thread));
	if (thread->state == THREAD_STATE_TRAVELLING || thread->state == THREAD_STATE_STOPPED)
		return;
	if (!thread->away)
		check_lent(thread);
	else if (!thread->boosted)
		require(thread->priority == lent);
}

static void check_thread(const struct thread *thread)
{
	const struct slot *context = &thread->bindings[BIND_SCHED_CONTEXT];
	const struct slot *notification = &thread->bindings[BIND_NOTIFICATION];

	check_thread_state(thread);
	check_ready_links(thread);
	check_wait_links(thread);
	check_thread_replies(thread);
	require(thread->own == (slot_empty(context) ? NULL : slot_object(context)));
	if (thread->own)
		require(thread->own->thread == thread);
	check_inherited(thread);
	if (!slot_empty(notification))
		require(((struct notification *)slot_object(notification))->bound == thread);
	for (unsigned i = 0; i < THREAD_BINDING_COUNT; i++)
		require(thread->bindings[i].place == PLACE_THREAD + i);
}

static void check_reply(const struct reply *reply)
{
	switch (reply->state) {
	case REPLY_IDLE:
		require(!reply->caller && !reply->holder);
		break;
	case REPLY_EXPECTING:
		require(!reply->caller && reply->holder->reply == reply);
		require(reply->holder->state == THREAD_STATE_BLOCKED_RECV);
		break;
	case REPLY_ACTIVE:
		require(reply->holder->active == reply && reply->caller->reply == reply);
		break;
	default:
		require(reply->state == REPLY_PARKED && !reply->holder && reply->caller->reply == reply);
		break;
	}
}

static void check_queue(const struct wait_queue *queue, unsigned state)
{
	require(queue_valid(queue));
	for (const struct heap_node *node = queue->waiting.root; node; node = heap_next(node)) {
		const struct thread *thread = thread_of_wait((struct heap_node *)node);

		require(thread->waits_on == queue && thread->state == state);
	}
}

static void check_endpoint(const struct endpoint *endpoint)
{
	uint32_t depths[CHAIN_MAX] = {0};

	check_queue(&endpoint->senders, THREAD_STATE_BLOCKED_SEND);
	check_queue(&endpoint->receivers, THREAD_STATE_BLOCKED_RECV);
	if (!queue_empty(&endpoint->senders))
		require(queue_empty(&endpoint->receivers));
	for (const struct heap_node *node = endpoint->senders.waiting.root; node; node = heap_next(node)) {
		const struct thread *sender = thread_of_wait((struct heap_node *)node);

		require(sender->depth < CHAIN_MAX);
		depths[sender->depth]++;
	}
	for (unsigned i = 0; i < CHAIN_MAX; i++)
		require(depths[i] == endpoint->depths[i]);
	require(!endpoint->owner || endpoint->owner->owns == endpoint);
}

static void check_notification(const struct notification *notification)
{
	check_queue(&notification->waiters, THREAD_STATE_BLOCKED_WAIT);
	require(!notification->bits || queue_empty(&notification->waiters));
	if (!notification->bound)
		return;
	require(slot_object(&notification->bound->bindings[BIND_NOTIFICATION]) == notification);
	require(!notification->bits || notification->bound->state != THREAD_STATE_BLOCKED_RECV);
}

static void check_sched_context(const struct sched_context *context)
{
	int64_t sum = context->left;
	uint64_t time = 0;

	require(context->budget <= context->period && context->coming <= REFILLS);
	for (unsigned i = context->coming; i-- > 0;) {
		const struct refill *refill = &context->refills[(context->last + REFILLS - i) % REFILLS];

		require(refill->time > time);
		time = refill->time;
		sum += (int64_t)refill->amount;
	}
	require(context->budget == context->period
	                ? context->left <= (int64_t)context->budget && !context->coming
	                : sum == (int64_t)context->budget);
	require(deadline_armed(&context->refill) == (context->left <= 0 && context->budget));
	require(context->time.place == PLACE_CONTEXT_TIME);
	if (context->thread)
		require(context->thread->own == context);
}

static void check_window(const struct window *window)
{
	require(slot_empty(&window->memory) == slot_empty(&window->vspace));
	require(window->memory.place == PLACE_WINDOW_MEMORY && window->vspace.place == PLACE_WINDOW_VSPACE);
}

/* ---- address spaces ---- */

static bool window_covers(const struct slot *slot, uint64_t address, uint64_t size, pte_t pte)
{
	const struct window *window;
	uint64_t physical = arch_pte_physical(pte);

	if (slot->place != PLACE_WINDOW_VSPACE)
		return false;
	window = (const struct window *)((const char *)slot - offsetof(struct window, vspace));
	return physical >= window->memory.object &&
	       physical + size <= window->memory.object + (window->memory.pages << PAGE_BITS) &&
	       !(arch_pte_rights(pte) & ~window->memory.rights) && address >= window->hull_start &&
	       address + size <= window->hull_end;
}

/* All capabilities below an original VSpace capability, in no particular order. */
static bool vspace_has_window(const struct slot *original, uint64_t address, uint64_t size, pte_t pte)
{
	for (const struct slot *slot = original->child; slot; slot = slot_next_below(slot, original)) {
		if (window_covers(slot, address, size, pte))
			return true;
	}
	return false;
}

/* Goes through every table once. */
static void check_leaves(const struct slot *original, struct vspace *vspace)
{
	unsigned level = vspace->root_level, missing;
	const pte_t *at[ARCH_ROOT_LEVEL + 1]; /* the entry that is looked at, of each table on the way down */

	at[level] = arch_pte_find(&vspace->arch, 0, level, &missing);
	for (uint64_t address = 0; address < vspace->end;) {
		bool present = arch_pte_present(*at[level]);

		if (present && !arch_pte_is_leaf(*at[level], level)) {
			level--;
			at[level] = arch_pte_find(&vspace->arch, address, level, &missing);
			continue;
		}
		if (present)
			require(vspace_has_window(original, address, PAGE_SIZE << 9 * level, *at[level]));
		address += PAGE_SIZE << 9 * level;
		at[level]++;
		for (; level < vspace->root_level && address % (PAGE_SIZE << 9 * (level + 1)) == 0; level++)
			at[level + 1]++;
	}
}

static void check_vspace(const struct slot *original)
{
	struct vspace *vspace = slot_object(original);
	uint64_t pages = 0, free = 0;

	for (unsigned i = 0; i < VSPACE_FEEDS; i++) {
		require(vspace->feeds[i].place == PLACE_FEED + i);
		require(vspace->carved[i] <= vspace->feeds[i].pages);
		pages += vspace->feeds[i].pages;
		free += vspace->feeds[i].pages - vspace->carved[i];
	}
	for (const struct table_page *page = vspace->free; page; page = page->next) {
		require(is_zero(virt_to_phys(page) + 8, PAGE_SIZE - 8));
		free++;
	}
	require(free == vspace->free_pages && free + vspace->used_pages == pages);
	check_leaves(original, vspace);
	if (vspace->io)
		require(slot_empty(&io_space_of(vspace)->control) == !io_space_of(vspace)->domain);
}

static void check_object(const struct slot *slot)
{
	const void *object = slot_object(slot);

	if (type_has_home(slot->type))
		require(slot->home < cpu_count);
	switch (slot->type) {
	case OBJECT_UNTYPED:
		check_untyped(slot);
		break;
	case OBJECT_CNODE:
		check_cnode(slot);
		break;
	case OBJECT_THREAD:
		check_thread(object);
		break;
	case OBJECT_REPLY:
		check_reply(object);
		break;
	case OBJECT_ENDPOINT:
		check_endpoint(object);
		break;
	case OBJECT_NOTIFICATION:
		check_notification(object);
		break;
	case OBJECT_SCHED_CONTEXT:
		check_sched_context(object);
		break;
	case OBJECT_WINDOW:
		check_window(object);
		break;
	case OBJECT_VSPACE:
	case OBJECT_IO_SPACE:
		check_vspace(slot);
		break;
	default:
		break;
	}
}

/* A CpuTime has promised what the SchedContexts below it were promised, and not more than it may. */
static void check_promises(const struct slot *time)
{
	uint64_t sum = 0;

	for (const struct slot *slot = time->child; slot; slot = slot_next_below(slot, time)) {
		if (slot->place == PLACE_CONTEXT_TIME)
			sum += slot->time.share;
	}
	require(sum == time->time.promised && sum <= time->time.share);
}

static void check_slot(const struct slot *slot)
{
	check_links(slot);
	if (slot->type == OBJECT_CPU_TIME)
		check_promises(slot);
	if (slot->flags & SLOT_ORIGINAL)
		check_object(slot);
	else
		check_derived(slot, slot_parent(slot));
	if (slot->type == OBJECT_UNTYPED || slot->type == OBJECT_REPLY)
		require(slot->flags & SLOT_ORIGINAL);
}

/* ---- the scheduler ---- */

static void check_ready_queue(const struct cpu *cpu, unsigned priority)
{
	const struct thread *last = NULL;

	require(!cpu->ready[priority].first == !(cpu->ready_bits[priority / 64] >> priority % 64 & 1));
	for (const struct thread *thread = cpu->ready[priority].first; thread; thread = thread->ready_next) {
		require(thread->ready_prev == last && thread->priority == priority && thread->queued);
		last = thread;
	}
	require(cpu->ready[priority].last == last);
}

static void check_ready_words(const struct cpu *cpu)
{
	for (unsigned i = 0; i < PRIORITY_COUNT / 64; i++)
		require(!cpu->ready_bits[i] == !(cpu->ready_words >> i & 1));
}

static void check_cpu(const struct cpu *cpu)
{
	for (unsigned i = 0; i < PRIORITY_COUNT; i++)
		check_ready_queue(cpu, i);
	check_ready_words(cpu);
	require(heap_valid(&cpu->deadlines));
	if (cpu->current)
		require(cpu->current->state == THREAD_STATE_RUNNING);
	if (cpu->context && cpu->context != &visit_contexts[cpu->index])
		require(cpu->context->thread && cpu->context->thread->home == cpu);
}

static void check_mail(const struct cpu *cpu, struct mail *mail)
{
	for (; mail; mail = mail->next) {
		if (mail->kind == MAIL_SIGNAL)
			require(notification_of_mail(mail)->in_mail);
		else if (mail->kind == MAIL_BOOST)
			require(thread_of_boost(mail)->boosted);
		else
			require(thread_of_mail(mail)->state == THREAD_STATE_TRAVELLING &&
			        thread_of_mail(mail)->cpu == cpu);
	}
}

void invariants_check(void)
{
	rounds++;
	for (const struct slot *slot = slot_forest.child; slot; slot = slot_next_below(slot, &slot_forest))
		check_slot(slot);
	for (const struct slot *slot = slot_dying.dying.next; slot != &slot_dying; slot = slot->dying.next)
		check_dying(slot);
	for (unsigned i = 0; i < cpu_count; i++) {
		const struct cpu *cpu = cpu_at(i);

		check_cpu(cpu);
		check_mail(cpu, cpu->mailbox);
		check_mail(cpu, cpu->inbox);
		require(cpu->flushed <= tlb_generation);
	}
}
#endif
