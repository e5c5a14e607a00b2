# SPDX-License-Identifier: MIT
"""`./pith run`: a shell on this terminal, on a persistent disk."""

import contextlib
import fcntl
import itertools
import os
import select
import signal
import struct
import sys
import termios
import time
import tty

import boot
import execute
import images
import machine
import rootfs
from paths import Failure, build
from session import PANIC, STATUS_FAILED, STATUS_TIMEOUT, Wakeup, receive

# Tests keep disks of their own: $PITH_RUN is the folder then.
FOLDER = os.environ.get("PITH_RUN") or build("run")
IMAGE = os.path.join(FOLDER, "root.img")
LOG = os.path.join(FOLDER, "log")
ESCAPE = 0x1d  # Ctrl-]
POWER_OFF = b"\rpoweroff\r"
END_OF_INPUT = b"\x04"
SILENCE = 2000  # ms
# The console line speaks as much of Telnet as the window's size takes (RFC 854, RFC 1073).
IAC, SB, SE, NAWS = b"\xff", b"\xfa", b"\xf0", b"\x1f"


@contextlib.contextmanager
def disk_lock():
    """Nobody else runs on the persistent disk meanwhile."""
    os.makedirs(FOLDER, exist_ok=True)
    with open(os.path.join(FOLDER, "lock"), "a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise Failure(f"another ./pith run is using the disk ({IMAGE})") from None
        yield


@contextlib.contextmanager
def raw_terminal(descriptor):
    """Every key goes to the guest, Ctrl-C too; the terminal is as before at the end."""
    if not os.isatty(descriptor):
        yield
        return
    before = termios.tcgetattr(descriptor)
    tty.setraw(descriptor)
    try:
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


class Terminal:
    """The pump between this terminal and the console line, for one boot."""

    def __init__(self, emulator, log_file, deadline):
        self.deadline = deadline    # by time.monotonic(), or None
        self.emulator = emulator
        self.log_file = log_file
        self.control = machine.ControlReader()
        self.input_open = True
        self.endings = itertools.cycle((END_OF_INPUT, POWER_OFF))
        self.to_guest = bytearray()
        self.to_user = bytearray()
        self.said_something = False
        self.log_tail = bytearray()
        self.panicked = None
        self.quit, self.status = False, 0

    def read_user(self):
        try:
            data = os.read(0, 4096)
        except OSError:
            data = b""
        if not data:
            # The end of a script (or of nothing): nobody else will switch the machine off.
            self.input_open = False
            data = POWER_OFF
        elif ESCAPE in data and os.isatty(0):
            self.quit = True
        self.to_guest += data.replace(IAC, IAC + IAC)

    def tell_size(self):
        size = window_size()
        if size:
            numbers = struct.pack(">HH", size["columns"], size["rows"])
            self.to_guest += IAC + SB + NAWS + numbers.replace(IAC, IAC + IAC) + IAC + SE

    def read_signals(self, wakeup):
        ends = set(os.read(wakeup, 64)) - {signal.SIGWINCH}
        if ends:
            self.quit, self.status = True, 128 + min(ends)
        else:
            self.tell_size()

    def read_console(self):
        data = receive(self.emulator.console)
        if data:
            self.said_something = True
            self.to_user += data
        return data != b""

    def read_log(self):
        data = receive(self.emulator.log) or b""
        with contextlib.suppress(OSError):  # a full disk of the host's is no reason to stop the machine
            self.log_file.write(data)
        self.log_tail = (self.log_tail + data)[-4096:]
        if data and self.panicked is None and PANIC.search(self.log_tail):
            self.panicked = time.monotonic() + 0.5

    def step(self, wakeup):
        """One round; False when the machine is gone."""
        ends = self.emulator
        poll = select.poll()
        poll.register(wakeup, select.POLLIN)
        poll.register(ends.log, select.POLLIN)
        poll.register(ends.control, select.POLLIN)
        if len(self.to_user) < 1 << 16:
            poll.register(ends.console, select.POLLIN)
        if self.to_guest and self.said_something:  # before, nobody is there to take it
            poll.register(ends.console.writer, select.POLLOUT)
        if self.input_open and len(self.to_guest) < 1 << 16:
            poll.register(0, select.POLLIN)
        if self.to_user:
            poll.register(1, select.POLLOUT)
        alive = True
        waits = not self.input_open and self.said_something and not self.to_guest
        patience = [500 if self.panicked else None, SILENCE if waits else None,
                    max(0, self.deadline - time.monotonic()) * 1000 if self.deadline else None]
        events_seen = poll.poll(min((limit for limit in patience if limit is not None), default=None))
        if not events_seen and waits:
            # A command took those keys and reads on: the end of input for it, and again.
            self.to_guest += next(self.endings)
        for descriptor, events in events_seen:
            if descriptor == wakeup:
                self.read_signals(wakeup)
            elif descriptor == 0:
                self.read_user()
            elif descriptor == 1:
                del self.to_user[:os.write(1, self.to_user[:select.PIPE_BUF])]
            elif descriptor == ends.log.fileno():
                self.read_log()
            elif descriptor == ends.control.fileno():
                self.control.feed(receive(ends.control) or b"")
            elif descriptor == ends.console.fileno():
                alive = self.read_console()
            elif descriptor == ends.console.writer.fileno():
                try:
                    del self.to_guest[:ends.console.send(self.to_guest)]
                except BlockingIOError:
                    pass
                except OSError:
                    self.to_guest.clear()  # the machine is gone; reading says so
        return alive

    def run(self, wakeup):
        """Until the machine ends or the user quits; returns why: "guest-shutdown", "guest-reset", "quit", "timeout", ..."""
        for end in (self.emulator.console, self.emulator.log, self.emulator.control):
            end.setblocking(False)
        while self.step(wakeup):
            if self.quit:
                return "quit"
            if self.deadline is not None and time.monotonic() >= self.deadline:
                return "timeout"
            if self.panicked is not None and time.monotonic() >= self.panicked:
                return "panic"
        for _ in range(100):
            data = receive(self.emulator.control)
            if not data:
                break
            self.control.feed(data)
        self.read_log()
        while self.to_user:
            del self.to_user[:os.write(1, self.to_user)]
        return self.control.shutdown_reason or "lost"


def window_size():
    try:
        size = os.get_terminal_size(0)
        return {"rows": size.lines, "columns": size.columns} if size.lines and size.columns else {}
    except OSError:
        return {}


def prepare_image(options, points):
    """points: where disks are mounted."""
    pairs = execute.additions(options.add, points)
    if os.path.exists(IMAGE) and not options.fresh:
        for option, given in (("--package", options.package), ("--add", pairs)):
            if given:
                raise Failure(f"{option}: the disk was made before; --fresh makes a new one, and what is on the old one is lost", STATUS_FAILED)
        for folder in images.missing_folders(IMAGE, points):
            raise Failure(f"--disk: there is no folder {folder} on the disk", STATUS_FAILED)
        return
    temporary = f"{IMAGE}.new"
    try:
        images.copy_sparse(rootfs.image(options.package), temporary)
        if pairs or images.missing_folders(temporary, points):
            images.add_files(temporary, pairs, points)
        os.rename(temporary, IMAGE)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)


