# SPDX-License-Identifier: MIT
"""`./pith debug` and `./pith bench`: that they do what they say."""

from support import PITH, check, run


def test_debugger_knows_kernel_and_components():
    batch = ["hbreak kernel_main", "continue", "info symbol $rip", "pith-symbols linux", "info address vfs_init",
             "delete", "hbreak vfs_init", "continue", "backtrace 2"]
    command = [PITH, "debug"]
    for line in batch:
        command += ["--batch", line]
    text = run(command, timeout=120).stdout.decode(errors="replace")
    check("kernel_main in section" in text, "the kernel's first function", text)
    check('Symbol "vfs_init" is a function' in text, "a symbol of linux", text)
    check("#0  vfs_init" in text, "a breakpoint in linux", text)


def test_kernel_benchmark():
    result = run([PITH, "bench", "kernel"], timeout=120).ok()
    lines = dict(line.split()[:2] for line in result.stdout.decode().splitlines())
    for name in ("ipc_roundtrip_0w", "notify_pingpong", "fault_map_reply", "map_unmap_page"):
        check(0 < int(lines.get(name, 0)) < 10000, name, result.stdout)
    for name, low, high in (("kernel_text", 30000, 200000), ("kernel_lines", 5000, 12000), ("object_thread", 2048, 2048),
                            ("boot_to_user", 10**6, 10**9), ("irqs_off_max", 100, 20000), ("wall_ipc_roundtrip_0w", 100, 10**6)):
        check(low <= int(lines.get(name, 0)) <= high, name, result.stdout)


def test_linux_benchmark():
    result = run([PITH, "bench", "linux", "--icount", "sys_null", "ipc_pipe_rt"], timeout=250).ok()
    rows = {line.split()[0]: line.split() for line in result.stdout.decode().splitlines()}
    for name in ("sys_null", "ipc_pipe_rt"):
        check(len(rows.get(name, ())) == 5 and float(rows[name][1]) > 0 and float(rows[name][2]) > 0, name, result.stdout)
