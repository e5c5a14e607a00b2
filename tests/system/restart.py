# SPDX-License-Identifier: MIT
"""Components that are killed while programs use them: nothing stops, nothing gets lost."""

import hashlib
import os
import re

from support import (BUSYBOX, GUEST, SEED, check, dump, equal, file_path, fsck, full, host_shell, make_disk, run, sampled, seconds, shell,
                     write_file)

# Kills the component of this name again and again, until the file /tmp/stop is there; meanwhile the script runs at
# least once, and until five have died. It must print the same each time.
UNDER_FIRE = """echo 0 >/tmp/kills
(kills=0
while [ ! -e /tmp/stop ]; do
	echo 1 >/pith/components/{name}/kill && kills=$((kills + 1))
	echo $kills >/tmp/kills
	{pause}
done) &
round() {{
	{script}
}}
first=$(round); status=$?
while k=$(cat /tmp/kills); [ $status = 0 ] && [ "${{k:-0}}" -lt 5 ]; do
	[ "$(round)" = "$first" ] || status=99
done
touch /tmp/stop; wait
echo "$first"; cat /pith/components/{name}/status
exit $status"""


def under_fire(name, script, pause="sleep 0.2", **options):
    """What the script prints while the component dies all the time."""
    result = shell(UNDER_FIRE.format(name=name, script=script, pause=pause), **options).ok()
    output, _, status = result.stdout.partition(b"name: ")
    numbers = dict(re.findall(rb"(restarts|kills): (\d+)", status))
    check(int(numbers[b"kills"]) >= 5 and int(numbers[b"restarts"]) >= 5, "kills and restarts", status)
    check(b"state: running" in status, "it lives", status)
    return output


def test_status_of_components():
    result = shell("ls /pith/components; for c in /pith/components/*; do echo == $c; cat $c/status; done").ok()
    text = result.stdout.decode()
    for name in ("pci", "virtio-blk", "ext2", "uart", "linux"):
        check(f"== /pith/components/{name}\n" in text, f"{name} is listed", text)
    check(text.count("state: running") >= 5, "all are running", text)


def status_of(text, name):
    """The numbers that /pith/components/NAME/status shows, out of the statuses of all."""
    return dict(re.findall(r"^(\w+): (.*)$", re.search(rf"^name: {name}\n(?:(?!name: ).*: .*\n)*", text, re.M)[0], re.M))


def test_counters_count_messages_and_requests():
    """So many `stat` of names that are not there: a system call each, and a request to the file system each."""
    statuses = "cat /pith/components/*/status; echo ==; "
    result = shell(statuses + "for i in $(seq 500); do [ -e /no/such$i ]; done; mkdir /d; i=0; "
                   "while [ $i -lt 500 ]; do [ -e /d/n$i ]; i=$((i + 1)); done; " + statuses).ok()
    first, second = result.stdout.decode().split("==\n")[:2]

    def grown(name, counter):
        return int(status_of(second, name)[counter]) - int(status_of(first, name)[counter])

    check(1000 <= grown("linux", "messages") < 3000, "system calls", first, second)
    check(500 <= grown("linux", "requests") < 1000, "requests of linux", first, second)
    # One may be under way when it is asked.
    check(abs(grown("linux", "requests") - grown("ext2", "served")) <= 1, "requests that ext2 served", first, second)
    equal(grown("ext2", "requests"), grown("virtio-blk", "served"), "requests of ext2")


def test_pithctl():
    result = shell("pithctl; echo ==; cat /pith/components/*/status; echo ==; pithctl log pci; echo ==; "
                   "cat /pith/components/pci/log; echo ==; pithctl restart virtio-blk uart; pithctl kill virtio-blk; "
                   "md5sum </bin/busybox; pithctl status virtio-blk; pithctl log virtio-blk; echo ==; "
                   "for a in 'kill' 'kill nobody' 'log ../linux' 'list all' 'nonsense'; do pithctl $a; echo status $?; done").ok()
    table, statuses, log, log_file, after, refused = result.stdout.decode().split("==\n")
    rows = {line.split()[0]: line.split() for line in table.splitlines()[1:]}
    equal(set(rows), set(re.findall("^name: (.*)", statuses, re.M)))
    for name, row in rows.items():
        status = status_of(statuses, name)
        equal(row[1:4], [status["state"], status["priority"], status["restarts"]], name)
    check("msi-x" in log and log == log_file, "the log of pci", log, log_file)
    status = status_of(after, "virtio-blk")
    equal([status[key] for key in ("state", "restarts", "kills")], ["running", "2", "2"])
    equal(after.count("init: virtio-blk was killed by request\n"), 2, "the supervisor's lines in the log")
    equal(re.findall("status (.*)", refused), ["1", "1", "1", "1", "2"])
    check(result.stderr.count(b"pithctl: ") == 4 and b"usage:" in result.stderr, "messages", result.stderr)


