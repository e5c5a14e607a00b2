# SPDX-License-Identifier: MIT
"""`./pith verify`: models (SPIN) and proofs (CBMC), each against its mutants; see docs/verification.md.

tests/models/NAME.pml   a model; tests/proofs/NAME.c a harness around kernel sources. NAME.check beside it says:

    run [NAME=VALUE ...]      check it with these macros; `full` the same, only with --full
    source FILE               proofs: compiled with the harness (kernel sources that it does not include itself)
    option WORDS              proofs: more options for CBMC
    mutants [NAME=VALUE ...]  with which macros mutants are looked for: in the order of these lines, until one fails
    = NAME: WHAT IS WRONG     a mutant. It replaces whole lines: those after `-` by those after `+` (several pairs are
    file FILE                 several places), in the model or in this FILE. Each must be found.
    with [NAME=VALUE ...]     only with these macros is this one looked for
"""

import concurrent.futures
import glob
import os
import re
import shutil
import subprocess
import sys
import threading
import time

import fetch
from paths import Failure, build, root

WORKERS = 2
SECONDS = 600       # a run's limit, also where others use the machine; ten times as much with --full
DEPTH = 2000000
PAN_FLAGS = ["-w", "-DNFAIR=4", "-DCOLLAPSE", "-DMEMLIM=3000"]
CBMC_FLAGS = ["--bounds-check", "--pointer-check", "--div-by-zero-check", "--signed-overflow-check",
              "--undefined-shift-check", "--unwinding-assertions", "--no-malloc-may-fail", "-DPITH_DEBUG=1",
              "-DPITH_HOST_TEST=1"]
CLAIMS_ONLY = "--no-built-in-assertions"
PROOF_INCLUDES = ("tests/proofs/include", "abi/include", "kernel/include", "kernel/arch/x86_64", "")


class Mutant:
    def __init__(self, name, what):
        self.name, self.what, self.file, self.hunks, self.runs = name, what, None, [], []

    def apply(self, text):
        """The text with all hunks replaced; None if one is not there exactly once."""
        text = "\n" + text
        for old, new in self.hunks:
            if text.count("\n" + old) != 1:
                return None
            text = text.replace("\n" + old, "\n" + new)
        return text[1:]


class Check:
    def __init__(self, kind, path):
        self.kind, self.path = kind, path
        self.name = f"{kind}/{os.path.basename(path).rsplit('.', 1)[0]}"
        self.runs, self.full, self.mutant_runs, self.sources, self.options, self.mutants = [], [], [], [], [], []
        with open(path.rsplit(".", 1)[0] + ".check") as lines:
            for number, line in enumerate(lines, 1):
                if not self.parse(line):
                    raise Failure(f"verify: {self.name}.check:{number}: {line.strip()}")

    def parse(self, line):
        word, _, rest = line.rstrip("\n").partition(" ")
        lists = {"run": self.runs, "full": self.full, "mutants": self.mutant_runs}
        if line.startswith("-") and self.mutants:
            hunks = self.mutants[-1].hunks
            if not hunks or hunks[-1][1]:
                hunks.append(["", ""])
            hunks[-1][0] += line[1:]
        elif line.startswith("+") and self.mutants and self.mutants[-1].hunks:
            self.mutants[-1].hunks[-1][1] += line[1:]
        elif word == "=" and ": " in rest:
            self.mutants.append(Mutant(*rest.split(": ", 1)))
        elif word == "file" and self.mutants:
            self.mutants[-1].file = rest
        elif word == "with" and self.mutants:
            self.mutants[-1].runs.append(tuple(rest.split()))
        elif word in lists:
            lists[word].append(tuple(rest.split()))
        elif word == "source":
            self.sources.append(rest)
        elif word == "option":
            self.options += rest.split()
        else:
            return not line.strip() or line.startswith("#")
        return True


def execute(command, folder, limit, name):
    """(status or None after the limit, output); the output is kept in `folder`."""
    path = os.path.join(folder, name)
    with open(path, "w") as out:
        process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)
        with running_lock:
            running.add(process)
        try:
            status = process.wait(limit)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            status = None
        finally:
            with running_lock:
                running.discard(process)
    with open(path, errors="replace") as text:
        return status, text.read()


running, running_lock = set(), threading.Lock()


def defines(macros):
    return [f"-D{macro}" for macro in macros]


# ---- one run: returns ("holds" | "fails" | "broken", what is to be told) ----

def run_model(_check, mutant, text, macros, folder, limit):
    model = os.path.join(folder, "model.pml")
    with open(model, "w") as out:
        out.write(text)
    status, output = execute(["spin", *defines(macros), "-a", model], folder, limit, "spin.log")
    if status != 0 or not os.path.exists(os.path.join(folder, "pan.c")):
        return "broken", output
    live = "ltl " in text
    # Compiling takes longer than finding a mutant does.
    status, output = execute(["gcc", "-O0" if mutant else "-O1", *PAN_FLAGS, *([] if live else ["-DSAFETY"]), "-o", "pan", "pan.c"], folder, limit,
                             "gcc.log")
    if status != 0:
        return "broken", output
    status, output = execute(["./pan", *(["-a", "-f"] if live else []), f"-m{DEPTH}"], folder, limit, "pan.log")
    shown = re.search(r"^pan:1: (.*)", output, re.M)
    errors = re.search(r"errors: (\d+)", output)
    # pan ends with status 0 whatever it found.
    if status != 0 or not errors or "max search depth too small" in output:
        return "broken", f"no answer (status {status})\n" + output[-500:]
    if errors.group(1) != "0":
        return "fails", shown.group(1) if shown else "an error"
    if "Search not completed" in output:
        return "broken", "the search was not completed"
    return "holds", re.search(r"(\d+) states, stored", output).group(1) + " states"


