/* SPDX-License-Identifier: MIT */
/*
 * Request channels: ordinary use, restarts of either side at every step (nothing is lost, nothing is reported
 * twice), and a peer that scribbles over the shared memory.
 */
#include <stdlib.h>
#include <string.h>

#include <pith/ring.h>

#include "check.h"

#define SLOTS  24
#define MEMORY (64 * 1024)

static unsigned signals[3];

enum error notification_signal(cptr_t notification)
{
	signals[notification]++;
	return ERR_NONE;
}

static _Alignas(64) uint8_t memory[MEMORY];
static struct startup_entry server_entry, client_entry;
static struct ring server, client;

static void fresh(void)
{
	memset(memory, 0, sizeof(memory));
	memset(signals, 0, sizeof(signals));
	server_entry = (struct startup_entry){
	        .kind = STARTUP_CHANNEL, .slot = 1, .address = (uint64_t)memory, .size = MEMORY};
	client_entry = (struct startup_entry){
	        .kind = STARTUP_CHANNEL, .slot = 2, .address = (uint64_t)memory, .size = MEMORY};
}

static void test_order(void)
{
	uint32_t a, b, n;
	fresh();
	CHECK(!ring_server_attach(&server, &server_entry)); /* not there yet */
	CHECK(ring_prepare_sleep(&server));
	CHECK(ring_client_attach(&client, &client_entry, SLOTS, 128));
	CHECK(signals[2] == 1); /* tells the server that it may attach */
	CHECK(ring_server_attach(&server, &server_entry));
	CHECK(!ring_next(&server, &n));
	CHECK(ring_slot_take(&client, &a) && ring_slot_take(&client, &b) && a != b);
	ring_submit(&client, a);
	CHECK(ring_slot_state(&client, a) == RING_SLOT_SUBMITTED &&
	      ring_slot_state(&client, b) == RING_SLOT_FREE);
	ring_submit(&client, a);       /* twice: ignored */
	ring_slot_release(&client, a); /* while the server has it: ignored */
	CHECK(ring_next(&server, &n) && n == a && !ring_next(&server, &n));
	ring_complete(&server, b); /* not taken: ignored */
	CHECK(!ring_completed(&client, &n));
	ring_complete(&server, a);
	ring_complete(&server, a);
	CHECK(ring_completed(&client, &n) && n == a && !ring_completed(&client, &n));
	ring_slot_release(&client, a);
	CHECK(ring_slot_state(&client, a) == RING_SLOT_FREE);
	for (unsigned i = 0; i < SLOTS; i++)
		ring_slot_take(&client, &n);
	CHECK(!ring_slot_take(&client, &n) && ring_slot(&client, SLOTS) == NULL);
}

static void test_sleep(void)
{
	uint32_t n;
	fresh();
	ring_client_attach(&client, &client_entry, SLOTS, 128);
	ring_server_attach(&server, &server_entry);
	memset(signals, 0, sizeof(signals));
	ring_slot_take(&client, &n);
	ring_submit(&client, n);
	CHECK(signals[2] == 0);              /* the server is awake: no signal */
	CHECK(!ring_prepare_sleep(&server)); /* there is work */
	CHECK(ring_next(&server, &n) && ring_prepare_sleep(&server) && ring_prepare_sleep(&client));
	ring_complete(&server, n);
	CHECK(signals[1] == 1);
	CHECK(ring_completed(&client, &n));
	ring_slot_release(&client, n);
	ring_slot_take(&client, &n);
	ring_submit(&client, n);
	CHECK(signals[2] == 1);
	ring_slot_take(&client, &n);
	ring_submit(&client, n);
	CHECK(signals[2] == 1); /* once is enough */
	/* A server that dies right before it signals. */
	CHECK(ring_next(&server, &n) && ring_prepare_sleep(&client));
	ring_complete(&server, n);
	signals[1] = 0;
	CHECK(ring_server_attach(&server, &server_entry) && signals[1] == 1);
}

static void test_geometry(void)
{
	fresh();
	CHECK(!ring_client_attach(&client, &client_entry, 0, 128));
	CHECK(!ring_client_attach(&client, &client_entry, RING_CHANNEL_SLOTS + 1, 128));
	CHECK(!ring_client_attach(&client, &client_entry, 100, 4096));
	CHECK(!ring_client_attach(&client, &client_entry, 100, UINT32_MAX - 7));
	CHECK(!ring_client_attach(&client, &client_entry, 2, 129));
	CHECK(ring_client_attach(&client, &client_entry, SLOTS, 128));
	struct ring_channel *channel = (struct ring_channel *)memory;
	static const uint32_t bad[] = {0, 1, 7, RING_CHANNEL_SLOTS + 1, 65536, UINT32_MAX, UINT32_MAX - 7};
	for (unsigned i = 0; i < 7; i++) {
		channel->slots_offset = bad[i];
		CHECK(!ring_server_attach(&server, &server_entry));
		channel->slots_offset = client.slots_offset;
		channel->slot_size = bad[i] == 1 || bad[i] == 7 ? bad[i] : bad[i] & ~7u ? bad[i] : 0;
		if (channel->slot_size * 24ul > MEMORY || channel->slot_size % 8)
			CHECK(!ring_server_attach(&server, &server_entry));
		channel->slot_size = client.slot_size;
	}
	CHECK(ring_server_attach(&server, &server_entry));
}

