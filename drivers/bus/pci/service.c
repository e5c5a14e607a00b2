/* SPDX-License-Identifier: MIT */
/* Messages of <proto/pci.h> to operations on claims and back. Every call is answered at once. */
#include "service.h"
#include "claims.h"

static void answer(struct message *message, unsigned words, enum pci_status status, cptr_t capability)
{
	message->words[0] = status;
	ipc_buffer()->caps[0] = status ? CPTR_NULL : capability;
	bool carries = !status && capability;
	message->info = MESSAGE_INFO_CAPS(0, status ? 1 : words, carries ? 1 : 0, 0);
}

static void serve_open(badge_t badge, struct message *message)
{
	const struct function *function;
	uint32_t bars = 0;
	enum pci_status status = claim_open(badge, &function, &bars);
	if (!status) {
		message->words[1] = function->vendor | (uint64_t)function->device << 16;
		message->words[2] = function->class_revision;
		message->words[3] = function->address;
		message->words[4] = bars;
	}
	answer(message, 5, status, CPTR_NULL);
}

static void serve_bar(badge_t badge, struct message *message)
{
	cptr_t slot = CPTR_NULL;
	enum pci_status status = claim_bar(badge, message->words[0], &message->words[1], &slot);
	answer(message, 2, status, slot);
}

static void serve_irq(badge_t badge, struct message *message)
{
	cptr_t slot = CPTR_NULL;
	bool by_message = false;
	enum pci_status status = claim_irq(badge, message->words[0], &by_message, &slot);
	message->words[1] = by_message;
	answer(message, 2, status, slot);
}

static void serve_config_read(badge_t badge, struct message *message)
{
	uint32_t value = 0;
	enum pci_status status = claim_config_read(badge, message->words[0], message->words[1], &value);
	message->words[1] = value;
	answer(message, 2, status, CPTR_NULL);
}

void service_call(struct server *server, badge_t badge, struct message *message)
{
	(void)server;
	/* Words that the caller did not send are whatever was in the registers. */
	for (unsigned i = message_words(message->info); i < MESSAGE_REGISTER_WORDS; i++)
		message->words[i] = 0;
	switch (message_label(message->info)) {
	case PCI_OPEN:
		serve_open(badge, message);
		break;
	case PCI_BAR:
		serve_bar(badge, message);
		break;
	case PCI_IRQ:
		serve_irq(badge, message);
		break;
	case PCI_CONFIG_READ:
		serve_config_read(badge, message);
		break;
	case PCI_ENABLE:
		answer(message, 1, claim_enable(badge, message->words[0] != 0), CPTR_NULL);
		break;
	default:
		answer(message, 1, PCI_BAD_REQUEST, CPTR_NULL);
		break;
	}
}
