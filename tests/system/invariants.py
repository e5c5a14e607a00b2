# SPDX-License-Identifier: MIT
"""The whole system on the kernel that checks all its invariants after every operation."""

import sys

import boot
from paths import build
from support import check, equal, run, sampled, seconds

KERNEL = build("kernel-debug", "pith.elf")
# exec's options have no name for this on the command line.
EXEC = """
import sys
import execute
from paths import PATIENCE
sys.exit(execute.execute(execute.Options(kernel=sys.argv[1], accel="tcg", timeout=250 * PATIENCE, command=sys.argv[2:])))
"""


@sampled
@seconds(400)
def test_a_shell_and_its_programs():
    boot.make(KERNEL)
    result = run([sys.executable, "-B", "-c", EXEC, KERNEL, "sh", "-c",
                  "ls /bin | wc -l >/tmp/count; (busybox true; busybox false) | cat; echo done"], timeout=300)
    check(b"panic" not in result.stderr, result.stderr.decode(errors="replace")[-2000:])
    equal(result.ok().stdout, b"done\n")
