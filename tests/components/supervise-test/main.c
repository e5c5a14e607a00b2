/* SPDX-License-Identifier: MIT */
/* Watches crasher go through its lives, by proto/system.h and by calling it. Prints "supervise-test: passed"
 * at the end. */
#include "../crasher/crasher.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include <pith/log.h>
#include <pith/startup.h>
#include <pith/syscall.h>
#include <proto/system.h>

#define FAULTS 15

static cptr_t supervisor, crasher;
static const struct startup_entry *channel;
static unsigned failures;

#define CHECK(condition)                                                        \
	do {                                                                    \
		if (!(condition)) {                                             \
			failures++;                                             \
			log_error("line %d: failed: %s", __LINE__, #condition); \
		}                                                               \
	} while (0)

static void pause_ms(long ms)
{
	struct timespec time = {.tv_nsec = ms * 1000000};
	nanosleep(&time, NULL);
}

static enum system_status system_call(struct message *message, enum system_operation operation,
                                      const char *name)
{
	char padded[STARTUP_NAME] = {0};
	snprintf(padded, sizeof(padded), "%s", name);
	memcpy(message->words, padded, sizeof(padded));
	message->info = MESSAGE_INFO(operation, 5);
	enum error error = ipc_call(supervisor, message, DEADLINE_NEVER);
	CHECK(error == ERR_NONE);
	return (enum system_status)message->words[0];
}

static struct component_status status_of(const char *name)
{
	struct message message = {0};
	struct component_status status = {0};
	CHECK(system_call(&message, SYSTEM_COMPONENT_STATUS, name) == SYSTEM_OK);
	memcpy(&status, &ipc_buffer()->words[MESSAGE_REGISTER_WORDS], sizeof(status));
	return status;
}

/* Until it is in that state with at least so many restarts; 30 s at most. */
static struct component_status wait_for(enum component_state state, uint64_t restarts)
{
	for (int i = 0; i < 3000; i++) {
		struct component_status status = status_of("crasher");
		if (status.state == state && status.restarts >= restarts)
			return status;
		pause_ms(10);
	}
	CHECK(!"the state was not reached in 30 s");
	return status_of("crasher");
}

static enum error call(uint32_t operation, uint64_t *word)
{
	struct message message = {.info = MESSAGE_INFO(operation, 0)};
	enum error error = ipc_call(crasher, &message, DEADLINE_NEVER);
	*word = message.words[0];
	return error;
}

static void test_names(void)
{
	struct message message = {.info = MESSAGE_INFO(SYSTEM_COMPONENT_NAME, 1), .words = {0}};
	char name[STARTUP_NAME];
	CHECK(ipc_call(supervisor, &message, DEADLINE_NEVER) == ERR_NONE && message.words[0] == SYSTEM_OK);
	memcpy(name, &message.words[2], sizeof(name));
	CHECK(strcmp(name, "crasher") == 0 && message.words[1] == 7);
	message = (struct message){.info = MESSAGE_INFO(SYSTEM_COMPONENT_NAME, 1), .words = {2}};
	CHECK(ipc_call(supervisor, &message, DEADLINE_NEVER) == ERR_NONE &&
	      message.words[0] == SYSTEM_NO_COMPONENT);
	CHECK(system_call(&message, SYSTEM_COMPONENT_STATUS, "nobody") == SYSTEM_NO_COMPONENT);
	CHECK(system_call(&message, SYSTEM_COMPONENT_KILL, "") == SYSTEM_NO_COMPONENT);
	message = (struct message){.info = MESSAGE_INFO(77, 0)};
	CHECK(ipc_call(supervisor, &message, DEADLINE_NEVER) == ERR_NONE &&
	      message.words[0] == SYSTEM_BAD_REQUEST);
	message = (struct message){.info = MESSAGE_INFO(SYSTEM_POWER, 1), .words = {17}};
	CHECK(ipc_call(supervisor, &message, DEADLINE_NEVER) == ERR_NONE &&
	      message.words[0] == SYSTEM_BAD_REQUEST);
}

/* Every fault of its list ends one life; each new one finds clean memory. */
static void test_faults(struct control *control)
{
	struct component_status status = wait_for(COMPONENT_RUNNING, FAULTS);
	CHECK(status.restarts == FAULTS && status.kills == 0);
	uint64_t generation;
	CHECK(call(CRASHER_PING, &generation) == ERR_NONE && generation == FAULTS);
	CHECK(control->starts == FAULTS + 1 && control->unclean == 0 && control->faults_passed == 0);
}

/* Who is being served learns of the death; who comes later is served by the successor. */
static void test_callers(void)
{
	uint64_t word;
	CHECK(call(CRASHER_CRASH, &word) == ERR_PEER_DIED);
	CHECK(call(CRASHER_PING, &word) == ERR_NONE && word == FAULTS + 1);
	CHECK(call(CRASHER_CRASH, &word) == ERR_PEER_DIED);
	CHECK(call(CRASHER_PING, &word) == ERR_NONE && word == FAULTS + 2);
}

static void test_kill(void)
{
	struct message message = {0};
	uint64_t word;
	for (unsigned i = 1; i <= 20; i++) {
		CHECK(system_call(&message, SYSTEM_COMPONENT_KILL, "crasher") == SYSTEM_OK);
		CHECK(call(CRASHER_PING, &word) == ERR_NONE && word == FAULTS + 2 + i);
	}
	struct component_status status = wait_for(COMPONENT_RUNNING, FAULTS + 2 + 20);
	CHECK(status.kills == 20 && status.cpu_time > 0 && status.memory > 100000 && status.priority == 90);
}

static void test_log(void)
{
	static char text[16384];
	size_t length = 0;
	for (uint64_t position = 0;;) {
		struct message message = {.words = {[4] = position}};
		CHECK(system_call(&message, SYSTEM_COMPONENT_LOG, "crasher") == SYSTEM_OK);
		uint64_t part = message.words[1];
		if (part == 0)
			break;
		CHECK(part <= 400 && message.words[2] == position + part);
		if (part > 400 || length + part >= sizeof(text))
			break;
		memcpy(text + length, &ipc_buffer()->words[6], part);
		length += part;
		position = message.words[2];
	}
	text[length] = 0;
	CHECK(strncmp(text, "fault 0\n", 8) == 0);
	CHECK(strstr(text, "error: this end is wanted\n") != NULL);
	CHECK(strstr(text, "alive in life 17\n") != NULL);
	/* What the supervisor says of each end is there, too: by whom, why, where. */
	CHECK(strstr(text,
	             "fault 0\ninit: crasher crashed: cannot read at 0x8 (nothing there)\ninit:   rip ") !=
	      NULL);
	CHECK(strstr(text, " fault_null_read+0x") != NULL);
	CHECK(strstr(text, "init: crasher ended with status 1\ninit: crasher is restarted in ") != NULL);
	CHECK(strstr(text, "init: crasher was killed by request\n") != NULL);
}

/* A component that writes without end does not stop the others. */
static void test_flood(void)
{
	uint64_t word, start = time_now();
	CHECK(call(CRASHER_FLOOD, &word) == ERR_NONE);
	log_info("the flood took %lu ms", (time_now() - start) / 1000000);
}

/* Too many crashes: failed for good, and everybody is told. */
static void test_give_up(struct control *control)
{
	struct message message = {0};
	uint64_t word, bits;
	CHECK(channel->peer_failed == 0);
	control->always_crash = 1;
	call(CRASHER_CRASH, &word);
	CHECK(call(CRASHER_PING, &word) == ERR_CLOSED); /* queued when it gave up */
	CHECK(status_of("crasher").state == COMPONENT_FAILED);
	CHECK(system_call(&message, SYSTEM_COMPONENT_KILL, "crasher") == SYSTEM_GONE);
	CHECK(status_of("crasher").state == COMPONENT_FAILED);
	CHECK(call(CRASHER_PING, &word) == ERR_CLOSED);
	CHECK(*(volatile const uint32_t *)&channel->peer_failed == 1);
	CHECK(notification_wait(startup_need("events", STARTUP_NOTIFICATION, 0)->slot, &bits,
	                        DEADLINE_POLL) == ERR_NONE &&
	      (bits & 1ul << channel->bit));
}

int main(void)
{
	supervisor = startup_need("system", STARTUP_ENDPOINT, 0)->slot;
	crasher = startup_need("crasher", STARTUP_ENDPOINT, 0)->slot;
	channel = startup_need("control", STARTUP_CHANNEL, 0);
	struct control *control = (struct control *)channel->address;
	test_names();
	test_faults(control);
	test_callers();
	test_kill();
	test_log();
	test_flood();
	test_give_up(control);
	if (failures)
		log_error("%u checks failed", failures);
	else
		log_info("passed");
	struct message message = {.info = MESSAGE_INFO(SYSTEM_POWER, 1), .words = {SYSTEM_POWER_OFF}};
	ipc_call(supervisor, &message, DEADLINE_NEVER);
	return 1;
}
