# SPDX-License-Identifier: MIT
"""Promises about the code of native components, read off their programs."""

import os
import re

import boot
from support import ROOT, check, run

# Formatting %f is all that may touch vector or x87 registers; who does not use it has no vector state to be switched.
FLOATING = {"pop_arg", "fmt_fp", "frexpl", "__fpclassifyl", "__signbitl"}
SYSCALLS = {"ipc_call", "ipc_send", "ipc_recv", "ipc_reply_recv", "ipc_reply", "notification_signal", "notification_wait",
            "invoke", "thread_yield", "debug_write"}


def instructions():
    """(component, function, instruction) of every component that boots by default."""
    for name in boot.components():
        text = run(["objdump", "-d", "--no-show-raw-insn", os.path.join(ROOT, "build/components", name + ".elf")]).ok().stdout
        function = None
        for line in text.decode().splitlines():
            match = re.match(r"[0-9a-f]+ <([^>]+)>:", line)
            if match:
                function = match.group(1)
            elif "\t" in line:
                yield name, function, line.split("\t", 1)[1]


def test_no_vector_registers():
    users = {(name, function) for name, function, text in instructions()
             if re.search(r"%[xyz]mm|%st\b|^f(ld|st|xch|ild)", text) and function not in FLOATING}
    check(not users, "vector or x87 registers", sorted(users))


def test_system_calls_only_in_stubs():
    """No system call instruction of the C library is left."""
    users = {(name, function) for name, function, text in instructions()
             if re.match(r"(syscall|sysenter|int +\$0x80)", text) and function not in SYSCALLS}
    check(not users, "system call instructions", sorted(users))
