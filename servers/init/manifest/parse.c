/* SPDX-License-Identifier: MIT */
/* The manifest's lines: words, blocks, and the statements outside of components. */
#include <stdio.h>
#include <string.h>

#include "manifest.h"

#define LINE_MAX_BYTES 1024

enum block {
	BLOCK_NONE,
	BLOCK_COMPONENT,
	BLOCK_CONFIG_IN_COMPONENT,
	BLOCK_CONFIG,
};

struct parser {
	struct manifest *manifest;
	enum block block;
	unsigned block_line;
	struct manifest_component *component; /* whose block it is */
	struct manifest_line line;
	char text[LINE_MAX_BYTES]; /* the line's words point here */
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* Cuts parser->text into words; commas are words of their own; # starts a comment. */
static bool line_split(struct parser *parser, char *scratch)
{
	struct manifest_line *line = &parser->line;
	char *out = scratch;
	line->word_count = 0;
	for (char *at = parser->text; *at && *at != '#';) {
		if (is_blank(*at)) {
			at++;
			continue;
		}
		if (line->word_count == MANIFEST_WORDS)
			return manifest_fail(parser->manifest, line->number, "more than %d words",
			                     MANIFEST_WORDS);
		line->words[line->word_count++] = out;
		if (*at == ',') {
			*out++ = *at++;
		} else {
			while (*at && *at != ',' && *at != '#' && !is_blank(*at))
				*out++ = *at++;
		}
		*out++ = 0;
	}
	return true;
}

static bool statement_fail(struct parser *parser, const char *expected)
{
	return manifest_fail(parser->manifest, parser->line.number, "%s: expected %s", parser->line.words[0],
	                     expected);
}

static void component_defaults(struct manifest_component *component)
{
	component->priority = 100;
	component->budget = component->period = 10000000;
	component->memory.size = 1 << 20;
	component->stack = 65536;
	component->slots = 256;
	component->restarts = 5;
	component->restart_window = 60000000000;
}

/* component NAME { */
static bool component_begin(struct parser *parser)
{
	struct manifest *manifest = parser->manifest;
	struct manifest_line *line = &parser->line;
	if (line->word_count != 3 || strcmp(line->words[2], "{") != 0 || !manifest_name(line->words[1]))
		return statement_fail(parser, "NAME {");
	if (strcmp(line->words[1], "system") == 0 || strcmp(line->words[1], "init") == 0)
		return manifest_fail(manifest, line->number, "the name %s is taken", line->words[1]);
	if (manifest_component_find(manifest, line->words[1]) >= 0)
		return manifest_fail(manifest, line->number, "a second component named %s", line->words[1]);
	if (manifest->component_count == MANIFEST_COMPONENTS)
		return manifest_fail(manifest, line->number, "more than %d components", MANIFEST_COMPONENTS);
	struct manifest_component *component = &manifest->components[manifest->component_count++];
	strcpy(component->name, line->words[1]);
	/* "virtio-blk.1" runs the program virtio-blk unless told otherwise. */
	strcpy(component->program, component->name);
	component->program[strcspn(component->program, ".")] = 0;
	component->line = line->number;
	component_defaults(component);
	parser->component = component;
	parser->block = BLOCK_COMPONENT;
	parser->block_line = line->number;
	return true;
}

/* channel NAME SIZE server A client B */
static bool channel_statement(struct parser *parser)
{
	struct manifest *manifest = parser->manifest;
	struct manifest_line *line = &parser->line;
	uint64_t size;
	if (line->word_count != 7 || strcmp(line->words[3], "server") != 0 ||
	    strcmp(line->words[5], "client") != 0 || !manifest_name(line->words[1]) ||
	    !manifest_name(line->words[4]) || !manifest_name(line->words[6]))
		return statement_fail(parser, "NAME SIZE server COMPONENT client COMPONENT");
	if (!manifest_size(line->words[2], &size) || size % 4096 || size == 0 || size > 64ul << 20)
		return statement_fail(parser, "a size of whole pages up to 64M");
	if (manifest->channel_count == MANIFEST_CHANNELS)
		return manifest_fail(manifest, line->number, "more than %d channels", MANIFEST_CHANNELS);
	struct manifest_channel *channel = &manifest->channels[manifest->channel_count++];
	channel->line = line->number;
	channel->size = size;
	strcpy(channel->name, line->words[1]);
	strcpy(channel->server_name, line->words[4]);
	strcpy(channel->client_name, line->words[6]);
	return true;
}

/* [every] NAME [mapped] [dma]; leaves *word behind it. "every" names all components of a program. */
static bool pool_grant(struct parser *parser, struct manifest_pool *pool, unsigned *word)
{
	struct manifest_line *line = &parser->line;
	if (pool->spec_count == MANIFEST_SPECS)
		return manifest_fail(parser->manifest, line->number, "more than %d names in a pool",
		                     MANIFEST_SPECS);
	struct manifest_grant_spec *spec = &pool->specs[pool->spec_count];
	if (*word < line->word_count && strcmp(line->words[*word], "every") == 0) {
		spec->every = true;
		++*word;
	}
	if (*word >= line->word_count || !manifest_name(line->words[*word]))
		return statement_fail(parser, "the name of a component");
	strcpy(spec->name, line->words[(*word)++]);
	for (; *word < line->word_count && strcmp(line->words[*word], ",") != 0; ++*word) {
		if (strcmp(line->words[*word], "mapped") == 0)
			spec->mapped = true;
		else if (strcmp(line->words[*word], "dma") == 0)
			spec->dma = true;
		else
			return statement_fail(parser, "mapped, dma or a comma after a component's name");
	}
	pool->spec_count++;
	return true;
}

/* pool rest|SIZE|1/N MIN..MAX to GRANT, GRANT ... */
static bool pool_statement(struct parser *parser)
{
	struct manifest *manifest = parser->manifest;
	struct manifest_line *line = &parser->line;
	unsigned word = 2;
	while (word < 4 && word < line->word_count && strcmp(line->words[word], "to") != 0)
		word++;
	if (word == 4 || word + 1 >= line->word_count)
		return statement_fail(parser, "SIZE to COMPONENT [mapped] [dma], ...");
	if (manifest->pool_count == MANIFEST_POOLS)
		return manifest_fail(manifest, line->number, "more than %d pools", MANIFEST_POOLS);
	struct manifest_pool *pool = &manifest->pools[manifest->pool_count];
	pool->rest = word == 2 && strcmp(line->words[1], "rest") == 0;
	if (!pool->rest &&
	    (!manifest_amount(line, word - 1, 65536, 1ul << 40, &pool->amount) ||
	     !manifest_power_of_two(pool->amount.size) || !manifest_power_of_two(pool->amount.minimum) ||
	     !manifest_power_of_two(pool->amount.maximum)))
		return statement_fail(parser,
		                      "rest, a power of two of at least 64K, or 1/N MIN..MAX of such");
	pool->line = line->number;
	manifest->pool_count++;
	for (word++;; word++) {
		if (!pool_grant(parser, pool, &word))
			return false;
		if (word == line->word_count)
			return true;
	}
}

/* config NAME {, or config { inside of a component */
static bool config_begin(struct parser *parser, bool inside)
{
	struct manifest_line *line = &parser->line;
	unsigned brace = inside ? 1 : 2;
	if (line->word_count != brace + 1 || strcmp(line->words[brace], "{") != 0)
		return statement_fail(parser, inside ? "{" : "COMPONENT {");
	if (!inside) {
		int found = manifest_component_find(parser->manifest, line->words[1]);
		if (found < 0)
			return manifest_fail(parser->manifest, line->number,
			                     "config: no component %.40s before this line", line->words[1]);
		parser->component = &parser->manifest->components[found];
	}
	parser->block = inside ? BLOCK_CONFIG_IN_COMPONENT : BLOCK_CONFIG;
	if (!inside)
		parser->block_line = line->number;
	return true;
}

/* key=value; the value goes to the end of the line, comments start in the first column only. A later line
 * with the same key wins. */
static bool config_line(struct parser *parser)
{
	struct manifest_component *component = parser->component;
	char *start = parser->text, *end = start + strlen(start);
	while (is_blank(*start))
		start++;
	while (end > start && is_blank(end[-1]))
		end--;
	*end = 0;
	if (*start == 0 || *start == '#')
		return true;
	char *equals = strchr(start, '=');
	if (!equals || equals == start)
		return manifest_fail(parser->manifest, parser->line.number, "config: expected KEY=VALUE");
	for (const char *at = start; at < equals; at++)
		if (is_blank(*at))
			return manifest_fail(parser->manifest, parser->line.number,
			                     "config: a blank in the key");
	size_t length = (size_t)(end - start), key = (size_t)(equals - start) + 1;
	/* Take an earlier line with this key out. */
	for (char *at = component->config; *at;) {
		size_t line_length = strcspn(at, "\n") + 1;
		if (strncmp(at, start, key) == 0) {
			memmove(at, at + line_length, strlen(at + line_length) + 1);
			component->config_length -= line_length;
		} else {
			at += line_length;
		}
	}
	if (component->config_length + length + 2 > sizeof(component->config))
		return manifest_fail(parser->manifest, parser->line.number,
		                     "config: more than %d bytes for %s", MANIFEST_CONFIG - 1,
		                     component->name);
	memcpy(component->config + component->config_length, start, length);
	component->config_length += length;
	component->config[component->config_length++] = '\n';
	component->config[component->config_length] = 0;
	return true;
}

static bool outer_statement(struct parser *parser)
{
	const char *word = parser->line.words[0];
	if (strcmp(word, "component") == 0)
		return component_begin(parser);
	if (strcmp(word, "channel") == 0)
		return channel_statement(parser);
	if (strcmp(word, "pool") == 0)
		return pool_statement(parser);
	if (strcmp(word, "config") == 0)
		return config_begin(parser, false);
	return manifest_fail(parser->manifest, parser->line.number, "unknown word \"%.40s\"", word);
}

static bool line_parse(struct parser *parser)
{
	char scratch[2 * LINE_MAX_BYTES];
	struct manifest_line *line = &parser->line;
	if (!line_split(parser, scratch))
		return false;
	bool closes = line->word_count == 1 && strcmp(line->words[0], "}") == 0;
	if (parser->block == BLOCK_CONFIG || parser->block == BLOCK_CONFIG_IN_COMPONENT) {
		if (!closes)
			return config_line(parser);
		parser->block = parser->block == BLOCK_CONFIG ? BLOCK_NONE : BLOCK_COMPONENT;
		return true;
	}
	if (line->word_count == 0)
		return true;
	if (parser->block == BLOCK_NONE)
		return outer_statement(parser);
	if (closes) {
		parser->block = BLOCK_NONE;
		return true;
	}
	if (strcmp(line->words[0], "config") == 0)
		return config_begin(parser, true);
	return manifest_component_statement(parser->manifest, parser->component, line);
}

int manifest_component_find(const struct manifest *manifest, const char *name)
{
	for (unsigned i = 0; i < manifest->component_count; i++)
		if (strcmp(manifest->components[i].name, name) == 0)
			return (int)i;
	return -1;
}

bool manifest_parse(struct manifest *manifest, const char *text, size_t length)
{
	struct parser parser = {.manifest = manifest};
	memset(manifest, 0, sizeof(*manifest));
	for (size_t at = 0; at < length;) {
		const char *newline = memchr(text + at, '\n', length - at);
		size_t size = newline ? (size_t)(newline - text) - at : length - at;
		parser.line.number++;
		if (size >= LINE_MAX_BYTES)
			return manifest_fail(manifest, parser.line.number, "a line of more than %d bytes",
			                     LINE_MAX_BYTES - 1);
		if (memchr(text + at, 0, size))
			return manifest_fail(manifest, parser.line.number, "a NUL character");
		memcpy(parser.text, text + at, size);
		parser.text[size] = 0;
		if (!line_parse(&parser))
			return false;
		at += size + 1;
	}
	if (parser.block != BLOCK_NONE)
		return manifest_fail(manifest, parser.block_line, "the block that starts here is not closed");
	return manifest_check(manifest);
}
