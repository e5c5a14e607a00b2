/* SPDX-License-Identifier: MIT */
/* Bytes: the page cache with a store behind it, pipes, locks between processes, polling. */
#include "../check.h"
#include "fakes.h"
#include "tests.h"

#define P(text)         ((uint64_t)(uintptr_t)(text))
#define CALL(name, ...) CALL_(name, __VA_ARGS__, 0, 0, 0, 0, 0, 0)
#define CALL_(name, a, b, c, d, e, f, ...)                                                          \
	call(sys_##name, (uint64_t)(a), (uint64_t)(b), (uint64_t)(c), (uint64_t)(d), (uint64_t)(e), \
	     (uint64_t)(f))

static bool finished;
static uint8_t buffer[600 * 4096];

static struct file *store_open(uint64_t size, struct inode **inode)
{
	*inode = store_file(size);
	return file_create(*inode, NULL, O_RDWR, &regular_file_operations);
}

static ssize_t move(struct file *file, void *data, size_t size, uint64_t position, bool write)
{
	struct io_buffer io = {.thread = current_thread(), .user = P(data), .size = size};
	return write ? file_write(file, &io, &position) : file_read(file, &io, &position);
}

static void store_close(struct file *file, struct inode *inode)
{
	file_put(file);
	page_cache_drop(inode, 0);
	inode_clear_dirty(inode);
	inode->attributes.links = 0;
	inode_put(inode);
}

static void test_reading(void)
{
	struct inode *inode;
	struct file *file = store_open(100 * 4096 + 10, &inode);
	size_t total = 0;
	ssize_t count;
	while ((count = move(file, buffer + total, 4096, total, false)) > 0)
		total += (size_t)count;
	CHECK(total == 100 * 4096 + 10 && memcmp(buffer, store.data, total) == 0);
	CHECK(store.reads < 8); /* read ahead, in windows */
	unsigned reads = store.reads;
	CHECK(move(file, buffer, 50 * 4096, 4096, false) == 50 * 4096 && store.reads == reads);
	CHECK(move(file, buffer, 10, 100 * 4096 + 10, false) == 0);
	store_close(file, inode);
	file = store_open(200 * 4096, &inode);
	CHECK(move(file, buffer, 1, 150 * 4096, false) == 1 &&
	      store.read_pages == 1); /* random: only what was asked for */
	store.fail = true;
	CHECK(move(file, buffer, 1, 10 * 4096, false) == -EIO);
	store.fail = false;
	CHECK(move(file, buffer, 1, 10 * 4096, false) == 1);
	store_close(file, inode);
}

static void test_writing(void)
{
	struct inode *inode;
	struct file *file = store_open(3 * 4096, &inode);
	memset(buffer, 'w', sizeof(buffer));
	CHECK(move(file, buffer, 100, 4096 + 50, true) ==
	      100); /* in the middle of a page: the rest of it is kept */
	CHECK(move(file, buffer, 4096, 2 * 4096, true) == 4096 && store.read_pages == 3);
	CHECK(move(file, buffer, 10, 5 * 4096 + 5, true) == 10 && inode->attributes.size == 5 * 4096 + 15);
	CHECK(store.writes == 0 && inode->dirty_count == 3);
	uint8_t kept = store.data[4096 + 49];
	CHECK(file_fsync(file) == 0 && inode->dirty_count == 0 && store.writes == 1);
	CHECK(store.data[4096 + 49] == kept && store.data[4096 + 50] == 'w' && store.data[4096 + 149] == 'w');
	CHECK(store.data[5 * 4096 + 4] == 0 && store.data[5 * 4096 + 5] == 'w' &&
	      store.data[5 * 4096 + 15] == 0);
	/* bad memory in the middle: what came before counts */
	CHECK(move(file, (void *)1, 10, 0, true) == -EFAULT);
	store_close(file, inode);
}

static void test_truncating(void)
{
	struct inode *inode;
	struct file *file = store_open(10 * 4096, &inode);
	memset(buffer, 't', 10 * 4096);
	CHECK(move(file, buffer, 10 * 4096, 0, true) == 10 * 4096);
	CHECK(inode_truncate(NULL, inode, 4096 + 5) == 0 && inode->page_count == 2);
	CHECK(inode_truncate(NULL, inode, 3 * 4096) == 0);
	memset(buffer, 1, 3 * 4096);
	memset(store.data + 2 * 4096, 0, 4096); /* what a file system does to blocks that went */
	CHECK(move(file, buffer, 3 * 4096, 0, false) == 3 * 4096);
	CHECK(buffer[4096 + 4] == 't' && buffer[4096 + 5] == 0 && buffer[2 * 4096] == 0);
	store_close(file, inode);
	file = store_open(0, &inode);
	CHECK(inode_truncate(NULL, inode, 10 * 4096) == 0 && inode_truncate(NULL, inode, 5000) == 0);
	CHECK(inode->dirty_count == 0); /* a hole takes no block */
	store_close(file, inode);
}

