# SPDX-License-Identifier: MIT
"""`./pith exec`: one program on Pith, as if it ran here."""

import contextlib
import os

import boot
import images
import machine
import rootfs
from paths import Failure, build, scratch_folder, tell
from session import STATUS_FAILED, Lost, Session

ENVIRONMENT = ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "USER=root",
               "LOGNAME=root", "SHELL=/bin/sh"]
MOUNTED = ("/dev", "/proc", "/sys", "/pith")  # of every system (servers/linux/fs/vfs.c)
PATH_MAX = 255  # mount_configured() there


class Options:
    """What the command line gives, for callers in this program."""

    def __init__(self, **given):
        self.__dict__ = {"root": None, "package": [], "disk": [], "add": [], "memory": "512M", "icount": False, "timeout": None,
                         "log": None, "cpus": None, "accel": "auto", "kpti": None, "kernel": None, "extra": (),
                         "streams": (0, 1, 2), **given}


def split_path(text, default):
    """HOST[:PATH], where HOST may hold colons if it exists as it is written."""
    if os.path.lexists(text):
        return text, default(text)
    host, colon, guest = text.rpartition(":")
    if not colon or not os.path.lexists(host):
        raise Failure(f"{text}: no such file or folder", STATUS_FAILED)
    if not guest.startswith("/"):
        raise Failure(f"{text}: what follows the colon is not an absolute path", STATUS_FAILED)
    return host, os.path.normpath(guest)


def is_below(path, point):
    """Or the same."""
    return (path + "/").startswith(point + "/")


def additions(arguments, points):
    """points: where disks are mounted, over whatever is there."""
    def default(path):
        return "/" + os.path.basename(os.path.abspath(path))
    pairs = [split_path(argument, default) for argument in arguments]
    for host, guest in pairs:
        if not os.path.exists(host):
            raise Failure(f"--add {host}: a link to nothing", STATUS_FAILED)
        for point in (*MOUNTED, *points):
            if is_below(guest, point):
                raise Failure(f"--add {guest}: another file system is mounted on {point}", STATUS_FAILED)
    return pairs


def need_ext2(option, image):
    """Says in one line what would otherwise be an error of the file system in the middle of a boot."""
    with contextlib.suppress(OSError), open(image, "rb") as f:
        f.seek(1024 + 56)
        if f.read(2) != b"\x53\xef":
            raise Failure(f"{option} {image}: no ext2 file system", STATUS_FAILED)


def extra_disks(arguments):
    disks = [split_path(argument, lambda path: "/mnt") for argument in arguments]
    paths = [path for _, path in disks]
    for path in paths:
        # What a line of linux' configuration can say.
        if len(os.fsencode(path)) > PATH_MAX:
            raise Failure(f"--disk: a PATH of more than {PATH_MAX} bytes: {path}", STATUS_FAILED)
        if path != path.strip(" \t\r\n") or "\n" in path:
            raise Failure(f"--disk: a PATH with a blank at its end or a line break: {path!r}", STATUS_FAILED)
        if paths.count(path) > 1:
            raise Failure(f"two disks at {path}: give each a PATH of its own", STATUS_FAILED)
        if path == "/":
            raise Failure("--disk at /: --root gives the root image", STATUS_FAILED)
        if any(is_below(path, point) for point in MOUNTED):
            raise Failure(f"--disk at {path}: another file system is mounted there", STATUS_FAILED)
    for image, _ in disks:
        if not os.path.isfile(image):
            raise Failure(f"--disk {image}: not a file", STATUS_FAILED)
        if not os.access(image, os.R_OK | os.W_OK):
            raise Failure(f"--disk {image}: not readable and writable", STATUS_FAILED)
        need_ext2("--disk", image)
    return disks


def mount_points(disks):
    """What `linux` is told of them."""
    return {f"mount.{number}": path for number, (_, path) in enumerate(disks, 1)}


@contextlib.contextmanager
def root_disk(options, disks):
    """The root disk, never changed itself; a copy where files or mount points must be added."""
    if options.root is not None and options.package:
        raise Failure("--package is for the root that is made of packages, not for that of --root", STATUS_FAILED)
    if options.root is not None and not os.path.isfile(options.root):
        raise Failure(f"--root {options.root}: no such image", STATUS_FAILED)
    if options.root is not None:
        need_ext2("--root", options.root)
    image = options.root or rootfs.image(options.package)
    points = {path for _, path in disks}
    pairs = additions(options.add, points)
    known = options.root is None and points <= {"/mnt"}
    as_it_is = not pairs and (known or not images.missing_folders(image, points))
    left = os.environ.get("PITH_KEEP_ROOT")  # where the suite wants what the run leaves of it
    if as_it_is and not left:
        yield machine.Disk(image, keep=False)
        return
    with scratch_folder(build("exec"), "root.") as folder:
        copy = os.path.join(folder, "root.img")
        images.copy_sparse(image, copy)
        if not as_it_is:
            images.add_files(copy, pairs, points)
        yield machine.Disk(copy, keep=bool(left))
        if left:
            os.replace(copy, left)


def log_end(text, lines=40):
    return "\n".join(bytes(text).decode(errors="replace").splitlines()[-lines:])


def write_log(path, text):
    try:
        if path:
            with open(path, "wb") as f:
                f.write(text)
    except OSError as error:
        raise Failure(f"{path}: {error.strerror}", STATUS_FAILED) from None


def execute(options):
    write_log(options.log, b"")  # or it would be lost when all is over
    disks = extra_disks(options.disk)
    with root_disk(options, disks) as root:
        image = boot.image("exec", mount_points(disks), disks=1 + len(disks))
        command = machine.command_line(
            options.kernel or boot.KERNEL, image, boot.append(options.icount, options.kpti), options.memory,
            [root] + [machine.Disk(host) for host, _ in disks],
            accel=None if options.icount else boot.accelerator(options.accel), icount=options.icount,
            cpus=options.cpus, extra=options.extra)
        with machine.Machine(command) as emulator:
            session = Session(emulator.console, emulator.log, options.command, ENVIRONMENT, options.timeout,
                              options.streams)
            try:
                status = session.run()
                for remark in session.remarks:
                    tell(remark)
                return status
            except Lost as lost:
                own_words = emulator.complaint() if emulator.has_ended() else ""
                emulator.stop()
                # The emulator's refusal to begin says all.
                told = [str(lost), own_words, log_end(session.log_text)] if session.log_text else [own_words or str(lost)]
                raise Failure("\n".join(text for text in told if text), STATUS_FAILED) from None
            finally:
                write_log(options.log, session.log_text)
