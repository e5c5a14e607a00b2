# SPDX-License-Identifier: MIT
"""Third-party packages, by name, from the system's own package sources.

Nothing of the system's configuration or state is touched: package lists and downloads live below build/apt, and the
source list there is derived from the system's. What is fetched is checked against tools/sources.txt (and by apt,
against the archive's signature), then unpacked below build/third-party.
"""

import fcntl
import glob
import hashlib
import os
import re
import shutil
import subprocess
import sys
import time

from paths import Failure, THIRD_PARTY, build, root

APT = build("apt")
# Tools that only a later release of the system's distribution has: the packages that each needs, unpacked in one folder.
LATER = "trixie"
TOOLS = {"cbmc": ["cbmc", "minisat", "libc6", "libstdc++6", "libgcc-s1"]}
# The packages of the root file system: what is wanted, and all that this takes, as pinned from that.
ROOT_PACKAGES = root("tools/rootfs/packages.txt")
ROOT_PINS = root("tools/rootfs/sources.txt")
# A file for each package that may be named to be on it, too: NAME.txt, the pins of what that adds.
OPTIONAL = root("tools/rootfs/optional")


def lists_of(kind):
    """The folder of the package lists and of apt's other state."""
    return os.path.join(APT, LATER) if kind == LATER else APT


def apt_options(folder):
    return [
        "-o", "Dir::Etc::sourcelist=/dev/null", "-o", f"Dir::Etc::sourceparts={folder}/parts",
        "-o", f"Dir::State::lists={folder}/lists", "-o", f"Dir::Cache={folder}/cache",
        "-o", "APT::Sandbox::User=", "-o", "Acquire::Retries=3", "-o", "Debug::NoLocking=1",
    ]


def pins(*paths):
    """The lists of pinned files as {(kind, name): (version, {file name: sha256})}."""
    result = {}
    for path in paths or (root("tools/sources.txt"), ROOT_PINS):
        with open(path) as lines:
            for line in lines:
                words = line.split("#")[0].split()
                if not words:
                    continue
                kind, name, version, file_name, digest = words
                result.setdefault((kind, name), (version, {}))[1][file_name] = digest
    return result


def system_stanzas():
    """The system's enabled package sources as deb822 stanzas (lists of "Field: value" lines)."""
    stanzas = []
    for path in sorted(glob.glob("/etc/apt/sources.list.d/*.sources")):
        with open(path, errors="replace") as f:
            text = "\n".join(l for l in f.read().splitlines() if not l.startswith("#"))
        for block in re.split(r"\n\s*\n", text):
            fields = re.findall(r"^(\S+):((?:.*)(?:\n[ \t].*)*)", block, re.M)
            names = {k.lower(): v for k, v in fields}
            if "deb" not in names.get("types", "").split() or names.get("enabled", "").strip() == "no":
                continue
            stanzas.append([f"{k}:{v}" for k, v in fields if k.lower() not in ("types", "enabled")])
    for path in ["/etc/apt/sources.list"] + sorted(glob.glob("/etc/apt/sources.list.d/*.list")):
        if not os.path.exists(path):
            continue
        with open(path, errors="replace") as f:
            for line in f:
                match = re.match(r"deb\s+(?:\[(.*?)\]\s+)?(\S+)\s+(\S+)\s*([^#]*)", line)
                if not match:
                    continue
                options, uri, suite, components = match.groups()
                stanza = [f"URIs: {uri}", f"Suites: {suite}"]
                if components.strip():
                    stanza.append(f"Components: {components.strip()}")
                for option in (options or "").split():
                    key, _, value = option.partition("=")
                    key = {"signed-by": "Signed-By", "arch": "Architectures", "trusted": "Trusted"}.get(key.lower())
                    if key:
                        stanza.append(f"{key}: {value}")
                stanzas.append(stanza)
    return stanzas


def later_stanzas():
    """The system's own archive, but of the later release."""
    with open("/etc/os-release") as f:
        release = re.search(r"^VERSION_CODENAME=\"?(\w+)", f.read(), re.M)
    for stanza in system_stanzas():
        suites = next(line for line in stanza if line.lower().startswith("suites:")).split()[1:]
        if release and release.group(1) in suites:
            return [[line for line in stanza if not line.lower().startswith("suites:")] + [f"Suites: {LATER}"]]
    raise Failure("the system's package sources do not name the archive of its release (/etc/apt)")


