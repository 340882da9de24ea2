#include "service/build/context/context_url.h"

#include "service/registry/download.h"

struct fetching {
	struct http_exchange *exchange;
	struct cancel *cancel;
};

static int receive(void *fetching, struct bytes *ret_data, struct err *err)
{
	struct fetching *f = fetching;

	return http_next(f->exchange, ret_data, f->cancel, err);
}

int context_url_read(struct registry *r, const char *url, const struct context_archive *a, struct buf *dockerfile,
		     struct build_context **ret_context, struct err *err)
{
	struct fetching f = { .cancel = a->cancel };
	const struct archive_reader from = { receive, &f };
	const struct download download = { .url = url, .brief = true };
	int code = download_open(r, &download, a->cancel, &f.exchange, err);

	if (code == OK)
		code = context_archive_read(a, &from, dockerfile, ret_context, err);
	http_close(f.exchange);
	return code;
}
