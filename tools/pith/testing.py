# SPDX-License-Identifier: MIT
"""`./pith test`: finds the tests, runs them two at a time, a line each; the last line is `N passed, N failed`.

host/NAME      tests/host/NAME, built with sanitizers: passes with status 0
tools/NAME     tests/tools/test_NAME.py: this program's own unit tests
fuzz/NAME      ./pith fuzz, short and always the same
kernel/NAME    a boot image of tests/kernel in QEMU: passes with its result line
system/FILE.NAME   function test_NAME of tests/system/FILE.py, in a process of its own

A system test that failed has a second chance after all others, alone, and is named at the end: the host's load may have been to blame.
What boots Pith is run with one CPU and, as NAME@4, with four: all kernel tests, and of the system tests a sample (all of them with --full).
Each commit has samples of its own, so that what one leaves out another runs; --seed chooses others.
"""

import ast
import concurrent.futures
import contextlib
import glob
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time

import boot
import linux_guest
import rootfs
from paths import Failure, ROOT, build, root

WORKERS = 2
SEVERAL = 4          # CPUs of the @4 tests
SAMPLE = 12          # of the system tests with several CPUs
LONG_SHARE = 4       # of the system's long tests a quarter
VARIANTS = {1: 2, SEVERAL: 1}  # by CPUs: of the kernel's tests on its other builds
# They count instructions with one CPU's clock, which with several counts those of all together; limits boots with several itself.
ONE_CPU = ("kernel/irqs-off", "kernel/costs", "kernel/limits", "system/tools.linux_benchmark")
DOUBTS = 5           # so many failed system tests are run again, alone; more are no accident
SECONDS = 300       # a test's limit on a machine that has nothing else to do, where it names none
# Limits catch what hangs, so they are stretched, the more the busier the machine is.
PATIENCE = 2 + os.getloadavg()[0] / (os.cpu_count() or 1)
RUN_SYSTEM = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("test", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
getattr(module, sys.argv[2])()
"""


class Test:
    def __init__(self, name, command, full=False, seconds=SECONDS, cpus=1):
        self.name, self.command, self.full, self.seconds, self.cpus = name, command, full, seconds, cpus
        self.sampled = False  # long: the default run has some of these

    def uses_wall_time(self):
        """A busy host can make it fail. The others count instructions or nothing."""
        return self.name.startswith("system/")

    def with_cpus(self, cpus):
        test = Test(f"{self.name}@{cpus}", self.command, self.full, self.seconds, cpus)
        test.sampled = self.sampled
        return test


def host_tests():
    return [Test(f"host/{os.path.basename(folder)}", [build("tests/host", os.path.basename(folder))])
            for folder in sorted(glob.glob(root("tests/host/*"))) if glob.glob(os.path.join(folder, "*.c"))]


def tool_tests():
    return [Test(f"tools/{os.path.basename(path)[5:-3]}", [sys.executable, "-B", path])
            for path in sorted(glob.glob(root("tests/tools/test_*.py")))]


def fuzz_tests():
    return [Test(f"fuzz/{what}", [root("pith"), "fuzz", what, "--seed", "1", "--operations", str(operations)])
            for what, operations in (("host", 60000), ("ext2", 500), ("elf", 100000))]


def kernel_tests():
    if not glob.glob(root("tests/kernel/*.c")):
        return []
    script = root("tools/pith/kernel_test.py")
    return [Test("kernel/calls", [sys.executable, "-B", script, "kernel"]),
            Test("kernel/calls-invariants", [sys.executable, "-B", script, "kernel", "debug"]),
            Test("kernel/iommu", [sys.executable, "-B", script, "kernel", "iommu39"]),
            Test("kernel/iommu-invariants", [sys.executable, "-B", script, "kernel", "iommu48", "debug"]),
            Test("kernel/calls-kpti", [sys.executable, "-B", script, "kernel", "kpti"]),
            Test("kernel/calls-as-a-cpu", [sys.executable, "-B", script, "kernel", "as-a-cpu"]),
            Test("kernel/iommu-kpti", [sys.executable, "-B", script, "kernel", "iommu39", "kpti"]),
            Test("kernel/objects-kpti", [sys.executable, "-B", script, "kernel-objects", "kpti"]),
            Test("kernel/objects", [sys.executable, "-B", script, "kernel-objects"]),
            Test("kernel/objects-invariants", [sys.executable, "-B", script, "kernel-objects", "debug"]),
            Test("kernel/inversions", [sys.executable, "-B", root("tools/pith/kernel_inversions.py")]),
            Test("kernel/fuzz", [root("pith"), "fuzz", "system-calls", "--seed", "1", "--operations", "1"]),
            Test("kernel/fuzz-invariants", [root("pith"), "fuzz", "system-calls", "--debug", "--seed", "2", "--operations", "1"]),
            Test("kernel/irqs-off", [sys.executable, "-B", root("tools/pith/kernel_report.py")]),
            Test("kernel/realtime", [sys.executable, "-B", root("tools/pith/realtime.py")]),
            Test("kernel/limits", [sys.executable, "-B", root("tools/pith/kernel_limits.py")]),
            Test("kernel/costs", [sys.executable, "-B", root("tools/pith/kernel_costs.py")])]


def system_tests():
    """Found without importing: @full, @sampled and @seconds(N) of support.py are read off the source."""
    tests = []
    for path in sorted(glob.glob(root("tests/system/*.py"))):
        name = os.path.basename(path)[:-3]
        with open(path) as f:
            tree = ast.parse(f.read(), path)
        for node in tree.body:
            if not isinstance(node, ast.FunctionDef) or not node.name.startswith("test_"):
                continue
            test = Test(f"system/{name}.{node.name[5:]}",
                        [sys.executable, "-B", "-c", RUN_SYSTEM, path, node.name])
            for mark in node.decorator_list:
                if isinstance(mark, ast.Name):
                    test.full |= mark.id == "full"
                    test.sampled |= mark.id == "sampled"
                if isinstance(mark, ast.Call) and mark.func.id == "seconds":
                    test.seconds = mark.args[0].value
            tests.append(test)
    return tests


def on_cpus(tests, cpus):
    """The tests with that many CPUs, as far as they can be."""
    return [test.with_cpus(cpus) for test in tests if cpus == 1 or test.name not in ONE_CPU]


def commit():
    """The checkout's, if it is one and this machine has git."""
    if not shutil.which("git"):
        return ""
    command = ["git", "-C", ROOT, "rev-parse", "HEAD"]
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False).stdout.decode().strip()


