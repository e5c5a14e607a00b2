# SPDX-License-Identifier: MIT
"""Where things are. Everything that is made goes below build/."""

import os

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, "build")
THIRD_PARTY = os.path.join(BUILD, "third-party")


def root(*parts):
    return os.path.join(ROOT, *parts)


def build(*parts):
    return os.path.join(BUILD, *parts)


class Failure(Exception):
    """Something that the user is told in one line; `status` is the command's exit status."""

    def __init__(self, message, status=1):
        super().__init__(message)
        self.status = status
