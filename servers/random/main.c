/* SPDX-License-Identifier: MIT */
/* random: seeds for the random number generators of other components. See README.md. */
#include "device.h"
#include "sources.h"

#include <string.h>
#include <pith/log.h>
#include <pith/server.h>
#include <pith/startup.h>
#include <proto/random.h>

#define PATIENCE         1000000000ull /* ns that the device has; then timings have to do */
#define SEED_BYTES_LEAST 32            /* 256 bits */

static struct random_generator generator;
static bool seeded;
static size_t device_bytes;
static deadline_t timings_at = DEADLINE_NEVER;

static void seeded_by(const char *source)
{
	seeded = true;
	timings_at = DEADLINE_NEVER;
	log_info("seeded by %s", source);
}

static void seed_by_timings(void)
{
	if (jitter_mix(&generator)) {
		seeded_by("timings: no other source is at hand");
		return;
	}
	log_error("the timings repeat, and no other source is at hand: no seed can be given yet");
	timings_at = time_now() + PATIENCE;
}

static void answer_seed(struct message *message)
{
	uint64_t seed[RANDOM_SEED_BYTES / sizeof(uint64_t)];
	processor_mix(&generator);
	random_take(&generator, seed, sizeof(seed));
	memcpy(&message->words[1], seed, sizeof(seed));
	memset(seed, 0, sizeof(seed));
	message->words[0] = RANDOM_OK;
	message->info = MESSAGE_INFO(0, 1 + RANDOM_SEED_BYTES / sizeof(uint64_t));
	device_ask(); /* for the next one */
}

static void on_call(struct server *server, badge_t badge, struct message *message)
{
	(void)server, (void)badge;
	bool known = message_label(message->info) == RANDOM_SEED;
	if (known && seeded) {
		answer_seed(message);
		return;
	}
	message->words[0] = known ? RANDOM_NOT_YET : RANDOM_BAD_REQUEST;
	message->info = MESSAGE_INFO(0, 1);
}

static void on_event(struct server *server, uint64_t bits)
{
	(void)server;
	uint8_t bytes[DEVICE_BYTES];
	size_t size = device_collect(bits, bytes);
	random_mix(&generator, bytes, size);
	time_mix(&generator);
	memset(bytes, 0, sizeof(bytes));
	device_bytes += size;
	if (seeded || !size)
		return;
	if (device_bytes >= SEED_BYTES_LEAST)
		seeded_by("virtio-rng");
	else
		device_ask();
}

static deadline_t on_idle(struct server *server, bool *poll)
{
	(void)server, (void)poll;
	if (timings_at != DEADLINE_NEVER && time_now() >= timings_at)
		seed_by_timings();
	return timings_at;
}

int main(void)
{
	static struct server server = {.on_call = on_call, .on_event = on_event, .on_idle = on_idle};
	time_mix(&generator);
	if (processor_mix(&generator))
		seeded_by("the processor");
	const char *problem = device_start();
	log_info("virtio-rng: %s", problem ? problem : "one device");
	device_ask();
	if (!seeded && problem)
		seed_by_timings();
	else if (!seeded)
		timings_at = time_now() + PATIENCE;
	server_run(&server);
}
