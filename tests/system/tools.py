# SPDX-License-Identifier: MIT
"""`./pith debug`, `./pith bench` and `./pith graph`: that they do what they say."""

import os
import re
import signal
import subprocess
import time
import xml.etree.ElementTree

import boot
import debug
import machine
from support import PITH, ROOT, Shell, check, equal, file_path, run, sampled, write_file


def test_debugger_knows_kernel_and_components():
    batch = ["hbreak kernel_main", "continue", "info symbol $rip", "pith-symbols linux", "info address start_fiber",
             "delete", "hbreak kernel_syscall", "continue", "backtrace 3",
             "delete", "hbreak start_fiber", "continue", "backtrace 2"]
    command = [PITH, "debug"]
    for line in batch:
        command += ["--batch", line]
    text = run(command, timeout=120).stdout.decode(errors="replace")
    check("kernel_main in section" in text, "the kernel's first function", text)
    check('Symbol "start_fiber" is a function' in text, "a symbol of linux", text)
    check("boot_high" not in text, "a system call came from user mode", text)
    check("#0  start_fiber" in text, "a breakpoint in linux", text)


def test_debugger_of_a_busy_machine():
    """The emulator is stopped for longer than gdb would wait for an answer by itself."""
    socket = f"build/tmp/busy.{os.getpid()}"
    with machine.Machine(machine.command_line(boot.KERNEL), debugger=socket) as emulator:
        emulator.process.send_signal(signal.SIGSTOP)
        with subprocess.Popen([*debug.gdb(socket, "info registers rip"), "-batch"], stdout=subprocess.PIPE, text=True) as gdb:
            time.sleep(5)
            emulator.process.send_signal(signal.SIGCONT)
            text = gdb.stdout.read()
    check(re.search(r"^rip +0xfff0 ", text, re.M), "where a machine begins", text)


def interrupt(gdb):
    """Ctrl-C, when the debugger has nothing more to say and waits for the machine. (One that comes before that is not seen, and with
    a second one it gives the machine up.)"""
    while gdb.pump(1):
        pass
    os.killpg(gdb.process.pid, signal.SIGINT)
    gdb.expect("received signal SIGINT")


def test_debugger_on_four_cpus():
    """As a user at a terminal: boot, stop by Ctrl-C, look at CPUs and threads, go on, until all of the system is there."""
    wanted = {"init", "pci", "uart", "virtio-blk", "ext2", "linux", "(a Linux program)"}
    gdb = Shell(command=[PITH, "debug", "--cpus", "4"])
    try:
        gdb.expect(r"\(gdb\) ")
        gdb.send("set style enabled off\nset width 0\nhbreak kernel_main\ncontinue\n")
        gdb.expect(r"hit Breakpoint \d, .*kernel_main")
        gdb.send("delete\npith-threads\n")
        for _ in range(60):
            gdb.send("continue\n")
            gdb.expect(r"Continuing\.\r?\n")
            interrupt(gdb)
            gdb.send("info threads\n")
            cpus = gdb.expect(r"CPU#0(.|\n)*CPU#3(.|\n)*?\(gdb\) ")[0]
            equal(sorted(set(re.findall(r"CPU#(\d)", cpus))), list("0123"), "threads of the debugger")
            gdb.send("pith-threads\n")
            threads = gdb.expect(r"thread +state(.|\n)*?\(gdb\) ")[0]
            if wanted <= set(re.findall(r" 0x[0-9a-f]+  (.+?)\r?\n", threads)):
                break
        else:
            raise AssertionError(f"not all of {wanted} in\n{threads}")
        gdb.send("quit\n")
        gdb.wait_end()
    finally:
        gdb.__exit__(None)


