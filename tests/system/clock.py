# SPDX-License-Identifier: MIT
"""The wall clock and the CMOS clock: right after boot, set, and their component killed."""

import calendar
import time

from support import Shell, check, equal, on_machine, shell


def test_right_after_boot():
    """Within a second of the host's, without the kernel's command line."""
    with Shell() as terminal:
        before = time.time()
        shown = int(terminal.type("date +%s"))
        after = time.time()
        # shown is a whole second, the one that has begun.
        check(before - 1 < shown + 1 and shown < after + 1, "date +%s", before, shown, after)
        terminal.power_off()


def test_any_year():
    for base in ("1999-12-31T23:59:58", "2038-01-19T03:14:06", "2085-12-31T23:59:58"):
        result = on_machine("date +%s; hwclock -u; cat /pith/components/clock/log", lambda command: [*command, "-rtc", f"base={base}"]).ok()
        shown = int(result.stdout.split()[0])
        expected = calendar.timegm(time.strptime(base, "%Y-%m-%dT%H:%M:%S"))
        check(expected <= shown <= expected + 30, base, result.stdout)
        # hwclock reads later, but from a clock that begins its seconds later: up to one less.
        cmos = calendar.timegm(time.strptime(result.stdout.decode().splitlines()[1][:24], "%a %b %d %H:%M:%S %Y"))
        check(shown - 1 <= cmos <= shown + 30, base, result.stdout)
        check("error" not in result.stdout.decode(), base, result.stdout)


def test_no_time():
    """QEMU counts 32 bits of seconds: so it shows a second of 1969. That is said, and some sane date is taken."""
    result = on_machine("date -u +%Y; hwclock -u 2>&1; cat /pith/components/clock/log",
                        lambda command: [*command, "-rtc", "base=2106-02-07T06:26:16"]).ok()
    text = result.stdout.decode()
    check(text.startswith("2024\nhwclock: RTC_RD_TIME: Invalid argument\n"), "date and hwclock", text)
    check("warning: the CMOS clock shows no time: 1969-12-31 23:5" in text and "error: the CMOS clock cannot be read" in text, "log", text)


def test_epoch_of_the_command_line():
    result = shell("date +%s", options=["--icount"]).ok()
    # Counted time leaps from deadline to deadline while nothing runs, so it is seconds or minutes later.
    check(1704067200 <= int(result.stdout) < 1704067200 + 86400, "date +%s", result.stdout)


def test_setting():
    """date -s changes the time of the whole system, hwclock that of the machine; files have the new time on every file system."""
    result = shell("""
        date -u -s '2031-02-03 04:05:06' >/dev/null
        date -u +%Y-%m-%d; touch /root/new /tmp/new; mkdir /root/folder
        stat -c %y /root/new /tmp/new /root/folder | cut -c1-13
        hwclock -u | grep -c 2031; hwclock -u -w; hwclock -u | grep -c 'Feb  3 04:.* 2031'
        date -u -s '2030-01-01 00:00:00' >/dev/null; hwclock -u -s; date -u +%Y-%m-%d
        [ $(grep btime /proc/stat | cut -c7-) -gt 1927000000 ]; echo $?
        exec 3</dev/rtc0; hwclock -u 2>&1; exec 3<&-; hwclock -u >/dev/null; echo $?
        date -s @0 2>&1""")
    equal(result.stdout.decode().splitlines(), ["2031-02-03"] + ["2031-02-03 04"] * 3 + ["0", "1", "2031-02-03", "0",
          "hwclock: can't open '/dev/rtc': Device or resource busy", "0",
          "date: can't set date: Invalid argument", "Thu Jan  1 00:00:00 UTC 1970"])


def test_killed():
    """The time goes on, and whoever asks gets an answer."""
    result = shell("""
        (while [ ! -e /tmp/stop ]; do hwclock -u >/dev/null || echo failed; date -s @2000000000 >/dev/null || echo failed; done) &
        kills=0
        while [ $kills -lt 20 ]; do kills=$((kills + 1)); echo 1 >/pith/components/clock/kill; hwclock -u >/dev/null || echo failed; done
        touch /tmp/stop; wait
        date -u +%Y; grep -E '^(state|kills)' /pith/components/clock/status""").ok()
    equal(result.stdout, b"2033\nstate: running\nkills: 20\n")


def test_wait_that_the_clock_is_set_under():
    """A sleep of so long is not changed by it."""
    result = shell("""
        sleep 2 & sleeper=$!
        date -s @2000000000 >/dev/null
        before=$(cut -d. -f1 /proc/uptime); wait $sleeper; after=$(cut -d. -f1 /proc/uptime)
        echo $((after - before < 5))""").ok()
    equal(result.stdout, b"1\n")
