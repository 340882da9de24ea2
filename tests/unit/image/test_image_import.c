/* An import that fails at its very end. */
#include <stdatomic.h>

#include "imaged/v1/image_service.client.h"
#include "tests/unit/image/daemon.h"

typedef struct imaged__v1__image_service__import_stream stream;

static atomic_bool refuse_publication; /* read by the handler's thread */

int __real_image_publish(struct store *s, const struct publication *p, bool *ret_changed, struct err *err);
int __wrap_image_publish(struct store *s, const struct publication *p, bool *ret_changed, struct err *err);

int __wrap_image_publish(struct store *s, const struct publication *p, bool *ret_changed, struct err *err)
{
	if (refuse_publication)
		return fail(err, E_ABORTED, "not now");
	return __real_image_publish(s, p, ret_changed, err);
}

/* An empty tar under a name. */
static int import_empty(struct daemon *d, struct err *err)
{
	CLEANUP(imaged__v1__image_service__import_freep) stream *s = NULL;
	Imaged__V1__ImportRequest m = IMAGED__V1__IMPORT_REQUEST__INIT;
	Imaged__V1__ImportStart start = IMAGED__V1__IMPORT_START__INIT;
	const Imaged__V1__ImportEvent *event;
	int r;

	start.reference = (char *)"imp:1";
	m.request_case = IMAGED__V1__IMPORT_REQUEST__REQUEST_START;
	m.start = &start;
	assert_int_equal(imaged__v1__image_service__open_import(d->channel, NULL, &s, err), OK);
	assert_int_equal(imaged__v1__image_service__import_write(s, &m, err), OK);
	assert_int_equal(imaged__v1__image_service__import_close_write(s, err), OK);
	while ((r = imaged__v1__image_service__import_next(s, &event, err)) > 0)
		assert_int_equal(event->event_case, IMAGED__V1__IMPORT_EVENT__EVENT_DONE);
	return r;
}

static bool count(void *arg, UNUSED const struct digest *digest, UNUSED int64_t size)
{
	++*(unsigned *)arg;
	return true;
}

static unsigned blobs(struct daemon *d)
{
	struct err err = ERR_INIT;
	unsigned n = 0;

	assert_ok(content_list(d->store, count, &n, &err), &err);
	return n;
}

static void import_that_is_not_published_keeps_nothing(void **state)
{
	struct daemon *d = *state;
	struct err err = ERR_INIT;

	refuse_publication = true;
	assert_int_equal(import_empty(d, &err), E_ABORTED);
	assert_string_equal(err.text, "not now");
	assert_int_equal(blobs(d), 0);
	refuse_publication = false;
	assert_ok(import_empty(d, &err), &err);
	assert_int_equal(blobs(d), 3);
	refuse_publication = true; /* what another image has stays */
	assert_int_equal(import_empty(d, &err), E_ABORTED);
	assert_int_equal(blobs(d), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(import_that_is_not_published_keeps_nothing, daemon_start, daemon_stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
