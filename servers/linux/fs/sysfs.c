/* SPDX-License-Identifier: MIT */
/* /sys: the processors, as lscpu and nproc look for them. They are alike: cores of one package, or each one
 * of its own (as /proc/cpuinfo says). */
#include "fs/pseudo.h"
#include "balance.h"
#include <pith/startup.h>
#include <cpuid.h>
#include <stdio.h>

static unsigned cpu_count(void)
{
	return startup()->cpu_count;
}

/* As far as a processor says it: how many there are room for in its package. */
bool cpus_share_package(void)
{
	unsigned a = 0, b = 0, c = 0, d = 0;
	__get_cpuid(1, &a, &b, &c, &d);
	return cpu_count() > 1 && d >> 28 & 1 && (b >> 16 & 255) >= cpu_count();
}

static int show_all(struct text *text, const struct pseudo *file)
{
	(void)file;
	text_print(text, cpu_count() > 1 ? "0-%u\n" : "%u\n", cpu_count() - 1);
	return 0;
}

static int show_online(struct text *text, const struct pseudo *file)
{
	(void)file;
	cpu_list(text, cpus_online());
	text_add(text, "\n", 1);
	return 0;
}

static int show_kernel_max(struct text *text, const struct pseudo *file)
{
	(void)file;
	text_print(text, "%d\n", 63); /* sets of CPUs are words */
	return 0;
}

static int show_package(struct text *text, const struct pseudo *file)
{
	text_print(text, "%d\n", cpus_share_package() ? 0 : file->id);
	return 0;
}

static int show_core(struct text *text, const struct pseudo *file)
{
	text_print(text, "%d\n", cpus_share_package() ? file->id : 0);
	return 0;
}

static int show_own(struct text *text, const struct pseudo *file)
{
	text_print(text, "%d\n", file->id);
	return 0;
}

static int show_package_list(struct text *text, const struct pseudo *file)
{
	return cpus_share_package() ? show_all(text, file) : show_own(text, file);
}

static int show_package_mask(struct text *text, const struct pseudo *file)
{
	text_print(text, "%lx\n", cpus_share_package() ? (1ul << cpu_count()) - 1 : 1ul << file->id);
	return 0;
}

static int show_own_mask(struct text *text, const struct pseudo *file)
{
	text_print(text, "%lx\n", 1ul << file->id);
	return 0;
}

#define TEXT_FILE(name_, show_)                                      \
	{                                                            \
		.name = name_, .mode = S_IFREG | 0444, .show = show_ \
	}

static const struct pseudo_node topology_files[] = {
        TEXT_FILE("core_id", show_core),
        TEXT_FILE("core_siblings", show_package_mask),
        TEXT_FILE("core_siblings_list", show_package_list),
        TEXT_FILE("physical_package_id", show_package),
        TEXT_FILE("thread_siblings", show_own_mask),
        TEXT_FILE("thread_siblings_list", show_own),
        {.name = NULL},
};
static const struct pseudo_node one_cpu_files[] = {
        {.name = "topology", .mode = S_IFDIR | 0555, .children = topology_files},
        {.name = NULL},
};
static const struct pseudo_node cpu_member = {
        .name = "cpuN", .mode = S_IFDIR | 0555, .children = one_cpu_files};

static bool cpu_next(const struct pseudo *directory, unsigned *number, char name[PSEUDO_NAME])
{
	(void)directory;
	snprintf(name, PSEUDO_NAME, "cpu%u", *number);
	return *number < cpu_count();
}

static int cpu_find(const struct pseudo *directory, const char *name, struct pseudo *member)
{
	char own[PSEUDO_NAME];
	for (unsigned number = 0; cpu_next(directory, &number, own); number++) {
		if (strcmp(name, own) != 0)
			continue;
		member->id = (int)number;
		return 0;
	}
	return -ENOENT;
}

static const struct pseudo_node cpu_files[] = {
        TEXT_FILE("kernel_max", show_kernel_max),
        TEXT_FILE("online", show_online),
        TEXT_FILE("possible", show_all),
        TEXT_FILE("present", show_all),
        {.name = NULL},
};
static const struct pseudo_node system_folders[] = {
        {.name = "cpu",
         .mode = S_IFDIR | 0555,
         .children = cpu_files,
         .member = &cpu_member,
         .find = cpu_find,
         .next = cpu_next},
        {.name = NULL},
};
static const struct pseudo_node devices_folders[] = {
        {.name = "system", .mode = S_IFDIR | 0555, .children = system_folders},
        {.name = NULL},
};
static const struct pseudo_node sys_folders[] = {
        {.name = "devices", .mode = S_IFDIR | 0555, .children = devices_folders},
        {.name = NULL},
};
static const struct pseudo_node sys_root = {.name = "sysfs", .mode = S_IFDIR | 0555, .children = sys_folders};

int sysfs_mount(const char *source, const char *options, struct superblock **out)
{
	(void)options;
	return pseudo_mount("sysfs", &sys_root, source, 0x62656572, out);
}
