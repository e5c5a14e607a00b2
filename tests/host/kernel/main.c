/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "../check.h"
#include "fake.h"
#include "units.h"
#include "world.h"

static void test_boot(void)
{
	world_boot();
	CHECK(running() && running()->priority == PRIORITY_MAX);
	CHECK(INVOKE(INIT_SLOT_CNODE, CNODE_DELETE, 0) == ERR_RANGE);
	CHECK(INVOKE(9999, CNODE_DELETE, 1) == ERR_NO_CAPABILITY);
}

static void test_call_reply(void)
{
	cptr_t endpoint, reply, badged;
	struct thread *init, *client;

	world_boot();
	init = running();
	endpoint = make(OBJECT_ENDPOINT, 0);
	reply = make(OBJECT_REPLY, 0);
	badged = new_slot();
	CHECK(INVOKE(INIT_SLOT_CNODE, CNODE_DERIVE, badged, 0, endpoint, RIGHT_WRITE | RIGHT_GRANT, 77) == 0);
	client = thread_at(make_thread(PRIORITY_MAX));
	run(client);
	enter(SYS_CALL, &(struct call){.cap = badged,
	                               .info = MESSAGE_INFO(5, 2),
	                               .words = {11, 22},
	                               .deadline = DEADLINE_NEVER});
	CHECK(client->state == THREAD_STATE_BLOCKED_SEND && running() == init);
	enter(SYS_RECV, &(struct call){.cap = endpoint, .reply = reply, .deadline = DEADLINE_NEVER});
	CHECK(running() == init && status_of(init) == ERR_NONE && badge_of(init) == 77);
	CHECK(info_of(init) == MESSAGE_INFO(5, 2) && word_of(init, 0) == 11 && word_of(init, 1) == 22);
	CHECK(client->state == THREAD_STATE_BLOCKED_REPLY);
	enter(SYS_REPLY_RECV, &(struct call){.cap = endpoint,
	                                     .info = MESSAGE_INFO(6, 1),
	                                     .words = {33},
	                                     .reply = REPLY_PAIR(reply, 0),
	                                     .deadline = DEADLINE_NEVER});
	CHECK(running() == client && status_of(client) == ERR_NONE && word_of(client, 0) == 33);
	CHECK(init->state == THREAD_STATE_BLOCKED_RECV);
	enter(SYS_CALL, &(struct call){.cap = badged, .deadline = DEADLINE_NEVER});
	CHECK(running() == init && status_of(init) == ERR_NONE);
	CHECK(INVOKE(INIT_SLOT_CNODE, CNODE_DELETE, reply) == ERR_NONE);
	run(client);
	CHECK(status_of(client) == ERR_PEER_DIED);
}

/* Interrupted in the middle of a text, it goes on where it was. */
static void test_debug_write(void)
{
	static const char text[MESSAGE_REGISTER_WORDS * 8] =
	        "the quick brown fox jumps over the lazy dog 0123";
	struct call call = {.cap = sizeof(text)};

	world_boot();
	memcpy(call.words, text, sizeof(text));
	fake_log[0] = '\0';
	fake_debug_slow = 3;
	fake_interrupt_every = 5;
	CHECK(syscall(SYS_DEBUG_WRITE, &call) == ERR_NONE);
	fake_debug_slow = fake_interrupt_every = 0;
	CHECK(!memcmp(fake_log, text, sizeof(text)) && strlen(fake_log) == sizeof(text));
	call = (struct call){.cap = sizeof(text) + 1};
	CHECK(syscall(SYS_DEBUG_WRITE, &call) == ERR_ARGUMENT);
}

/* Lines of 100 bytes, the first of so many as there is room for. */
static bool lines_are_whole(unsigned count)
{
	char line[101];

	for (unsigned i = 0; i < count; i++) {
		snprintf(line, sizeof(line), "line %094u\n", i);
		if (memcmp(fake_log + i * 100ul, line, 100))
			return false;
	}
	return true;
}

/* Who logs does not wait for the line: it is written by who idles, and before what user mode writes. */
static void test_log_later(void)
{
	for (unsigned idle = 0; idle < 2; idle++) {
		world_boot();
		while (kernel_log_send())
			;
		fake_log[0] = '\0';
		for (unsigned i = 0; i < 50; i++)
			kernel_log_later("line %094u\n", i);
		CHECK(!fake_log[0]);
		fake_debug_slow = 3;
		if (idle)
			enter(SYS_WAIT, &(struct call){.cap = make(OBJECT_NOTIFICATION, 0),
			                               .deadline = fake_now + 1000});
		else
			enter(SYS_DEBUG_WRITE, &(struct call){.cap = 1, .words = {'x'}});
		fake_debug_slow = 0;
		CHECK(lines_are_whole(40) && !strcmp(fake_log + 4000, idle ? "" : "x"));
		CHECK(!kernel_log_send());
		fake_log[0] = '\0';
		kernel_log_later("and on\n");
		while (kernel_log_send())
			;
		CHECK(!strcmp(fake_log, "lines lost: 10\nand on\n"));
	}
}

/* Arguments: how many random operations, which random numbers. */
int main(int argc, char **argv)
{
	unsigned passed = 0, failed = 0;

	failed += units_heap(&passed);
	failed += units_boot(&passed);
	test_boot();
	test_call_reply();
	test_debug_write();
	test_log_later();
	failed += units_time(&passed);
	failed += units_spaces(&passed);
	failed += units_inherit(&passed);
	failed += units_invariants(&passed);
	failed += units_cpus(&passed);
	failed += units_hostile(&passed);
	failed += units_tags(&passed);
	failed += units_stress(&passed, argc > 1 ? strtoul(argv[1], NULL, 0) : 20000,
	                       argc > 2 ? (unsigned)strtoul(argv[2], NULL, 0) : 1);
	printf("%u passed, %u failed\n", passed + checks_passed, failed + checks_failed);
	return failed + checks_failed != 0;
}
