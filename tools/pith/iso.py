# SPDX-License-Identifier: MIT
"""`./pith image`: an ISO for real machines, which GRUB boots by BIOS and by UEFI, from a CD or a USB stick."""

import errno
import os
import shutil
import subprocess
import tempfile

import boot
from paths import Failure, build

NAME = "pith.iso"
# No menu: there is nothing to choose. What a user types at GRUB's prompt ("c" while it starts) still works.
GRUB = """set timeout=0
menuentry Pith {{
	multiboot2 /boot/pith.elf {append}
	{modules}
}}
"""


def volume(folder, kernel, modules, append):
    """What is on the CD: the kernel without its debug sections, the modules, GRUB's configuration."""
    os.makedirs(os.path.join(folder, "boot", "grub"))
    subprocess.run(["strip", "-o", os.path.join(folder, "boot", "pith.elf"), kernel], check=True)
    lines = []
    for number, module in enumerate(modules):
        shutil.copyfile(module, os.path.join(folder, "boot", f"module{number}"))
        lines.append(f"module2 /boot/module{number}")
    with open(os.path.join(folder, "boot", "grub", "grub.cfg"), "w") as f:
        f.write(GRUB.format(append=append, modules="\n\t".join(lines)))


def make(output, modules, kernel=boot.KERNEL, append=""):
    """Write the ISO to output. One module is what Pith wants: its boot image."""
    os.makedirs(build("boot"), exist_ok=True)
    temporary = f"{output}.{os.getpid()}"
    try:
        if os.path.isdir(output):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        # The rename would put a file where the device was.
        if os.path.exists(output) and not os.path.isfile(output):
            raise OSError(errno.EINVAL, "it is no file; make one, and copy that")
        open(temporary, "xb").close()
    except OSError as error:
        raise Failure(f"{output} cannot be made: {error.strerror}") from None
    with tempfile.TemporaryDirectory(dir=build("boot")) as folder:
        volume(folder, kernel, modules, append)
        try:
            done = subprocess.run(["grub-mkrescue", "--fonts=", "--themes=", "--locales=", "-o", temporary, folder],
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
            if done.returncode != 0:
                raise Failure(f"grub-mkrescue: status {done.returncode}\n{done.stdout.strip()}")
            os.rename(temporary, output)
        except OSError as error:
            raise Failure(f"{output} cannot be made: {error.strerror}") from None
        finally:
            if os.path.exists(temporary):
                os.unlink(temporary)


def run(options):
    output = options.output or build(NAME)
    make(output, [boot.image("run", {})], append=f"kpti={options.kpti}" if options.kpti else "")
    print(output)
    return 0
