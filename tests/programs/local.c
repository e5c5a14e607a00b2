/* SPDX-License-Identifier: MIT */
/* Local sockets: streams, datagrams, packets; names in the file system and abstract ones; files and
 * credentials sent along. */
#include "check.h"
#include <poll.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>

#define ADDRESS(value) ((void *)(uintptr_t)(value))

static socklen_t name_of(struct sockaddr_un *address, const char *path)
{
	memset(address, 0, sizeof *address);
	address->sun_family = AF_UNIX;
	strcpy(address->sun_path + (path[0] == '@'), path + (path[0] == '@'));
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path) + (path[0] != '@'));
}

static int bind_to(int fd, const char *path)
{
	struct sockaddr_un address;
	socklen_t size = name_of(&address, path);
	return bind(fd, (struct sockaddr *)&address, size);
}

static int connect_to(int fd, const char *path)
{
	struct sockaddr_un address;
	socklen_t size = name_of(&address, path);
	return connect(fd, (struct sockaddr *)&address, size);
}

static void show_name(int fd, int (*ask)(int, struct sockaddr *, socklen_t *))
{
	struct sockaddr_un address;
	socklen_t size = sizeof address;
	memset(&address, 0, sizeof address);
	errno = 0;
	if (ask(fd, (struct sockaddr *)&address, &size) < 0)
		printf("name: %s\n", strerrorname(errno));
	else
		printf("name: family %d, %u bytes, %d, %s\n", address.sun_family, size, address.sun_path[0],
		       address.sun_path + (address.sun_path[0] == 0));
}

static void making(void)
{
	SHOW(socket(AF_UNIX, SOCK_STREAM, 5));
	SHOW(socket(AF_UNIX, 9, 0));
	SHOW(socket(AF_UNIX, SOCK_STREAM | 0x100, 0));

	SHOW(syscall(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, ADDRESS(8)));
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	SHOW(fcntl(fd, F_GETFD));
	SHOW(fcntl(fd, F_GETFL) & O_NONBLOCK);
	show_name(fd, getsockname);
	show_name(fd, getpeername);
	char byte = 0;
	signal(SIGPIPE, SIG_IGN);
	SHOW(read(fd, &byte, 1));
	SHOW(write(fd, &byte, 1));
	SHOW(listen(fd, 1));
	SHOW(accept(fd, NULL, NULL));
	SHOW(shutdown(fd, SHUT_RD));
	SHOW(shutdown(fd, 77));
	SHOW(lseek(fd, 0, SEEK_CUR));
	struct pollfd polled = {fd, POLLIN | POLLOUT, 0};
	SHOW(poll(&polled, 1, 0));
	SHOW(polled.revents);
	SHOW(bind(0, NULL, 0));
	SHOW(bind(999, NULL, 0));
	SHOW(bind_to(fd, "/none/x"));
	SHOW(bind(fd, ADDRESS(8), 20));
	struct sockaddr_un address = {.sun_family = AF_INET};
	SHOW(bind(fd, (struct sockaddr *)&address, sizeof address));
	SHOW(bind(fd, (struct sockaddr *)&address, 1));
	SHOW(connect_to(fd, "local.none"));
	SHOW(connect_to(fd, "@none"));
	close(open("local.file", O_CREAT | O_WRONLY, 0600));
	SHOW(bind_to(fd, "local.file"));
	SHOW(connect_to(fd, "local.file"));
	unlink("local.file");
	close(fd);
}

