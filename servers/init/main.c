/* SPDX-License-Identifier: MIT */
/*
 * init: builds the system that the manifest describes and keeps it alive. One loop at the highest priority:
 * faults of components, calls of "system", log lines, restarts that are due. It never waits for a component.
 */
#include "init.h"

#define OWN_OBJECTS_BITS 20

_Noreturn void boot_fail(void)
{
	log_error("the system cannot start");
	power_off();
}

static void image_find(void)
{
	const struct boot_image *image = (const struct boot_image *)boot_information->image_address;
	uint64_t size = boot_information->image_size;
	if (size < sizeof(*image) || image->magic != BOOT_IMAGE_MAGIC ||
	    image->version != BOOT_IMAGE_VERSION || image->archive_offset > size ||
	    image->archive_size > size - image->archive_offset) {
		log_error("the boot image is damaged");
		boot_fail();
	}
	init.archive.data = (const uint8_t *)image + image->archive_offset;
	init.archive.size = image->archive_size;
}

static void manifest_read(void)
{
	const uint8_t *text;
	size_t length;
	if (!archive_find(&init.archive, "manifest", &text, &length)) {
		log_error("the boot image holds no manifest");
		boot_fail();
	}
	if (!manifest_parse(&init.manifest, (const char *)text, length)) {
		log_error("manifest:%u: %s", init.manifest.error_line, init.manifest.error);
		boot_fail();
	}
}

static void own_objects(void)
{
	cptr_t untyped = ram_take(OWN_OBJECTS_BITS);
	if (untyped == CPTR_NULL)
		boot_fatal("no RAM");
	object_feed(untyped, OWN_OBJECTS_BITS);
	space_init();
	thread_name(INIT_SLOT_THREAD, "init", 0);
	init.endpoint = object_create(OBJECT_ENDPOINT, 0);
	init.events = object_create(OBJECT_NOTIFICATION, 0);
	if (init.endpoint == CPTR_NULL || init.events == CPTR_NULL ||
	    thread_bind(INIT_SLOT_THREAD, BIND_NOTIFICATION, init.events) != ERR_NONE)
		boot_fatal("no endpoint for init");
}

/* true: *message is the answer. Faults are not answered: the thread is destroyed. */
static bool dispatch(badge_t badge, struct message *message)
{
	if (badge < BADGE_FAULT)
		return service_call(badge, message);
	uint64_t index = badge - BADGE_FAULT;
	if (index < init.manifest.component_count)
		supervise_fault(&init.components[index], message);
	return false;
}

static _Noreturn void serve(void)
{
	cptr_t reply = object_create(OBJECT_REPLY, 0);
	struct message message = {0};
	badge_t badge;
	if (reply == CPTR_NULL)
		boot_fatal("no Reply for init");
	for (;;) {
		deadline_t deadline = supervise_timers();
		int status = ipc_recv(init.endpoint, reply, &message, &badge, deadline);
		if (status == RECV_NOTIFICATION) {
			journal_drain();
		} else if (status == ERR_NONE) {
			if (dispatch(badge, &message))
				ipc_reply(reply, &message);
		} else if (status != ERR_TIMEOUT) {
			log_error("receive: %s", error_text((enum error)status));
			boot_fail();
		}
	}
}

int main(void)
{
	ram_init();
	own_objects();
	power_init();
	wall_init();
	image_find();
	manifest_read();
	components_prepare();
	supervise_start_all();
	serve();
}
