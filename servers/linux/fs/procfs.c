/* SPDX-License-Identifier: MIT */
/* /proc: what the system tells of itself. Formats are Linux's, as procps and busybox read them. */
#define _GNU_SOURCE /* utsname.domainname */
#include "capability.h"
#include "fs/mqueue.h"
#include "fs/notify.h"
#include "fs/pipe.h"
#include "fs/procfs.h"
#include "ipc/ipc.h"
#include "load.h"
#include "random.h"
#include "realtime.h"
#include "vma.h"
#include <pith/startup.h>
#include <cpuid.h>
#include <stdio.h>
#include <sys/utsname.h>

#define PAGES_TO_KIB (PAGE_SIZE / 1024)

static unsigned count_processes(char state)
{
	unsigned count = 0;
	for (struct process *process = process_first(); process != NULL; process = process_next(process))
		count += process_state(process) == state;
	return count;
}

/* CPU time of all processes that ever were; what the ended ones used is in their parents' children_used. */
static uint64_t processes_cpu_time(void)
{
	static uint64_t highest; /* an orphan's share is nobody's: the sum must not go back */
	uint64_t sum = 0;
	for (struct process *process = process_first(); process != NULL; process = process_next(process))
		sum += process_cpu_time(process) + process->children_used.cpu_time;
	if (sum > highest)
		highest = sum;
	return highest;
}

static int show_meminfo(struct text *text, const struct pseudo *file)
{
	(void)file;
	size_t total = pages_total() * PAGES_TO_KIB, unused = pages_free() * PAGES_TO_KIB;
	size_t cached = page_cache_pages() * PAGES_TO_KIB, dirty = pages_dirty() * PAGES_TO_KIB;
	size_t shared = page_cache_memory_pages() * PAGES_TO_KIB;
	size_t available = unused + (cached > dirty + shared ? cached - dirty - shared : 0);
	const struct {
		const char *name;
		size_t kib;
	} lines[] = {
	        {"MemTotal", total},
	        {"MemFree", unused},
	        {"MemAvailable", available},
	        {"Buffers", 0},
	        {"Cached", cached},
	        {"SwapCached", 0},
	        {"SwapTotal", 0},
	        {"SwapFree", 0},
	        {"Dirty", dirty},
	        {"AnonPages", total - unused > cached ? total - unused - cached : 0},
	        {"Shmem", shared},
	        {"Slab", 0},
	        {"SReclaimable", 0},
	};
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		text_print(text, "%s:%*zu kB\n", lines[i].name, (int)(23 - strlen(lines[i].name)),
		           lines[i].kib);
	return 0;
}

static int show_vmstat(struct text *text, const struct pseudo *file)
{
	(void)file;
	uint64_t minor = 0, major = 0;
	for (struct process *process = process_first(); process != NULL; process = process_next(process)) {
		minor += process->used.minor_faults;
		major += process->used.major_faults;
	}
	text_print(text, "nr_free_pages %zu\nnr_file_pages %zu\nnr_dirty %zu\n", pages_free(),
	           page_cache_pages(), pages_dirty());
	text_print(text, "pgpgin %lu\npgpgout %lu\npswpin 0\npswpout 0\n", page_counts.read * PAGES_TO_KIB,
	           page_counts.written * PAGES_TO_KIB);
	/* Of the processes that there are. */
	text_print(text, "pgfault %lu\npgmajfault %lu\n", minor + major, major);
	return 0;
}

static int show_stat(struct text *text, const struct pseudo *file)
{
	(void)file;
	unsigned cpus = startup()->cpu_count;
	/* What Linux would do in its kernel is done by the components. */
	uint64_t up = ticks(time_now()), user = ticks(processes_cpu_time()),
	         system = ticks(components_cpu_time());
	uint64_t idle = up * cpus > user + system ? up * cpus - user - system : 0;
	text_print(text, "cpu  %lu 0 %lu %lu 0 0 0 0 0 0\n", user, system, idle);
	/* Which CPU a process used is not recorded: each has its share of the sum. */
	for (unsigned cpu = 0; cpu < cpus; cpu++)
		text_print(text, "cpu%u %lu 0 %lu %lu 0 0 0 0 0 0\n", cpu, user / cpus, system / cpus,
		           idle / cpus);
	text_print(text, "intr 0\nctxt 0\nbtime %lu\nprocesses %lu\nprocs_running %u\nprocs_blocked %u\n",
	           (time_wall() - time_now()) / 1000000000, threads_made, count_processes('R'),
	           count_processes('D'));
	return 0;
}

