# SPDX-License-Identifier: MIT
"""The host's side of proto/exec.h: our standard streams and signals on one hand, the machine's console line on the other.

One loop over poll(), nothing blocks: a slow reader of our output must not delay a timeout or a signal, and our
standard input is read only as far as the program in the guest asks for it.
"""

import errno
import os
import re
import select
import signal
import struct
import time

MAGIC = 0x58505450
FRAME_MAX = 4096
READY, START, STDIN, STDOUT, STDERR, CREDIT, EXIT, ERROR, SIGNAL, UNWRITABLE = range(1, 11)
OUTPUT_NAMES = {STDOUT: "standard output", STDERR: "standard error"}
HEADER = struct.Struct("<IHH")

STATUS_TIMEOUT = 124
STATUS_FAILED = 125

BOOT_SECONDS = 300   # to the guest's READY
# Seconds from a signal to the program to the next, stronger means. After the last, all others in the guest are ended and the disks unmounted.
GRACE = {signal.SIGINT: 10, signal.SIGHUP: 10, signal.SIGTERM: 5, signal.SIGKILL: 10}
OUTPUT_HIGH = 1 << 20
READER_SECONDS = 5   # that our outputs' readers have, once we were told to end
PANIC = re.compile(rb"\nkernel panic:")  # at the beginning of a line, where what a component logs has its name
HALTED = re.compile(rb"^halted\r?\n", re.M)  # the last line of a panic


class Lost(Exception):
    """Pith failed: the text says how."""


def frame(kind, payload=b""):
    return HEADER.pack(MAGIC, kind, len(payload)) + payload


def start_frames(arguments, environment):
    strings = [os.fsencode(s) for s in [*arguments, *environment]]
    payload = struct.pack("<II", len(arguments), len(environment)) + b"".join(s + b"\0" for s in strings)
    # The last frame is a short one, an empty one if need be.
    return b"".join(frame(START, payload[i:i + FRAME_MAX]) for i in range(0, len(payload) + 1, FRAME_MAX))


def watch(interests, console, readable, writable, step):
    """Adds the console's descriptors to poll for: one for both ways (a socket), or one each (machine.Line)."""
    writer = getattr(console, "writer", console)
    if readable:
        interests[console.fileno()] = (select.POLLIN, step)
    if writable:
        events, _ = interests.get(writer.fileno(), (0, step))
        interests[writer.fileno()] = (events | select.POLLOUT, step)


