/* What a worker says that has been taken over: records of a tar (untar_format.h). The filter
 * is one of our own, in the place of inflate_filter.c. */
#include "service/build/context/context_archive.h"
#include "service/layer/archive.h"
#include "tests/fuzz/context_store.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { READ_MAX = 1000 };

struct inflate_filter {
	struct bytes rest;
};

static struct bytes input;

int untar_filter_new(const char *program UNUSED, const struct layer_policy *policy UNUSED,
		     struct inflate_filter **ret_filter, struct err *err UNUSED)
{
	*ret_filter = calloc(1, sizeof **ret_filter);
	(*ret_filter)->rest = input;
	return OK;
}

/* Of what is looked into for a tar: nothing is received. */
int inflate_filter_new(const char *program UNUSED, const struct layer_policy *policy UNUSED,
		       struct inflate_filter **ret_filter, struct err *err)
{
	*ret_filter = NULL;
	return fail(err, E_UNSUPPORTED, "nothing is inflated here");
}

void inflate_filter_free(struct inflate_filter *f)
{
	free(f);
}

void inflate_filter_freep(struct inflate_filter **f)
{
	free(*f);
}

int inflate_filter_write(struct inflate_filter *f UNUSED, const void *data UNUSED, size_t len, size_t *ret_taken,
			 struct err *err UNUSED)
{
	*ret_taken = len;
	return OK;
}

void inflate_filter_end(struct inflate_filter *f UNUSED)
{
}

int inflate_filter_wait(struct inflate_filter *f UNUSED, struct cancel *cancel UNUSED, struct err *err UNUSED)
{
	return OK;
}

int inflate_filter_read(struct inflate_filter *f, void *data, size_t size, size_t *ret_len, struct err *err UNUSED)
{
	size_t n = f->rest.len < READ_MAX ? f->rest.len : READ_MAX;

	n = n < size ? n : size;
	if (n)
		memcpy(data, f->rest.data, n);
	f->rest = (struct bytes){ f->rest.data + n, f->rest.len - n };
	*ret_len = n;
	return OK;
}

static int receive(void *arg UNUSED, struct bytes *ret_data UNUSED, struct err *err UNUSED)
{
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct context_archive a = { .store = contexts_store(fuzz_contexts()), .worker_program = "", .name = "" };
	const struct archive_reader from = { receive, NULL };
	struct build_context *c;
	struct digest digest;

	input = (struct bytes){ data, size };
	if (context_archive_read(&a, &from, NULL, &c, NULL) != OK)
		return 0;
	if (build_context_digest_contents(c, bytes_of(""), &digest, NULL) != OK)
		abort(); /* all of its files are here */
	build_context_close(c, NULL);
	return 0;
}
