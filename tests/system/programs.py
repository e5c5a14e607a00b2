# SPDX-License-Identifier: MIT
"""Unmodified Linux programs: what they print on Pith is what they print on Linux."""

import contextlib
import difflib
import os
import random
import resource
import shutil

import fetch
from support import (GUEST, SEED, check, dump, equal, file_path, fsck, full, host_shell, make_disk, pith, run, sampled, seconds, shell,
                     write_file)

# Programs that say by themselves whether what they saw is right (tests/programs).
CHECKED = sorted(name for name in os.listdir(GUEST) if os.access(os.path.join(GUEST, name), os.X_OK)
                 and os.path.isfile(os.path.join(GUEST, name)) and os.path.exists(f"tests/programs/{name.split('-')[0]}.c")
                 ) if os.path.isdir(GUEST) else []


def usual_limits():
    """In the host's child: the limit of open files that a program finds by default, and no niceness of the suite's."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 4096))
    with contextlib.suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, 0)


def same(name, *arguments, stdin=b""):
    """The same program on both, in a folder of the same name: equal output, equal status."""
    path = os.path.join(GUEST, name)
    folder = file_path("cwd")
    os.makedirs(folder, exist_ok=True)
    here = run([path, *arguments], stdin, cwd=folder, preexec_fn=usual_limits)
    enter = 'mkdir -p "$0" && cd "$0" && exec "$@"'
    there = pith("sh", "-c", enter, folder, f"/{name}", *arguments, stdin=stdin, add=[path])
    difference = list(difflib.unified_diff(*(r.stdout.decode(errors="replace").splitlines() for r in (here, there)),
                                           "Linux", "Pith", n=0, lineterm=""))
    check(not difference, f"{name}: output", *difference[:60])
    equal(there.status, here.status, f"{name}: status")


def builds(program):
    """Its builds with musl, glibc and as static PIE."""
    return [name for name in CHECKED if name.partition("-")[0] == program]


def same_in_a_build(program):
    same(random.Random(f"{SEED} {program}").choice(builds(program)))


def test_hello():
    same_in_a_build("hello")


def test_bad_pointers():
    same_in_a_build("badptr")


def test_flags_and_options():
    same_in_a_build("abi")


def test_system_v():
    same_in_a_build("sysv")


def test_special_descriptors():
    same_in_a_build("special")


@sampled
def test_local_sockets():
    same_in_a_build("local")


def test_calls_beside_the_usual():
    same_in_a_build("calls")


def test_splices():
    same_in_a_build("splices")


@sampled
def test_watches():
    same_in_a_build("watches")


def test_rights():
    same_in_a_build("rights")


def test_running():
    same_in_a_build("running")


def test_memory():
    same_in_a_build("memory")


def test_signals():
    same_in_a_build("signals")


def test_many_signals_and_hand_overs():
    """Each arrives once, whether it is waited for, handled, or wakes a thread or a process."""
    same_in_a_build("counted")


def test_processes():
    same_in_a_build("process")


def test_files():
    same_in_a_build("files")


def test_mapped():
    same_in_a_build("mapped")


def test_entropy():
    same_in_a_build("entropy")


def test_settime():
    same_in_a_build("settime")


def test_hammer():
    same("hammer")


# They need a disk (disks.py) or are about Debian's kernel (faults.py).
ELSEWHERE = {"holes", "images", "mounted", "spread"}
# Those that have tests of their own here.
LISTED = {"hello", "badptr", "memory", "signals", "process", "files", "mapped", "hammer", "clocks", "entropy", "settime", "abi", "sysv",
          "special", "local", "calls", "splices", "watches", "rights", "running", "counted"}


def test_others():
    """Programs that came later than this list."""
    for program in sorted({name.partition("-")[0] for name in CHECKED} - LISTED - ELSEWHERE):
        same_in_a_build(program)


@full
@seconds(1800)
def test_all_in_all_builds():
    for name in CHECKED:
        if name.partition("-")[0] not in ELSEWHERE:
            same(name)


def test_clocks():
    same_in_a_build("clocks")


def test_clock_that_is_set():
    for variant in ("", "-glibc"):
        name = f"clocks{variant}"
        equal(pith(f"/{name}", "set", add=[os.path.join(GUEST, name)]).status, 0, name)


LUA = r"""
local words, counts = {}, {}
for i = 1, 20000 do words[i] = string.format("%x", (i * 2654435761) % 65536) end
for _, w in ipairs(words) do local c = w:sub(1, 1); counts[c] = (counts[c] or 0) + 1 end
local keys = {}
for k in pairs(counts) do keys[#keys + 1] = k end
table.sort(keys)
for _, k in ipairs(keys) do print(k, counts[k]) end
print(string.format("%.14g %.3f %d", math.pi * 1e10, math.sin(1), 7 // 2), 2 ^ 53, 10 / 3, -7 % 3)
local co = coroutine.wrap(function() for i = 1, 3 do coroutine.yield(i * i) end end)
print(co(), co(), co())
local f = assert(io.open("/tmp/lua-test", "w"))
for i = 1, 1000 do f:write(i, "\n") end
f:close()
local sum = 0
for line in io.lines("/tmp/lua-test") do sum = sum + line end
print(sum, os.remove("/tmp/lua-test"), os.getenv("HOME"))
print(pcall(error, "caught"))
for line in io.lines() do print(line:upper():reverse()) end
os.exit(3)
"""


def test_lua():
    script = write_file("test.lua", LUA.encode())
    lua = os.path.join(GUEST, "lua")
    here = run([lua, script], b"one\ntwo\n", env={"HOME": "/root"})
    there = pith("/lua", "/test.lua", stdin=b"one\ntwo\n", add=[lua, f"{script}:/test.lua"])
    equal((there.status, there.stdout), (here.status, here.stdout))


COMPILE = r"""
cc() {
	"$1" -B. -nostdinc -nostdlib -static -I. -Iinclude -Imusl/include musl/lib/crt1.o musl/lib/crti.o $3 musl/lib/libc.a \
		libtcc1.a musl/lib/libc.a musl/lib/crtn.o -o "$2"
}
compiler="-DONE_SOURCE=1 -DTCC_TARGET_X86_64 -DTCC_MUSL tcc.c"
cc ./tcc second "$compiler" && cc ./second third "$compiler" && cmp second third || exit 1
cat >factorial.c <<'END'
#include <stdio.h>
int main(int count, char **arguments)
{
	double f = 1;
	for (int i = 1; i <= 25; i++)
		f *= i;
	printf("%s %.17g\n", arguments[1], f);
	return count;
}
END
cc ./third factorial factorial.c || exit 2
./factorial 25!; echo status $?
./third -B. -I. -c no-such-file.c; echo status $?
md5sum second third factorial
"""


def test_a_compiler_compiles_itself():
    """tcc, of what its sources and a C library make, twice: what comes out is what comes out on Linux, to the byte."""
    original = os.path.join(GUEST, "compiler")
    folder = file_path("compiler")
    shutil.copytree(original, folder)
    here = run(["sh", "-c", COMPILE], cwd=folder)
    there = pith("sh", "-c", f"cd /compiler && {COMPILE}", add=[f"{original}:/compiler"])
    equal((there.status, there.stdout, there.stderr), (here.status, here.stdout, here.stderr))
    check(b"factorial" in there.stdout, "it went to the end", there.stdout)


def sqlite_script(inserts, batch):
    lines = ["CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, value REAL);", "CREATE INDEX t_name ON t (name);"]
    for first in range(0, inserts, batch):
        lines.append("BEGIN;")
        lines += [f"INSERT INTO t (name, value) VALUES ('name {(i * 7919) % inserts:06}', {i}.5);"
                  for i in range(first, min(inserts, first + batch))]
        lines.append("COMMIT;")
    lines += ["DELETE FROM t WHERE id % 10 = 0;", "UPDATE t SET value = value * 2 WHERE id % 3 = 0;",
              "SELECT count(*), sum(value), min(name), max(name) FROM t;",
              "SELECT name, value FROM t ORDER BY name LIMIT 5;", "PRAGMA integrity_check;"]
    return "\n".join(lines).encode() + b"\n"


def test_sqlite():
    sqlite = os.path.join(GUEST, "sqlite3")
    script = sqlite_script(10_000, 500)
    disk = make_disk("disk.img", "32M")
    local = file_path("here.db")
    here = run([sqlite, local], script).ok()
    there = pith("/sqlite3", "/mnt/test.db", stdin=script, add=[sqlite], disk=[disk], timeout=280)
    equal((there.status, there.stdout), (here.status, here.stdout), there.stderr)
    check(there.stdout.rstrip().endswith(b"ok"), "integrity_check", there.stdout)
    fsck(disk)
    # The file that Pith wrote, read by the host's own sqlite3.
    database = write_file("there.db", dump(disk, "/test.db"))
    query = "SELECT count(*), sum(value) FROM t; PRAGMA integrity_check;"
    equal(run(["sqlite3", database, query]).ok().stdout, run(["sqlite3", local, query]).ok().stdout)


def busybox_same(script, stdin=b"", timeout=180, **more):
    here = host_shell(script, stdin, **more)
    there = shell(script, stdin=stdin, timeout=timeout)
    equal((there.status, there.stdout), (here.status, here.stdout), f"{script!r}: status and output")


def test_many_processes():
    """Hundreds that sleep at once; and where memory is short, it is fork that fails, and the rest goes on."""
    done = shell("for i in $(seq 400); do sleep 1000 & done; until [ $(pidof sleep | wc -w) = 400 ]; do :; done; killall sleep; wait; echo done",
                 timeout=300)
    equal(done.stdout, b"done\n", "hundreds of processes")
    done = shell("(for i in $(seq 1000); do sleep 1000 & done);"
                 "while killall -q sleep || pidof sleep >/dev/null; do :; done; (sleep 0 && echo again)", memory="64M", timeout=300)
    equal(done.stdout, b"again\n", "what goes on")
    check(b"can't fork" in done.stderr, "fork's error", done.stderr)


def test_load_averages():
    """Exponential averages of samples every five seconds, as Linux's: after two with one busy process, 1 - exp(-10/60) over a minute."""
    result = shell("cat /proc/loadavg; (while :; do :; done) & sleep 12; cat /proc/loadavg; kill $!").ok()
    before, after = (line.split() for line in result.stdout.decode().splitlines())
    equal(before[:3], ["0.00"] * 3, "the load at the start")
    check(0.15 <= float(after[0]) <= 0.25 and 0.03 <= float(after[1]) <= 0.06 and 0.01 <= float(after[2]) <= 0.03, "two samples", after)
    running, threads = map(int, after[3].split("/"))
    check(2 <= running <= threads <= 6, "threads", after)


def test_text_tools():
    busybox_same("seq 1 3000 | awk '{s += $1; if ($1 % 500 == 0) print $1, s / 7, sqrt(s)} END {printf \"%.6f\\n\", s / 13}'")
    busybox_same("seq 1 500 | sed -n 's/\\(.\\)\\(.\\)$/<\\2\\1>/;/5/p' | md5sum")
    busybox_same("seq 1 100 | grep -c 7; seq 1 20 | tail -n 3 | tr 0-9 a-j; seq 5 | paste -d+ -s | bc")
    busybox_same("printf 'b 2\\na 10\\nc 1\\n' | sort -k2n; printf 'x\\nx\\ny\\n' | uniq -c; echo hello | rev; cal 2 2024")
    busybox_same("expr 6 \\* 7; printf '%05d|%-5s|%x\\n' 42 ab 255; echo $((1 << 40)); echo abc | od -c; test -f /; echo $?")


def test_full_pipe_read_in_odd_pieces():
    """The writer is always ahead, so the pipe is full and its ends meet within a page."""
    busybox_same("f=/tmp/pith-test-$$; seq 1 60000 >$f; dd if=$f bs=30000 2>/dev/null | ("
                 "dd bs=100 count=1 2>/dev/null | wc -c; i=0; while [ $i -lt 30 ]; do "
                 "dd bs=777 count=7 2>/dev/null | md5sum; i=$((i+1)); done; md5sum); rm $f")


@sampled
def test_gzip_there_and_back():
    data = b"".join(b"%d squared is %d\n" % (i, i * i) for i in range(60000))
    there = shell("gzip -c >/tmp/z && gunzip -c /tmp/z | cmp - /data && cat /tmp/z", stdin=data,
                  add=[f"{write_file('data', data)}:/data"]).ok()
    equal(run(["gzip", "-dc"], there.stdout).ok().stdout, data, "what the host's gzip unpacks")
    packed = run(["gzip", "-9c"], data).stdout
    equal(shell("gunzip -c", stdin=packed).ok().stdout, data, "what the host's gzip packed")


@sampled
def test_tar_there_and_back():
    tree = file_path("tree")
    for i in range(200):
        write_file(f"tree/d{i % 10}/e{i % 3}/f{i}", os.urandom(i * 37))
    os.symlink("../d1", os.path.join(tree, "d2", "link"))
    os.chmod(os.path.join(tree, "d3"), 0o711)
    # From the host's tar to Pith, and packed again there.
    packed = run(["tar", "-C", tree, "-cf", "-", "."]).ok().stdout
    sums = "find . -type f | sort | xargs md5sum; find . -type l | xargs ls -l | awk '{print $NF}'; stat -c %a d3"
    there = shell(f"mkdir /tmp/t && cd /tmp/t && tar xf - && {sums}", stdin=packed).ok()
    equal(there.stdout, host_shell(sums, cwd=tree).stdout, "the tree's checksums on Pith")
    back = shell("cd /tree && tar cf - . && mkdir /tmp/u && tar cf - . | tar xf - -C /tmp/u && diff -r /tree /tmp/u >&2",
                 add=[f"{tree}:/tree"]).ok()
    equal(back.stderr, b"", "diff -r of the tree and its copy")
    os.makedirs(file_path("back"))
    run(["tar", "-C", file_path("back"), "-xf", "-"], back.stdout).ok()
    run(["diff", "-r", "--no-dereference", tree, file_path("back")]).ok()


def test_find_checksums_of_the_whole_root():
    """Every file of every package is on the root as its package says."""
    wanted = {}
    for package in fetch.root_packages().values():
        sums = run(["dpkg-deb", "--info", package, "md5sums"]).stdout.decode()
        wanted.update(reversed(line.split("  ", 1)) for line in sums.splitlines())
    result = pith("find", "/", "-xdev", "-type", "f", "-exec", "md5sum", "{}", "+").ok()
    found = dict(reversed(line.split("  /", 1)) for line in result.stdout.decode().splitlines())
    compared = 0
    for path, digest in wanted.items():
        merged = path if path.startswith("usr/") or not path.startswith(("bin/", "sbin/", "lib/", "lib64/")) else f"usr/{path}"
        if merged in found:
            equal(found[merged], digest, f"the checksum of /{merged}")
            compared += 1
    check(compared > 600, "files compared", compared)
    check({"usr/bin/bash", "usr/bin/busybox", "usr/lib/x86_64-linux-gnu/libc.so.6"} <= found.keys(), "files found", sorted(found)[:20])


@sampled
@seconds(600)
def test_sort_of_ten_megabytes():
    lines = [b"%016x\n" % ((i * 0x9E3779B97F4A7C15) & (1 << 64) - 1) for i in range(620_000)]
    data = b"".join(lines)
    check(len(data) > 10_000_000, "the size of the input")
    path = write_file("lines", data)
    there = shell("sort /lines | md5sum; sort -r /lines | head -n 3; wc /lines", add=[f"{path}:/lines"], timeout=500).ok()
    here = host_shell(f"sort {path} | md5sum; sort -r {path} | head -n 3; wc <{path}")
    equal(there.stdout.replace(b" /lines", b""), here.stdout)


@full
@seconds(900)
def test_sqlite_without_big_transactions():
    sqlite = os.path.join(GUEST, "sqlite3")
    script = sqlite_script(2000, 1)
    disk = make_disk("disk.img", "64M", block_size=4096)
    there = pith("/sqlite3", "/mnt/test.db", stdin=script, add=[sqlite], disk=[disk], timeout=800)
    here = run([sqlite, file_path("here.db")], script)
    equal((there.status, there.stdout), (here.status, here.stdout), there.stderr)
    fsck(disk)
