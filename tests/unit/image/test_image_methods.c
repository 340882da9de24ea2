/* What the .proto says about the methods, where saying more than is true would hurt. */
#include "service/api/binding.h"
#include "tests/unit/store/fixture.h"

/* An inline method holds the polling thread, and with it every call of the daemon: none
 * may open a file of the store, ask for the state of a disk, or take the longer the more
 * images there are (options.proto). */
static void only_methods_that_are_done_at_once_are_inline(void **state)
{
	struct image_service service = { .store = NULL };
	const struct rpc_service *s = image_service_binding(&service).service;
	CLEANUP(buf_free) struct buf found = BUF_INIT(4096);

	(void)state;
	for (size_t i = 0; i < s->n_methods; i++)
		if (s->methods[i].is_inline)
			buf_printf(&found, "%s ", s->methods[i].name);
	assert_string_equal(buf_text(&found), "GetVersion ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_methods_that_are_done_at_once_are_inline),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
