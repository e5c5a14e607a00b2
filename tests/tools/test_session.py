# SPDX-License-Identifier: MIT
"""exec's side of proto/exec.h against a guest that these tests play themselves: no emulator, no kernel."""

import contextlib
import errno
import os
import signal
import socket
import struct
import sys
import threading
import time
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "..", "tools", "pith"))
import session
from session import Lost, Session, frame


class Guest:
    """The other end of the console line."""

    def __init__(self, end):
        self.end = end
        self.stream = end.makefile("rb")

    def send(self, kind, payload=b""):
        self.end.sendall(frame(kind, payload))

    def receive(self):
        magic, kind, length = session.HEADER.unpack(self.stream.read(session.HEADER.size))
        assert magic == session.MAGIC
        return kind, self.stream.read(length)

    def start(self):
        """READY, and what is to be run."""
        self.send(session.READY)
        payload = b""
        while True:
            kind, part = self.receive()
            assert kind == session.START
            payload += part
            if len(part) < session.FRAME_MAX:
                break
        argc, envc = struct.unpack_from("<II", payload)
        strings = payload[8:].split(b"\0")
        assert strings[-1] == b"" and len(strings) == argc + envc + 1
        return strings[:argc], strings[argc:-1]

    def exit(self, status):
        self.send(session.EXIT, struct.pack("<I", status))


def play(script, arguments=("prog",), environment=(), stdin=b"", reader=None, **options):
    """Run a session whose guest is script(guest); returns (status, stdout, stderr)."""
    console, guest_end = socket.socketpair()
    log, guest_log = socket.socketpair()
    with guest_log, guest_end, open(os.devnull, "r+b") as null:
        inputs = os.pipe()
        os.write(inputs[1], stdin)
        os.close(inputs[1])
        pipes = [os.pipe(), os.pipe()]
        collected = [bytearray(), bytearray()]
        threads = [threading.Thread(target=reader or collect, args=(pipes[i][0], collected[i])) for i in range(2)]
        guest = Guest(guest_end)
        guest.log = guest_log
        failures = []

        def run_script():
            try:
                script(guest)
            except BaseException as error:
                failures.append(error)
                guest_end.shutdown(socket.SHUT_RDWR)

        threads.append(threading.Thread(target=run_script))
        for thread in threads:
            thread.start()
        try:
            status = Session(console, log, arguments, environment, streams=(inputs[0], pipes[0][1], pipes[1][1]),
                             **options).run()
        finally:
            for _, write_end in pipes:
                os.close(write_end)
            console.close()
            for thread in threads:
                thread.join()
            os.close(inputs[0])
            for end in (log, guest.stream):
                end.close()
            if failures:
                raise failures[0]
        return status, bytes(collected[0]), bytes(collected[1])


def collect(descriptor, into):
    while data := os.read(descriptor, 65536):
        into += data
    os.close(descriptor)


@contextlib.contextmanager
def short_grace():
    old = session.GRACE, session.READER_SECONDS
    session.GRACE, session.READER_SECONDS = dict.fromkeys(old[0], 0.1), 0.2
    try:
        yield
    finally:
        session.GRACE, session.READER_SECONDS = old


