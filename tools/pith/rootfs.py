# SPDX-License-Identifier: MIT
"""The root file system: Debian's packages unpacked, what their maintainer scripts would have made of them, and the files of tools/rootfs.

No maintainer script is run. `rootfs.py STAGE IMAGE` does the work in one session of fakeroot, which remembers owners and modes from
unpacking to mke2fs.
"""

import os
import shutil
import stat
import subprocess
import sys
import time

import fetch
import images
from paths import Failure, build, root, scratch_folder

FOLDER = build("root")
SIZE = "256M"
SIZE_WITH_MORE = "1G"  # where optional packages are on it

FILES = root("tools", "rootfs", "files")
LINKS = root("tools", "rootfs", "links.txt")

MERGED = ("bin", "sbin", "lib", "lib64")
# Translations and manuals (the licences in doc stay).
PRUNED = ("usr/share/locale", "usr/share/man", "usr/share/info", "usr/share/lintian", "usr/share/bug", "usr/share/bash-completion",
          "usr/share/pixmaps", "usr/share/applications", "usr/share/icons")
# Files that packages bring as examples and their scripts put into place.
COPIES = (
    ("usr/share/base-files/profile", "etc/profile"),
    ("usr/share/base-files/dot.profile", "root/.profile"),
    ("usr/share/base-files/dot.bashrc", "root/.bashrc"),
    ("usr/share/base-passwd/group.master", "etc/group"),
    ("usr/share/libc-bin/nsswitch.conf", "etc/nsswitch.conf"),
)
# Folders that scripts make: mode, group.
FOLDERS = {
    "etc/opt": (0o755, "root"), "media": (0o755, "root"), "mnt": (0o755, "root"), "opt": (0o755, "root"), "pith": (0o755, "root"),
    "run/lock": (0o1777, "root"), "srv": (0o755, "root"), "usr/local": (0o755, "root"), "usr/local/bin": (0o755, "root"),
    "usr/local/lib": (0o755, "root"), "usr/local/sbin": (0o755, "root"), "usr/local/share": (0o755, "root"),
    "var/mail": (0o2775, "mail"), "var/opt": (0o755, "root"), "var/spool": (0o755, "root"),
}
# Empty files of the group utmp: who is, and was, logged in.
RECORDS = {"run/utmp": 0o664, "var/log/wtmp": 0o664, "var/log/btmp": 0o660, "var/log/lastlog": 0o664}


def unpack(package, stage):
    """One package's files, over what is there: its bin/ goes where the merged /bin leads."""
    archive = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE)
    done = subprocess.run(["tar", "--extract", "--preserve-permissions", "--numeric-owner", "--same-owner", "--keep-directory-symlink",
                           "--directory", stage], stdin=archive.stdout, stderr=subprocess.PIPE, text=True)
    archive.stdout.close()
    if archive.wait() or done.returncode:
        raise Failure(f"{package} cannot be unpacked: {done.stderr}")


def prune(stage):
    for folder in PRUNED:
        shutil.rmtree(os.path.join(stage, folder), ignore_errors=True)
    documents = os.path.join(stage, "usr/share/doc")
    for folder, _, files in os.walk(documents, topdown=False):
        for name in files:
            if name != "copyright":
                os.unlink(os.path.join(folder, name))
        if not os.listdir(folder):
            os.rmdir(folder)


def group_number(stage, name):
    with open(os.path.join(stage, "etc/group")) as lines:
        return next(int(line.split(":")[2]) for line in lines if line.startswith(f"{name}:"))


def make_accounts(stage):
    """/etc/passwd, and /etc/shadow in which no account has a password: root's shell runs on the console without asking for one."""
    with open(os.path.join(stage, "usr/share/base-passwd/passwd.master")) as master:
        accounts = [line.split(":") for line in master]
    shadow = os.path.join(stage, "etc/shadow")
    with open(os.path.join(stage, "etc/passwd"), "w") as out, open(shadow, "w") as secret:
        for name, password, *rest in accounts:
            out.write(":".join([name, "x", *rest]))
            secret.write(f"{name}:{password}:{images.EPOCH // 86400}:0:99999:7:::\n")
    os.chown(shadow, 0, group_number(stage, "shadow"))
    os.chmod(shadow, 0o640)


def make_folders(stage):
    for path, (mode, group) in FOLDERS.items():
        path = os.path.join(stage, path)
        os.makedirs(path, exist_ok=True)
        os.chown(path, 0, group_number(stage, group))
        os.chmod(path, mode)
    for path, mode in RECORDS.items():
        path = os.path.join(stage, path)
        open(path, "w").close()
        os.chown(path, 0, group_number(stage, "utmp"))
        os.chmod(path, mode)


