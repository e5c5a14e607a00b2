/* SPDX-License-Identifier: MIT */
/* A pseudo-terminal: its line discipline, its modes, and what it does to the processes that use it. */
#include "check.h"
#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>

static int master;
static int interrupts, resizes;

static void on_signal(int signal)
{
	if (signal == SIGINT)
		interrupts++;
	else
		resizes++;
}

/* Everything that comes out of the master until it is quiet, printed with control characters shown. */
static void show_output(const char *label)
{
	struct pollfd poll_set = {.fd = master, .events = POLLIN};
	printf("%s: \"", label);
	for (;;) {
		char text[256];
		int ready = poll(&poll_set, 1, 300);
		if (ready < 0 && errno == EINTR)
			continue; /* the signal that was typed may come before its echo */
		if (ready <= 0 || !(poll_set.revents & POLLIN))
			break;
		ssize_t count = read(master, text, sizeof(text));
		for (ssize_t i = 0; i < count; i++) {
			if (text[i] >= ' ' && text[i] < 127)
				putchar(text[i]);
			else
				printf("<%02x>", (unsigned char)text[i]);
		}
		if (count <= 0)
			break;
	}
	printf("\"\n");
}

static void type(const char *text)
{
	if (write(master, text, strlen(text)) < 0)
		exit(1);
}

static void show_line(int slave)
{
	char text[256];
	ssize_t count = read(slave, text, sizeof(text) - 1);
	text[count > 0 ? count : 0] = 0;
	for (char *p = text; *p != 0; p++) {
		if (*p < ' ' || *p == 127)
			*p = '~';
	}
	printf("read %zd \"%s\"%s\n", count, text, count < 0 ? strerrorname(errno) : "");
}

static void lines(int slave)
{
	int waiting;
	type("helo\177lo\n");
	show_output("echo");
	SHOW(ioctl(slave, FIONREAD, &waiting));
	show_line(slave);
	type("one two\027three\025again\n");
	show_line(slave);
	type("end\004");
	show_line(slave);
	type("\004");
	show_line(slave);
	type("a\026\003b\n");
	show_line(slave);
	show_output("more echo");
	if (write(slave, "out\tput\n", 8) != 8)
		exit(1);
	show_output("output");
}

static void modes(int slave)
{
	struct termios saved, raw;
	SHOW(tcgetattr(slave, &saved));
	raw = saved;
	cfmakeraw(&raw);
	raw.c_cc[VMIN] = 0;
	raw.c_cc[VTIME] = 1;
	SHOW(tcsetattr(slave, TCSAFLUSH, &raw));
	show_line(slave); /* nothing comes in a tenth of a second */
	type("\003x\r");
	show_line(slave);
	if (write(slave, "\n", 1) != 1)
		exit(1);
	show_output("raw output");
	raw.c_cc[VMIN] = 3;
	raw.c_cc[VTIME] = 0;
	SHOW(tcsetattr(slave, TCSANOW, &raw));
	type("abc");
	show_line(slave);
	SHOW(tcsetattr(slave, TCSANOW, &saved));
	type("thrown away\n");
	show_output("echo of what is thrown away");
	SHOW(tcflush(slave, TCIFLUSH));
	fcntl(slave, F_SETFL, O_RDWR | O_NONBLOCK);
	show_line(slave);
	fcntl(slave, F_SETFL, O_RDWR);
	show_output("rest");
}

