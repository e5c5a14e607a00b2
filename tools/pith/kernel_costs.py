# SPDX-License-Identifier: MIT
"""What each system call and operation costs, for docs/kernel-abi.md: instructions in the kernel, of the calls that succeed in
the kernel's own tests, by the trace. docs/kernel-costs.txt keeps the numbers.

As a program it checks that no call costs much more than the file says; --write measures anew and writes the page as well.
"""

import os
import statistics
import subprocess
import sys

import kernel_report
import kernel_test
import trace
from paths import Failure, root

TABLE = root("docs", "kernel-costs.txt")
HEADER = """\
# Instructions in the kernel of calls that succeed, in the kernel's tests: the median and the most.
# Getting in and out, some 50 more, is not counted. Written by tools/pith/kernel_costs.py --write.
"""
# The ring keeps the last events of a run, so what comes early in a long one has a run of its own.
RUNS = [*((program, (), "") for program in kernel_report.TEST_PROGRAMS), ("kernel", (), "only=breakpoint"),
        ("kernel", kernel_test.iommu(39), "only=io_")]
SLACK, MARGIN = 1.3, 60  # the mix of calls in the tests changes


def succeeded(stretch):
    """The call came to its end: the caller goes on without an error, or somebody else runs while it waits."""
    return stretch.then != stretch.enter.thread or stretch.end.a == 0


def measure():
    """{name: (median, most)}."""
    words, costs = trace.Words(), {}
    known = {**words.operations, **words.syscalls}
    for program, devices, append in RUNS:
        with kernel_report.traced(program, devices, append) as traced:
            for stretch in trace.all_stretches(traced):
                enter = stretch.enter
                if enter.detail == trace.VECTOR_SYSCALL and not trace.is_foreign(stretch) and succeeded(stretch):
                    costs.setdefault(words.entry(enter, False), []).append(stretch.took)
    return {name: (round(statistics.median(costs[name])), max(costs[name])) for name in known.values() if name in costs}


def read():
    with open(TABLE) as f:
        rows = [line.split() for line in f if not line.startswith("#")]
    return {name: (int(typical), int(most)) for name, typical, most in rows}


def write(costs):
    with open(TABLE, "w") as f:
        f.write(HEADER)
        for name, (typical, most) in sorted(costs.items()):
            f.write(f"{name:24} {typical:6} {most:6}\n")
    subprocess.run([sys.executable, "-B", root("tools", "kernel-abi.py")], check=True)


def check(costs):
    written, wrong = read(), 0
    for name, (typical, _) in costs.items():
        limit = written[name][0] * SLACK + MARGIN if name in written else 0
        if typical > limit:
            wrong += 1
            print(f"{name} costs {typical} instructions; {os.path.relpath(TABLE, root())} says {written.get(name, ('nothing',))[0]}")
    for name in set(written) - set(costs):
        wrong += 1
        print(f"{name} never succeeds in the kernel's tests, and has a cost")
    print(f"costs of {len(costs)} calls and operations, {wrong} wrong")
    return 1 if wrong else 0


def main(arguments):
    costs = measure()
    if arguments == ["--write"]:
        write(costs)
        return 0
    return check(costs)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except Failure as failure:
        sys.exit(f"kernel costs: {failure}")
