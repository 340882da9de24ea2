/* What the kernel says of this process, by the names that all exporters use. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>

#include "service/metrics/collect.h"

enum { STATUS_BYTES = 4096, KIB = 1024, US_PER_S = 1000000, NS_PER_S = 1000000000 };

/* The text of /proc/self/status; false without it. */
static bool read_status(char text[STATUS_BYTES])
{
	CLEANUP(closep) int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, STATUS_BYTES - 1);

	text[n > 0 ? n : 0] = 0;
	return n > 0;
}

/* The number behind "\nNAME:"; 0 when there is none. */
static double number_of(const char *status, const char *name)
{
	const char *at = strstr(status, name);

	return at ? (double)strtoull(at + strlen(name), NULL, 10) : 0;
}

static void collect_memory(struct buf *out)
{
	char status[STATUS_BYTES];

	if (!read_status(status))
		return;
	metrics_gauge(out, "process_resident_memory_bytes", "Resident memory.", number_of(status, "\nVmRSS:") * KIB);
	metrics_gauge(out, "process_resident_anonymous_memory_bytes", "Resident memory that is no file's.",
		      number_of(status, "\nRssAnon:") * KIB);
	metrics_gauge(out, "process_virtual_memory_bytes", "Virtual memory.", number_of(status, "\nVmSize:") * KIB);
	metrics_gauge(out, "process_threads", "Threads.", number_of(status, "\nThreads:"));
}

static void collect_files(struct buf *out)
{
	DIR *dir = opendir("/proc/self/fd");
	struct rlimit limit;
	size_t n = 0;

	if (dir) {
		for (const struct dirent *e = readdir(dir); e; e = readdir(dir))
			n += e->d_name[0] != '.';
		closedir(dir);
		metrics_gauge(out, "process_open_fds", "Open files.", (double)(n - 1)); /* one is the directory */
	}
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
		metrics_gauge(out, "process_max_fds", "Files that may be open.", (double)limit.rlim_cur);
}

static double seconds_of(const struct timeval *t)
{
	return (double)t->tv_sec + (double)t->tv_usec / US_PER_S;
}

void metrics_collect_process(int64_t started_ns, struct buf *out)
{
	struct rusage used;

	if (getrusage(RUSAGE_SELF, &used) == 0) {
		metrics_family(out, "process_cpu_seconds_total", "counter", "Time on processors, user and system.");
		buf_printf(out, "process_cpu_seconds_total %.17g\n",
			   seconds_of(&used.ru_utime) + seconds_of(&used.ru_stime));
	}
	metrics_gauge(out, "process_start_time_seconds", "When it started, since 1970.", (double)started_ns / NS_PER_S);
	collect_memory(out);
	collect_files(out);
}
