# SPDX-License-Identifier: MIT
"""Disk images: the root file system of `run` and `exec`, and copies of images with files added to them.

Images are ext2, made and changed with the host's e2fsprogs only, never mounted: no root needed.
"""

import os
import re
import shutil
import stat
import subprocess

import fetch
from paths import Failure, build, root

ROOT_IMAGE = build("root", "root.img")
ROOT_SIZE = "256M"
# Fixed, so that the same files make the same image.
UUID = "50697468-0000-4000-8000-726f6f740000"
EPOCH = 1700000000
GROW_MARGIN = 64 << 20

SKELETON = root("tools", "rootfs")


def run_tool(command, stdin=None, accept=(0,), env=None):
    done = subprocess.run(command, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          env={**os.environ, "LC_ALL": "C", **(env or {})})
    if done.returncode not in accept:
        raise Failure(f"{' '.join(command[:6])}: status {done.returncode}\n{(done.stdout + done.stderr).strip()}")
    return done


def as_owner_root(command):
    """A command prefix under which the user's files look as if root owned them."""
    return command if os.geteuid() == 0 else ["fakeroot", "--", *command]


def make_filesystem(image, size, folder=None, block_size=4096):
    """A new ext2 image with the files of folder, the same for the same input."""
    temporary = f"{image}.{os.getpid()}"
    command = ["mke2fs", "-q", "-F", "-t", "ext2", "-m", "0", "-b", str(block_size), "-U", UUID, "-L", "pith-root",
               "-E", f"hash_seed={UUID},root_owner=0:0"]
    if folder:
        command += ["-d", folder]
    try:
        run_tool(as_owner_root([*command, temporary, str(size)]), env={"E2FSPROGS_FAKE_TIME": str(EPOCH)})
        os.rename(temporary, image)
    finally:
        if os.path.exists(temporary):
            os.unlink(temporary)


# ---- the root file system -----------------------------------------------------------------------------------------

def busybox():
    """Debian's busybox-static, unmodified, out of its package."""
    folder = fetch.fetch("deb", "busybox-static")
    for path in ("bin/busybox", "usr/bin/busybox"):
        if os.path.exists(os.path.join(folder, path)):
            return os.path.join(folder, path)
    raise Failure("the package busybox-static holds no busybox")


def stage_root(stage):
    """The root file system as a folder: busybox, its applets as links, and the files of tools/rootfs."""
    for folder in ("bin", "sbin", "usr/bin", "usr/sbin", "usr/local/bin", "etc", "root", "home", "mnt", "tmp", "dev",
                   "proc", "pith", "var/log", "var/tmp", "run"):
        os.makedirs(os.path.join(stage, folder))
    program = busybox()
    shutil.copyfile(program, os.path.join(stage, "bin/busybox"))
    os.chmod(os.path.join(stage, "bin/busybox"), 0o755)
    for applet in subprocess.run([program, "--list-full"], stdout=subprocess.PIPE, text=True, check=True).stdout.split():
        target = os.path.join(stage, applet)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if not os.path.lexists(target):
            os.symlink("/bin/busybox", target)
    shutil.copytree(SKELETON, stage, dirs_exist_ok=True)
    for path, mode in (("root", 0o700), ("tmp", 0o1777), ("var/tmp", 0o1777)):
        os.chmod(os.path.join(stage, path), mode)
    for folder, folders, files in os.walk(stage):
        for name in folders + files:
            path = os.path.join(folder, name)
            if not os.path.islink(path) and path.startswith(os.path.join(stage, "etc")):
                os.chmod(path, 0o755 if os.path.isdir(path) else 0o644)
            os.utime(path, (EPOCH, EPOCH), follow_symlinks=False)


def newest_input():
    paths = [SKELETON, __file__, root("tools", "sources.txt")]
    paths += [os.path.join(folder, name) for folder, folders, files in os.walk(SKELETON) for name in folders + files]
    return max(os.lstat(path).st_mtime for path in paths)


