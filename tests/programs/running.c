/* SPDX-License-Identifier: MIT */
/* Programs that run and files that are written to exclude each other; programs that may be run and not read;
 * how deep scripts lead to scripts. */
#include "check.h"
#include <elf.h>
#include <grp.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#define USER 1000

static char self[4096];

static void put(const char *name, const char *text, size_t size)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0755);
	if (fd < 0 || write(fd, text, size) != (ssize_t)size)
		printf("%s cannot be written: %s\n", name, strerrorname(errno));
	close(fd);
}

/* This program under another name. */
static void copy_self(const char *name)
{
	static char part[65536];
	int from = open(self, O_RDONLY), to = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0755);
	ssize_t size;
	while ((size = read(from, part, sizeof part)) > 0)
		if (write(to, part, (size_t)size) != size)
			printf("%s: no room\n", name);
	close(from);
	close(to);
}

/* Runs it; what it exits with, or -errno of execve. */
static int run(const char *path, const char *argument)
{
	int status;
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		execl(path, path, argument, (char *)NULL);
		_exit(100 + errno);
	}
	waitpid(pid, &status, 0);
	if (WIFSIGNALED(status))
		return 1000 + WTERMSIG(status);
	return WEXITSTATUS(status) > 100 ? -(WEXITSTATUS(status) - 100) : WEXITSTATUS(status);
}

static void show_run(const char *what, const char *path, const char *argument)
{
	int result = run(path, argument);
	printf("%s: %s %d\n", what, result < 0 ? strerrorname(-result) : "exit", result < 0 ? 0 : result);
}

/* Starts it; it says when it runs, and ends when the pipe is closed. */
static pid_t start(const char *path, int *hold)
{
	int there[2], here[2];
	char byte;
	if (pipe(there) < 0 || pipe(here) < 0)
		return -1;
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		close(there[1]);
		dup2(there[0], 0);
		dup2(here[1], 1);
		execl(path, path, "wait", (char *)NULL);
		_exit(1);
	}
	close(there[0]);
	close(here[1]);
	TELL(read(here[0], &byte, 1) == 1);
	close(here[0]);
	*hold = there[1];
	return pid;
}

static void finish(pid_t pid, int hold)
{
	int status;
	close(hold);
	TELL(waitpid(pid, &status, 0) == pid && status == 0);
}

static void busy(void)
{
	int hold, fd, second;
	pid_t pid;
	copy_self("prog");
	pid = start("./prog", &hold);
	SHOW(open("prog", O_WRONLY));
	SHOW(open("prog", O_RDWR));
	SHOW(open("prog", O_WRONLY | O_TRUNC));
	SHOW(open("prog", O_RDONLY | O_TRUNC));
	SHOW(open("prog", O_WRONLY | O_CREAT, 0755));
	SHOW(truncate("prog", 0));
	SHOW(access("prog", W_OK));
	SHOW_OK(fd = open("prog", O_RDONLY));
	close(fd);
	SHOW(chmod("prog", 0700));
	show_run("once more", "./prog", "seven");
	SHOW(rename("prog", "other"));
	SHOW(open("other", O_WRONLY));
	SHOW(unlink("other"));
	finish(pid, hold);
	/* and the other way round */
	copy_self("prog");
	SHOW_OK(fd = open("prog", O_RDWR));
	SHOW_OK(second = open("prog", O_WRONLY));
	show_run("open for writing", "./prog", "seven");
	close(fd);
	show_run("still open", "./prog", "seven");
	close(second);
	show_run("closed", "./prog", "seven");
	SHOW_OK(fd = open("prog", O_WRONLY));
	close(fd);
	/* a mapping that can be written keeps the file open */
	fd = open("prog", O_RDWR);
	void *mapping = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	show_run("mapped", "./prog", "seven");
	munmap(mapping, 4096);
	show_run("no longer mapped", "./prog", "seven");
	put("script", "#!./prog\n", 9);
	fd = open("script", O_WRONLY | O_APPEND);
	show_run("script that is open", "./script", "seven");
	close(fd);
	fd = open("prog", O_WRONLY);
	show_run("interpreter that is open", "./script", "seven");
	close(fd);
	SHOW(unlink("script"));
	/* a child of it counts, too */
	pid = start("./prog", &hold);
	SHOW(open("prog", O_WRONLY));
	finish(pid, hold);
	SHOW(unlink("prog"));
}

