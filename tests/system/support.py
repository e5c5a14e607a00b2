# SPDX-License-Identifier: MIT
"""What the system tests share: programs on Pith and on the host, disks, and a shell on a pseudo-terminal."""

import fcntl
import itertools
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools", "pith"))

from paths import PATIENCE, ROOT

PITH = os.path.join(ROOT, "pith")
GUEST = os.path.join(ROOT, "build", "guest")
BUSYBOX = os.path.join(ROOT, "build", "third-party", "busybox-static", "bin", "busybox")
# Chooses samples of what is too much for every run.
SEED = int(os.environ.get("PITH_SEED") or 1)
FOLDER = os.environ.get("PITH_TEST") or "/tmp"
# Tests that do much to the root: after each program e2fsck must be content with what it left. (It takes half a second.)
ROOT_IS_CHECKED = os.path.basename(FOLDER).startswith(tuple(f"system.{name}." for name in ("cpython", "debian", "languages", "posix", "programs", "restart", "supervise")))
runs = itertools.count()


def full(function):
    """Marks a test that only --full runs."""
    return function


def sampled(function):
    """Marks a test that takes long: the default run has a quarter of these, other ones for each commit."""
    return function


def seconds(limit):
    """Sets a test's time limit."""
    return lambda function: function


def check(condition, message="", *details):
    if not condition:
        raise AssertionError("\n".join([str(message), *map(str, details)]))


def equal(actual, expected, what="value"):
    if actual != expected:
        show = [repr(v) if len(repr(v)) < 3000 else repr(v)[:1500] + " ... " + repr(v)[-1500:] for v in (actual, expected)]
        raise AssertionError(f"{what} is\n  {show[0]}\nand not\n  {show[1]}")


class Result:
    def __init__(self, status, stdout, stderr):
        self.status, self.stdout, self.stderr = status, stdout, stderr

    def ok(self):
        """Itself, if the status is 0."""
        check(self.status == 0, f"status {self.status}", self.stdout.decode(errors="replace")[-2000:],
              self.stderr.decode(errors="replace")[-3000:])
        return self


def run(command, stdin=b"", timeout=200, **more):
    timeout *= PATIENCE
    done = subprocess.run(command, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout, **more)
    return Result(done.returncode, done.stdout, done.stderr)


def pith_command(*command, add=(), disk=(), memory=None, timeout=180, options=(), exact=False):
    line = [PITH, "exec", "--accel", "tcg", "--timeout", str(timeout if exact else timeout * PATIENCE)]
    for item in add:
        line += ["--add", item]
    for item in disk:
        line += ["--disk", item]
    if memory:
        line += ["--memory", memory]
    return [*line, *options, "--", *command]


def pith(*command, stdin=b"", timeout=180, **options):
    """CMD on Pith. exact: the timeout is what is tested, and not stretched."""
    line = pith_command(*command, timeout=timeout, **options)
    if not ROOT_IS_CHECKED or "--root" in line[:line.index("--")]:
        return run(line, stdin, timeout + 60)
    root = file_path(f"root.{next(runs)}.img")
    result = run(line, stdin, timeout + 60, env={**os.environ, "PITH_KEEP_ROOT": root})
    if result.status not in (124, 125):  # it was switched off
        fsck(root)
    if os.path.exists(root):
        os.unlink(root)
    return result


def shell(script, **options):
    """A script for busybox's shell and its applets on Pith."""
    return pith("busybox", "sh", "-c", script, **options)


def on_machine(script, change=lambda command: command, memory="128M", disks=(), config=None, append=None, seconds=100):
    """A shell script on a machine of one's own making: change() gets QEMU's command line and gives another. Has the log as .log."""
    import boot
    import rootfs
    import machine
    from session import Lost, Session

    image = boot.image("exec", config or {}, disks=1 + len(disks))
    command = machine.command_line(boot.KERNEL, image, boot.append() if append is None else append, memory,
                                   [machine.Disk(rootfs.image(), keep=False), *map(machine.Disk, disks)])
    with open(os.devnull, "r+b") as null, open(file_path("stdout"), "w+b") as out, open(file_path("stderr"), "w+b") as err:
        with machine.Machine(change(command)) as emulator:
            session = Session(emulator.console, emulator.log, ["busybox", "sh", "-c", script], ["PATH=/bin:/usr/bin:/sbin:/usr/sbin"],
                              seconds * PATIENCE, (null.fileno(), out.fileno(), err.fileno()))
            try:
                status = session.run()
            except Lost as lost:
                own_words = emulator.complaint() if emulator.has_ended() else ""
                raise AssertionError(f"{lost}: {own_words}\n{session.log_text.decode(errors='replace')[-4000:]}") from None
        for stream in (out, err):
            stream.seek(0)
        result = Result(status, out.read(), err.read())
        result.log = session.log_text.decode(errors="replace")
        return result


