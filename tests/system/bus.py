# SPDX-License-Identifier: MIT
"""The bus component: disks behind bridges of every kind, as functions of one device, with registers above 4 GiB, by each kind of interrupt."""

import re

from support import check, equal, file_path, fsck, make_disk, on_machine, sampled

SCRIPT = "find /usr /bin -type f | xargs md5sum | md5sum; cat /pith/components/*/log | grep -aE 'requests of|functions|BAR' 1>&2"
READ = {}


def reads(name, change, words=(), **options):
    """The root disk's files are the same as on a plain machine, and the log has the words."""
    if not READ:
        READ["plain"] = on_machine(SCRIPT).ok().stdout
    result = on_machine(SCRIPT, change, **options).ok()
    equal(result.stdout, READ["plain"], name)
    for word in words:
        check(word in result.stderr.decode(), name, word, result.stderr.decode(), result.log[-4000:])


def behind(bus, *devices, extra="", chipset="q35"):
    """The disks on another bus, which these devices make."""
    def change(command):
        command = [word + f",bus={bus}{extra}" if word.startswith("virtio-blk-pci") else word for word in command]
        command[command.index("q35")] = chipset
        at = command.index("-drive")
        added = [word for device in devices for word in ("-device", device)]
        return command[:at] + added + command[at:]
    return change


def test_root_port():
    reads("root port", behind("root", "pcie-root-port,id=root,chassis=1"), ["msi\n"])


def test_switch():
    reads("switch", behind("down", "pcie-root-port,id=root,chassis=1", "x3130-upstream,id=up,bus=root",
                           "xio3130-downstream,id=down,bus=up,chassis=2"), ["msi\n"])


@sampled
def test_conventional_bridges():
    reads("one bridge", behind("bridge", "pci-bridge,id=bridge,chassis_nr=1", extra=",addr=7", chipset="pc"), ["msi\n"])
    reads("three bridges", behind("third", "pci-bridge,id=first,chassis_nr=1", "pci-bridge,id=second,chassis_nr=2,bus=first,addr=3",
                                  "pci-bridge,id=third,chassis_nr=3,bus=second,addr=4", extra=",addr=9", chipset="pc"), ["msi\n"])


def test_bridge_from_express_to_conventional():
    reads("pcie-pci-bridge", behind("bridge", "pcie-root-port,id=root,chassis=1", "pcie-pci-bridge,id=bridge,bus=root", extra=",addr=3"), ["msi\n"])


@sampled
def test_interrupt_lines_behind_bridges():
    """Each bridge turns the lines by the device's number; the firmware has followed them."""
    reads("line behind a root port", behind("root", "pcie-root-port,id=root,chassis=1", extra=",vectors=0"), ["intx\n"])
    for number in (1, 2, 3, 4):
        reads(f"line of device {number}", behind("bridge", "pci-bridge,id=bridge,chassis_nr=1", extra=f",addr={number},vectors=0", chipset="pc"),
              ["intx\n"])


def test_functions_of_one_device():
    """Three disks as functions 0, 3 and 5: each gets its own, and writes go where they should."""
    places = iter((",addr=6.0,multifunction=on", ",addr=6.3", ",addr=6.5"))
    disks = [make_disk(f"disk{number}.img", "8M") for number in (1, 2)]
    result = on_machine("echo one >/one/file; echo two >/two/file; cat /one/file /two/file; ls /bin/busybox",
                        lambda command: [word + next(places) if word.startswith("virtio-blk-pci") else word for word in command],
                        disks=disks, config={"mount.1": "/one", "mount.2": "/two"}).ok()
    equal(result.stdout, b"one\ntwo\n/bin/busybox\n")
    for disk in disks:
        fsck(disk)


def test_registers_above_4_gib():
    """A neighbour whose memory does not fit below has the firmware put all 64-bit BARs above."""
    trace = file_path("trace")

    def change(command):
        return [*command, "-object", "memory-backend-ram,id=shared,size=2G", "-device", "ivshmem-plain,memdev=shared",
                "-trace", "enable=pci_update_mappings_add", "-D", trace]
    reads("64-bit BAR", change)
    with open(trace) as f:
        text = f.read()
    places = [int(place, 16) for place in re.findall(r"virtio-blk[^\n]* 4,(0x[0-9a-f]+)\+0x4000", text)]
    check(places and places[-1] >= 1 << 32, "where the disk's BAR 4 is", places, text[-2000:])


def test_many_functions():
    """More devices than the system has drivers for, on several buses."""
    def change(command):
        extra = []
        for port in range(4):
            extra += ["-device", f"pcie-root-port,id=port{port},chassis={port + 1},addr={port + 8}", "-device", f"edu,bus=port{port}"]
        return command + extra
    reads("edu", change, ["14 functions"])
