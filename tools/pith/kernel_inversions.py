# SPDX-License-Identifier: MIT
"""The test that priority inheritance is what bounds priority inversion: tests/kernel/objects/inversions.c passes on the kernel,
and on the kernel without inheritance each of its tests fails, because the client waits too long, and for no other reason."""

import re
import sys

import boot
import kernel_test
from paths import Failure, build

WITHOUT = build("kernel-noinherit", "pith.elf")
PROGRAM, CHOSEN = "kernel-objects", "only=inversion."
JUDGED = re.compile(r"^(ok  |FAIL) (inversion\.\S+):", re.M)
COMPLAINT = re.compile(r"^  \S+:\d+: (\S+): failed: (.*)$", re.M)
WAITS_TOO_LONG = "shared.waited <= "


def judge(kernel):
    """{test: passed}, {test: what it complains about}."""
    log = kernel_test.log_of(kernel, PROGRAM, CHOSEN)
    print(log)
    complaints = {}
    for test, text in COMPLAINT.findall(log):
        complaints.setdefault(test, []).append(text)
    return {test: word == "ok  " for word, test in JUDGED.findall(log)}, complaints


def only_waits(complaints):
    return len(complaints) == 1 and complaints[0].startswith(WAITS_TOO_LONG)


def main():
    passed, _ = judge(boot.KERNEL)
    without, complaints = judge(WITHOUT)
    wrong = [f"{test} fails" for test, good in passed.items() if not good]
    wrong += [f"{test} is not what it was without inheritance" for test in passed.keys() ^ without.keys()]
    wrong += [f"{test} does not fail without inheritance as it should" for test, good in without.items()
              if good or not only_waits(complaints.get(test, []))]
    for line in wrong if passed else ["no test was run"]:
        print(line)
    return 1 if wrong or not passed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failure as failure:
        sys.exit(f"kernel inversions: {failure}")