def test_disks_after_the_end_of_linux():
    """The program goes with its `linux`; the successor leaves the disk clean all the same."""
    disk = make_disk("disk.img", "64M")
    result = shell("cd /mnt; seq 1000 >a; sync a; seq 100000 >b; mkdir d; for i in $(seq 50); do echo $i >d/$i; done; rm a; sync; mv b d; seq 2000 >c; "
                   "echo 1 >/pith/components/linux/kill; sleep 100", disk=[disk])
    equal(result.status, 125)
    check(b"`linux` was restarted" in result.stderr, result.stderr)
    fsck(disk)
    equal(dump(disk, "/d/50"), b"50\n")
    equal(dump(disk, "/d/b"), b"".join(b"%d\n" % i for i in range(1, 100001)), "what was renamed after the last sync")
    check(re.search(b"state: +clean\n", run(["dumpe2fs", "-h", disk]).ok().stdout), "it was unmounted")


def test_one_kill_is_seen_and_survived():
    result = shell("s=/pith/components/virtio-blk; grep restarts $s/status; echo 1 >$s/kill; "
                   "until grep -q 'restarts: 1' $s/status && grep -q 'state: running' $s/status; do :; done; "
                   "echo 3 >/proc/sys/vm/drop_caches; md5sum /bin/busybox; grep -E 'state|restarts' $s/status").ok()
    lines = result.stdout.decode().splitlines()
    equal(lines[0], "restarts: 0")
    check("restarts: 1" in lines and "state: running" in lines, "the status afterwards", lines)
    equal(lines[1].split()[0], host_shell(f"md5sum <{BUSYBOX}").stdout.split()[0].decode(), "a file read afterwards")


@seconds(400)
def test_disk_driver_during_checksums_of_all_files():
    tree = file_path("tree")
    for i in range(60):
        write_file(f"tree/d{i % 7}/f{i}", os.urandom(i * 20000))
    script = "find /tree -type f | sort | xargs md5sum; echo 3 >/proc/sys/vm/drop_caches"
    expected = host_shell(f"cd {file_path('')} && find tree -type f | sort | xargs md5sum").stdout
    output = under_fire("virtio-blk", script, add=[f"{tree}:/tree"], memory="96M", timeout=360)
    equal(output.replace(b"  /tree", b"  tree"), expected)


@seconds(400)
def test_disk_driver_during_a_copy():
    data = os.urandom(24 << 20)
    source = write_file("data", data)
    disk = make_disk("disk.img", "128M", block_size=4096)
    script = "cp /data /mnt/a; sync; cp /mnt/a /mnt/b; sync; cmp /mnt/a /mnt/b && md5sum </mnt/b"
    output = under_fire("virtio-blk.1", script, disk=[disk], add=[f"{source}:/data"], memory="96M", timeout=360)
    equal(output, host_shell(f"md5sum <{source}").stdout)
    fsck(disk)
    check(dump(disk, "/a") == data and dump(disk, "/b") == data, "both copies, as the host reads them")


@sampled
@seconds(400)
def test_file_system_while_its_disk_is_full():
    """What a killed ext2 had taken for writes that are done again is free afterwards: all that was accepted has room."""
    source = write_file("data", os.urandom(1 << 20))
    disk = make_disk("disk.img", "16M")
    script = ("stat -f -c %f /mnt; for i in 1 2 3 4 5 6; do n=0; while cp /data /mnt/$n 2>/dev/null; do n=$((n + 1)); done; rm /mnt/$n; "
              "sync || echo no sync; echo 3 >/proc/sys/vm/drop_caches; for f in /mnt/[0-9]*; do cmp /data $f; done; rm /mnt/[0-9]*; sync; "
              "done; stat -f -c %f /mnt")
    output = under_fire("ext2.1", script, pause="sleep 0.05", disk=[disk], add=[f"{source}:/data"], timeout=360)
    lines = output.decode().splitlines()
    check(len(lines) == 2 and lines[0] == lines[1], "free blocks before and afterwards, and nothing else", lines)
    fsck(disk)


