/* SPDX-License-Identifier: MIT */
/*
 * Random bytes for programs: a generator of this server's own, seeded by the component `random`. It is asked,
 * never waited for: whoever needs good bytes before the first seed waits on his fiber.
 */
#include <errno.h>
#include <pith/log.h>
#include <pith/random.h>
#include <pith/startup.h>
#include <pith/syscall.h>
#include <proto/random.h>
#include <string.h>
#include <sys/random.h>
#include "balance.h"
#include "mm.h"
#include "random.h"
#include "syscall.h"
#include "vfs.h"
#include "wait.h"

/* Counted, not timed: what a program sees must not depend on how long the disk took. */
#define SEED_BYTES 1048576ul
#define SEED_TAKES 1024u
#define ASK_AGAIN  10000000ul /* ns, when no seed came */
#define ROUND      65536ul    /* bytes before others get their turn */
#define ONCE_MAX   0x7ffff000ul

static struct random_generator generator;
static bool seeded;
static size_t bytes_left, takes_left; /* of the last seed */
static uint64_t ask_at;

/* The component waits for calls whenever it has nothing to do, which its priority sees to. */
static bool seed_take(uint64_t words[RANDOM_SEED_BYTES / sizeof(uint64_t)])
{
	struct message message = {.info = MESSAGE_INFO(RANDOM_SEED, 0)};
	cptr_t component = startup_need("random", STARTUP_ENDPOINT, 0)->slot;

	if (ipc_call(component, &message, DEADLINE_POLL) != ERR_NONE ||
	    message_words(message.info) != 1 + RANDOM_SEED_BYTES / sizeof(uint64_t) ||
	    message.words[0] != RANDOM_OK)
		return false;
	memcpy(words, &message.words[1], RANDOM_SEED_BYTES);
	return true;
}

static void reseed_if_due(void)
{
	uint64_t words[RANDOM_SEED_BYTES / sizeof(uint64_t)], now = time_now();

	if ((bytes_left && takes_left) || now < ask_at)
		return;
	if (!seed_take(words)) {
		ask_at = now + ASK_AGAIN;
		return;
	}
	random_mix(&generator, words, sizeof(words));
	memset(words, 0, sizeof(words));
	seeded = true;
	bytes_left = SEED_BYTES;
	takes_left = SEED_TAKES;
}

int random_wait(bool nonblock)
{
	reseed_if_due();
	while (!seeded) {
		if (nonblock)
			return -EAGAIN;
		int error = wait_until(ask_at);

		if (error)
			return error;
		reseed_if_due();
	}
	return 0;
}

void random_bytes(void *out, size_t size)
{
	reseed_if_due();
	random_take(&generator, out, size);
	bytes_left -= size < bytes_left ? size : bytes_left;
	takes_left -= takes_left > 0;
}

/* This server runs above all programs: one that is in the middle of its own work gets as much time as this
 * took. */
static int give_turn(uint64_t since)
{
	uint64_t now = time_now();

	return wait_until(anybody_in_user_mode() ? now + (now - since) : now);
}

ssize_t random_fill(struct io_buffer *buffer)
{
	size_t done = 0, round = 0;
	uint64_t since = time_now();

	while (buffer->size > 0) {
		struct span part = io_span(buffer, buffer->size, true);

		if (!part.at)
			return done ? (ssize_t)done : -EFAULT;
		random_bytes(part.at, part.size);
		io_advance(buffer, part.size);
		done += part.size;
		round += part.size;
		if (round < ROUND)
			continue;
		if (buffer->size > 0 && give_turn(since) != 0)
			break; /* a signal: what is there counts */
		round = 0;
		since = time_now();
	}
	return (ssize_t)done;
}

long sys_getrandom(struct thread *thread, const uint64_t arguments[6])
{
	unsigned flags = (unsigned)arguments[2];
	struct io_buffer buffer = {.thread = thread, .user = arguments[0], .size = arguments[1]};
	int error = 0;

	if (flags & ~(GRND_NONBLOCK | GRND_RANDOM | GRND_INSECURE) ||
	    (flags & (GRND_RANDOM | GRND_INSECURE)) == (GRND_RANDOM | GRND_INSECURE))
		return -EINVAL;
	if (!(flags & GRND_INSECURE))
		error = random_wait(flags & GRND_NONBLOCK);
	if (error)
		return error == -EINTR ? -EINTR_RESTART : error;
	if (buffer.size > ONCE_MAX)
		buffer.size = ONCE_MAX;
	return random_fill(&buffer);
}

ssize_t random_absorb(struct io_buffer *buffer)
{
	size_t done = 0;
	uint64_t since = time_now();

	while (buffer->size > 0) {
		struct span part = io_span(buffer, buffer->size, false);

		if (!part.at)
			return done ? (ssize_t)done : -EFAULT;
		random_mix(&generator, part.at, part.size);
		io_advance(buffer, part.size);
		done += part.size;
		if (buffer->size > 0 && give_turn(since) != 0)
			break;
		since = time_now();
	}
	return (ssize_t)done;
}
