# SPDX-License-Identifier: MIT
"""Debian's interpreters, SQLite, make and compilers, dynamically linked as users have them: what they print is what they print on Debian's kernel."""

from debian import same
from support import Shell, equal, full, sampled, seconds

PACKAGES = ("lua5.4", "make", "perl", "python3", "sqlite3")

SAMPLE = (r"""python3 - <<'E'
import threading, subprocess, queue, multiprocessing, asyncio
q = queue.Queue()
threads = [threading.Thread(target=lambda n: q.put(n * n), args=(n,)) for n in range(4)]
[t.start() for t in threads]; [t.join() for t in threads]
print(sum(q.get() for _ in threads), subprocess.run(["sh", "-c", "echo out; exit 3"], capture_output=True))
async def talk():
    server = await asyncio.start_unix_server(lambda r, w: (w.write(b"hello"), w.close()), "s")
    reader, writer = await asyncio.open_unix_connection("s")
    print(await reader.read()); writer.close(); server.close()
asyncio.run(talk())
lock, value = multiprocessing.Lock(), multiprocessing.Value("i", 0)
def add():
    with lock: value.value += 1
children = [multiprocessing.Process(target=add) for _ in range(3)]
[c.start() for c in children]; [c.join() for c in children]; print(value.value)
E""",
          r"""lua5.4 -e 'local p = io.popen("echo from a child; exit 2"); print(p:read("a"), p:close()); print(os.execute("kill -9 $$")); print(#os.tmpname())'""",
          r"""printf 'all: a b c\n\t@echo all\n%%:\n\t@sleep 0.1; echo $@ >>made\n' >Makefile; make -j2; sort made""",
          r"""sqlite3 d 'pragma journal_mode=wal; create table t(a); insert into t select value from generate_series(1, 1000); select sum(a) from t; pragma integrity_check'; ls""",
          r"""perl -e 'use POSIX; print "$^O ", strftime("%Y", gmtime 0), "\n"; my $pid = fork; exit 5 unless $pid; wait; print $? >> 8, "\n"; print sort `ls /usr/bin/perl`'""")