/* What is clean costs nothing. */
static void test_one_of_many_pages(void)
{
	struct inode *inode;
	struct file *file = store_open(0, &inode);
	CHECK(move(file, buffer, 250 * 4096, 0, true) == 250 * 4096 && file_fsync(file) == 0);
	for (unsigned i = 0; i < 250; i += 249) {
		buffer[0] = (uint8_t)(i + 1);
		CHECK(move(file, buffer, 1, i * 4096, true) == 1);
		unsigned writes = store.writes;
		test_pages_seen = 0;
		CHECK(file_fsync(file) == 0 && test_pages_seen < 50);
		CHECK(store.writes == writes + 1 && store.data[i * 4096] == buffer[0]);
	}
	for (unsigned i = 250; i > 0; i -= 25)
		CHECK(move(file, buffer, 2, (i - 1) * 4096, true) == 2);
	CHECK(inode_write_back(inode, 200, 224, true) == 0 && inode->dirty_count == 9);
	CHECK(file_fsync(file) == 0 && inode->dirty_count == 0);
	CHECK(memcmp(store.data + 49 * 4096, buffer, 2) == 0);
	store_close(file, inode);
}

static void test_full_disk(void)
{
	struct inode *inode;
	struct file *file = store_open(0, &inode);
	store.blocks_left = store.superblock.blocks_free = 300;
	ssize_t total = 0, count = 0;
	while (total < 500 * 4096 && (count = move(file, buffer, 4096, (uint64_t)total, true)) > 0)
		total += count;
	CHECK(count == -ENOSPC && total == 300 * 4096 && inode->attributes.size == 300 * 4096);
	CHECK(file_fsync(file) == 0); /* nothing that write accepted is lost */
	CHECK(move(file, buffer, 4096, 0, true) == 4096);
	store_close(file, inode);
	CHECK(store.superblock.blocks_reserved == 0);
}

static void test_write_errors_are_reported_once(void)
{
	struct inode *inode;
	struct file *file = store_open(0, &inode);
	struct file *other = file_create(inode, NULL, O_RDWR, &regular_file_operations);
	CHECK(move(file, buffer, 10, 0, true) == 10);
	store.fail = true;
	CHECK(file_fsync(file) == -EIO);
	store.fail = false;
	CHECK(file_fsync(file) == 0);
	/* to whoever had it open too, and to nobody who opens it now */
	CHECK(file_fsync(other) == -EIO && file_fsync(other) == 0);
	file_put(other);
	other = file_create(inode, NULL, O_RDWR, &regular_file_operations);
	CHECK(file_fsync(other) == 0);
	file_put(other);
	store_close(file, inode);
}

static void test_memory_runs_out(void)
{
	struct inode *inode;
	struct file *file = store_open(400 * 4096, &inode);
	unsigned before = test_free_pages;
	test_free_pages = 100;
	memcpy(buffer, store.data, 400 * 4096);
	bool good = true;
	static uint8_t page[4096];
	for (unsigned i = 0; i < 400; i++)
		good &= move(file, page, 4096, i * 4096, false) == 4096 &&
		        memcmp(page, store.data + i * 4096, 4096) == 0;
	for (unsigned i = 0; i < 400; i++)
		good &= move(file, buffer + i * 4096, 4096, i * 4096, true) == 4096;
	CHECK(good && inode->page_count <= 200);
	CHECK(file_fsync(file) == 0 && memcmp(store.data, buffer, 400 * 4096) == 0);
	store_close(file, inode);
	test_free_pages = before;
}