@sampled
@seconds(400)
def test_file_system_while_files_are_replaced():
    """A commit gives what is replaced a name in lost+found for its moment; an ext2 that is killed in it does not leave it there."""
    disk = make_disk("disk.img", "24M", block_size=2048)
    script = ("cd /mnt; for i in $(seq 150); do echo $i >t; sync t; mv t R; sync .; mkdir n$i; echo $i >n$i/f; sync n$i/f n$i .; "
              "[ $i -gt 20 ] && rm -r n$((i - 20)); done; ls lost+found; rm -r n*; cat R")
    equal(under_fire("ext2.1", script, pause="sleep 0.1", disk=[disk], timeout=360), b"150\n")
    fsck(disk)


@sampled
@seconds(400)
def test_file_system_while_names_change():
    """Killed in the middle of any change of names, ext2 brings it to an end: each name is where it was put, and no e2fsck is needed."""
    disk = make_disk("disk.img", "24M")
    script = ("cd /mnt; for i in $(seq 80); do mkdir a$i a$i/b a$i/b/e; echo $i >a$i/f; ln a$i/f a$i/g; ln -s f a$i/s; mv a$i/f a$i/b/h; mv a$i/b c$i; "
              "echo $i >a$i/y; rm a$i/s a$i/g; mv a$i/y c$i/h; rmdir a$i || echo a$i is not empty; done; find . ! -path '*lost*' | sort | md5sum; cat c*/h | md5sum; stat -c %h c*/h c* | md5sum; rm -r c*; ls")
    output = under_fire("ext2.1", script, pause="usleep 30000", disk=[disk], timeout=360)
    fsck(disk)
    names = sorted([".", *(name for i in range(1, 81) for name in (f"./c{i}", f"./c{i}/e", f"./c{i}/h"))])
    order = sorted(range(1, 81), key=lambda i: f"c{i}/h")
    texts = ["".join(f"{name}\n" for name in names), "".join(f"{i}\n" for i in order), "1\n" * 80 + "3\n" * 80]
    equal(output.decode().split(), [word for text in texts for word in (hashlib.md5(text.encode()).hexdigest(), "-")] + ["lost+found"])


@seconds(400)
def test_everything_below_while_files_change():
    """File systems, disk drivers and the bus die in turns under programs that know what must be there (tests/stress/tree.c)."""
    disk = make_disk("disk.img", "64M")
    program = os.path.join(GUEST, "tree")
    result = shell("for i in 1 2 3; do (/tree /mnt/$i 15 %d$i; echo $i $?) & done; sleep 0.5; set -- ext2.1 virtio-blk.1 ext2.1 pci ext2.1 ext2 virtio-blk; "
                   "while pidof tree >/dev/null; do for c; do echo 1 >/pith/components/$c/kill; usleep 200000; done; done; wait; "
                   "grep -h kills /pith/components/ext2.1/status" % SEED, add=[f"{program}:/tree"], disk=[disk], timeout=360).ok()
    lines = sorted(result.stdout.decode().splitlines())
    check(lines[:3] == ["1 0", "2 0", "3 0"] and len(lines) == 4 and int(lines[3].split()[1]) >= 5, "what the programs found, and kills", *lines)
    fsck(disk)


def test_folders_are_listed_into_pages_of_files():
    """Whoever waits for a page of the disk has no request of its own that others wait for (tests/stress/listing.c)."""
    source = write_file("data", os.urandom(26 << 20))
    result = shell("/listing /usr/bin /data /pith/components/ext2/kill", add=[os.path.join(GUEST, "listing"), f"{source}:/data"]).ok()
    equal(result.stdout, b"100 lists\n")


@full
@seconds(900)
def test_disk_driver_without_a_pause():
    source = write_file("data", os.urandom(8 << 20))
    disk = make_disk("disk.img", "64M")
    output = under_fire("virtio-blk.1", "cp /data /mnt/a; sync; md5sum </mnt/a", pause="sleep 0.02", disk=[disk],
                        add=[f"{source}:/data"], memory="64M", timeout=800)
    equal(output, host_shell(f"md5sum <{source}").stdout)
    fsck(disk)


def test_kill_of_a_component_that_is_not_there():
    result = shell("echo 1 >/pith/components/nobody/kill; echo $?; ls /pith/components/nobody; echo $?")
    equal(result.stdout, b"1\n1\n")


def test_kill_takes_a_1():
    result = shell("cd /pith/components/clock; for word in 0 foo 11 ''; do echo $word >kill; echo $?; done; grep kills status; "
                   "echo 1 >kill; echo $?; until grep -q 'kills: 1' status; do :; done")
    equal(result.ok().stdout, b"1\n1\n1\n1\nkills: 0\n0\n")