PYTHON = (r"""python3 - <<'E'
import threading, time, signal, os, concurrent.futures as cf
c = threading.Condition(); seen = []
def wait():
    with c: seen.append(c.wait(60))
ts = [threading.Thread(target=wait) for _ in range(5)]; [t.start() for t in ts]; time.sleep(1)
with c: c.notify_all()
[t.join() for t in ts]; print(seen)
b = threading.Barrier(3); [t.start() for t in [threading.Thread(target=b.wait) for _ in range(2)]]; b.wait(); print(b.broken)
s = threading.Semaphore(2); print(s.acquire(), s.acquire(), s.acquire(timeout=.1)); e = threading.Event(); print(e.wait(.05))
with cf.ThreadPoolExecutor(4) as x: print(sum(x.map(lambda n: n + 1, range(100))))
with cf.ProcessPoolExecutor(2) as x: print(list(x.map(abs, range(-5, 0))))
signal.signal(signal.SIGALRM, lambda s, f: print("alarm", s)); signal.setitimer(signal.ITIMER_REAL, .1); signal.pause()
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1]); os.kill(os.getpid(), signal.SIGUSR1)
print(signal.sigpending(), signal.sigwait([signal.SIGUSR1]), signal.sigtimedwait([signal.SIGUSR2], .1))
class Late(Exception): pass
def late(*a): raise Late
signal.signal(signal.SIGALRM, late); signal.setitimer(signal.ITIMER_REAL, .1)
try: time.sleep(60)
except Late: print("interrupted")
signal.signal(signal.SIGUSR2, lambda s, f: print("usr2")); signal.pthread_kill(threading.get_ident(), signal.SIGUSR2)
E""",
          r"""cat >m.py <<'E'
import multiprocessing as mp, multiprocessing.connection, os, sys, time
from multiprocessing import shared_memory
def child(conn, q, e): conn.send([os.getppid() > 0, {"a": 1}]); e.set(); q.put("from child"); sys.exit(7)
def square(n): return n * n
def count(s, v, n):
    for _ in range(n):
        with s: v.value += 1
def attach(name): m = shared_memory.SharedMemory(name); m.buf[0] = 42; m.close()
if __name__ == "__main__":
    for method in ("fork", "spawn", "forkserver"):
        c = mp.get_context(method); a, b = c.Pipe(); q = c.Queue(); e = c.Event(); p = c.Process(target=child, args=(b, q, e)); p.start()
        print(method, a.recv(), q.get(), e.wait(60)); p.join(); print(p.exitcode)
    with mp.Pool(3) as pool: print(pool.map(square, range(20)), pool.apply_async(square, (9,)).get(60))
    s, v = mp.Semaphore(1), mp.Value("i", 0, lock=False); ps = [mp.Process(target=count, args=(s, v, 200)) for _ in range(3)]
    [p.start() for p in ps]; [p.join() for p in ps]; print(v.value)
    m = shared_memory.SharedMemory(create=True, size=10000); p = mp.Process(target=attach, args=(m.name,)); p.start(); p.join()
    print(m.buf[0], m.size, sum(n.startswith("psm") for n in os.listdir("/dev/shm"))); m.close(); m.unlink(); print([n for n in os.listdir("/dev/shm") if n.startswith("psm")])
    with mp.Manager() as manager: d = manager.dict(); l = manager.list([1]); d["x"] = 2; l.append(3); print(dict(d), list(l))
    r = mp.RLock(); print(r.acquire(), r.acquire()); r.release(); r.release(); bs = mp.BoundedSemaphore(1)
    try: bs.release()
    except ValueError as x: print(x)
    p = mp.Process(target=time.sleep, args=(500,)); p.start(); p.terminate(); p.join(); print(p.exitcode, mp.active_children(), mp.cpu_count())
    with mp.connection.Listener("sock", "AF_UNIX") as l:
        p = mp.Process(target=lambda: mp.connection.Client("sock", "AF_UNIX").send("over a local socket")); p.start(); print(l.accept().recv()); p.join()
E
python3 m.py""",
          r"""python3 - <<'E'
import asyncio, os, signal, sys
async def echo(r, w):
    while data := await r.readline(): w.write(data.upper()); await w.drain()
    w.close()
async def main():
    loop = asyncio.get_running_loop()
    server = await asyncio.start_unix_server(echo, "sock")
    async def client(n):
        r, w = await asyncio.open_unix_connection("sock")
        w.write(b"line %d\n" % n); answer = await r.readline(); w.close(); return answer
    print(await asyncio.gather(*map(client, range(20))))
    p = await asyncio.create_subprocess_exec("cat", stdin=-1, stdout=-1); print(await p.communicate(b"x" * 100000) == (b"x" * 100000, None), p.returncode)
    p = await asyncio.create_subprocess_shell("exit 9"); print(await p.wait())
    hit = asyncio.Event(); loop.add_signal_handler(signal.SIGUSR1, hit.set); os.kill(os.getpid(), signal.SIGUSR1); await hit.wait(); print("signal")
    try: await asyncio.wait_for(asyncio.sleep(100), .1)
    except asyncio.TimeoutError: print("timeout")
    print(await asyncio.to_thread(os.getpid) == os.getpid(), await loop.run_in_executor(None, sum, [1, 2]))
    r, w = os.pipe(); f = loop.create_future(); loop.add_reader(r, lambda: f.set_result(os.read(r, 10))); os.write(w, b"pipe"); print(await f)
    server.close()
asyncio.run(main())
E""",
          r"""python3 - <<'E'
import subprocess as sp, os, sys
print(sp.check_output("echo $0 $1; echo err >&2", shell=True, stderr=sp.STDOUT), sp.call(["false"]), sp.run(["cat"], input="text", text=True, capture_output=True).stdout)
try: sp.run(["/nonexistent"])
except FileNotFoundError as e: print(e)
try: sp.run(["/etc/passwd"])
except PermissionError as e: print(e)
try: sp.run(["sleep", "99"], timeout=.2)
except sp.TimeoutExpired as e: print(e.cmd)
a = sp.Popen(["seq", "100000"], stdout=sp.PIPE); b = sp.Popen(["tail", "-1"], stdin=a.stdout, stdout=sp.PIPE); a.stdout.close(); print(b.communicate(), a.wait())
p = sp.Popen(["sleep", "99"]); p.terminate(); print(p.wait())
p = sp.Popen("kill -STOP $$; exit 4", shell=True); print(os.WIFSTOPPED(os.waitpid(p.pid, os.WUNTRACED)[1])); p.send_signal(18); print(p.wait())
print(sp.run(["sh", "-c", "pwd; echo $X; id -u; ps -o pgid= $$ | grep -c $$; umask"], cwd="/", env={"X": "y", "PATH": os.environ["PATH"]}, user="nobody",
             start_new_session=True, umask=0o77, capture_output=True))
r, w = os.pipe(); print(sp.run(["ls", "/proc/self/fd"], capture_output=True, pass_fds=[w]).stdout.split()[:3])
print(os.popen("echo hi").read(), os.system("exit 3"), os.posix_spawnp("true", ["true"], {}) > 0, os.wait()[1])
pid, fd = __import__("pty").fork()
if not pid: os.execvp("sh", ["sh", "-c", "tty | tr -d 0-9; test -t 0 && stty size; kill -INT $$"])
data = b""
try:
    while chunk := os.read(fd, 100): data += chunk
except OSError as e: print(e)
print(data, os.waitpid(pid, 0)[1])
E""",
          r"""python3 - <<'E'
import os, mmap, fcntl, tempfile, shutil, select, socket, stat, resource, time, pathlib, glob
with open("f", "w+b") as f:
    f.truncate(10000); m = mmap.mmap(f.fileno(), 0); m[5000:5005] = b"hello"; m.flush(); f.seek(5000); print(f.read(5))
    m.resize(20000); print(len(m), os.fstat(f.fileno()).st_size); m.madvise(mmap.MADV_DONTNEED); print(m[5000:5005]); m.close()
a = mmap.mmap(-1, 8192); pid = os.fork()
if not pid: a[0] = 9; os._exit(0)
os.wait(); print(a[0]); fd = os.memfd_create("x"); os.write(fd, b"abc"); print(os.pread(fd, 2, 1), os.readlink(f"/proc/self/fd/{fd}"))
with open("lock", "w") as l:
    fcntl.flock(l, fcntl.LOCK_EX); other = open("lock")
    try: fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as e: print(e)
    fcntl.lockf(l, fcntl.LOCK_EX, 10, 5); pid = os.fork()
    if not pid:
        try: fcntl.lockf(l, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as e: os._exit(e.errno)
    print(os.waitpid(pid, 0)[1] >> 8)
os.makedirs("d/e"); [pathlib.Path(f"d/{n}").write_text(str(n)) for n in range(50)]; shutil.copytree("d", "c"); print(len(glob.glob("c/*")), [e.name for e in os.scandir("d") if e.is_dir()])
shutil.rmtree("c"); shutil.make_archive("a", "gztar", "d"); shutil.unpack_archive("a.tar.gz", "u"); print(len(os.listdir("u")))
x, y = socket.socketpair(); x.sendall(b"z" * 1000); print(len(y.recv(2000, socket.MSG_PEEK)), select.select([y], [x], [], 1)[0] == [y])
y.recv(1000); socket.send_fds(x, [b"fd"], [fd]); _, fds, _, _ = socket.recv_fds(y, 10, 1); print(os.pread(fds[0], 3, 0)); x.settimeout(.1)
try: x.recv(1)
except TimeoutError as e: print(e)
p = select.epoll(); p.register(y, select.EPOLLIN | select.EPOLLET); x.send(b"1"); print(p.poll(1)[0][1], p.poll(.05))
print(os.sched_getaffinity(0), resource.getrlimit(resource.RLIMIT_NOFILE), os.cpu_count())
os.symlink("f", "s"); os.link("f", "h"); print(os.stat("h").st_nlink, os.lstat("s").st_size, oct(os.umask(0)), stat.filemode(os.stat("/tmp").st_mode), os.statvfs("/").f_bsize)
os.utime("f", ns=(1, 1500000000123456789)); print(os.stat("f").st_mtime_ns, os.access("f", os.X_OK), os.path.realpath("s") == os.path.abspath("f"))
print(os.sendfile(fd, os.open("/etc/hostname", 0), 0, 3), os.copy_file_range(os.open("/etc/hostname", 0), os.open("g", os.O_RDWR | os.O_CREAT), 2))
dfd = os.open("d", os.O_DIRECTORY); print(os.open("1", 0, dir_fd=dfd) > 0, sorted(os.listdir(dfd))[:2]); os.rename("1", "one", src_dir_fd=dfd, dst_dir_fd=dfd); print(os.path.exists("d/one"))
t = tempfile.TemporaryFile(); t.write(b"q"); print(t.tell(), os.getgroups(), os.getpriority(0, 0))
print(time.clock_getres(time.CLOCK_MONOTONIC) <= .01, time.process_time() > 0, time.thread_time() > 0, len(os.urandom(9)), os.uname().sysname, os.getloadavg()[0] >= 0, os.eventfd(1) > 0, os.pidfd_open(os.getpid()) > 0)
E""",
          r"""python3 - <<'E'
import ctypes, sqlite3, zlib, lzma, bz2, hashlib, json, decimal, random, ssl, readline, curses, uuid, logging.handlers, tracemalloc, zoneinfo, locale, gc, sys, pickle, pwd, grp, unittest, socketserver, syslog
libc = ctypes.CDLL(None); print(libc.getpid() > 0, ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)(lambda n: n + 1)(4)); data = bytes(range(256)) * 500
print(all(m.decompress(m.compress(data)) == data for m in (zlib, lzma, bz2)), hashlib.sha256(data).hexdigest()[:8], hashlib.new("md5", b"").hexdigest())
db = sqlite3.connect("d"); db.execute("create table t(a)"); db.executemany("insert into t values(?)", ((n,) for n in range(5000))); db.commit()
print(db.execute("select sum(a) from t").fetchone(), db.execute("pragma integrity_check").fetchone()); random.seed(5)
print(random.random(), decimal.Decimal(2).sqrt(), ssl.OPENSSL_VERSION, pwd.getpwuid(0).pw_dir, grp.getgrgid(5).gr_name)
def deep(n): return deep(n + 1)
try: deep(0)
except RecursionError as e: print(e)
try: bytearray(1 << 46)
except MemoryError as e: print("memory")
x = [dict(n=n) for n in range(200000)]; print(len(pickle.dumps(x)), gc.collect() >= 0, sys.flags.utf8_mode, sys.getfilesystemencoding(), sys.stdout.encoding, locale.setlocale(locale.LC_ALL, ""))
E
{ python3 -c 'import os; os.abort()'; } 2>/dev/null; echo $?; { python3 -c 'import ctypes; ctypes.string_at(8)'; } 2>/dev/null; echo $?; python3 -X faulthandler -c 'import ctypes; ctypes.string_at(8)' 2>&1 | head -1
python3 -c 'raise SystemExit("bye")'; echo $?; python3 -c 'print("x" * 100000)' 2>&1 | head -c 1; timeout -s INT 2 python3 -c 'import time; time.sleep(99)' 2>&1 | tail -n 1
echo 'print(input())' >i.py; echo line | python3 i.py; python3 -m zipfile -c z.zip i.py; python3 -m zipfile -l z.zip | wc -l; python3 -m json.tool <<< '{"a":[1]}'; python3 -m compileall -q . ; ls __pycache__""")