/* The loader that a program names: while it is being loaded. */
static void loader(void)
{
	char *path = NULL;
	static char image[1 << 20], name[4096];
	int fd = open("/bin/true", O_RDONLY);
	ssize_t size = read(fd, image, sizeof image);
	close(fd);
	if (size <= 0)
		return;
	const Elf64_Ehdr *header = (const void *)image;
	Elf64_Phdr *segments = (void *)(image + header->e_phoff);
	for (int i = 0; i < header->e_phnum; i++)
		if (segments[i].p_type == PT_INTERP)
			path = image + segments[i].p_offset;
	if (path == NULL)
		return;
	snprintf(name, sizeof name, "%s", path);
	fd = open(name, O_RDONLY);
	static char loader_image[1 << 20];
	ssize_t loader_size = read(fd, loader_image, sizeof loader_image);
	close(fd);
	put("ld", loader_image, (size_t)loader_size);
	strcpy(path, "./ld"); /* shorter than any loader's path */
	for (int i = 0; i < header->e_phnum; i++)
		if (segments[i].p_type == PT_INTERP)
			segments[i].p_filesz = segments[i].p_memsz = 5;
	put("dynamic", image, (size_t)size);
	show_run("own loader", "./dynamic", NULL);
	fd = open("ld", O_WRONLY);
	show_run("loader that is open", "./dynamic", NULL);
	close(fd);
	show_run("closed", "./dynamic", NULL);
	unlink("ld");
	unlink("dynamic");
}

/* ---- programs that cannot be read ---- */

static void become_user(void)
{
	if (setgroups(0, NULL) < 0 || setresgid(USER, USER, USER) < 0 || setresuid(USER, USER, USER) < 0)
		puts("cannot become a user");
}

static void as_user(void)
{
	become_user();
	SHOW(prctl(PR_GET_DUMPABLE));
	SHOW(prctl(PR_SET_DUMPABLE, 1));
	SHOW(prctl(PR_GET_DUMPABLE));
	SHOW(open("prog", O_RDONLY));
	show_run("0711", "./prog", "dumpable");
	show_run("0755", "./readable", "dumpable");
	show_run("set-uid", "./setuid", "dumpable");
	show_run("set-gid", "./setgid", "dumpable");
	show_run("script that cannot be read", "./script", NULL);
	show_run("neither", "./closed", "dumpable");
}

static void unreadable(void)
{
	copy_self("prog");
	copy_self("readable");
	copy_self("closed");
	copy_self("setuid");
	copy_self("setgid");
	put("script", "#!./readable dumpable\n", 22);
	SHOW(chmod("prog", 0711));
	SHOW(chmod("script", 0711));
	SHOW(chmod("closed", 0700));
	SHOW(chown("setuid", 1234, 0));
	SHOW(chmod("setuid", 04755));
	SHOW(chown("setgid", 0, 1234));
	SHOW(chmod("setgid", 02755));
	show_child("as a user", as_user);
	SHOW(unlink("prog"));
	SHOW(unlink("readable"));
	SHOW(unlink("closed"));
	SHOW(unlink("setuid"));
	SHOW(unlink("setgid"));
	SHOW(unlink("script"));
}

/* Its folder in /proc is root's, and closed to its own user. */
static int show_dumpable(void)
{
	struct stat status;
	SHOW(prctl(PR_GET_DUMPABLE));
	SHOW(stat("/proc/self/environ", &status));
	printf("owner is %s\n", status.st_uid == 0 ? "root" : "another");
	return 3;
}

