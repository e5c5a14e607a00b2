# SPDX-License-Identifier: MIT
tests/host/linux_fs_SOURCES := lib/pith/fiber.c servers/linux/wait.c servers/linux/deadline.c servers/linux/exec_frames.c servers/linux/capability.c servers/linux/kept.c \
                               $(addprefix servers/linux/fs/,allocate.c attributes.c dentry.c directory.c epoll.c eventfd.c file.c \
                               file_table.c inode.c inotify.c lock_ranges.c locks.c mount.c namespace.c open.c owner.c page_cache.c page_tree.c \
                               path.c pipe.c poll.c read_write.c regular.c socket.c stat.c text.c tmpfs.c unix.c unix_flight.c memfd.c writeback.c) \
                               servers/linux/tty/line.c servers/linux/tty/serial.c servers/linux/tty/telnet.c
tests/host/linux_fs_FLAGS := -Iservers/linux -Ilib/pith/include