class SessionTest(unittest.TestCase):
    def test_status_and_separate_streams(self):
        def script(guest):
            self.assertEqual(guest.start(), ([b"echo", b"\xffa b"], [b"A=1"]))
            guest.send(session.STDOUT, bytes(range(256)))
            guest.send(session.STDERR, b"oops\n")
            guest.exit(42)
        self.assertEqual(play(script, ("echo", os.fsdecode(b"\xffa b")), ("A=1",)),
                         (42, bytes(range(256)), b"oops\n"))

    def test_long_arguments_take_several_frames(self):
        for length in (4070, 4096 - 8 - 2 * 2, 8192 - 8 - 2 - 1, 100000):
            arguments = ("a", "b" * length)

            def script(guest):
                self.assertEqual(guest.start()[0], [b"a", b"b" * length])
                guest.exit(0)
            self.assertEqual(play(script, arguments)[0], 0)

    def test_exactly_full_frame_is_followed_by_an_empty_one(self):
        frames = session.start_frames(["x" * (4096 - 8 - 1)], [])
        self.assertEqual(frames[-8:], frame(session.START))

    def test_stdin_goes_only_as_far_as_the_credit(self):
        data = os.urandom(20000)

        def script(guest):
            guest.start()
            received = b""
            for credit in (1, 10, 5000, 4096, 100000):
                guest.send(session.CREDIT, struct.pack("<I", credit))
                goal = min(len(data), len(received) + credit)
                while len(received) < goal:
                    kind, part = guest.receive()
                    self.assertEqual(kind, session.STDIN)
                    received += part
                self.assertEqual(len(received), goal)
            self.assertEqual(guest.receive(), (session.STDIN, b""))
            self.assertEqual(received, data)
            guest.exit(0)
        self.assertEqual(play(script, stdin=data)[0], 0)

    def test_much_output(self):
        data = os.urandom(3 << 20)

        def script(guest):
            guest.start()
            for i in range(0, len(data), 4096):
                guest.send(session.STDOUT, data[i:i + 4096])
            guest.exit(0)
        self.assertEqual(play(script), (0, data, b""))

    def test_timeout_asks_the_program_first(self):
        def script(guest):
            guest.start()
            self.assertEqual(guest.receive(), (session.SIGNAL, struct.pack("<I", signal.SIGTERM)))
            guest.send(session.STDOUT, b"bye")
            guest.exit(143)
        self.assertEqual(play(script, timeout=0.2), (124, b"bye", b""))

    def test_timeout_of_a_guest_that_does_not_listen(self):
        with short_grace():
            self.assertEqual(play(lambda guest: guest.start() and guest.stream.read(), timeout=0.1)[0], 124)

    def test_timeout_of_a_program_that_does_not_listen(self):
        def script(guest):
            guest.start()
            for number in (signal.SIGTERM, signal.SIGKILL):
                self.assertEqual(guest.receive(), (session.SIGNAL, struct.pack("<I", number)))
            guest.exit(137)
        with short_grace():
            self.assertEqual(play(script, timeout=0.1)[0], 124)

    def test_program_that_is_ended_is_seen_to_its_end_though_nobody_reads(self):
        def script(guest):
            guest.start()
            for _ in range(2 * session.OUTPUT_HIGH // 4096):
                guest.send(session.STDOUT, bytes(4096))
            guest.exit(143)
            ended.set()

        def reader(descriptor, into):
            ended.wait(20)
            collect(descriptor, into)
        ended = threading.Event()
        status, output, _ = play(script, timeout=0.1, reader=reader)
        self.assertEqual((status, len(output)), (124, 2 * session.OUTPUT_HIGH))

    def output_that_nobody_reads(self, read_end, write_end, script, timeout, number=None):
        """(status, remarks) of a session whose output is full."""
        console, guest_end = socket.socketpair()
        log, guest_log = socket.socketpair()
        guest = Guest(guest_end)

        def play_guest():
            guest.start()
            for _ in range(64):
                guest.send(session.STDOUT, bytes(4096))
            if number is not None:
                os.kill(os.getpid(), number)
            script(guest)
        thread = threading.Thread(target=play_guest)
        thread.start()
        with short_grace(), open(os.devnull, "r+b") as null:
            ended = Session(console, log, ["yes"], [], timeout, streams=(null.fileno(), write_end, null.fileno()))
            used = time.process_time()
            status = ended.run()
            self.assertLess(time.process_time() - used, 0.2, "waiting costs nothing")
        console.close()
        thread.join()
        for end in (guest_end, log, guest_log, guest.stream):
            end.close()
        for end in (read_end, write_end):
            os.close(end)
        return status, ended.remarks

    def test_who_is_told_to_end_does_not_wait_for_a_reader(self):
        def ends_at_once(guest):
            guest.exit(0)

        def ends_on_a_signal(guest):
            number = struct.unpack("<I", guest.receive()[1])[0]
            guest.exit(128 + number)

        lost = "standard output: nobody reads it"
        for blocking in (True, False):
            for script, timeout, number, status in ((ends_at_once, 0.5, None, 124), (ends_on_a_signal, 0.5, None, 124),
                                                    (ends_on_a_signal, None, signal.SIGTERM, 143), (lambda guest: guest.stream.read(), 0.5, None, 124)):
                pipe = os.pipe()
                os.set_blocking(pipe[1], blocking)
                result = self.output_that_nobody_reads(*pipe, script, timeout, number)
                self.assertEqual((result[0], result[1][:1]), (status, [lost]))

    def test_input_that_cannot_be_read(self):
        def script(guest):
            guest.start()
            guest.send(session.CREDIT, struct.pack("<I", 100))
            self.assertEqual(guest.receive(), (session.STDIN, b""))
            guest.exit(status)
        for path, flags, status, result in (("/", os.O_RDONLY, 0, 125), ("/", os.O_RDONLY, 1, 1), ("/dev/null", os.O_WRONLY, 0, 0)):
            console, guest_end = socket.socketpair()
            log, guest_log = socket.socketpair()
            guest = Guest(guest_end)
            thread = threading.Thread(target=script, args=(guest,))
            thread.start()
            stdin = os.open(path, flags)
            with open(os.devnull, "r+b") as null:
                ended = Session(console, log, ["cat"], [], streams=(stdin, null.fileno(), null.fileno()))
                self.assertEqual(ended.run(), result)
            self.assertEqual(ended.remarks, ["standard input: Is a directory"] if path == "/" else [])
            thread.join()
            os.close(stdin)
            for end in (console, guest_end, log, guest_log, guest.stream):
                end.close()

    def test_timeout_before_the_guest_is_ready(self):
        self.assertEqual(play(lambda guest: guest.stream.read(), timeout=0.1)[0], 124)

    def test_interrupt_reaches_the_program(self):
        def script(guest):
            guest.start()
            os.kill(os.getpid(), signal.SIGINT)
            self.assertEqual(guest.receive(), (session.SIGNAL, struct.pack("<I", signal.SIGINT)))
            guest.exit(130)
        self.assertEqual(play(script)[0], 130)

    def test_what_the_caller_ignores_is_ignored(self):
        for number in (signal.SIGHUP, signal.SIGINT):
            old = signal.signal(number, signal.SIG_IGN)
            self.addCleanup(signal.signal, number, old)

            def script(guest):
                guest.start()
                os.kill(os.getpid(), number)
                guest.send(session.CREDIT, struct.pack("<I", 1))
                self.assertEqual(guest.receive(), (session.STDIN, b""))
                guest.exit(0)
            self.assertEqual(play(script)[0], 0)
            self.assertEqual(signal.getsignal(number), signal.SIG_IGN)

    def test_machine_that_stops_is_a_failure(self):
        def script(guest):
            guest.start()
            guest.end.shutdown(socket.SHUT_RDWR)
        with self.assertRaises(Lost):
            play(script)

    def test_panic_is_a_failure(self):
        def script(guest):
            guest.start()
            guest.log.sendall(b"a line\n\nkernel pan")
            time.sleep(0.1)
            guest.log.sendall(b"ic: for the test\n")
            guest.stream.read()
        with self.assertRaisesRegex(Lost, "panic"):
            play(script)

    def test_what_a_component_logs_is_no_panic(self):
        """Such as the name of a program that made an unknown system call."""
        def script(guest):
            guest.start()
            guest.log.sendall(b"linux: kernel panic: unknown system call\n")
            self.assertEqual(guest.receive()[0], session.SIGNAL)
            guest.exit(143)
        self.assertEqual(play(script, timeout=1)[0], 124)

    def test_restarted_linux_is_a_failure(self):
        def script(guest):
            guest.start()
            guest.send(session.READY)
            guest.stream.read()
        with self.assertRaisesRegex(Lost, "restarted"):
            play(script)

    def test_error_frame_is_a_failure(self):
        def script(guest):
            guest.start()
            guest.send(session.ERROR, b"no root file system")
        with self.assertRaisesRegex(Lost, "no root"):
            play(script)

    def test_noise_on_the_line_is_a_failure(self):
        with self.assertRaisesRegex(Lost, "no frame"):
            play(lambda guest: guest.end.sendall(b"this is not a frame"))

    def test_frame_of_excessive_length_is_a_failure(self):
        with self.assertRaisesRegex(Lost, "no frame"):
            play(lambda guest: guest.end.sendall(session.HEADER.pack(session.MAGIC, session.STDOUT, 4097)))

    def output_that_fails(self, write_end, error, status):
        """The program is told why; the session's status, if it then ends with this one."""
        console, guest_end = socket.socketpair()
        log, _keep = socket.socketpair()
        guest = Guest(guest_end)

        def script():
            guest.start()
            guest.send(session.STDOUT, b"x")
            told.append(guest.receive())
            guest.exit(status)
        told = []
        thread = threading.Thread(target=script)
        thread.start()
        with open(os.devnull, "r+b") as null:
            ended = Session(console, log, ["yes"], [], streams=(null.fileno(), write_end, null.fileno()))
            result = ended.run()
        thread.join()
        os.close(write_end)
        for end in (console, guest_end, log, _keep, guest.stream):
            end.close()
        self.assertEqual(told, [(session.UNWRITABLE, struct.pack("<II", session.STDOUT, error))])
        return result, ended.remarks

    def test_closed_output_is_told_to_the_program(self):
        for status in (141, 0):
            read_end, write_end = os.pipe()
            os.close(read_end)
            self.assertEqual(self.output_that_fails(write_end, errno.EPIPE, status), (status, []))

    def test_full_output_is_told_to_the_program(self):
        for status, result in ((1, 1), (0, 125)):
            self.assertEqual(self.output_that_fails(os.open("/dev/full", os.O_WRONLY), errno.ENOSPC, status),
                             (result, ["standard output: No space left on device"]))


if __name__ == "__main__":
    unittest.main()
