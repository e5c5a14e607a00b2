/* SPDX-License-Identifier: MIT */
/* System V IPC: shared memory, semaphores, message queues. Ids are not shown: other programs of the system
 * have some, too. */
#include "check.h"
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <time.h>

#define ADDRESS(value) ((void *)(uintptr_t)(value))
#define NO_ADDRESS     ((void *)-1)
#define PAGE           4096

union semun {
	int val;
	struct semid_ds *buf;
	unsigned short *array;
};

static void wait_for(pid_t pid)
{
	int status;
	waitpid(pid, &status, 0);
	if (status != 0)
		printf("child: %x\n", status);
}

static void be_nobody(void)
{
	setgid(65534);
	setuid(65534);
}

static void memory(void)
{
	const key_t key = 0x51a7;
	struct shmid_ds status;
	SHOW(shmget(key, 100, 0600));
	SHOW(shmget(key, 0, IPC_CREAT | 0600));
	int id = shmget(key, 5000, IPC_CREAT | IPC_EXCL | 0640);
	TELL(id >= 0);
	SHOW(shmget(key, 5000, IPC_CREAT | IPC_EXCL | 0640));
	TELL(shmget(key, 10, 0) == id);
	SHOW(shmget(key, 6000, 0));
	SHOW(shmctl(id, IPC_STAT, &status));
	SHOW(status.shm_segsz);
	SHOW(status.shm_nattch);
	SHOW(status.shm_perm.mode);
	TELL(status.shm_cpid == getpid());
	TELL(status.shm_perm.cuid == getuid());
	char *a = shmat(id, NULL, 0), *b = shmat(id, NULL, SHM_RDONLY);
	TELL(a != NO_ADDRESS && b != NO_ADDRESS && a != b);
	strcpy(a + 4990, "shared");
	printf("%s %d\n", b + 4990, a[0]);
	a[8191] = 7; /* to the end of its last page */
	SHOW(mprotect(b, PAGE, PROT_READ | PROT_WRITE));
	SHOW(shmctl(id, IPC_STAT, &status));
	SHOW(status.shm_nattch);
	SHOW_OK(shmat(id, a, 0));
	SHOW_OK(shmat(id, a + 1, 0));
	SHOW_OK(shmat(id, NULL, SHM_REMAP));
	SHOW_OK(shmat(12345678, NULL, 0));
	TELL(shmat(id, b + 5, SHM_RND | SHM_REMAP) == b);
	/* the last attachment of a removed segment gives way to another one of it */
	int removed = shmget(IPC_PRIVATE, PAGE, 0600);
	char *once = shmat(removed, NULL, 0);
	once[5] = 'r';
	SHOW(shmctl(removed, IPC_RMID, NULL));
	TELL(shmat(removed, once, SHM_REMAP) == once);
	printf("%c\n", once[5]);
	SHOW(shmdt(once));
	SHOW_OK(shmat(removed, NULL, 0));
	/* one that joins what is left of another */
	removed = shmget(IPC_PRIVATE, PAGE, 0600);
	once = shmat(removed, (void *)0x200000000ul, 0);
	once[5] = 's';
	SHOW(mremap(once, PAGE, 2 * PAGE, 0) == once);
	SHOW(munmap(once, PAGE));
	SHOW(shmctl(removed, IPC_RMID, NULL));
	TELL(shmat(removed, once, 0) == once);
	printf("%c\n", once[5]);
	SHOW(munmap(once, 2 * PAGE));
	SHOW_OK(shmat(removed, NULL, 0));
	b[100] = 'x';
	printf("%c\n", a[100]);
	fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		SHOW(shmctl(id, IPC_STAT, &status));
		SHOW(status.shm_nattch);
		a[1] = 'c';
		SHOW(shmdt(a));
		SHOW(shmdt(a));
		SHOW(shmctl(id, IPC_STAT, &status));
		SHOW(status.shm_nattch);
		fflush(stdout);
		_exit(0);
	}
	wait_for(child);
	TELL(shmctl(id, IPC_STAT, &status) == 0 && status.shm_lpid == child); /* its end detached it, too */
	printf("%c\n", a[1]);
	SHOW(shmdt(a + PAGE));
	SHOW(shmdt(a + 1));
	SHOW(munmap(a, PAGE)); /* a part: the rest stays attached */
	SHOW(shmctl(id, IPC_STAT, &status));
	SHOW(status.shm_nattch);
	SHOW(shmdt(a));
	SHOW(shmctl(id, IPC_STAT, &status));
	SHOW(status.shm_nattch);
	TELL(status.shm_lpid == getpid() && status.shm_dtime > 0 && status.shm_atime > 0);
	fflush(stdout);
	child = fork();
	if (child == 0) {
		be_nobody();
		SHOW(shmget(key, 10, 0400));
		SHOW_OK(shmget(key, 10, 0));
		SHOW_OK(shmat(id, NULL, SHM_RDONLY));
		SHOW(shmctl(id, IPC_STAT, &status));
		SHOW(shmctl(id, IPC_RMID, NULL));
		SHOW(shmctl(id, IPC_SET, &status));
		fflush(stdout);
		_exit(0);
	}
	wait_for(child);
	status.shm_perm.mode = 0604;
	SHOW(shmctl(id, IPC_SET, &status));
	SHOW(shmctl(id, IPC_SET, ADDRESS(8)));
	SHOW(shmctl(id, IPC_STAT, ADDRESS(8)));
	fflush(stdout);
	child = fork();
	if (child == 0) {
		be_nobody();
		SHOW_OK(shmat(id, NULL, SHM_RDONLY));
		SHOW_OK(shmat(id, NULL, 0));
		fflush(stdout);
		_exit(0);
	}
	wait_for(child);
	SHOW(shmctl(id, SHM_LOCK, NULL));
	SHOW(shmctl(id, IPC_STAT, &status));
	SHOW(status.shm_perm.mode);
	SHOW(shmctl(id, SHM_UNLOCK, NULL));
	SHOW(shmctl(id, IPC_RMID, NULL)); /* attached: it stays until the last one goes */
	SHOW(shmctl(id, IPC_STAT, &status));
	SHOW(status.shm_perm.mode);
	SHOW(shmget(key, 10, 0));
	SHOW(shmdt(b));
	SHOW(shmctl(id, IPC_STAT, &status));
	SHOW(shmctl(id, 77, NULL));
	SHOW(shmctl(-1, IPC_STAT, &status));
	/* what nobody but an ended process was attached to */
	id = shmget(IPC_PRIVATE, PAGE, 0600);
	fflush(stdout);
	child = fork();
	if (child == 0) {
		a = shmat(id, NULL, 0);
		a[0] = 'e';
		shmctl(id, IPC_RMID, NULL);
		raise(SIGKILL);
	}
	waitpid(child, NULL, 0);
	SHOW(shmctl(id, IPC_STAT, &status));
	SHOW(shmget(IPC_PRIVATE, ~0ul, 0600));
	SHOW(shmget(IPC_PRIVATE, 1ul << 50, 0600));
}