/* In a session of its own, with the slave as its terminal. */
static int child(const char *name)
{
	struct winsize size = {.ws_row = 30, .ws_col = 100}, got;
	struct sigaction action = {.sa_handler = on_signal};
	int group = 0;
	SHOW(open("/dev/tty", O_RDWR));
	SHOW_OK(setsid());
	int slave = open(name, O_RDWR);
	SHOW(slave >= 0 ? 0 : -1);
	SHOW_OK(open("/dev/tty", O_RDWR));
	TELL(tcgetsid(slave) == getpid());
	TELL(tcgetpgrp(slave) == getpgrp());
	SHOW(ioctl(master, TIOCGPGRP, &group));
	TELL(group == getpgrp());
	SHOW(ioctl(master, TIOCGSID, &group));
	TELL(group == getpid());
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGWINCH, &action, NULL);
	SHOW(ioctl(master, TIOCSWINSZ, &size));
	SHOW(ioctl(slave, TIOCGWINSZ, &got));
	printf("%d rows, %d columns, %d resizes\n", got.ws_row, got.ws_col, resizes);
	type("\003");
	show_output("interrupt");
	printf("%d interrupts\n", interrupts);
	lines(slave);
	modes(slave);
	pid_t reader = fork();
	if (reader == 0) { /* a background reader is stopped */
		setpgid(0, 0);
		char byte;
		_exit(read(slave, &byte, 1) == 1 && byte == 'f' ? 0 : 1);
	}
	int status;
	setpgid(reader, reader);
	waitpid(reader, &status, WUNTRACED);
	printf("the background reader: stopped %d by %d\n", WIFSTOPPED(status), WSTOPSIG(status));
	signal(SIGTTOU, SIG_IGN);
	SHOW(tcsetpgrp(slave, reader));
	kill(reader, SIGCONT);
	type("f\n");
	waitpid(reader, &status, 0);
	printf("in the foreground: status %d\n", WEXITSTATUS(status));
	SHOW(tcsetpgrp(slave, 999999));
	SHOW(tcsetpgrp(slave, getpgrp()));
	fflush(stdout);
	return 0;
}

/* ---- packet mode, typing for others, what is printed on paper ---- */

#ifndef TIOCSIG
#define TIOCSIG _IOW('T', 0x36, int)
#endif
#ifndef TIOCGPKT
#define TIOCGPKT _IOR('T', 0x38, int)
#endif

static int other_end(void)
{
	int unlock = 0;
	master = open("/dev/ptmx", O_RDWR | O_NOCTTY);
	SHOW(ioctl(master, TIOCSPTLCK, &unlock));
	return open(ptsname(master), O_RDWR | O_NOCTTY);
}

static void show_packet(const char *what)
{
	struct pollfd wait = {.fd = master, .events = POLLIN | POLLPRI};
	unsigned char text[64];
	SHOW(poll(&wait, 1, 300));
	printf("%s: %x:", what, (unsigned)wait.revents);
	if (wait.revents & POLLIN) {
		ssize_t size = read(master, text, sizeof text);
		for (ssize_t i = 0; i < size; i++)
			printf(" %02x", text[i]);
	}
	putchar('\n');
}

static void packets(void)
{
	struct termios modes;
	int slave = other_end(), on = 1, off = 0, value = 5;
	SHOW(ioctl(master, TIOCGPKT, &value));
	SHOW(value);
	SHOW(ioctl(slave, TIOCPKT, &on));
	SHOW(tcflush(slave, TCIOFLUSH)); /* before: is not told */
	SHOW(ioctl(master, TIOCPKT, &on));
	SHOW(ioctl(master, TIOCGPKT, &value));
	SHOW(value);
	SHOW(write(slave, "text", 4));
	show_packet("text");
	SHOW(tcflush(slave, TCIFLUSH));
	show_packet("input flushed");
	SHOW(tcflush(slave, TCOFLUSH));
	show_packet("output flushed");
	SHOW(write(slave, "more", 4));
	SHOW(tcflow(slave, TCOOFF));
	show_packet("stopped");
	SHOW(tcflow(slave, TCOON));
	show_packet("started");
	show_packet("rest");
	tcgetattr(slave, &modes);
	modes.c_iflag &= ~(tcflag_t)IXON;
	SHOW(tcsetattr(slave, TCSANOW, &modes));
	show_packet("no flow");
	modes.c_iflag |= IXON;
	SHOW(tcsetattr(slave, TCSANOW, &modes));
	show_packet("flow");
	modes.c_cc[VSTOP] = 1;
	SHOW(tcsetattr(slave, TCSANOW, &modes));
	show_packet("another key");
	type("a");
	show_packet("echo");
	type("\001");
	show_packet("stopped by a key");
	SHOW(ioctl(master, TIOCPKT, &off));
	type("b\021");
	show_output("no packets");
	SHOW(ioctl(slave, TIOCSIG, SIGINT));
	SHOW(ioctl(master, TIOCSIG, SIGHUP));
	SHOW(ioctl(master, TIOCSIG, SIGINT)); /* nobody is in the foreground */
	close(slave);
	close(master);
}

