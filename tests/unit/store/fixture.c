#include "tests/unit/store/fixture.h"

#include <ftw.h>
#include <sys/mount.h>

#include "proto/runtime/buf.h"
#include "proto/runtime/clock.h"

/* ---- directories ---------------------------------------------------------- */

static int remove_entry(const char *path, UNUSED const struct stat *st, UNUSED int type, UNUSED struct FTW *ftw)
{
	return remove(path);
}

void remove_tree(const char *path)
{
	nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static struct fixture *fixture_new(void)
{
	struct fixture *f = calloc(1, sizeof *f);

	assert_non_null(f);
	snprintf(f->root, sizeof f->root, "/tmp/imaged-test-XXXXXX");
	assert_non_null(mkdtemp(f->root));
	return f;
}

int fixture_setup(void **state)
{
	struct fixture *f = fixture_new();
	struct err err = ERR_INIT;

	assert_ok(store_open(f->root, &f->store, &err), &err);
	*state = f;
	return 0;
}

int fixture_setup_small(void **state)
{
	struct fixture *f = fixture_new();
	struct err err = ERR_INIT;

	if (mount("tmpfs", f->root, "tmpfs", 0, "size=4m,mode=0700")) {
		remove_tree(f->root);
		free(f);
		*state = NULL;
		return 0;
	}
	f->mounted = true;
	assert_ok(store_open(f->root, &f->store, &err), &err);
	*state = f;
	return 0;
}

int fixture_teardown(void **state)
{
	struct fixture *f = *state;

	if (!f)
		return 0;
	store_close(f->store);
	if (f->mounted)
		umount2(f->root, MNT_DETACH);
	remove_tree(f->root);
	free(f);
	return 0;
}

void fixture_reopen(struct fixture *f)
{
	struct err err = ERR_INIT;

	store_close(f->store);
	f->store = NULL;
	assert_ok(store_open(f->root, &f->store, &err), &err);
}

const char *fixture_path(const struct fixture *f, const char *relative)
{
	static char path[ROOT_MAX + 256];

	snprintf(path, sizeof path, "%s/%s", f->root, relative);
	return path;
}

/* ---- blobs ---------------------------------------------------------------- */

struct digest digest_of_text(const char *text)
{
	struct digest d;

	digest_of(DIGEST_SHA256, bytes_of(text), &d);
	return d;
}

static int add_blob_code(struct store *s, const char *text, struct err *err)
{
	CLEANUP(ingest_unrefp) struct ingest *i = NULL;
	struct digest d = digest_of_text(text);
	int r = ingest_bytes(s, &d, bytes_of(text), &i, err);

	return r == OK && i ? content_commit(s, &i, 1, err) : r;
}

void add_blob(struct store *s, const char *text)
{
	struct err err = ERR_INIT;

	assert_ok(add_blob_code(s, text, &err), &err);
}

bool blob_is_there(struct store *s, const char *text)
{
	struct digest d = digest_of_text(text);

	return content_exists(s, &d, NULL);
}

/* ---- images --------------------------------------------------------------- */

struct making {
	struct manifest manifest;
	struct image_config config;
	struct descriptor layers[IMAGE_LAYERS_MAX];
	struct digest diff_ids[IMAGE_LAYERS_MAX];
	struct layer_facts facts[IMAGE_LAYERS_MAX];
	struct string_pair label;
	struct reference refs[12];
	char text[256], config_text[256], manifest_text[256];
};

static const char *layer_text(struct making *m, const struct image_spec *spec, size_t i)
{
	if (spec->layers[0])
		return spec->layers[i];
	snprintf(m->text, sizeof m->text, "%s layer %zu", spec->name, i);
	return m->text;
}

static void fill_layers(struct making *m, const struct image_spec *spec)
{
	size_t n = spec->n_layers;

	while (spec->layers[0] && n < ARRAY_LEN(spec->layers) && spec->layers[n])
		n++;
	for (size_t i = 0; i < n; i++) {
		char diff[300];
		const char *text = layer_text(m, spec, i);

		snprintf(diff, sizeof diff, "diff of %s", text);
		m->layers[i] = (struct descriptor){ .media_type = (char *)"application/vnd.oci.image.layer.v1.tar+gzip",
						    .digest = digest_of_text(text),
						    .size = (int64_t)strlen(text) };
		m->diff_ids[i] = digest_of_text(diff);
		m->facts[i] = (struct layer_facts){ .diff_id = m->diff_ids[i],
						    .tar_size = 1024,
						    .files_size = spec->files_size ? spec->files_size
										   : 1000 + (int64_t)strlen(text),
						    .entries = 1,
						    .worker_version = 1 };
	}
	m->manifest.layers = m->layers;
	m->manifest.n_layers = n;
	m->config.diff_ids = m->diff_ids;
	m->config.n_diff_ids = n;
}

static size_t parse_refs(struct making *m, const struct image_spec *spec)
{
	size_t n = 0;

	for (; n < ARRAY_LEN(spec->refs) && spec->refs[n]; n++) {
		struct err err = ERR_INIT;

		assert_ok(reference_parse(spec->refs[n], &m->refs[n], &err), &err);
		reference_default_tag(&m->refs[n]);
	}
	return n;
}

static void fill_config(struct making *m, const struct image_spec *spec)
{
	m->config.platform = (struct platform){ .os = "linux", .architecture = "amd64" };
	m->config.created = (struct timestamp){ .present = spec->created != 0, .seconds = spec->created };
	if (!spec->label)
		return;
	m->label = (struct string_pair){ (char *)"test", (char *)spec->label };
	m->config.config.labels = (struct string_map){ .present = true, .pairs = &m->label, .n = 1 };
}

/* As a pull does: the lease comes before the blobs. */
static int hold_all(struct store *s, struct making *m, const struct made *made, struct lease_id *ret_lease,
		    struct err *err)
{
	struct digest held[IMAGE_LAYERS_MAX + 3] = { made->manifest, made->config, made->index };
	size_t n = m->manifest.n_layers;

	for (size_t i = 0; i < n; i++)
		held[3 + i] = m->layers[i].digest;
	return lease_create(s, "test", held, 3 + n, ret_lease, err);
}

static int add_blobs(struct store *s, struct making *m, const struct image_spec *spec, struct err *err)
{
	int r = add_blob_code(s, m->config_text, err);

	if (r == OK)
		r = add_blob_code(s, m->manifest_text, err);
	if (r == OK && spec->index)
		r = add_blob_code(s, spec->index, err);
	for (size_t i = 0; r == OK && i < m->manifest.n_layers; i++)
		r = add_blob_code(s, layer_text(m, spec, i), err);
	return r;
}

static void fill_texts(struct making *m, const struct image_spec *spec, struct made *made)
{
	snprintf(m->config_text, sizeof m->config_text, "config %s", spec->name);
	snprintf(m->manifest_text, sizeof m->manifest_text, "manifest %s%s", spec->name,
		 spec->manifest ? spec->manifest : "");
	made->config = digest_of_text(m->config_text);
	made->manifest = digest_of_text(m->manifest_text);
	made->index = digest_of_text(spec->index ? spec->index : m->manifest_text);
	m->manifest.config.digest = made->config;
	m->manifest.config.size = (int64_t)strlen(m->config_text);
}

static int publish(struct store *s, struct making *m, const struct image_spec *spec, const struct made *made,
		   const struct lease_id *lease, struct err *err)
{
	struct publication p = { .names = m->refs,
				 .n_names = parse_refs(m, spec),
				 .root = made->index,
				 .root_bytes = spec->index ? bytes_of(spec->index) : (struct bytes){ 0 },
				 .root_media_type = "application/vnd.oci.image.index.v1+json",
				 .manifest_digest = made->manifest,
				 .manifest_size = (int64_t)strlen(m->manifest_text),
				 .manifest_media_type = "application/vnd.oci.image.manifest.v1+json",
				 .manifest = &m->manifest,
				 .config = &m->config,
				 .layers = m->facts,
				 .source = "docker.io/library/test",
				 .lease = lease,
				 .action = EVENT_PULL,
				 .now_ns = clock_wall_ns() };
	bool changed;

	return image_publish(s, &p, &changed, err);
}

int make_image_code(struct store *s, const struct image_spec *spec, struct made *ret_made, struct err *err)
{
	CLEANUP(freep) struct making *m = calloc(1, sizeof *m);
	struct lease_id lease;
	bool held = false;
	int r = OK;

	if (!m)
		return fail_nomem(err);
	fill_layers(m, spec);
	fill_config(m, spec);
	fill_texts(m, spec, ret_made);
	if (!spec->lease) {
		r = hold_all(s, m, ret_made, &lease, err);
		held = r == OK;
	}
	if (r == OK)
		r = add_blobs(s, m, spec, err);
	if (r == OK)
		r = publish(s, m, spec, ret_made, spec->lease ? spec->lease : &lease, err);
	if (r != OK && held)
		lease_abandon(s, &lease, NULL);
	return r;
}

struct made make_image(struct store *s, const struct image_spec *spec)
{
	struct err err = ERR_INIT;
	struct made made;

	assert_ok(make_image_code(s, spec, &made, &err), &err);
	return made;
}

/* ---- looking -------------------------------------------------------------- */

static int add_finding(void *arg, const struct finding *f)
{
	static const char *const kinds[] = { "",       "damaged",    "missing",	       "unreferenced",
					     "broken", "unverified", "damaged image:", "missing image:" };

	buf_printf(arg, "%s %s\n", kinds[f->kind], f->detail);
	return OK;
}

char *check_text(struct store *s, bool quick)
{
	struct buf text = BUF_INIT(1 << 20);
	struct check c = { .quick = quick, .finding = add_finding, .arg = &text };
	struct check_progress totals;
	struct err err = ERR_INIT;
	char *taken;

	assert_ok(store_check(s, &c, &totals, &err), &err);
	assert_int_equal(totals.blobs_checked, totals.blobs_total);
	taken = buf_take(&text);
	assert_non_null(taken);
	return taken;
}

void assert_clean(struct store *s)
{
	char *text = check_text(s, false);

	assert_string_equal(text, "");
	free(text);
}

char *names_text(struct store *s, const char *text)
{
	CLEANUP(arena_free) struct arena arena = { .cap = 0 };
	struct buf names = BUF_INIT(1 << 20);
	struct image image;
	bool by_id;

	arena_init(&arena, 1 << 24);
	if (image_resolve(s, text, &arena, &image, &by_id, NULL) != OK)
		return NULL;
	for (size_t i = 0; i < image.n_names; i++) {
		char familiar[REFERENCE_TEXT_MAX];
		struct reference ref;

		assert_int_equal(reference_parse(image.names[i], &ref, NULL), OK);
		buf_printf(&names, "%s%s", i ? " " : "", reference_familiar(&ref, familiar));
	}
	return buf_take(&names);
}

void assert_found(struct store *s, const char *text)
{
	char *names = names_text(s, text);

	assert_non_null(names);
	free(names);
}

static int add_removed(void *arg, enum removed_kind kind, const char *value, UNUSED int64_t size)
{
	buf_printf(arg, "%s: %s\n", kind == REMOVED_NAME ? "Untagged" : "Deleted", value);
	return OK;
}

int removal_text(struct store *s, const char *text, bool force, bool dry_run, char **ret_text, int64_t *ret_freed,
		 struct err *err)
{
	struct buf out = BUF_INIT(1 << 20);
	struct removal r = { .force = force, .dry_run = dry_run, .now_ns = 1, .visit = add_removed, .arg = &out };
	int code = image_remove(s, text, &r, err);

	if (ret_freed)
		*ret_freed = r.freed;
	*ret_text = buf_take(&out);
	assert_non_null(*ret_text);
	return code;
}
