# SPDX-License-Identifier: MIT
"""`./pith graph`: the authority graph of a manifest, as an SVG. mkboot says what is in it, graphviz lays it out."""

import subprocess

import boot
from paths import Failure


def run(options):
    parts = boot.manifest_parts("run", options.disks)
    if options.manifest:
        parts = [part for text in options.manifest for part in ("--manifest", text)]
    listed = subprocess.run([boot.MKBOOT, "--graph", *parts], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if listed.returncode != 0:
        raise Failure(listed.stderr.decode(errors="replace").strip())
    drawn = subprocess.run(["dot", "-Tsvg"], input=listed.stdout, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if drawn.returncode != 0:
        raise Failure(f"graphviz: {drawn.stderr.decode(errors='replace').strip()}")
    try:
        with open(options.output, "wb") as picture:
            picture.write(drawn.stdout)
    except OSError as error:
        raise Failure(f"{options.output} cannot be written: {error.strerror}") from None
    print(options.output)
    return 0
