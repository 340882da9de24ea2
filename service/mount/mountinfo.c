#include "service/mount/mountinfo.h"

#include <stdio.h>

/* ---- one line ------------------------------------------------------------------- */

static bool is_octal(const char *s)
{
	return s[0] >= '0' && s[0] <= '3' && s[1] >= '0' && s[1] <= '7' && s[2] >= '0' && s[2] <= '7';
}

/* "\040" is a blank. */
static struct bytes unescape(char *s)
{
	char *out = s;

	for (const char *in = s; *in; out++) {
		if (in[0] == '\\' && is_octal(in + 1)) {
			*out = (char)((in[1] - '0') << 6 | (in[2] - '0') << 3 | (in[3] - '0'));
			in += 4;
		} else {
			*out = *in++;
		}
	}
	return (struct bytes){ (const uint8_t *)s, (size_t)(out - s) };
}

static char *next_field(char **rest)
{
	char *field = *rest, *blank = field ? strchr(field, ' ') : NULL;

	*rest = blank ? blank + 1 : NULL;
	if (blank)
		*blank = 0;
	return field;
}

/* ID PARENT MAJOR:MINOR ROOT POINT OPTIONS [TAG…] - TYPE SOURCE SUPER_OPTIONS */
bool mountinfo_parse(char *line, struct mountinfo_line *ret_line)
{
	enum { POINT = 4 };
	char *rest = line, *point = NULL, *field, *type, *source, *end;
	unsigned long long id;

	line[strcspn(line, "\n")] = 0;
	field = next_field(&rest);
	errno = 0;
	id = strtoull(field, &end, 10);
	if (errno || end == field || *end)
		return false;
	for (int i = 1; i <= POINT; i++)
		point = next_field(&rest);
	if (!point)
		return false;
	do
		field = next_field(&rest);
	while (field && strcmp(field, "-") != 0);
	type = next_field(&rest);
	source = next_field(&rest);
	if (!type || !source)
		return false;
	*ret_line = (struct mountinfo_line){ id, unescape(point), unescape(source), bytes_of(type) };
	return true;
}

/* ---- all of them ------------------------------------------------------------------ */

static void fclosep(FILE **f)
{
	if (*f)
		fclose(*f);
}

int mountinfo_read(mountinfo_visit *visit, void *arg, struct err *err)
{
	CLEANUP(fclosep) FILE *f = fopen("/proc/self/mountinfo", "re");
	CLEANUP(freep) char *line = NULL;
	struct mountinfo_line l;
	size_t capacity = 0;
	int r = OK;

	if (!f)
		return fail_errno(err, "/proc/self/mountinfo");
	while (r == OK && getline(&line, &capacity, f) > 0)
		if (mountinfo_parse(line, &l))
			r = visit(arg, &l);
	if (r == OK && ferror(f))
		return fail_errno(err, "read /proc/self/mountinfo");
	return r;
}
