/* SPDX-License-Identifier: MIT */
/* /dev/rtc0: the clock that goes on while the machine is off. */
#include "capability.h"
#include "clock.h"
#include "fs/internal.h"
#include "syscall.h"
#include <time.h>

enum rtc_command {
	RTC_READ = 0x80247009,
	RTC_SET = 0x4024700a,
	RTC_TICKS_ON =
	        0x7003, /* an interrupt each second: there is none, and who knows that looks by himself */
	RTC_TICKS_OFF = 0x7004,
};

struct rtc_time {
	int32_t second, minute, hour, day, month, year, weekday, yearday, summer;
};

static bool in_use; /* one at a time, as on Linux */

static long read_time(struct thread *thread, uint64_t argument)
{
	uint64_t seconds;
	struct tm tm;
	int error = clock_ask(CLOCK_READ_CMOS, 0, &seconds);
	if (error != 0)
		return error;
	time_t time = (time_t)seconds;
	gmtime_r(&time, &tm);
	struct rtc_time shown = {tm.tm_sec,  tm.tm_min,  tm.tm_hour, tm.tm_mday, tm.tm_mon,
	                         tm.tm_year, tm.tm_wday, tm.tm_yday, 0};
	return copy_to_user(thread, argument, &shown, sizeof(shown));
}

static long set_time(struct thread *thread, uint64_t argument)
{
	uint64_t unused;
	struct rtc_time new;
	if (!capable(thread, CAP_SYS_TIME))
		return -EACCES;
	if (copy_from_user(thread, &new, argument, sizeof(new)) != 0)
		return -EFAULT;
	struct tm tm = {.tm_sec = new.second,
	                .tm_min = new.minute,
	                .tm_hour = new.hour,
	                .tm_mday = new.day,
	                .tm_mon = new.month,
	                .tm_year = new.year};
	time_t time = timegm(&tm);
	/* What is no date comes back as another one. */
	if (time < 0 || tm.tm_sec != new.second || tm.tm_min != new.minute || tm.tm_hour != new.hour ||
	    tm.tm_mday != new.day || tm.tm_mon != new.month || tm.tm_year != new.year)
		return -EINVAL;
	return clock_ask(CLOCK_SET_CMOS, (uint64_t)time, &unused);
}

static long rtc_ioctl(struct file *file, struct thread *thread, unsigned command, uint64_t argument)
{
	(void)file;
	switch (command) {
	case RTC_READ:
		return read_time(thread, argument);
	case RTC_SET:
		return set_time(thread, argument);
	case RTC_TICKS_ON:
	case RTC_TICKS_OFF:
		return -EINVAL;
	default:
		return -ENOTTY;
	}
}

static void rtc_release(struct file *file)
{
	(void)file;
	in_use = false;
}

static const struct file_operations rtc_operations = {.ioctl = rtc_ioctl, .release = rtc_release};

int rtc_open(struct file *file)
{
	if (in_use)
		return -EBUSY;
	in_use = true;
	file->operations = &rtc_operations;
	return 0;
}
