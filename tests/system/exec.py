# SPDX-License-Identifier: MIT
"""`./pith exec` as a command among commands: streams, statuses, signals, files."""

import os
import shlex
import signal
import subprocess
import threading
import time

from support import (PATIENCE, PITH, check, dump, equal, file_path, fsck, full, host_shell, make_disk, pith, pith_command, run, sampled,
                     seconds, shell, write_file)


def test_status_and_streams():
    result = shell("echo out; echo err >&2; exit 42")
    equal((result.status, result.stdout, result.stderr), (42, b"out\n", b"err\n"))
    equal(pith("true").status, 0)
    equal(pith("nosuchprogram").status, 127)
    equal(pith("").status, 127)
    equal(pith("/nosuch/program").status, 127)
    equal(pith("/etc/passwd").status, 126)
    equal(shell("kill -9 $$").status, 137)
    equal(shell("kill -TERM $$").status, 143)


def test_from_nothing_to_its_status():
    """The boot, the program and the shutdown, in wall time: less than three seconds."""
    times = []
    for _ in range(3):
        begin = time.monotonic()
        pith("true").ok()
        times.append(time.monotonic() - begin)
    check(min(times) < 3 * PATIENCE, "seconds, and by how much they are stretched", times, PATIENCE)


def test_where_the_program_runs():
    result = shell("pwd; id -u; test -t 0; echo $?; test -t 1; echo $?; test -t 2; echo $?; echo $HOME").ok()
    equal(result.stdout, b"/\n0\n1\n1\n1\n/root\n")


def test_arguments_arrive_as_they_are():
    arguments = ["", "a b", "*", "$x", "\xe4\u20ac", "--", "-x", "'\"", "x" * 5000]
    result = pith("printf", "%s|", *arguments).ok()
    equal(result.stdout, "".join(a + "|" for a in arguments).encode())


def binary_clean(size):
    data = os.urandom(size) + bytes(range(256)) * 4
    equal(pith("cat", stdin=data).ok().stdout, data)


def test_streams_are_binary_clean():
    binary_clean(300_000)


@full
@seconds(600)
def test_streams_of_a_mebibyte():
    binary_clean(1 << 20)


def test_input_that_is_not_read():
    """A program that asks for none leaves all to others, one that asks without waiting has it a little later."""
    data = b"first\n" + b"x" * 1_000_000
    result = pith("sh", "-c", "dd iflag=nonblock count=1 2>/dev/null || echo none; until head -n 1 2>/dev/null | grep .; do sleep 0.1; done", stdin=data)
    equal(result.ok().stdout, b"none\nfirst\n")
    with open(write_file("input", data), "rb") as f:
        equal(subprocess.run(pith_command("true"), stdin=f, stdout=subprocess.DEVNULL).returncode, 0)
        equal(os.lseek(f.fileno(), 0, os.SEEK_CUR), 0, "what exec took of it")


def test_empty_input():
    equal(pith("wc", "-c").ok().stdout, b"0\n")


def test_in_a_pipeline():
    line = " | ".join(["seq 1 20000", " ".join(pith_command("sort", "-rn")), "head -n 2"])
    equal(run(["bash", "-c", line]).stdout, b"20000\n19999\n")


