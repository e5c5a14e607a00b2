/* SPDX-License-Identifier: MIT */
/*
 * `./pith exec`: frames on the serial line between the host's command and `linux`, which runs the program. Both
 * directions carry the same header; all integers little-endian. The guest sends EXEC_READY when it can take frames; the host answers with
 * EXEC_START; then data flows until EXEC_EXIT. The line is lossless and ordered; the host reads always, the guest takes
 * standard input only as the program reads it: EXEC_CREDIT tells the host how many more bytes it may send.
 */
#pragma once

#include <stdint.h>

#define EXEC_MAGIC     0x58505450u /* "PTPX" */
#define EXEC_FRAME_MAX 4096        /* payload bytes */

enum exec_frame_type {
	EXEC_READY = 1,  /* guest: no payload */
	EXEC_START,      /* host: argc, then envc (u32 each), then argc + envc NUL-terminated strings; may take several frames: */
	                 /* the payloads of consecutive EXEC_START frames are joined, the last has less than EXEC_FRAME_MAX bytes */
	EXEC_STDIN,      /* host: data; no payload: end of file */
	EXEC_STDOUT,     /* guest: data */
	EXEC_STDERR,     /* guest: data */
	EXEC_CREDIT,     /* guest: u32 bytes of standard input the host may send in addition */
	EXEC_EXIT,       /* guest, file systems are unmounted: u32 status as a shell gives it (128+n for a signal, 127 not found, 126 not executable) */
	EXEC_ERROR,      /* guest: text; Pith itself failed (the host exits 125) */
	EXEC_SIGNAL,     /* host: u32 Linux signal number for the program's process group (after SIGTERM it gets SIGCONT, too) */
	EXEC_UNWRITABLE, /* host: u32 EXEC_STDOUT or EXEC_STDERR, u32 Linux errno: from now on writing there fails with it (EPIPE: and SIGPIPE) */
};

struct exec_frame {
	uint32_t magic;
	uint16_t type;   /* enum exec_frame_type */
	uint16_t length; /* payload bytes that follow */
};