def keep_sample(tests, count, generator):
    """All but that many of them are for --full."""
    kept = generator.sample(tests, count)
    for test in tests:
        test.full = test.full or test not in kept


def discover(options):
    kernel, system = kernel_tests(), system_tests()
    if options.cpus:
        return on_cpus(kernel + system, options.cpus)
    generator = random.Random(f"{commit()} {options.seed}")
    several = on_cpus(kernel, SEVERAL)
    for test in several:
        # CPUs that wait for the debug kernel's one lock while others check all invariants, or change page tables twice a call: minutes.
        test.full |= test.name in ("kernel/fuzz-invariants@4", "kernel/objects-invariants@4", "kernel/objects-kpti@4")
    for tests in (kernel, several):
        variants = [test for test in tests if not test.full and test.name.partition("@")[0].endswith(("-kpti", "-invariants"))]
        keep_sample(variants, VARIANTS[tests[0].cpus], generator)
    others = on_cpus(system, SEVERAL)
    quick = [test for test in others if not test.full and not test.sampled and test.seconds <= SECONDS]
    keep_sample(quick, SAMPLE, generator)
    for test in others:
        test.full |= test not in quick
    long = [test for test in system if test.sampled]
    keep_sample(long, len(long) // LONG_SHARE, generator)
    return host_tests() + tool_tests() + fuzz_tests() + kernel + system + several + others


def chosen(tests, names, full, cpus):
    def matches(test, name):
        """A name means the tests with one CPU, unless it says @4 or --cpus was given."""
        return test.name == name or test.name.startswith(name) and (test.cpus == 1 or cpus or "@" in name)
    if names:
        for name in names:
            if not any(matches(test, name) for test in tests):
                raise Failure(f"test: there is no test {name} (see ./pith test --list)", 2)
        return [t for t in tests if any(matches(t, name) for name in names)]
    return [t for t in tests if full or not t.full]


def folder_of(test):
    return build("test", test.name.replace("/", "."))


def keep_traces(test):
    """What a failed run left is not overwritten by another one."""
    shutil.rmtree(f"{folder_of(test)}.first", ignore_errors=True)
    os.rename(folder_of(test), f"{folder_of(test)}.first")


class Processes:
    """Those of the tests that run. After end() no more begin."""

    def __init__(self):
        self.lock, self.running, self.ended = threading.Lock(), set(), False

    def start(self, *arguments, **options):
        with self.lock:
            if self.ended:
                raise Failure("interrupted")
            process = subprocess.Popen(*arguments, **options, start_new_session=True)
            self.running.add(process)
            return process

    def kill(self, process):
        """It, and what it started, ends."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)

    def forget(self, process):
        """Before its number is another's."""
        with self.lock:
            self.kill(process)
            self.running.remove(process)
            process.wait()

    def end(self):
        with self.lock:
            self.ended = True
            for process in self.running:
                self.kill(process)


def run_one(test, processes):
    """Returns (passed, seconds, output)."""
    folder = folder_of(test)
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    environment = {**os.environ, "PITH_TEST": folder, "PITH_RUN": os.path.join(folder, "run"),
                   "PYTHONPATH": f"{root('tests/system')}:{root('tools/pith')}", "PYTHONDONTWRITEBYTECODE": "1",
                   "PITH_PATIENCE": f"{PATIENCE:.1f}", "PITH_CPUS": str(test.cpus), "LC_ALL": "C.UTF-8"}
    began = time.monotonic()
    output_path = os.path.join(folder, "output")
    with open(output_path, "wb") as output:
        process = processes.start(test.command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
        try:
            status = process.wait(test.seconds * PATIENCE)
        except subprocess.TimeoutExpired:
            status = f"no end after {test.seconds * PATIENCE:.0f} seconds"
        finally:
            processes.forget(process)
    with open(output_path, errors="replace") as f:
        text = f.read()
    passed = status == 0
    if passed:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        text += f"\n[{status if isinstance(status, str) else f'status {status}'}]"
    return passed, time.monotonic() - began, text


def keep_ignoring():
    """What our caller has us ignore (nohup, a script's background) is ignored, but not by the tests, which send such signals."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda number, stack: None)


def run(options):
    tests = chosen(discover(options), options.name, options.full, options.cpus)
    os.environ["PITH_SEED"] = str(options.seed)
    if options.list:
        for test in tests:
            print(test.name + (" (--full)" if test.full else ""))
        return 0
    keep_ignoring()
    boot.make()
    if any(test.name.startswith("host/") for test in tests):
        boot.make("host-tests")
    if any(test.name.startswith("system/") for test in tests):
        boot.make("guests", "guest-packages")
        rootfs.image()  # or whichever test comes first finds the words of fetching it in its output
        linux_guest.busybox()
    return 0 if run_all(tests) else 1


def show(test, passed, seconds, output):
    print(f"{'ok  ' if passed else 'FAIL'} {test.name} ({seconds:.1f} s)", flush=True)
    summary = [line for line in output.splitlines() if line.startswith(("coverage:", "fuzz:"))]
    for line in (summary if passed else output.splitlines()[-60:]):
        print(f"     | {line}", flush=True)


def run_all(tests):
    """Whether all passed. What failed is named again at the end, where it is not overlooked."""
    failed, processes = [], Processes()
    pool = concurrent.futures.ThreadPoolExecutor(WORKERS)
    try:
        running = {pool.submit(run_one, test, processes): test for test in tests}
        for future in concurrent.futures.as_completed(running):
            passed, seconds, output = future.result()
            show(running[future], passed, seconds, output)
            if not passed:
                failed.append(running[future])
    finally:  # at once if it is Ctrl-C
        pool.shutdown(wait=False, cancel_futures=True)
        processes.end()
    doubtful = [test for test in failed if test.uses_wall_time()]
    if doubtful and len(doubtful) == len(failed) <= DOUBTS:
        for test in doubtful:
            print(f"again, and alone: {test.name}", flush=True)
            keep_traces(test)
            passed, seconds, output = run_one(test, Processes())
            show(test, passed, seconds, output)
            if passed:
                failed.remove(test)
        again = [test.name for test in doubtful if test not in failed]
        if again:
            print(f"passed only when run again, alone: {' '.join(again)}")
    if doubtful or failed:
        print("what a failed test left is below build/test/")
    if failed:
        print(f"failed: {' '.join(test.name for test in failed)}")
    print(f"{len(tests) - len(failed)} passed, {len(failed)} failed")
    return bool(tests) and not failed