def test_reader_that_goes_away():
    process = subprocess.Popen(pith_command("yes"), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    equal(process.stdout.read(10), b"y\ny\ny\ny\ny\n")
    process.stdout.close()
    equal(process.wait(60 * PATIENCE), 141, "the status of yes after SIGPIPE")


def before_head(*command):
    """Its status and its standard error, where the reader of its output goes away behind the first line."""
    result = run(["bash", "-c", f"{shlex.join(pith_command(*command, timeout=100))} | head -n 1; exit ${{PIPESTATUS[0]}}"])
    check(result.stdout in (b"x\n", b"y\n"), result.stdout, result.stderr)
    return result.status, result.stderr


def test_only_who_writes_learns_that_the_reader_is_gone():
    equal(before_head("sh", "-c", "yes; echo st=$? >&2"), (0, b"st=141\n"))
    equal(before_head("sh", "-c", "trap '' PIPE; while echo x; do sleep 0.01; done; exit 9"), (9, b"sh: 1: echo: echo: I/O error\n"))
    # tail writes nothing after the first line: it learns from poll().
    equal(before_head("sh", "-c", "echo x >/tmp/f; tail -f /tmp/f; echo st=$? >&2"), (0, b"st=141\n"))


def test_output_that_cannot_be_written():
    for stream, status in (("stdout", 125), ("stderr", 1)):
        with open("/dev/full", "wb") as full:
            done = subprocess.run(pith_command("sh", "-c", "seq 100000; seq 100000 >&2"), stdin=subprocess.DEVNULL,
                                  **{"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, stream: full})
        # The second is told, and its status is the script's. To the script the first's failure is nothing: that output is lost is told by exec.
        equal(done.returncode, status, f"{stream} is full")
    with open("/dev/full", "wb") as full:
        done = subprocess.run(pith_command("yes"), stdin=subprocess.DEVNULL, stdout=full, stderr=subprocess.PIPE)
    equal((done.returncode, done.stderr), (1, b"yes: standard output: No space left on device\npith: standard output: No space left on device\n"))
    result = run([PITH, "exec", "--log", "/nonexistent/log", "--", "true"])
    equal(result.status, 125)
    check(result.stderr.startswith(b"pith: /nonexistent/log: "), result.stderr)


def test_closed_streams():
    """Closed streams are no others' (the machine's line got their numbers): input ends, output that there is cannot be written."""
    line = " ".join(pith_command("cat", timeout=100))
    for closed in ("<&-", ">&-", "2>&-", "<&- >&- 2>&-"):
        equal(run(["bash", "-c", f"{line} {closed}"]).status, 0, closed)
    result = run(["bash", "-c", f"{line} </"])
    equal((result.status, result.stderr), (125, b"pith: standard input: Is a directory\n"), "a folder as input")
    line = " ".join(pith_command("echo", "text", timeout=100))
    result = run(["bash", "-c", f"{line} <&- 2>&-"])
    equal((result.status, result.stdout), (0, b"text\n"), "output of a program without input")
    result = run(["bash", "-c", f"{line} >&-"])
    equal((result.status, result.stdout, result.stderr), (125, b"", b"pith: standard output: Bad file descriptor\n"), "closed output")


def children_of(parent):
    """The process ids of a process' children."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat") as f:
                fields = f.read().rsplit(") ", 1)[1].split()
        except OSError:
            continue
        if int(fields[1]) == parent:
            found.append(int(pid))
    return found


def wait_for(stream, text):
    shown = b""
    while text not in shown:
        data = os.read(stream.fileno(), 100)
        check(data, f"{text!r} did not come", shown)
        shown += data


def end_by(number, script, disk=None):
    """Start, wait for its word, send a signal to the command; the status, and no emulator may stay. (dash, on Linux too, loses a SIGINT
    that comes while it starts a program.)"""
    process = subprocess.Popen(pith_command("busybox", "sh", "-c", script, disk=disk or ()), stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE)
    wait_for(process.stdout, b"started")
    emulators = children_of(process.pid)
    check(emulators, "the emulator is a child of the command")
    process.send_signal(number)
    status = process.wait(60 * PATIENCE)
    process.stdout.close()
    for emulator in emulators:
        check(not os.path.exists(f"/proc/{emulator}"), "the emulator is gone")
    return status


def test_signals_end_the_program_and_unmount():
    disk = make_disk("disk.img", "16M")
    equal(end_by(signal.SIGTERM, "seq 1 1000 >/mnt/f; echo started; sleep 1000", [disk]), 143)
    fsck(disk)
    equal(dump(disk, "/f"), host_shell("seq 1 1000").stdout)
    equal(end_by(signal.SIGINT, "echo more >>/mnt/f; echo started; sleep 1000", [disk]), 130)
    fsck(disk)
    equal(dump(disk, "/f"), host_shell("seq 1 1000; echo more").stdout)
    equal(end_by(signal.SIGINT, "trap 'echo trapped; exit 7' INT; echo started; while :; do sleep 1; done"), 7)


def test_killed_command_leaves_no_emulator():
    process = subprocess.Popen(pith_command("sh", "-c", "echo started; sleep 1000"), stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE)
    wait_for(process.stdout, b"started")
    emulators = children_of(process.pid)
    process.kill()
    process.wait()
    process.stdout.close()
    deadline = time.monotonic() + 10 * PATIENCE
    for emulator in emulators:
        stat = f"/proc/{emulator}/stat"
        while os.path.exists(stat):
            with open(stat) as f:
                if f.read().rsplit(") ", 1)[1][0] == "Z":
                    break
            check(time.monotonic() < deadline, "the emulator outlives the command")
            time.sleep(0.05)


@sampled
def test_timeout():
    disk = make_disk("disk.img", "16M")
    result = pith("sh", "-c", "echo kept >/mnt/f; echo started; sleep 1000", timeout=20, disk=[disk], exact=True)
    equal((result.status, result.stdout), (124, b"started\n"))
    fsck(disk)
    equal(dump(disk, "/f"), b"kept\n")


@sampled
def test_program_that_does_not_end_on_sigterm():
    """It is killed, and what it wrote is kept: one that ignores the signal, and one that is stopped and does not take it."""
    disk = make_disk("disk.img", "16M")
    result = pith("sh", "-c", "trap '' TERM; echo kept >/mnt/f; echo started; while :; do sleep 1; done", timeout=20, disk=[disk], exact=True)
    equal((result.status, result.stdout, result.stderr), (124, b"started\n", b"pith: the program did not end on SIGTERM: it was killed\n"))
    fsck(disk)
    equal(dump(disk, "/f"), b"kept\n")
    equal(end_by(signal.SIGTERM, "trap '' TERM; echo started; echo more >>/mnt/f; while :; do sleep 1; done", [disk]), 137)
    fsck(disk)
    equal(dump(disk, "/f"), b"kept\nmore\n")
    equal(end_by(signal.SIGTERM, "echo last >>/mnt/f; echo started; kill -STOP $$", [disk]), 143)
    fsck(disk)
    equal(dump(disk, "/f"), b"kept\nmore\nlast\n")


def test_add_files_and_folders():
    tree = file_path("tree")
    for name, data in (("a/b/deep", b"deep"), ("empty", b""), ("with space", b"s"), ("big", os.urandom(3_000_000))):
        write_file(f"tree/{name}", data)
    os.symlink("a/b/deep", os.path.join(tree, "link"))
    program = write_file("prog", b"#!/bin/sh\necho it runs: $1\n")
    os.chmod(program, 0o750)
    sums = "cd {} && find . -type f | sort | while read -r f; do md5sum \"$f\"; done; readlink link; cat link"
    result = pith("sh", "-c", sums.format("/tmp/tree"), add=[f"{tree}:/tmp/tree"]).ok()
    equal(result.stdout, host_shell(sums.format(tree)).stdout, "the tree's checksums")
    equal(pith("/prog", "x", add=[program]).ok().stdout, b"it runs: x\n")
    # /bin and /var/run are links on the root.
    result = pith("ls", "-ld", "/bin", "/usr/bin/prog", "/run/new/prog", add=[f"{program}:/bin/prog", f"{program}:/var/run/new/prog"]).ok()
    check(result.stdout.startswith(b"lrwxrwxrwx"), "links stay", result.stdout)
    # A folder that is there stays as it is, a new one is as on the host.
    os.makedirs(file_path("over/new"))
    for folder, mode in (("over", 0o700), ("over/new", 0o711)):
        os.utime(file_path(folder), (1000, 1000))
        os.chmod(file_path(folder), mode)
    result = pith("stat", "-c", "%a %u %Y", "/opt/new/prog", "/tmp", "/tmp/new", add=[f"{program}:/opt/new/prog", f"{file_path('over')}:/tmp"]).ok()
    lines = result.stdout.split(b"\n")
    check(lines[0].startswith(b"750 0 ") and lines[1].startswith(b"1777 0 ") and not lines[1].endswith(b" 1000") and lines[2] == b"711 0 1000", lines)
    big = file_path("300M")
    with open(big, "wb") as f:
        f.truncate(300 << 20)
        f.seek(200 << 20)
        f.write(b"middle")
    result = shell("stat -c %s /300M; dd if=/300M bs=1M skip=200 count=1 2>/dev/null | head -c 6", add=[big]).ok()
    equal(result.stdout, b"314572800\nmiddle")


def test_add_names_of_any_bytes():
    tree = os.fsencode(file_path("bytes"))
    os.makedirs(tree, exist_ok=True)
    with open(os.path.join(tree, b"\xff\xfe"), "wb") as f:
        f.write(b"bytes")
    equal(pith("sh", "-c", "cd /bytes; ls | od -An -tx1; cat *", add=[os.fsdecode(tree)]).ok().stdout, b" ff fe 0a\nbytes")


def test_add_below_a_mount():
    """Nobody would see it there."""
    disk, source = make_disk("disk.img", "4M"), write_file("x", b"x")
    for guest, options in (("/proc/x", {}), ("/dev/shm/x", {}), ("/mnt/a/x", {"disk": [f"{disk}:/mnt/a"]})):
        result = pith("true", add=[f"{source}:{guest}"], **options)
        equal((result.status, result.stderr.count(b"\n")), (125, 1), f"{guest}: {result.stderr}")
        check(b"another file system is mounted" in result.stderr, guest, result.stderr)


def test_a_file_does_not_replace_a_folder():
    """Nor a link to one: /bin is one, and all programs are reached by it. A link to a file is replaced."""
    source, disk = write_file("x", b"x"), make_disk("disk.img", "4M")
    for guest in ("/bin", "/usr", "/", "/usr/../bin"):
        result = pith("true", add=[f"{source}:{guest}"])
        equal((result.status, result.stderr.count(b"\n")), (125, 1), f"{guest}: {result.stderr}")
        check(b"folder" in result.stderr, guest, result.stderr)
    equal(shell("cat /bin/x /etc/os-release; test -L /etc/os-release; echo $?; ls /usr/lib/os-release",
                add=[f"{source}:/bin/x", f"{source}:/etc/os-release"]).ok().stdout, b"xx1\n/usr/lib/os-release\n")
    for guest in ("/dev", "/proc/x", "/pith"):
        result = pith("true", disk=[f"{disk}:{guest}"])
        equal((result.status, result.stderr.count(b"\n")), (125, 1), f"{guest}: {result.stderr}")


def test_root_image_of_ones_own():
    root = make_disk("root.img", "32M", block_size=1024)
    before = host_shell(f"md5sum <{root}").stdout
    hello = os.path.join("build", "guest", "hello")
    result = pith("/hello", options=["--root", root], add=[hello])
    equal((result.status, result.stdout), (0, run([hello]).stdout), "hello on a root that holds nothing else")
    equal(host_shell(f"md5sum <{root}").stdout, before, "the root image")


def test_nothing_stays_in_the_root_image():
    shell("echo changed >/etc/hostname; rm -r /usr; sync").ok()
    equal(shell("cat /etc/hostname; ls -d /usr").ok().stdout, b"pith\n/usr\n")


def test_several_disks():
    disks = [make_disk("one.img", "16M"), make_disk("two.img", "20M", block_size=4096)]
    result = shell("echo 1 >/mnt/one; echo 2 >/data/two; cp /mnt/one /data/copy; mount | grep -c ext2",
                   disk=[disks[0], f"{disks[1]}:/data"])
    equal((result.status, result.stdout), (0, b"3\n"), result.stderr)
    for disk in disks:
        fsck(disk)
    equal((dump(disks[0], "/one"), dump(disks[1], "/two"), dump(disks[1], "/copy")), (b"1\n", b"2\n", b"1\n"))


def test_in_parallel():
    results = {}

    def one(number):
        results[number] = shell(f"i=0; while [ $i -lt 300 ]; do i=$((i+1)); done; echo {number} $i; exit {number}")
    threads = [threading.Thread(target=one, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    equal({n: (r.status, r.stdout) for n, r in results.items()}, {n: (n, f"{n} 300\n".encode()) for n in range(4)})


@sampled
def test_instruction_clock_repeats():
    """A measured loop takes the same number of instructions each time, whatever the host does meanwhile.

    Not the first time: the program comes from the disk, and while the whole machine waits for that, its clock jumps to the next deadline.
    So how long the host takes decides whether any deadline is left, and a system call costs 28 instructions more while there is one.
    """
    program = os.path.join("build", "guest", "lbench")
    measure = "/lbench -d /tmp -s 0.1 sys_null mutex_uncontended"
    values = []
    for _ in range(2):
        result = shell(f"{measure} >/tmp/first; sync; {measure}", add=[program], options=["--icount"]).ok()
        values.append({line.split()[0]: float(line.split()[1]) for line in result.stdout.decode().splitlines()})
    for name, deadline in (("sys_null", 28), ("mutex_uncontended", 0)):
        first, second = (v[name] for v in values)
        check(min(abs(abs(first - second) - d) for d in (0, deadline)) < first / 1000, f"{name} repeats", first, second)


def test_wrong_use_is_refused():
    nowhere, fifo = file_path("nowhere"), file_path("fifo")
    os.symlink("/no/such/file", nowhere)
    os.mkfifo(fifo)
    for arguments, word in ((["exec", "--bogus", "--", "true"], b"--bogus"), (["exec"], b"no command"),
                            (["exec", "--memory", "lots", "--", "true"], b"--memory"),
                            (["exec", "--memory", "999999999999999999999999T", "--", "true"], b"at most 32T"),
                            (["exec", "--accel", "tcg", "--memory", "31T", "--", "true"], b"qemu"),  # it has 40 bits of address
                            (["exec", "--cpus", "9", "--", "true"], b"from 1 to 8"),
                            (["exec", "--net", "tcp::1-:2", "--", "true"], b"not built yet"),
                            (["exec", "--add", "/no/such/file", "--", "true"], b"no such file"),
                            (["exec", "--root", "/no/such.img", "--", "true"], b"no such image"),
                            (["exec", "--package", "no-such", "--", "true"], b"not pinned"),
                            (["exec", "--package", "../packages", "--", "true"], b"not pinned"),
                            (["exec", "--package", "make", "--root", "x.img", "--", "true"], b"not for that of --root"),
                            (["exec", "--add", nowhere, "--", "true"], b"a link to nothing"),
                            (["exec", "--disk", nowhere, "--", "true"], b"not a file"),
                            (["exec", "--disk", fifo, "--", "true"], b"not a file"),
                            (["exec", "--disk", f"{fifo}:/{'x' * 255}", "--", "true"], b"more than 255 bytes"),
                            (["exec", "--disk", f"{fifo}:/mnt ", "--", "true"], b"a blank"),
                            (["exec", "--disk", f"{fifo}:/a\nb", "--", "true"], b"a line break"),
                            (["exec", "--disk", "/no/such.img", "--", "true"], b"no such file")):
        result = run([PITH, *arguments])
        equal(result.status, 125, f"the status of {arguments}")
        check(word in result.stderr and result.stderr.count(b"\n") == 1, f"{arguments}: the message, in one line", result.stderr)
        equal(result.stdout, b"")
    for arguments in (["run", "--bogus"], ["test", "--bogus"], ["bench", "nothing"], ["bench", "kernel", "ipc"], ["nonsense"], ["run", "--cpus", "0"],
                      ["bench", "linux", "--icount", "--cpus", "2"], ["graph", "--disks", "0"],
                      ["fuzz", "host", "--cpus", "3"], ["fuzz", "ext2", "--cpus", "3"], ["fuzz", "elf", "--debug"]):
        result = run([PITH, *arguments])
        check(result.status == 2 and result.stderr, arguments, result.status, result.stderr)
    for arguments in ([], ["run"], ["exec"], ["test"], ["bench"], ["debug"]):
        result = run([PITH, *arguments, "--help"])
        check(result.status == 0 and b"usage:" in result.stdout, arguments, result.stdout)