static struct sembuf operation(unsigned short number, short change, short flags)
{
	return (struct sembuf){number, change, flags};
}

static int try_one(int id, unsigned short number, short change, short flags)
{
	struct sembuf one = operation(number, change, flags);
	return semop(id, &one, 1);
}

static int value_of(int id, int number)
{
	return semctl(id, number, GETVAL);
}

static void pause_briefly(void)
{
	usleep(50000);
}

static void no_handler(int signal)
{
	(void)signal;
}

static void semaphores(void)
{
	const key_t key = 0x5e4a;
	struct semid_ds status;
	unsigned short values[4] = {1, 2, 3, 4};
	SHOW(semget(key, 0, IPC_CREAT | 0600));
	SHOW(semget(key, -1, IPC_CREAT | 0600));
	SHOW(semget(key, 32001, IPC_CREAT | 0600));
	int id = semget(key, 4, IPC_CREAT | 0600);
	TELL(id >= 0);
	SHOW(semget(key, 5, 0600));
	TELL(semget(key, 3, 0600) == id);
	SHOW(semctl(id, 0, SETALL, (union semun){.array = values}));
	SHOW(semctl(id, 0, IPC_STAT, (union semun){.buf = &status}));
	SHOW(status.sem_nsems);
	SHOW(status.sem_otime);
	SHOW(value_of(id, 3));
	SHOW(value_of(id, 4));
	SHOW(value_of(id, -1));
	SHOW(semctl(id, 1, SETVAL, (union semun){.val = 40000}));
	SHOW(semctl(id, 1, SETVAL, (union semun){.val = -1}));
	SHOW(semctl(id, 1, SETVAL, (union semun){.val = 32767}));
	SHOW(try_one(id, 1, 1, 0));
	SHOW(try_one(id, 4, 1, 0));
	SHOW(try_one(id, 0, -2, IPC_NOWAIT));
	SHOW(try_one(id, 0, 0, IPC_NOWAIT));
	SHOW(try_one(id, 0, -1, IPC_NOWAIT));
	SHOW(try_one(id, 0, 0, 0));
	TELL(semctl(id, 0, GETPID) == getpid());
	/* all or nothing */
	struct sembuf some[3] = {operation(2, -1, 0), operation(3, -4, 0), operation(0, -1, IPC_NOWAIT)};
	SHOW(semop(id, some, 3));
	SHOW(value_of(id, 2));
	SHOW(value_of(id, 3));
	some[2] = operation(2, 0, IPC_NOWAIT);
	some[0].sem_op = -3;
	SHOW(semop(id, some, 3));
	SHOW(value_of(id, 2));
	SHOW(semop(id, some, 0));
	SHOW(semop(id, some, 501));
	SHOW(semop(id, ADDRESS(8), 1));
	SHOW(semop(12345678, some, 1));
	/* waiting: for a time, until a signal, until somebody posts */
	struct timespec time = {0, 20000000};
	some[0] = operation(0, -1, 0);
	SHOW(syscall(SYS_semtimedop, id, some, 1, &time));
	time.tv_nsec = -1;
	SHOW(syscall(SYS_semtimedop, id, some, 1, &time));
	fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		struct sigaction action = {.sa_handler = no_handler, .sa_flags = SA_RESTART};
		sigaction(SIGUSR1, &action, NULL);
		SHOW(try_one(id, 0, -1, 0));
		SHOW(try_one(id, 0, -1, 0));
		SHOW(try_one(id, 2, -1, 0));
		fflush(stdout);
		_exit(0);
	}
	pause_briefly();
	SHOW(semctl(id, 0, GETNCNT));
	SHOW(semctl(id, 0, GETZCNT));
	kill(child, SIGUSR1);
	pause_briefly();
	SHOW(try_one(id, 0, 1, 0));
	pause_briefly();
	SHOW(value_of(id, 0));
	SHOW(semctl(id, 2, GETNCNT));
	SHOW(semctl(id, 0, IPC_RMID));
	wait_for(child);
	SHOW(value_of(id, 0));
	/* what an ended process had to undo */
	id = semget(IPC_PRIVATE, 2, 0666);
	semctl(id, 0, SETVAL, (union semun){.val = 5});
	fflush(stdout);
	child = fork();
	if (child == 0) {
		SHOW(try_one(id, 0, -3, SEM_UNDO));
		SHOW(try_one(id, 1, 2, SEM_UNDO));
		SHOW(try_one(id, 1, 4, 0));
		SHOW(value_of(id, 0));
		fflush(stdout);
		raise(SIGKILL);
	}
	waitpid(child, NULL, 0);
	SHOW(value_of(id, 0));
	SHOW(value_of(id, 1));
	fflush(stdout);
	child = fork();
	if (child == 0) {
		try_one(id, 0, -3, SEM_UNDO);
		SHOW(semctl(id, 0, SETVAL, (union semun){.val = 1})); /* nothing is undone then */
		fflush(stdout);
		_exit(0);
	}
	wait_for(child);
	SHOW(value_of(id, 0));
	/* two processes that take turns, many times */
	semctl(id, 0, SETVAL, (union semun){.val = 0});
	semctl(id, 1, SETVAL, (union semun){.val = 0});
	fflush(stdout);
	child = fork();
	for (int i = 0; i < 500; i++) {
		try_one(id, child == 0, 1, 0);
		try_one(id, child != 0, -1, 0);
	}
	if (child == 0)
		_exit(0);
	wait_for(child);
	SHOW(value_of(id, 0) + value_of(id, 1));
	fflush(stdout);
	child = fork();
	if (child == 0) {
		be_nobody();
		SHOW(try_one(id, 0, 1, 0));
		SHOW(semctl(id, 0, IPC_RMID));
		fflush(stdout);
		_exit(0);
	}
	wait_for(child);
	SHOW(semctl(id, 0, 77));
	SHOW(semctl(id, 0, IPC_RMID));
}

