# SPDX-License-Identifier: MIT
"""Conformance tests that we did not write: Debian's posixtestsuite, the same program on Debian's kernel and on Pith, verdict by verdict.

Both run in the emulator: some tests set the clock, lock memory or run with real-time priority, which is nothing for the host.
"""

import os
import random
import re

import linux_guest
import machine
from bench import collect

from support import GUEST, PATIENCE, SEED, check, full, make_disk, pith, run, sampled, seconds

PROGRAM = os.path.join(GUEST, "posix")
SAMPLE = 40
JOBS = 8
LIMIT = 60  # seconds a test
PATIENT_LIMIT = 600  # by itself: some make millions of calls

# What passes on Linux and not here where there are several CPUs, and why: tests that take it for granted that another thread gets far in a moment, since it has a CPU for itself.
RACES = {
    "pthread_cond_signal/1-1": "who was woken has 100 us for a dozen calls; threads that mostly wait share the server's CPU",
    "sem_post/8-1": "children are to wait for a semaphore by when their parent, which does not wait for them, has made two more calls",
}
PASSED = re.compile(r"^(\S+/\S+) PASS$", re.M)


def passed_on_linux(names):
    command = ("mkdir -p /etc /dev/shm && mount -t tmpfs tmpfs /dev/shm && echo daemon:x:1:1::/: >/etc/passwd && "
               f"/program run {JOBS} {LIMIT} {' '.join(names)}")
    line = linux_guest.command_line(PROGRAM, command, machine.Disk(make_disk("scratch.img", "16M")))
    with machine.Machine(line) as emulator:
        console, log = collect(emulator, 3000 * PATIENCE)
    console = console.replace("\r", "")
    check("status 0" in console, "the tests on Linux", console[-1000:], log[-1000:])
    return set(PASSED.findall(console))


def passed_here(names, jobs, limit, options=()):
    result = pith("/posix", "-v", "run", str(jobs), str(limit), *names, add=[PROGRAM], timeout=3000, options=options).ok()
    text = result.stdout.decode(errors="replace")
    return set(PASSED.findall(text)), text


def compare(names):
    there = passed_on_linux(names)
    check(len(there) > len(names) / 4, "tests that pass on Linux", len(there), len(names))
    here, text = passed_here(names, JOBS, LIMIT)
    missing = sorted(there - here - (set(RACES) if machine.CPUS > 1 else set()))
    # Many measure time or take it: what failed beside others has a second try by itself. Some give others 100 us for a dozen
    # calls, which the emulator's speed decides: not where time is what was executed.
    for options in ([], ["--icount"]) if machine.CPUS == 1 else ([],):
        if missing:
            here, text = passed_here(missing, 1, PATIENT_LIMIT, options)
            missing = sorted(set(missing) - here)
    check(not missing, "passes on Linux and not here", *missing, text)


def all_tests():
    names = run([PROGRAM, "list"]).ok().stdout.decode().split()
    check(len(names) > 1400, "tests that were built", len(names))
    return names


@sampled
@seconds(600)
def test_a_sample():
    compare(random.Random(SEED).sample(all_tests(), SAMPLE))


@sampled
@seconds(600)
def test_policies():
    compare([name for name in all_tests() if name.startswith("sched_set")])


@full
@seconds(7200)
def test_all():
    compare(all_tests())