def make_links(stage):
    """The links of tools/rootfs/links.txt; a name alone, such as `awk`, is an alternative as Debian's update-alternatives makes it."""
    os.makedirs(os.path.join(stage, "etc/alternatives"), exist_ok=True)
    with open(LINKS) as lines:
        for line in lines:
            words = line.split("#")[0].split()
            if not words:
                continue
            link, target = words
            if "/" not in link:
                if not os.path.exists(stage + target):
                    raise Failure(f"{LINKS}: {target} is not there")
                os.symlink(f"/etc/alternatives/{link}", os.path.join(stage, "usr/bin", link))
                link = f"etc/alternatives/{link}"
            link = os.path.join(stage, link)
            if os.path.isdir(link):
                os.rmdir(link)
            os.symlink(target, link)


def link_applets(stage):
    """busybox stands in for the commands that no package brings."""
    program = os.path.join(stage, "usr/bin/busybox")
    places = ("usr/bin", "usr/sbin")
    for applet in subprocess.run([program, "--list-full"], stdout=subprocess.PIPE, text=True, check=True).stdout.split():
        name = os.path.basename(applet)
        if not any(os.path.lexists(os.path.join(stage, place, name)) for place in places):
            os.symlink("busybox" if "sbin" not in applet else "../bin/busybox",
                       os.path.join(stage, "usr/sbin" if "sbin" in applet else "usr/bin", name))


def list_shells(stage):
    """/etc/shells, of what each shell's package says of itself."""
    folder = os.path.join(stage, "usr/share/debianutils/shells.d")
    with open(os.path.join(stage, "etc/shells"), "w") as out:
        for name in sorted(os.listdir(folder)):
            with open(os.path.join(folder, name)) as f:
                out.write(f.read())


def copy_files(stage):
    """The files of tools/rootfs, with modes that do not depend on the user's umask."""
    for folder, _, files in os.walk(FILES):
        for name in files:
            source = os.path.join(folder, name)
            target = os.path.join(stage, os.path.relpath(source, FILES))
            os.makedirs(os.path.dirname(target), exist_ok=True)
            shutil.copyfile(source, target)
            os.chmod(target, 0o755 if os.access(source, os.X_OK) else 0o644)


def fix_times(stage, began):
    """What packages bring keeps its time; what was made since we began gets a fixed one, so that the same input makes the same image."""
    for folder, folders, files in os.walk(stage):
        for name in folders + files:
            path = os.path.join(folder, name)
            info = os.lstat(path)
            if stat.S_ISDIR(info.st_mode) or info.st_mtime >= began:
                os.utime(path, (images.EPOCH, images.EPOCH), follow_symlinks=False)


def make(stage, target, *packages):
    """The image, from a new folder that nobody else uses; as root, or under fakeroot. packages: those of tools/rootfs/optional."""
    began = time.time() - 1
    for name in MERGED:
        os.makedirs(os.path.join(stage, "usr", name))
        os.symlink(f"usr/{name}", os.path.join(stage, name))
    for package in fetch.root_packages(packages).values():
        unpack(package, stage)
    prune(stage)
    for source, copy in COPIES:
        shutil.copy2(os.path.join(stage, source), os.path.join(stage, copy))
    make_accounts(stage)
    make_folders(stage)
    make_links(stage)
    link_applets(stage)
    list_shells(stage)
    copy_files(stage)
    fix_times(stage, began)
    images.make_filesystem(target, SIZE_WITH_MORE if packages else SIZE, stage)


def newest_input(packages):
    paths = [__file__, images.__file__, LINKS, fetch.ROOT_PINS, *map(fetch.optional_pins, packages)]
    paths += [os.path.join(folder, name) for folder, folders, files in os.walk(FILES) for name in ["", *files]]
    return max(os.lstat(path).st_mtime for path in paths)


def image(packages=()):
    """The path of the root image that `exec` reads and `run` starts from, with these optional packages; made when missing or outdated."""
    packages = sorted(set(packages))
    path = os.path.join(FOLDER, "+".join(["root", *packages]) + ".img")
    if os.path.exists(path) and os.stat(path).st_mtime > newest_input(packages):
        return path
    fetch.root_packages(packages)
    with scratch_folder(FOLDER, "stage.") as stage:
        images.run_tool(["fakeroot", "--", sys.executable, "-B", __file__, stage, path, *packages])
    return path


if __name__ == "__main__":
    make(*sys.argv[1:])
