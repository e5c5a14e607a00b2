/* SPDX-License-Identifier: MIT */
/* Single capabilities: what each of them allows, how they are given up, and what becomes of them when users
 * change and programs are run. */
#include "check.h"
#include <grp.h>
#include <sched.h>
#include <sys/fsuid.h>
#include <sys/ipc.h>
#include <sys/mount.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>

#define ADDRESS(value) ((void *)(uintptr_t)(value))
#define USER           1000

enum {
	CHOWN = 0,
	DAC_OVERRIDE = 1,
	DAC_READ_SEARCH = 2,
	FOWNER = 3,
	FSETID = 4,
	KILL = 5,
	SETGID = 6,
	SETUID = 7,
	SETPCAP = 8,
	IPC_LOCK = 14,
	IPC_OWNER = 15,
	SYS_CHROOT = 18,
	SYS_PTRACE = 19,
	SYS_ADMIN = 21,
	SYS_BOOT = 22,
	SYS_NICE = 23,
	SYS_RESOURCE = 24,
	SYS_TIME = 25,
	MKNOD = 27,
	LAST = 40,
};
#define BIT(capability) (1ul << (capability))
/* A container's superuser may do without these: they stay out of what is shown and used. */
#define SEEN (((1ul << (LAST + 1)) - 1) & ~BIT(SYS_RESOURCE))

struct header {
	uint32_t version;
	int pid;
};
struct words {
	uint32_t effective, permitted, inheritable;
};
#define VERSION 0x20080522

struct sets {
	uint64_t effective, permitted, inheritable;
};

static struct sets get(void)
{
	struct header header = {VERSION, 0};
	struct words words[2] = {{0}};
	if (syscall(SYS_capget, &header, words) < 0)
		exit(1);
	return (struct sets){words[0].effective | (uint64_t)words[1].effective << 32,
	                     words[0].permitted | (uint64_t)words[1].permitted << 32,
	                     words[0].inheritable | (uint64_t)words[1].inheritable << 32};
}

static int set(struct sets sets)
{
	struct header header = {VERSION, 0};
	struct words words[2] = {
	        {(uint32_t)sets.effective, (uint32_t)sets.permitted, (uint32_t)sets.inheritable},
	        {(uint32_t)(sets.effective >> 32), (uint32_t)(sets.permitted >> 32),
	         (uint32_t)(sets.inheritable >> 32)}};
	return (int)syscall(SYS_capset, &header, words);
}

static void show_sets(const char *when)
{
	struct sets sets = get();
	printf("%s: effective %011lx permitted %011lx inheritable %011lx\n", when, sets.effective & SEEN,
	       sets.permitted & SEEN, sets.inheritable & SEEN);
}

/* What /proc says, which is all of them. */
static void show_status(const char *when)
{
	char line[256];
	FILE *file = fopen("/proc/self/status", "r");
	printf("%s:", when);
	while (file != NULL && fgets(line, sizeof line, file) != NULL)
		if (strncmp(line, "Cap", 3) == 0)
			printf(" %.3s %011lx", line + 3, strtoul(line + 8, NULL, 16) & SEEN);
	printf("\n");
	fclose(file);
}

/* ---- what each allows ---- */

static int pid_of_other; /* a process of another user */