static int show_uptime(struct text *text, const struct pseudo *file)
{
	(void)file;
	uint64_t up = ticks(time_now()), used = ticks(processes_cpu_time());
	uint64_t idle = up * startup()->cpu_count > used ? up * startup()->cpu_count - used : 0;
	text_print(text, "%lu.%02lu %lu.%02lu\n", up / 100, up % 100, idle / 100, idle % 100);
	return 0;
}

static int show_loadavg(struct text *text, const struct pseudo *file)
{
	(void)file;
	unsigned running, all;
	threads_count(&running, &all);
	for (int i = 0; i < 3; i++) {
		uint64_t load = load_averages[i] + LOAD_ONE / 200;
		text_print(text, "%lu.%02lu ", load / LOAD_ONE, load % LOAD_ONE * 100 / LOAD_ONE);
	}
	text_print(text, "%u/%u %d\n", running, all, pid_last());
	return 0;
}

static int show_version(struct text *text, const struct pseudo *file)
{
	(void)file;
	text_print(text, "%s version %s (pith) %s\n", linux_identity.sysname, linux_identity.release,
	           linux_identity.version);
	return 0;
}

static int show_osrelease(struct text *text, const struct pseudo *file)
{
	(void)file;
	text_print(text, "%s\n", linux_identity.release);
	return 0;
}

static int show_ostype(struct text *text, const struct pseudo *file)
{
	(void)file;
	text_print(text, "%s\n", linux_identity.sysname);
	return 0;
}

static int show_kernel_version(struct text *text, const struct pseudo *file)
{
	(void)file;
	text_print(text, "%s\n", linux_identity.version);
	return 0;
}

static char *name_of(const struct pseudo *file)
{
	return strcmp(file->node->name, "hostname") == 0 ? linux_identity.nodename
	                                                 : linux_identity.domainname;
}

static int show_name(struct text *text, const struct pseudo *file)
{
	text_print(text, "%s\n", name_of(file));
	return 0;
}

/* Up to the first line's end. */
static int store_name(const struct pseudo *file, char *data, size_t length)
{
	(void)length;
	return (int)identity_set(current_thread(), name_of(file), data, strcspn(data, "\n"));
}

static int show_locks(struct text *text, const struct pseudo *file)
{
	(void)file;
	locks_text(text);
	return 0;
}

/* In use, free, at most. */
static int show_file_numbers(struct text *text, const struct pseudo *file)
{
	(void)file;
	text_print(text, "%zu\t0\t%lu\n", files_open(), INT64_MAX);
	return 0;
}

static void cpu_text(char *out, unsigned leaf, unsigned registers)
{
	unsigned r[4] = {0};
	__get_cpuid(leaf, &r[0], &r[1], &r[2], &r[3]);
	if (registers == 3) { /* vendor: ebx, edx, ecx */
		memcpy(out, &r[1], 4);
		memcpy(out + 4, &r[3], 4);
		memcpy(out + 8, &r[2], 4);
	} else {
		memcpy(out, r, 16);
	}
}

/* reg: of leaf 1, and from 4 on of leaf 0x80000001; 0: eax … 3: edx */
struct cpu_flag {
	uint8_t reg, bit;
	const char *name;
};