static void inherited(void)
{
	SHOW(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	SHOW(prctl(PR_SET_DUMPABLE, 0));
	fflush(stdout);
	if (fork() == 0) {
		SHOW(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
		SHOW(prctl(PR_GET_DUMPABLE));
		fflush(stdout);
		_exit(0);
	}
	wait(NULL);
}

/* ---- scripts ---- */

static void chains(void)
{
	char name[16], text[64];
	copy_self("prog");
	for (int i = 0; i < 8; i++) {
		snprintf(name, sizeof name, "c%d", i);
		int length = i == 0 ? snprintf(text, sizeof text, "#!./prog seven\n")
		                    : snprintf(text, sizeof text, "#!./c%d\n", i - 1);
		put(name, text, (size_t)length);
		show_run(name, name, NULL);
	}
	for (int i = 0; i < 8; i++) {
		snprintf(name, sizeof name, "c%d", i);
		unlink(name);
	}
	static const char *const beginnings[] = {"#!",  "#!\n",  "#! ",      "#! \n",
	                                         "#!/", "#!/\n", "#!./prog", "#!nothing\n"};
	for (size_t i = 0; i < sizeof beginnings / sizeof beginnings[0]; i++) {
		put("script", beginnings[i], strlen(beginnings[i]));
		snprintf(text, sizeof text, "beginning %zu", i);
		show_run(text, "./script", "seven");
	}
	unlink("script");
	unlink("prog");
}

static void show_execveat(const char *what, int fd, const char *path, int flags)
{
	char *arguments[] = {(char *)(uintptr_t) "name", (char *)(uintptr_t) "seven", NULL}, *none[] = {NULL};
	int status;
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		syscall(SYS_execveat, fd, path, arguments, none, flags);
		_exit(100 + errno);
	}
	waitpid(pid, &status, 0);
	status = WEXITSTATUS(status);
	printf("%s: %s\n", what, status > 100 ? strerrorname(status - 100) : status == 7 ? "seven" : "?");
}

static void by_descriptor(void)
{
	int ends[2];
	copy_self("prog");
	put("script", "#!./prog\n", 9);
	mkdir("folder", 0755);
	copy_self("folder/prog");
	put("folder/script", "#!./prog\n", 9);
	SHOW(symlink("prog", "link"));
	int program = open("prog", O_RDONLY | O_CLOEXEC), path = open("prog", O_PATH),
	    closing = open("script", O_RDONLY | O_CLOEXEC), staying = open("script", O_RDONLY),
	    folder = open("folder", O_RDONLY | O_CLOEXEC), open_folder = open("folder", O_RDONLY),
	    writable = open("prog", O_RDWR);
	show_execveat("open for writing", writable, "", AT_EMPTY_PATH);
	close(writable);
	show_execveat("program", program, "", AT_EMPTY_PATH);
	show_execveat("without the flag", program, "", 0);
	show_execveat("O_PATH", path, "", AT_EMPTY_PATH);
	show_execveat("script that closes", closing, "", AT_EMPTY_PATH);
	show_execveat("script", staying, "", AT_EMPTY_PATH);
	show_execveat("in a folder", folder, "prog", 0);
	show_execveat("script in a folder that closes", folder, "script", 0);
	show_execveat("script in a folder", open_folder, "script", 0);
	show_execveat("link", AT_FDCWD, "link", 0);
	show_execveat("link itself", AT_FDCWD, "link", AT_SYMLINK_NOFOLLOW);
	show_execveat("no link", AT_FDCWD, "prog", AT_SYMLINK_NOFOLLOW);
	show_execveat("the folder", AT_FDCWD, "", AT_EMPTY_PATH);
	show_execveat("a folder", folder, "", AT_EMPTY_PATH);
	show_execveat("nothing", 77, "", AT_EMPTY_PATH);
	if (pipe(ends) == 0)
		show_execveat("a pipe", ends[0], "", AT_EMPTY_PATH);
	unlink("prog");
	unlink("script");
	unlink("link");
	unlink("folder/prog");
	unlink("folder/script");
	rmdir("folder");
}

int main(int count, char **arguments)
{
	const char *what = count > 1 ? arguments[1] : "";
	char byte = 0;
	if (strcmp(what, "wait") == 0)
		return write(1, &byte, 1) != 1 || read(0, &byte, 1) != 0;
	if (count > 1 && (strcmp(what, "seven") == 0 || strcmp(arguments[count - 1], "seven") == 0))
		return 7;
	if (strcmp(what, "dumpable") == 0) {
		int result = show_dumpable();
		fflush(stdout);
		return result;
	}
	if (count > 1)
		return 9;
	ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
	TELL(length > 0);
	umask(022);
	mkdir("running.d", 0777);
	if (chdir("running.d") < 0)
		return 1;
	busy();
	loader();
	if (getuid() == 0)
		unreadable();
	show_child("inherited", inherited);
	chains();
	by_descriptor();
	return chdir("..") < 0 || rmdir("running.d") < 0;
}
