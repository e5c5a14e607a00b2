# SPDX-License-Identifier: MIT
"""Debian's own programs, dynamically linked, on the root made of its packages: what they print on Pith is what they print on Debian's
kernel, on the same root, in the same emulator."""

import difflib

import bench
import linux_guest
import machine
import rootfs
from support import check, pith, sampled, seconds, write_file

START = "unset LANG; umask 022; export TZ=UTC; rm -rf /tmp/w; mkdir /tmp/w; cd /tmp/w\n"


def script_of(snippets):
    """One script of them all; each in a shell and a folder of its own, with its status."""
    parts = [f"echo '=== {number}'; cat >{number}.sh <<'END OF SNIPPET'\n{text.strip()}\nEND OF SNIPPET\n"
             f"(mkdir {number} && cd {number} && bash ../{number}.sh) 2>&1; echo \"status $?\"\n" for number, text in enumerate(snippets)]
    return START + "".join(parts)


def on_linux(path, packages, limit=250):
    command = linux_guest.command_line(path, linux_guest.ON_ROOT, machine.Disk(rootfs.image(packages), keep=False))
    with machine.Machine(command) as emulator:
        return bench.collect(emulator, limit)[0].rpartition("status ")[0]


def same(*snippets, packages=()):
    """packages: those of tools/rootfs/optional that the root has, too."""
    path = write_file("script", script_of(snippets).encode())
    options = [word for package in packages for word in ("--package", package)]
    texts = [on_linux(path, packages), pith("bash", "/script", add=[f"{path}:/script"], timeout=250, options=options).ok().stdout.decode()]
    here, there = (dict(part.split("\n", 1) for part in text.split("=== ")[1:]) for text in texts)
    check(len(here) == len(snippets), "what ran on Linux", texts[0][-3000:])
    wrong = []
    for number, snippet in enumerate(snippets):
        if here[str(number)] != there.get(str(number)):
            wrong += ["", snippet.strip(), *difflib.unified_diff(here[str(number)].splitlines(), there.get(str(number), "").splitlines(),
                                                                 "Linux", "Pith", n=1, lineterm="")]
    check(not wrong, "differences", *wrong[:200])


@sampled
@seconds(600)
def test_files():
    """coreutils and findutils on files: names, attributes, times, links, copies."""
    same("touch -d '2020-01-02 03:04:05.678 UTC' a; mkdir d; ln -s a l; mkfifo p; chmod 4751 a; ls -l --full-time a; ls -lF | cut -c1-10,45-; "
         "stat -c '%A %a %F %h %s %U %G %X %Y %n' a; stat -c '%F %N' l p d; stat -f -c '%T %s %l' .",
         "seq 1000 >a; cp -a a b; cp --preserve=mode,timestamps a c; install -m 640 -g tty a e; cp -l a f; cp -s $PWD/a g; ls -l | cut -c1-25; cmp a b; "
         "cp --reflink=auto a h; cp --sparse=always a i; du -k h i; cp -r . ../copy1; diff -r . ../copy1",
         "dd if=/dev/zero of=s bs=1 count=1 seek=1M 2>/dev/null; stat -c %s s; cp --sparse=always s t; stat -c '%s %b' t; truncate -s 5000 s; wc -c s; "
         "dd if=/dev/urandom of=r bs=1000 count=3 status=none; dd if=r of=q bs=512 skip=1 count=2 conv=notrunc status=none; wc -c q; fallocate -l 10000 u; stat -c %s u; "
         "shred -u r; ls",
         "mkdir -p a/b/c; touch a/b/c/{1..30}; find a -type f | sort -V | tail -3; find a -name '1*' -newer a/b | wc -l; find a -type d -exec chmod 700 {} +; "
         "find a -perm 700 | sort; find a -mindepth 3 -name '[12]' -delete; find a | wc -l; find a -size 0 -printf '%f %s %m\\n' | sort -n | head -3",
         "touch x; mv x y; mv -n y y 2>&1; touch z; mv -n y z; ls; mv -f y z; ls; ln z z1; ln z z1; ln -sfn z z1; readlink z1; readlink -f z1; realpath --relative-to=/ .; "
         "rm z; rm nothing; rm -r .; rmdir /tmp; mkdir -m 711 m; stat -c %a m; unlink m",
         "touch a; chown 12:34 a; stat -c '%u %g' a; chgrp tty a; stat -c %G a; chmod u=rwx,go=rx a; stat -c %a a; chmod +t,g+s . ; stat -c %a .; "
         "touch -r /etc/hostname a; stat -c %Y a; touch -a -d @5 a; stat -c '%X %Y' a; touch -h -d @77 nolink; ln -s nowhere l; touch -h -d @77 l; stat -c %Y l",
         "mknod n c 1 3; ls -l n | cut -c1-28; echo x >n; mknod b b 7 0; stat -c '%F %t %T' b; mkfifo f; (echo through >f &); cat f; test -p f; echo $?; cat b",
         "echo data >a; chmod 000 a; runuser -u nobody -- cat a; runuser -u nobody -- touch b; chmod 777 .; runuser -u nobody -- sh -c 'id; touch b; stat -c %U b; chown root b; "
         "chmod 4755 b; rm a; kill -0 $1; test -w /etc/passwd; echo $?; nice -n -5 true; mkdir /x; cd /root' sh $$",
         "mktemp -p . XXXX >/dev/null; ls | wc -l; mktemp -d -p . | wc -c; tee a b <<< hi; cat a b; split -b 2 a s; cat s*; csplit -s <(seq 10) 4 8; wc -l xx*; "
         "truncate -s 1G big; ls -s big; rm big; sync a; sync -f .; sync",
         "df --output=fstype,target / /dev | cat; df -i / | awk 'NR == 2 { print NF, $6 }'; findmnt -n -o TARGET,SOURCE / ; mountpoint / /tmp; mount -t tmpfs none /mnt && touch /mnt/x; df /mnt | tail -1 | cut -d' ' -f1; "
         "findmnt -n -o FSTYPE /mnt; umount /mnt; ls /mnt; umount /mnt; mount --bind /etc /mnt && ls /mnt/hostname && umount /mnt; mount -t bogus none /mnt")


