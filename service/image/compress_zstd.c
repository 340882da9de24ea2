#include <zstd.h>
#include <zstd_errors.h>

#include "service/image/compress_layer.h"

/* Where jobs begin is part of what comes out. */
enum { JOB_BYTES = 4 * 1024 * 1024 };

struct zstd {
	ZSTD_CCtx *context;
	struct compress_source *source;
	struct ingest *out;
	uint8_t in[COMPRESS_BLOCK], out_data[COMPRESS_BLOCK];
};

static int check(size_t result, struct err *err)
{
	if (!ZSTD_isError(result))
		return OK;
	if (ZSTD_getErrorCode(result) == ZSTD_error_memory_allocation)
		return fail_nomem(err);
	return fail(err, E_INTERNAL, "compress a layer: %s", ZSTD_getErrorName(result));
}

static int set_up(struct zstd *z, int level, unsigned threads, struct err *err)
{
	const struct {
		ZSTD_cParameter parameter;
		int value;
	} settings[] = {
		{ ZSTD_c_compressionLevel, level },
		{ ZSTD_c_nbWorkers, (int)threads }, /* at least one: without, the bytes are others */
		{ ZSTD_c_jobSize, JOB_BYTES },
	};

	for (size_t i = 0; i < ARRAY_LEN(settings); i++)
		if (check(ZSTD_CCtx_setParameter(z->context, settings[i].parameter, settings[i].value), err) < 0)
			return err->code;
	return OK;
}

/* Until all input is taken; at the end until all is given out. */
static int compress_piece(struct zstd *z, size_t len, bool last, struct err *err)
{
	ZSTD_inBuffer in = { z->in, len, 0 };
	size_t left;

	do {
		ZSTD_outBuffer out = { z->out_data, sizeof z->out_data, 0 };

		left = ZSTD_compressStream2(z->context, &out, &in, last ? ZSTD_e_end : ZSTD_e_continue);
		if (check(left, err) < 0 || ingest_write(z->out, z->out_data, out.pos, err) < 0)
			return err->code;
	} while (in.pos < in.size || (last && left));
	return OK;
}

static int compress_all(struct zstd *z, struct err *err)
{
	size_t len;

	do {
		if (compress_read(z->source, z->in, sizeof z->in, &len, err) < 0 ||
		    compress_piece(z, len, len < sizeof z->in, err) < 0)
			return err->code;
	} while (len == sizeof z->in);
	return OK;
}

int compress_zstd(struct compress_source *s, int level, unsigned threads, struct ingest *out, struct err *err)
{
	struct zstd *z = calloc(1, sizeof *z);
	int r = OK;

	if (!z)
		return fail_nomem(err);
	z->source = s;
	z->out = out;
	z->context = ZSTD_createCCtx();
	if (!z->context)
		r = fail_nomem(err);
	if (r == OK)
		r = set_up(z, level, threads, err);
	if (r == OK)
		r = compress_all(z, err);
	ZSTD_freeCCtx(z->context);
	free(z);
	return r;
}