static struct {
	long type;
	char text[9000];
} message;

static int post(int id, long type, const char *text, int flags)
{
	message.type = type;
	strcpy(message.text, text);
	return msgsnd(id, &message, strlen(text), flags);
}

static void take(int id, long type, size_t size, int flags)
{
	memset(&message, 0, sizeof message);
	errno = 0;
	ssize_t result = msgrcv(id, &message, size, type, flags | IPC_NOWAIT);
	printf("take %ld: %zd %s %ld %s\n", type, result, result < 0 ? strerrorname(errno) : "", message.type,
	       message.text);
}

static void messages(void)
{
	const key_t key = 0x3e55;
	struct msqid_ds status;
	SHOW(msgget(key, 0));
	int id = msgget(key, IPC_CREAT | 0600);
	TELL(id >= 0);
	SHOW(msgget(key, IPC_CREAT | IPC_EXCL));
	take(id, 0, 100, 0);
	SHOW(post(id, 0, "none", 0));
	SHOW(post(id, -1, "none", 0));
	SHOW(msgsnd(id, &message, 8193, 0));
	SHOW(msgsnd(id, ADDRESS(8), 1, 0));
	SHOW(post(id, 5, "five", 0));
	SHOW(post(id, 3, "three", 0));
	SHOW(post(id, 9, "nine", 0));
	SHOW(post(id, 3, "another three", 0));
	SHOW(msgctl(id, IPC_STAT, &status));
	SHOW(status.msg_qnum);
	SHOW(status.msg_qbytes);
	TELL(status.msg_lspid == getpid() && status.msg_stime > 0 && status.msg_rtime == 0);
	take(id, 3, 2, 0);
	take(id, 3, 2, MSG_NOERROR);
	take(id, -4, 100, 0);
	take(id, -4, 100, 0);
	take(id, 5, 100, MSG_EXCEPT);
	take(id, 0, 100, 0);
	SHOW(msgrcv(id, &message, -1, 0, 0));
	SHOW(post(id, 1, "", 0));
	take(id, 0, 0, 0);
	/* full: the sender waits */
	memset(message.text, 'm', 8000);
	message.text[8000] = 0;
	SHOW(msgsnd(id, &message, 8000, IPC_NOWAIT));
	message.type = 1;
	SHOW(msgsnd(id, &message, 8000, IPC_NOWAIT));
	SHOW(msgsnd(id, &message, 8000, IPC_NOWAIT));
	SHOW(msgsnd(id, &message, 8000, IPC_NOWAIT));
	fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		SHOW(post(id, 2, "late", 0));
		message.type = 2;
		SHOW(msgsnd(id, &message, 8000, 0));
		SHOW(msgrcv(id, &message, 100, 4, 0));
		SHOW(msgrcv(id, &message, 100, 4, 0));
		fflush(stdout);
		_exit(0);
	}
	pause_briefly();
	SHOW(msgrcv(id, &message, sizeof message.text, 1, 0));
	pause_briefly();
	SHOW(post(id, 4, "four", 0));
	pause_briefly();
	SHOW(msgctl(id, IPC_STAT, &status));
	SHOW(status.msg_qnum);
	status.msg_qbytes = 100;
	SHOW(msgctl(id, IPC_SET, &status));
	SHOW(post(id, 4, "no room", IPC_NOWAIT));
	SHOW(msgctl(id, IPC_RMID, NULL));
	wait_for(child);
	SHOW(msgctl(id, IPC_STAT, &status));
	SHOW(msgctl(id, 77, NULL));
}

int main(void)
{
	memory();
	semaphores();
	messages();
	return 0;
}
