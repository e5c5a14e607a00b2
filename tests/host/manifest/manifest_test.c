/* SPDX-License-Identifier: MIT */
/* The manifest parser: the system's own texts, one test for each kind of error, and mutations of good texts
 * under the sanitizers. */
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "manifest.h"

static struct manifest manifest;

static char *file_read(const char *path)
{
	FILE *file = fopen(path, "rb");
	if (!file)
		return NULL;
	char *text = calloc(1, 65536);
	size_t size = fread(text, 1, 65535, file);
	(void)size;
	fclose(file);
	return text;
}

static bool parses(const char *text)
{
	return manifest_parse(&manifest, text, strlen(text));
}

/* The text is refused at this line with a message that holds these words. */
static void refused(const char *text, unsigned line, const char *words)
{
	bool good = parses(text);
	if (good || manifest.error_line != line || !strstr(manifest.error, words))
		printf("for:\n%s\ngot: %s line %u: %s\n", text, good ? "accepted" : "refused",
		       manifest.error_line, manifest.error);
	CHECK(!good && manifest.error_line == line && strstr(manifest.error, words));
}

static void test_good(void)
{
	CHECK(parses("component a {\n\tpriority 107\n\tservice\n\tuntyped 8K\n}\n"
	             "component b.1 {\n\tuses a\n\tuses system\n\tdevice a 1af4:1042 "
	             "3\n\tports 0x2f8 "
	             "8\n\tirq 3 level low\n"
	             "\tconfig {\n\t\tx=1  2 # not a comment\n\t}\n}\n"
	             "channel c 384K server a client b.1\n"
	             "pool rest to a mapped, every b dma # a comment\n"
	             "config b.1 {\nx=2\ny=\n}\n"));
	const struct manifest_component *b = &manifest.components[1];
	CHECK(manifest.component_count == 2 && manifest.components[0].priority == 107);
	CHECK(strcmp(b->program, "b") == 0 && strcmp(b->config, "x=2\ny=\n") == 0);
	CHECK(b->uses[0].target == 0 && b->uses[0].badge == 1);
	CHECK(b->uses[1].target == MANIFEST_SYSTEM && b->uses[1].badge == 1 && manifest.system_clients == 1);
	CHECK(b->devices[0].badge == 2 && b->devices[0].vendor == 0x1af4 && b->devices[0].number == 3);
	CHECK(b->irqs[0].level && b->irqs[0].active_low && b->ports[0].first == 0x2f8);
	CHECK(manifest.channels[0].size == 384 * 1024 && manifest.channels[0].server == 0 &&
	      manifest.channels[0].client == 1);
	CHECK(manifest.pools[0].rest && manifest.pools[0].grant_count == 2);
	CHECK(manifest.pools[0].grants[0].mapped && !manifest.pools[0].grants[0].dma);
	CHECK(!manifest.pools[0].grants[1].mapped && manifest.pools[0].grants[1].dma);
	CHECK(parses("component a {\n\tessential\n}\n") && manifest.components[0].essential);
	CHECK(parses("component a {\n}")); /* no newline at the end */
	CHECK(parses("component a {\r\n}\r\n"));
	CHECK(parses("component a {\n\tuntyped 1/8 6M..256M\n}\n") &&
	      manifest.components[0].untyped.share == 8);
	CHECK(manifest.components[0].untyped.minimum == 6ul << 20 &&
	      manifest.components[0].untyped.maximum == 256ul << 20);
	CHECK(parses("component a {\n\tmemory 1/16 8M..128M\n}\n") &&
	      manifest.components[0].memory.share == 16 &&
	      manifest.components[0].memory.minimum == 8ul << 20);
	CHECK(parses("component a {\n}\n") && manifest.components[0].memory.size == 1ul << 20);
	CHECK(parses("component a {\n}\npool 1/64 4M..16M to a mapped\n") &&
	      manifest.pools[0].amount.share == 64 && manifest.pools[0].amount.maximum == 16ul << 20 &&
	      !manifest.pools[0].rest);
	refused("component a {\n\tmemory 1/16 8M\n}\n", 2, "MIN..MAX");
	refused("component a {\n\tmemory 1/16 8M..512M\n}\n", 2, "MIN..MAX");
}