def run_proof(check, mutant, text, macros, folder, limit):
    """A mutated source or header lies in `folder` at its own path, which comes first on the include path."""
    harness = check.path
    if mutant:
        target = os.path.join(folder, mutant.file or os.path.relpath(check.path, root()))
        os.makedirs(os.path.dirname(target), exist_ok=True)
        with open(target, "w") as out:
            out.write(text)
        if not mutant.file:
            harness = target
    includes = [os.path.join(top, path) for top in (folder, root()) for path in PROOF_INCLUDES]
    command = [*fetch.tool("cbmc"), *CBMC_FLAGS, *check.options, *defines(macros), f"-I{root('tests/proofs')}",
               *(f"-I{path}" for path in includes), harness, *(root(source) for source in check.sources)]
    # Most mutants break a claim of ours, which is found in half the time without what C leaves undefined.
    if mutant and CLAIMS_ONLY not in command:
        verdict = judge(*execute([*command, CLAIMS_ONLY], folder, limit, "cbmc.log"))
        if verdict[0] == "fails":
            return verdict
    return judge(*execute(command, folder, limit, "cbmc.log"))


def judge(status, output):
    """What the prover's answer means."""
    failures = re.findall(r"^\[(.*?)\] line \d+ (.*): FAILURE$", output, re.M)
    if "VERIFICATION SUCCESSFUL" in output:
        return "holds", re.search(r"of (\d+) failed", output).group(1) + " assertions"
    # What the prover does not know, or did not follow to its end, is no answer.
    known = [text for name, text in failures if "no-body" not in name and ".unwind." not in name]
    if "VERIFICATION FAILED" not in output or len(known) != len(failures):
        return "broken", f"no answer (status {status})\n" + "\n".join(name for name, _ in failures) + output[-500:]
    return "fails", known[0]


RUN = {"models": run_model, "proofs": run_proof}


def original(check, mutant):
    return root(mutant.file) if mutant and mutant.file else check.path


def prepare(check, mutant):
    """The text of the model or of the mutated file; None: the mutant does not apply."""
    with open(original(check, mutant)) as source:
        text = source.read()
    return mutant.apply(text) if mutant else text


def run_job(job, limit):
    """Returns (passed, line, details)."""
    check, mutant, runs = job
    start, told = time.monotonic(), ""
    folder = build("verify", check.name.replace("/", "."),
                   mutant.name if mutant else "-".join(runs[0]).replace("=", "") or "run")
    for macros in runs:
        shutil.rmtree(folder, ignore_errors=True)
        os.makedirs(folder)
        text = prepare(check, mutant)
        if text is None:
            return False, f"{check.name} ! {mutant.name}", f"the mutant does not apply to {original(check, mutant)}"
        verdict, told = RUN[check.kind](check, mutant, text, macros, folder, limit)
        if verdict != "holds":
            break
    name = f"{check.name} ! {mutant.name}" if mutant else " ".join([check.name, *runs[0]])
    passed = verdict == ("fails" if mutant else "holds")
    line = f"{name} ({told.strip().splitlines()[0] if passed and told.strip() else verdict}, {time.monotonic() - start:.1f} s)"
    if mutant and verdict == "holds":
        told = f"survives: {mutant.what}"
    return passed, line, "" if passed else f"{told}\n(see {folder})"


def find(names):
    checks = [Check("models", path) for path in sorted(glob.glob(root("tests/models/*.pml")))]
    checks += [Check("proofs", path) for path in sorted(glob.glob(root("tests/proofs/*.c")))]
    for name in names:
        if not any(check.name.startswith(name) or check.name.split("/")[1] == name for check in checks):
            raise Failure(f"verify: there is no {name}; there are {', '.join(c.name for c in checks)}", 2)
    return [check for check in checks if not names or
            any(check.name.startswith(name) or check.name.split("/")[1] == name for name in names)]


def jobs_of(checks, full):
    for check in checks:
        for macros in check.runs + (check.full if full else []):
            yield check, None, [macros]
        for mutant in check.mutants:
            yield check, mutant, mutant.runs or check.mutant_runs


def run(options):
    checks = find(options.name)
    if any(check.kind == "proofs" for check in checks):
        fetch.tool("cbmc")
    jobs = list(jobs_of(checks, options.full))
    limit = SECONDS * (10 if options.full else 1)
    passed = failed = 0
    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        futures = [pool.submit(run_job, job, limit) for job in jobs]
        try:
            for future in concurrent.futures.as_completed(futures):
                good, line, details = future.result()
                passed, failed = passed + good, failed + (not good)
                print(("ok   " if good else "FAIL ") + line, flush=True)
                if details:
                    print("     " + details.strip().replace("\n", "\n     "), flush=True)
        except BaseException:
            for future in futures:
                future.cancel()
            with running_lock:
                for process in running:
                    process.kill()
            raise
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0
