#include <stdio.h>

#include "store/types/document.h"

enum { OFFERED_TEXT_MAX = 640 };

static int read_index(const struct jnode *root, struct index *i, struct err *err)
{
	struct jnode manifests = jnode_member(root, "manifests");
	const char *artifact_type;
	int r = document_classify(root, NULL, &i->kind, err);

	if (r == OK && !media_is_index(i->kind))
		return jnode_fail(root, E_BAD_CONTENT, err, "is an image manifest, not an index");
	if (r == OK)
		r = document_check_common(root, &artifact_type, err);
	if (r == OK)
		r = descriptors_read(&manifests, INDEX_ENTRIES_MAX, &i->entries, &i->n_entries, err);
	return r;
}

int index_parse(struct bytes json, struct index *ret_index, struct err *err)
{
	CLEANUP(jnode_close) struct jnode root = { 0 };
	CLEANUP(index_free) struct index i = { 0 };
	int r = jnode_open(json, "index", MANIFEST_BYTES_MAX, &root, err);

	if (r == OK)
		r = read_index(&root, &i, err);
	if (r < 0)
		return r;
	*ret_index = TAKE(i);
	return OK;
}

void index_free(struct index *i)
{
	descriptors_free(i->entries, i->n_entries);
	*i = (struct index){ 0 };
}

static bool is_candidate(const struct descriptor *d)
{
	return !d->attestation && (media_is_manifest(d->type.kind) || media_is_index(d->type.kind));
}

static bool is_unknown(const struct descriptor *d)
{
	return !d->has_platform || !strcmp(d->platform.os, "unknown") || !strcmp(d->platform.architecture, "unknown");
}

/* The only candidate, when its platform is not told. */
static const struct descriptor *only_entry(const struct index *index)
{
	const struct descriptor *only = NULL;

	for (size_t i = 0; i < index->n_entries; i++) {
		if (!is_candidate(&index->entries[i]))
			continue;
		if (only)
			return NULL;
		only = &index->entries[i];
	}
	return only && !only->has_platform ? only : NULL;
}

static const struct descriptor *best_entry(const struct index *index, const struct platform *wanted)
{
	const struct descriptor *best = NULL;
	unsigned best_rank = 0;

	for (size_t i = 0; i < index->n_entries; i++) {
		const struct descriptor *d = &index->entries[i];
		unsigned rank = is_candidate(d) && !is_unknown(d) ? platform_rank(wanted, &d->platform) : 0;

		if (rank > best_rank) {
			best = d;
			best_rank = rank;
		}
	}
	return best;
}

/* "linux/amd64, linux/arm64", with ", …" when there are more than fit. */
static void list_offered(const struct index *index, char out[OFFERED_TEXT_MAX])
{
	static const char more[] = ", …";
	char text[PLATFORM_TEXT_MAX], clean[PLATFORM_TEXT_MAX];
	size_t used = 0;

	out[0] = 0;
	for (size_t i = 0; i < index->n_entries; i++) {
		const struct descriptor *d = &index->entries[i];

		if (!is_candidate(d) || is_unknown(d))
			continue;
		printable_text(platform_text(&d->platform, text), clean, sizeof clean);
		if (used + strlen(clean) + sizeof more + 2 > OFFERED_TEXT_MAX) {
			snprintf(out + used, OFFERED_TEXT_MAX - used, "%s", more);
			return;
		}
		used += (size_t)snprintf(out + used, OFFERED_TEXT_MAX - used, "%s%s", used ? ", " : "", clean);
	}
}

/* docker names its own machine without the CPU's level, and arm64 always as v8. */
static char *wanted_text(const struct platform *wanted, char out[PLATFORM_TEXT_MAX])
{
	struct platform host = platform_host(), named = *wanted;

	if (platform_eq(wanted, &host) && !strcmp(host.architecture, "amd64"))
		named.variant[0] = 0;
	else if (platform_eq(wanted, &host) && !strcmp(host.architecture, "arm64"))
		snprintf(named.variant, sizeof named.variant, "v8");
	return platform_text(&named, out);
}

int index_choose(const struct index *i, const struct platform *wanted, const struct descriptor **ret_entry,
		 struct err *err)
{
	const struct descriptor *entry = best_entry(i, wanted);
	char offered[OFFERED_TEXT_MAX], text[PLATFORM_TEXT_MAX];

	if (!entry)
		entry = only_entry(i);
	if (!entry) {
		list_offered(i, offered);
		return fail(err, E_NO_PLATFORM, "no matching manifest for %s in the manifest list entries%s%s%s",
			    wanted_text(wanted, text), offered[0] ? " (offered: " : "", offered, offered[0] ? ")" : "");
	}
	*ret_entry = entry;
	return OK;
}