OTHERS = (r"""lua5.4 - <<'E'
local p = io.popen("sort -rn | head -3", "w"); for n = 1, 2000 do p:write(n, "\n") end; print(p:close())
for line in io.popen("seq 3"):lines() do io.write(line, " ") end
local f <close> = assert(io.open("f", "w+")); f:setvbuf("full", 100); f:write(("x"):rep(5000)); print(f:seek("set", 4990), f:read(100)); print(io.open("/none")); print(os.rename("f", "g"), os.remove("g"), os.remove("g"))
print(os.execute("exit 4")); print(os.execute("kill -TERM $$")); print(os.getenv("HOME"), os.date("!%F", 0), os.time{year=2000, month=1, day=1, hour=0}, os.clock() >= 0, os.setlocale())
local t = {}; for n = 1, 300000 do t[n] = {n} end; t = nil; collectgarbage(); print(collectgarbage("count") < 2000); local function r(n) return 1 + r(n + 1) end; print(select(2, pcall(r, 0)):sub(1, 40))
E
echo 'print(...)' | lua5.4 - a b; lua5.4 -e 'error("x")'; echo $?; lua5.4 -e 'os.exit(3)'; echo $?; timeout -s INT 1 lua5.4 -e 'while true do end' 2>&1 | head -1
echo '#!/usr/bin/lua5.4' >s; echo 'print(arg[0], arg[1])' >>s; chmod +x s; ./s q; luac5.4 -o o s; lua5.4 o z""",
          r"""for mode in delete truncate persist memory wal off; do for sync in full off; do rm -f d*
sqlite3 d "pragma journal_mode=$mode; pragma synchronous=$sync; create table t(a integer primary key, b text); begin; insert into t select value, hex(value) from generate_series(1, 3000); commit; begin; delete from t where a % 2; $([ $mode = off ] && echo commit || echo rollback); update t set b = b || 'x' where a % 3 = 0; create index i on t(b); select count(*), sum(length(b)) from t; vacuum; pragma integrity_check"
ls -s d*; done; done; sqlite3 d .dump | md5sum; sqlite3 d '.backup e' && sqlite3 e 'pragma integrity_check'""",
          r"""sqlite3 d 'pragma journal_mode=wal; create table t(a)'; for n in 1 2 3 4; do (for m in 1 2 3 4 5; do sqlite3 -cmd '.timeout 60000' d "begin immediate; insert into t values($n * 10 + $m); commit"; done) & done; wait; sqlite3 d 'select count(*), sum(a) from t; pragma wal_checkpoint(truncate); pragma integrity_check'; ls -s d*
python3 - <<'E'
import sqlite3, os, signal, time
db = sqlite3.connect("d", isolation_level=None); other = sqlite3.connect("d", isolation_level=None, timeout=.1); db.execute("begin immediate")
try: other.execute("begin immediate")
except sqlite3.OperationalError as e: print(e)
print(other.execute("select count(*) from t").fetchone()); db.execute("rollback"); db.close(); other.close()
for mode in "wal", "delete":  # a writer dies in the middle of a transaction
    pid = os.fork()
    if not pid:
        d = sqlite3.connect("d", isolation_level=None); d.execute(f"pragma journal_mode={mode}"); d.execute("pragma cache_size=5"); d.execute("begin"); d.executemany("insert into t values(?)", ((n,) for n in range(20000))); os.kill(os.getpid(), signal.SIGKILL)
    os.wait(); print(sorted(os.listdir(".")), sqlite3.connect("d").execute("select count(*) from t").fetchone(), sqlite3.connect("d").execute("pragma integrity_check").fetchone())
db = sqlite3.connect("d"); db.execute("pragma mmap_size=1000000"); print(db.execute("select sum(a) from t").fetchone()); db.close(); os.chmod("d", 0o444); os.setuid(65534)
try: sqlite3.connect("d").execute("insert into t values(1)")
except sqlite3.OperationalError as e: print(e)
E""",
          r"""mkdir sub; printf 'all: x y z; @echo done\nx y z: ; @echo "$(MAKEFLAGS)" | grep -o jobserver-auth | uniq; sleep 0.2; echo $@ >>made\n' >Makefile; make -s -j3; sort made
printf 'all:\n\t+$(MAKE) -C sub\n\t@echo top\n' >Makefile; printf 'all: $(foreach n,1 2 3 4 5 6,t$n)\nt%%:\n\t@sleep 0.1; echo $@ >>../sub.made\n' >sub/Makefile; make -j2 2>&1 | grep -v directory; sort sub.made
printf 'a: b\n\tcp b a\nb:\n\techo 1 >b\n' >Makefile; make; make; touch -d '1 second ago' a; make -n; make -q; echo $?; make nothing; echo $?; printf 'f:\n\t@echo partial >f; exit 3\n.DELETE_ON_ERROR:\n' >Makefile; make; echo $?; ls f
printf 'i:\n\tsleep 20\n' >Makefile; timeout -s INT 1 make 2>&1 | sed 's/\[.*\]//'; printf 'v := $(shell uname; exit 2)\n$(info $(v) $(.SHELLSTATUS) $(wildcard *.none) $(sort c b a))\nall: ; @:\n' >Makefile; make
printf 'all:\n\t@echo a; echo b >&2\n' >Makefile; make -j2 -O 2>&1 | sort; make -j2 --trace all; make -k -j2 x y""",
          r"""perl - <<'E'
use strict; use warnings; use threads; use Socket; use IO::Select; use IO::Handle; use Fcntl ":flock"; use File::Find; use POSIX ":sys_wait_h"; use Time::HiRes qw(sleep alarm); use Data::Dumper; use Digest::SHA "sha1_hex"; $| = 1;
my $t = threads->create(sub { return $_[0] * 2 }, 21); print $t->join, "\n"; socketpair(my $a, my $b, AF_UNIX, SOCK_STREAM, PF_UNSPEC) or die; if (!fork) { print $b "from child\n"; close $b; exit 6 } close $b; print <$a>; wait; print $? >> 8, "\n";
$SIG{ALRM} = sub { die "alarm\n" }; eval { alarm 0.2; sleep 50 }; print $@; $SIG{CHLD} = sub { print "child\n" }; my $pid = fork; exit 0 unless $pid; sleep 50; waitpid $pid, 0; $SIG{CHLD} = "DEFAULT";
open my $p, "-|", "seq 5" or die; print scalar(my @l = <$p>), "\n"; close $p; open $p, "|-", "tr a-z A-Z" or die; print $p "upper\n"; close $p; print `echo out; exit 3`, $? >> 8, "\n"; print system('kill -9 $$'), "\n";
open my $f, "+>", "f"; print flock($f, LOCK_EX | LOCK_NB), "\n"; print $f "abc" x 1000; seek $f, 4, 0; read $f, my $x, 3; print "$x\n"; truncate $f, 10; print -s $f, "\n"; my $n = 0; find(sub { $n++ }, "/etc"); print $n > 10, "\n"; print join(",", (stat "f")[2, 3, 7]), "\n";
print sha1_hex("a" x 100000), "\n"; local $Data::Dumper::Terse = 1; print Dumper({a => [1, 2]}); print scalar getpwuid(0), " ", scalar getgrgid(5), "\n"; symlink "f", "l"; print readlink("l"), "\n"; unlink "l"; print "$!\n" unless open my $z, "<", "/none";
pipe my $r, my $w; my $s = IO::Select->new($r); print scalar(my @none = $s->can_read(0.1)), "\n"; syswrite $w, "x"; print scalar(my @one = $s->can_read(1)), "\n"; mkdir "d" or die; opendir my $d, "."; print join(" ", sort readdir $d), "\n"; exec "echo", "exec";
E
perl -pe 's/root/ROOT/' /etc/passwd | head -1; seq 5 | perl -ne '$s += $_; END { print "$s\n" }'; echo ab >g; perl -i.bak -pe 's/a/b/' g; cat g g.bak; { perl -e 'kill 9, $$'; } 2>/dev/null; echo $?; perl -e 'exit 300'; echo $?; perl -e 'die "x"'; echo $?; perl -e 'my @a = map { [$_] } 1..200000; print scalar @a, "\n"'""")


