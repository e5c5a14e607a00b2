/* SPDX-License-Identifier: MIT */
/* splice, tee, vmsplice: between pipes, files and sockets; offsets, partial transfers, ends, errors. */
#include "check.h"
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define ADDRESS(value) ((void *)(uintptr_t)(value))
#define PIPE_SIZE      65536

static void drain(int fd)
{
	char buffer[4096];
	uint64_t hash = HASH_START;
	long total = 0, size;
	fcntl(fd, F_SETFL, O_NONBLOCK);
	while ((size = read(fd, buffer, sizeof buffer)) > 0) {
		hash = hash_bytes(hash, buffer, (size_t)size);
		total += size;
	}
	printf("drained %ld, %016lx, %s\n", total, hash, size == 0 ? "end" : strerrorname(errno));
	fcntl(fd, F_SETFL, 0);
}

static int make(const char *name, size_t size)
{
	int fd = open(name, O_CREAT | O_TRUNC | O_RDWR, 0644);
	uint32_t seed = 1;
	char buffer[4096];
	while (size > 0) {
		size_t part = size < sizeof buffer ? size : sizeof buffer;
		for (size_t i = 0; i < part; i++)
			buffer[i] = (char)random_next(&seed);
		if (write(fd, buffer, part) != (ssize_t)part)
			exit(1);
		size -= part;
	}
	lseek(fd, 0, SEEK_SET);
	return fd;
}

static void errors(void)
{
	int file = make("splices.a", 10000), append = open("splices.a", O_WRONLY | O_APPEND), a[2], b[2];
	int event = eventfd(1, 0), path = open("splices.a", O_PATH), directory = open(".", O_RDONLY);
	loff_t zero = 0, bad = -1;
	signal(SIGPIPE, SIG_IGN);
	pipe(a);
	pipe(b);
	SHOW(splice(a[0], NULL, b[1], NULL, 0, 0));
	SHOW(splice(a[0], NULL, b[1], NULL, 0, 0x100));
	SHOW(splice(a[0], NULL, b[1], NULL, 1, 0x100));
	SHOW(splice(a[0], NULL, b[1], NULL, 1, SPLICE_F_NONBLOCK));
	SHOW(splice(a[1], NULL, b[1], NULL, 1, 0));
	SHOW(splice(a[0], NULL, b[0], NULL, 1, 0));
	SHOW(splice(a[0], NULL, a[1], NULL, 1, 0));
	SHOW(splice(999, NULL, a[1], NULL, 1, 0));
	SHOW(splice(a[0], NULL, 999, NULL, 1, 0));
	SHOW(splice(path, NULL, a[1], NULL, 1, 0));
	SHOW(splice(file, NULL, file, NULL, 1, 0));
	SHOW(splice(file, &zero, a[1], &zero, 1, 0));
	SHOW(splice(a[0], &zero, file, &zero, 1, 0));
	SHOW(splice(file, &bad, a[1], NULL, 1, 0));
	SHOW(splice(file, ADDRESS(8), a[1], NULL, 1, 0));
	SHOW(splice(directory, NULL, a[1], NULL, 1, 0));
	SHOW(splice(event, NULL, a[1], NULL, 8, 0));
	write(a[1], "some text", 9);
	SHOW(splice(a[0], NULL, append, NULL, 4, 0));
	SHOW(splice(a[0], NULL, file, &bad, 4, 0));
	SHOW(splice(a[0], NULL, file, ADDRESS(8), 4, 0));
	SHOW(splice(a[0], NULL, event, NULL, 8, 0));
	SHOW(splice(a[0], NULL, directory, NULL, 8, 0));
	SHOW(tee(a[0], b[1], 4, 0x100));
	SHOW(tee(a[0], b[1], 0, 0));
	SHOW(tee(999, b[1], 0, 0));
	SHOW(tee(a[0], 999, 1, 0));
	SHOW(tee(a[1], b[1], 1, 0));
	SHOW(tee(a[0], a[1], 1, 0));
	SHOW(tee(file, b[1], 1, 0));
	SHOW(tee(b[0], a[1], 1, SPLICE_F_NONBLOCK));
	struct iovec part = {ADDRESS(8), 4}, none = {NULL, 0};
	SHOW(vmsplice(a[1], &part, 1, 0x100));
	SHOW(vmsplice(a[1], &part, 1, 0));
	SHOW(vmsplice(a[1], &none, 1, 0));
	SHOW(vmsplice(a[1], &part, 0, 0));
	SHOW(vmsplice(a[1], &part, 1025, 0));
	SHOW(vmsplice(999, &part, 1, 0));
	SHOW(vmsplice(file, &part, 1, 0));
	SHOW(vmsplice(a[1], ADDRESS(8), 1, 0));
	SHOW(vmsplice(a[0], &part, 1, 0));
	drain(a[0]);
	close(a[1]);
	SHOW(splice(a[0], NULL, b[1], NULL, 1, 0));
	SHOW(splice(a[0], NULL, file, NULL, 1, 0));
	SHOW(tee(a[0], b[1], 1, 0));
	close(a[0]);
	close(b[0]);
	SHOW(splice(file, NULL, b[1], NULL, 1, 0));
	part = (struct iovec){"x", 1};
	SHOW(vmsplice(b[1], &part, 1, 0));
	close(b[1]);
	close(event);
	close(path);
	close(append);
	close(directory);
	close(file);
	unlink("splices.a");
}

