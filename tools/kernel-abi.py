#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""kernel-abi.py: writes docs/kernel-abi.md out of the headers in abi/include/abi, whose comments are the reference; of
tests/kernel/documented.h, whose errors the kernel's tests see; and of docs/kernel-costs.txt, which they measure.

With --check it only says whether the page is up to date (tests/tools/test_kernel_abi.py does that).
"""

import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PAGE = os.path.join(ROOT, "docs", "kernel-abi.md")


def header(name):
    with open(os.path.join(ROOT, "abi", "include", "abi", name)) as f:
        return f.read()


def comment_text(comment):
    """What a comment says, without its frame and the backslashes of a macro."""
    lines = re.sub(r"\\$", "", comment, flags=re.M).split("\n")
    return " ".join(line.strip().removeprefix("/*").removesuffix("*/").strip(" *\t") for line in lines).strip()


def macro_entries(text, list_name, entry):
    """[(comment, name, value)] of an X-macro list."""
    body = re.search(r"#define " + list_name + r"\s.*?(?<!\\)\n", text, re.S).group(0)
    entries, pending = [], []
    for match in re.finditer(r"/\*(.*?)\*/|" + entry + r"\((\w+),\s*(\w+)\)([^\n]*)", body, re.S):
        if match.group(1) is not None:
            pending.append(comment_text(match.group(0)))
        else:
            behind = re.search(r"/\*(.*?)\*/", match.group(4))
            if behind:
                pending.append(comment_text(behind.group(0)))
            entries.append((" ".join(pending), match.group(2), match.group(3)))
            pending = []
    return entries


def top_comment(text):
    return comment_text(re.search(r"/\*\n \*.*?\*/", text, re.S).group(0))


def enum_entries(text, name):
    body = re.search(r"enum " + name + r" \{(.*?)\n\};", text, re.S).group(1)
    entries, pending = [], []
    for match in re.finditer(r"/\*.*?\*/|^\t(\w+)(?: = ([^,/]+))?,[ \t]*(/\*.*?\*/)?", body, re.S | re.M):
        if match.group(1) is None:
            pending.append(comment_text(match.group(0)))
            continue
        text_behind = comment_text(match.group(3)) if match.group(3) else ""
        # Without a value it is one more than the one before.
        entries.append((match.group(1), (match.group(2) or str(len(entries))).strip(), " ".join(pending + [text_behind]).strip()))
        pending = []
    return entries


def documented_errors():
    """{NAME: [error]} of the kernel's tests."""
    with open(os.path.join(ROOT, "tests", "kernel", "documented.h")) as f:
        text = f.read()
    general = re.search(r"#define GENERAL (.*)", text)[1]
    return {name: [error.strip() for error in errors.replace("GENERAL", general).split(",")]
            for name, errors in re.findall(r"^DOCUMENTED\((\w+),\s*([^)]*)\)", text, re.M)}


def costs():
    """{name: (typical, most)}."""
    with open(os.path.join(ROOT, "docs", "kernel-costs.txt")) as f:
        rows = [line.split() for line in f if not line.startswith("#")]
    return {name: (int(typical), int(most)) for name, typical, most in rows}


def facts(name, errors, cost):
    """The lines on errors and cost below a call."""
    if name in errors:
        yield f"Errors: {', '.join(error.removeprefix('ERR_') for error in errors[name])}."
    typical, most = cost.get(name, cost.get(name.lower().removeprefix("sys_"), (0, 0)))
    if typical:
        yield f"Cost: {typical:,} instructions" + (f", {most:,} at most in the kernel's tests" if most > 2 * typical else "") + "."


def object_size(note, bits):
    """Its column, and what else the comment says."""
    if bits != "0":
        return f"2^{bits}", note
    size, _, rest = note.partition(": ")
    return size, rest


def escape(text):
    return text.replace("|", "\\|").replace("<", "&lt;")


def table(title, rows):
    lines = [f"| {' | '.join(title)} |", f"| {' | '.join('---' for _ in title)} |"]
    return lines + [f"| {' | '.join(escape(cell) for cell in row)} |" for row in rows]


def page():
    syscalls, objects, message, types, errors = (header(name) for name in
                                                 ("syscall.h", "object.h", "message.h", "types.h", "error.def"))
    errors_of, cost = documented_errors(), costs()
    out = ["# Kernel ABI", "", "<!-- Written by tools/kernel-abi.py out of abi/include/abi: change the headers, then run it. -->",
           "", "## System calls", "", "```", syscalls[syscalls.index("/*\n") + 3:syscalls.index(" */\n#pragma")].rstrip()
           .replace("\n * ", "\n").replace("\n *", "\n").removeprefix(" * "), "```", "",
           "Costs are instructions in the kernel, of calls that succeed: the median in the kernel's tests, on one CPU. Getting in and "
           "out takes some 50 more. `tests/kernel/documented.h` lists the errors; the tests see each of them.", ""]
    for text, name, value in macro_entries(syscalls, "SYSCALLS", "SYSCALL"):
        out += [f"### {name} ({value})", escape(text), "", *facts(name, errors_of, cost), ""]
    out += ["`recv` and `reply_recv` return `RECV_NOTIFICATION` (0x100) when the thread's bound Notification had bits.", "",
            "## Objects", "", escape(top_comment(objects)), ""]
    out += table(("object", "size", ""), [(name, *object_size(note, bits)) for note, name, bits in macro_entries(objects, "OBJECTS", "OBJECT")[1:]])
    out += ["", "## Operations (SYS_INVOKE)", "",
            "Arguments are message words 0 to 5 (w0 to w5), results come back in the same registers. Unused arguments must be zero "
            "(ERR_ARGUMENT). The right MANAGE is needed on the invoked capability unless stated (ERR_RIGHTS). Every operation "
            "returns ERR_NO_CAPABILITY for a slot that is empty or out of range and ERR_NO_OPERATION on an object of another "
            "type.", ""]
    for text, name, value in macro_entries(objects, "OPERATIONS", "OPERATION"):
        out += [f"### {name} ({value})", escape(text) or "No arguments.", "", *facts(name, errors_of, cost), ""]
    for title, text, name in (("Bindings of a thread", objects, "thread_binding"), ("Thread states", objects, "thread_state"),
                              ("Flags of a mapping", objects, "map_flags"), ("Flags of an interrupt line", objects, "irq_flags"),
                              ("Rights", types, "rights"), ("Labels of messages from the kernel", message, "kernel_label"),
                              ("Access bits of a page fault", message, "fault_access"),
                              ("Flags of replies to the kernel's messages", message, "reply_flags")):
        out += [f"## {title}", ""] + table(("name", "value", "meaning"), enum_entries(text, name)) + [""]
    out += ["## Errors", ""]
    out += table(("name", "value", "meaning"), re.findall(r'^ERROR\((\w+), (\d+), "(.*?)"\)', errors, re.M))
    return "\n".join(out) + "\n"


def up_to_date():
    if not os.path.exists(PAGE):
        return False
    with open(PAGE) as f:
        return f.read() == page()


def main():
    if sys.argv[1:] == ["--check"]:
        sys.exit(0 if up_to_date() else "docs/kernel-abi.md is not what the headers say: run tools/kernel-abi.py")
    with open(PAGE, "w") as f:
        f.write(page())


if __name__ == "__main__":
    main()
