/* SPDX-License-Identifier: MIT */
/* The file half of the Linux server on the host: its pure parts, names on tmpfs, and the page cache with a
 * store of its own. */
#include "fakes.h"
#include "tests.h"

int main(void)
{
	int failed = line_tests() | pure_tests() | serial_tests();
	fakes_init();
	return failed | namespace_tests() | data_tests();
}
