# SPDX-License-Identifier: MIT
"""`./pith debug`: a machine that waits at its first instruction, and gdb with the symbols of kernel and components."""

import os
import signal
import subprocess
import sys

import boot
import machine
import rootfs
from execute import ENVIRONMENT
from paths import ROOT, build
from session import Lost, Session


def gdb(socket, *commands):
    """gdb for the kernel of the machine that waits at this socket. By itself it gives an answer two seconds, which a busy host may need
    longer for; that the machine has ended, the socket says."""
    first = ["set confirm off", "set pagination off", "set remotetimeout 1000", f"target remote {socket}"]
    return ["gdb", "-q", "-nx", *(word for line in (*first, *commands) for word in ("-ex", line)), boot.KERNEL]


def start_machine(options, socket):
    command = machine.command_line(boot.KERNEL, boot.image("exec", {}), boot.append(), options.memory,
                                   [machine.Disk(rootfs.image(), keep=False)], cpus=options.cpus)
    return machine.Machine(command, debugger=socket)


class LoggedSession(Session):
    """Writes the log down as it comes: somebody looks at it while the machine is stopped."""

    def __init__(self, file, *arguments, **options):
        super().__init__(*arguments, **options)
        self.file, self.written = file, 0

    def write_log(self):
        self.file.write(self.log_text[self.written:])
        self.written = len(self.log_text)

    def read_log(self):
        super().read_log()
        self.write_log()


def serve(emulator, command):
    """The other side of the console and the log, in a process of its own: gdb has the terminal."""
    child = os.fork()
    if child:
        return child
    machine.die_with_parent()
    with open(build("debug", "console"), "wb", 0) as output, open(os.devnull, "rb") as null, \
            open(build("debug", "log"), "wb", 0) as log:
        session = LoggedSession(log, emulator.console, emulator.log, command, ENVIRONMENT,
                                streams=(null.fileno(), output.fileno(), output.fileno()), patience=None)
        try:
            session.run()
        except Lost as lost:
            output.write(f"\n{lost}\n".encode())
        finally:
            session.write_log()
            os._exit(0)


def run(options):
    os.makedirs(build("debug"), exist_ok=True)
    # A relative name: a socket's is limited to some hundred bytes.
    os.chdir(ROOT)
    socket = f"build/debug/gdb.{os.getpid()}"
    with start_machine(options, socket) as emulator:
        helper = serve(emulator, options.command or ["sleep", "100000"])
        command = gdb(socket, "source tools/pith/gdb_commands.py", *options.batch)
        if options.batch:
            command.append("-batch")
        try:
            print("pith: `continue` boots, Ctrl-C stops; console and log are in build/debug; `info threads` lists the CPUs, "
                  "`pith-threads` the system's threads; `pith-symbols NAME` adds a component's symbols", file=sys.stderr)
            # Ctrl-C is for gdb, which shares the terminal with us.
            signal.signal(signal.SIGINT, lambda number, stack: None)
            return subprocess.run(command).returncode
        finally:
            emulator.stop()
            os.waitpid(helper, 0)
