# SPDX-License-Identifier: MIT
"""Programs that ask for too much: the system goes on, and what they had comes back."""

import os
import re

import boot
from paths import build
from support import GUEST, SEED, check, equal, file_path, full, make_disk, on_machine, pith, sampled, seconds, shell, write_file

ANY_CALLS = os.path.join(GUEST, "anycalls")
TANGLE = os.path.join(GUEST, "tangle")
WAITS = build("components-waits")
FREE = "cat /proc/meminfo >/dev/null; free | awk '/Mem/ {print \"free\", $4 + $6}'"  # with the page cache


def random_calls(rounds, threads, **options):
    script = f"{FREE}; /anycalls {SEED * 1000} {rounds} {threads} && rm -rf /tmp/anycalls && ipcrm --all && {FREE}"
    result = shell(script, add=[ANY_CALLS], **options).ok()
    check(f"{rounds} rounds\n" in result.stdout.decode(), "the rounds", result.stdout, result.stderr)
    before, after = map(int, re.findall(rb"free (\d+)", result.stdout))
    # Tables of the server that have grown stay: some KiB a process that there was at once.
    check(before - after < 8192, "memory that did not come back (KiB)", before, after)


def test_random_system_calls():
    random_calls(20, 3)


@full
@seconds(3600)
def test_many_random_system_calls():
    for cpus in ("1", "4"):
        random_calls(1000, 4, timeout=1600, options=["--cpus", cpus])
        random_calls(300, 2, timeout=900, memory="128M", options=["--cpus", cpus])


def tangle(rounds, waits, **options):
    """Threads that use the same few objects (tests/stress/tangle.c); waits: with a `linux` whose copies wait, and that overwrites what it frees."""
    if waits:
        boot.make(os.path.join(WAITS, "linux.elf"))
        os.environ["PITH_COMPONENTS"] = WAITS
    script = f"{FREE}; /tangle {SEED * 1000} {rounds} && rm -rf /tmp/tangle && {FREE}"
    result = shell(script, add=[TANGLE], **options).ok()
    check(f"{rounds} rounds\n" in result.stdout.decode(), "the rounds", result.stdout, result.stderr)
    before, after = map(int, re.findall(rb"free (\d+)", result.stdout))
    check(before - after < 8192, "memory that did not come back (KiB)", before, after)


@seconds(400)
def test_the_same_few_objects():
    tangle(20, True, timeout=200)


@full
@seconds(5000)
def test_many_rounds_with_the_same_objects():
    for cpus in ("1", "4"):
        tangle(300, False, timeout=1000, options=["--cpus", cpus])
        tangle(300, False, timeout=1000, memory="128M", options=["--cpus", cpus])
    tangle(500, True, timeout=1500, options=["--cpus", "4"])


@sampled
def test_crowd_of_large_processes():
    """There is as much room for the records of processes as the machine is large. A second crowd takes what the first one left."""
    result = shell(f"/crowd 600; {FREE}; /crowd 600; {FREE}", add=[os.path.join(GUEST, "crowd")], memory="512M", timeout=120).ok()
    equal(result.stdout.count(b"600 copies\n"), 2, f"copies: {result.stdout} {result.stderr}")
    before, after = map(int, re.findall(rb"free (\d+)", result.stdout))
    check(before - after < 2048, "memory that did not come back (KiB)", before, after)


def test_a_user_who_hoards():
    """What is kept for a user ends before the server's memory does: it is refused more, others get on, and what it had comes back."""
    result = shell(f"{FREE}; /hoard; {FREE}", add=[os.path.join(GUEST, "hoard")], memory="128M", timeout=120).ok()
    kinds = ("packets", "connections", "watches", "locks", "texts", "files")
    equal(re.findall(rb"free \d+\n(.*)free", result.stdout, re.S), ["".join(f"{kind}: refused, others work\n" for kind in kinds).encode()], "who is refused")
    before, after = map(int, re.findall(rb"free (\d+)", result.stdout))
    check(before - after < 2048, "memory that did not come back (KiB)", before, after)


def test_fork_bomb_of_a_user():
    """Within RLIMIT_NPROC: fork fails, everybody else gets on, it can be ended, and what it had comes back."""
    nobody = "cat /proc/[0-9]*/status 2>/dev/null | grep -c '^Uid:.65534'"
    script = (f"{FREE}; (ulimit -u 60; start-stop-daemon -S -b -c nobody -x /bin/sh -n x -- -c 'exec 2>/tmp/said; b() {{ b | b & }}; b; sleep 100'); sleep 2;"
              f"{nobody}; echo on; start-stop-daemon -S -c nobody -n x -x /bin/busybox -- kill -9 -1; sleep 1; {nobody}; {FREE}; grep -c fork /tmp/said")
    lines = shell(script, timeout=120).ok().stdout.decode().split("\n")
    check(0 < int(lines[1]) <= 60 and int(lines[5]) > 0, "processes of the bomb, and forks that failed", lines)
    equal(lines[2:4], ["on", "0"], "the others, and what is left of it")
    check(int(lines[0].split()[1]) - int(lines[4].split()[1]) < 8192, "memory that did not come back (KiB)", lines)