@sampled
def test_kernel_benchmark():
    result = run([PITH, "bench", "kernel"], timeout=120).ok()
    lines = dict(line.split()[:2] for line in result.stdout.decode().splitlines())
    for name in ("ipc_roundtrip_0w", "notify_pingpong", "fault_map_reply", "map_unmap_page"):
        check(0 < int(lines.get(name, 0)) < 10000, name, result.stdout)
    for name, low, high in (("kernel_text", 30000, 200000), ("kernel_code_lines", 5000, 10000), ("object_thread", 2048, 2048),
                            ("boot_to_user", 10**6, 10**9), ("irqs_off_max", 100, 20000), ("wall_ipc_roundtrip_0w", 100, 10**6)):
        check(low <= int(lines.get(name, 0)) <= high, name, result.stdout)


# Guest instructions an operation (millions of the macro; docs/benchmarks.md). What the project aims at is reached, but for sys_null, and nothing may get worse
# by more than a few percent, or than the aim where that is nearer.
LINUX_LIMITS = {"sys_null": 560, "sys_clock_vdso": 55, "sys_stat": 2200, "sys_open_close": 3700, "ipc_pipe_rt": 6000, "proc_fork_exit": 210000,
                "proc_fork_exec": 280000, "thread_create_join": 26500, "futex_rt_2proc": 6000, "mm_map_unmap_4K": 3400, "mm_fault_anon": 1270,
                "file_create_delete_0": 44000, "file_read_4K": 1680, "file_write_4K": 1940, "macro_sh_50_execs": 30.5}
LINUX_RATES = {"file_read_1M": 4900}  # at least
BETWEEN_PROCESSES = ("ipc_pipe_rt", "futex_rt_2proc", "proc_fork_exit", "proc_fork_exec", "thread_create_join", "macro_sh_50_execs")


def test_linux_benchmark_of_what_there_is_not():
    result = run([PITH, "bench", "linux", "sys_null", "nosuch"])
    check(result.status == 2 and b"nosuch" in result.stderr, result.status, result.stderr)


def test_linux_benchmark():
    result = run([PITH, "bench", "linux", "--icount", "--counted", *LINUX_LIMITS, *LINUX_RATES], timeout=280).ok()
    rows = {line.split()[0]: line.split()[1:] for line in result.stdout.decode().splitlines()}
    for name in (*LINUX_LIMITS, *LINUX_RATES):
        check(len(rows.get(name, ())) == 6, name, result.stdout)
        pith_value, linux_value, _, _, pith_switches, linux_switches = rows[name]
        check(LINUX_RATES.get(name, 0) < float(pith_value) <= LINUX_LIMITS.get(name, 10**6) and float(linux_value) > 0, name, result.stdout)
        # Linux changes address spaces only between processes, Pith twice a call.
        check(float(linux_switches) < 0.1 or name in BETWEEN_PROCESSES, name, result.stdout)
        check(float(pith_switches) >= 2 or name in ("sys_clock_vdso", "mm_fault_anon"), name, result.stdout)
    check(float(rows["ipc_pipe_rt"][5]) >= 2, "a pipe between processes on Linux", result.stdout)


@sampled
def test_linux_profile():
    text = run([PITH, "bench", "linux", "--profile", "sys_null"], timeout=250).ok().stdout.decode()
    counts = {name: float(count) for count, name in re.findall(r"^ +([0-9.]+)  (kernel|linux|lbench)$", text, re.M)}
    total = int(re.match(r"sys_null: (\d+) instructions", text).group(1))
    check(set(counts) == {"kernel", "linux", "lbench"} and sum(counts.values()) > total * 0.98, text[:2000])


GRAPH = """component bus {
	priority 200
	devices all
	service
	untyped 64K
}
component driver {
	priority 150
	device bus 1af4:1042 3
	irq 5
	ports 0x10 2
	budget 2ms/10ms
}
component user.1 {
	program user
	uses driver2
	uses system
}
component driver2 {
	service
	untyped 64K
	essential
	restart never
}
channel data 64K server driver client user.1
pool 1M to user.1 mapped, driver dma
"""
GRAPH_EDGES = {("driver", "bus"), ("user.1", "driver2"), ("user.1", "init"), ("user.1", "driver"), ("user.1", "pool/0"),
               ("driver", "pool/0"), ("bus", "bus/devices0"), ("driver", "driver/irq0"), ("driver", "driver/ports0")}


