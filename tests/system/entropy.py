# SPDX-License-Identifier: MIT
"""The component `random`: its sources, its deaths, and who is kept waiting."""

import os
import re

from support import check, equal, file_path, on_machine, shell

BYTES = "head -c 32 /dev/random | od -An -v -tx1 | tr -d ' \\n'; echo; head -c 32 /dev/urandom | wc -c; cat /pith/components/random/log"
NO_RDRAND = "max,-erms,-pku,-mpx,-la57,-rdrand,-rdseed"


def seeded_by(source, change, **options):
    """Two boots: the source is the one expected, and the bytes are not the same."""
    seen = set()
    for _ in range(2):
        result = on_machine(BYTES, change, **options).ok()
        lines = result.stdout.decode().splitlines()
        check(re.fullmatch("[0-9a-f]{64}", lines[0]) and lines[1] == "32", "bytes", lines)
        check(f"seeded by {source}" in result.stdout.decode(), source, result.stdout.decode(), result.log[-3000:])
        seen.add(lines[0])
    equal(len(seen), 2, "different bytes at each boot")


def without_rdrand(command):
    command = list(command)
    command[command.index("-cpu") + 1] = NO_RDRAND
    return command


def without_device(command):
    at = next(i for i, word in enumerate(command) if word.startswith("virtio-rng-pci"))
    return [*command[:at - 1], *command[at + 1:]]


def test_processor():
    seeded_by("the processor", without_device)


def test_device():
    seeded_by("virtio-rng", without_rdrand)


def test_timings():
    seeded_by("timings", lambda command: without_device(without_rdrand(command)))


def test_device_that_never_answers():
    """Its bytes come from a pipe that nobody writes to."""
    fifo = file_path("fifo")
    os.mkfifo(fifo)
    keep = os.open(fifo, os.O_RDWR)
    seeded_by("timings", lambda command: [*without_device(without_rdrand(command)), "-object", f"rng-random,id=silent,filename={fifo}",
                                          "-device", "virtio-rng-pci,disable-legacy=on,rng=silent"])
    os.close(keep)


def test_device_by_line_interrupt():
    seeded_by("virtio-rng", lambda command: [word + ",vectors=0" if word.startswith("virtio-rng-pci") else word
                                             for word in without_rdrand(command)])


def test_killed_while_programs_read():
    """Nobody stops, and what is read is as long as it should be."""
    result = shell("""
        for n in 1 2 3; do
            (while [ ! -e /tmp/stop ]; do head -c 100000 /dev/urandom; head -c 100 /dev/random; done | wc -c >/tmp/count.$n) &
        done
        kills=0
        while [ $kills -lt 30 ]; do kills=$((kills + 1)); echo 1 >/pith/components/random/kill; head -c 5000 /dev/random >/dev/null; done
        touch /tmp/stop; wait
        for n in 1 2 3; do echo $(($(cat /tmp/count.$n) % 100100)) $(($(cat /tmp/count.$n) > 0)); done
        grep -E '^(state|kills)' /pith/components/random/status""").ok()
    equal(result.stdout.decode().splitlines(), ["0 1"] * 3 + ["state: running", "kills: 30"])


def test_nobody_waits_for_a_long_read():
    """4 MiB in one read take more than a tenth of a second; another process has its turn all the time."""
    result = shell("""
        now() { cut -d' ' -f1 /proc/uptime | tr -d . | sed 's/^0*//'; }
        (sleep 0.1; dd if=/dev/urandom of=/dev/null bs=4M count=1 2>/dev/null; touch /tmp/done) &
        most=0; last=$(now)
        while [ ! -e /tmp/done ]; do
            time=$(now); [ $((time - last)) -gt $most ] && most=$((time - last))
            last=$time
        done
        echo $most""", options=["--icount"]).ok()
    check(int(result.stdout) <= 6, "hundredths of a second between two looks at the clock", result.stdout)