def run(options):
    disks = execute.extra_disks(options.disk)
    with disk_lock():
        prepare_image(options, {path for _, path in disks})
        config = {"telnet": 1, **window_size(), **execute.mount_points(disks)}
        if os.environ.get("TERM"):
            config["term"] = os.environ["TERM"]
        image = boot.image("run", config, disks=1 + len(disks))
        accel = boot.accelerator()
        command = machine.command_line(boot.KERNEL, image, boot.append(kpti=options.kpti), options.memory,
                                       [machine.Disk(host) for host in (IMAGE, *(host for host, _ in disks))], accel, cpus=options.cpus)
        if os.isatty(0):
            print(f"pith: booting; Ctrl-] quits, `poweroff` ends it, the log is in {LOG}", file=sys.stderr)
        with open(LOG, "wb", buffering=0) as log_file, Wakeup((signal.SIGTERM, signal.SIGHUP, signal.SIGWINCH)) as wakeup:
            deadline = time.monotonic() + options.timeout if options.timeout is not None else None
            while True:
                with machine.Machine(command, control=True) as emulator:
                    with raw_terminal(0):
                        terminal = Terminal(emulator, log_file, deadline)
                        terminal.tell_size()  # it may have changed since the image was made
                        reason = terminal.run(wakeup)
                    if reason == "lost":
                        emulator.process.wait()
                        raise Failure("the emulator ended: " + emulator.complaint(), STATUS_FAILED)
                if reason == "guest-reset" and terminal.said_something:
                    continue
                break
        if reason in ("quit", "timeout"):
            print("\npith: stopped without a shutdown", file=sys.stderr)
            return STATUS_TIMEOUT if reason == "timeout" else terminal.status
        if reason != "guest-shutdown" or not terminal.said_something:
            tail = terminal.log_tail.decode(errors="replace")
            what = f"ended by {reason}" if reason != "guest-shutdown" else "did not start"
            raise Failure(f"the system {what}; the end of its log ({LOG}):\n{tail}", STATUS_FAILED)
        return 0
