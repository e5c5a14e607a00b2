/* SPDX-License-Identifier: MIT */
/* Lock ranges, frames of the exec channel, the tree of pages: each against a simpler model of itself; Telnet.
 */
#include "../check.h"
#include "exec_frames.h"
#include "fs/internal.h"
#include "fs/lock_ranges.h"
#include "tests.h"
#include "tty/telnet.h"

/* ---- locks: two owners over 64 bytes, against an array ---- */

static void test_lock_ranges(void)
{
	enum { SIZE = 64 };
	uint8_t model[3][SIZE] = {{0}}; /* by owner: 0 none, 1 shared, 2 exclusive */
	const char owners[3] = "abc";
	struct file_lock *list = NULL;
	srand(2);
	for (unsigned round = 0; round < 20000; round++) {
		unsigned owner = (unsigned)rand() % 3, first = (unsigned)rand() % SIZE,
		         last = first + (unsigned)rand() % (SIZE - first);
		struct file_lock wanted = {
		        .owner = &owners[owner], .first = first, .last = last, .exclusive = rand() % 2};
		bool unlock = rand() % 3 == 0, conflict = false;
		for (unsigned other = 0; other < 3; other++) {
			for (unsigned i = first; i <= last && other != owner; i++)
				conflict |=
				        model[other][i] == 2 || (model[other][i] == 1 && wanted.exclusive);
		}
		if ((lock_conflict(list, &wanted) != NULL) != conflict) {
			CHECK(!"conflict");
			break;
		}
		if (conflict && !unlock)
			continue;
		lock_set(&list, &wanted, unlock);
		memset(&model[owner][first], unlock ? 0 : wanted.exclusive ? 2 : 1, last - first + 1);
		uint8_t seen[3][SIZE] = {{0}};
		for (struct file_lock *lock = list; lock != NULL; lock = lock->next) {
			for (uint64_t i = lock->first; i <= lock->last; i++)
				seen[(const char *)lock->owner - owners][i] = lock->exclusive ? 2 : 1;
		}
		if (memcmp(seen, model, sizeof(seen)) != 0) {
			CHECK(!"ranges");
			break;
		}
	}
	for (unsigned i = 0; i < 3; i++)
		lock_drop_owner(&list, &owners[i]);
	CHECK(list == NULL);
}

static void test_locks_merge(void)
{
	struct file_lock *list = NULL;
	struct file_lock a = {.owner = "a", .first = 0, .last = 9},
	                 b = {.owner = a.owner, .first = 10, .last = LOCK_END};
	lock_set(&list, &a, false);
	lock_set(&list, &b, false);
	CHECK(list != NULL && list->next == NULL && list->first == 0 && list->last == LOCK_END);
	lock_drop_owner(&list, a.owner);
}

/* ---- frames ---- */

static unsigned feed(struct frame_parser *parser, const void *bytes, size_t size, struct exec_frame *last)
{
	unsigned frames = 0;
	for (size_t i = 0; i < size; i++)
		frames += frame_parse(parser, ((const uint8_t *)bytes)[i], last);
	return frames;
}

static void test_frames(void)
{
	static struct frame_parser parser;
	struct exec_frame frame = {EXEC_MAGIC, EXEC_STDIN, 3}, got;
	CHECK(feed(&parser, &frame, sizeof(frame), &got) == 0);
	CHECK(feed(&parser, "abc", 3, &got) == 1 && got.type == EXEC_STDIN &&
	      memcmp(parser.payload, "abc", 3) == 0);
	frame.length = 0;
	CHECK(feed(&parser, &frame, sizeof(frame), &got) == 1 && got.length == 0);
	frame.type = EXEC_UNWRITABLE;
	CHECK(feed(&parser, &frame, sizeof(frame), &got) == 1 && got.type == EXEC_UNWRITABLE);
	frame.type++; /* the last one is known */
	CHECK(feed(&parser, &frame, sizeof(frame), &got) == 0 && parser.broken);
	memset(&parser, 0, sizeof(parser));
	frame.type = EXEC_STDIN;
	frame.length = EXEC_FRAME_MAX + 1;
	CHECK(feed(&parser, &frame, sizeof(frame), &got) == 0 && parser.broken);
	frame.length = 0;
	CHECK(feed(&parser, &frame, sizeof(frame), &got) == 0); /* nothing is believed after that */
	memset(&parser, 0, sizeof(parser));
	frame.magic++;
	CHECK(feed(&parser, &frame, sizeof(frame), &got) == 0 && parser.broken);
	srand(3);
	for (unsigned round = 0; round < 2000; round++) {
		memset(&parser, 0, sizeof(parser));
		for (unsigned i = 0; i < 64; i++)
			frame_parse(&parser, (uint8_t)rand(), &got);
	}
}

