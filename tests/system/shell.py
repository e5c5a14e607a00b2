# SPDX-License-Identifier: MIT
"""`./pith run`: root's bash with Debian's tools on a pseudo-terminal, as a user sees it."""

import fcntl
import hashlib
import os
import random
import re
import select
import struct
import termios

from support import PATIENCE, PITH, Shell, check, dump, equal, fsck, full, host_shell, make_disk, run, seconds, strip_escapes, write_file

IMAGE = os.path.join(os.environ.get("PITH_RUN", "build/run"), "root.img")
UP, LEFT, HOME, DELETE = "\x1b[A", "\x1b[D", "\x01", "\x7f"


def test_line_editing_and_history():
    with Shell() as shell:
        equal(shell.type("echo hello"), "hello\n")
        equal(shell.type("cho abc" + HOME + "e"), "abc\n", "a letter put in at the line's start")
        equal(shell.type("echo abXc" + LEFT + DELETE), "abc\n", "a letter taken out in the middle")
        equal(shell.type(UP), "abc\n", "the last line again")
        equal(shell.type(UP * 4), "hello\n", "an older line")
        # Ctrl-R searches what was typed before.
        equal(shell.type("\x12hel"), "hello\n", "a line that was searched for")
        equal(shell.type("echo one\x15echo two"), "two\n", "after Ctrl-U")
        equal(shell.type("echo one two\x17three"), "one three\n", "after Ctrl-W")
        equal(shell.type("!-2"), "echo two\ntwo\n", "a line by its number")
        check("echo hello" in shell.type("history"), "history lists the lines")
        equal(shell.type("echo smörgås ✓"), "smörgås ✓\n", "letters that are not ASCII")
        shell.power_off()


def test_completion():
    with Shell() as shell:
        equal(shell.type("echo /etc/hostn\tx"), "/etc/hostname x\n", "a completed name of a file")
        equal(shell.type("hostna\t-s"), "pith\n", "a completed command")
        equal(shell.type("cd /usr/sh\t && pwd"), "/usr/share\n", "a completed folder")
        shell.send("ls /etc/pass\t\t")
        shell.expect("/etc/passwd ")
        shell.send("\x15ls /usr/bin/base\t\t")
        shell.expect(r"base32\s+base64\s+basename")
        shell.wait_prompt()
        shell.send("\x03")
        shell.wait_prompt()
        equal(shell.type("echo $HOSTNA\t"), "pith\n", "a completed variable")
        shell.power_off()


def test_scripts():
    with Shell() as shell:
        equal(shell.type("a=(one two three); echo ${a[1]} ${#a[@]} ${a[*]^^}"), "two 3 ONE TWO THREE\n")
        equal(shell.type("diff <(seq 3) <(seq 4); echo $?"), "3a4\n> 4\n1\n")
        equal(shell.type("for ((i = 0; i < 3; i++)); do printf '%d ' $((i ** 2)); done; echo"), "0 1 4 \n")
        equal(shell.type("[[ abc123 =~ ([a-z]+)([0-9]+) ]] && echo ${BASH_REMATCH[2]}"), "123\n")
        shell.send("cat <<END | tr a-z A-Z\r")
        shell.expect("> ")
        shell.send("home is $HOME\r")
        shell.expect("> ")
        shell.send("END\r")
        shell.expect("HOME IS /ROOT")
        shell.wait_prompt()
        check("\nWORD\n" in shell.type("coproc tr a-z A-Z; echo word >&${COPROC[1]}; exec {COPROC[1]}>&-; cat <&${COPROC[0]}"), "a coprocess")
        equal(shell.type("trap 'echo trapped' USR1; kill -USR1 $$; echo after"), "trapped\nafter\n")
        equal(shell.type("set -o pipefail; false | true; echo $?; set +o pipefail"), "1\n")
        equal(shell.status("sh -c 'exit 37'"), 37)
        equal(shell.status("nosuchcommand 2>/dev/null"), 127)
        equal(shell.status("bash -c 'kill -9 $$' 2>/dev/null"), 137)
        equal(shell.type("read -t 0.1 x; echo $?; timeout 0.2 sleep 10; echo $?"), "142\n124\n")
        shell.power_off()


