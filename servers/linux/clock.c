/* SPDX-License-Identifier: MIT */
/* The clocks that go on without this server: the system's wall clock and the machine's own. */
#include <errno.h>
#include <pith/startup.h>
#include <pith/syscall.h>
#include "clock.h"
#include "syscall.h"
#include "wait.h"

#define ASK_AGAIN 1000000ul    /* ns */
#define PATIENCE  2000000000ul /* a component that was killed is back long before */

static int error_of(uint64_t status)
{
	switch (status) {
	case CLOCK_OK:
		return 0;
	case CLOCK_BUSY:
		return -EAGAIN;
	default:
		return -EINVAL;
	}
}

/* -EAGAIN: nobody is there to answer, or not now */
static int ask_once(cptr_t component, enum clock_operation operation, uint64_t argument, uint64_t *result)
{
	struct message message = {.info = MESSAGE_INFO(operation, 1), .words = {argument}};
	enum error error = ipc_call(component, &message, DEADLINE_POLL);

	if (error == ERR_TIMEOUT || error == ERR_PEER_DIED)
		return -EAGAIN;
	if (error || message_words(message.info) < 1)
		return -EIO;
	*result = message_words(message.info) >= 2 ? message.words[1] : 0;
	return error_of(message.words[0]);
}

int clock_ask(enum clock_operation operation, uint64_t argument, uint64_t *result)
{
	const struct startup_entry *entry = startup_find("clock", STARTUP_ENDPOINT, 0);
	deadline_t end = time_now() + PATIENCE;

	if (!entry)
		return -EPERM; /* the manifest does not give us the right */
	for (;;) {
		int error = ask_once(entry->slot, operation, argument, result);

		if (error != -EAGAIN)
			return error;
		if (time_now() >= end)
			return -EIO;
		if (wait_until(time_now() + ASK_AGAIN))
			return -EINTR_RESTART;
	}
}
