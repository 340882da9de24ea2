#include "service/build/copy/http_date.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static bool month_of(const char *name, int *ret_month)
{
	static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	const char *found = strlen(name) == 3 ? strstr(names, name) : NULL;

	if (!found || (found - names) % 3)
		return false;
	*ret_month = (int)(found - names) / 3;
	return true;
}

bool http_date_parse(const char *text, int64_t *ret_seconds)
{
	struct tm t = { .tm_isdst = 0 };
	char weekday[4], month[4], zone[4];
	int end = 0;

	if (sscanf(text, "%3[A-Za-z], %2d %3[A-Za-z] %4d %2d:%2d:%2d %3[A-Z]%n", weekday, &t.tm_mday, month, &t.tm_year,
		   &t.tm_hour, &t.tm_min, &t.tm_sec, zone, &end) != 8 ||
	    text[end] || strcmp(zone, "GMT") != 0 || !month_of(month, &t.tm_mon))
		return false;
	if (t.tm_mday < 1 || t.tm_mday > 31 || t.tm_hour > 23 || t.tm_min > 59 || t.tm_sec > 60 || t.tm_hour < 0 ||
	    t.tm_min < 0 || t.tm_sec < 0 || t.tm_year < 1)
		return false;
	t.tm_year -= 1900;
	*ret_seconds = timegm(&t);
	return true;
}
