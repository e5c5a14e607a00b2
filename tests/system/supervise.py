# SPDX-License-Identifier: MIT
"""init: supervision of a component that goes wrong in every way, and boot images that are damaged."""

import os
import select
import shutil
import subprocess
import time

import machine
from support import PATIENCE, ROOT, Shell, check, file_path, sampled, seconds, shell

KERNEL = os.path.join(ROOT, "build/kernel/pith.elf")


def pack(manifest="supervise"):
    image = file_path(manifest + ".img")
    subprocess.run([os.path.join(ROOT, "build/tools/mkboot"), "--components", os.path.join(ROOT, "build/components"),
                    "--output", image, "--manifest", os.path.join(ROOT, "tests/system", manifest + ".conf")], check=True)
    return image


def boot(image, seconds, memory="64M", icount=False):
    """The log until the machine ends by itself, which it must in time."""
    text, deadline = "", time.monotonic() + seconds * PATIENCE
    with machine.Machine(machine.command_line(KERNEL, image, memory=memory, icount=icount)) as guest:
        while True:
            left = deadline - time.monotonic()
            check(left > 0 and select.select([guest.log], [], [], left)[0], "the machine goes on for too long", text[-4000:])
            data = guest.log.recv(65536)
            if not data:
                return text
            text += data.decode(errors="replace")
            if "kernel panic" in text and "kernel_main" in text:
                return text  # the kernel halts; it knows no way to switch the machine off


def damaged(old, new):
    """The packed image with bytes replaced."""
    path = pack()
    with open(path, "rb") as f:
        data = f.read()
    check(data.count(old) >= 1, "the image has what is to be damaged")
    with open(path, "wb") as f:
        f.write(data.replace(old, new, 1))
    return path


@seconds(600)
def test_supervision():
    # Counted, so that "too much in a second" does not depend on how busy the host is.
    text = boot(pack(), 500, icount=True)
    check("supervise-test: passed" in text, "supervise-test", text[-6000:])
    for words in ("cannot read at 0x8 (nothing there)", "undefined instruction", "general protection", "ended with status 1",
                  "stack_use", "cannot execute at", "is marked failed"):
        check(words in text, words, text[-6000:])
    check("lines were left out" in text or "log text was lost" in text, "what was left out is said", text[-6000:])
    check(text.count(": flood ") < 4000, "the debug line is not flooded", text.count(": flood "))


def test_manifest_unknown_word():
    text = boot(damaged(b"priority 90", b"pryority 90"), 120)
    check('manifest:3: unknown word "pryority"' in text, "the message", text)


def test_manifest_missing():
    text = boot(damaged(b"manifest\0", b"manifesT\0"), 120)
    check("holds no manifest" in text, "the message", text)


def test_program_missing():
    text = boot(damaged(b"component crasher {", b"component crashes {"), 120)
    check("init: error:" in text, "the message", text)


def test_program_damaged():
    path = pack()
    with open(path, "rb") as f:
        data = bytearray(f.read())
    at = data.index(b"crasher\0", data.index(b"070701"))
    elf = data.index(b"\x7fELF", at)
    data[elf + 18] = 3
    with open(path, "wb") as f:
        f.write(data)
    text = boot(path, 120)
    check("not a static 64-bit x86 program" in text, "the message", text)


def test_archive_cut():
    path = pack()
    with open(path, "rb") as f:
        data = f.read()
    with open(path, "wb") as f:
        f.write(data[:data.index(b"070701")])
    text = boot(path, 120)
    check("init: error" in text or "panic" in text, "a message", text)


def test_too_little_memory():
    """More is asked for than the machine has: a message, and the machine ends."""
    path = file_path("greedy.conf")
    with open(os.path.join(ROOT, "tests/system/supervise.conf")) as f, open(path, "w") as out:
        out.write(f.read().replace("memory 256K", "memory 128M", 1))
    image = file_path("greedy.img")
    subprocess.run([os.path.join(ROOT, "build/tools/mkboot"), "--components", os.path.join(ROOT, "build/components"),
                    "--output", image, "--manifest", path], check=True)
    text = boot(image, 120)
    check("not enough memory for crasher" in text, "the message", text)


def test_file_system_fails():
    """The program in ext2's place ends at once, five times: linux gets errors and says so, and the machine does not hang."""
    programs = file_path("programs")
    shutil.copytree(os.path.join(ROOT, "build/components"), programs)
    shutil.copy(os.path.join(programs, "crasher.elf"), os.path.join(programs, "ext2.elf"))
    image = file_path("failing.img")
    subprocess.run([os.path.join(ROOT, "build/tools/mkboot"), "--components", programs, "--output", image,
                    "--manifest", os.path.join(ROOT, "systems/base.conf"),
                    "--manifest", os.path.join(ROOT, "systems/exec.conf")], check=True)
    text = boot(image, 300)
    for words in ("ext2 is marked failed", "the root file system cannot be mounted", "without linux the system is of no use"):
        check(words in text, words, text)


# Copies, reads and compares while the component dies about ten times a second: four rounds, and until it has died three times.
UNDER_FIRE = """
kills=0; echo 0 >/tmp/kills
(while [ ! -e /tmp/stop ]; do
	echo 1 >/pith/components/{name}/kill; kills=$((kills + 1)); echo $kills >/tmp/kills.new; mv /tmp/kills.new /tmp/kills
	sleep 0.1
done) &
i=0
while [ $i -lt 4 ] || [ $(cat /tmp/kills) -lt 3 ]; do
	i=$((i + 1))
	find /usr /bin /etc -type f | xargs md5sum >/tmp/sums.$i
	cp /bin/busybox /tmp/copy.$i; sync; cmp /bin/busybox /tmp/copy.$i || exit 3
	cmp /tmp/sums.1 /tmp/sums.$i || exit 4
	rm /tmp/copy.$i
done
touch /tmp/stop; wait
cat /pith/components/{name}/status
"""


def under_fire(name):
    text = shell(UNDER_FIRE.format(name=name), timeout=500).ok().stdout.decode()
    status = dict(line.split(": ") for line in text.splitlines() if ": " in line)
    check(status["state"] == "running" and int(status["kills"]) >= 3, "it was killed and lives", text)


@sampled
@seconds(600)
def test_file_system_under_fire():
    under_fire("ext2")


@seconds(600)
def test_console_driver_under_fire():
    under_fire("uart")


@sampled
@seconds(600)
def test_bus_under_fire():
    """The disk driver goes with the bus each time; that is no crash of its own, however often it happens."""
    under_fire("pci")


@seconds(600)
def test_linux_is_killed():
    """Its programs are gone, the file system is not; a new shell comes up on the same terminal."""
    with Shell() as terminal:
        free = "stat -f -c 'free: %f' /"
        before = int(terminal.type(free).split("free: ")[1])
        terminal.type("exec 9>/root/gone; head -c 8M /dev/urandom >&9; rm /root/gone; sync")
        terminal.send("echo kept >/root/kept; sync; echo 1 >/pith/components/linux/kill\n")
        terminal.wait_prompt(200)
        after = int(terminal.type(free).split("free: ")[1])
        check(after > before - 1024, "a file without a name that a program had open is gone with it: free blocks", before, after)
        terminal.send("cat /root/kept; grep -E 'kills|restarts' /pith/components/linux/status\n")
        terminal.expect(r"[\r\n]kept")
        terminal.expect("restarts: 1")
        terminal.expect("kills: 1")
        terminal.wait_prompt(200)
        terminal.send("poweroff\n")