def apt(kind, *arguments, cwd=None, check=True):
    command = ["apt-get", "-qq", *apt_options(lists_of(kind)), *arguments]
    done = subprocess.run(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if check and done.returncode != 0:
        raise Failure(f"apt-get {' '.join(arguments)} failed:\n{done.stdout.strip()}")
    return done


def apt_update(kind):
    """Fresh package lists in the private folder, once a day at most."""
    folder = lists_of(kind)
    stamp = os.path.join(folder, "updated")
    if os.path.exists(stamp) and os.stat(stamp).st_mtime > time.time() - 86400:
        return
    for part in ("parts", "lists/partial", "cache/archives/partial"):
        os.makedirs(os.path.join(folder, part), exist_ok=True)
    types, stanzas = ("Types: deb", later_stanzas()) if kind == LATER else ("Types: deb deb-src", system_stanzas())
    if not stanzas:
        raise Failure("no package sources are configured on this system (/etc/apt)")
    with open(os.path.join(folder, "parts/pith.sources"), "w") as f:
        f.write("\n\n".join("\n".join([types] + s) for s in stanzas) + "\n")
    print("fetch: reading the package lists of the system's sources (into build)", file=sys.stderr)
    done = apt(kind, "update", check=False)
    if done.returncode != 0:
        raise Failure(f"the package lists cannot be read:\n{done.stdout.strip()}")
    open(stamp, "w").close()


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as f:
        for block in iter(lambda: f.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def apt_cache(*arguments, kind="deb"):
    """What apt-cache says, from the private lists."""
    return subprocess.run(["apt-cache", *apt_options(lists_of(kind)), *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout


def served_name(kind, name):
    """The package to take for `name`: a kernel's package name holds its version, so a meta package stands for it."""
    if kind != "deb" or name != "linux-image-cloud-amd64":
        return name
    match = re.search(r"^Depends: (linux-image-\S+)", apt_cache("show", "--no-all-versions", name), re.M)
    if not match:
        raise Failure(f"{name} is not in the package lists")
    return match.group(1)


def is_served(kind, name, version):
    words = [[word.strip() for word in line.split("|")] for line in apt_cache("madison", name, kind=kind).splitlines()]
    return any(line[1] == version and line[2].endswith("Sources" if kind == "source" else "Packages") for line in words)


def download(kind, name, version, files, folder):
    """Download the pinned version, or else, if that is not served any more, the one that is, and check what is pinned."""
    action = ["source", "--download-only"] if kind == "source" else ["download"]
    name = served_name(kind, name)
    done = apt(kind, *action, f"{name}={version}", cwd=folder, check=False)
    if all(os.path.exists(os.path.join(folder, file_name)) for file_name in files):
        for file_name, digest in files.items():
            if sha256(os.path.join(folder, file_name)) != digest:
                raise Failure(f"{file_name} has not the pinned sha256 {digest}")
        return
    if is_served(kind, name, version):
        raise Failure(f"{name} {version} cannot be downloaded:\n{done.stdout.strip()}")
    shutil.rmtree(folder)
    os.makedirs(folder)
    apt(kind, *action, name, cwd=folder)
    print(f"fetch: {name} {version} (tools/sources.txt) is not served any more; taking the version that is, "
          "which the archive's signature vouches for", file=sys.stderr)


def pin(kind, name):
    try:
        return pins()[(kind, name)]
    except KeyError:
        raise Failure(f"tools/sources.txt has no line for {kind} {name}") from None


def unpack(kind, name, target):
    """Downloads one package of tools/sources.txt and adds what it holds to the folder target."""
    version, files = pin(kind, name)
    folder = os.path.join(lists_of(kind), "download", name)
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    print(f"fetch: {kind} package {name} {version}", file=sys.stderr)
    download(kind, name, version, files, folder)
    if kind == "source":
        command = ["dpkg-source", "--no-check", "--no-copy", "-x", glob.glob(os.path.join(folder, "*.dsc"))[0], target]
    else:
        command = ["dpkg-deb", "-x", glob.glob(os.path.join(folder, "*.deb"))[0], target]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        raise Failure(f"{' '.join(command)} failed:\n{done.stdout}")


def fetch(kind, name, *packages):
    """Makes the folder build/third-party/NAME of what the packages hold (the one of that name) and returns it. Kinds are "source", "deb" and
    LATER, the later release's."""
    target = os.path.join(THIRD_PARTY, name)
    stamp = os.path.join(target, ".fetched")
    packages = packages or [name]
    wanted = "".join(f"{package} {version} {file_name} {digest}\n" for package in packages
                     for version, files in [pin(kind, package)] for file_name, digest in files.items())
    with locked():
        if not is_stamped(stamp, wanted):
            apt_update(kind)
            shutil.rmtree(target, ignore_errors=True)
            for package in packages:
                unpack(kind, package, target)
            with open(stamp, "w") as f:
                f.write(wanted)
    return target


def is_stamped(stamp, wanted):
    """Whether what is there is what was pinned. A stamp that says nothing is from before they did: it is taken for what is wanted now."""
    if not os.path.exists(stamp):
        return False
    with open(stamp, "r+") as f:
        held = f.read()
        if held == "":
            f.write(wanted)
    return held in ("", wanted)


def tool(name):
    """The command that runs NAME of the later release, with that release's loader and libraries."""
    target = fetch(LATER, name, *TOOLS[name])
    libraries = [os.path.join(target, "usr/lib/x86_64-linux-gnu"), os.path.join(target, "usr/lib")]
    return [os.path.join(libraries[0], "ld-linux-x86-64.so.2"), "--library-path", ":".join(libraries),
            os.path.join(target, "usr/bin", name)]


# ---- the packages of the root file system ------------------------------------------------------------------------

def locked():
    """Held while build/third-party is filled."""
    os.makedirs(THIRD_PARTY, exist_ok=True)
    lock = open(os.path.join(THIRD_PARTY, ".lock"), "w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    return lock


def optional_pins(name):
    """The file with the pins of what the package adds to the root file system."""
    path = os.path.join(OPTIONAL, f"{name}.txt")
    if os.path.basename(path) not in os.listdir(OPTIONAL):
        known = ", ".join(sorted(file_name[:-4] for file_name in os.listdir(OPTIONAL)))
        raise Failure(f"--package {name}: not pinned (`python3 tools/pith/fetch.py pin {name}` does that); those that are: {known}")
    return path


def root_packages(optional=()):
    """The paths of the root file system's package files (.deb) by name, with those of optional packages, downloaded if they are not there."""
    folder = os.path.join(THIRD_PARTY, "packages")
    paths = [ROOT_PINS, *map(optional_pins, optional)]
    with locked():
        os.makedirs(folder, exist_ok=True)
        wanted = {name: (version, *files.popitem()) for (_, name), (version, files) in pins(*paths).items()}

        def missing():
            return [name for name, (_, file_name, _) in wanted.items() if not os.path.exists(os.path.join(folder, file_name))]

        if missing():
            download_packages({name: wanted[name] for name in missing()}, folder)
        return {name: os.path.join(folder, file_name) for name, (_, file_name, _) in wanted.items()}


def download_packages(wanted, folder):
    """Downloads {name: (version, file name, sha256)}, all in one go where all are still served; a file gets its pinned name."""
    print(f"fetch: {len(wanted)} packages of the root file system", file=sys.stderr)
    apt_update("deb")
    place = os.path.join(APT, "download", "packages")
    shutil.rmtree(place, ignore_errors=True)
    os.makedirs(place)
    apt("deb", "download", *(f"{name}={version}" for name, (version, _, _) in wanted.items()), cwd=place, check=False)
    for name, (version, file_name, digest) in wanted.items():
        one = os.path.join(place, name)
        if os.path.exists(os.path.join(place, file_name)):
            found = os.path.join(place, file_name)
            if sha256(found) != digest:
                raise Failure(f"{file_name} has not the pinned sha256 {digest}")
        else:
            os.makedirs(one)
            download("deb", name, version, {file_name: digest}, one)
            found = glob.glob(os.path.join(one, "*.deb"))[0]
        os.replace(found, os.path.join(folder, file_name))


def names_of_root():
    """(wanted, left out) of tools/rootfs/packages.txt."""
    with open(ROOT_PACKAGES) as lines:
        names = [line.split("#")[0].strip() for line in lines]
    return [n for n in names if n and not n.startswith("-")], [n[1:] for n in names if n.startswith("-")]


def closure(wanted, left_out):
    """All packages that these need, as apt finds it on a system that has nothing but what is left out."""
    status = os.path.join(APT, "status")
    with open(status, "w") as f:
        for name in left_out:
            f.write(f"Package: {name}\nStatus: install ok installed\nVersion: 999\nArchitecture: amd64\nMulti-Arch: foreign\n"
                    "Maintainer: nobody\nDescription: left out\n\n")
    plan = apt("deb", "-o", f"Dir::State::status={status}", "--no-install-recommends", "--simulate", "install", *wanted)
    return re.findall(r"^Inst (\S+)", plan.stdout, re.M)


def needs(*names):
    """The names in the packages' own dependencies."""
    return set(re.findall(r"^ [ |](?:Pre)?Depends: (\S+)", apt_cache("depends", *names), re.M))


def parts(name, always):
    """The packages that what the package brings asks for in exactly one version: they are one thing in several packages."""
    found, seen, new = set(), set(always), {name} - always
    while new:
        seen |= new
        found |= {part for line in re.findall(r"^(?:Pre-)?Depends: (.*)", show(*new), re.M) for part in re.findall(r"(\S+) \(= ", line)}
        new = needs(*new) - seen
    return found


def show(*names):
    """The packages' stanzas as the archive serves them now, whatever this machine has installed."""
    nothing = os.path.join(APT, "status")
    return apt_cache("-o", f"Dir::State::status={nothing}", "show", "--no-all-versions", *names)


def write_pins(path, names, origin):
    """The packages as the archive serves them now."""
    lines = [f"# Made by `tools/pith/fetch.py pin` from {origin}; the columns are those of tools/sources.txt."]
    shown = show(*names) if names else ""
    for stanza in sorted(re.split(r"\n\n(?=Package: )", shown)):
        fields = dict(re.findall(r"^(\S+): (.*)", stanza, re.M))
        version = fields["Version"]
        file_name = f"{fields['Package']}_{version.replace(':', '%3a')}_{fields['Architecture']}.deb"
        lines.append(f"deb {fields['Package']} {version} {file_name} {fields['SHA256']}")
    with open(path, "w") as f:
        f.write("\n".join(lines) + "\n")


def pin_root(new=()):
    """Writes tools/rootfs/sources.txt and a file for each optional package, of which some may be new."""
    apt_update("deb")
    wanted, left_out = names_of_root()
    for name in new:
        if not re.fullmatch(r"[a-z0-9][a-z0-9+.-]+", name) or not apt_cache("show", name):
            raise Failure(f"the system's package sources have no package {name}")
    always = set(closure(wanted, left_out))
    write_pins(ROOT_PINS, sorted(always), "packages.txt")
    for name in {*new, *(file_name[:-4] for file_name in os.listdir(OPTIONAL))}:
        # What only maintainer scripts use may be the very thing that somebody names, or part of it: perl has its interpreter in perl-base.
        asked_for = {name} | needs(name) | parts(name, always)
        added = set(closure([*wanted, name], [other for other in left_out if other not in asked_for])) - always
        write_pins(os.path.join(OPTIONAL, f"{name}.txt"), sorted(added), f"what {name} needs")


def main(arguments):
    if arguments[:1] == ["pin"]:
        pin_root(arguments[1:])
    elif len(arguments) == 2 and arguments[0] in ("source", "deb"):
        print(fetch(*arguments))
    else:
        raise Failure("usage: fetch.py source|deb NAME, or fetch.py pin [NAME]...")


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except Failure as failure:
        sys.exit(f"fetch: {failure}")
