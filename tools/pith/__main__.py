# SPDX-License-Identifier: MIT
"""The command line of ./pith."""

import argparse
import os
import sys
import traceback

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from paths import Failure, build, tell  # noqa: E402

TIMELINE = build("trace", "timeline")


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, with a status of our choice."""

    bad_usage = 2

    def error(self, message):
        print(f"{self.prog}: {message} (see {self.prog} --help)", file=sys.stderr)
        sys.exit(self.bad_usage)


def memory_size(text):
    import machine
    try:
        return machine.parse_size(text)
    except Failure as failure:
        raise argparse.ArgumentTypeError(str(failure)) from None


def seconds(text):
    try:
        value = float(text)
    except ValueError:
        value = 0
    if not 0 < value <= 2e6:  # poll() counts milliseconds in 31 bits
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds from 0 to 2000000")
    return value


def cpu_count(text):
    import machine
    if not text.isdigit() or not 1 <= int(text) <= machine.CPUS_MAX:
        raise argparse.ArgumentTypeError(f"--cpus takes a number from 1 to {machine.CPUS_MAX}, not {text!r}")
    return int(text)


def positive(text):
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number")
    return int(text)


def no_network(text):
    raise argparse.ArgumentTypeError("the network is not built yet")


def add_cpus(parser):
    parser.add_argument("--cpus", type=cpu_count, metavar="N", help="CPUs, 1 to 8 (1)")


def add_kpti(parser):
    parser.add_argument("--kpti", choices=("on", "off"),
                        help="page table isolation: the kernel is not mapped in user mode (by default where the CPU needs it)")


def add_machine_options(parser):
    add_cpus(parser)
    add_kpti(parser)
    parser.add_argument("--memory", type=memory_size, default="512M", metavar="SIZE", help="such as 64M or 2G (512M)")


def add_package(parser):
    parser.add_argument("--package", action="append", default=[], metavar="NAME",
                        help="a Debian package for the root image, with all that it needs (those of tools/rootfs/optional); may be given several times")


def add_files(parser, adding):
    parser.add_argument("--disk", action="append", default=[], metavar="IMG[:PATH]",
                        help="attach an ext2 image, read/write, at PATH (/mnt); may be given several times")
    parser.add_argument("--add", action="append", default=[], metavar="HOSTPATH[:PATH]",
                        help=f"put a file or folder at PATH (/ and its name){adding}; may be given several times")


def add_net(parser):
    parser.add_argument("--net", type=no_network, metavar="HOSTFWD", help="network (not built yet)")


def run_parser(parsers):
    parser = parsers.add_parser(
        "run", help="a shell on this terminal", allow_abbrev=False,
        description="Boot to a shell on this terminal, on a persistent disk (build/run/root.img). Every key goes to "
                    "the system, Ctrl-C too. `poweroff` ends it, and so does the end of an input that is no terminal; Ctrl-] quits without a shutdown, and so does --timeout, with status 124. The log of the "
                    "kernel and the components is build/run/log.")
    add_machine_options(parser)
    add_net(parser)
    add_package(parser)
    add_files(parser, " of a new disk")
    parser.add_argument("--timeout", type=seconds, metavar="S", help="quit after S seconds, without a shutdown, with status 124")
    parser.add_argument("--fresh", action="store_true", help="start with a new disk; what is on the old one is lost")


def add_exec_options(parser):
    parser.bad_usage = 125
    parser.add_argument("--root", metavar="IMG", help="the ext2 image to boot from (never changed)")
    add_package(parser)
    add_files(parser, "")
    add_machine_options(parser)
    add_net(parser)
    parser.add_argument("--icount", action="store_true", help="a clock that counts instructions, not time")
    parser.add_argument("--timeout", type=seconds, metavar="S", help="end CMD after S seconds, by SIGTERM, with status 124")
    parser.add_argument("--log", metavar="FILE", help="keep the log of the kernel and the components there")


def exec_parser(parsers):
    parser = parsers.add_parser(
        "exec", help="run one program and exit with its status", allow_abbrev=False,
        usage="./pith exec [OPTION]... -- CMD [ARGUMENT]...",
        description="Boot without a terminal, run CMD as root in /, with our standard input, output and error, and "
                    "exit with its status: 128+n if signal n ended it, 124 after the timeout, 125 if Pith failed or output was lost, "
                    "126 if CMD cannot be executed, 127 if it is not found. Nothing that CMD writes to the root file "
                    "system stays; what it writes to a --disk does. Ctrl-C and SIGTERM go to CMD; then everything is "
                    "unmounted and the machine stopped. If CMD goes on in spite of it, SIGTERM follows Ctrl-C after ten seconds and SIGKILL "
                    "follows SIGTERM after five.")
    add_exec_options(parser)
    parser.add_argument("--accel", choices=("auto", "tcg", "kvm"), default="auto",
                        help="how QEMU runs it: by default KVM where it was seen to work, else TCG")


def trace_parser(parsers):
    parser = parsers.add_parser(
        "trace", help="run one program and show what ran when, and who used the time", allow_abbrev=False,
        usage="./pith trace [OPTION]... -- CMD [ARGUMENT]...",
        description="Run CMD as `exec` does, on a kernel that writes down each of its entries and exits, messages and "
                    "signals. Afterwards a profile by component goes to standard error, and a timeline to a file. An eighth of "
                    "the machine's memory keeps the latest events. With --icount all numbers are instructions.")
    add_exec_options(parser)
    parser.add_argument("--timeline", metavar="FILE", default=TIMELINE, help="where the timeline goes (build/trace/timeline)")
    parser.add_argument("--json", metavar="FILE", help="the same for Perfetto or Chrome's tracing (trace-event format)")
    parser.add_argument("--boot", action="store_true", help="show also what came before CMD")
    parser.add_argument("--seconds", type=seconds, metavar="S", help="only the last S seconds of the machine's time")
    parser.add_argument("--events", type=positive, metavar="N", help="only the last N events")


def fuzz_parser(parsers):
    parser = parsers.add_parser(
        "fuzz", help="random operations on the kernel or the file system", allow_abbrev=False,
        description="host: drive the kernel's core, built for the host with sanitizers, with random operations, and check "
                    "its invariants. ext2: the file system, on damaged disks and with clients that cannot be trusted. elf: what execve "
                    "is given. A run with --seed repeats; others go on from what earlier ones found interesting "
                    "(build/fuzz/corpus-…). system-calls: random system calls by several threads inside the emulator. Both "
                    "end at the first failure.")
    parser.add_argument("what", nargs="?", choices=("host", "ext2", "elf", "system-calls"), default="host")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--operations", type=positive, metavar="N", help="end after N operations (ext2, elf: inputs)")
    length.add_argument("--seconds", type=seconds, metavar="S", help="end after S seconds (60)")
    length.add_argument("--input", metavar="FILE", help="only this input, such as build/fuzz/crash-*")
    parser.add_argument("--seed", type=positive, metavar="X", help="of the random numbers")
    parser.add_argument("--check", type=positive, metavar="N",
                        help="host: check all invariants after every Nth operation (1; 16 from a million operations on)")
    parser.add_argument("--debug", action="store_true", help="system-calls: on the kernel that checks its invariants")
    add_cpus(parser)


def test_parser(parsers):
    parser = parsers.add_parser(
        "test", help="run the tests", allow_abbrev=False,
        description="Run the tests, or those whose name is or begins with NAME: host unit tests with sanitizers, "
                    "kernel tests in QEMU, system tests. The last line is `N passed, N failed`.")
    parser.add_argument("name", nargs="*", metavar="NAME", help="such as host/ext2, kernel, system, system/exec")
    parser.add_argument("--full", action="store_true", help="also the tests that take long")
    parser.add_argument("--list", action="store_true", help="only list them")
    parser.add_argument("--cpus", type=cpu_count, metavar="N", help="only what boots Pith, all of it with N CPUs")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="chooses other samples: of long tests, of tests with 4 CPUs, and of what tests choose by chance")


def verify_parser(parsers):
    parser = parsers.add_parser(
        "verify", help="models and proofs", allow_abbrev=False,
        description="Check the models of tests/models (SPIN) and the proofs of tests/proofs about the kernel's sources "
                    "(CBMC), and that each finds its seeded mutants. The last line is `N passed, N failed`.")
    parser.add_argument("name", nargs="*", metavar="NAME", help="such as models, proofs/slot or tlb")
    parser.add_argument("--full", action="store_true", help="also the sizes that take long")


def bench_parser(parsers):
    parser = parsers.add_parser(
        "bench", help="measure", allow_abbrev=False,
        description="kernel: guest instructions of kernel operations, under -icount. linux: the Linux benchmark "
                    "program on Pith and on Debian's kernel, in the same emulator. realtime: how late the highest priority runs under load, with 1 and "
                    "4 CPUs.")
    parser.add_argument("what", choices=("kernel", "linux", "realtime"))
    parser.add_argument("group", nargs="*", default=[], metavar="GROUP", help="linux: only these groups of metrics")
    parser.add_argument("--icount", action="store_true",
                        help="linux: count instructions and CR3 writes, with the ratio of the wall times beside them")
    parser.add_argument("--counted", action="store_true", help="linux --icount: only what is counted, without wall times")
    add_cpus(parser)
    parser.add_argument("--operations", action="store_true", help="kernel: only the counted operations, not sizes, boot and wall time")
    parser.add_argument("--profile", metavar="METRIC", help="kernel, linux: where this metric's instructions go")


def debug_parser(parsers):
    parser = parsers.add_parser(
        "debug", help="boot stopped, with gdb attached", allow_abbrev=False,
        usage="./pith debug [OPTION]... [-- CMD [ARGUMENT]...]",
        description="Boot as `exec` does (CMD, by default a program that sleeps) and attach gdb with the symbols of "
                    "the kernel. In gdb, `info threads` lists the CPUs, `pith-threads` the system's threads, and "
                    "`pith-symbols NAME` loads the symbols of a component.")
    add_machine_options(parser)
    parser.add_argument("--batch", action="append", default=[], metavar="COMMAND",
                        help="run this gdb command and end; may be given several times")


def build_parser(parsers):
    parsers.add_parser("build", help="build only", allow_abbrev=False,
                       description="Build everything that a boot needs, and the root image.")


def image_parser(parsers):
    parser = parsers.add_parser(
        "image", help="a bootable ISO for real machines", allow_abbrev=False,
        description="Write an ISO that boots by BIOS and by UEFI, from a CD or copied to a USB stick. It holds what `run` boots: the "
                    "root file system is looked for on a virtio disk, the console is COM2, the log COM1.")
    parser.add_argument("-o", "--output", metavar="FILE", help="where to write it (build/pith.iso)")
    add_kpti(parser)


def graph_parser(parsers):
    parser = parsers.add_parser(
        "graph", help="the manifest as a picture", allow_abbrev=False,
        description="Draw which components a system has and what each may touch, as an SVG. Without MANIFEST: what `run` boots.")
    parser.add_argument("manifest", nargs="*", metavar="MANIFEST", help="texts that make the manifest, in this order")
    parser.add_argument("--disks", type=positive, default=1, metavar="N", help="disks of the system that is drawn without MANIFEST (1)")
    parser.add_argument("-o", "--output", metavar="FILE", default=build("graph.svg"), help="where to write it (build/graph.svg)")


def parse(arguments):
    parser = Parser(prog="./pith", allow_abbrev=False, formatter_class=argparse.RawDescriptionHelpFormatter,
                    description="Pith: a capability microkernel that runs unmodified Linux programs.")
    if arguments[:1] in (["exec"], ["trace"]):
        parser.bad_usage = 125
    parsers = parser.add_subparsers(dest="action", metavar="COMMAND", parser_class=Parser)
    for add in (run_parser, exec_parser, trace_parser, fuzz_parser, test_parser, verify_parser, bench_parser, debug_parser, build_parser,
                image_parser, graph_parser):
        add(parsers)
    before, command = arguments, None
    if arguments[:1] in (["exec"], ["trace"], ["debug"]) and "--" in arguments:
        split = arguments.index("--")
        before, command = arguments[:split], arguments[split + 1:]
    if before[:1] in (["bench"], ["test"], ["verify"]):
        # argparse takes a list of names only in one piece, so options that stand between come first.
        names = [a for i, a in enumerate(before) if not a.startswith("-") and before[i - 1] not in ("--cpus", "--seed", "--profile")]
        before = names[:1] + [a for a in before if a not in names] + names[1:]
    options = parser.parse_args(before)
    if options.action == "bench" and options.what != "linux" and options.group:
        parser.error(f"bench {options.what} has no groups: {' '.join(options.group)}")
    if options.action is None:
        parser.print_help(sys.stderr)
        sys.exit(2)
    if options.action == "debug":
        options.command = command
    if options.action in ("exec", "trace"):
        if not command:
            print(f"./pith {options.action}: no command: ./pith {options.action} [OPTION]... -- CMD [ARGUMENT]...", file=sys.stderr)
            sys.exit(125)
        options.command = command
    return options


def keep_streams_closed():
    """A standard stream that the caller has closed stays without use: else the next file that is opened, such as the machine's
    line, would be it. Opened for the wrong direction, it fails as a closed one does."""
    for stream, flags in enumerate((os.O_WRONLY, os.O_RDONLY, os.O_RDONLY)):
        try:
            os.fstat(stream)
        except OSError:
            os.set_inheritable(os.open(os.devnull, flags), True)  # the lowest number that is free: this one


def act(options):
    import boot
    if options.action == "test":
        import testing
        return testing.run(options)
    if options.action == "fuzz":
        import fuzz
        return fuzz.run(options)
    if options.action == "verify":
        import verify
        return verify.run(options)
    boot.make()
    if options.action == "build":
        boot.make("host-tests")
        return 0
    if options.action == "run":
        import run
        return run.run(options)
    if options.action == "exec":
        import execute
        return execute.execute(execute.Options(**vars(options)))
    if options.action == "trace":
        import trace
        return trace.run(options)
    if options.action == "bench":
        import bench
        return bench.run(options)
    if options.action == "image":
        import iso
        return iso.run(options)
    if options.action == "graph":
        import graph
        return graph.run(options)
    import debug
    return debug.run(options)


def main():
    keep_streams_closed()
    options = parse(sys.argv[1:])
    failed = 125 if options.action in ("exec", "trace") else None
    try:
        status = act(options)
    except Failure as failure:
        tell(failure)
        status = failed or failure.status
    except KeyboardInterrupt:
        status = 130
    except BrokenPipeError:
        status = 141
    except (OSError, UnicodeError) as error:
        tell(f"{error.filename}: {error.strerror}" if getattr(error, "filename", None) else error)
        status = failed or 1
    except Exception:  # a bug of ours; the program's status says nothing of it
        traceback.print_exc()
        status = failed or 1
    sys.exit(status)


if __name__ == "__main__":
    main()