def root_image():
    """The path of the root image that `exec` reads and `run` starts from; made when missing or outdated."""
    if os.path.exists(ROOT_IMAGE) and os.stat(ROOT_IMAGE).st_mtime > newest_input():
        return ROOT_IMAGE
    stage = build("root", f"stage.{os.getpid()}")
    os.makedirs(stage)
    try:
        stage_root(stage)
        make_filesystem(ROOT_IMAGE, ROOT_SIZE, stage)
    finally:
        shutil.rmtree(stage, ignore_errors=True)
    return ROOT_IMAGE


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


class Additions:
    """Host files to put into an image, as commands for debugfs."""

    def __init__(self):
        self.commands = []
        self.known = {"/"}
        self.bytes = 0
        self.inodes = 0

    def attributes(self, guest, info):
        for field, value in (("mode", f"0{info.st_mode:o}"), ("uid", "0"), ("gid", "0"),
                             ("mtime", f"@{int(info.st_mtime)}")):
            self.commands.append(f"sif {quoted(guest)} {field} {value}")

    def folder(self, guest, info=None):
        """A folder and those above it; info: attributes to give it."""
        guest = os.path.normpath(guest)
        if guest not in self.known:
            parent = os.path.dirname(guest)
            self.folder(parent)
            self.known.add(guest)
            self.commands.append(f"mkdir {quoted(guest)}")
            self.bytes += 4096
            self.inodes += 1
        if info is not None:
            self.attributes(guest, info)

    def add(self, host, guest):
        """One file, link or folder with all that is below it."""
        info = os.lstat(host)
        if stat.S_ISDIR(info.st_mode):
            self.folder(guest, info)
            for name in sorted(os.listdir(host)):
                self.add(os.path.join(host, name), os.path.join(guest, name))
            return
        self.folder(os.path.dirname(guest))
        self.inodes += 1
        if stat.S_ISLNK(info.st_mode):
            self.commands.append(f"rm {quoted(guest)}")
            self.commands.append(f"symlink {quoted(guest)} {quoted(os.readlink(host))}")
        elif stat.S_ISREG(info.st_mode):
            self.commands.append(f"rm {quoted(guest)}")
            self.commands.append(f"write {quoted(os.path.abspath(host))} {quoted(guest)}")
            self.attributes(guest, info)
            self.bytes += -(-info.st_size // 4096) * 4096
        else:
            raise Failure(f"cannot add {host}: neither a file nor a folder nor a link")


def debugfs(image, commands, *options):
    """Run the commands in one go; returns what it printed."""
    done = run_tool(["debugfs", *options, "-f", "-", image], stdin="\n".join(commands) + "\n")
    return (done.stdout + "\n" + done.stderr).splitlines()


def existing_folders(image, folders):
    """Those of the folders that the image has already (debugfs' mkdir would damage it)."""
    found, asked = set(), None
    for line in debugfs(image, [f"stat {quoted(folder)}" for folder in folders]):
        if line.startswith("debugfs: stat "):
            asked = line.split('"')[1]
        elif "Type: directory" in line:
            found.add(asked)
        elif "Type: " in line:
            raise Failure(f"cannot add files below {asked}: it is no folder in the image")
    return found


# What debugfs says besides its errors, and where `rm` finds nothing.
HARMLESS = re.compile(r"^debugfs(:| )|: File not found by ext2_lookup|^Allocated inode|^\s*$")


def add_files(image, pairs, folders=()):
    """Add (host path, guest path) pairs and folders to the image, which grows where they need the room."""
    additions = Additions()
    for folder in folders:
        additions.folder(folder)
    for host, guest in pairs:
        additions.add(os.path.realpath(host), guest)
    make_room(image, additions.bytes, additions.inodes)
    there = {f"mkdir {quoted(folder)}" for folder in existing_folders(image, additions.known)}
    commands = [command for command in additions.commands if command not in there]
    complaints = [line for line in debugfs(image, commands, "-w") if not HARMLESS.search(line)]
    if complaints:
        raise Failure("debugfs could not add the files:\n" + "\n".join(complaints[:10]))
