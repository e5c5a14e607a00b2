# SPDX-License-Identifier: MIT
"""One emulated machine: QEMU's command line, its two serial lines, its end.

COM1 is the log of the kernel and of the components, COM2 the console. Both reach us over descriptors that QEMU
inherits, so there are no names in the file system to clash or to be left behind. QEMU dies with us, whatever ends us.
"""

import contextlib
import ctypes
import json
import os
import signal
import socket
import subprocess
import time

from paths import Failure, ROOT, build

QEMU = "qemu-system-x86_64"
# The fair flags: with erms Linux copies a byte an iteration under TCG, with pku every signal flushes the TLB.
TCG = ["-accel", "tcg", "-cpu", "max,-erms,-pku,-mpx,-la57"]
# It does not say that it is an emulator.
TCG_AS_A_CPU = [*TCG[:-1], f"{TCG[-1]},-hypervisor"]
KVM = ["-accel", "kvm", "-cpu", "host"]
ICOUNT = ["-icount", "shift=0,sleep=off", "-rtc", "base=2024-01-01T00:00:00,clock=vm", "-seed", "1"]
ENTROPY = ["-device", "virtio-rng-pci,disable-legacy=on"]

GATHER = 0.001  # seconds

CPUS_MAX = 8
MEMORY_MAX = 1 << 45  # what the kernel maps (arch/types.h)
# What --cpus says if it is not given: the suite runs its tests with several, too.
CPUS = int(os.environ.get("PITH_CPUS") or 1)

PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None, use_errno=True)


def die_with_parent():
    """In the child, before exec: its own session (a Ctrl-C is ours to handle), and death when we die."""
    os.setsid()
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def nameless_file(label):
    """A new file that is gone with us: its descriptor, and a path for QEMU."""
    descriptor = os.memfd_create(label)
    return descriptor, f"/proc/{os.getpid()}/fd/{descriptor}"


class Disk:
    def __init__(self, image, keep=True):
        """keep: whether what is written stays in the image; else it is forgotten at the end."""
        self.image = image
        self.keep = keep


def command_line(kernel, initrd=None, append="", memory="512M", disks=(), accel=None, icount=False, extra=(), cpus=None):
    command = [QEMU, "-machine", "q35", *(accel or TCG), "-m", memory, "-smp", str(cpus or CPUS), "-nodefaults", "-no-user-config",
               "-no-reboot", "-display", "none", "-kernel", kernel,
               # The firmware leaves disks alone: it would keep memory for each, from five on where the boot image lies.
               "-boot", "strict=on"]
    if initrd:
        command += ["-initrd", initrd]
    if append:
        command += ["-append", append]
    for number, disk in enumerate(disks):
        # Errors are the guest's: by itself QEMU stops the machine without a word when the host's disk is full.
        # A comma in a file name is doubled in QEMU's option syntax.
        image = os.path.abspath(disk.image).replace(",", ",,")
        command += ["-drive", f"if=none,id=disk{number},format=raw,file={image},snapshot={'off' if disk.keep else 'on'},"
                    "werror=report,rerror=report",
                    "-device", f"virtio-blk-pci,disable-legacy=on,drive=disk{number}"]
    # With a clock of instructions no device may answer when it likes: runs would not repeat.
    command += ICOUNT if icount else ENTROPY
    return command + list(extra)


class Output:
    """Our end of what a serial line says, a pipe.

    QEMU writes each byte of a serial line by itself. A pipe puts bytes together again, and has room for 64 KiB of them while nobody
    reads; a socket keeps some 300 writes at most, after which bytes are lost, and wakes the reader for each.
    """

    def __init__(self):
        self.reader, self.theirs = os.pipe()

    def theirs_close(self):
        os.close(self.theirs)

    def fileno(self):
        return self.reader

    def recv(self, size):
        # Bytes come one by one, and being woken for each would cost more than they do.
        time.sleep(GATHER)
        return os.read(self.reader, size)

    def setblocking(self, blocking):
        os.set_blocking(self.reader, blocking)

    def close(self):
        if self.reader >= 0:
            os.close(self.reader)
        self.reader = -1