def test_control_c_ends_a_command():
    with Shell() as shell:
        shell.start("exec sleep 1000")
        shell.send("\x03")
        shell.wait_prompt()
        equal(shell.type("echo $?"), "130\n")
        shell.start("while :; do :; done")
        shell.send("\x03")
        shell.wait_prompt()
        shell.send("{ echo r''un >&2; yes; } | cat >/dev/null\r")
        shell.expect("run\r?\n")
        shell.send("\x03")
        shell.wait_prompt()
        # A loop of the shell itself, while it waits for a child.
        shell.send("while :; do sh -c 'echo r''un; exec sleep 1000'; done\r")
        shell.expect("run\r?\n")
        shell.send("\x03")
        shell.wait_prompt()
        equal(shell.type("echo still here"), "still here\n")
        shell.power_off()


def test_job_control():
    with Shell() as shell:
        shell.start("exec cat")
        shell.send("line one\r")
        shell.expect("line one\r\nline one\r\n")
        shell.send("\x1a")
        shell.expect("Stopped")
        shell.wait_prompt()
        check(re.search(r"\[1\]\+  Stopped .*cat", shell.type("jobs")), "jobs names the stopped job")
        shell.send("fg\r")
        shell.expect("exec cat.*\n")
        shell.send("line two\r")
        shell.expect("line two\r\nline two\r\n")
        shell.send("\x04")
        shell.wait_prompt()
        shell.type("mkfifo /tmp/fifo")
        shell.start("read word </tmp/fifo; echo got $word")
        shell.send("\x1a")
        shell.expect("Stopped")
        shell.wait_prompt()
        check("[1]+ sh -c" in shell.type("bg"), "bg says what goes on")
        check("Running" in shell.type("jobs"), "jobs names the job in the background")
        check("got it" in shell.type("echo it >/tmp/fifo; wait"), "the job went on")
        # Two at once: the one that is not named goes on.
        shell.type("sleep 1000 & sleep 2000 &")
        check(re.search(r"\[1\]- +\d+ Running +sleep 1000 &\n\[2\]\+ +\d+ Running +sleep 2000", shell.type("jobs -l")), "both jobs")
        check("Terminated" in shell.type("kill %1; wait %1"), "the first was ended")
        check("sleep 2000" in shell.type("jobs"), "the second is there")
        shell.type("kill -STOP %2; wait -n 2>/dev/null")
        check("T" in shell.type("ps -o stat= -p $!"), "it is stopped")
        shell.type("kill -KILL %2; wait")
        # A background job that reads from the terminal is stopped.
        shell.type("cat &")
        shell.type("sleep 0.5")
        check("Stopped" in shell.type("jobs"), "cat in the background wants the terminal")
        shell.type("kill -9 %%; wait")
        shell.power_off()


def test_terminal_keys():
    with Shell() as shell:
        # Ctrl-\\ ends with a signal of its own, Ctrl-D ends the input, and a second one at an empty line, too.
        shell.start("exec sleep 1000")
        shell.send("\x1c")
        shell.wait_prompt()
        equal(shell.type("echo $?"), "131\n")
        shell.start("cat; echo and on; cat")
        shell.send("part")
        shell.expect("part")
        shell.send("\x04")
        shell.expect("part")
        shell.send("\x04")
        shell.expect("and on")
        shell.send("\x04")
        shell.wait_prompt()
        # Ctrl-S holds output back, Ctrl-Q lets it go on. What comes after Ctrl-S was on its way.
        shell.start("i=0; while :; do i=$((i+1)); echo line $i; usleep 20000; done")
        shell.expect("line 5\r")
        shell.send("\x13")
        while shell.pump(1):
            pass
        held = shell.raw
        shell.pump(1)
        equal(shell.raw, held, "what is shown while output is held back")
        shell.send("\x11")
        shell.expect("line [0-9]+\r")
        shell.expect("line [0-9]+\r")
        shell.send("\x03")
        shell.wait_prompt()
        # Without an interpretation of keys, and without echo.
        shell.start("stty -icanon -isig -echo min 3; echo set''up; dd bs=3 count=1 2>/dev/null | od -c; stty sane")
        shell.expect("setup\r?\n")
        shell.send("\x03a\x1a")
        shell.expect("003 +a 032")
        shell.wait_prompt()
        check("-echo" not in shell.type("stty"), "the terminal after stty sane")
        shell.power_off()