static int do_kill(void)
{
	return kill(pid_of_other, 0);
}
static int do_chown(void)
{
	return chown("own", 5, 5);
}
static int do_chmod_others(void)
{
	return chmod("others", 0600);
}
static int do_times_of_others(void)
{
	struct timespec times[2] = {{1, 0}, {2, 0}};
	return utimensat(AT_FDCWD, "others", times, 0);
}
static int do_write_others(void)
{
	int fd = open("others", O_WRONLY);
	return fd < 0 ? fd : close(fd);
}
static int do_read_others(void)
{
	int fd = open("others", O_RDONLY);
	return fd < 0 ? fd : close(fd);
}
static int do_search(void)
{
	struct stat status;
	return stat("closed/file", &status);
}
static int do_list(void)
{
	int fd = open("closed", O_RDONLY);
	return fd < 0 ? fd : close(fd);
}
static int do_make(void)
{
	int fd = open("closed/new", O_CREAT | O_WRONLY, 0600);
	return fd < 0 ? fd : close(fd) + unlink("closed/new");
}
static int do_unlink_sticky(void)
{
	return unlink("sticky/file");
}
static int do_link_others(void)
{
	return link("others", "linked") + unlink("linked");
}
static int do_group_bit(void)
{
	struct stat status;
	if (chmod("group", 02755) < 0 || stat("group", &status) < 0)
		return -1;
	return status.st_mode & S_ISGID ? 1 : 0;
}
static int do_set_id_written(void)
{
	struct stat status;
	int fd = open("setuid", O_WRONLY);
	if (fd < 0 || write(fd, "x", 1) != 1 || fstat(fd, &status) < 0)
		return -1;
	fchmod(fd, 04755);
	close(fd);
	return status.st_mode & S_ISUID ? 1 : 0;
}
static int set_id_bits_left(void)
{
	struct stat status;
	if (stat("setuid", &status) < 0)
		return -1;
	chmod("setuid", 06755);
	return (int)(status.st_mode >> 9 & 7);
}
static int do_set_id_truncated(void)
{
	return truncate("setuid", 0) < 0 ? -1 : set_id_bits_left();
}
static int do_set_id_grown(void)
{
	int fd = open("setuid", O_WRONLY);
	if (fd < 0 || ftruncate(fd, 5) < 0 || close(fd) < 0)
		return -1;
	return set_id_bits_left();
}
static int do_set_id_emptied(void)
{
	int fd = open("setuid", O_WRONLY | O_TRUNC);
	return fd < 0 || close(fd) < 0 ? -1 : set_id_bits_left();
}
static int do_set_id_without_group(void)
{
	if (chmod("setuid", 06745) < 0 || truncate("setuid", 3) < 0)
		return -1;
	return set_id_bits_left();
}
static int do_no_access_time(void)
{
	int fd = open("public", O_RDONLY), set = fcntl(fd, F_SETFL, O_NOATIME);
	close(fd);
	if (set < 0 && errno != EPERM)
		return set;
	int with = open("public", O_RDONLY | O_NOATIME);
	return with < 0 ? with : close(with) + set;
}
static int do_setuid(void)
{
	return setresuid(5, 6, 7);
}
static int do_setgid(void)
{
	return setresgid(5, 6, 7);
}
static int do_setgroups(void)
{
	gid_t group = 5;
	return (int)syscall(SYS_setgroups, 1, &group);
}
static int do_bounding(void)
{
	return prctl(PR_CAPBSET_DROP, CHOWN, 0, 0, 0);
}
static int do_secure_bits(void)
{
	return prctl(PR_SET_SECUREBITS, 1, 0, 0, 0);
}
static int do_lock(void)
{
	static char page[8192];
	struct rlimit none = {0, 0};
	setrlimit(RLIMIT_MEMLOCK, &none);
	return mlock(page, 1);
}
static int do_chroot(void)
{
	return chroot("/");
}
static int do_hostname(void)
{
	char name[65];
	return gethostname(name, sizeof name) < 0 ? -1 : sethostname(name, strlen(name));
}
static int do_umount(void)
{
	return umount("own");
}
static int do_reboot(void)
{
	return (int)syscall(SYS_reboot, 1, 2, 3, 4);
}
static int do_nice(void)
{
	return setpriority(PRIO_PROCESS, 0, -1);
}
static int do_nice_of_others(void)
{
	return setpriority(PRIO_PROCESS, (id_t)pid_of_other, 5);
}
static int do_realtime(void)
{
	struct sched_param parameters = {.sched_priority = 1};
	return (int)syscall(SYS_sched_setscheduler, 0, SCHED_FIFO, &parameters);
}
static int do_affinity_of_others(void)
{
	cpu_set_t cpus;
	if (sched_getaffinity(0, sizeof cpus, &cpus) < 0)
		return -1;
	return (int)syscall(SYS_sched_setaffinity, pid_of_other, sizeof cpus, &cpus);
}
static int do_io_priority(void)
{
	return (int)syscall(SYS_ioprio_set, 1, 0, 1 << 13);
}
static int do_time(void)
{
	struct timeval never = {-1, 0};
	return settimeofday(&never, NULL) < 0 && errno == EINVAL
	               ? (int)syscall(SYS_clock_settime, 0, ADDRESS(8))
	               : -1;
}
static int do_time_zone(void)
{
	struct {
		int west, saving;
	} zone = {0, 0};
	return (int)syscall(SYS_settimeofday, NULL, &zone);
}
static int do_mknod(void)
{
	return mknod("device", S_IFCHR | 0600, 0x103) + unlink("device");
}
static int do_ipc(void)
{
	struct msqid_ds status;
	int queue = msgget(0x5150, 0);
	return queue < 0 ? queue : msgctl(queue, IPC_STAT, &status);
}
static int do_ipc_remove(void)
{
	struct msqid_ds status;
	int queue = msgget(0x5150, 0);
	if (queue < 0)
		return queue;
	memset(&status, 0, sizeof status);
	status.msg_perm.uid = USER;
	status.msg_perm.mode = 0600;
	status.msg_qbytes = 100;
	return msgctl(queue, IPC_SET, &status);
}
static int do_inspect(void)
{
	char path[64], target[256];
	snprintf(path, sizeof path, "/proc/%d/cwd", pid_of_other);
	return readlink(path, target, sizeof target) > 0 ? 0 : -1;
}
static int do_robust_list(void)
{
	void *list;
	size_t size;
	return (int)syscall(SYS_get_robust_list, pid_of_other, &list, &size);
}
static int send_credentials(pid_t pid, uid_t uid, gid_t gid)
{
	int fds[2], result;
	struct ucred credentials = {pid, uid, gid};
	char control[CMSG_SPACE(sizeof credentials)] __attribute__((aligned(8))) = "";
	struct iovec part = {"x", 1};
	struct msghdr message = {
	        .msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_CREDENTIALS;
	header->cmsg_len = CMSG_LEN(sizeof credentials);
	memcpy(CMSG_DATA(header), &credentials, sizeof credentials);
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) < 0)
		return -1;
	result = (int)sendmsg(fds[0], &message, 0);
	close(fds[0]);
	close(fds[1]);
	return result < 0 ? result : 0;
}
static int do_send_pid(void)
{
	return send_credentials(pid_of_other, 0, 0);
}
static int do_send_uid(void)
{
	return send_credentials(getpid(), 5, 0);
}
static int do_send_gid(void)
{
	return send_credentials(getpid(), 0, 5);
}

