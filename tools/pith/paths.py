# SPDX-License-Identifier: MIT
"""Where things are, and what all programs here share. Everything that is made goes below build/."""

import contextlib
import fcntl
import os
import shutil
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, "build")
THIRD_PARTY = os.path.join(BUILD, "third-party")
# By how much limits are stretched: they are there for what hangs, and a busy machine is no failure.
PATIENCE = float(os.environ.get("PITH_PATIENCE") or 1)


def root(*parts):
    return os.path.join(ROOT, *parts)


def build(*parts):
    return os.path.join(BUILD, *parts)


class Failure(Exception):
    """Something that the user is told in one line; `status` is the command's exit status."""

    def __init__(self, message, status=1):
        super().__init__(message)
        self.status = status


@contextlib.contextmanager
def locked_folder(path, how=fcntl.LOCK_EX):
    """OSError if it is not there or, with LOCK_NB, locked."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, how)
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def scratch_folder(parent, prefix):
    """A new folder, gone afterwards; what killed runs have left goes first. A lock says that its owner lives: process ids repeat."""
    os.makedirs(parent, exist_ok=True)
    with contextlib.ExitStack() as own:
        with locked_folder(parent):
            for name in os.listdir(parent):
                if name.startswith(prefix):
                    with contextlib.suppress(OSError), locked_folder(os.path.join(parent, name), fcntl.LOCK_EX | fcntl.LOCK_NB):
                        shutil.rmtree(os.path.join(parent, name), ignore_errors=True)
            folder = tempfile.mkdtemp(dir=parent, prefix=prefix)
            own.callback(shutil.rmtree, folder, ignore_errors=True)
            own.enter_context(locked_folder(folder))
        yield folder


def tell(text):
    """To the user, on standard error."""
    with contextlib.suppress(OSError):  # it may be what could not be written to
        os.write(2, f"pith: {text}\n".encode(errors="replace"))