@full
@seconds(900)
def test_fork_bomb_without_a_limit():
    """Where nothing but memory ends it: fork fails, or who has most is killed, and the system can be switched off."""
    result = shell("(b() { b | b & }; b) 2>/dev/null; sleep 3; echo on; exec timeout -s KILL 5 sleep 100", memory="128M", timeout=600)
    check(result.status not in (124, 125) and b"on\n" in result.stdout, "what goes on", result.status, result.stdout, result.stderr)


def slow_disk(command):
    """The second disk answers eight requests a second."""
    return [f"{word},throttling.iops-total=8" if word.startswith("if=none,id=disk1,") else word for word in command]


def test_one_that_waits_delays_nobody():
    """A loop of system calls takes as long beside processes that wait for a pipe, for time and for the disk."""
    size = 8 << 20
    for name in range(5):
        write_file(f"source/{name}", os.urandom(size))
    disk = make_disk("disk.img", "64M", file_path("source"), 4096)
    loop = "i=0; while [ $i -lt 3000 ]; do i=$((i+1)); : </dev/null; done"
    # Where the readers of the disk are in their files, before and after the loop, and that all go on: between two pieces each waits for half a second.
    script = (f"t() {{ s=$(cut -d' ' -f1 /proc/uptime); {loop}; e=$(cut -d' ' -f1 /proc/uptime); echo \"took $s $e\"; }}; t; mkfifo /tmp/p; "
              "for n in 0 1 2 3 4; do cat /tmp/p & sleep 1000 & dd bs=64k of=/dev/null </mnt/$n 2>/dev/null & readers=\"$readers $!\"; done; "
              "at() { set -- $(sed -n 's/pos:\t//p' /proc/$1/fdinfo/0 2>/dev/null); echo $1; }; go_on() { for p in $readers; do was=$(at $p); while [ \"$was\" ] && [ \"$(at $p)\" = \"$was\" ]; do :; done; done; }; "
              "all() { for p in $readers; do echo at $(at $p); done; }; go_on; all; t; all; go_on; all; echo >/tmp/p; killall sleep cat dd")
    output = on_machine(script, slow_disk, disks=[disk], config={"mount.1": "/mnt"}).ok().stdout.decode()
    times = [float(end) - float(begin) for begin, end in re.findall(r"took (\S+) (\S+)", output)]
    places = [int(place) for place in re.findall(r"at (\d+)", output)]
    check(len(times) == 2 and len(places) == 15, "what was measured", output)
    check(min(places) > 0 and max(places) < size and all(now > then for then, now in zip(places[5:], places[10:])), "readers that waited, and went on", output)
    check(times[1] < 3 * times[0] + 0.5, "beside those that wait", output)


def test_who_lives_on_calls_loses_turns_too():
    """A program whose slices nearly always end while the server works for it; in counted time, so that the host's load does not matter."""
    script = ("dd if=/dev/zero of=/dev/null bs=64k count=20000 2>/dev/null & i=0; "
              "while kill -0 $! 2>/dev/null; do /bin/busybox true; i=$((i + 1)); done; echo $i")
    turns = int(shell(script, options=["--icount"], timeout=120).ok().stdout)
    check(turns >= 12, "programs that ran beside it", turns)


def test_timers_of_the_shortest_intervals():
    """Whatever comes back every nanosecond: others sleep and wake, and those who asked for it can be ended."""
    tenths = int(pith("/ticks", add=[os.path.join(GUEST, "ticks")], timeout=100).ok().stdout)
    check(20 <= tenths < 200, "forty naps (tenths of a second)", tenths)


def test_many_cost_no_more_than_few():
    """Eight times as many files, descriptors, watches and mappings: one more takes as long, in counted time. (Where a disk is waited for, that is counted, too.)"""
    result = pith("/scaling", "/dev/shm", add=[os.path.join(GUEST, "scaling")], options=["--icount", "--memory", "1G"], timeout=200).ok()
    lines = [line.split() for line in result.stdout.decode().splitlines()]
    equal(len(lines), 14, "what was measured")
    for name, ratio in lines:
        check(int(ratio) < 200, f"{name} (hundredths)", ratio, result.stdout.decode())


def test_shares_of_nice_levels():
    """What three loops get beside each other on one CPU, the last: the shell is on the first. A step is a factor of 1.25, as with Linux."""
    begin = "".join(f"""nice -n {level} taskset -c $(($(nproc) - 1)) busybox sh -c 'while :; do :; done' & all="$all $!"; """ for level in (-5, 0, 5))
    result = shell(begin + "sleep 3; for p in $all; do cut -d' ' -f14 /proc/$p/stat; done; kill $all", options=["--icount"], timeout=100)
    first, usual, last = (int(ticks) for ticks in result.ok().stdout.split())
    check(2 < first / usual < 4 and 2 < usual / last < 4, "levels -5, 0, 5 (hundredths of a second)", first, usual, last)


def test_loops_of_real_time_policies():
    """More of them than CPUs leave the others time enough to end them."""
    result = shell("for i in 1 2 3 4 5; do busybox chrt -f $((i * 10)) busybox sh -c 'while :; do :; done' & done; sleep 1; echo on; kill $(jobs -p); wait; echo over",
                   timeout=100)
    equal(result.ok().stdout, b"on\nover\n")