static const struct {
	const char *name;
	int (*try)(void);
	int needs[2];
} operations[] = {
        {"kill", do_kill, {KILL, -1}},
        {"chown", do_chown, {CHOWN, -1}},
        {"chmod of another's", do_chmod_others, {FOWNER, -1}},
        {"times of another's", do_times_of_others, {FOWNER, -1}},
        {"write another's", do_write_others, {DAC_OVERRIDE, -1}},
        {"read another's", do_read_others, {DAC_OVERRIDE, DAC_READ_SEARCH}},
        {"search", do_search, {DAC_OVERRIDE, DAC_READ_SEARCH}},
        {"list", do_list, {DAC_OVERRIDE, DAC_READ_SEARCH}},
        {"no access time for another's", do_no_access_time, {FOWNER, -1}},
        {"make in another's", do_make, {DAC_OVERRIDE, -1}},
        {"link another's", do_link_others, {FOWNER, -1}},
        {"set-group-id bit", do_group_bit, {FSETID, -1}},
        {"set-user-id bit and writing", do_set_id_written, {FSETID, -1}},
        {"set-id bits and truncating", do_set_id_truncated, {FSETID, -1}},
        {"set-id bits and growing", do_set_id_grown, {FSETID, -1}},
        {"set-id bits and opening anew", do_set_id_emptied, {FSETID, -1}},
        {"set-id bits without execution by the group", do_set_id_without_group, {FSETID, -1}},
        {"setresuid", do_setuid, {SETUID, -1}},
        {"setresgid", do_setgid, {SETGID, -1}},
        {"setgroups", do_setgroups, {SETGID, -1}},
        {"bounding set", do_bounding, {SETPCAP, -1}},
        {"secure bits", do_secure_bits, {SETPCAP, -1}},
        {"mlock", do_lock, {IPC_LOCK, -1}},
        {"chroot", do_chroot, {SYS_CHROOT, -1}},
        {"sethostname", do_hostname, {SYS_ADMIN, -1}},
        {"umount", do_umount, {SYS_ADMIN, -1}},
        {"reboot", do_reboot, {SYS_BOOT, -1}},
        {"nice", do_nice, {SYS_NICE, -1}},
        {"nice of another's", do_nice_of_others, {SYS_NICE, -1}},
        {"real time", do_realtime, {SYS_NICE, -1}},
        {"affinity of another's", do_affinity_of_others, {SYS_NICE, -1}},
        {"priority of input and output", do_io_priority, {SYS_NICE, SYS_ADMIN}},
        {"clock", do_time, {SYS_TIME, -1}},
        {"time zone", do_time_zone, {SYS_TIME, -1}},
        {"mknod", do_mknod, {MKNOD, -1}},
        {"message queue", do_ipc, {IPC_OWNER, -1}},
        {"message queue's owner", do_ipc_remove, {SYS_ADMIN, -1}},
        {"another's folder", do_inspect, {SYS_PTRACE, -1}},
        {"another's locks", do_robust_list, {SYS_PTRACE, -1}},
        {"send another's process id", do_send_pid, {SYS_ADMIN, -1}},
        {"send another user", do_send_uid, {SETUID, -1}},
        {"send another group", do_send_gid, {SETGID, -1}},
};