def host_shell(script, stdin=b"", cwd=None):
    """The same script with the same busybox on the host's Linux."""
    return run([BUSYBOX, "sh", "-c", script], stdin, cwd=cwd,
               env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root"})


def file_path(name):
    return os.path.join(FOLDER, name)


def write_file(name, data):
    path = file_path(name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(data)
    return path


def make_disk(name, size, folder=None, block_size=1024):
    """A new ext2 image, by the host's mke2fs."""
    path = file_path(name)
    command = ["mke2fs", "-q", "-F", "-t", "ext2", "-b", str(block_size)]
    run([*command, *(["-d", folder] if folder else []), path, size]).ok()
    return path


def fsck(image):
    """The host's e2fsck finds nothing to fix."""
    result = run(["e2fsck", "-fn", image])
    check(result.status == 0, f"e2fsck -fn {image}: status {result.status}", result.stdout.decode(), result.stderr.decode())


def fsck_after_death(image):
    """The power was cut, or what keeps a disk died for good: blocks may be left that nobody owns, which e2fsck takes back without
    asking. What loses or mixes up anything makes it refuse."""
    result = run(["e2fsck", "-fp", image])
    check(result.status in (0, 1), f"e2fsck -fp {image}: status {result.status}", result.stdout.decode(), result.stderr.decode())
    fsck(image)


def dump(image, guest_path):
    """A file's bytes, by the host's debugfs."""
    target = file_path("dumped")
    result = run(["debugfs", "-R", f'dump "{guest_path}" "{target}"', image])
    check(os.path.exists(target), f"debugfs found no {guest_path}", result.stderr.decode())
    with open(target, "rb") as f:
        data = f.read()
    os.unlink(target)
    return data


def strip_escapes(text):
    return re.sub(r"\x1b(\[[0-9;?]*[A-Za-z]|[=>])|\r", "", text)


class Shell:
    """`./pith run` on a pseudo-terminal, with what a user types and sees: root's shell, bash."""

    PROMPT = re.compile(r"root@[a-z]+:[^\n]*# ")
    SH = "sh"

    def __init__(self, *options, rows=24, columns=80, command=None):
        self.raw = ""           # all that was shown
        self.position = 0       # what of it expect() has passed
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.before = termios.tcgetattr(slave)
        self.process = subprocess.Popen(command or [PITH, "run", *options], stdin=slave, stdout=slave, stderr=slave,
                                        env={**os.environ, "TERM": "xterm"}, start_new_session=True)
        self.slave, self.master = slave, master
        # What e2fsck must be content with when it was switched off.
        self.image = None if command else os.path.join(os.environ.get("PITH_RUN", "build/run"), "root.img")

    def __enter__(self):
        try:
            self.wait_prompt(120)
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        return self

    def __exit__(self, kind, *exception):
        if kind is not None:
            print("---- the end of what the terminal showed:\n" + self.raw[-3000:])
            log = os.path.join(os.environ.get("PITH_RUN", ""), "log")
            if os.path.exists(log):
                with open(log, errors="replace") as f:
                    print("---- the end of the log:\n" + f.read()[-4000:])
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
        os.close(self.master)
        os.close(self.slave)

    def resize(self, rows, columns):
        """As a terminal does whose window changes: the pseudo-terminal is none of the process's own, so its kernel tells nobody."""
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        os.kill(self.process.pid, signal.SIGWINCH)

    def send(self, text):
        data = text.encode()
        while data:
            data = data[os.write(self.master, data):]

    def paste(self, data):
        """Many bytes, as fast as they are taken; what is shown meanwhile is taken, too."""
        os.set_blocking(self.master, False)
        while data:
            if select.select([self.master], [self.master], [], 60 * PATIENCE)[1]:
                data = data[os.write(self.master, data[:65536]):]
            self.pump(0)
        os.set_blocking(self.master, True)

    def pump(self, timeout):
        """Take what is shown, in whatever pieces it comes. False if there was nothing."""
        ready, _, _ = select.select([self.master], [], [], timeout)
        if not ready:
            return False
        self.raw += os.read(self.master, 65536).decode(errors="replace")
        return True

    def expect(self, pattern, timeout=60):
        """Wait until the pattern is shown; returns the match. What was before it is passed."""
        pattern = re.compile(pattern) if isinstance(pattern, str) else pattern
        timeout *= PATIENCE
        deadline = time.monotonic() + timeout
        while True:
            match = pattern.search(self.raw, self.position)
            if match:
                self.position = match.end()
                return match
            left = deadline - time.monotonic()
            if left <= 0:
                raise AssertionError(f"{pattern.pattern!r} was not shown within {timeout} s after\n"
                                     f"{self.raw[self.position:][-2000:]!r}")
            if self.process.poll() is not None and not self.pump(0.1):
                raise AssertionError(f"./pith run ended with status {self.process.returncode}; {pattern.pattern!r} "
                                     f"was not shown after\n{self.raw[self.position:][-2000:]!r}")
            self.pump(min(left, 0.5))

    def wait_prompt(self, timeout=60):
        return self.expect(self.PROMPT, timeout)

    def type(self, line, timeout=60):
        """A line and what it prints until the prompt comes back."""
        start = self.position
        self.send(line + "\r")
        self.expect(r"\n", timeout)
        start = self.position
        self.wait_prompt(timeout)
        shown = strip_escapes(self.raw[start:self.position])
        return shown.rsplit("\n", 1)[0] + "\n" if "\n" in shown else ""

    def start(self, script):
        """Starts a script and waits until it runs. Its line's echo does not say so: what is typed then may still find the terminal as the
        shell's editor has it, without echo and signals."""
        self.send(f"{self.SH} -c 'echo r''un; {script}'\r")
        self.expect("run\r?\n")

    def status(self, line, timeout=60):
        """The exit status of a command line."""
        return int(self.type(f"{line}; echo \"<$?>\"", timeout).rsplit("<", 1)[1].split(">")[0])

    def power_off(self):
        self.send("poweroff\r")
        self.wait_end()
        if self.image:
            fsck(self.image)

    def wait_end(self, timeout=60):
        """The command's end, with status 0 and the terminal as it was."""
        deadline = time.monotonic() + timeout * PATIENCE
        while self.process.poll() is None:
            check(time.monotonic() < deadline, "./pith run did not end", self.raw[-1000:])
            self.pump(0.2)
        check(self.process.returncode == 0, f"./pith run ended with status {self.process.returncode}", self.raw[-2000:])
        equal(termios.tcgetattr(self.slave), self.before, "the terminal's state after ./pith run")


class Ash(Shell):
    """The same, with busybox's shell and its applets."""

    # The shell asks where the cursor is. Before it has, nothing may be typed: the answer, coming later, would be the next command's input.
    QUESTION = "\x1b[6n"
    ASH_PROMPT = re.compile(r"root@[a-z]+:[^\n]*# " + re.escape(QUESTION))
    SH = "busybox sh"
    answered = 0  # up to where its questions are answered

    def __enter__(self):
        super().__enter__()
        self.begin()
        return self

    def begin(self):
        """bash makes way for ash."""
        self.answered = len(self.raw)
        self.PROMPT = self.ASH_PROMPT
        self.send("exec env PS1='\\u@\\h:\\w\\$ ' busybox ash\r")
        self.wait_prompt()

    def pump(self, timeout):
        if not super().pump(timeout):
            return False
        while self.PROMPT is self.ASH_PROMPT and (question := self.raw.find(self.QUESTION, self.answered)) >= 0:
            line = strip_escapes(self.raw[:question].rsplit("\n", 1)[-1])
            self.send(f"\x1b[24;{len(line) % 80 + 1}R")
            self.answered = question + len(self.QUESTION)
        return True