@sampled
@seconds(600)
def test_sample():
    """Some of each: threads, processes, local sockets, pipes, a jobserver, a write-ahead log."""
    same(*SAMPLE, packages=PACKAGES)


@full
@seconds(900)
def test_python():
    """Threads, signals, asyncio, multiprocessing, subprocess, files and memory, the library's extensions, ends."""
    same(*PYTHON, packages=PACKAGES)


@full
@seconds(900)
def test_others():
    """Lua, SQLite with every journal and with writers that compete and die, make with a jobserver, Perl."""
    same(*OTHERS, packages=PACKAGES)


@full
@seconds(600)
def test_compilers():
    """gcc and tcc, with the C library's headers: programs, a library, what they say of mistakes."""
    same(r"""printf '#include <stdio.h>\n#include <math.h>\n#include <pthread.h>\nint add(int, int);\nstatic void *run(void *p) { return p; }\nint main(void) { pthread_t t; pthread_create(&t, 0, run, 0); pthread_join(t, 0); printf("%%.6f %%d\\n", sqrt(2), add(40, 2)); return 3; }\n' >main.c
printf 'int add(int a, int b) { return a + b; }\n' >add.c; gcc -O2 -g -Wall -pipe -c main.c add.c && ar rcs libadd.a add.o && gcc -o p main.o -L. -ladd -lm && ./p; echo $?; gcc -shared -fPIC -o libadd.so add.c && gcc -o q main.c ./libadd.so -lm && ./q; echo $?; gcc -static -flto -O2 -o r main.c add.c -lm && ./r; echo $?; objdump -d p | grep -c add; nm libadd.a; strip r; size r | wc -l""",
         r"""printf 'int main(void) { return x; }\n' >bad.c; gcc bad.c; echo $?; tcc bad.c; echo $?; gcc none.c; echo $?; printf '#include <stdio.h>\nint main(int n, char **v) { puts(v[1]); return 0; }\n' >t.c; tcc -run t.c hello; tcc -o t t.c && ./t there; echo 'int main(void) { return 5; }' | tcc -run -; echo $?""",
         packages=("gcc", "libc6-dev", "tcc"))