/* In memory, holes are what has no page; looking at them and cutting in them makes none. */
static void test_holes_in_memory(void)
{
	long in = CALL(memfd_create, P("in"), 0), out = CALL(memfd_create, P("out"), 0);
	const struct fs_attributes *a = &file_table_lookup(current_thread(), (int)in)->inode->attributes;
	CHECK(CALL(ftruncate, in, 20 * 4096) == 0 && CALL(pwrite64, in, P("data"), 4, 2 * 4096) == 4);
	CHECK(CALL(ftruncate, in, 10 * 4096 + 5) == 0 && a->blocks == 8);
	CHECK(CALL(pwrite64, out, P("old"), 3, 5) == 3);
	CHECK(CALL(sendfile, out, in, 0, 20 * 4096) == 10 * 4096 + 5 && a->blocks == 8);
	CHECK(CALL(pread64, out, P(buffer), 3 * 4096, 0) == 3 * 4096);
	CHECK(buffer[5] == 0 && memcmp(buffer + 2 * 4096, "data", 5) == 0);
	CALL(close, in);
	CALL(close, out);
}

/* ---- what two do at once ---- */

static struct inode *beside_inode;
static struct file *beside_file;
static long fd, beside_count;

static void put_beside(void)
{
	inode_put(beside_inode);
	finished = true;
}

/* Once, a file that was being destroyed was still among those to be written: it was destroyed twice. */
static void test_end_during_write_back(void)
{
	struct thread *other = new_process(7, 0);
	struct file *file = store_open(0, &beside_inode);
	CHECK(move(file, buffer, 4096, 0, true) == 4096);
	CHECK(inode_write_back(beside_inode, 0, UINT64_MAX, false) == 0);
	CHECK(move(file, buffer, 4096, 4096, true) == 4096);
	beside_inode->attributes.links = 0;
	file_put(file);
	finished = false;
	run_beside(other, put_beside); /* waits for the first page */
	CHECK(!finished && store.superblock.dirty == NULL);
	CHECK(superblock_sync(&store.superblock) == 0);
	fiber_yield();
	CHECK(finished);
	end_process(other);
}

static void read_beside(void)
{
	beside_count = CALL(read, fd, P(buffer + 3 * 4096), 3 * 4096);
	finished = true;
}

static void test_reads_share_a_position(void)
{
	struct thread *other = new_process(7, 0);
	struct inode *inode;
	struct file *file = store_open(100 * 4096, &inode);
	fd = file_install(current_thread(), file, false);
	file_table_put(other->process->files);
	other->process->files = file_table_copy(current_thread()->process->files);
	finished = false;
	run_beside(other, read_beside);
	CHECK(!finished); /* it waits for the disk */
	CHECK(CALL(read, fd, P(buffer), 3 * 4096) == 3 * 4096);
	CHECK(finished && beside_count == 3 * 4096 && file->position == 6 * 4096);
	CHECK(memcmp(buffer + 3 * 4096, store.data, 3 * 4096) == 0);
	CHECK(memcmp(buffer, store.data + 3 * 4096, 3 * 4096) == 0);
	end_process(other);
	file_get(file);
	CALL(close, fd);
	store_close(file, inode);
}

static unsigned readers;

/* Keeps a read of the file in flight, with another one beside, until it is told to stop. */
static void read_all_the_time(void)
{
	uint8_t byte;
	readers++;
	while (beside_count > 0 && !finished) {
		uint64_t index = 64 + (uint64_t)beside_count-- % 64;
		move(beside_file, &byte, 1, index * 4096, false);
		page_cache_discard(beside_inode, index);
	}
	readers--;
}

static void test_readers_stop_nobody(void)
{
	struct thread *other = new_process(7, 0);
	struct file *file = beside_file = store_open(128 * 4096, &beside_inode);
	beside_count = 1000;
	finished = false;
	run_beside(other, read_all_the_time);
	run_beside(other, read_all_the_time);
	CHECK(beside_inode->io_count == 2 && move(file, buffer, 4096, 0, true) == 4096);
	CHECK(file_fsync(file) == 0 && beside_count > 900);
	CHECK(inode_truncate(NULL, beside_inode, 100 * 4096) == 0 && beside_count > 900);
	finished = true;
	while (readers > 0) { /* until the store has done something */
		page_cache_discard(beside_inode, 1);
		move(file, buffer, 1, 4096, false);
	}
	store_close(file, beside_inode);
	end_process(other);
}

/* Appends a page at a time, with another one beside. */
static void write_all_the_time(void)
{
	static uint8_t page[4096];
	readers++;
	while (beside_count > 0 && !finished) {
		beside_count--;
		move(beside_file, page, sizeof(page), beside_inode->attributes.size, true);
		file_fsync(beside_file);
	}
	readers--;
}