class Line(Output):
    """Our end of the console, a pipe each way; .writer is the end that poll() tells to be writable. QEMU reads 14 bytes at a time."""

    def __init__(self):
        super().__init__()
        self.their_input, writer = os.pipe()
        self.writer = open(writer, "wb", buffering=0)

    def theirs_close(self):
        super().theirs_close()
        os.close(self.their_input)

    def send(self, data):
        return os.write(self.writer.fileno(), data)

    def setblocking(self, blocking):
        super().setblocking(blocking)
        os.set_blocking(self.writer.fileno(), blocking)

    def close(self):
        super().close()
        self.writer.close()


class Machine:
    """A running QEMU: .console is a Line, .log an Output, .process the emulator. debugger: the name of a socket where it waits for gdb
    before its first instruction. It listens before QEMU begins, so nobody comes too early."""

    def __init__(self, command, control=False, debugger=None, stderr=subprocess.PIPE):
        os.makedirs(build("tmp"), exist_ok=True)
        self.console = Line()
        self.log = Output()
        inherited = []
        # QEMU has no name for a descriptor that is only written to; the kernel has.
        command = [*command, "-chardev", f"file,id=log,path=/proc/self/fd/{self.log.theirs}", "-serial", "chardev:log",
                   "-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"]
        self.control = None
        if control:
            self.control, theirs = socket.socketpair()
            inherited.append(theirs)
            command += ["-chardev", f"socket,id=control,fd={theirs.fileno()}", "-mon", "chardev=control,mode=control"]
            self.control.sendall(b'{"execute":"qmp_capabilities"}\n')
        self.debugger = debugger
        if debugger:
            inherited.append(socket.socket(socket.AF_UNIX))
            inherited[-1].bind(debugger)
            inherited[-1].listen()
            command += ["-S", "-chardev", f"socket,id=debugger,fd={inherited[-1].fileno()},server=on,wait=off", "-gdb", "chardev:debugger"]
        try:
            # snapshot=on puts what is written into an unlinked file in TMPDIR.
            self.process = subprocess.Popen(command, stdin=self.console.their_input,
                                            stdout=self.console.theirs, stderr=stderr, pass_fds=[self.log.theirs, *(s.fileno() for s in inherited)],
                                            preexec_fn=die_with_parent, cwd=ROOT, env={**os.environ, "TMPDIR": build("tmp")})
        except FileNotFoundError:
            raise Failure(f"{QEMU} is not installed") from None
        finally:
            self.console.theirs_close()
            self.log.theirs_close()
            for their_end in inherited:
                their_end.close()

    def complaint(self):
        """What QEMU itself said; call when it has ended."""
        return self.process.stderr.read().decode(errors="replace").strip() if self.process.stderr else ""

    def has_ended(self):
        """Whether it ended by itself; it may be about to."""
        try:
            self.process.wait(0.3)
        except subprocess.TimeoutExpired:
            return False
        return True

    def stop(self, grace=2.0):
        """End the emulator: it closes its images on SIGTERM, and is killed if it does not."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(grace)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for end in (self.console, self.log, self.control):
            if end is not None:
                end.close()
        if self.debugger:
            with contextlib.suppress(FileNotFoundError):  # QEMU has, unless it was killed
                os.unlink(self.debugger)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.stop()


class ControlReader:
    """Why the machine ended, from the events on QEMU's control line."""

    def __init__(self):
        self.buffer = b""
        self.shutdown_reason = None

    def feed(self, data):
        self.buffer += data
        *lines, self.buffer = self.buffer.split(b"\n")
        for line in lines:
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if event.get("event") == "SHUTDOWN":
                self.shutdown_reason = event.get("data", {}).get("reason")


def parse_size(text):
    """64M, 2G, ... as QEMU takes it; refuses what makes no sense."""
    number, unit = text[:-1], text[-1:].upper()
    if not number.isdigit() or unit not in ("K", "M", "G", "T"):
        raise Failure(f"--memory takes a size such as 64M or 2G, not {text!r}")
    size = int(number) << {"K": 10, "M": 20, "G": 30, "T": 40}[unit]
    if size < 16 << 20:
        raise Failure("--memory: at least 16M")
    if size > MEMORY_MAX:
        raise Failure(f"--memory: at most {MEMORY_MAX >> 40}T")
    if size % (1 << 20):
        raise Failure("--memory: whole MiB only")
    return f"{size >> 20}M"