static void files(void)
{
	int in = make("splices.a", 200000), out = open("splices.b", O_CREAT | O_TRUNC | O_RDWR, 0644),
	    ends[2];
	loff_t from = 4096, to = 100;
	struct stat status;
	pipe(ends);
	SHOW(splice(in, NULL, ends[1], NULL, 10, 0));
	SHOW(lseek(in, 0, SEEK_CUR));
	drain(ends[0]);
	SHOW(splice(in, &from, ends[1], NULL, 1 << 20, 0)); /* as much as there is room */
	SHOW(from);
	SHOW(lseek(in, 0, SEEK_CUR));
	SHOW(splice(in, &from, ends[1], NULL, 1, SPLICE_F_NONBLOCK));
	SHOW(splice(ends[0], NULL, out, &to, 1000, SPLICE_F_MOVE));
	SHOW(to);
	SHOW(lseek(out, 0, SEEK_CUR));
	SHOW(splice(ends[0], NULL, out, NULL, 1 << 20, SPLICE_F_MORE));
	SHOW(lseek(out, 0, SEEK_CUR));
	SHOW(splice(ends[0], NULL, out, NULL, 1, SPLICE_F_NONBLOCK));
	SHOW(fstat(out, &status) == 0 ? status.st_size : -1);
	lseek(out, 0, SEEK_SET);
	drain(out);
	from = 199990;
	SHOW(splice(in, &from, ends[1], NULL, 100, 0));
	SHOW(splice(in, &from, ends[1], NULL, 100, 0));
	from = 1 << 20;
	SHOW(splice(in, &from, ends[1], NULL, 100, 0));
	drain(ends[0]);
	/* all of a file through a pipe */
	lseek(in, 0, SEEK_SET);
	SHOW(ftruncate(out, 0));
	lseek(out, 0, SEEK_SET);
	long size;
	while ((size = splice(in, NULL, ends[1], NULL, 30000, 0)) > 0)
		while (size > 0) {
			long part = splice(ends[0], NULL, out, NULL, (size_t)size, 0);
			if (part <= 0)
				exit(1);
			size -= part;
		}
	lseek(in, 0, SEEK_SET);
	lseek(out, 0, SEEK_SET);
	drain(in);
	drain(out);
	int zero = open("/dev/zero", O_RDONLY), null = open("/dev/null", O_WRONLY);
	SHOW(splice(zero, NULL, ends[1], NULL, 8192, 0));
	SHOW(splice(ends[0], NULL, null, NULL, 8192, 0));
	int version = open("/proc/version", O_RDONLY);
	SHOW(splice(version, NULL, ends[1], NULL, 4096, 0) > 0);
	SHOW(splice(version, NULL, ends[1], NULL, 4096, 0));
	close(zero);
	close(null);
	close(version);
	close(in);
	close(out);
	close(ends[0]);
	close(ends[1]);
	unlink("splices.a");
	unlink("splices.b");
}

