/* SPDX-License-Identifier: MIT */
#pragma once

#include <pith/server.h>

/* Answers one call of <proto/pci.h>. */
void service_call(struct server *server, badge_t badge, struct message *message);