/* Once, sync went on as long as anybody wrote. */
static void test_writers_stop_nobody(void)
{
	struct thread *other = new_process(7, 0);
	struct file *file = beside_file = store_open(0, &beside_inode);
	beside_count = 500;
	finished = false;
	run_beside(other, write_all_the_time);
	run_beside(other, write_all_the_time);
	CHECK(move(file, "s", 1, 0, true) == 1);
	CHECK(superblock_sync(&store.superblock) == 0 && store.data[0] == 's' && beside_count > 450);
	CHECK(move(file, "f", 1, 0, true) == 1);
	CHECK(file_fsync(file) == 0 && store.data[0] == 'f' && beside_count > 450);
	finished = true;
	while (readers > 0) {
		move(file, buffer, 1, 0, true);
		file_fsync(file);
	}
	store_close(file, beside_inode);
	end_process(other);
}

static void write_beside(void)
{
	beside_count = CALL(write, fd, P("x"), 1);
}
static void seal_beside(void)
{
	CHECK(CALL(fcntl, fd, 1033 /* F_ADD_SEALS */, SEAL_WRITE) == 0);
	CHECK(beside_count == 1); /* who was allowed to write has done so */
	finished = true;
}

static void test_seals_come_after_writes(void)
{
	struct thread *other = new_process(7, 0);
	fd = CALL(memfd_create, P("sealed"), 2);
	file_table_put(other->process->files);
	other->process->files = file_table_copy(current_thread()->process->files);
	struct file *file = file_table_lookup(current_thread(), (int)fd);
	beside_count = 0;
	finished = false;
	fiber_mutex_lock(&file->inode->lock);
	run_beside(other, write_beside);
	run_beside(other, seal_beside);
	fiber_mutex_unlock(&file->inode->lock);
	while (!finished || beside_count == 0)
		fiber_yield();
	CHECK(CALL(write, fd, P("x"), 1) == -EPERM);
	CALL(close, fd);
	end_process(other);
}

/* ---- pipes ---- */

static int fds[2];

static void write_much(void)
{
	static uint8_t data[7000];
	for (unsigned i = 0; i < 100; i++) {
		memset(data, (int)i, sizeof(data));
		if (CALL(write, fds[1], P(data), sizeof(data)) != sizeof(data))
			CHECK(!"short write");
	}
	finished = true;
	CALL(close, fds[1]);
}

/* Once, a full ring that began inside a page lost what had wrapped into that page's place. */
static void test_pipe_keeps_bytes_in_order(void)
{
	struct thread *writer = new_process(5, 0);
	CHECK(CALL(pipe2, P(fds), 0) == 0);
	file_table_put(writer->process->files);
	writer->process->files = file_table_copy(current_thread()->process->files);
	CALL(close, fds[1]);
	finished = false;
	run_beside(writer, write_much);
	CHECK(!finished); /* it waits: the pipe is full */
	size_t total = 0;
	long count;
	bool good = true;
	while ((count = CALL(read, fds[0], P(buffer), 1500 + total % 3000)) > 0) {
		for (long i = 0; i < count; i++)
			good &= buffer[i] == (total + (size_t)i) / 7000;
		total += (size_t)count;
		fiber_yield(); /* the writer fills it again */
	}
	CHECK(good && total == 700000 && finished && count == 0);
	CALL(close, fds[0]);
	end_process(writer);
}

static void test_pipe_ends(void)
{
	uint8_t byte = 1;
	CHECK(CALL(pipe2, P(fds), O_NONBLOCK) == 0);
	CHECK(CALL(read, fds[0], P(&byte), 1) == -EAGAIN);
	CHECK(CALL(write, fds[1], P(buffer), 65536) == 65536 && CALL(write, fds[1], P(buffer), 1) == -EAGAIN);
	CHECK(CALL(read, fds[0], P(buffer), 4000) == 4000 && CALL(write, fds[1], P(buffer), 4096) == -EAGAIN);
	CHECK(CALL(lseek, fds[0], 0, SEEK_SET) == -ESPIPE &&
	      CALL(pread64, fds[0], P(buffer), 1, 0) == -ESPIPE);
	last_signal = 0;
	CALL(close, fds[0]);
	CHECK(CALL(write, fds[1], P(&byte), 1) == -EPIPE && last_signal == 13);
	CALL(close, fds[1]);
}

