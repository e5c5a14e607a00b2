# SPDX-License-Identifier: MIT
"""busybox's shell and its applets under `./pith run`: a whole user's session with one static program."""

import os

from support import Ash, check, dump, equal

IMAGE = os.path.join(os.environ.get("PITH_RUN", "build/run"), "root.img")
UP, LEFT, HOME, DELETE = "\x1b[A", "\x1b[D", "\x01", "\x7f"


def test_line_editing_and_history():
    with Ash() as shell:
        equal(shell.type("echo hello"), "hello\n")
        equal(shell.type("cho abc" + HOME + "e"), "abc\n", "a letter put in at the line's start")
        equal(shell.type("echo abXc" + LEFT + DELETE), "abc\n", "a letter taken out in the middle")
        equal(shell.type(UP), "abc\n", "the last line again")
        equal(shell.type(UP * 3), "hello\n", "an older line")
        # Tab completes a file name.
        equal(shell.type("echo /etc/hostn\tx"), "/etc/hostname x\n", "a completed name")
        # Ctrl-U takes the line away, Ctrl-W a word.
        equal(shell.type("echo one\x15echo two"), "two\n", "after Ctrl-U")
        equal(shell.type("echo one two\x17three"), "one three\n", "after Ctrl-W")
        shell.power_off()


def test_pipelines_redirections_and_here_documents():
    with Ash() as shell:
        equal(shell.type("echo one two three | tr ' ' '\\n' | sort | tr '\\n' ,; echo"), "one,three,two,\n")
        equal(shell.type("echo first >/tmp/f; echo second >>/tmp/f; wc -l </tmp/f"), "2\n")
        equal(shell.type("ls /nonexistent 2>/tmp/e; cat /tmp/e"), "ls: /nonexistent: No such file or directory\n")
        equal(shell.type("{ echo out; echo err >&2; } 2>&1 >/dev/null | sed s/e/E/"), "Err\n")
        shell.send("cat <<END | tr a-z A-Z\r")
        shell.expect("> ")
        shell.send("home is $HOME\r")
        shell.expect("> ")
        shell.send("END\r")
        shell.expect("HOME IS /ROOT")
        shell.wait_prompt()
        equal(shell.type("x=$(echo sub | tr b t); echo $x$((6 * 7))"), "sut42\n")
        equal(shell.status("false"), 1)
        equal(shell.status("sh -c 'exit 37'"), 37)
        equal(shell.status("sh -c 'kill -9 $$' 2>/dev/null"), 137)
        equal(shell.status("nosuchcommand 2>/dev/null"), 127)
        shell.power_off()


def test_ls_shows_every_file():
    with Ash() as shell:
        # /proc changes under ls, on Linux too: what it says about that is not looked at.
        shell.type("ls -lR / >/tmp/list 2>/dev/null", 120)
        shown = ["", shell.type("grep -c . /tmp/list"), shell.type("grep -c busybox /tmp/list")]
        check(int(shown[1]) > 300, "lines of ls -lR /", shown)
        check(int(shown[2]) > 100, "lines of ls -lR / that name busybox", shown)
        check("-rwxr-xr-x" in shell.type("ls -l /bin/busybox"), "the mode of /bin/busybox")
        shell.power_off()


def test_control_c_ends_a_command():
    with Ash() as shell:
        shell.start("exec sleep 1000")
        shell.send("\x03")
        shell.wait_prompt()
        equal(shell.type("echo $?"), "130\n")
        # One that runs, not one that waits; and a pipeline.
        shell.start("while :; do :; done")
        shell.send("\x03")
        shell.wait_prompt()
        shell.send("{ echo r''un >&2; yes; } | cat >/dev/null\r")
        shell.expect("run\r?\n")
        shell.send("\x03")
        shell.wait_prompt()
        equal(shell.type("echo still here"), "still here\n")
        shell.power_off()


def test_job_control():
    with Ash() as shell:
        shell.start("exec cat")
        shell.send("line one\r")
        shell.expect("line one\r\nline one\r\n")
        shell.send("\x1a")
        shell.expect("Stopped")
        shell.wait_prompt()
        check("cat" in shell.type("jobs"), "jobs names the stopped job")
        shell.send("fg\r")
        shell.expect("exec cat.*\n")
        shell.send("line two\r")
        shell.expect("line two\r\nline two\r\n")
        shell.send("\x04")
        shell.wait_prompt()
        # One that goes on in the background, until a word arrives in a FIFO.
        shell.type("mkfifo /tmp/fifo")
        shell.start("read word </tmp/fifo; echo got $word")
        shell.send("\x1a")
        shell.expect("Stopped")
        shell.wait_prompt()
        shell.type("bg")
        check("read word" in shell.type("jobs"), "jobs names the job in the background")
        check("got it" in shell.type("echo it >/tmp/fifo; wait"), "the job went on")
        equal(shell.type("sleep 1 & wait $!; echo done").splitlines()[0], "done")
        shell.power_off()


def test_vi_writes_a_file():
    with Ash() as shell:
        shell.send("vi /root/poem\r")
        # The status line shows the mode: - for commands, I for inserting.
        shell.expect("- /root/poem")
        shell.send("i")
        shell.expect("I /root/poem")
        shell.send("roses are red\rviolets are blue")
        shell.expect("blue")
        shell.send("\x1b")
        shell.expect("- /root/poem")
        shell.send("1GA,")
        shell.expect("I /root/poem")
        shell.send("\x1b")
        shell.expect("- /root/poem")
        shell.send(":wq\r")
        shell.wait_prompt()
        equal(shell.type("cat /root/poem"), "roses are red,\nviolets are blue\n")
        shell.power_off()
    equal(dump(IMAGE, "/root/poem"), b"roses are red,\nviolets are blue\n", "the file as the host reads it")


def test_system_files():
    with Ash() as shell:
        check("PID" in shell.type("ps"), "ps has a heading")
        check("init" in shell.type("ps"), "ps shows init")
        check(" / " in shell.type("mount"), "mount shows the root")
        equal(shell.type("stty size"), "24 80\n", "the terminal's size")
        # busybox's top fills the screen, again and again, with itself among the processes, until a q.
        shell.send("top -d 1\r")
        for _ in range(2):
            shell.expect(r"Mem: \d+K used, \d+K free")
            shell.expect(r"PID +PPID +USER +STAT")
            shell.expect(r"root +R .* top -d 1")
        shell.send("q")
        shell.wait_prompt()
        equal(shell.type("echo $?; stty -a | grep -o ' icanon'"), "0\n icanon\n", "its status, and the terminal behind it")
        equal(shell.type("echo $$ >/dev/null; head -c 10 /dev/zero | wc -c"), "10\n")
        shell.power_off()