static void streams(const char *path)
{
	struct stat status;
	char text[64] = "";
	int server = socket(AF_UNIX, SOCK_STREAM, 0), client = socket(AF_UNIX, SOCK_STREAM, 0),
	    other = socket(AF_UNIX, SOCK_STREAM, 0);
	SHOW(bind_to(server, path));
	SHOW(bind_to(server, "local.again"));
	SHOW(bind_to(other, path));
	show_name(server, getsockname);
	if (path[0] != '@') {
		SHOW(stat(path, &status));
		SHOW(S_ISSOCK(status.st_mode));
		SHOW(open(path, O_RDWR));
	}
	SHOW(connect_to(client, path));
	SHOW(listen(server, 1));
	SHOW(connect_to(server, path));
	SHOW(connect_to(client, path));
	SHOW(connect_to(client, path));
	show_name(client, getpeername);
	struct pollfd polled = {server, POLLIN, 0};
	SHOW(poll(&polled, 1, 0));
	SHOW(write(client, "before accept", 13));
	struct sockaddr_un address;
	socklen_t size = sizeof address;
	int connection = accept4(server, (struct sockaddr *)&address, &size, SOCK_CLOEXEC);
	SHOW(fcntl(connection, F_GETFD));
	SHOW(size);
	show_name(connection, getsockname);
	show_name(connection, getpeername);
	struct ucred credentials;
	size = sizeof credentials;
	SHOW(getsockopt(client, SOL_SOCKET, SO_PEERCRED, &credentials, &size));
	TELL(credentials.pid == getpid() && credentials.uid == getuid());
	SHOW(ioctl(connection, FIONREAD, &size));
	SHOW(size);
	SHOW(recv(connection, text, 6, MSG_PEEK));
	SHOW(recv(connection, text, sizeof text, MSG_DONTWAIT));
	printf("%s\n", text);
	SHOW(recv(connection, text, sizeof text, MSG_DONTWAIT));
	SHOW(recv(connection, text, 1, MSG_DONTWAIT | 0x100000));
	SHOW(send(client, "a", 1, 0) + send(client, "bc", 2, 0));
	SHOW(recv(connection, text, 3, MSG_WAITALL));
	SHOW(fcntl(server, F_SETFL, O_NONBLOCK));
	SHOW(accept(server, NULL, NULL));
	/* the queue of those that wait is full */
	int more[3];
	for (int i = 0; i < 3; i++) {
		more[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
		SHOW(connect_to(more[i], path));
	}
	/* half closed, closed */
	SHOW(shutdown(client, SHUT_WR));
	SHOW(read(connection, text, 1));
	SHOW(write(client, "x", 1));
	SHOW(write(connection, "reply", 5));
	polled = (struct pollfd){connection, POLLIN | POLLOUT | POLLRDHUP, 0};
	SHOW(poll(&polled, 1, 0));
	SHOW(polled.revents);
	close(connection);
	SHOW(read(client, text, sizeof text));
	SHOW(read(client, text, sizeof text));
	polled = (struct pollfd){client, POLLIN | POLLOUT | POLLRDHUP, 0};
	SHOW(poll(&polled, 1, 0));
	SHOW(polled.revents);
	close(server);
	SHOW(read(more[0], text, 1));
	SHOW(read(more[0], text, 1));
	SHOW(write(more[0], text, 1));
	SHOW(connect_to(more[2], path));
	for (int i = 0; i < 3; i++)
		close(more[i]);
	close(client);
	close(other);
	unlink(path);
	/* unread bytes at the end */
	int pair[2];
	socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
	SHOW(write(pair[0], "lost", 4));
	close(pair[1]);
	SHOW(read(pair[0], text, 1));
	SHOW(read(pair[0], text, 1));
	close(pair[0]);
}

static void datagrams(unsigned type)
{
	char text[64];
	struct sockaddr_un address;
	socklen_t size = name_of(&address, "@local.datagrams");
	int pair[2];
	SHOW(socketpair(AF_UNIX, (int)type, 0, pair));
	SHOW(send(pair[0], "first", 5, 0));
	SHOW(send(pair[0], "second", 6, 0));
	SHOW(send(pair[0], "", 0, 0));
	SHOW(recv(pair[1], text, 3, MSG_TRUNC | MSG_PEEK));
	SHOW(recv(pair[1], text, 3, 0));
	SHOW(recv(pair[1], text, sizeof text, 0));
	SHOW(recv(pair[1], text, sizeof text, 0));
	SHOW(recv(pair[1], text, sizeof text, MSG_DONTWAIT));
	char *big = calloc(1, 300000);
	SHOW(send(pair[0], big, 300000, 0));
	SHOW(send(pair[0], big, 100000, 0));
	SHOW(recv(pair[1], big, 300000, 0));
	free(big);
	struct timeval timeout = {0, 20000};
	SHOW(setsockopt(pair[1], SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout));
	SHOW(recv(pair[1], text, sizeof text, 0));
	close(pair[0]);
	SHOW(send(pair[1], "x", 1, MSG_NOSIGNAL));
	close(pair[1]);
	if (type != SOCK_DGRAM)
		return;
	int a = socket(AF_UNIX, SOCK_DGRAM, 0), b = socket(AF_UNIX, SOCK_DGRAM, 0),
	    c = socket(AF_UNIX, SOCK_STREAM, 0);
	SHOW(send(a, "x", 1, 0));
	SHOW(bind(a, (struct sockaddr *)&address, size));
	SHOW(sendto(b, "nameless", 8, 0, (struct sockaddr *)&address, size));
	struct sockaddr_un from;
	socklen_t from_size = sizeof from;
	SHOW(recvfrom(a, text, sizeof text, 0, (struct sockaddr *)&from, &from_size));
	SHOW(from_size);
	SHOW(bind_to(b, "local.b"));
	SHOW(sendto(b, "named", 5, 0, (struct sockaddr *)&address, size));
	from_size = sizeof from;
	SHOW(recvfrom(a, text, sizeof text, 0, (struct sockaddr *)&from, &from_size));
	printf("%u %s\n", from_size, from.sun_path);
	SHOW(sendto(a, "back", 4, 0, (struct sockaddr *)&from, from_size));
	SHOW(recv(b, text, sizeof text, 0));
	SHOW(connect(b, (struct sockaddr *)&address, size));
	SHOW(send(b, "connected", 9, 0));
	SHOW(recv(a, text, sizeof text, 0));
	SHOW(connect(c, (struct sockaddr *)&address, size));
	SHOW(listen(a, 1));
	SHOW(connect_to(a, "local.b"));
	int d = socket(AF_UNIX, SOCK_DGRAM, 0);
	SHOW(sendto(d, "x", 1, 0, (struct sockaddr *)&address, size)); /* a hears b only */
	struct sockaddr none = {.sa_family = AF_UNSPEC};
	SHOW(connect(b, &none, sizeof none));
	SHOW(send(b, "x", 1, 0));
	close(a);
	SHOW(sendto(d, "x", 1, 0, (struct sockaddr *)&address, size));
	/* a name of its own choice */
	address = (struct sockaddr_un){.sun_family = AF_UNIX};
	SHOW(bind(d, (struct sockaddr *)&address, sizeof(sa_family_t)));
	from_size = sizeof from;
	SHOW(getsockname(d, (struct sockaddr *)&from, &from_size));
	SHOW(from_size);
	close(b);
	close(c);
	close(d);
	unlink("local.b");
}

static ssize_t send_files(int fd, const int *files, size_t count, const char *text)
{
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int) * 8)];
	} control;
	struct iovec vector = {(void *)(uintptr_t)text, strlen(text)};
	memset(&control, 0, sizeof control);
	struct msghdr message = {.msg_iov = &vector,
	                         .msg_iovlen = 1,
	                         .msg_control = &control,
	                         .msg_controllen = CMSG_SPACE(sizeof(int) * count)};
	control.header = (struct cmsghdr){
	        .cmsg_len = CMSG_LEN(sizeof(int) * count), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
	memcpy(CMSG_DATA(&control.header), files, sizeof(int) * count);
	return sendmsg(fd, &message, 0);
}