/* Each request carries a number; it must be served at least once and its end be seen exactly once, whoever
 * dies when. */
static void test_restarts(unsigned seed)
{
	uint64_t submitted[SLOTS] = {0}, serial = 0, served[SLOTS] = {0}, seen = 0;
	struct ring_channel *channel = (struct ring_channel *)memory;
	uint32_t n, held[SLOTS];
	unsigned held_count = 0;
	srand(seed);
	fresh();
	ring_client_attach(&client, &client_entry, SLOTS, 128);
	ring_server_attach(&server, &server_entry);
	for (int step = 0; step < 4000; step++) {
		uint64_t *slot;
		switch (rand() % 12) {
		case 0:
		case 1:
		case 2:
			if ((slot = ring_slot_take(&client, &n))) {
				slot[0] = submitted[n] = ++serial;
				ring_submit(&client, n);
			}
			break;
		case 3:
		case 4:
		case 5:
			if (ring_next(&server, &n)) {
				for (unsigned i = 0; i < held_count; i++)
					CHECK(held[i] != n);
				held[held_count++] = n;
				slot = ring_slot(&server, n);
				CHECK(slot[0] == submitted[n]);
				served[n] = slot[0];
			}
			break;
		case 6:
		case 7:
		case 8:
			if (held_count) {
				unsigned i = (unsigned)rand() % held_count;
				ring_complete(&server, held[i]);
				held[i] = held[--held_count];
			}
			break;
		case 9:
			while (ring_completed(&client, &n)) {
				CHECK(served[n] == submitted[n] && submitted[n] != 0);
				submitted[n] = 0;
				seen++;
				ring_slot_release(&client, n);
			}
			break;
		case 10: /* the server dies; perhaps between the state and the queue */
			if (rand() % 8)
				break;
			if (held_count && rand() % 2)
				atomic_store(&channel->state[held[0]], RING_SLOT_DONE);
			held_count = 0;
			CHECK(ring_server_attach(&server, &server_entry));
			break;
		case 11: /* the client dies; perhaps between the state and the queue */
			if (rand() % 8)
				break;
			if (rand() % 2 && (slot = ring_slot_take(&client, &n))) {
				slot[0] = submitted[n] = ++serial;
				atomic_store(&channel->state[n], RING_SLOT_SUBMITTED);
			}
			CHECK(ring_client_attach(&client, &client_entry, SLOTS, 128));
			break;
		}
	}
	/* Let everything come to its end. */
	for (int round = 0; round < 3; round++) {
		while (held_count)
			ring_complete(&server, held[--held_count]);
		while (ring_next(&server, &n)) {
			served[n] = *(uint64_t *)ring_slot(&server, n);
			ring_complete(&server, n);
		}
		while (ring_completed(&client, &n)) {
			CHECK(served[n] == submitted[n] && submitted[n] != 0);
			submitted[n] = 0;
			seen++;
			ring_slot_release(&client, n);
		}
	}
	CHECK(seen == serial);
	CHECK(ring_prepare_sleep(&server) && ring_prepare_sleep(&client));
}

/* A peer that writes anything anywhere: no crash, no endless loop, no slot that does not exist. */
static void test_hostile(void)
{
	uint32_t n;
	srand(7);
	fresh();
	ring_client_attach(&client, &client_entry, SLOTS, 128);
	ring_server_attach(&server, &server_entry);
	for (int round = 0; round < 20000; round++) {
		for (int i = 0; i < 8; i++)
			memory[(size_t)rand() % sizeof(struct ring_channel)] = (uint8_t)rand();
		if (rand() % 50 == 0)
			ring_server_attach(&server, &server_entry);
		for (int i = 0; i < 300 && ring_next(&server, &n); i++) {
			if (n >= SLOTS && n >= server.slot_count)
				CHECK(!"a slot that does not exist");
			ring_complete(&server, n);
		}
		for (int i = 0; i < 300 && ring_completed(&client, &n); i++) {
			if (n >= SLOTS)
				CHECK(!"a slot that does not exist");
			ring_slot_release(&client, n);
		}
		if (ring_slot_take(&client, &n))
			ring_submit(&client, n);
		ring_prepare_sleep(&server);
		ring_prepare_sleep(&client);
	}
}

static void test_failed_peer(void)
{
	uint32_t n;
	fresh();
	ring_client_attach(&client, &client_entry, SLOTS, 128);
	ring_slot_take(&client, &n);
	ring_submit(&client, n);
	CHECK(!ring_peer_failed(&client));
	client_entry.peer_failed = 1;
	CHECK(ring_peer_failed(&client));
	ring_slot_release(&client, n); /* nobody will complete it */
	CHECK(ring_slot_state(&client, n) == RING_SLOT_FREE);
}

int main(void)
{
	test_order();
	test_sleep();
	test_geometry();
	for (unsigned seed = 1; seed <= 300; seed++)
		test_restarts(seed);
	test_hostile();
	test_failed_peer();
	return checks_report();
}