static void print_cpu(struct text *text, unsigned cpu)
{
	char vendor[13] = "", brand[49] = "";
	static const struct cpu_flag flags[] = {
	        {3, 0, "fpu"},    {3, 4, "tsc"},     {3, 8, "cx8"},     {3, 15, "cmov"},    {3, 23, "mmx"},
	        {3, 24, "fxsr"},  {3, 25, "sse"},    {3, 26, "sse2"},   {2, 0, "pni"},      {2, 9, "ssse3"},
	        {2, 13, "cx16"},  {2, 19, "sse4_1"}, {2, 20, "sse4_2"}, {2, 23, "popcnt"},  {2, 25, "aes"},
	        {2, 26, "xsave"}, {2, 28, "avx"},    {2, 30, "rdrand"}, {7, 11, "syscall"}, {7, 20, "nx"},
	        {7, 29, "lm"},    {6, 0, "lahf_lm"},
	};
	unsigned registers[8] = {0}, sizes[4] = {0};
	cpu_text(vendor, 0, 3);
	for (unsigned i = 0; i < 3; i++)
		cpu_text(brand + 16 * i, 0x80000002 + i, 4);
	__get_cpuid(1, &registers[0], &registers[1], &registers[2], &registers[3]);
	__get_cpuid(0x80000001, &registers[4], &registers[5], &registers[6], &registers[7]);
	__get_cpuid(0x80000008, &sizes[0], &sizes[1], &sizes[2], &sizes[3]);
	unsigned a = registers[0], siblings = cpus_share_package() ? (unsigned)startup()->cpu_count : 1;
	text_print(text,
	           "processor\t: %u\nvendor_id\t: %s\ncpu family\t: %u\nmodel\t\t: %u\nmodel name\t: "
	           "%s\nstepping\t: %u\n",
	           cpu, vendor, (a >> 8 & 15) + (a >> 20 & 255), (a >> 4 & 15) | (a >> 12 & 0xf0), brand,
	           a & 15);
	text_print(text,
	           "cpu MHz\t\t: %lu.%03lu\nphysical id\t: %u\nsiblings\t: %u\ncore id\t\t: %u\ncpu cores\t: "
	           "%u\nflags\t\t:",
	           startup()->tsc_hz / 1000000, startup()->tsc_hz / 1000 % 1000, siblings > 1 ? 0 : cpu,
	           siblings, siblings > 1 ? cpu : 0, siblings);
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		if (registers[flags[i].reg] >> flags[i].bit & 1)
			text_print(text, " %s", flags[i].name);
	text_print(text, "\naddress sizes\t: %u bits physical, %u bits virtual\n\n", sizes[0] & 0xff,
	           sizes[0] >> 8 & 0xff);
}

/* The CPUs are alike. */
static int show_cpuinfo(struct text *text, const struct pseudo *file)
{
	(void)file;
	for (unsigned cpu = 0; cpu < startup()->cpu_count; cpu++)
		print_cpu(text, cpu);
	return 0;
}

static int show_filesystems(struct text *text, const struct pseudo *file)
{
	(void)file;
	filesystems_text(text);
	return 0;
}

static int show_devices(struct text *text, const struct pseudo *file)
{
	(void)file;
	text_print(text, "Character devices:\n  1 mem\n  4 ttyS\n  5 /dev/tty\n  5 /dev/console\n  5 "
	                 "/dev/ptmx\n136 pts\n252 rtc\n\n"
	                 "Block devices:\n");
	return 0;
}

static int show_pid_max(struct text *text, const struct pseudo *file)
{
	(void)file;
	text_print(text, "32768\n");
	return 0;
}

/* As /proc/devices has it: programs see no disk as a device. */
static int show_partitions(struct text *text, const struct pseudo *file)
{
	(void)file;
	text_print(text, "major minor  #blocks  name\n\n");
	return 0;
}

static int show_nothing(struct text *text, const struct pseudo *file)
{
	(void)text, (void)file;
	return 0;
}

static int show_number(struct text *text, const struct pseudo *file)
{
	text_print(text, "%lu\n", file->node->number);
	return 0;
}

static int show_entropy(struct text *text, const struct pseudo *file)
{
	(void)file;
	text_print(text, "256\n");
	return 0;
}

static int show_swaps(struct text *text, const struct pseudo *file)
{
	(void)file;
	text_print(text, "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n");
	return 0;
}