static int receive(int fd, size_t room, int flags, int *out)
{
	union {
		struct cmsghdr header;
		char bytes[200];
	} control;
	char text[64] = "";
	struct iovec vector = {text, sizeof text - 1};
	struct msghdr message = {
	        .msg_iov = &vector, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = room};
	int count = 0;
	errno = 0;
	ssize_t size = recvmsg(fd, &message, flags);
	printf("received %zd %s: %s, flags %x, control %zu\n", size, size < 0 ? strerrorname(errno) : "",
	       text, (unsigned)message.msg_flags, (size_t)message.msg_controllen);
	for (struct cmsghdr *at = CMSG_FIRSTHDR(&message); size >= 0 && at != NULL;
	     at = CMSG_NXTHDR(&message, at)) {
		printf("control %d, %zu bytes\n", at->cmsg_type, (size_t)at->cmsg_len);
		if (at->cmsg_type == SCM_RIGHTS) {
			count = (int)((at->cmsg_len - CMSG_LEN(0)) / sizeof(int));
			memcpy(out, CMSG_DATA(at), sizeof(int) * (size_t)count);
		} else if (at->cmsg_type == SCM_CREDENTIALS) {
			struct ucred credentials;
			memcpy(&credentials, CMSG_DATA(at), sizeof credentials);
			TELL(credentials.pid == getpid() && credentials.uid == getuid() &&
			     credentials.gid == getgid());
		}
	}
	return count;
}

