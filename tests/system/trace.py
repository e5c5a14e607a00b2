# SPDX-License-Identifier: MIT
"""`./pith trace`: the profile counts what happened, the timeline is one, and the command's output stays its own."""

import json
import os
import re

from support import PATIENCE, PITH, check, equal, file_path, run, sampled


def trace(*command, options=()):
    timeline = file_path("timeline")
    result = run([PITH, "trace", "--icount", "--timeline", timeline, *options, "--", *command], timeout=200)
    if not os.path.exists(timeline):
        return result, result.stderr.decode(), []
    with open(timeline) as f:
        lines = f.read().splitlines()
    return result, result.stderr.decode(), lines


def rows(text, title):
    """{name: numbers} of a table of the profile."""
    table = re.search(rf"^{title} .*\n((?:.+\n)+)", text, re.M)[1]
    numbers = r"((?: +-?[\d,.]+%?)+)"
    found = (re.fullmatch(rf"(.*?){numbers}", line) for line in table.splitlines())
    return {m[1].strip(): [float(n.replace(",", "").rstrip("%")) for n in m[2].split()] for m in found if m}


def test_profile_counts_what_a_program_does():
    result, profile, _ = trace("dd", "if=/dev/zero", "of=/dev/null", "bs=1", "count=100")
    result.ok()
    equal(result.stdout, b"", "standard output")
    check("100+0 records in" in profile, "the program's own words", profile)
    entries, messages, components = (rows(profile, title) for title in ("entry into the kernel", "message", "component"))
    check(100 <= entries["read"][0] <= 105, "reads, and those of the libraries' beginnings", profile)
    check(100 <= entries["write"][0] <= 105, "writes", profile)
    check(messages["dd -> linux, foreign call"][0] > 200, "messages", profile)
    # user, kernel, total, share, entries, switches, CR3 writes, sent, answered
    dd, linux = components["dd"], components["linux"]
    equal(dd[7], messages["dd -> linux, foreign call"][0] + messages["dd -> linux, fault"][0], "what dd sent")
    check(linux[8] >= dd[7] - 1, "what linux answered", profile)
    check(dd[5] >= 200 and dd[6] == dd[5], "switches to dd all change the page table", profile)
    equal(sum(row[2] for name, row in components.items() if name != "sum"), components["sum"][2], "the sum")


def test_time_is_accounted_for():
    """Under icount the columns add up to the time that passed, but for the trace's own cost, which is taken off."""
    _, profile, timeline = trace("ls", "/")
    times = [float(line.split()[0]) for line in timeline[1:]]
    equal(times, sorted(times), "the timeline's order")
    total = rows(profile, "component")["sum"][2]
    passed = (times[-1] - times[0]) * 1000  # a nanosecond is an instruction
    check(0.85 * passed < total < passed, f"{total} instructions in {passed} ns", profile)


def test_status_and_window():
    result, _, timeline = trace("sh", "-c", "echo to stdout; exit 7", options=["--events", "500"])
    equal((result.status, result.stdout), (7, b"to stdout\n"), "status and output")
    check(50 < len(timeline) < 500, f"{len(timeline)} lines")
    result, _, booting = trace("true", options=["--boot"])
    check(any("init" in line.split()[2] for line in booting[:20]), "init comes first", *booting[:20])


@sampled
def test_failure_is_traced_too():
    """A command line that is wrong says so; a system that fails leaves its trace."""
    result, _, _ = trace("true", options=["--disk", "/no/such.img"])
    equal((result.status, b"no such file" in result.stderr), (125, True), "a wrong option")
    result, profile, timeline = trace("sh", "-c", "while :; do :; done", options=["--timeout", str(10 * PATIENCE)])
    equal(result.status, 124, "status after the timeout")
    components = rows(profile, "component")
    check(components["sh"][0] > 10 * components["linux"][0], "who used the time", profile)
    check(len(timeline) > 100, "a timeline")


def test_json_for_perfetto():
    path = file_path("trace.json")
    trace("ls", "/", options=["--json", path])
    with open(path) as f:
        events = json.load(f)["traceEvents"]
    slices = [e for e in events if e["ph"] == "X" and e["pid"] == 1]
    names = {e["args"]["name"] for e in events if e["ph"] == "M" and e["name"] == "process_name"}
    check({"CPUs", "ls", "linux", "ext2", "virtio-blk"} <= names, "rows", names)
    end = 0.0
    for piece in sorted(slices, key=lambda e: e["ts"]):
        check(piece["ts"] >= end - 0.002, "slices of a CPU do not overlap", piece, end)
        end = piece["ts"] + piece["dur"]
    arrows = {phase: {e["id"] for e in events if e["ph"] == phase} for phase in "sf"}
    equal(arrows["s"], arrows["f"], "arrows have two ends")
    check(len(arrows["s"]) > 50, "arrows")
