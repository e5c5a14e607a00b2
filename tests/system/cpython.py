# SPDX-License-Identifier: MIT
"""Tests that we did not write: CPython's own of what it asks the operating system for, as Debian packages them. What passes on Debian's
kernel in the same emulator, on the same root, passes here, test by test."""

import random
import re

from debian import on_linux
from support import SEED, check, full, pith, sampled, seconds, write_file

PACKAGE = "libpython3.11-testsuite"

# What passes on Linux and not here, by the beginnings of names, and why.
EXPLAINED = {
    "there are no Internet sockets": (
        "test.test_epoll.", "test.test_os.TestSendfile.", "test.test_eintr.", "test.test_largefile.TestSocketSendfile.",
        "test.test_asyncio.test_unix_events.SelectorEventLoopUnixSocketTests.test_create_unix_connection_path_inetsock",
        "test.test_asyncio.test_unix_events.SelectorEventLoopUnixSocketTests.test_create_unix_server_path_inetsock",
        "test.test_multiprocessing_fork.TestWait.test_wait_socket",
        "test.test_signal.WakeupFDTests.test_invalid_socket", "test.test_signal.WakeupFDTests.test_set_wakeup_fd_socket_result"),
    "ext2 here has no extended attributes": (
        "test.test_os.ExtendedAttributeTests.", "test.test_shutil.TestCopy.test_copy2_xattr", "test.test_shutil.TestCopy.test_copyxattr"),
}
FORGIVEN = tuple(name for names in EXPLAINED.values() for name in names)

SHORT_OF_FILES = ("dbm", "dbm_dumb", "file", "filecmp", "fileio", "mmap", "posixpath", "shelve", "stat")
SHORT_OF_OTHERS = ("fcntl", "fork1", "grp", "openpty", "pty", "pwd", "resource", "sched", "select", "thread", "threadsignals", "time",
                   "wait3", "wait4")
FILES = (*SHORT_OF_FILES, "bz2", "glob", "gzip", "largefile", "lzma", "mailbox", "os", "pathlib", "posix", "shutil", "tarfile", "tempfile",
         "zipfile")
OTHERS = (*SHORT_OF_OTHERS, "concurrent_futures", "eintr", "epoll", "faulthandler", "multiprocessing_fork", "poll", "queue", "selectors",
          "signal", "subprocess", "threading", "asyncio.test_subprocess", "asyncio.test_unix_events")
# Of these Debian's kernel may pass no test in this emulator: the first and the last one do not come to their ends within LIMIT on a busy host.
NOTHING_ON_LINUX = ("concurrent_futures", "eintr", "multiprocessing_fork")
SAMPLE = 4
LIMIT = 600  # seconds a module

# Each module in a process of its own; a line for each test, and where one failed, all that was said.
RUN = r"""
import os, signal, subprocess, sys, xml.etree.ElementTree as tree
limit, *modules = sys.argv[1:]
for module in modules:
    command = [sys.executable, "-m", "test", "-u", "largefile", "--timeout", limit, "--junit-xml", "results", f"test_{module}"]
    with open("said", "w+b") as said:
        test = subprocess.Popen(command, stdout=said, stderr=said, stdin=subprocess.DEVNULL, start_new_session=True)
        status = test.wait()
        try:
            os.killpg(test.pid, signal.SIGKILL)  # what a test that came to its limit left
        except ProcessLookupError:
            pass
        said.seek(0)
        if status:
            print(f"---- test_{module}: status {status}", said.read().decode(errors="replace"), sep="\n")
    if os.path.exists("results"):
        for case in tree.parse("results").iter("testcase"):
            print("==", module, case.get("name"), case.get("status"), *(part.tag for part in case if part.tag in ("error", "failure", "skipped")))
        os.unlink("results")
"""
PASSED = re.compile(r"^== (\S+) (\S+) run\s*$", re.M)


def compare(modules, in_memory, limit):
    """in_memory: their files are not on the disk."""
    script = ("mount -t tmpfs tmpfs /tmp\n" if in_memory else "") + f"cd /tmp; cat >run.py <<'E'\n{RUN}\nE\npython3.11 run.py {LIMIT} {' '.join(modules)}\n"
    path = write_file("script", script.encode())
    texts = [on_linux(path, [PACKAGE], limit),
             pith("bash", "/script", add=[f"{path}:/script"], timeout=limit, options=["--package", PACKAGE]).ok().stdout.decode(errors="replace")]
    for name, text in zip(("linux", "pith"), texts):
        write_file(name, text.encode())  # all that was said, to be looked at when something differs
    there, here = (set(PASSED.findall(text)) for text in texts)
    for module in modules:
        check(module in NOTHING_ON_LINUX or any(name[0] == module for name in there), f"test_{module} on Linux", texts[0][-3000:])
    missing = sorted(name for module, name in there - here if not name.startswith(FORGIVEN))
    check(not missing, "passes on Linux and not here", *missing, texts[1][-10000:])


@sampled
@seconds(600)
def test_a_sample():
    """Some that are short, on the disk or in memory."""
    generator = random.Random(SEED)
    compare(generator.sample(SHORT_OF_FILES + SHORT_OF_OTHERS, SAMPLE), generator.random() < 0.5, 250)


@full
@seconds(7200)
def test_files():
    compare(FILES, False, 3000)


@full
@seconds(7200)
def test_files_in_memory():
    compare(FILES, True, 3000)


@full
@seconds(7200)
def test_processes_and_threads():
    compare(OTHERS, False, 3000)