/* In a child, with these and no others. */
static void try(size_t number, const char *with, uint64_t capabilities)
{
	fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		struct sets sets = get();
		sets.effective &= capabilities;
		sets.permitted &= capabilities;
		if (set(sets) < 0)
			exit(1);
		errno = 0;
		int result = operations[number].try();
		printf("%s, %s: %s%d\n", operations[number].name, with, result < 0 ? strerrorname(errno) : "",
		       result < 0 ? 0 : result);
		fflush(stdout);
		_exit(0);
	}
	waitpid(child, NULL, 0);
}

static void each(void)
{
	for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++) {
		const int *needs = operations[i].needs;
		uint64_t these = BIT(needs[0]) | (needs[1] >= 0 ? BIT(needs[1]) : 0);
		try(i, "without", ~these);
		try(i, "with the one", BIT(needs[0]));
		if (needs[1] >= 0)
			try(i, "with the other", BIT(needs[1]));
		try(i, "with none", 0);
	}
	/* the file goes: once */
	fflush(stdout);
	for (int with = 0; with < 2; with++) {
		pid_t child = fork();
		if (child == 0) {
			struct sets sets = get();
			sets.effective = with ? BIT(FOWNER) : sets.effective & ~BIT(FOWNER);
			SHOW(set(sets));
			SHOW(do_unlink_sticky());
			fflush(stdout);
			_exit(0);
		}
		waitpid(child, NULL, 0);
	}
}

static void make_files(void)
{
	static const char *const names[] = {"own", "others", "group", "setuid", "public"};
	mkdir("closed", 0700);
	mkdir("sticky", 0777);
	chmod("sticky", 01777);
	close(open("closed/file", O_CREAT | O_WRONLY, 0600));
	close(open("sticky/file", O_CREAT | O_WRONLY, 0600));
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		close(open(names[i], O_CREAT | O_WRONLY, 0600));
	chown("others", USER, USER);
	chown("group", 0, USER);
	chown("closed", USER, USER);
	chown("sticky/file", USER, USER);
	chown("sticky", USER, USER);
	chmod("setuid", 04755);
	chown("public", USER, USER);
	chmod("public", 0644);
	int queue = msgget(0x5150, IPC_CREAT | 0600);
	struct msqid_ds status;
	msgctl(queue, IPC_STAT, &status);
	status.msg_perm.uid = USER;
	msgctl(queue, IPC_SET, &status);
	/* msgctl cannot change who made it: that is another user's doing */
	msgctl(queue, IPC_RMID, NULL);
	fflush(stdout);
	int ends[2];
	if (pipe(ends) < 0)
		exit(1);
	pid_of_other = fork();
	if (pid_of_other == 0) {
		if (setresgid(USER, USER, USER) < 0 || setresuid(USER, USER, USER) < 0)
			_exit(1);
		msgget(0x5150, IPC_CREAT | 0600);
		close(ends[1]);
		close(ends[0]);
		for (;;)
			pause();
	}
	char byte;
	close(ends[1]);
	if (read(ends[0], &byte, 1) < 0)
		exit(1);
	close(ends[0]);
}

