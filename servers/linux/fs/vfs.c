/* SPDX-License-Identifier: MIT */
/* The beginning and the end of the file half: what is mounted where, and the events of its channels. */
#include "fs/internal.h"
#include "exec_channel.h"
#include "tty/tty.h"
#include <stdio.h>
#include <pith/log.h>
#include <pith/startup.h>

static bool exec_mode;

static void ensure_directory(const char *path)
{
	int error = vfs_mkdir(NULL, AT_FDCWD_LINUX, path, 0755);
	if (error != 0 && error != -EEXIST)
		log_warning("mkdir %s: %s", path, error_name(error));
}

static void mount_or_warn(const char *path, const char *type, const char *options)
{
	ensure_directory(path);
	int error = mount_at(path, type, type, options);
	if (error != 0)
		log_error("mount %s on %s: %s", type, path, error_name(error));
}

static int mount_disk(unsigned channel, const char *path)
{
	struct superblock *superblock;
	struct dentry *mountpoint;
	ensure_directory(path);
	int error = path_lookup(NULL, AT_FDCWD_LINUX, path, LOOKUP_FOLLOW | LOOKUP_DIRECTORY, &mountpoint);
	if (error != 0)
		return error;
	error = remote_mount(channel, &superblock);
	if (error == 0 && mount_attach(superblock, superblock->root, mountpoint, 0) == NULL)
		error = -ENOMEM;
	dentry_put(mountpoint);
	return error;
}

static void mount_root(void)
{
	struct superblock *superblock;
	unsigned channel = (unsigned)startup_config_number("root", 0);
	int error;
	if (startup_find("fs", STARTUP_CHANNEL, channel) == NULL) {
		log_warning("no root file system in the manifest: an empty one in memory is used");
		error = tmpfs_mount("root", "mode=755", &superblock);
	} else {
		error = remote_mount(channel, &superblock);
	}
	if (error == 0 && mount_attach(superblock, superblock->root, NULL, 0) == NULL)
		error = -ENOMEM;
	if (error == 0)
		return;
	if (exec_mode)
		exec_channel_fail("the root file system cannot be mounted: %s", error_name(error));
	fatal("the root file system cannot be mounted: %s", error_name(error));
}

static void mount_configured(void)
{
	for (unsigned channel = 0; channel < FS_CHANNELS_MAX; channel++) {
		char key[16], path[256];
		snprintf(key, sizeof(key), "mount.%u", channel);
		if (!startup_config(key, path, sizeof(path)))
			continue;
		int error = mount_disk(channel, path);
		if (error == 0)
			continue;
		log_error("disk %u on %s: %s", channel, path, error_name(error));
		if (exec_mode)
			exec_channel_fail("disk %u cannot be mounted on %s: %s", channel, path,
			                  error_name(error));
	}
}

void vfs_init(void)
{
	char mode[16] = "";
	startup_config("mode", mode, sizeof(mode));
	exec_mode = strcmp(mode, "exec") == 0;
	if (!serial_attach())
		log_warning("no serial line in the manifest");
	if (!exec_mode)
		console_init();
	mount_root();
	mount_or_warn("/dev", "devtmpfs", "");
	mount_or_warn("/dev/pts", "devpts", "");
	mount_or_warn("/dev/shm", "tmpfs", "mode=1777");
	mount_or_warn("/proc", "proc", "");
	mount_or_warn("/sys", "sysfs", "");
	mount_or_warn("/pith", "pith", "");
	ensure_directory("/tmp");
	mount_configured();
	writeback_start();
}

void vfs_shutdown(void)
{
	mounts_end_all();
	if (exec_mode)
		exec_channel_finish();
	else if (console_tty() != NULL)
		tty_drain(console_tty());
}

void vfs_events(uint64_t bits)
{
	vfs_stir();
	remote_events(bits);
	if (exec_mode)
		exec_channel_events();
	else
		console_events();
}

static bool stirred = true;

void vfs_stir(void)
{
	stirred = true;
}

bool vfs_prepare_sleep(void)
{
	if (!stirred)
		return true;
	bool files = remote_prepare_sleep();
	bool line = exec_mode ? exec_channel_prepare_sleep() : console_prepare_sleep();
	stirred = !files || !line;
	return !stirred;
}