static void passing(void)
{
	int pair[2], ends[2], got[8], on = 1;
	char text[8] = "";
	socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
	pipe(ends);
	SHOW(send_files(pair[0], ends, 2, "two"));
	close(ends[0]);
	SHOW(write(pair[0], " more", 5));
	SHOW(receive(pair[1], 200, MSG_CMSG_CLOEXEC, got));
	SHOW(fcntl(got[0], F_GETFD));
	SHOW(write(ends[1], "through", 7));
	SHOW(read(got[0], text, 7));
	close(got[0]);
	close(got[1]);
	/* not enough room */
	SHOW(send_files(pair[0], (int[]){0, 1, 2}, 3, "three"));
	SHOW(receive(pair[1], CMSG_LEN(sizeof(int)), 0, got));
	SHOW(fcntl(got[0], F_GETFD));
	close(got[0]);
	SHOW(send_files(pair[0], (int[]){0}, 1, "none"));
	SHOW(receive(pair[1], 0, 0, got));
	SHOW(send_files(pair[0], (int[]){0, 999}, 2, "bad"));
	/* files bound what a read brings */
	SHOW(write(pair[0], "plain", 5));
	SHOW(send_files(pair[0], (int[]){0}, 1, "with"));
	SHOW(receive(pair[1], 200, 0, got));
	SHOW(receive(pair[1], 200, MSG_DONTWAIT, got));
	close(got[0]);
	/* a pipe's end in a message that nobody reads is closed with it */
	SHOW(send_files(pair[0], &ends[1], 1, "unread"));
	int read_end = ends[0];
	pipe(ends);
	read_end = ends[0];
	SHOW(send_files(pair[0], &ends[1], 1, "unread"));
	close(ends[1]);
	close(pair[0]);
	close(pair[1]);
	SHOW(read(read_end, text, 1));
	/* credentials */
	socketpair(AF_UNIX, SOCK_DGRAM, 0, pair);
	SHOW(setsockopt(pair[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on));
	SHOW(write(pair[0], "who", 3));
	SHOW(receive(pair[1], 200, 0, got));
	struct ucred maker = {0};
	socklen_t maker_size = sizeof maker;
	SHOW(getsockopt(pair[0], SOL_SOCKET, SO_PEERCRED, &maker, &maker_size));
	TELL(maker.pid == getpid() && maker.uid == getuid());
	/* a stream's bytes come from one sender at a time */
	socketpair(AF_UNIX, SOCK_STREAM, 0, ends);
	SHOW(setsockopt(ends[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof on));
	SHOW(write(ends[0], "mine", 4));
	pid_t child = fork();
	if (child == 0)
		_exit(write(ends[0], "child's", 7) != 7);
	waitpid(child, NULL, 0);
	SHOW(write(ends[0], "mine again", 10));
	SHOW(receive(ends[1], 200, 0, got));
	SHOW(read(ends[1], text, 7));
	SHOW(receive(ends[1], 200, 0, got));
	close(ends[0]);
	close(ends[1]);
	/* sockets in each other */
	socketpair(AF_UNIX, SOCK_STREAM, 0, ends);
	for (int i = 0; i < 100; i++) {
		int next[2];
		socketpair(AF_UNIX, SOCK_STREAM, 0, next);
		send_files(next[0], ends, 2, "x");
		close(ends[0]);
		close(ends[1]);
		ends[0] = next[0];
		ends[1] = next[1];
	}
	close(ends[0]);
	SHOW(close(ends[1]));
}

/* How often a ring of `length` sockets, each in flight to the next, can be made and left to itself. A pipe's
 * end goes with the first one. */
static int rings(int times, int length, int with)
{
	for (int made = 0; made < times; made++) {
		int pairs[4][2];
		for (int i = 0; i < length; i++)
			if (socketpair(AF_UNIX, i % 2 == 0 ? SOCK_STREAM : SOCK_DGRAM, 0, pairs[i]) < 0)
				return made;
		for (int i = 0; i < length; i++)
			if (send_files(pairs[i][0], &pairs[(i + 1) % length][1], 1, "x") < 0)
				return made;
		if (with >= 0 && made == 0 && send_files(pairs[0][0], &with, 1, "y") < 0)
			return made;
		for (int i = 0; i < length; i++) {
			close(pairs[i][0]);
			close(pairs[i][1]);
		}
	}
	return times;
}

/* A listener that is in a packet of a connection to it, which nobody has accepted. */
static int listener_ring(int number)
{
	char name[32];
	snprintf(name, sizeof name, "@local.ring.%d", number);
	int server = socket(AF_UNIX, SOCK_STREAM, 0), client = socket(AF_UNIX, SOCK_STREAM, 0);
	int done = bind_to(server, name) == 0 && listen(server, 1) == 0 && connect_to(client, name) == 0 &&
	           send_files(client, &server, 1, "x") > 0;
	close(server);
	close(client);
	return done;
}

static void out_of_reach(void)
{
	SHOW(rings(6000, 1, -1));
	SHOW(rings(3000, 2, -1));
	SHOW(rings(2000, 4, -1));
	int count = 0;
	while (count < 5000 && listener_ring(count))
		count++;
	SHOW(count);
	/* what is lost with a ring is closed */
	int ends[2];
	char byte;
	pipe2(ends, O_NONBLOCK);
	SHOW(rings(1, 3, ends[1]));
	close(ends[1]);
	struct pollfd polled = {ends[0], POLLIN, 0};
	for (int i = 0; i < 100 && poll(&polled, 1, 100) == 0; i++)
		close(socket(AF_UNIX, SOCK_STREAM, 0)); /* when Linux looks for them is its own affair */
	SHOW(read(ends[0], &byte, 1));
	close(ends[0]);
	/* what can still be received is not: one in the other, and that in one that is open */
	int outer[2], middle[2], inner[2], got = -1;
	socketpair(AF_UNIX, SOCK_STREAM, 0, outer);
	socketpair(AF_UNIX, SOCK_STREAM, 0, middle);
	socketpair(AF_UNIX, SOCK_STREAM, 0, inner);
	SHOW(write(inner[0], "in the middle", 13));
	SHOW(send_files(middle[0], &inner[1], 1, "x"));
	SHOW(send_files(outer[0], &middle[1], 1, "x"));
	SHOW(send_files(middle[0], &middle[1], 1, "x")); /* in itself, too */
	close(inner[1]);
	close(middle[1]);
	SHOW(rings(10, 1, -1));
	SHOW(receive(outer[1], CMSG_SPACE(sizeof(int)), 0, &got));
	int next = got;
	SHOW(receive(next, CMSG_SPACE(sizeof(int)), 0, &got));
	char text[20] = "";
	SHOW(read(got, text, sizeof text));
	printf("%s\n", text);
	close(got);
	SHOW(receive(next, CMSG_SPACE(sizeof(int)), 0, &got));
	close(got);
	close(next);
	close(middle[0]);
	close(inner[0]);
	close(outer[0]);
	close(outer[1]);
}

static void options(void)
{
	int pair[2], value = -1;
	socklen_t size = sizeof value;
	socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair);
	static const int asked[] = {SO_TYPE,   SO_ERROR,    SO_PASSCRED,  SO_ACCEPTCONN,
	                            SO_DOMAIN, SO_PROTOCOL, SO_REUSEADDR, SO_SNDBUF};
	for (size_t i = 0; i < sizeof asked / sizeof asked[0]; i++) {
		SHOW(getsockopt(pair[0], SOL_SOCKET, asked[i], &value, &size));
		SHOW(value);
	}
	SHOW(getsockopt(pair[0], SOL_SOCKET, 999, &value, &size));
	SHOW(getsockopt(pair[0], 6, 1, &value, &size));
	SHOW(setsockopt(pair[0], 6, 1, &value, size));
	SHOW(setsockopt(pair[0], SOL_SOCKET, 999, &value, size));
	SHOW(setsockopt(pair[0], SOL_SOCKET, SO_PASSCRED, &value, 2));
	SHOW(setsockopt(pair[0], SOL_SOCKET, SO_PASSCRED, ADDRESS(8), 4));
	SHOW(setsockopt(0, SOL_SOCKET, SO_PASSCRED, &value, 4));
}

/* A server and clients that come one after the other, each with a lot to say. */
static void traffic(void)
{
	static char block[100000];
	int server = socket(AF_UNIX, SOCK_STREAM, 0);
	bind_to(server, "@local.traffic");
	listen(server, 5);
	fflush(stdout);
	for (int i = 0; i < 4; i++) {
		if (fork() != 0)
			continue;
		int fd = socket(AF_UNIX, SOCK_STREAM, 0);
		if (connect_to(fd, "@local.traffic") != 0)
			_exit(1);
		memset(block, 'a' + i, sizeof block);
		for (int j = 0; j < 10; j++)
			if (write(fd, block, sizeof block) != sizeof block)
				_exit(2);
		shutdown(fd, SHUT_WR);
		_exit(read(fd, block, 10) == 2 ? 0 : 3);
	}
	for (int i = 0; i < 4; i++) {
		int fd = accept(server, NULL, NULL), wrong = 0;
		long total = 0;
		ssize_t count;
		while ((count = read(fd, block, 7777)) > 0) {
			total += count;
			wrong += block[0] != block[count - 1];
		}
		SHOW(total);
		SHOW(wrong);
		SHOW(write(fd, "ok", 2));
		close(fd);
	}
	for (int i = 0; i < 4; i++) {
		int status;
		wait(&status);
		SHOW(status);
	}
}

int main(void)
{
	making();
	streams("local.socket");
	streams("@local.abstract");
	datagrams(SOCK_DGRAM);
	datagrams(SOCK_SEQPACKET);
	passing();
	out_of_reach();
	options();
	traffic();
	return 0;
}