static void test_program_description(void)
{
	char good[] = "\2\0\0\0\1\0\0\0ls\0-l\0A=b";
	struct exec_program program;
	CHECK(exec_program_parse(good, sizeof(good), &program) == 0);
	CHECK(strcmp(program.argv[1], "-l") == 0 && program.argv[2] == NULL);
	CHECK(strcmp(program.envp[0], "A=b") == 0 && program.envp[1] == NULL);
	free(program.argv);
	CHECK(exec_program_parse(good, sizeof(good) - 1, &program) == -EINVAL); /* the last NUL is missing */
	CHECK(exec_program_parse(good, 4, &program) == -EINVAL);
	char many[] = "\377\377\377\377\377\377\377\377x";
	CHECK(exec_program_parse(many, sizeof(many), &program) == -EINVAL);
	char none[] = "\0\0\0\0\1\0\0\0x";
	CHECK(exec_program_parse(none, sizeof(none), &program) == -EINVAL);
}

/* ---- the tree ---- */

static void test_page_tree(void)
{
	enum { COUNT = 300 };
	struct page_tree tree = {0};
	uint64_t keys[COUNT];
	pfn_t values[COUNT] = {0};
	srand(4);
	for (unsigned i = 0; i < COUNT; i++) {
		keys[i] = i < 100 ? i : ((uint64_t)rand() << 31 ^ (uint64_t)rand()) >> rand() % 60;
		for (unsigned j = 0; j < i; j++) {
			if (keys[j] == keys[i])
				keys[i]++, j = 0;
		}
	}
	bool good = true;
	for (unsigned round = 0; round < 50000 && good; round++) {
		unsigned i = (unsigned)rand() % COUNT;
		if (rand() % 2 == 0) {
			int error = page_tree_insert(&tree, keys[i], i + 1);
			good &= error == (values[i] != PFN_NONE ? -EEXIST : 0);
			values[i] = i + 1;
		} else {
			page_tree_remove(&tree, keys[i]);
			values[i] = PFN_NONE;
		}
		i = (unsigned)rand() % COUNT;
		good &= page_tree_find(&tree, keys[i]) == values[i];
		uint64_t at = keys[i], expected = UINT64_MAX;
		pfn_t next = page_tree_next(&tree, &at);
		for (unsigned j = 0; j < COUNT; j++) {
			if (values[j] != PFN_NONE && keys[j] >= keys[i] && keys[j] < expected)
				expected = keys[j];
		}
		good &= next == PFN_NONE ? expected == UINT64_MAX : at == expected;
	}
	CHECK(good);
	for (unsigned i = 0; i < COUNT; i++)
		page_tree_remove(&tree, keys[i]);
	CHECK(tree.root == NULL && tree.height == 0);
}

/* ---- Telnet: what of the input are bytes, and which sizes are told ---- */

static size_t telnet_bytes(struct telnet *telnet, const char *in, size_t length, char *out, unsigned *sizes)
{
	size_t bytes = 0;

	*sizes = 0;
	for (size_t i = 0; i < length; i++) {
		enum telnet_result result = telnet_input(telnet, (uint8_t)in[i]);

		if (result == TELNET_BYTE)
			out[bytes++] = in[i];
		*sizes += result == TELNET_SIZE;
	}
	return bytes;
}

static void test_telnet(void)
{
#define CASE(input, output, expected_sizes)                                                  \
	do {                                                                                 \
		char out[64];                                                                \
		unsigned sizes;                                                              \
		size_t bytes = telnet_bytes(&telnet, input, sizeof(input) - 1, out, &sizes); \
		CHECK(bytes == sizeof(output) - 1 && !memcmp(out, output, bytes) &&          \
		      sizes == expected_sizes);                                              \
	} while (0)
	struct telnet telnet = {0};

	CASE("plain \033[8;2;3t\360\372", "plain \033[8;2;3t\360\372", 0);
	CASE("a\377\377b\377\377\377\377", "a\377b\377\377", 0);
	CASE("a\377\372\037\000\144\000\050\377\360b", "ab", 1);
	CHECK(telnet.columns == 100 && telnet.rows == 40);
	CASE("\377\372\037\001\377\377\002\001\377\360", "", 1);
	CHECK(telnet.columns == 0x1ff && telnet.rows == 0x201);
	/* Too short, too long, another option, cut off by another command, negotiations: not a size, and
	 * nothing is lost. */
	CASE("\377\372\037\000\377\360c", "c", 0);
	CASE("\377\372\037\000\001\000\001\000\377\360d", "d", 0);
	CASE("\377\372\030\000\001\000\001\377\360e", "e", 0);
	CASE("\377\372\037\000\001\377\361f", "f", 0);
	CASE("\377\373\037\377\361g", "g", 0);
	CHECK(telnet.columns == 0x1ff && telnet.rows == 0x201);
	for (unsigned i = 0; i < 1000; i++)
		CHECK(telnet_input(&telnet, i == 0 ? 255 : i == 1 ? 250 : 'x') == TELNET_NOTHING);
	CASE("\377\360\377\372\037\000\120\000\030\377\360h", "h", 1);
#undef CASE
}

int pure_tests(void)
{
	test_lock_ranges();
	test_locks_merge();
	test_frames();
	test_program_description();
	test_page_tree();
	test_telnet();
	return checks_report();
}