/* What was written has gone, though nobody has read it. */
static void drained(void)
{
	struct termios modes;
	int slave = other_end(), value = 5;
	SHOW(write(slave, "left", 4));
	alarm(30);
	SHOW(tcdrain(slave));
	SHOW(tcgetattr(slave, &modes));
	SHOW(tcsetattr(slave, TCSADRAIN, &modes));
	alarm(0);
	SHOW(ioctl(slave, TIOCOUTQ, &value));
	SHOW(value);
	show_output("drained");
	SHOW(ioctl(master, TIOCGPGRP, &value)); /* it is nobody's terminal */
	SHOW(value);
	SHOW(ioctl(master, TIOCGSID, &value));
	close(slave);
	close(master);
}

static void typed_by_program(void)
{
	struct termios modes;
	int slave = other_end();
	tcgetattr(slave, &modes);
	printf("new: %x %x %x %x\n", modes.c_iflag, modes.c_oflag, modes.c_cflag, modes.c_lflag);
	modes.c_iflag |= IUCLC;
	SHOW(tcsetattr(slave, TCSANOW, &modes));
	type("AbC \311\n");
	show_line(slave);
	show_output("lower case");
	type("\026A\n");
	show_line(slave);
	show_output("literally");
	modes.c_lflag &= ~(tcflag_t)IEXTEN;
	SHOW(tcsetattr(slave, TCSANOW, &modes));
	type("AbC\n");
	show_line(slave);
	show_output("not extended");
	modes.c_lflag |= IEXTEN | ECHOPRT;
	modes.c_iflag &= ~(tcflag_t)IUCLC;
	SHOW(tcsetattr(slave, TCSANOW, &modes));
	type("abc\177\177d\177\177\177\177e\n");
	show_line(slave);
	show_output("printed");
	type("one two\027\001\177x\n");
	show_line(slave);
	show_output("word");
	type("one\025two\n");
	show_line(slave);
	show_output("line");
	type("ab\177\022c\177\026\003\n");
	show_line(slave);
	show_output("reprinted, literal");
	modes.c_lflag &= ~(tcflag_t)(ECHOPRT | ECHOK);
	SHOW(tcsetattr(slave, TCSANOW, &modes));
	type("one\025two\n");
	show_line(slave);
	show_output("without ECHOK");
	modes.c_lflag |= ECHOK;
	modes.c_lflag &= ~(tcflag_t)ECHOKE;
	SHOW(tcsetattr(slave, TCSANOW, &modes));
	type("one\025two\n");
	show_line(slave);
	show_output("without ECHOKE");
	close(slave);
	close(master);
}

