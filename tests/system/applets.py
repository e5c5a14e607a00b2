# SPDX-License-Identifier: MIT
"""Debian's busybox, applet by applet: scripts on a disk, and on the host's Linux with the same binary. Output and status must be the same."""

import os
import re

from support import BUSYBOX, check, dump, equal, file_path, fsck, make_disk, pith, run, sampled, seconds, write_file

# Each begins in an empty folder. What a script shows may not depend on time, numbers of inodes and processes, or the order in a directory.
TREE = "mkdir -p t/a/b t/c; for i in 1 2 3 4 5 6 7 8 9; do seq $i$i >t/a/f$i; done; cp t/a/f3 t/a/b/g; ln -s ../a/f1 t/c/l; echo end >t/c/z; "
SCRIPTS = {
    "find": TREE + "find t | sort; find t -type f -size +0 -name 'f[1-3]' | sort; find t -type l; find t -name '*.none'; find t -maxdepth 1 | sort;"
            "find t -name f5 -exec wc -l {} \\; ; find t -type f -print0 | sort -z | xargs -0 md5sum; find t -newer t/c/z | sort | head -n 1; find nothing",
    "find-perm": TREE + "chmod 4755 t/a/f1; chmod 600 t/a/f2; find t -perm 600; find t -perm -4000; find t -user root -type d | sort; find t -links +1 -type f;"
                 "find t -name f9 -delete; ls t/a | tr '\\n' ' '; find t -depth -name 'b' ; find t -prune -o -print",
    "tar": TREE + "tar cf x.tar t; tar tf x.tar | sort; mkdir u; tar xf x.tar -C u; diff -r t u/t; tar cf - t/a | tar tvf - | awk '{print $1, $3, $6}' | sort;"
           "tar xOf x.tar t/c/z; tar cf y.tar nothing; echo $?; readlink u/t/c/l",
    "tar-compressed": TREE + "for z in z j; do tar c${z}f x.$z t || continue; mkdir u$z; tar x${z}f x.$z -C u$z; diff -r t u$z/t; done; ls -d u* | tr '\\n' ' '",
    "gzip": "seq 20000 >f; cp f g; gzip f; ls; gzip -dc f.gz | cmp - g; gunzip f.gz; cmp f g; gzip -c g | gzip -t; gzip -1c g | wc -c; gzip -9c g | md5sum;"
            "echo junk >h.gz; gunzip h.gz; zcat nothing.gz; head -c 100000 /dev/zero | gzip | zcat | md5sum; gzip -l nothing 2>/dev/null; echo $?",
    "bzip2": "seq 20000 >f; cp f g; bzip2 f; ls; bzcat f.bz2 | cmp - g; bunzip2 f.bz2; cmp f g; bzip2 -c g | md5sum; echo junk >h.bz2; bunzip2 h.bz2",
    "xz": "printf '/Td6WFoAAATm1rRGAgAhARYAAAB0L+Wj4AAAAAAAACb9dgAAAAAAHN9EIR+2830BAAAAAARZWg==' | base64 -d >f.xz; xzcat f.xz; echo $?; unxz -t f.xz; echo junk | xzcat; echo $?",
    "sort": "seq 500 | shuf >f; sort -n f | md5sum; sort -rn f | head -n 3; sort f | tail -n 2; printf 'b:2\\na:10\\nc:1\\nA:3\\n' >g; sort -t: -k2n g; sort -f g; sort -u -f g;"
            "sort -c g; echo $?; sort -k2,2 -t: -r g; sort -o g g; cat g; sort -z </dev/null; sort nothing; printf '1M\\n2K\\n3\\n' | sort -h; printf 'Feb\\nJan\\n' | sort -M",
    "awk": "seq 100 >f; awk '{s += $1} END {print s, NR}' f; echo a:b:c | awk -F: '{print $NF}'; awk 'BEGIN {for (i = 0; i < 3; i++) printf \"%s-\", i; print toupper(\"x\")}';"
           "awk '{a[$1 % 7] += $1} END {for (k in a) print k, a[k]}' f | sort; awk 'match($0, /9+/) {print RSTART, RLENGTH}' f | tail -n 2; awk '{gsub(/1/, \"one\")} NR < 3' f;"
           "awk 'BEGIN {\"echo sub\" | getline x; print x; print length(\"äb\"), substr(\"hello\", 2, 3), index(\"abc\", \"c\"), split(\"a b c\", q), q[2]}';"
           "awk 'BEGIN {printf \"%5.2f|%-4d|%x|%c\\n\", 3.14159, 42, 255, 65; exit 3}'; echo $?; awk '{print > (\"out\" $1 % 2)}' f; wc -l out0 out1; awk '/[/' f; awk 'BEGIN{print 1/0}'",
    "sed": "seq 20 >f; sed -n '5,7p;$p' f; sed 's/1/x/g;3d' f | head -n 5; sed -e '/5/i before' -e '/6/a after' f | sed -n '5,9p'; sed -n '/3/,/5/{=;p}' f | head -n 6;"
           "sed -i 's/^/line /' f; head -n 2 f; sed '1!G;h;$!d' f | head -n 2; echo abc | sed 'y/abc/xyz/;s/\\(x\\)\\(y\\)/\\2\\1/'; sed -E 's/(line) ([0-9]+)/\\2 \\1/;5q' f; sed 'w g' f >/dev/null; cmp f g;"
           "sed 's/x' f; sed p nothing; echo aXb | sed 's/x/-/I'; printf 'a\\nb\\n' | sed 'N;s/\\n/+/'; printf 'no newline' | sed s/o/0/",
    "grep": TREE + "grep -r 33 t | sort; grep -rl end t; grep -c 1 t/a/f1; grep -n '^1.$' t/a/f1; grep -v . t/c/z; echo $?; grep -E '^(2|3)$' t/a/f3; grep -w 7 t/a/*  | sort; grep -i END t/c/z;"
            "grep -o '1' t/a/f1 | wc -l; grep -q end t/c/z && echo yes; grep x nothing; echo $?; grep -F '.' t/c/z; echo $?; grep -A1 -B1 '^5$' t/a/f1; grep -L end t/c/* | sort; fgrep en t/c/z; egrep 'e|z' t/c/z; grep '[' t/c/z",
    "diff": "seq 20 >a; sed 's/7/seven/;12d' a >b; diff a b; diff -u a b | sed '1,2d'; diff -q a b; cp a c; diff a c; echo $?; mkdir x y; cp a x; cp b y/a; echo 1 >x/only; diff -r x y | sed 's/\\t.*//' | grep -v '^[-+@ ]'; diff a nothing; diff -b a b | wc -l; cmp a b; cmp -s a c; echo $?",
    "patch": "seq 20 >a; cp a keep; sed 's/7/seven/;12d;3i three' a >b; diff -u a b >p; patch <p; cmp a b; patch -R <p; cmp a keep; mkdir d; cp keep d/a; (cd d; patch -p0 <../p); cmp d/a b; echo garbage | patch; echo $?",
    "dd": "seq 10000 >f; dd if=f of=g bs=1000 count=3 2>/dev/null; wc -c g; dd if=f of=g bs=1 seek=10 count=5 conv=notrunc 2>/dev/null; md5sum g; dd if=f bs=512 skip=2 count=1 2>/dev/null | md5sum;"
          "dd if=f of=h ibs=100 obs=1024 2>/dev/null; cmp f h; dd if=/dev/zero of=s bs=1 count=1 seek=1M 2>/dev/null; stat -c %s s; dd if=f of=i bs=4k conv=sync 2>/dev/null; stat -c %s i; dd if=nothing; dd of=/dev/full if=f 2>/dev/null; echo $?",
    "sums": "seq 3000 >f; echo >g; for s in md5sum sha1sum sha256sum sha512sum sha3sum crc32; do $s f g; done; md5sum f g >m; md5sum -c m; echo x >>g; md5sum -c m; echo $?; sha256sum -c m; md5sum </dev/null",
    "cpio": TREE + "(cd t; find . | sort | cpio -o -H newc 2>/dev/null) >x; cpio -t <x 2>/dev/null; mkdir u; (cd u; cpio -id <../x 2>/dev/null); diff -r t u; readlink u/c/l; echo junk | cpio -i; echo $?; find t/a | sort | cpio -p v 2>/dev/null; ls v 2>/dev/null",
    "du": "mkdir d; seq 3000 >d/f; head -c 40000 /dev/zero >d/g; du -k d/f; du -k d/g; ln d/g d/h; du d | wc -l; du nothing; du -h d/g; ls -s d/g | awk '{print $1}'",
    "df": "df . | awk 'NR == 1 {print NF} NR == 2 {print NF, $2 > 0, $2 - $3 >= $4}'; df -k /nonexistent; df -P . | wc -l; stat -f -c %s . >/dev/null; echo $?",
    "chmod": "touch f; mkdir d; for m in 000 644 4755 2711 1777 u+x,g-w a=r o+t +X u=rwx,go= g=u -w; do chmod $m f d; stat -c %a f d | tr '\\n' ' '; done; echo; chmod 9999 f; chmod u+q f; chmod 600 nothing; chmod -R 755 d; stat -c '%A %n' f d; umask 027; touch g; mkdir e; stat -c %a g e; umask",
    "chown": "touch f g; chown 12:34 f; stat -c '%u %g' f; chown :56 f; chgrp 78 f; stat -c '%u %g' f; chmod 6755 f; chown 1 f; stat -c %a f; chown root:root f; ln -s f l; chown -h 9 l; stat -c %u f l; chown nosuchuser f; chown 1 nothing",
    "ln": "echo x >f; ln f g; ln -s f s; ln -s nothing dangling; stat -c '%h %F' f g s dangling; cat s dangling; ln f g; ln -sf g s; readlink s; mkdir d; ln f d; ls d; ln -s . loop; ls loop/loop/loop | wc -l; ln d e; echo $?; readlink -f s | sed 's/.*w-ln//'; rm f; cat g; ln -sn a b/c; basename $(realpath s/..); link g h; unlink h; ls",
    "mkfifo": "mkfifo p; stat -c '%F %a' p; (echo through >p &); cat p; mkfifo -m 600 q; stat -c %a q; mkfifo p; echo $?; (seq 5 >p &) ; wc -l <p; mknod n p; stat -c %F n; mknod null c 1 3; echo x >null; wc -c <null; stat -c '%t,%T' null; mknod bad c; test -p p && echo fifo",
    "xargs": "seq 10 | xargs; seq 10 | xargs -n 3; seq 3 | xargs -I X echo '<X>'; printf 'a b\\0c\\0' | xargs -0 -n 1 echo; echo 'a \"b c\" d' | xargs -n 1; echo | xargs -r echo never; seq 3 | xargs false; echo $?; seq 3 | xargs sh -c 'exit 255'; echo $?; echo x | xargs nosuchprogram; echo $?; seq 2000 | xargs -s 1000 | wc -l; yes | head -n 100 | xargs -t -n 100 echo 2>&1 | wc -w",
    "watch": "exec 2>/dev/null; watch -t -n 1 'echo shown; kill $PPID' 2>/dev/null | tr -d '\\033' | grep -c shown",
    "time": "time true 2>&1 | awk '{print $1}'; time sh -c 'exit 3' 2>/dev/null; echo $?; time -p sleep 0 2>&1 | awk '{print $1}'; time nosuchprogram 2>/dev/null; echo $?",
    "timeout": "timeout 1 sleep 10; echo $?; timeout 10 true; echo $?; timeout -s KILL 1 sleep 10; echo $?; timeout 1 sh -c 'trap \"echo trapped; exit 5\" TERM; while :; do sleep 1; done'; echo $?",
    "cp": TREE + "cp -r t u; diff -r t u; cp -a t v; readlink v/c/l; chmod 600 t/c/z; touch -d '2001-02-03 04:05:06' t/c/z; cp -p t/c/z w; stat -c '%a %Y' w; cp t x; cp nothing y; cp t/a/f1 t/a/f2 t/c/z; mkdir d; cp t/a/f? d; ls d | wc -l; cp -l t/c/z hard; stat -c %h hard; cp -s $PWD/w soft; test -L soft && echo link; cp w w",
    "mv": TREE + "mv t/a/f1 here; cat here; mv t/a t/c/moved; ls t t/c; mv here t/c/z; cat t/c/z; mv nothing x; mv t t/c/inside; echo $?; mkdir d e; touch d/f e/f; mv d e; ls e; mv e/f e/d; echo $?; mv -n e/d/f t; ls t",
    "rm": TREE + "rm t/a; rm t/a/f1 nothing; rm -f nothing; echo $?; rmdir t/c; rm -r t/a; ls t; chmod 0 t/c/z; rm -f t/c/z; rmdir t/c t; echo $?; ls; mkdir -p x/y/z; rmdir -p x/y/z; ls; touch -- -f; rm -f -- -f; rm -rf . ; ls | wc -l",
    "touch": "touch -d '2010-11-12 13:14:15' f; stat -c '%X %Y' f; touch -r f g; stat -c %Y g; touch -c never; ls; touch -m -d '2011-01-01' f 2>/dev/null; stat -c %X f; touch nothing/x; touch -h -d '1999-01-01 00:00:07' f; stat -c %Y f; date -r f +%Y; test f -ot g && echo older",
    "ls": TREE + "ls -R t; ls -la t/a | awk '{print $1, $2, $5}' | sort; ls -1F t/c; ls -d t; ls nothing; echo $?; ls -S t/a | head -n 2; touch -d '2001-01-01 00:00:08' t/a/f5; ls -t t/a | tail -n 1; ls -ln t/c/z | awk '{print $3, $4, $5}'; ls -p t; ls -A t/c; ls -x t/a",
    "text": "seq 30 >f; head -n 3 f; tail -n 3 f; tail -n +28 f; head -c 5 f; tail -c 5 f; tac f | head -n 2; nl f | head -n 2; cut -c1 f | uniq -c | head -n 3; paste f f | head -n 2; fold -w 3 f | head -n 2; rev f | tail -n 1; expand -t 4 <f | md5sum; od -c f | head -n 2; hexdump -C f | head -n 2; xxd f | head -n 1; strings f | wc -l; tr 1-3 a-c <f | head -n 3; wc f; wc -L f; cat -n f | tail -n 1; shuf f | sort -n | cmp - f; factor 360; uniq -d f; printf 'a\\ra\\n' | dos2unix | od -c | head -n 1; unexpand -a <f | md5sum; truncate -s 10 f; wc -c f; tee g <f >/dev/null; cmp f g; ts '' <g | wc -l; base64 f; uuencode f x | uudecode -o /dev/stdout; crc32 f",
    "ed": "seq 5 >f; printf '2d\\n$a\\nlast\\n.\\n1,$s/3/three/\\nw\\nq\\n' | ed f; cat f; printf '9p\\nq\\n' | ed f",
    "calc": "echo '2^64 + 7 / 2' | bc; echo 'scale=10; sqrt(2); 1/3' | bc; echo '10 3 / p 2 16 ^ p' | dc; expr 3 + 4 \\* 2; expr abc : 'a\\(.\\)'; expr length hello; seq 1 0.5 3; printf '%s|%5d|%-5s|%08.3f|%x|%o|%c\\n' str 42 ab 3.14159 255 8 xyz; cal 2 2023; test 1 -lt 2 -a x = x; echo $?; [ -e nothing ]; echo $?; date -u -d @86400 +%F_%T; date -d nonsense",
    "archives": "seq 100 >f; echo hello >g; ar r x.a f g 2>/dev/null; ar t x.a; ar p x.a g; ar x nothing.a; printf 'UEsDBAoAAAAAAAAAIQA9s4sJBgAAAAYAAAABAAAAZ2hlbGxvClBLAQIUAAoAAAAAAAAAIQA9s4sJBgAAAAYAAAABAAAAAAAAAAAAAAAAAAAAAABnUEsFBgAAAAABAAEALwAAACUAAAAAAA==' | base64 -d >x.zip; unzip -l x.zip | wc -l; rm g; unzip -o x.zip >/dev/null; echo $?; echo junk | unlzma; echo $?; lzop nothing; uncompress nothing",
    "shred": "seq 3000 >f; cp f g; shred f; stat -c %s f; cmp -s f g; echo $?; shred -n 1 -z g; stat -c %s g; tr -d '\\0' <g | wc -c; shred -u f; ls; shred nothing; echo $?; echo x >h; chmod 400 h; shred -f -u h; ls",
    "fallocate": "fallocate -l 100000 f; stat -c %s f; md5sum f; fallocate -l 5k -o 200000 f; stat -c %s f; fallocate f; echo $?; echo text >g; fallocate -l 2 g; cat g; fallocate -l 8 g; od -c g; fallocate -o 3 -l 10 h; wc -c h; fallocate -l 10 nothing/x; echo $?",
    "lzma": "printf XQAAgAD//////////wAYgoKPIk74plX38JmlJQ2QRZFaUbSbyqzcBTLshVKfsUht79zoS7lhuuCcU3+YyKlUDvw9KtMG12ZEPVZkps0918cfRPQY4A+/vgvEBjz//fQMAA== | base64 -d >f.lzma; lzcat f.lzma | md5sum; lzma -dc f.lzma | tail -n 1; cp f.lzma g.lzma; unlzma f.lzma; ls; lzma -d <g.lzma | cmp - f; unlzma -k g.lzma; cmp f g; echo junk | lzcat; echo $?; head -c 30 g.lzma | lzcat | wc -c; lzcat nothing; echo $?",
    "lines": "printf 'a\\r\\nb\\n\\r\\n' >f; dos2unix f; od -c f; unix2dos f; od -c f; dos2unix <f | od -c; unix2dos <f | od -c; dos2unix -d f; unix2dos -u f; od -c f; dos2unix nothing; echo $?; chmod 640 f; dos2unix f; stat -c %a f",
    "run-parts": "mkdir d; for i in 30 10 20-b no.dot _x; do printf '#!/bin/sh\\necho %s \"$@\"; umask\\n' $i >d/$i; chmod 755 d/$i; done; echo no >d/text; mkdir d/folder; run-parts d; run-parts --test d; run-parts -u 077 -a one -a two d; printf '#!/bin/sh\\nexit 3\\n' >d/15; chmod 755 d/15; run-parts d; echo $?; "
                 "run-parts --exit-on-error d; echo $?; run-parts nothing; echo $?; run-parts -l d | wc -l",
    "mke2fs": "truncate -s 2M f; mke2fs -F -L name f; dd if=f bs=1 skip=1080 count=2 2>/dev/null | od -x; truncate -s 40M g; mke2fs -F -b 4096 -i 65536 -m 0 g; stat -c %s g; mke2fs -F -n f 100; mke2fs f; truncate -s 10k h; mke2fs -F h; echo $?; mke2fs nothing; echo $?; truncate -s 4M s; mkswap -L name s | sed 's/UUID=.*//'; "
              "dd if=s bs=1 skip=4086 count=10 2>/dev/null; truncate -s 8M d; mkdosfs -n NAME d; dd if=d bs=1 skip=71 count=19 2>/dev/null; mkdosfs d 100; echo $?",
    "less": "seq 5 | less | cat; seq 5 | more | cat; logname 2>/dev/null; whoami; id -u; id; groups; tty; echo $?; hostid | wc -c; env -i A=1 env; nproc >/dev/null; echo $?; uname -s; arch; pwd | grep -c /; basename /a/b.c .c; dirname /a/b; mktemp -u x.XXXXXX | wc -c; mktemp -d d.XXXXXX | wc -c; yes n | head -n 2; true; false; echo $?; which sh | wc -l; getopt -o ab: -- -a -b x y; usleep 1; sync; ttysize 2>/dev/null; stty </dev/null; echo $?",
    "shell": "f() { local x=1; echo $x $# \"$@\"; }; f a 'b c'; x=abcdef; echo ${x#a} ${x%%e*} ${x:2:3} ${#x} ${y:-unset} ${x/c/-}; echo $((7 % 3 + (2 << 4))) ; case $x in a*) echo case;; esac; for i in 1 2 3; do [ $i = 2 ] && continue; echo $i; done; set -- 1 2 3; shift; echo $*; (exit 7); echo $?; trap 'echo bye' EXIT; read a b <<E\none two three\nE\necho $b; echo a >f; cat <f >>g; cat g 2>&1 1>/dev/null; ! true; echo $?; echo *; echo [f]*; IFS=:; set -- $(echo a:b:c); echo $2; printf '%s\\n' \"${x}\"; until false; do break; done; echo ~root; eval 'echo $((1+1))'; { echo group; } | cat; wait; umask 022; type cd; unset x; echo ${x-gone}; set -e; false; echo never",
    "signals": "sh -c 'kill -TERM $$'; echo $?; sh -c 'trap \"echo usr1\" USR1; kill -USR1 $$; echo after'; sleep 100 & kill $!; wait $!; echo $?; kill -0 $$; echo $?; kill -9 999999; echo $?; kill -l | head -c 20; (sleep 0.1; echo later) & wait; echo done; sh -c 'yes | head -n 1; echo ${PIPESTATUS:-none}'; nohup true 2>/dev/null; setsid sh -c 'echo session'; nice -n 5 nice 2>/dev/null; taskset -p 1 >/dev/null 2>&1; renice 5 $$ >/dev/null; echo $?; start-stop-daemon -S -b -x /bin/nosuchprogram 2>/dev/null; echo $?; setpriv --dump 2>/dev/null | head -n 3",
    "another-user": "echo secret >f; chmod 600 f; mkdir d; chmod 1777 d; echo mine >d/root; chmod 755 .; as() { p=$(which $1); shift; start-stop-daemon -S -c nobody -n nosuchname -a $p -- \"$@\"; }; as cat f; as rm -f d/root; ls d; as touch d/user; stat -c %U d/user; as id -un; as mkdir /nothere; as chmod 777 f; as kill -9 1; as rm d/user; ls d; as cat nothing; as sh -c 'umask 0; echo x >d/y; stat -c %a d/y'; as chown 0 d/y; as mknod d/z c 1 3; as ln f d/f; as renice -5 1",
}