@sampled
@seconds(600)
def test_text():
    """Filters of coreutils, grep, sed, awk, diff; archives."""
    same("seq 20000 | sort -R --random-source=/dev/zero | sort -n | md5sum; seq 50000 | sort -r -S 1M -T . | tail -2; printf '%s\\n' 1K 3M 2G | sort -h; printf 'b a\\nA b\\n' | sort -f -k1,1; sort -c <(seq 9 11); "
         "seq 10 | shuf --random-source=/dev/zero | sort -n | paste -sd, ; seq 6 | paste - - -; join <(printf '1 a\\n2 b\\n') <(printf '1 x\\n3 y\\n'); comm <(seq 3) <(seq 2 4)",
         "seq 5 | tac; echo 'a,b,c' | cut -d, -f2; echo hello | tr a-y b-z; yes | head -2; seq 100 | tail -n +99; seq 3 | nl; fold -w 5 <<< 'long enough line'; fmt -w 20 /usr/share/doc/bash/copyright | head -5; "
         "expand <<< $'a\\tb'; printf '%q %5.2f %x\\n' 'a b' 3.14159 255; od -An -tx1 <<< hi; base64 <<< text; basenc --base16 <<< text; cksum /etc/hostname; sha256sum /etc/hostname; b2sum </dev/null; numfmt --to=iec 123456789; factor 1234567890123; wc /etc/passwd",
         "grep -c root /etc/passwd; grep -rn 'hostname' /etc/nsswitch.conf; grep -oP '(?<=:)\\d+(?=:)' /etc/passwd | head -2; grep -E '^(r|d)' /etc/group | head -3; sed -n '/^daemon/,/^sys/p' /etc/passwd; sed -i.bak s/a/b/ f 2>&1; seq 3 >f; sed -i.bak s/2/two/ f; cat f f.bak; "
         "awk -F: '{ s += $3 } END { print s, NR }' /etc/passwd; awk 'BEGIN { \"date +%s\" | getline t; print (t > 1e9); while ((\"seq 3\" | getline x) > 0) n += x; print n; system(\"exit 3\") }'",
         "seq 10 >a; seq 2 11 >b; diff a b; diff -u a b | tail -n +3; cmp a b; diff3 a b a; sdiff -w 30 a b | head -4; diff -q a /nonexistent; patch --version 2>&1 | head -1",
         "mkdir t; (cd t; seq 9999 >n; ln -s n l; mkdir -m 700 e; touch -h -d @1000000000 n e l .); tar -cf a.tar --sort=name t; tar -tvf a.tar | cut -c1-10,26-; mkdir u; tar -xpf a.tar -C u; diff -r t u/t; tar -czf a.tgz t; gzip -l a.tgz | tail -1 | wc -w; tar -xzOf a.tgz t/n | md5sum; "
         "tar -cJf a.txz t; tar -tJf a.txz | sort; xz -k -9 t/n; xzcat t/n.xz | cmp - t/n; bzip2 -k t/n; bzcat t/n.bz2 | md5sum; gzip -c t/n | zcat | md5sum; zgrep -c 77 <(gzip -c t/n)",
         "ls -d /usr/share/vim/*; vim.tiny -es -c '%s/1/one/' -c 'wq' f 2>&1; seq 3 >f; vim.tiny -es -c '%s/1/one/' -c 'wq' f; cat f; less --version | head -1; LESS= less f | cat; more f | cat; column -t /etc/hosts 2>&1; rev <<< abc; hexdump -C /etc/hostname; cal 2 2024 2>&1 | head -3; look 2>&1 | head -1")