static void test_bad(void)
{
	refused("", 1, "no component");
	refused("frobnicate 1\n", 1, "unknown word");
	refused("component a {\n\tfrobnicate 1\n}\n", 2, "unknown word");
	refused("component a {\n}\ncomponent a {\n}\n", 3, "second component");
	refused("component system {\n}\n", 1, "taken");
	refused("component a\n{\n}\n", 1, "expected NAME {");
	refused("component a/b {\n}\n", 1, "expected NAME");
	refused("component abcdefghijklmnopqrstuvwxyz0123456 {\n}\n", 1, "expected NAME");
	refused("component a {\n\tpriority 1\n", 1, "not closed");
	refused("component a {\n\tpriority 251\n}\n", 2, "priority from 1");
	refused("component a {\n\tpriority 0\n}\n", 2, "priority from 1");
	refused("component a {\n\tpriority 99999999999999999999\n}\n", 2, "priority from 1");
	refused("component a {\n\tpriority 1\n\tpriority 1\n}\n", 3, "given twice");
	refused("component a {\n\tpriority 1 2\n}\n", 2, "wrong number");
	refused("component a {\n\tmemory 5000\n}\n", 2, "whole pages");
	refused("component a {\n\tmemory 4096G\n}\n", 2, "whole pages");
	refused("component a {\n\tmemory 99999999999999999999K\n}\n", 2, "whole pages");
	refused("component a {\n\tmemory 2X\n}\n", 2, "whole pages");
	refused("component a {\n\tbudget 10ms\n}\n", 2, "BUDGET/PERIOD");
	refused("component a {\n\tbudget 20ms/10ms\n}\n", 2, "more time than its period");
	refused("component a {\n\tbudget 0ms/10ms\n}\n", 2, "BUDGET/PERIOD");
	refused("component a {\n\tbudget 10/10\n}\n", 2, "BUDGET/PERIOD");
	refused("component a {\n\tbudget 9us/10ms\n}\n", 2, "less than 10us");
	refused("component a {\n\tbudget 1s/3601s\n}\n", 2, "more than an hour");
	CHECK(parses("component a {\n\tbudget 10us/3600s\n}\n"));
	refused("component a {\n\tuntyped 1/0 6M..8M\n}\n", 2, "MIN..MAX");
	refused("component a {\n\tuntyped 1/8 8M..6M\n}\n", 2, "MIN..MAX");
	refused("component a {\n\tslots 100\n}\n", 2, "power of two");
	refused("component a {\n\tdma 12K\n}\n", 2, "power of two");
	refused("component a {\n\trestart 5\n}\n", 2, "CRASHES/TIME");
	refused("component a {\n\trestart 65/1s\n}\n", 2, "CRASHES/TIME");
	refused("component a {\n\tports 0xfff8 16\n}\n", 2, "FIRST COUNT");
	refused("component a {\n\tirq 3 edge\n}\n", 2, "NUMBER");
	refused("component a {\n\tdevices some\n}\n", 2, "all");
	refused("component a {\n\tdevice a 1af4-1042 0\n}\n", 2, "VENDOR:DEVICE");
	refused("component a {\n\tdevice a 1af4:10425 0\n}\n", 2, "VENDOR:DEVICE");
	refused("component a {\n\tdevice a 1af4:1042 0\n}\n", 2, "no service");
	refused("component a {\n\tuses b\n}\n", 2, "no component named b");
	refused("component a {\n}\ncomponent b {\n\tuses a\n}\n", 4, "no service");
	refused("component a {\n\tuses system\n\tuses system\n}\n", 3, "twice");
	refused("component a {\n\tservice\n}\n", 1, "untyped");
	refused("component a {\n\tservice\n\tuntyped 4K\n}\ncomponent b {\n\tdevice a 1:1 0\n}\n", 6,
	        "VENDOR:DEVICE");
	refused("component a {\n\tservice\n\tuntyped 4K\n}\ncomponent b {\n\tpriority 1\n\tdevice a "
	        "0001:0001 "
	        "0\n\tdevice a 0001:0001 0\n}\n",
	        8, "the same device is given to b");
	/* what only one can have */
	refused("component a {\n\tports 0x70 2\n\tports 0x71 1\n}\n", 3, "ports: a has some of them");
	refused("component a {\n\tports 0x70 2\n}\ncomponent b {\n\tports 0x60 17\n}\n", 5,
	        "ports: a has some");
	CHECK(parses(
	        "component a {\n\tports 0x70 2\n}\ncomponent b {\n\tports 0x60 16\n\tports 0x72 1\n}\n"));
	refused("component a {\n\tirq 3\n\tirq 3 level\n}\n", 3, "irq: a has that number");
	refused("component a {\n\tirq 3\n}\ncomponent b {\n\tirq 4\n\tirq 3\n}\n", 6,
	        "irq: a has that number");
	refused("component a {\n\tdevices all\n}\ncomponent b {\n\tdevices all\n}\n", 5,
	        "devices: a has them");
	refused("component a {\n\twall-clock\n}\ncomponent b {\n\twall-clock\n}\n", 5,
	        "wall-clock: a has it");
	/* calls that could wait for each other */
	refused("component a {\n\tservice\n\tuntyped 4K\n\tuses a\n}\n", 4, "uses a: a circle");
	refused("component a {\n\tservice\n\tuntyped 4K\n\tuses b\n}\ncomponent b {\n\tservice\n\tuntyped "
	        "4K\n\tuses a\n}\n",
	        4, "uses b: a circle");
	refused("component x {\n\tuses a\n}\ncomponent a {\n\tservice\n\tuntyped 4K\n\tuses b\n}\n"
	        "component b {\n\tservice\n\tuntyped 4K\n\tuses c\n}\n"
	        "component c {\n\tservice\n\tuntyped 4K\n\tuses a\n}\n",
	        7, "uses b: a circle");
	refused("component a {\n\tservice\n\tuntyped 4K\n\tuses b\n}\ncomponent b {\n\tpriority "
	        "1\n\tservice\n\tuntyped "
	        "4K\n\tdevice a 0001:0001 0\n}\n",
	        4, "uses b: a circle");
	CHECK(parses(
	        "component a {\n\tuses b\n\tuses c\n}\ncomponent b {\n\tservice\n\tuntyped 4K\n\tuses c\n}\n"
	        "component c {\n\tservice\n\tuntyped 4K\n\tuses system\n}\n"));
	/* as many as there may be: the last two, and not the one whose number is 32 less */
	char many[1000];
	size_t length = 0;
	for (int i = 0; i < 38; i++)
		length += (size_t)snprintf(many + length, sizeof(many) - length, "component c%d {%s\n}\n", i,
		                           i == 6   ? "\n\tservice\n\tuntyped 4K\n\tuses c7"
		                           : i == 7 ? "\n\tservice\n\tuntyped 4K"
		                                    : "");
	size_t end = length;
	snprintf(many + end, sizeof(many) - end,
	         "component a {\n\tservice\n\tuntyped 4K\n}\ncomponent b {\n\tuses a\n\tuses c6\n}\n");
	CHECK(parses(many));
	snprintf(many + end, sizeof(many) - end,
	         "component a {\n\tservice\n\tuntyped 4K\n\tuses b\n}\ncomponent b {\n\tservice\n\tuntyped "
	         "4K\n\tuses a\n}\n");
	refused(many, 85, "uses b: a circle");

	/* a bus and its drivers */
	static const char driver[] =
	        "component a {\n\tservice\n\tuntyped 4K\n}\ncomponent b {\n\tdevice a 0001:0001 0\n}\n"
	        "component c {\n\tpriority 99\n}\npool 4M to %s\n";
	char text[400];
	snprintf(text, sizeof(text), driver, "b, c mapped");
	CHECK(parses(text));
	snprintf(text, sizeof(text), driver, "b dma, c mapped");
	refused(text, 6, "the priority of a must be above that of b");
	snprintf(text, sizeof(text), driver, "a dma, c mapped");
	CHECK(parses(text));
	strcpy(text, "component a {\n\tservice\n\tuntyped 4K\n\tdevice a 0001:0001 0\n}\n");
	refused(text, 4, "device: a circle");
	refused("component a {\n}\nchannel c 4K server a client a\n", 3, "itself");
	refused("component a {\n}\nchannel c 4K server a client b\n", 3, "no component named b");
	refused("component a {\n}\nchannel c 5K server a\n", 3, "expected NAME SIZE");
	refused("component a {\n}\nchannel c 4097 server a client b\n", 3, "whole pages");
	refused("component a {\n}\npool 4M to\n", 3, "expected SIZE to");
	refused("component a {\n}\npool 3M to a\n", 3, "power of two");
	refused("component a {\n}\npool 1/64 3M..16M to a\n", 3, "power of two");
	refused("component a {\n}\npool 1/64 4M..12M to a\n", 3, "power of two");
	refused("component a {\n}\npool 1/64 4M to a\n", 3, "MIN..MAX");
	refused("component a {\n}\npool rest 4M to a\n", 3, "MIN..MAX");
	refused("component a {\n}\npool 4M to b\n", 3, "no component b");
	refused("component a {\n}\npool 4M to a, every a\n", 3, "named twice");
	refused("component a {\n}\npool 4M to a writable\n", 3, "mapped, dma");
	refused("component a {\n}\npool 4M to a,\n", 3, "name of a component");
	refused("component a {\n}\npool rest to a\npool rest to a\n", 4, "second pool of the rest");
	refused("component a {\n\tconfig {\n\tnonsense\n\t}\n}\n", 3, "KEY=VALUE");
	refused("component a {\n\tconfig {\n\ta b=1\n\t}\n}\n", 3, "blank in the key");
	refused("config a {\n}\n", 1, "no component a");
	CHECK(!manifest_parse(&manifest, "component a {\n\0}\n", 17) && strstr(manifest.error, "NUL"));
}

