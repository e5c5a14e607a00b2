# SPDX-License-Identifier: MIT
"""Disk images: made of folders, and copies with files added to them.

Images are ext2, made and changed with the host's e2fsprogs only, never mounted: no root needed.
"""

import os
import re
import stat
import subprocess

from paths import Failure
from session import STATUS_FAILED

# Fixed, so that the same files make the same image.
UUID = "50697468-0000-4000-8000-726f6f740000"
EPOCH = 1700000000
GROW_MARGIN = 64 << 20


def run_tool(command, stdin=None, accept=(0,), env=None):
    done = subprocess.run(command, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8",
                          errors="surrogateescape", env={**os.environ, "LC_ALL": "C", **(env or {})})
    if done.returncode not in accept:
        raise Failure(f"{' '.join(command[:6])}: status {done.returncode}\n{(done.stdout + done.stderr).strip()}")
    return done


def fixed_times(folder):
    """For debugfs: the times that mke2fs took from the folder although nobody chose them."""
    paths = [os.path.join(path, name) for path, folders, files in os.walk(folder) for name in folders + files]
    for path in [folder, *paths]:
        guest = quoted(os.path.normpath(os.path.join("/", os.path.relpath(path, folder))))
        yield f"sif {guest} atime @{EPOCH}\nsif {guest} ctime @{EPOCH}\n"


def make_filesystem(image, size, folder=None, block_size=4096):
    """A new ext2 image with the files of folder, the same for the same input."""
    temporary = f"{image}.{os.getpid()}"
    command = ["mke2fs", "-q", "-F", "-t", "ext2", "-m", "0", "-b", str(block_size), "-U", UUID, "-L", "pith-root",
               "-E", f"hash_seed={UUID},root_owner=0:0"]
    if folder:
        command += ["-d", folder]
    try:
        run_tool([*command, temporary, str(size)], env={"E2FSPROGS_FAKE_TIME": str(EPOCH)})
        if folder:
            run_tool(["debugfs", "-w", "-f", "-", temporary], "".join(fixed_times(folder)), env={"E2FSPROGS_FAKE_TIME": str(EPOCH)})
        os.rename(temporary, image)
    finally:
        if os.path.exists(temporary):
            os.unlink(temporary)


# ---- copies with files added ------------------------------------------------------------------------------------

def copy_sparse(source, target):
    run_tool(["cp", "--sparse=always", "--reflink=auto", "--no-preserve=mode", source, target])


def superblock(image):
    """The numbers of `dumpe2fs -h`, by name in lower case."""
    done = run_tool(["dumpe2fs", "-h", image], accept=range(256))
    if "Block count" not in done.stdout:
        raise Failure(f"{image} holds no ext2 file system")
    numbers = re.findall(r"^([A-Z][A-Za-z ]+):\s+(\d+)", done.stdout, re.M)
    return {name.lower(): int(value) for name, value in numbers}