@full
@seconds(400)
def test_interactive():
    """Python on the terminal: editing with readline, history, completion, Ctrl-C, Ctrl-D, Ctrl-Z."""
    with Shell("--fresh", "--package", "python3") as sh:
        sh.send("python3\r")
        sh.expect(">>> ")
        sh.send("6 * 6X\x7f + 1\r")
        sh.expect(r"\n37\r")
        sh.send("\x1b[A\x01100 + \r")
        sh.expect(r"\n137\r")
        sh.send("import os\ros.getpi\t")
        sh.expect(r"os.getpid\(")
        sh.send("\x15while True: pass\r\r")
        sh.expect(r"\.\.\. ")
        sh.expect(r"\n")
        sh.send("\x03")
        sh.expect("KeyboardInterrupt")
        sh.expect(">>> ")
        sh.send("input('name? ')\r")
        sh.expect(r"\nname\? ")
        sh.send("some\x17body\r")
        sh.expect(r"\n'body'\r")
        sh.send("os.get_terminal_size()\r")
        sh.expect(r"columns=80, lines=24\)")
        sh.send("os.kill(0, 20)\r")
        sh.expect("Stopped")
        sh.wait_prompt()
        sh.send("fg\r")
        sh.expect("python3")
        sh.send("\r'still ' 'here'\r")
        sh.expect(r"\n'still here'\r")
        sh.send("\x04")
        sh.wait_prompt()
        sh.power_off()