static void test_limits(void)
{
	char *text = calloc(1, 200000);
	for (int i = 0; i <= MANIFEST_COMPONENTS; i++)
		sprintf(text + strlen(text), "component c%d {\n}\n", i);
	refused(text, 2 * MANIFEST_COMPONENTS + 1, "more than");
	strcpy(text, "component a {\n}\ncomponent b {\n}\n");
	for (int i = 0; i <= MANIFEST_CHANNELS; i++)
		strcat(text, "channel c 4K server a client b\n");
	refused(text, 5 + MANIFEST_CHANNELS, "more than");
	strcpy(text, "component a {\n");
	for (int i = 0; i <= MANIFEST_USES; i++)
		strcat(text, "uses system\n");
	refused(text, 2 + MANIFEST_USES, "more than");
	strcpy(text, "component a {\n config {\n");
	for (int i = 0; i < 400; i++)
		sprintf(text + strlen(text), "key%d=value\n", i);
	CHECK(!parses(text) && strstr(manifest.error, "bytes for a"));
	strcpy(text, "component a {\n config {\n");
	for (int i = 0; i < 4000; i++)
		strcat(text, "key=value\n"); /* the last wins: no growth */
	strcat(text, "}\n}\n");
	CHECK(parses(text) && strcmp(manifest.components[0].config, "key=value\n") == 0);
	memset(text, 'x', 5000);
	text[5000] = 0;
	refused(text, 1, "a line of more");
	strcpy(text, "pool 4M to");
	for (int i = 0; i < 100; i++)
		strcat(text, " a");
	refused(text, 1, "words");
	free(text);
}