/* In a session of its own. */
static void hung_up(void)
{
	struct sigaction action = {.sa_handler = on_signal};
	setsid();
	int slave = other_end();
	SHOW(ioctl(slave, TIOCSCTTY, 0));
	sigaction(SIGHUP, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	SHOW(ioctl(master, TIOCSIG, SIGINT));
	printf("interrupts: %d\n", interrupts);
	struct pollfd poll_set = {.fd = slave, .events = POLLIN | POLLOUT};
	SHOW(poll(&poll_set, 1, 0));
	printf("open: %x\n", (unsigned)poll_set.revents);
	close(master);
	SHOW(poll(&poll_set, 1, 0));
	printf("hung up: %x\n", (unsigned)poll_set.revents);
	SHOW(tcsetpgrp(slave, getpgrp()));
	SHOW(tcgetpgrp(slave));
	char byte;
	SHOW(read(slave, &byte, 1));
	SHOW(write(slave, "x", 1));
}

/* Who leads the session hears that it is hung up, the foreground's group when he ends. */
static void leader_hears(void)
{
	struct sigaction action = {.sa_handler = on_signal};
	int told[2], status;
	char byte;
	SHOW(pipe(told));
	int slave = other_end();
	fflush(stdout);
	if (fork() == 0) {
		close(master);
		resizes = 0;
		setsid();
		ioctl(slave, TIOCSCTTY, 0);
		signal(SIGTTOU, SIG_IGN);
		sigaction(SIGHUP, &action, NULL);
		pid_t job = fork();
		setpgid(job, job);
		if (job == 0)
			tcsetpgrp(slave, getpgrp());
		if (job == 0 && write(told[1], "r", 1) < 0)
			_exit(1);
		while (resizes == 0)
			poll(NULL, 0, 20);
		_exit(write(told[1], job == 0 ? "j" : "l", 1) != 1);
	}
	close(slave);
	SHOW(read(told[0], &byte, 1));
	close(master);
	SHOW(wait(&status) > 0);
	SHOW(read(told[0], &byte, 1));
	printf("first: %c\n", byte);
	SHOW(read(told[0], &byte, 1));
	printf("then: %c\n", byte);
}

/* Lines that came before the terminal was raw for a while are no longer lines. */
static void raw_for_a_while(void)
{
	int slave = other_end();
	struct termios old, raw;
	struct pollfd poll_set = {.fd = slave, .events = POLLIN};
	char text[64];
	tcgetattr(slave, &old);
	raw = old;
	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	type("cat\nfoo\nbar\n");
	SHOW(poll(&poll_set, 1, 1000));
	tcsetattr(slave, TCSANOW, &raw);
	SHOW(read(slave, text, 4));
	tcsetattr(slave, TCSANOW, &old);
	ssize_t length = read(slave, text, sizeof(text));
	printf("%zd: %.*s", length, (int)length, text);
	SHOW(poll(&poll_set, 1, 0));
	show_output("raw for a while");
	close(slave);
	close(master);
}

/* Names in the terminals' folder are not for users to change. */
static void folder(const char *name)
{
	SHOW(rename(name, "/dev/pts/other"));
	SHOW(rename("/dev/pts/none", "/dev/pts/other"));
	SHOW(link(name, "/dev/pts/other"));
	SHOW(symlink("x", "/dev/pts/other"));
	SHOW(mkdir("/dev/pts/other", 0700));
	SHOW(mknod("/dev/pts/other", S_IFREG | 0600, 0));
	SHOW(mknod("/dev/pts/other", S_IFIFO | 0600, 0));
	SHOW(open("/dev/pts/other", O_CREAT | O_WRONLY, 0600));
	SHOW(unlink(name));
	SHOW(rmdir(name));
	SHOW(unlink("/dev/pts/other"));
	SHOW(access(name, F_OK));
}

int main(void)
{
	char *name;
	int unlock = 0, status;
	setvbuf(stdout, NULL, _IOLBF, 0);
	setsid(); /* without a terminal; fails where it leads a session already */
	master = open("/dev/ptmx", O_RDWR | O_NOCTTY);
	SHOW(master >= 0 ? 0 : -1);
	name = ptsname(master);
	TELL(name != NULL && strncmp(name, "/dev/pts/", 9) == 0);
	SHOW(open(name, O_RDWR | O_NOCTTY));
	folder(name);
	SHOW(ioctl(master, TIOCSPTLCK, &unlock));
	TELL(isatty(master));
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0)
		_exit(child(name));
	waitpid(pid, &status, 0);
	printf("the child: %d\n", status);
	char byte;
	SHOW(read(master, &byte, 1)); /* the slave is closed */
	packets();
	drained();
	typed_by_program();
	raw_for_a_while();
	leader_hears();
	show_child("hung up", hung_up);
	return 0;
}