def test_window_size():
    """The terminal's own, also when that changes; whoever changes it here tells those in the foreground."""
    with Shell() as shell:
        rows, columns = struct.unpack("HHHH", fcntl.ioctl(shell.slave, termios.TIOCGWINSZ, bytes(8)))[:2]
        equal(shell.type("stty size"), f"{rows} {columns}\n", "the size at first")
        shell.start("trap \"stty size; exit\" WINCH; (sleep 1; stty -F /dev/tty rows 40 columns 100) & while :; do sleep 1; done")
        shell.expect("40 100\r")
        shell.wait_prompt()
        equal(shell.type("stty size"), "40 100\n", "the size afterwards")
        shell.start("trap \"stty size; exit\" WINCH; echo set''up; while :; do sleep 1; done")
        shell.expect("setup\r")
        shell.resize(255, 511)
        shell.expect("255 511\r")
        shell.wait_prompt()
        equal(shell.type("stty size"), "255 511\n", "the size of the changed window")
        shell.power_off()


def test_every_byte_arrives():
    """The line's own commands begin with a byte that may also be typed."""
    with Shell() as shell:
        data = bytes(range(256)) * 3 + b"\xff" * 7 + b"\xff\xfa\x1f\x00\x01\x00\x01\xff\xf0"
        data = data.replace(b"\x1d", b"")  # this one quits
        shell.start(f"stty raw -echo; echo set''up; head -c {len(data)} | od -An -v -tx1; stty sane")
        shell.expect("setup\r?\n")
        shell.paste(data)
        shell.expect(r"\s+".join(f"{byte:02x}" for byte in data))
        shell.wait_prompt()
        shell.power_off()


def test_editor_and_pager():
    with Shell() as shell:
        shell.send("vi /root/poem\r")
        shell.expect(r'"~/poem" \[New File\]')
        shell.send(":set showmode\r")
        shell.send("i")
        shell.expect("-- INSERT --")
        shell.send("roses are red\rviolets are blue\x1b")
        shell.expect("blue")
        shell.send("1GA,\x1b:wq\r")
        shell.expect("2 lines, 32 bytes written")
        shell.wait_prompt()
        equal(shell.type("cat /root/poem"), "roses are red,\nviolets are blue\n")
        shell.send("seq 1 500 | less\r")
        shell.expect(r"23\r\n:")
        shell.send(" ")
        shell.expect(r"46\r\n:")
        shell.send("/^333\r")
        shell.expect("333")
        shell.send("G")
        shell.expect(r"500\r\n.*\(END\)")
        shell.send("q")
        shell.wait_prompt()
        shell.power_off()
    equal(dump(IMAGE, "/root/poem"), b"roses are red,\nviolets are blue\n", "the file as the host reads it")


