# SPDX-License-Identifier: MIT
"""Builds the conformance tests of the Debian source package posixtestsuite as one static program with a runner (runner.c).

build.py SOURCE FOLDER PROGRAM: each test's main() becomes a function named after the test, the rest of it local to it. What does not
compile (a few test what today's headers do not have) is left out; the program lists what it has.
"""

import concurrent.futures
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
FLAGS = ["-std=gnu99", "-O1", "-w", "-fno-common", "-D_POSIX_C_SOURCE=200112L", "-D_XOPEN_SOURCE=600", "-D_GNU_SOURCE"]
# Those programs need arguments that only their scripts know.
LEFT_OUT = re.compile(r"buildonly|/coverage$")
# No other test may run beside those that set the clock.
SETS_CLOCK = re.compile(r"\b(clock_settime|settimeofday) *\(")


def path_of(source, name):
    return os.path.join(source, "conformance/interfaces", name + ".c")


def tests(source):
    """The tests' names, FUNCTION/NUMBER, in order."""
    top = os.path.join(source, "conformance/interfaces")
    names = []
    for folder, _, files in os.walk(top):
        for file in files:
            name = os.path.relpath(os.path.join(folder, file), top)
            if re.search(r"/\d[^/]*\.c$", name) and not LEFT_OUT.search(name):
                names.append(name[:-2])
    return sorted(names)


def symbol(name):
    return "test_" + re.sub(r"\W", "_", name)


def compile_test(source, folder, name):
    """True if the test's object is made. With the test's own folder as the current one: some include their neighbours."""
    target = os.path.join(folder, symbol(name) + ".o")
    command = ["gcc", *FLAGS, "-I", os.path.join(source, "include"), "-c", "-o", target, path_of(source, name)]
    if subprocess.run(command, stderr=subprocess.DEVNULL).returncode != 0:
        return False
    rename = ["objcopy", "--redefine-sym", f"main={symbol(name)}", "--keep-global-symbol", symbol(name), target]
    if subprocess.run(rename, stderr=subprocess.DEVNULL).returncode != 0:
        return False
    with open(target, "rb") as f:
        return symbol(name).encode() in f.read()  # else it has no main() of its own


def main(source, folder, program):
    os.makedirs(folder, exist_ok=True)
    names = tests(source)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        made = [n for n, good in zip(names, pool.map(lambda n: compile_test(source, folder, n), names)) if good]
    table = os.path.join(folder, "table.h")
    with open(table, "w") as f:
        for name in made:
            with open(path_of(source, name), errors="replace") as text:
                alone = "true" if SETS_CLOCK.search(text.read()) else "false"
            f.write(f'TEST("{name}", {symbol(name)}, {alone})\n')
    objects = [os.path.join(folder, symbol(name) + ".o") for name in made]
    # The linker says of each test that looks up users that glibc would load a library for it.
    done = subprocess.run(["gcc", "-static", "-O2", "-Wall", "-Wextra", "-Werror", "-Wno-missing-prototypes", "-I", folder, "-o", program + ".new",
                    os.path.join(HERE, "runner.c"), *objects, "-lpthread", "-lrt", "-lm"], stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        sys.exit(done.stderr)
    subprocess.run(["strip", "--strip-debug", program + ".new"], check=True)
    os.replace(program + ".new", program)


if __name__ == "__main__":
    main(*sys.argv[1:])