@seconds(600)
def test_system_v():
    """System V IPC's tools."""
    same("ipcmk -M 10000 -p 640 | tr -d 0-9; ipcs -m | tail -n +4 | cut -c12-; ipcmk -S 5 | tr -d 0-9; ipcs -s | tail -n +4 | cut -c12-; ipcmk -Q | tr -d 0-9; ipcs -q | tail -n +4 | cut -c12-; "
         "ipcs -m -u; ipcs -q -u; ipcs -s -u; ipcs -m -i 0 | grep -o bytes=.*lpid; ipcs -c | cut -c12-; ipcs -q -l; head -1 /proc/sysvipc/{shm,sem,msg}; cat /proc/sys/kernel/{shmmax,shmall,shmmni,msgmax,msgmnb,msgmni}; "
         "lsipc -m | wc -l; ipcrm -m 0; ipcrm -m 0; ipcrm -s 0 -q 0; ipcs -a | wc -l; ipcmk -M 1 | tr -d '\n'; ipcs -m | awk 'NR > 3 { print $2 }'; ipcrm --all; runuser -u nobody -- ipcmk -M 5 | wc -c; runuser -u nobody -- ipcrm -a; ipcs -m | wc -l")


@seconds(600)
def test_kernel_log():
    """What the kernel said: for root alone, and gone once it was cleared."""
    same("dmesg | head -c 1 | wc -c; runuser -u nobody -- dmesg; echo $?; runuser -u nobody -- busybox dmesg; busybox dmesg | head -c 1 | wc -c; dmesg -C; dmesg; busybox dmesg; cat /proc/sys/kernel/dmesg_restrict")


