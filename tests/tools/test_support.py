# SPDX-License-Identifier: MIT
"""The system tests' terminal, against a shell that these tests play."""

import os
import sys
import unittest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "system"))
from support import Ash

# Writes each argument on its own, when there is none to come for a while, and then shows what was typed.
GUEST = """
import os, sys, time, tty
tty.setraw(0)
for piece in sys.argv[1:]:
    os.write(1, piece.encode())
    time.sleep(0.3)
typed = b""
while b"!" not in typed or b"R" not in typed:
    typed += os.read(0, 100)
os.write(1, b"typed " + repr(typed).encode() + b".")
"""


class Played(Ash):
    """Played by GUEST, which is ash from its first word."""

    PROMPT = Ash.ASH_PROMPT

    def begin(self):
        pass


class Answers(unittest.TestCase):
    def typed(self, *pieces):
        """What the shell reads when it shows its prompt in such pieces."""
        with Played(command=[sys.executable, "-c", GUEST, *pieces]) as shell:
            shell.send("!")
            return shell.expect(r"typed b'(.*)'\.")[1]

    def test_answer_comes_before_what_is_typed(self):
        self.assertEqual(self.typed("root@pith:~# \x1b[6n"), r"\x1b[24;14R!")
        self.assertEqual(self.typed("root@pith:~# ", "\x1b[6n"), r"\x1b[24;14R!")
        self.assertEqual(self.typed("root@pith:~# \x1b[", "6n"), r"\x1b[24;14R!")


if __name__ == "__main__":
    unittest.main()