static void test_own_texts(void)
{
	char *base = file_read("systems/base.conf"), *disk = file_read("systems/disk.conf");
	CHECK(base && disk);
	if (!base || !disk)
		return;
	CHECK(parses(base));
	char *both = calloc(1, strlen(base) + strlen(disk) + 1);
	strcpy(both, base);
	for (char *at = disk; *at; at++)
		*at = *at == '@' ? '1' : *at;
	strcat(both, disk);
	CHECK(parses(both));
	if (manifest.error[0])
		printf("line %u: %s\n", manifest.error_line, manifest.error);
	/* Mutations: whatever happens, nothing out of bounds (the sanitizers watch), and an error has a
	 * message. */
	srand(1);
	size_t length = strlen(both);
	char *copy = malloc(length + 1);
	for (int round = 0; round < 20000; round++) {
		memcpy(copy, both, length + 1);
		for (int i = rand() % 6; i >= 0; i--) {
			size_t at = (size_t)rand() % length;
			static const char marks[] = "{}#,=/:.\n \t0K9@x";
			switch (rand() % 3) {
			case 0:
				copy[at] = marks[rand() % 16];
				break;
			case 1:
				copy[at] = (char)rand();
				break;
			default: { /* a piece from elsewhere */
				size_t from = (size_t)rand() % length, size = (size_t)rand() % 40;
				if (from + size <= length && at + size <= length)
					memmove(copy + at, both + from, size);
			}
			}
		}
		size_t part = rand() % 4 ? length : (size_t)rand() % length;
		bool good = manifest_parse(&manifest, copy, part);
		if (!good && (manifest.error[0] == 0 || manifest.error_line == 0))
			CHECK(!"an error without a message");
	}
	free(copy);
	free(both);
	free(base);
	free(disk);
}

int main(void)
{
	test_good();
	test_bad();
	test_limits();
	test_own_texts();
	return checks_report();
}