class Session:
    def __init__(self, console, log, arguments, environment, timeout=None, streams=(0, 1, 2),
                 patience=BOOT_SECONDS):
        self.console, self.log = console, log
        self.stdin = streams[0]
        self.outputs = {STDOUT: streams[1], STDERR: streams[2]}
        self.pending = {STDOUT: bytearray(), STDERR: bytearray()}
        self.idle_outputs = {STDOUT, STDERR}    # watched while there is nothing to write
        self.to_guest = bytearray()
        self.from_guest = bytearray()
        self.start = start_frames(arguments, environment)
        self.started = False
        self.credit = 0
        self.stdin_open = True
        self.status = None
        self.log_text = bytearray()
        self.panicked = None
        self.stream_failed = False  # output was lost, and not because its reader went away, or input could not be read
        self.remarks = []       # what the user is told at the end, though the status is the program's
        self.timed_out = False
        self.interrupted = None # by which signal
        self.escalation = []    # what to do next if the program does not end, strongest last
        now = time.monotonic()
        self.boot_deadline = now + patience if patience is not None else None
        self.timeout_deadline = now + timeout if timeout is not None else None
        self.escalation_deadline = None

    # ---- ending it early ----

    def send(self, kind, payload=b""):
        self.to_guest += frame(kind, payload)

    def escalate(self):
        """The next means to end the program; None is to give up."""
        step = self.escalation.pop(0) if self.escalation and self.started else None
        if step is None:
            raise Lost("the program did not end; the emulator was stopped without unmounting" if self.started else "")
        self.send(SIGNAL, struct.pack("<I", step))
        self.escalation_deadline = time.monotonic() + GRACE[step]

    def interrupt(self, number):
        """Hand a signal on, and see that it has an end."""
        if self.escalation_deadline is None:
            self.escalation = [number] if number == signal.SIGTERM else [number, signal.SIGTERM]
            self.escalation.append(signal.SIGKILL)
        if self.status is None:
            self.escalate()

    def take_signals(self, wakeup, ended=False):
        for number in os.read(wakeup, 16):
            self.interrupted = number
            if not ended:
                self.interrupt(number)

    def check_deadlines(self, now):
        if self.panicked is not None:
            if now >= self.panicked:
                raise Lost("the kernel panicked")
        elif self.escalation_deadline is not None:
            if now >= self.escalation_deadline:
                self.escalate()
        elif self.timeout_deadline is not None and now >= self.timeout_deadline:
            self.timed_out = True
            self.interrupt(signal.SIGTERM)
        elif not self.started and self.boot_deadline is not None and now >= self.boot_deadline:
            raise Lost(f"no sign of life for {BOOT_SECONDS} seconds")

    def next_deadline(self):
        deadlines = [self.panicked, self.escalation_deadline, self.timeout_deadline,
                     None if self.started else self.boot_deadline]
        return min((d for d in deadlines if d is not None), default=None)

    # ---- frames ----

    def handle(self, kind, payload):
        if kind == READY and not self.started:
            self.started = True
            self.to_guest += self.start
        elif kind == READY:
            raise Lost("the component `linux` was restarted, the program went with it")
        elif kind in self.outputs:
            if self.outputs[kind] is not None:
                self.pending[kind] += payload
        elif kind == CREDIT and len(payload) == 4:
            self.credit += struct.unpack("<I", payload)[0]
        elif kind == EXIT and len(payload) == 4:
            self.status = struct.unpack("<I", payload)[0] & 0xff
            if self.escalation_deadline is not None and not self.escalation and self.status == 128 + signal.SIGKILL:
                self.remarks.append("the program did not end on SIGTERM: it was killed")
        elif kind == ERROR:
            raise Lost(payload.decode(errors="replace"))
        else:
            raise Lost(f"a frame of unknown type {kind} and length {len(payload)} from the guest")

    def parse(self):
        while self.status is None and len(self.from_guest) >= HEADER.size:
            magic, kind, length = HEADER.unpack_from(self.from_guest)
            if magic != MAGIC or length > FRAME_MAX:
                raise Lost(f"no frame on the console line but {bytes(self.from_guest[:80])!r}")
            if len(self.from_guest) < HEADER.size + length:
                return
            payload = bytes(self.from_guest[HEADER.size:HEADER.size + length])
            del self.from_guest[:HEADER.size + length]
            self.handle(kind, payload)

    # ---- the descriptors ----

    def read_console(self):
        data = receive(self.console)
        if data == b"":
            raise Lost("the machine stopped before the program ended")
        self.from_guest += data or b""
        self.parse()

    def write_console(self):
        try:
            del self.to_guest[:self.console.send(self.to_guest)]
        except BlockingIOError:
            pass
        except OSError:
            self.to_guest.clear()  # the machine is gone; reading says so

    def read_log(self):
        data = receive(self.log)
        if data == b"":
            self.log = None
            return
        self.log_text += data or b""
        if self.panicked is None and PANIC.search(self.log_text, max(0, len(self.log_text) - len(data or b"") - len(b"\nkernel panic"))):
            # A little time for the rest of its message.
            self.panicked = time.monotonic() + 0.5

    def read_stdin(self):
        try:
            data = os.read(self.stdin, min(self.credit, FRAME_MAX))
        except BlockingIOError:
            return
        except OSError as error:
            data = b""
            if error.errno != errno.EBADF:  # closed: no input
                self.stream_failed = True
                self.remarks.append(f"standard input: {error.strerror}")
        self.credit -= len(data)
        self.stdin_open = bool(data)
        self.send(STDIN, data)

    def write_output(self, kind):
        pending = self.pending[kind]
        try:
            # No more than a pipe takes at once when poll() says that it is writable.
            del pending[:os.write(self.outputs[kind], pending[:select.PIPE_BUF])]
        except BlockingIOError:
            pass
        except OSError as error:
            self.output_failed(kind, error.errno)

    def output_failed(self, kind, number):
        self.pending[kind].clear()
        self.outputs[kind] = None
        if self.status is None:
            self.send(UNWRITABLE, struct.pack("<II", kind, number))
        if number != errno.EPIPE:
            self.stream_failed = True
            self.remarks.append(f"{OUTPUT_NAMES[kind]}: {os.strerror(number)}")

    def step_idle_output(self, kind, events):
        """A program may wait for its reader to go away and write nothing."""
        self.idle_outputs.remove(kind)
        if events & select.POLLERR:
            self.output_failed(kind, errno.EPIPE)

    def interests(self):
        result = {}
        # A program that was told to end is seen to its end, whether anybody reads what it wrote or not.
        room = self.escalation_deadline is not None or sum(map(len, self.pending.values())) < OUTPUT_HIGH
        watch(result, self.console, room, self.to_guest, self.step_console)
        if self.log is not None:
            result[self.log.fileno()] = (select.POLLIN, lambda events: self.read_log())
        if self.stdin_open and self.credit > 0:
            result[self.stdin] = (select.POLLIN, lambda events: self.read_stdin())
        for kind in (STDOUT, STDERR):
            if self.pending[kind]:
                result[self.outputs[kind]] = (select.POLLOUT, lambda events, kind=kind: self.write_output(kind))
            elif kind in self.idle_outputs and self.outputs[kind] is not None and self.started:
                result.setdefault(self.outputs[kind], (0, lambda events, kind=kind: self.step_idle_output(kind, events)))
        return result

    def step_console(self, events):
        if events & select.POLLOUT:
            self.write_console()
        if events & (select.POLLIN | select.POLLHUP | select.POLLERR):
            self.read_console()

    def step(self, wakeup):
        now = time.monotonic()
        self.check_deadlines(now)
        interests = self.interests()
        interests[wakeup] = (select.POLLIN, lambda events: self.take_signals(wakeup))
        wait(interests, self.next_deadline(), now)

    def run(self):
        """Until the program has ended and its output is written; returns its status or raises Lost."""
        for end in (self.console, self.log):
            end.setblocking(False)
        lost = None
        with Wakeup((signal.SIGINT, signal.SIGTERM, signal.SIGHUP)) as wakeup:
            try:
                while self.status is None:
                    self.step(wakeup)
            except Lost as error:
                lost = error
                self.read_rest_of_log()
            self.write_rest(wakeup)
        if lost is not None and not self.timed_out:
            raise lost
        if lost is not None:
            self.remarks += filter(None, [str(lost)])
        if self.timed_out:
            return STATUS_TIMEOUT
        # What the program wrote last may be lost without its knowing: that is no success.
        return STATUS_FAILED if self.stream_failed and self.status == 0 else self.status

    def write_rest(self, wakeup):
        """Hand out what had arrived. Its readers take the time they like, unless we were told to end."""
        give_up = None
        while any(self.pending.values()):
            now = time.monotonic()
            if self.timeout_deadline is not None and now >= self.timeout_deadline:
                self.timed_out = True
            if give_up is None and (self.timed_out or self.interrupted is not None):
                give_up = now + READER_SECONDS
            if give_up is not None and now >= give_up:
                self.stream_failed = True
                self.remarks += [f"{OUTPUT_NAMES[kind]}: nobody reads it" for kind in self.pending if self.pending[kind]]
                return
            interests = {self.outputs[kind]: (select.POLLOUT, lambda events, kind=kind: self.write_output(kind))
                         for kind in self.pending if self.pending[kind]}
            interests[wakeup] = (select.POLLIN, lambda events: self.take_signals(wakeup, ended=True))
            wait(interests, give_up if give_up is not None else self.timeout_deadline, now)

    def read_rest_of_log(self):
        while self.log is not None:
            data = receive(self.log)
            if not data:
                break
            self.log_text += data