static void remove_files(void)
{
	kill(pid_of_other, SIGKILL);
	waitpid(pid_of_other, NULL, 0);
	msgctl(msgget(0x5150, 0), IPC_RMID, NULL);
	unlink("closed/file");
	rmdir("closed");
	unlink("sticky/file");
	rmdir("sticky");
	unlink("own");
	unlink("others");
	unlink("group");
	unlink("setuid");
	unlink("public");
}

/* ---- sets ---- */

static void capset_errors(void)
{
	struct header header = {VERSION, 0};
	struct words words[2] = {{0}};
	SHOW(syscall(SYS_capget, &header, NULL));
	SHOW(syscall(SYS_capget, ADDRESS(8), words));
	SHOW(syscall(SYS_capget, &header, ADDRESS(8)));
	header.version = 7;
	SHOW(syscall(SYS_capget, &header, words));
	printf("%x\n", header.version);
	header.version = 7;
	SHOW(syscall(SYS_capget, &header, NULL));
	header.version = 7;
	SHOW(syscall(SYS_capset, &header, words));
	header = (struct header){0x19980330, 0};
	SHOW(syscall(SYS_capget, &header, words));
	printf("%x %x\n", words[0].effective & ~(uint32_t)BIT(SYS_RESOURCE), words[1].effective);
	header = (struct header){VERSION, -1};
	SHOW(syscall(SYS_capget, &header, words));
	header.pid = 999999;
	SHOW(syscall(SYS_capget, &header, words));
	SHOW(syscall(SYS_capset, &header, words));
	header.pid = 1;
	SHOW(syscall(SYS_capget, &header, words));
	SHOW(syscall(SYS_capset, &header, words));
	header.pid = 0;
	SHOW(syscall(SYS_capset, &header, ADDRESS(8)));
}

static void giving_up(void)
{
	struct sets sets = get();
	show_sets("all");
	show_status("all");
	sets.effective &= ~BIT(CHOWN);
	SHOW(set(sets));
	show_sets("one is not effective");
	sets.effective |= BIT(CHOWN);
	SHOW(set(sets));
	sets.permitted &= ~BIT(CHOWN);
	SHOW(set(sets)); /* effective, but not permitted */
	sets.effective &= ~BIT(CHOWN);
	SHOW(set(sets));
	show_sets("one is given up");
	sets.permitted |= BIT(CHOWN);
	SHOW(set(sets));
	sets.permitted &= ~BIT(CHOWN);
	sets.inheritable = BIT(KILL) | BIT(CHOWN); /* within the bounding set, with CAP_SETPCAP */
	SHOW(set(sets));
	show_sets("inheritable");
	sets.effective &= ~BIT(SETPCAP);
	sets.inheritable |= BIT(FOWNER);
	SHOW(set(sets)); /* permitted */
	sets.permitted &= ~BIT(MKNOD);
	sets.effective &= ~BIT(MKNOD);
	sets.inheritable |= BIT(MKNOD);
	SHOW(set(sets));
	sets.inheritable = 0;
	SHOW(set(sets));
	sets.inheritable = ~0ul;
	SHOW(set(sets));
	sets = (struct sets){0};
	SHOW(set(sets));
	show_sets("none");
	sets.effective = 1;
	SHOW(set(sets));
	show_status("none");
}

