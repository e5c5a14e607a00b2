# SPDX-License-Identifier: MIT
"""Where things are, and what all programs here share. Everything that is made goes below build/."""

import contextlib
import os

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


def tell(text):
    """To the user, on standard error."""
    with contextlib.suppress(OSError):  # it may be what could not be written to
        os.write(2, f"pith: {text}\n".encode(errors="replace"))