def wait(interests, deadline, now):
    """For one of {descriptor: (events, function)} to be ready; calls the functions of those that are."""
    poll = select.poll()
    for descriptor, (events, _) in interests.items():
        poll.register(descriptor, events)
    for descriptor, events in poll.poll(None if deadline is None else max(0, deadline - now) * 1000 + 1):
        interests[descriptor][1](events)


def receive(end):
    """What there is; b"" at the end of file, None if there is nothing now."""
    try:
        return end.recv(1 << 16)
    except (BlockingIOError, InterruptedError):
        return None
    except OSError:
        return b""


class Wakeup:
    """Signals as bytes on a pipe, for the time of a `with`."""

    def __init__(self, numbers):
        self.numbers = numbers

    def __enter__(self):
        self.read_end, self.write_end = os.pipe()
        os.set_blocking(self.read_end, False)
        os.set_blocking(self.write_end, False)
        self.old_wakeup = signal.set_wakeup_fd(self.write_end, warn_on_full_buffer=False)
        # What our caller has us ignore (nohup, a script's background) stays ignored.
        self.old = {number: signal.signal(number, lambda number, stack: None) for number in self.numbers
                    if signal.getsignal(number) is not signal.SIG_IGN}
        return self.read_end

    def __exit__(self, *exception):
        signal.set_wakeup_fd(self.old_wakeup)
        for number, handler in self.old.items():
            signal.signal(number, handler)
        os.close(self.read_end)
        os.close(self.write_end)