static void pipes(void)
{
	int a[2], b[2], c[2];
	char *page = aligned_alloc(4096, PIPE_SIZE), text[64] = "";
	memset(page, 'p', PIPE_SIZE);
	pipe(a);
	pipe(b);
	pipe(c);
	write(a[1], "hello, world", 12);
	SHOW(tee(a[0], b[1], 5, 0));
	SHOW(tee(a[0], b[1], 100, 0));
	SHOW(read(b[0], text, sizeof text));
	printf("%s\n", text);
	SHOW(splice(a[0], NULL, c[1], NULL, 7, 0));
	SHOW(splice(a[0], NULL, c[1], NULL, 100, 0));
	SHOW(splice(a[0], NULL, c[1], NULL, 100, SPLICE_F_NONBLOCK));
	drain(c[0]);
	/* full ones */
	SHOW(write(a[1], page, PIPE_SIZE));
	SHOW(tee(a[0], b[1], PIPE_SIZE, 0));
	SHOW(tee(a[0], b[1], 1, SPLICE_F_NONBLOCK));
	fcntl(b[1], F_SETFL, O_NONBLOCK);
	SHOW(splice(a[0], NULL, b[1], NULL, 1, 0));
	fcntl(b[1], F_SETFL, 0);
	SHOW(splice(a[0], NULL, c[1], NULL, 1 << 20, 0));
	struct iovec part = {text, 4}, parts[2] = {{page, 10}, {page + 100, 20}};
	SHOW(vmsplice(b[1], &part, 1, SPLICE_F_NONBLOCK));
	drain(b[0]);
	drain(c[0]);
	SHOW(vmsplice(a[1], parts, 2, SPLICE_F_GIFT));
	parts[0].iov_len = PIPE_SIZE;
	SHOW(vmsplice(b[1], parts, 1, 0));
	part.iov_len = 40;
	SHOW(vmsplice(a[0], &part, 1, 0));
	printf("%.40s\n", text);
	SHOW(vmsplice(a[0], &part, 1, SPLICE_F_NONBLOCK));
	drain(b[0]);
	/* somebody else makes room, gives bytes, goes */
	fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		close(a[1]);
		close(b[0]);
		long total = 0, size;
		while ((size = splice(a[0], NULL, b[1], NULL, 12345, 0)) > 0)
			total += size;
		_exit(size == 0 && total == 50000 ? 0 : 1);
	}
	close(b[1]);
	close(a[0]);
	for (int i = 0; i < 5; i++)
		write(a[1], page, 10000);
	close(a[1]);
	long total = 0, size;
	while ((size = read(b[0], page, 1000)) > 0)
		total += size;
	SHOW(total);
	int status;
	SHOW(waitpid(child, &status, 0) == child && status == 0);
	close(b[0]);
	close(c[0]);
	close(c[1]);
	free(page);
}

static void sockets(int type)
{
	int pair[2], ends[2];
	char text[100] = "";
	SHOW(socketpair(AF_UNIX, type, 0, pair));
	pipe(ends);
	loff_t zero = 0;
	SHOW(splice(pair[0], NULL, ends[1], NULL, 10, SPLICE_F_NONBLOCK));
	SHOW(splice(pair[0], &zero, ends[1], NULL, 10, SPLICE_F_NONBLOCK));
	SHOW(write(pair[1], "over a socket", 13));
	SHOW(splice(pair[0], NULL, ends[1], NULL, 100, 0));
	SHOW(splice(ends[0], NULL, pair[0], NULL, 4, 0));
	SHOW(splice(ends[0], NULL, pair[0], &zero, 4, 0));
	SHOW(splice(ends[0], NULL, pair[0], NULL, 100, 0));
	SHOW(read(pair[1], text, sizeof text) > 0);
	printf("%.4s\n", text);
	close(pair[1]);
	SHOW(splice(pair[0], NULL, ends[1], NULL, 100, 0));
	write(ends[1], "x", 1);
	SHOW(splice(ends[0], NULL, pair[0], NULL, 100, 0));
	close(pair[0]);
	close(ends[0]);
	close(ends[1]);
}

static void on_alarm(int signal)
{
	(void)signal;
}

static void interrupted(void)
{
	int a[2], b[2];
	struct sigaction action = {.sa_handler = on_alarm};
	sigaction(SIGALRM, &action, NULL);
	pipe(a);
	pipe(b);
	ualarm(20000, 0);
	SHOW(splice(a[0], NULL, b[1], NULL, 1, 0));
	ualarm(20000, 0);
	SHOW(tee(a[0], b[1], 1, 0));
	char byte;
	struct iovec part = {&byte, 1};
	ualarm(20000, 0);
	SHOW(vmsplice(a[0], &part, 1, 0));
}

int main(void)
{
	errors();
	files();
	pipes();
	sockets(SOCK_STREAM);
	show_child("interrupted", interrupted);
	return 0;
}