@sampled
@seconds(600)
def test_processes():
    """Shells, jobs, signals, limits, scheduling."""
    same("bash -c 'exit 7'; echo $?; (kill -TERM $BASHPID); echo $?; timeout 0.3 sleep 5; echo $?; { timeout -s KILL 0.3 sleep 5; } 2>/dev/null; echo $?; env -i A=1 env; nice -n 5 nice; nohup echo hi 2>/dev/null; setsid -w sh -c 'exit 3'; echo $?; "
         "sleep 100 & kill $!; wait $!; echo $?; trap 'echo usr1' USR1; kill -USR1 $BASHPID; kill -l 9; { sh -c 'kill -SEGV $$'; } 2>/dev/null; echo $?",
         "for s in 400000 unlimited 3000000 40000000; do for n in 10000 24000 120000 500000; do prlimit --stack=$s: sh -c 'x=$(seq '$n' | tr \"\\n\" \" \"); env printf %s $x | wc -c' 2>&1; done; done",
         "(ulimit -s unlimited; ls -d /; bash -c 'ulimit -s'); (ulimit -s 200000; ls -d /usr); ulimit -a | grep -v 'pending\\|processes\\|locked\\|queues'; (ulimit -n 20; ulimit -n; exec 30>/dev/null); (ulimit -f 1; dd if=/dev/zero of=f bs=1k count=5 2>&1 | tail -1 | cut -d, -f1); (ulimit -v 100000; bash -c 'x=$(printf %200000000d 1); echo ${#x}') 2>&1 | tail -c 50 | wc -l; "
         "prlimit --pid $$ -n -o SOFT,HARD --noheadings; prlimit --nofile=64:128 bash -c 'ulimit -Sn; ulimit -Hn'; chrt -p $$ | sed s/[0-9]*//g; ionice; ionice -c 2 -n 3 ionice; ionice -c 3 sh -c 'ionice; runuser -u nobody -- ionice -c 1 ionice'; taskset -c 0 nproc; nproc --all",
         "flock f -c 'echo locked'; (flock -n 9 && flock -n f true; echo $?) 9>f; exec 8>g; flock 8; flock -n g true; echo $?; flock -u 8; flock -n g true; echo $?; flock -s f flock -s f true; echo $?",
         "cat /proc/sys/kernel/{ostype,hostname,pid_max}; tr '\\0' ' ' </proc/self/cmdline; echo; readlink /proc/self/exe; readlink /proc/$$/cwd; cat /proc/self/comm; head -1 /proc/self/status; grep -c . /proc/self/limits; grep -o 'libc.so.6' /proc/self/maps | uniq; ls /proc/self/fd | wc -l; "
         "grep -E '^(Tgid|PPid|TracerPid|Threads|Uid|Groups|SigIgn|NoNewPrivs|Seccomp|CapEff|CapBnd)' /proc/self/status | sed 's/^\\(Tgid\\|PPid\\).*/\\1/'; cut -d' ' -f3 /proc/self/stat; wc -w </proc/self/stat; wc -w </proc/self/statm; wc -l </proc/uptime",
         "for i in {1..20}; do (sleep 1; exit $i) & done; n=0; while wait -n; s=$?; [ $s != 127 ]; do n=$((n + s)); done; echo $n; cat <(echo one) <(echo two); echo abc | tee >(tr a-z A-Z >up) >/dev/null; sleep 0.3; cat up; mapfile -t a < <(seq 3); echo ${a[2]}; printf '%(%Y)T\\n' 0; exec 3<>/tmp/w/rw; echo x >&3; cat /tmp/w/rw; "
         "coproc cat; echo hi >&${COPROC[1]}; read -r x <&${COPROC[0]}; echo $x; read -t 0.2 y <&${COPROC[0]}; echo $?; shopt -s globstar; mkdir -p p/q; touch p/q/r; echo **; [[ / -nt /etc ]]; echo $((2 ** 40)) ${RANDOM:+r} $BASH_SUBSHELL $SHLVL",
         "sh -c 'echo dash; x=5; echo $((x * 2)); f() { local y=1; echo $y $#; }; f a b; set -- 1 2; shift; echo $1; case abc in a*) echo yes;; esac; trap \"echo bye\" EXIT; ulimit -n; umask; times >/dev/null; printf %s\\\\n done; exit 4'; echo $?; echo '#!/bin/dash' >s; echo 'echo script $0 $1' >>s; chmod +x s; ./s arg; echo '#!/nonexistent' >t; chmod +x t; ./t; echo $?; echo text >u; chmod +x u; ./u 2>&1; echo 'echo plain' >v; chmod +x v; ./v; ./nothing; /tmp; echo $?",
         "id; groups; whoami; logname 2>&1; who -b 2>&1 | wc -l; hostname; uname -s -m -n; arch; getconf PAGE_SIZE; getconf _NPROCESSORS_ONLN; getconf OPEN_MAX; getent passwd nobody; getent group 5; date -d @86400 -u +%F; locale | head -1; printenv PATH; tty; echo $?; stty 2>&1; pathchk x; test -t 0; echo $?; users; su -s /bin/sh nobody -c 'id -u; echo $HOME'",
         "until ps -o stat= -p $$ | grep -q ^S; do :; done; ps -o comm=,nice= -p $$ | tr -s ' '; ps -e -o comm= | grep -c '^ps$'; sleep 321 & until grep -qx sleep /proc/$!/comm; do :; done; pgrep -x sleep | wc -l; pgrep -f 'sleep 32[1]' -a | cut -d' ' -f2-; pkill -f 'sleep 32[1]'; wait; echo $?; pidof bash >pids; wc -w <pids; pwdx $$ | cut -d' ' -f2; (kill -STOP $BASHPID) & until ps -o stat= -p $! | grep -q ^T; do :; done; ps -o stat= -p $! | cut -c1; { kill -KILL $!; wait $!; } 2>/dev/null; "
         "renice -n 3 -p $BASHPID | sed 's/^[0-9]*//'; nice; uptime | grep -c 'load average'; free | awk '{ print NF }'; vmstat | wc -l; vmstat -s | grep -c memory; top -b -n 1 | sed -n 7p; w -h | wc -l; slabtop -o 2>&1 | head -1 | wc -l; pmap $$ | tail -1 | cut -d' ' -f2; tload -V | wc -l; sysctl -n kernel.hostname kernel.ostype; watch -V | wc -l",
         "lsblk -n -o NAME,SIZE,TYPE 2>&1 | head -3; namei -m /bin/sh; ipcs -m 2>&1 | head -3; mcookie | wc -c; uuidgen 2>&1 | wc -c; whereis -b ls; getopt -o ab: -- -a -b x y; rename 2>&1 | head -1; isosize x 2>&1; unshare --version | wc -l; nsenter --version | wc -l; "
         "lslocks -n 2>&1 | wc -l; lsipc -m 2>&1 | head -1; hwclock --version | wc -l; wall -V | wc -l; mesg 2>&1; swapon --show; zramctl 2>&1; losetup -a; chcpu 2>&1 | head -1; rtcwake -V | wc -l; fsck.ext2 2>&1 | head -1 | wc -l")