static void test_poll(void)
{
	struct {
		int fd;
		short events, revents;
	} set[2];
	CHECK(CALL(pipe2, P(fds), 0) == 0);
	set[0].fd = fds[0], set[0].events = POLLIN_;
	set[1].fd = fds[1], set[1].events = POLLOUT_;
	CHECK(CALL(poll, P(set), 1, 0) == 0);
	CHECK(CALL(poll, P(set), 2, -1) == 1 && set[1].revents == POLLOUT_);
	CHECK(CALL(write, fds[1], P("x"), 1) == 1);
	CHECK(CALL(poll, P(set), 2, -1) == 2 && set[0].revents == POLLIN_);
	long epoll = CALL(epoll_create1, 0);
	struct {
		uint32_t events;
		uint64_t data;
	} __attribute__((packed)) event = {POLLIN_, 77}, got;
	CHECK(CALL(epoll_ctl, epoll, 1, fds[0], P(&event)) == 0 &&
	      CALL(epoll_ctl, epoll, 1, fds[0], P(&event)) == -EEXIST);
	CHECK(CALL(epoll_wait, epoll, P(&got), 1, -1) == 1 && got.data == 77);
	CALL(close, fds[1]);
	char data[4];
	CHECK(CALL(read, fds[0], P(data), 4) == 1);
	CHECK(CALL(poll, P(set), 1, -1) == 1 && set[0].revents == POLLHUP_);
	CALL(close, fds[0]);
	CHECK(CALL(epoll_wait, epoll, P(&got), 1, 0) == 0); /* what was closed is watched no more */
	CALL(close, epoll);
}

/* ---- locks ---- */

static struct linux_flock range(int type, int64_t start, int64_t length)
{
	return (struct linux_flock){
	        .type = (int16_t)type, .whence = SEEK_SET, .start = start, .length = length};
}

static long lock_fd;
static long beside_result;
static void lock_beside(void)
{
	struct linux_flock second = range(F_WRLCK, 10, 10);
	CHECK(CALL(fcntl, lock_fd, F_SETLK, P(&second)) == 0);
	struct linux_flock first = range(F_WRLCK, 0, 10);
	CHECK(CALL(fcntl, lock_fd, F_SETLK, P(&first)) == -EAGAIN);
	beside_result = CALL(fcntl, lock_fd, F_SETLKW, P(&first));
	finished = true;
}

static void test_locks(void)
{
	struct thread *other = new_process(6, 0);
	lock_fd = CALL(open, P("/lock"), O_CREAT | O_RDWR, 0644);
	file_table_put(other->process->files);
	other->process->files = file_table_copy(current_thread()->process->files);
	struct linux_flock first = range(F_WRLCK, 0, 10), second = range(F_WRLCK, 10, 10),
	                   none = range(F_UNLCK, 0, 0);
	CHECK(CALL(fcntl, lock_fd, F_SETLK, P(&first)) == 0);
	finished = false;
	run_beside(other, lock_beside);
	CHECK(!finished);
	struct linux_flock asked = second;
	CHECK(CALL(fcntl, lock_fd, F_GETLK, P(&asked)) == 0 && asked.type == F_WRLCK && asked.pid == 6 &&
	      asked.start == 10);
	CHECK(CALL(fcntl, lock_fd, F_SETLKW, P(&second)) == -EDEADLK);
	CHECK(CALL(fcntl, lock_fd, F_SETLK, P(&none)) == 0);
	fiber_yield();
	CHECK(finished && beside_result == 0);
	CHECK(CALL(fcntl, lock_fd, F_SETLK, P(&first)) == -EAGAIN);
	files_exit(other->process);
	CHECK(CALL(fcntl, lock_fd, F_SETLK, P(&first)) == 0);
	/* closing any descriptor of the file gives the process's locks up */
	long again = CALL(open, P("/lock"), O_RDONLY, 0);
	CALL(close, again);
	asked = first;
	CHECK(CALL(flock, lock_fd, 2) == 0);
	CALL(close, lock_fd);
	end_process(other);
}

static void all(void)
{
	test_reading();
	test_writing();
	test_truncating();
	test_one_of_many_pages();
	test_full_disk();
	test_write_errors_are_reported_once();
	test_memory_runs_out();
	test_holes_in_memory();
	test_end_during_write_back();
	test_reads_share_a_position();
	test_readers_stop_nobody();
	test_writers_stop_nobody();
	test_seals_come_after_writes();
	test_pipe_keeps_bytes_in_order();
	test_pipe_ends();
	test_poll();
	test_locks();
}

int data_tests(void)
{
	run(all);
	return checks_report();
}
