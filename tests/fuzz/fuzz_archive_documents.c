/*
 * The documents of an archive, and names of its members.
 *
 * Input: a byte that picks manifest.json, oci-layout, index.json, or a member's name and
 * (after its first newline) the target of a link; then the bytes. What is accepted is
 * within its limits, and a name that was normalised stays as it is.
 */
#include "store/types/docker_archive.h"
#include "store/types/oci_layout.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
	if (!holds)
		abort();
}

/* In the one form, and within the archive. */
static void check_name(const char *name)
{
	char again[MEMBER_NAME_ROOM];

	require(member_name_normalize(bytes_of(name), again, NULL) == OK && !strcmp(name, again));
	require(name[0] && name[0] != '/' && strcmp(name, "..") != 0 && strncmp(name, "../", 3) != 0);
	require(!strstr(name, "/../") && !strstr(name, "//") && strlen(name) <= MEMBER_NAME_MAX);
}

/* What a name in a document leads to. */
static void check_document_name(const char *text)
{
	char name[MEMBER_NAME_ROOM];
	size_t above;

	require(strlen(text) <= MEMBER_NAME_MAX);
	if (member_name_clean(bytes_of(text), name, &above, NULL) == OK)
		check_name(name);
}

static void check_archive(struct bytes json)
{
	CLEANUP(docker_archive_free) struct docker_archive a = { 0 };

	if (docker_archive_parse(json, &a, NULL) != OK)
		return;
	require(a.n_images <= DOCKER_ARCHIVE_IMAGES_MAX);
	for (size_t i = 0; i < a.n_images; i++) {
		const struct docker_archive_image *image = &a.images[i];

		check_document_name(image->config);
		require(image->n_layers <= MANIFEST_LAYERS_MAX && image->n_repo_tags <= DOCKER_ARCHIVE_TAGS_MAX);
		for (size_t n = 0; n < image->n_layers; n++)
			check_document_name(image->layers[n]);
		for (size_t n = 0; n < image->n_repo_tags; n++)
			require(strlen(image->repo_tags[n]) <= MEMBER_NAME_MAX);
	}
}

static void check_index(struct bytes json)
{
	CLEANUP(oci_index_free) struct oci_index i = { 0 };
	CLEANUP(index_free) struct index plain = { 0 };
	struct err err = ERR_INIT;

	if (oci_index_parse(json, &i, &err) != OK)
		return;
	require(index_parse(json, &plain, NULL) == OK && plain.n_entries == i.index.n_entries);
	for (size_t n = 0; n < i.index.n_entries; n++)
		require(strlen(i.names[n].image_name) <= OCI_NAME_MAX && strlen(i.names[n].ref_name) <= OCI_NAME_MAX);
}

static void check_member(struct bytes text)
{
	const uint8_t *newline = text.len ? memchr(text.data, '\n', text.len) : NULL;
	struct bytes name = { text.data, newline ? (size_t)(newline - text.data) : text.len };
	char member[MEMBER_NAME_ROOM], target[MEMBER_NAME_ROOM];
	struct err err = ERR_INIT;

	if (member_name_normalize(name, member, &err) != OK)
		return;
	check_name(member);
	if (!newline)
		return;
	name = (struct bytes){ newline + 1, text.len - name.len - 1 };
	if (member_name_resolve(member, name, target, &err) == OK)
		check_name(target);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes rest;

	if (!size)
		return 0;
	rest = (struct bytes){ data + 1, size - 1 };
	switch (data[0] % 4) {
	case 0:
		check_archive(rest);
		break;
	case 1:
		(void)oci_layout_check(rest, NULL);
		break;
	case 2:
		check_index(rest);
		break;
	default:
		check_member(rest);
		break;
	}
	return 0;
}