USER = "$) = '1000 1000'; $( = 1000; $< = 1000; $> = 1000;"


@sampled
@seconds(600)
def test_refused():
    """What asks for single capabilities, and is not the same on every Linux: by system call number."""
    same(*(f"perl -e '{before} for my $call ({calls}) {{ my $result = syscall(@$call); print \"@$call: \", $result == -1 ? $!+0 : 0, \"\\n\"; }}'"
           for before, calls in ((USER, "[175, 0, 0, 0], [313, 0, 0, 0], [176, 0, 0], [173, 0, 1, 1], [173, 0, 1, 0], [173, 65535, 2, 1], [173, 0, 0, 1], [172, 3], [172, 0], [172, 4]"),
                                 ("", "[9, 4096, 4096, 3, 0x32, -1, 0], [9, 65536, 4096, 3, 0x32, -1, 0]"),
                                 (USER, "[9, 4096, 4096, 3, 0x32, -1, 0], [9, 61440, 4096, 3, 0x32, -1, 0], [9, 65536, 4096, 3, 0x32, -1, 0]"))),
         "cp /usr/bin/id plain; mount -t tmpfs -o nosuid none /mnt; cp /usr/bin/id /mnt/id; chmod 4755 plain /mnt/id; chown 12 plain /mnt/id; chmod u+s plain /mnt/id; "
         "chmod 755 . ..; runuser -u nobody -- ./plain -u; runuser -u nobody -- /mnt/id -u; umount /mnt",
         packages=["perl"])


@seconds(600)
def test_figures():
    """What procps and util-linux find out about processes, processors and memory in /proc and /sys. Not compared: sizes that depend on
    the loader's addresses and on what other programs have read."""
    sys = "mountpoint -q /sys || mount -t sysfs none /sys; "
    same(sys + "lscpu | grep -E '^(Arch|CPU op|Addr|Byte|CPU.s|On-line|Vendor|Model|CPU fam|Thread|Core|Socket|Stepping)' | sed 's/: */: /'; nproc --all; lscpu -p | tail -1 | cut -d, -f1-3",
         "sleep 30 & p=$!; choom -p $p -n 100 | sed s/$p/PID/; choom -p $p | tail -1 | sed s/$p/PID/; choom -p $p -n 1001 2>&1 | sed s/$p/PID/; cat /proc/$p/oom_score; echo 12x >/proc/$p/oom_score_adj; "
         "(read x </proc/self/oom_score_adj; echo $x); echo -5 >/proc/$p/oom_score_adj; cat /proc/$p/oom_score_adj; kill $p",
         "runuser -u nobody -- sh -c 'echo 5 >/proc/self/oom_score_adj; cat /proc/self/oom_score_adj; echo 0 >/proc/self/oom_score_adj; echo -1 >/proc/self/oom_score_adj; echo $?'",
         "sleep 30 & until grep -qx sleep /proc/$!/comm; do :; done; killall sleep; echo $?; wait $!; echo $?; killall nosuch; echo $?",
         "sleep 30 & pmap -x $! | tail -1 | awk '{print $1, $2, ($3 > 500), ($4 > 10), ($3 < $2 + 0)}'; pmap -X $! | tail -1 | awk '{print ($1 > 1000), ($2 > 500), ($3 > 50), ($3 < $2 + 0)}'; pmap $! | tail -1 | awk '{print $1}'; kill $!",
         "grep -E '^(VmLck|VmPin|RssShmem|VmData|VmStk|VmExe|VmSwap|Cpus_allowed)' /proc/self/status; setarch -R cat /proc/self/personality; grep -c rollup /proc/self/smaps_rollup; "
         "grep -E '^(Size|Kern|MMU|Swap|Locked|VmFlags)' /proc/self/smaps | head -6 | sed 's/ mr.*//'; awk '{print ($2 > $3), ($3 > 0), $4}' /proc/self/statm",
         "seq 5 >f; exec 5<>f 6>>f; read -u 5 x; grep -E '^(pos|flags)' /proc/self/fdinfo/[56]; ls /proc/self/fdinfo | head -3; exec 5<&-; cat /proc/self/fdinfo/5; ",
         "sysctl -n kernel.cap_last_cap fs.pipe-max-size; vmstat -d >/dev/null; echo $?; fdisk -l >/dev/null; echo $?; head -1 /proc/partitions; seq 100000 | wc -l; awk '/^cpu /{print ($4 > 0)}' /proc/stat; "
         "sysctl -a >/dev/null 2>&1; echo $?")