static void print_uuid(struct text *text, const uint8_t bytes[16])
{
	for (int i = 0; i < 16; i++)
		text_print(text, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", bytes[i]);
	text_print(text, "\n");
}

static void random_uuid(uint8_t bytes[16])
{
	random_bytes(bytes, 16);
	bytes[6] = (uint8_t)((bytes[6] & 0x0f) | 0x40);
	bytes[8] = (uint8_t)((bytes[8] & 0x3f) | 0x80);
}

static int show_uuid(struct text *text, const struct pseudo *file)
{
	(void)file;
	uint8_t bytes[16];
	random_uuid(bytes);
	print_uuid(text, bytes);
	return 0;
}

static int show_boot_id(struct text *text, const struct pseudo *file)
{
	(void)file;
	static uint8_t bytes[16];
	if (bytes[6] == 0)
		random_uuid(bytes);
	print_uuid(text, bytes);
	return 0;
}

static ssize_t self_target(const struct pseudo *file, char *out, size_t size)
{
	(void)file;
	struct thread *thread = current_thread();
	if (thread == NULL)
		return -ENOENT;
	return snprintf(out, size, "%d", thread->process->pid);
}

static ssize_t thread_self_target(const struct pseudo *file, char *out, size_t size)
{
	(void)file;
	struct thread *thread = current_thread();
	if (thread == NULL)
		return -ENOENT;
	return snprintf(out, size, "%d/task/%d", thread->process->pid, thread->tid);
}

static ssize_t mounts_target(const struct pseudo *file, char *out, size_t size)
{
	(void)file;
	return snprintf(out, size, "self/mounts");
}

#define TEXT_FILE(name_, show_)                                      \
	{                                                            \
		.name = name_, .mode = S_IFREG | 0444, .show = show_ \
	}
#define NUMBER_FILE(name_, number_)                                                           \
	{                                                                                     \
		.name = name_, .mode = S_IFREG | 0444, .show = show_number, .number = number_ \
	}

#define NAME_FILE(name_)                                                                      \
	{                                                                                     \
		.name = name_, .mode = S_IFREG | 0644, .show = show_name, .store = store_name \
	}

static const struct pseudo_node random_files[] = {
        TEXT_FILE("boot_id", show_boot_id),
        TEXT_FILE("entropy_avail", show_entropy),
        TEXT_FILE("uuid", show_uuid),
        {.name = NULL},
};
static int show_shm(struct text *text, const struct pseudo *file)
{
	(void)file;
	shm_text(text);
	return 0;
}

static int show_sem(struct text *text, const struct pseudo *file)
{
	(void)file;
	sem_text(text);
	return 0;
}

static int show_msg(struct text *text, const struct pseudo *file)
{
	(void)file;
	msg_text(text);
	return 0;
}

static const struct pseudo_node sysvipc_files[] = {
        TEXT_FILE("msg", show_msg),
        TEXT_FILE("sem", show_sem),
        TEXT_FILE("shm", show_shm),
        {.name = NULL},
};

static int show_ipc_limit(struct text *text, const struct pseudo *file)
{
	const struct {
		const char *name;
		uint64_t value;
	} limits[] = {
	        {"shmmax", shm_limits[0]},           {"shmall", shm_limits[1]},
	        {"shmmni", shm_limits[2]},           {"msgmax", (uint64_t)msg_limits[0]},
	        {"msgmnb", (uint64_t)msg_limits[1]}, {"msgmni", (uint64_t)msg_limits[2]},
	};
	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
		if (strcmp(limits[i].name, file->node->name) == 0)
			text_print(text, "%lu\n", limits[i].value);
	return 0;
}

static int show_inotify_limit(struct text *text, const struct pseudo *file)
{
	const char *name = file->node->name;
	text_print(text, "%d\n",
	           strcmp(name, "max_queued_events") == 0    ? NOTIFY_EVENTS_MAX
	           : strcmp(name, "max_user_instances") == 0 ? NOTIFY_INSTANCES_MAX
	                                                     : NOTIFY_WATCHES_MAX);
	return 0;
}

static int show_sem_limits(struct text *text, const struct pseudo *file)
{
	(void)file;
	text_print(text, "%d\t%d\t%d\t%d\n", sem_limits[0], sem_limits[1], sem_limits[2], sem_limits[3]);
	return 0;
}

static const struct pseudo_node sys_kernel_files[] = {
        NUMBER_FILE("cap_last_cap", CAPABILITY_LAST),
        NAME_FILE("domainname"),
        NUMBER_FILE("dmesg_restrict", 1),
        NAME_FILE("hostname"),
        TEXT_FILE("msgmax", show_ipc_limit),
        TEXT_FILE("msgmnb", show_ipc_limit),
        TEXT_FILE("msgmni", show_ipc_limit),
        NUMBER_FILE("ngroups_max", GROUPS_MAX),
        TEXT_FILE("osrelease", show_osrelease),
        TEXT_FILE("ostype", show_ostype),
        TEXT_FILE("pid_max", show_pid_max),
        {.name = "random", .mode = S_IFDIR | 0555, .children = random_files},
        NUMBER_FILE("randomize_va_space", 0), /* load addresses are fixed */
        NUMBER_FILE("sched_rt_period_us", REALTIME_PERIOD / 1000),
        NUMBER_FILE("sched_rt_runtime_us", REALTIME_RUNTIME / 1000),
        TEXT_FILE("sem", show_sem_limits),
        TEXT_FILE("shmall", show_ipc_limit),
        TEXT_FILE("shmmax", show_ipc_limit),
        TEXT_FILE("shmmni", show_ipc_limit),
        NUMBER_FILE("tainted", 0),
        TEXT_FILE("version", show_kernel_version),
        {.name = NULL},
};
/* Linux's bits: 1 the page cache, 2 dentries and inodes. Dirty pages stay. */
static int store_drop_caches(const struct pseudo *file, char *data, size_t length)
{
	(void)file;
	(void)length;
	int what = atoi(data);
	if (what < 1 || what > 3)
		return -EINVAL;
	if (what & 2) {
		dentries_trim(0);
		inodes_trim(0);
	}
	if (what & 1)
		page_cache_reclaim(pages_total());
	return 0;
}

static const struct pseudo_node sys_vm_files[] = {
        {.name = "drop_caches", .mode = S_IFREG | 0200, .store = store_drop_caches},
        NUMBER_FILE("max_map_count", REGIONS_MAX),
        NUMBER_FILE("overcommit_memory", 0),
        {.name = NULL},
};
static const struct pseudo_node inotify_files[] = {
        TEXT_FILE("max_queued_events", show_inotify_limit),
        TEXT_FILE("max_user_instances", show_inotify_limit),
        TEXT_FILE("max_user_watches", show_inotify_limit),
        {.name = NULL},
};
static int show_mqueue_limit(struct text *text, const struct pseudo *file)
{
	const char *name = file->node->name;
	text_print(text, "%ld\n",
	           strcmp(name, "msg_default") == 0       ? mqueue_limits.messages_default
	           : strcmp(name, "msg_max") == 0         ? mqueue_limits.messages_max
	           : strcmp(name, "msgsize_default") == 0 ? mqueue_limits.size_default
	           : strcmp(name, "msgsize_max") == 0     ? mqueue_limits.size_max
	                                                  : (int64_t)mqueue_limits.queues_max);
	return 0;
}

static const struct pseudo_node mqueue_files[] = {
        TEXT_FILE("msg_default", show_mqueue_limit),     TEXT_FILE("msg_max", show_mqueue_limit),
        TEXT_FILE("msgsize_default", show_mqueue_limit), TEXT_FILE("msgsize_max", show_mqueue_limit),
        TEXT_FILE("queues_max", show_mqueue_limit),      {.name = NULL},
};
static const struct pseudo_node sys_fs_files[] = {
        NUMBER_FILE("file-max", INT64_MAX), /* memory is the limit */
        TEXT_FILE("file-nr", show_file_numbers),
        {.name = "inotify", .mode = S_IFDIR | 0555, .children = inotify_files},
        {.name = "mqueue", .mode = S_IFDIR | 0555, .children = mqueue_files},
        NUMBER_FILE("nr_open", FILE_TABLE_MAX),
        NUMBER_FILE("pipe-max-size", PIPE_SIZE_USERS),
        NUMBER_FILE("protected_hardlinks", 1),
        {.name = NULL},
};
static const struct pseudo_node sys_folders[] = {
        {.name = "fs", .mode = S_IFDIR | 0555, .children = sys_fs_files},
        {.name = "kernel", .mode = S_IFDIR | 0555, .children = sys_kernel_files},
        {.name = "vm", .mode = S_IFDIR | 0555, .children = sys_vm_files},
        {.name = NULL},
};
static const struct pseudo_node proc_files[] = {
        TEXT_FILE("cpuinfo", show_cpuinfo),
        TEXT_FILE("devices", show_devices),
        TEXT_FILE("diskstats", show_nothing),
        TEXT_FILE("filesystems", show_filesystems),
        TEXT_FILE("loadavg", show_loadavg),
        TEXT_FILE("locks", show_locks),
        TEXT_FILE("meminfo", show_meminfo),
        TEXT_FILE("modules", show_nothing), /* drivers are components: pithctl shows them */
        {.name = "mounts", .mode = S_IFLNK | 0777, .target = mounts_target},
        TEXT_FILE("partitions", show_partitions),
        {.name = "self", .mode = S_IFLNK | 0777, .target = self_target},
        TEXT_FILE("stat", show_stat),
        TEXT_FILE("swaps", show_swaps),
        {.name = "sys", .mode = S_IFDIR | 0555, .children = sys_folders},
        {.name = "sysvipc", .mode = S_IFDIR | 0555, .children = sysvipc_files},
        {.name = "thread-self", .mode = S_IFLNK | 0777, .target = thread_self_target},
        TEXT_FILE("uptime", show_uptime),
        TEXT_FILE("version", show_version),
        TEXT_FILE("vmstat", show_vmstat),
        {.name = NULL},
};
static const struct pseudo_node proc_root = {
        .name = "proc",
        .mode = S_IFDIR | 0555,
        .children = proc_files,
        .member = &process_node,
        .find = process_find_number,
        .next = process_next_number,
};

int proc_mount(const char *source, const char *options, struct superblock **out)
{
	(void)options;
	load_begin();
	return pseudo_mount("proc", &proc_root, source, 0x9fa0, out);
}