def test_graph_of_a_manifest():
    picture = file_path("graph.svg")
    result = run([PITH, "graph", "-o", picture, write_file("manifest", GRAPH.encode())])
    equal(result.status, 0, result.stderr)
    svg = xml.etree.ElementTree.parse(picture).getroot()
    name = "{http://www.w3.org/2000/svg}"
    drawn = {kind: [g.find(f"{name}title").text for g in svg.iter(f"{name}g") if g.get("class") == kind]
             for kind in ("node", "edge")}
    equal(set(drawn["node"]), {"init"} | {end for edge in GRAPH_EDGES for end in edge})
    equal({tuple(edge.split("->")) for edge in drawn["edge"]}, GRAPH_EDGES)
    text = "\n".join(t.text or "" for t in svg.iter(f"{name}text"))
    for words in ("device 1af4:1042 3", "irq 5", "ports 0x10-0x11", "budget 2ms in 10ms", "never restarted", "essential",
                  "data 64K", "pool 1M", "mapped", "dma"):
        check(words in text, words, text)


def test_graph_of_what_is_no_manifest():
    result = run([PITH, "graph", "-o", file_path("none.svg"), write_file("manifest", b"component a {\n\tmemry 1M\n}\n")])
    check(result.status == 1 and b"manifest:2: " in result.stderr, "the line", result.status, result.stderr)
    check(not os.path.exists(file_path("none.svg")), "no picture")
    empty = write_file("empty", b"")
    result = run([PITH, "graph", "-o", file_path("none.svg"), empty])
    equal((result.status, result.stderr.decode()), (1, f"pith: {empty}:1: no component\n"), "an empty one")
    result = run([PITH, "graph", "-o", file_path("none.svg"), "/dev/zero"])
    check(result.status == 1 and b"/dev/zero: larger than" in result.stderr, "one without end", result.status, result.stderr)


def test_the_build_checks_manifests():
    """`make` of the tree's own systems, with a line in one of them that is wrong, and with a program that is not there."""
    system = os.path.join(ROOT, "systems", "zz-wrong.conf")
    for text, message in (("component x {\n\tmemory lots\n}\n", "systems/zz-wrong.conf:2: memory"),
                          ("\ncomponent x {\n}\n", "systems/zz-wrong.conf:2: x: no program")):
        with boot.build_lock():
            try:
                with open(system, "w") as f:
                    f.write(text)
                result = run(["make", "-C", ROOT, "all"])
            finally:
                os.unlink(system)
        check(result.status != 0 and message in result.stderr.decode(), message, result.status, result.stderr)


def test_wrong_manifests_are_refused_by_line():
    """mkboot names the file that the line stands in, and the line there, however many texts the manifest is made of."""
    first = write_file("first.conf", b"component crasher {\n\tservice\n\tuntyped 64K\n}\n")
    second = write_file("second.conf", b"# more\ncomponent crasher.@ {\n\tuses nobody.@\n}\n")
    missing = write_file("missing.conf", b"\n\ncomponent no-such-program {\n}\n")
    mkboot = [boot.MKBOOT, "--components", boot.COMPONENTS, "--output", file_path("image")]
    for parts, message in ((["--manifest", first, "--repeat", second, "2"], f"{second}:3: no component named nobody.1\n"),
                           (["--manifest", first, "--manifest", first], f"{first}:1: a second component named crasher\n"),
                           (["--manifest", first, "--manifest", missing],
                            f"{missing}:3: no-such-program: no program {boot.COMPONENTS}/no-such-program.elf\n"),
                           (["--manifest", first, "--config", "crasher", "a b=1"], "--config:2: config: a blank in the key")):
        result = run([*mkboot, *parts])
        check(result.status == 1 and result.stderr.decode().startswith(message), parts, message, result.stderr)
        check(not os.path.exists(file_path("image")), "no image")
