# SPDX-License-Identifier: MIT
"""What is fetched: anew when its pins change, and nothing but what is pinned while that is served."""

import os
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "tools", "pith"))

import fetch
from paths import Failure

OLD, NEW = ("1.0", {"a.dsc": "00"}), ("1.1", {"a.dsc": "11"})
SERVED = "a | 1.0 | http://here bookworm/main Sources\n a | 1.1 | http://here bookworm/main amd64 Packages\n"


class Fetch(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.unpacked = []
        for name, value in (("THIRD_PARTY", self.folder), ("apt_update", lambda kind: None), ("unpack", self.unpack)):
            patch = mock.patch.object(fetch, name, value)
            patch.start()
            self.addCleanup(patch.stop)

    def unpack(self, kind, name, target):
        self.unpacked.append(name)
        os.makedirs(target, exist_ok=True)

    def fetched(self, *pins):
        """What is unpacked where a and b have these pins."""
        self.unpacked.clear()
        with mock.patch.object(fetch, "pins", lambda: {("deb", name): pin for name, pin in zip("ab", pins)}):
            fetch.fetch("deb", "a", *"ab"[:len(pins)])
        return list(self.unpacked)

    def test_changed_pins(self):
        for pins, unpacked in (([OLD, OLD], ["a", "b"]), ([OLD, OLD], []), ([OLD, NEW], ["a", "b"]), ([OLD, NEW], []), ([OLD], ["a"])):
            self.assertEqual(self.fetched(*pins), unpacked)

    def test_stamps_without_pins(self):
        os.makedirs(os.path.join(self.folder, "a"))
        stamp = os.path.join(self.folder, "a", ".fetched")
        open(stamp, "w").close()
        self.assertEqual(self.fetched(OLD), [])
        self.assertEqual(self.fetched(OLD), [])
        self.assertEqual(self.fetched(NEW), ["a"])

    def download(self, version, downloads):
        """What is asked of apt, of which only the names in downloads are there."""
        asked = []

        def apt(kind, *arguments, cwd=None, check=True):
            asked.append(arguments[-1])
            if arguments[-1] in downloads:
                open(os.path.join(cwd, "a.deb"), "w").close()
            return subprocess.CompletedProcess(arguments, 0, "why not")
        folder = tempfile.mkdtemp(dir=self.folder)
        with mock.patch.object(fetch, "apt", apt), mock.patch.object(fetch, "apt_cache", lambda *arguments, kind: SERVED), \
                mock.patch.object(sys, "stderr"):
            fetch.download("deb", "a", version, {"a.deb": "0" * 64}, folder)
        return asked

    def test_other_versions_only_of_what_is_not_served(self):
        self.assertEqual(self.download("1.0", ["a"]), ["a=1.0", "a"])
        with self.assertRaisesRegex(Failure, "why not"):
            self.download("1.1", ["a"])
        with self.assertRaisesRegex(Failure, "sha256"):
            self.download("1.1", ["a=1.1"])


if __name__ == "__main__":
    unittest.main()