static void bounding(void)
{
	SHOW(prctl(PR_CAPBSET_READ, KILL));
	SHOW(prctl(PR_CAPBSET_READ, 41));
	SHOW(prctl(PR_CAPBSET_DROP, 41, 0, 0, 0));
	SHOW(prctl(PR_CAPBSET_DROP, KILL, 0, 0, 0));
	SHOW(prctl(PR_CAPBSET_READ, KILL));
	show_status("without KILL");
	struct sets sets = get();
	sets.inheritable |= BIT(KILL);
	SHOW(set(sets));
	sets.inheritable = 0;
	sets.effective &= ~BIT(SETPCAP);
	SHOW(set(sets));
	SHOW(prctl(PR_CAPBSET_DROP, CHOWN, 0, 0, 0));
}

static void secure_bits(void)
{
	SHOW(prctl(PR_GET_SECUREBITS));
	SHOW(prctl(PR_SET_SECUREBITS, 0x100000, 0, 0, 0));
	SHOW(prctl(PR_SET_SECUREBITS, 0x10, 0, 0, 0));
	SHOW(prctl(PR_GET_KEEPCAPS));
	SHOW(prctl(PR_SET_KEEPCAPS, 0));
	SHOW(prctl(PR_GET_SECUREBITS));
	SHOW(prctl(PR_SET_SECUREBITS, 0x20, 0, 0, 0));
	SHOW(prctl(PR_SET_KEEPCAPS, 1));
	SHOW(prctl(PR_SET_SECUREBITS, 0, 0, 0, 0));
	SHOW(prctl(PR_SET_SECUREBITS, 0x30, 0, 0, 0));
	SHOW(prctl(PR_SET_SECUREBITS, 0x2f, 0, 0, 0));
	SHOW(prctl(PR_GET_SECUREBITS));
	SHOW(setresuid(USER, USER, USER)); /* nothing is given up */
	show_sets("no fix-up");
}

/* Not dumpable any more, but its own descriptors it may see. */
static void other_user(void)
{
	SHOW(setresuid(USER, USER, USER));
	SHOW(prctl(PR_GET_DUMPABLE));
	SHOW(access("/proc/self/fd", R_OK | X_OK));
	SHOW(access("/proc/self/fd/1", F_OK));
	SHOW(open("/proc/self/environ", O_RDONLY));
}

static void ambient(void)
{
	struct sets sets = get();
	SHOW(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, KILL, 0, 0));
	sets.inheritable = BIT(KILL) | BIT(CHOWN);
	SHOW(set(sets));
	SHOW(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, KILL, 0, 0));
	SHOW(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CHOWN, 0, 0));
	SHOW(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, 41, 0, 0));
	SHOW(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, KILL, 0, 0));
	SHOW(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, FOWNER, 0, 0));
	SHOW(prctl(PR_CAP_AMBIENT, 77, KILL, 0, 0));
	show_status("ambient");
	SHOW(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_LOWER, CHOWN, 0, 0));
	show_status("one lowered");
	SHOW(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CHOWN, 0, 0));
	sets.inheritable = BIT(CHOWN);
	SHOW(set(sets));
	show_status("one not inheritable any more");
	SHOW(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0));
	SHOW(prctl(PR_SET_SECUREBITS, 0x40, 0, 0, 0));
	SHOW(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CHOWN, 0, 0));
}

/* ---- users ---- */

static void users(void)
{
	SHOW(seteuid(USER));
	show_sets("effective user");
	SHOW(seteuid(0));
	show_sets("back");
	SHOW(setfsuid(USER));
	show_sets("user of files");
	SHOW(setfsuid(0));
	show_sets("back");
	struct sets sets = get();
	sets.permitted &= ~BIT(CHOWN);
	sets.effective &= ~BIT(CHOWN);
	SHOW(set(sets));
	SHOW(setfsuid(USER));
	SHOW(setfsuid(0));
	show_sets("not gained");
	SHOW(setreuid(USER, -1));
	show_sets("real user");
	SHOW(setreuid(-1, USER));
	show_sets("no root left but the saved one");
	SHOW(setresuid(-1, 0, -1));
	show_sets("back");
	SHOW(setresuid(USER, USER, USER));
	show_sets("no root left");
	SHOW(setuid(0));
}