def test_who_is_there():
    """What the system says of its processes, its memory and who is logged in."""
    with Shell() as shell:
        shell.send("sleep 1234 &\r")
        shell.wait_prompt()
        lines = [line.split() for line in shell.type("ps -ef").splitlines()]
        commands = {" ".join(line[7:]): line for line in lines}
        equal(lines[0], ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"])
        check({"init", "-bash", "sleep 1234", "ps -ef"} <= set(commands), "the processes", sorted(commands))
        equal((commands["init"][1], commands["-bash"][5], commands["sleep 1234"][2]), ("1", "ttyS1", commands["-bash"][1]))
        check(re.search(r"^root +ttyS1 .* w$", shell.type("w"), re.M), "w names root's terminal and what runs there")
        check(re.match(r"root +ttyS1 ", shell.type("who")), "who")
        equal(shell.type("tty; stty size; id -un"), "/dev/ttyS1\n24 80\nroot\n")
        equal(shell.type("pgrep -f 'sleep 12'; pkill -f 'sleep 1[2]34'; wait").splitlines()[0], commands["sleep 1234"][1])
        shell.send("top\r")
        shell.expect(r"Tasks:.*total.*running")
        shell.expect(r"PID USER +PR +NI +VIRT")
        shell.expect(r"root +20 +0 .* init ")
        shell.send("q")
        shell.wait_prompt()
        shell.send("watch -n 1 'echo at $(date +%S)'\r")
        shell.expect(r"at \d\d")
        for _ in range(2):
            shell.expect("\x1b\\[3;[45]H\\d")  # what changes of that line
        shell.send("\x03")
        shell.wait_prompt()
        shell.power_off()


def test_files_are_there_after_a_reboot():
    with Shell() as shell:
        shell.type("mkdir /root/kept; seq 1 1000 >/root/kept/numbers; ln -s numbers /root/kept/link")
        shell.send("reboot\r")
        # The old shell shows one more prompt before it is killed.
        shell.expect("Requesting system reboot")
        shell.wait_prompt(120)
        equal(shell.type("cat /root/kept/link | md5sum"),
              host_shell("seq 1 1000 | md5sum").stdout.decode())
        shell.power_off()
    with Shell() as shell:
        equal(shell.type("wc -l /root/kept/numbers"), "1000 /root/kept/numbers\n")
        shell.power_off()
    equal(dump(IMAGE, "/root/kept/numbers"), host_shell("seq 1 1000").stdout, "the file as the host reads it")


def test_other_disks_and_files():
    """--disk and --add: of a new disk where something must be put on it, of any where the folder is there."""
    disk, added = make_disk("other.img", "8M"), write_file("a file", b"brought\n")
    with Shell("--disk", f"{disk}:/srv/other", "--add", f"{added}:/opt/a file") as shell:
        equal(shell.type("cat '/opt/a file'; echo kept >/srv/other/f; findmnt -no FSTYPE /srv/other"), "brought\next2\n")
        shell.power_off()
    fsck(disk)
    equal(dump(disk, "/f"), b"kept\n")
    with Shell("--disk", disk) as shell:
        equal(shell.type("cat '/opt/a file' /mnt/f"), "brought\nkept\n", "on the disk that was made before")
        shell.power_off()
    for options, word in ((("--add", added), b"--fresh"), (("--disk", f"{disk}:/none"), b"no folder /none"), (("--disk", "/none.img"), b"no such file"),
                          (("--memory", "32M"), b"not enough memory")):
        result = run([PITH, "run", *options])
        check(result.status != 0 and word in result.stderr, options, result.status, result.stderr)


def test_least_memory():
    """What README says that the default system wants."""
    with Shell("--memory", "48M") as shell:
        equal(shell.type("seq 1 100000 | sort -rn | head -n 1; awk '/MemTotal/ {print ($2 < 49152)}' /proc/meminfo"), "100000\n1\n")
        equal(shell.type("head -c 30000000 /dev/urandom >/root/f; md5sum </root/f >/root/sum; cp /root/f /root/g; md5sum -c /root/sum </root/g"), "-: OK\n", "files larger than its memory")
        shell.power_off()


def test_escape_quits_and_the_disk_is_locked_meanwhile():
    with Shell() as shell:
        second = run([PITH, "run"])
        check(second.status != 0 and b"another" in second.stderr, "a second run is refused", second.stderr)
        shell.send("\x1d")
        while shell.process.poll() is None:
            shell.pump(0.2)
        equal(shell.process.returncode, 0, "the status after Ctrl-]")


def test_timeout():
    """As Ctrl-] quits, with a status of its own; also from a script that waits for nothing more."""
    with Shell("--timeout", "1e6") as shell:
        equal(shell.type("echo kept >/root/kept; sync"), "")
        shell.send("\x1d")
    result = run([PITH, "run", "--timeout", "15"], b"cat /root/kept; while :; do sleep 1; done\n")
    equal(result.status, 124, "the status")
    check(b"kept\r\n" in result.stdout and b"without a shutdown" in result.stderr, result.stdout, result.stderr)
    equal(run([PITH, "run", "--timeout", "1e9"]).status, 2, "longer than can be counted")


def test_input_that_ends():
    """Without a terminal: the commands are typed, and at the end of the input the machine is switched off."""
    equal(run([PITH, "run"]).status, 0, "the status without any input")
    result = run([PITH, "run"], b"echo $((6 * 7)) >/root/answer; sync\ncat\n").ok()  # cat reads on
    check(b"root@pith" in result.stdout, "what was shown", result.stdout)
    equal(dump(IMAGE, "/root/answer"), b"42\n", "the file as the host reads it")


MEBIBYTE = 1 << 20


def paste_bytes(size):
    """All bytes but the one that quits, to a terminal in raw mode: none is lost, none comes twice."""
    data = bytes(byte for byte in random.Random(1).randbytes(size + size // 64) if byte != 0x1d)[:size]
    with Shell() as shell:
        shell.start(f"stty raw -echo; echo r''eady; head -c {size} | md5sum >/tmp/sum; stty sane")
        shell.expect("ready")
        shell.paste(data)
        shell.wait_prompt(120)
        equal(shell.type("cat /tmp/sum"), f"{hashlib.md5(data).hexdigest()}  -\n", "what arrived")
        equal(shell.type("echo here"), "here\n", "keys afterwards")
        shell.power_off()


def paste_lines(size):
    """Lines, with echo, which is as much output at the same time."""
    chooser = random.Random(2)
    lines = "".join("".join(chooser.choices("abcdefghijklmnopqrstuvwxyz 0123456789", k=chooser.randrange(200))) + "\n"
                    for _ in range(size // 100))
    with Shell() as shell:
        shell.start("exec cat >/tmp/pasted")
        start = len(shell.raw)
        shell.paste(lines.encode())
        shell.send("\x04")
        shell.wait_prompt(120)
        equal(shell.type("md5sum </tmp/pasted"), f"{hashlib.md5(lines.encode()).hexdigest()}  -\n", "the file")
        check(lines in strip_escapes(shell.raw[start:]), "the echo")
        equal(shell.type("echo here"), "here\n", "keys afterwards")
        shell.power_off()


def type_during_output(size):
    """Keys have their effect while other output goes on, and none of that is lost."""
    blocks, shown, keys_at = size // 4000, bytearray(), None
    with Shell() as shell:
        shell.send(f"(yes 123456789 | dd bs=4000 count={blocks} iflag=fullblock 2>/dev/null; echo all 'is out') & read x; echo got $x; wait\r")
        while b"all is out" not in shown[-100:]:  # not with expect(): it would look through all of it again and again
            check(select.select([shell.master], [], [], 60 * PATIENCE)[0], "the output stops", len(shown), shown[-300:])
            shown += os.read(shell.master, 65536)
            if keys_at is None and len(shown) > 20000:
                keys_at = len(shown)
                shell.send("some keys\r")
        print(f"{shown.index(b'got some keys') - keys_at} bytes until the keys had effect")
        # By one digit of each, since the echo of the keys may be in the middle of a line. The command's echo has one, too.
        equal(shown.count(b"9"), 400 * blocks + 1, "lines")
        shell.send("echo ov''er\r")
        shell.expect("over\r?\n")
        shell.wait_prompt()
        equal(shell.type("echo here"), "here\n", "keys afterwards")
        shell.power_off()


def test_pasting():
    paste_bytes(MEBIBYTE // 16)
    paste_lines(MEBIBYTE // 16)


@full
@seconds(900)
def test_pasting_a_mebibyte_of_bytes():
    paste_bytes(MEBIBYTE)


@full
@seconds(1500)
def test_pasting_a_mebibyte_of_lines():
    paste_lines(MEBIBYTE)


def test_keys_during_output():
    type_during_output(MEBIBYTE)


@full
@seconds(900)
def test_keys_during_much_output():
    type_during_output(10 * MEBIBYTE)


def test_output_reaches_the_driver_in_blocks():
    """The driver is woken for a write of a program, not for each of its bytes."""
    with Shell() as shell:
        shell.type("events() { sed -n 's/events: //p' /pith/components/uart/status; }")
        shown = shell.type("first=$(events); yes 123456789 | dd bs=4000 count=5 iflag=fullblock 2>/dev/null; echo woken: $(($(events) - first))")
        woken = int(shown.rsplit("woken: ", 1)[1])
        print(f"{woken} times for {len(shown)} bytes")
        check(len(shown) > 20000 and woken < 500, "times that the driver was woken", woken)
        shell.power_off()


def test_control_c_stops_a_flood():
    """What comes after Ctrl-C was on its way: it fits into the buffers between."""
    with Shell() as shell:
        shell.start("exec yes flood")
        shell.expect("(flood\r\n){1000}")
        sent = len(shell.raw)
        shell.send("\x03")
        shell.wait_prompt()
        late = shell.raw.rindex("flood") - sent
        print(f"{late} bytes after Ctrl-C")
        check(late < 512 * 1024, "bytes after Ctrl-C", late)
        equal(shell.type("echo here"), "here\n", "keys afterwards")
        shell.power_off()