DRIVER = """
PATH=$1
while read -r name; do
	mkdir "w-$name" && cd "w-$name" || exit 1
	echo "=== $name"
	sh "$2/$name" 2>&1 </dev/null
	echo "--- status $?"
	cd ..
done
"""


def write_scripts(names):
    """A folder with the scripts, and one with a link for each applet, so that no other program is found."""
    folder = file_path("scripts")
    for name in names:
        write_file(f"scripts/{name}", SCRIPTS[name].encode() + b"\n")
    applets = file_path("applets")
    os.makedirs(applets, exist_ok=True)
    for applet in run([BUSYBOX, "--list"]).ok().stdout.decode().split():
        if not os.path.lexists(os.path.join(applets, applet)):
            os.symlink(BUSYBOX, os.path.join(applets, applet))
    return folder, applets


def sections(output):
    parts = re.split(r"^=== (\S+)\n", output.decode(errors="replace"), flags=re.M)
    return dict(zip(parts[1::2], parts[2::2]))


@sampled
@seconds(600)
def test_on_a_disk():
    names = sorted(SCRIPTS)
    folder, applets = write_scripts(names)
    work = file_path("work")
    os.makedirs(work, exist_ok=True)
    listed = "".join(name + "\n" for name in names).encode()
    here = run([BUSYBOX, "sh", "-c", DRIVER, "sh", applets, folder], listed, cwd=work, timeout=300,
               env={"PATH": applets, "HOME": "/root", "TZ": "UTC", "TERM": "dumb", "USER": "root"}).ok()
    disk = make_disk("disk.img", "64M", block_size=4096)
    there = pith("busybox", "sh", "-c", "mkdir /applets /mnt/work && busybox --install -s /applets && cd /mnt/work && exec env -i PATH=/applets HOME=/root "
                 "TZ=UTC TERM=dumb USER=root sh -c \"$1\" sh /applets /scripts", "sh", DRIVER, stdin=listed, add=[f"{folder}:/scripts"],
                 disk=[disk], timeout=900).ok()
    fsck(disk)
    for made in ("f", "g"):
        fsck(write_file("made.img", dump(disk, f"work/w-mke2fs/{made}")))
    expected, actual = sections(here.stdout), sections(there.stdout)
    equal(sorted(actual), sorted(names), "the scripts that ran")
    different = [name for name in names if expected[name] != actual[name]]
    check(not different, "output differs", *(f"{n}\nLinux:\n{expected[n]}\nPith:\n{actual[n]}" for n in different), *different)