def make_room(image, byte_count, inodes):
    """Grow the image so that byte_count bytes in that many new inodes fit and as much is free as before."""
    fs = superblock(image)
    block = fs["block size"]
    wanted = byte_count // block + byte_count // block // 128 + 2 * inodes + GROW_MARGIN // block
    blocks = fs["block count"]
    if wanted > fs["free blocks"] - GROW_MARGIN // block:
        blocks += wanted
    missing = inodes + 64 - fs["free inodes"]
    if missing > 0:
        groups = -(-missing // fs["inodes per group"])
        blocks = max(blocks, fs["block count"] + (groups + 1) * fs["blocks per group"])
    if blocks > fs["block count"]:
        # Room for the new groups' own tables.
        blocks += blocks // 32
        with open(image, "r+b") as f:
            f.truncate(blocks * block)
        run_tool(["resize2fs", "-f", image, str(blocks)])


def quoted(name):
    if "\n" in name or '"' in name:
        raise Failure(f"cannot add {name!r}: quotes and line breaks in names are not supported by debugfs")
    return f'"{name}"'


def attributes(guest, info):
    return [f"sif {quoted(guest)} {field} {value}" for field, value in
            (("mode", f"0{info.st_mode:o}"), ("uid", "0"), ("gid", "0"), ("mtime", f"@{int(info.st_mtime)}"))]


class Additions:
    """Host files to put into an image, as commands for debugfs."""

    def __init__(self, links):
        """links: where the image has links, such as /bin: where they lead."""
        self.links = links
        self.commands = []
        self.known = {"/"}
        self.attributes_of = {}  # folder: commands for if it is made; one that is there keeps its own
        self.bytes = 0
        self.inodes = 0

    def folder(self, guest, info=None):
        """A folder and those above it; info: attributes to give it. Returns where it is."""
        guest = followed(guest, self.links)
        if guest not in self.known:
            parent = os.path.dirname(guest)
            self.folder(parent)
            self.known.add(guest)
            self.commands.append(f"mkdir {quoted(guest)}")
            self.bytes += 4096
            self.inodes += 1
        if info is not None:
            self.attributes_of[guest] = attributes(guest, info)
        return guest

    def add(self, host, guest):
        """One file, link or folder with all that is below it."""
        info = os.lstat(host)
        if stat.S_ISDIR(info.st_mode):
            self.folder(guest, info)
            for name in sorted(os.listdir(host)):
                self.add(os.path.join(host, name), os.path.join(guest, name))
            return
        guest = os.path.join(self.folder(os.path.dirname(guest)), os.path.basename(guest))
        self.inodes += 1
        if stat.S_ISLNK(info.st_mode):
            self.commands.append(f"rm {quoted(guest)}")
            self.commands.append(f"symlink {quoted(guest)} {quoted(os.readlink(host))}")
        elif stat.S_ISREG(info.st_mode):
            self.commands.append(f"rm {quoted(guest)}")
            self.commands.append(f"write {quoted(os.path.abspath(host))} {quoted(guest)}")
            self.commands += attributes(guest, info)
            self.bytes += -(-info.st_size // 4096) * 4096
        else:
            raise Failure(f"cannot add {host}: neither a file nor a folder nor a link")


def debugfs(image, commands, *options):
    """Run the commands in one go; returns what it printed."""
    done = run_tool(["debugfs", *options, "-f", "-", image], stdin="\n".join(commands) + "\n")
    return (done.stdout + "\n" + done.stderr).splitlines()


LINKS_MAX = 20


def followed(path, links):
    """The path without links, as far as they are known ({path: target})."""
    for _ in range(LINKS_MAX):
        path = os.path.normpath(path)
        parts = path.split("/")
        above = ["/".join(parts[:count]) for count in range(2, len(parts) + 1)]
        link = next((prefix for prefix in above if prefix in links), None)
        if link is None:
            return path
        path = os.path.join(os.path.dirname(link), links[link], *parts[link.count("/") + 1:])
    raise Failure(f"cannot add files below {path}: too many links")


def look_at(image, paths):
    """What the image has of these: (folders, {link: target}, others). debugfs' mkdir would damage a folder that is there."""
    folders, links, others, asked = set(), {}, set(), None
    for line in debugfs(image, [f"stat {quoted(path)}" for path in sorted(paths)]):
        if line.startswith("debugfs: stat "):
            asked = line.split('"')[1]
        elif "Type: directory" in line:
            folders.add(asked)
        elif "Type: symlink" in line:
            links[asked] = None
        elif line.startswith("Fast link dest: "):
            links[asked] = line.split('"')[1]
        elif "Type: " in line:
            others.add(asked)
    return folders, links, others


def need_no_folders(image, places):
    """A file does not take the place of a folder, nor of a link to one, such as /bin: both are reached by that name."""
    links = {}
    while True:
        asked = {followed(place, links): place for place in places}
        folders, found, _ = look_at(image, asked)
        for folder in folders:
            raise Failure(f"--add {asked[folder]}: that is a folder; a file needs a name in it", STATUS_FAILED)
        known = {path: target for path, target in found.items() if target is not None and path not in links}
        if not known:
            return
        links.update(known)


def plan(image, pairs, folders):
    """The additions, and which of the folders that they need the image has. Its links are followed."""
    links = {}
    while True:
        additions = Additions(links)
        for folder in folders:
            additions.folder(folder)
        for host, guest in pairs:
            additions.add(os.path.realpath(host), guest)
        there, found, others = look_at(image, additions.known)
        for path in others:
            raise Failure(f"cannot add files below {path}: it is no folder in the image")
        for path, target in found.items():
            if target is None:
                raise Failure(f"cannot add files below {path}: the link is too long")
        if not found:
            need_no_folders(image, [guest for host, guest in pairs if not os.path.isdir(host)])
            return additions, there
        links.update(found)


def missing_folders(image, folders):
    """What would have to be made for these to be in the image."""
    additions, there = plan(image, (), folders)
    return additions.known - there


# What debugfs says besides its errors, and where `rm` finds nothing.
HARMLESS = re.compile(r"^debugfs(:| )|: File not found by ext2_lookup|^Allocated inode|^\s*$")


def add_files(image, pairs, folders=()):
    """Add (host path, guest path) pairs and folders to the image, which grows where they need the room."""
    additions, existing = plan(image, pairs, folders)
    make_room(image, additions.bytes, additions.inodes)
    there = {f"mkdir {quoted(folder)}" for folder in existing}
    commands = [command for command in additions.commands if command not in there]
    # At the end: what is put into a folder changes its time.
    commands += [command for folder, given in additions.attributes_of.items() if folder not in existing for command in given]
    complaints = [line for line in debugfs(image, commands, "-w") if not HARMLESS.search(line)]
    if complaints:
        raise Failure("debugfs could not add the files:\n" + "\n".join(complaints[:10]))
