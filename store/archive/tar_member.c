#include "store/archive/tar_member.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { NAME_BYTES = 100 };

static const int64_t octal_max = INT64_C(077777777777);

/* A header as it lies on the tape (POSIX.1-2001, "ustar Interchange Format"). */
struct ustar {
	char name[NAME_BYTES];
	char mode[8], uid[8], gid[8];
	char size[12], mtime[12];
	char checksum[8];
	char type;
	char link[100];
	char magic[6], version[2];
	char uname[32], gname[32];
	char major[8], minor[8];
	char prefix[155];
	char unused[12];
};

_Static_assert(sizeof(struct ustar) == TAR_BLOCK_BYTES, "a header is one block");

/* Digits with leading zeros, and a NUL. */
static void put_octal(char *field, size_t size, int64_t value)
{
	for (size_t i = size - 1; i-- > 0; value >>= 3)
		field[i] = (char)('0' + (value & 7));
	field[size - 1] = 0;
}

static void put_checksum(struct ustar *h)
{
	const uint8_t *bytes = (const uint8_t *)h;
	int64_t sum = 0;

	memset(h->checksum, ' ', sizeof h->checksum);
	for (size_t i = 0; i < sizeof *h; i++)
		sum += bytes[i];
	put_octal(h->checksum, sizeof h->checksum - 1, sum);
}

static void put_header(uint8_t *out, const char *name, uint32_t mode, int64_t size, char type)
{
	struct ustar h = { .type = type, .magic = "ustar", .version = { '0', '0' } };

	memcpy(h.name, name, strnlen(name, sizeof h.name));
	put_octal(h.mode, sizeof h.mode, mode);
	put_octal(h.uid, sizeof h.uid, 0);
	put_octal(h.gid, sizeof h.gid, 0);
	put_octal(h.size, sizeof h.size, size > octal_max ? 0 : size);
	put_octal(h.mtime, sizeof h.mtime, 0);
	put_octal(h.major, sizeof h.major, 0);
	put_octal(h.minor, sizeof h.minor, 0);
	put_checksum(&h);
	memcpy(out, &h, sizeof h);
}

/* "LENGTH KEY=VALUE\n", where the length counts its own digits. */
static size_t put_record(char *out, size_t size, const char *key, const char *value)
{
	size_t rest = strlen(key) + strlen(value) + 3, len = rest + 1;

	while ((size_t)snprintf(NULL, 0, "%zu", len) + rest > len)
		len++;
	snprintf(out, size, "%zu %s=%s\n", len, key, value);
	return len;
}

static size_t put_records(const struct tar_member *m, char out[TAR_BLOCK_BYTES])
{
	char size[24];
	size_t len = 0;

	if (strlen(m->name) > NAME_BYTES)
		len += put_record(out, TAR_BLOCK_BYTES, "path", m->name);
	if (m->size > octal_max) {
		snprintf(size, sizeof size, "%" PRId64, m->size);
		len += put_record(out + len, TAR_BLOCK_BYTES - len, "size", size);
	}
	return len;
}

size_t tar_member_header(const struct tar_member *m, uint8_t out[TAR_HEADER_MAX])
{
	char records[TAR_BLOCK_BYTES] = "";
	size_t len = put_records(m, records), at = 0;
	char type = m->name[strlen(m->name) - 1] == '/' ? '5' : '0';

	if (len) {
		put_header(out, "PaxHeaders/member", 0644, (int64_t)len, 'x');
		memcpy(out + TAR_BLOCK_BYTES, records, sizeof records);
		at = 2 * TAR_BLOCK_BYTES;
	}
	put_header(out + at, m->name, m->mode, m->size, type);
	return at + TAR_BLOCK_BYTES;
}
