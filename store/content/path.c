#include "store/content/path.h"

char *content_path(const struct digest *d, char out[CONTENT_PATH_MAX])
{
	char hex[DIGEST_TEXT_MAX];

	digest_hex(d, hex);
	snprintf(out, CONTENT_PATH_MAX, "%s/%.2s/%s", content_algorithm_dir(d), hex, hex);
	return out;
}

char *content_shard(const struct digest *d, char out[CONTENT_PATH_MAX])
{
	snprintf(out, CONTENT_PATH_MAX, "%s/%02x", content_algorithm_dir(d), d->bytes[0]);
	return out;
}

const char *content_algorithm_dir(const struct digest *d)
{
	return digest_algorithm_name((enum digest_algorithm)d->algorithm);
}

static void dashed(const struct digest *d, char out[CONTENT_PATH_MAX], const char *suffix)
{
	char hex[DIGEST_TEXT_MAX];

	snprintf(out, CONTENT_PATH_MAX, "%s-%s%s", content_algorithm_dir(d), digest_hex(d, hex), suffix);
}

char *ingest_data_name(const struct digest *d, uint64_t serial, char out[CONTENT_PATH_MAX])
{
	char suffix[32] = ".data";

	if (serial)
		snprintf(suffix, sizeof suffix, ".%llu.data", (unsigned long long)serial);
	dashed(d, out, suffix);
	return out;
}

char *ingest_journal_name(const struct digest *d, char out[CONTENT_PATH_MAX])
{
	dashed(d, out, ".journal");
	return out;
}

char *quarantine_name(const struct digest *d, char out[CONTENT_PATH_MAX])
{
	dashed(d, out, "");
	return out;
}

bool quarantine_parse_name(const char *name, struct digest *ret_digest)
{
	const char *dash = strchr(name, '-');
	char text[CONTENT_PATH_MAX];

	if (!dash || strlen(name) >= sizeof text)
		return false;
	snprintf(text, sizeof text, "%.*s:%s", (int)(dash - name), name, dash + 1);
	return digest_parse(text, ret_digest, NULL) == OK;
}

/* "", or ".7". */
static bool parse_serial(const char *text, uint64_t *ret_serial)
{
	char *end;

	*ret_serial = 0;
	if (!*text)
		return true;
	if (text[0] != '.' || text[1] < '1' || text[1] > '9')
		return false;
	errno = 0;
	*ret_serial = strtoull(text + 1, &end, 10);
	return !*end && !errno;
}

bool ingest_parse_name(const char *name, struct digest *ret_digest, uint64_t *ret_serial)
{
	const char *dash = strchr(name, '-'), *dot = strchr(name, '.'), *suffix = strrchr(name, '.');
	char text[CONTENT_PATH_MAX], serial[32];

	if (!dash || !dot || dot < dash || strlen(name) >= sizeof text || (size_t)(suffix - dot) >= sizeof serial)
		return false;
	if (strcmp(suffix, ".data") && strcmp(suffix, ".journal"))
		return false;
	snprintf(text, sizeof text, "%.*s:%.*s", (int)(dash - name), name, (int)(dot - dash - 1), dash + 1);
	snprintf(serial, sizeof serial, "%.*s", (int)(suffix - dot), dot);
	return digest_parse(text, ret_digest, NULL) == OK && parse_serial(serial, ret_serial);
}
