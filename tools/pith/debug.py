# SPDX-License-Identifier: MIT
"""`./pith debug`: a machine that waits at its first instruction, and gdb with the symbols of kernel and components."""

import os
import signal
import subprocess
import sys

import boot
import images
import machine
from execute import ENVIRONMENT
from paths import ROOT, build, root
from session import Lost, Session

GDB_COMMANDS = """\
set confirm off
set pagination off
set architecture i386:x86-64
set disassemble-next-line off
source {commands}
target remote {socket}
"""


def start_machine(options, socket):
    command = machine.command_line(boot.KERNEL, boot.image("exec", {}), boot.append(), options.memory,
                                   [machine.Disk(images.root_image(), keep=False)],
                                   cpus=options.cpus, extra=["-S", "-gdb", f"unix:{socket},server=on,wait=off"])
    return machine.Machine(command)


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
    socket = build("debug", f"gdb.{os.getpid()}")
    script = build("debug", f"commands.{os.getpid()}")
    with open(script, "w") as f:
        # Relative: a socket's name is limited to some hundred bytes.
        f.write(GDB_COMMANDS.format(commands=root("tools", "pith", "gdb_commands.py"), socket=os.path.relpath(socket, ROOT)))
    with start_machine(options, os.path.relpath(socket, ROOT)) as emulator:
        emulator.await_socket(socket)
        helper = serve(emulator, options.command or ["sleep", "100000"])
        command = ["gdb", "-q", "-nx", "-x", script]
        for line in options.batch:
            command += ["-ex", line]
        if options.batch:
            command.append("-batch")
        try:
            print("pith: `continue` boots, Ctrl-C stops; console and log are in build/debug; `info threads` lists the CPUs, "
                  "`pith-threads` the system's threads; `pith-symbols NAME` adds a component's symbols", file=sys.stderr)
            # Ctrl-C is for gdb, which shares the terminal with us.
            signal.signal(signal.SIGINT, lambda number, stack: None)
            return subprocess.run([*command, boot.KERNEL], cwd=ROOT).returncode
        finally:
            emulator.stop()
            os.waitpid(helper, 0)
            for path in (socket, script):
                if os.path.exists(path):
                    os.unlink(path)
