/* Keys of the metadata: any bytes are taken apart without harm, and what is taken
 * apart is put together again to the same bytes. */
#include "store/meta/keys.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void same(const struct key *k, struct bytes b)
{
	if (k->len != b.len || memcmp(k->bytes, b.data, b.len))
		abort();
}

static void try_edge(struct bytes b)
{
	struct edge_parent parent;
	struct digest child;
	struct key k;

	if (!key_parse_edge(b, &child, &parent))
		return;
	if (parent.kind == EDGE_NAME && !key_name_fits(parent.reference))
		return;
	k = key_edge(&child, &parent);
	same(&k, b);
}

static void try_order(struct bytes b)
{
	struct timestamp created;
	struct digest d;
	struct key k;

	if (!key_parse_order(b, &created, &d))
		return;
	k = key_order(&created, &d);
	if (created.present)
		same(&k, b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes b = { data, size };
	char reference[REFERENCE_TEXT_MAX];
	struct lease_id lease;
	struct mount_id mount;
	struct digest x, y;
	struct key k;
	uint64_t n;

	try_edge(b);
	try_order(b);
	if (key_parse_config(b, &x, &y)) {
		k = key_config(&x, &y);
		same(&k, b);
	}
	if (key_parse_image(b, &x)) {
		k = key_image(&x);
		same(&k, b);
	}
	if (key_parse_held(b, &lease, &x)) {
		k = key_held(&lease, &x);
		same(&k, b);
	}
	if (key_parse_event(b, &n)) {
		k = key_event(n);
		same(&k, b);
	}
	if (key_parse_chain(b, &x, &y)) {
		k = key_chain(&x, &y);
		same(&k, b);
	}
	if (key_parse_mount(b, &mount)) {
		k = key_mount(&mount);
		same(&k, b);
	}
	key_parse_name(b, reference);
	return 0;
}
