#include "store/types/oci_layout.h"

#include "store/types/json.h"

enum { VERSION_MAX = 64 };

/* ---- oci-layout ------------------------------------------------------------ */

/* Digits, then a dot and more. */
static bool is_version(const char *text)
{
	size_t digits = strspn(text, "0123456789");

	return digits && text[digits] == '.' && text[digits + 1];
}

int oci_layout_check(struct bytes json, struct err *err)
{
	CLEANUP(jnode_close) struct jnode root = { 0 };
	struct jnode version;
	const char *text = "";
	int r = jnode_open(json, "oci-layout", OCI_LAYOUT_BYTES_MAX, &root, err);

	if (r < 0)
		return r;
	version = jnode_member(&root, "imageLayoutVersion");
	r = jnode_require(&version, err);
	if (r == OK)
		r = jnode_text(&version, VERSION_MAX, &text, err);
	if (r < 0)
		return r;
	if (!is_version(text))
		return jnode_fail(&version, E_BAD_CONTENT, err, "not a version");
	if (strncmp(text, "1.", 2) != 0)
		return jnode_fail(&version, E_UNSUPPORTED, err, "a version that is not supported (1.x is)");
	return OK;
}

/* ---- index.json ------------------------------------------------------------ */

static int read_names(const struct jnode *entry, struct oci_names *names, struct err *err)
{
	struct jnode annotations = jnode_member(entry, "annotations");
	struct jnode image = jnode_member(&annotations, "io.containerd.image.name");
	struct jnode ref = jnode_member(&annotations, "org.opencontainers.image.ref.name");
	int r = jnode_string(&image, OCI_NAME_MAX, &names->image_name, err);

	return r == OK ? jnode_string(&ref, OCI_NAME_MAX, &names->ref_name, err) : r;
}

/* The document was read as an index before, so only the names are left to read. */
static int read_all_names(struct bytes json, struct oci_index *i, struct err *err)
{
	CLEANUP(jnode_close) struct jnode root = { 0 };
	struct jnode manifests;
	int r = jnode_open(json, "index.json", MANIFEST_BYTES_MAX, &root, err);

	if (r < 0)
		return r;
	manifests = jnode_member(&root, "manifests");
	i->names = calloc(i->index.n_entries ? i->index.n_entries : 1, sizeof *i->names);
	if (!i->names)
		return fail_nomem(err);
	for (size_t n = 0; r == OK && n < i->index.n_entries; n++) {
		struct jnode entry = jnode_item(&manifests, n);

		r = read_names(&entry, &i->names[n], err);
	}
	return r;
}

int oci_index_parse(struct bytes json, struct oci_index *ret_index, struct err *err)
{
	CLEANUP(oci_index_free) struct oci_index i = { 0 };
	int r = index_parse(json, &i.index, err);

	if (r < 0)
		return err ? err_wrap(err, "index.json") : r;
	r = read_all_names(json, &i, err);
	if (r < 0)
		return r;
	*ret_index = TAKE(i);
	return OK;
}

void oci_index_free(struct oci_index *i)
{
	for (size_t n = 0; i->names && n < i->index.n_entries; n++) {
		free(i->names[n].image_name);
		free(i->names[n].ref_name);
	}
	free(i->names);
	i->names = NULL;
	index_free(&i->index);
}