static void kept(void)
{
	SHOW(prctl(PR_SET_KEEPCAPS, 1));
	SHOW(setresuid(USER, USER, USER));
	show_sets("kept");
	struct sets sets = get();
	sets.effective = BIT(SETUID) | BIT(DAC_READ_SEARCH);
	SHOW(set(sets));
	SHOW(do_read_others());
	SHOW(chown("own", 1, 1));
	SHOW(setuid(0));
	show_sets("root again");
}

static void real_user(void)
{
	SHOW(access("closed/file", R_OK));
	SHOW(setresuid(USER + 1, 0, 0));
	SHOW(access("closed/file", R_OK));
	SHOW(faccessat(AT_FDCWD, "closed/file", R_OK, AT_EACCESS));
	SHOW(setresuid(0, USER + 1, 0));
	SHOW(access("closed/file", R_OK));
	SHOW(open("closed/file", O_RDONLY));
}

/* ---- programs ---- */

static void run_again(void)
{
	fflush(stdout);
	execl("/proc/self/exe", "rights", "show", NULL);
	printf("not run: %s\n", strerrorname(errno));
}

static void root_runs(void)
{
	struct sets sets = get();
	sets.effective = sets.permitted = BIT(SETPCAP);
	sets.inheritable = 0;
	SHOW(set(sets));
	SHOW(prctl(PR_CAPBSET_DROP, KILL, 0, 0, 0));
	SHOW(prctl(PR_SET_KEEPCAPS, 1));
	run_again();
}

static void root_runs_without_gain(void)
{
	struct sets sets = get();
	sets.effective = sets.permitted = BIT(CHOWN);
	SHOW(set(sets));
	SHOW(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	run_again();
}

static void user_runs(void)
{
	SHOW(prctl(PR_SET_KEEPCAPS, 1));
	SHOW(setresuid(USER, USER, USER));
	run_again();
}

static void user_runs_with_ambient(void)
{
	SHOW(prctl(PR_SET_KEEPCAPS, 1));
	SHOW(setresuid(USER, USER, USER));
	struct sets sets = get();
	sets.inheritable = BIT(KILL) | BIT(SETUID);
	SHOW(set(sets));
	SHOW(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, KILL, 0, 0));
	run_again();
}

static void root_is_nobody(void)
{
	SHOW(prctl(PR_SET_SECUREBITS, 1, 0, 0, 0));
	run_again();
}

static void real_root_runs(void)
{
	SHOW(seteuid(USER));
	run_again();
}

/* What a kernel may be built without: a user is refused before that is told. */
static void not_for_users(void)
{
	struct timeval zero = {0};
	if (setresgid(USER, USER, USER) < 0 || setresuid(USER, USER, USER) < 0)
		return;
	SHOW(syscall(SYS_swapon, "swap", 0));
	SHOW(syscall(SYS_swapoff, "swap"));
	SHOW(settimeofday(&zero, NULL));
}

int main(int count, char **arguments)
{
	if (count > 1 && strcmp(arguments[1], "show") == 0) {
		show_status("run");
		SHOW(prctl(PR_GET_SECUREBITS));
		SHOW(getuid());
		SHOW(geteuid());
		return 0;
	}
	umask(022);
	mkdir("rights.d", 0755);
	if (chdir("rights.d") < 0)
		return 1;
	make_files();
	show_child("errors", capset_errors);
	show_child("giving up", giving_up);
	show_child("bounding", bounding);
	show_child("secure bits", secure_bits);
	show_child("other user", other_user);
	show_child("ambient", ambient);
	show_child("users", users);
	show_child("kept", kept);
	show_child("real user", real_user);
	each();
	show_child("root runs", root_runs);
	show_child("root runs without gain", root_runs_without_gain);
	show_child("user runs", user_runs);
	show_child("user runs with ambient", user_runs_with_ambient);
	show_child("root is nobody", root_is_nobody);
	show_child("real root runs", real_root_runs);
	show_child("not for users", not_for_users);
	remove_files();
	return chdir("..") < 0 || rmdir("rights.d") < 0;
}
