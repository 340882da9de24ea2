/* image_pin(): images that are pinned by hand, whatever their names. */
#include "store/image/image.h"
#include "store/internal.h"
#include "store/record.h"

enum { TRIES = 50 };

/* Whoever removes the image compares its c key, and so sees the pin. */
static int pin_once(struct store *s, const struct image *image, bool pin, struct err *err)
{
	CLEANUP(meta_txn_freep) struct meta_txn *t = meta_txn_new();
	char text[DIGEST_TEXT_MAX];
	struct digest config;
	struct key by_config, key;
	uint64_t revision;
	int r = t ? digest_from_data(image->record->config, &config, err) : fail_nomem(err);

	if (r != OK)
		return r;
	by_config = key_config(&config, &image->manifest);
	key = key_pin(&config);
	r = record_revision(s->shared, &by_config, &revision, err);
	if (r == E_NOT_FOUND)
		return fail(err, E_NO_SUCH_IMAGE, "No such image: %s", digest_text(&config, text));
	if (r != OK)
		return r;
	meta_txn_compare(t, key_bytes(&by_config), revision);
	meta_txn_put(t, key_bytes(&by_config), (struct bytes){ 0 });
	if (pin)
		meta_txn_put(t, key_bytes(&key), (struct bytes){ 0 });
	else
		meta_txn_delete(t, key_bytes(&key));
	return meta_txn_commit(s->shared, t, NULL, err);
}

int image_pin(struct store *s, const struct image *image, bool pin, struct err *err)
{
	int tries = 0, r = store_writable(s, err);

	if (r != OK)
		return r;
	do
		r = pin_once(s, image, pin, err);
	while (r == E_ABORTED && ++tries < TRIES);
	return r;
}
