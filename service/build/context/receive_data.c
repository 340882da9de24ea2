/* The bytes of files, in the order in which they were asked for. */
#include "service/build/context/build_context_state.h"
#include "store/contexts/context_xattrs.h"

static const struct context_list *list_of(const struct build_context *c)
{
	return c->files->list;
}

static const struct context_file *pack_of(const struct build_context *c)
{
	return &c->files->pack->file;
}

static uint32_t expected(const struct intake *in)
{
	return in->want->files[in->at];
}

static int fail_file(const struct build_context *c, int code, uint32_t index, const char *wrong, struct err *err)
{
	char shown[CONTEXT_SHOWN_MAX];

	return fail(err, code, "build context \"%s\": file \"%s\": %s", c->name,
		    context_path_show(context_list_path(list_of(c), index), shown), wrong);
}

/* ---- into the pack ----------------------------------------------------------------------- */

static int put_run(struct build_context *c, struct err *err)
{
	struct intake *in = &c->intake;
	int r = in->run_n ? context_files_put(c->files, in->run_begin, in->run, in->run_n, err) : OK;

	in->run_n = 0;
	return r;
}

int intake_flush(struct build_context *c, struct err *err)
{
	int r = pack_writer_flush(&c->intake.writer, err);

	return r == OK ? put_run(c, err) : r;
}

/* ---- files -------------------------------------------------------------------------------- */

/* The next file to come begins, behind the one before it. */
static int begin_file(struct build_context *c, struct err *err)
{
	struct intake *in = &c->intake;
	uint64_t size = (uint64_t)context_list_entry(list_of(c), expected(in)).size, room = in->want->begin;

	return pack_writer_begin(&in->writer, room + context_pack_align(in->writer.begin - room, size), err);
}

static struct want *first_want(struct build_context *c)
{
	struct want *w;

	pthread_mutex_lock(&c->mu);
	w = c->first;
	pthread_mutex_unlock(&c->mu);
	return w;
}

static int begin_want(struct build_context *c, struct err *err)
{
	struct intake *in = &c->intake;
	int r;

	in->want = first_want(c);
	if (!in->want)
		return fail(err, E_INVALID, "build context \"%s\": bytes that were not asked for", c->name);
	in->at = 0;
	r = pack_writer_begin(&in->writer, in->want->begin, err);
	return r == OK ? begin_file(c, err) : r;
}

static int end_want(struct build_context *c, struct err *err)
{
	struct want *w = c->intake.want;
	int r = intake_flush(c, err);

	if (r != OK)
		return r;
	c->intake.want = NULL;
	pthread_mutex_lock(&c->mu);
	c->first = w->next;
	if (!c->first)
		c->last = NULL;
	w->next = c->spent;
	c->spent = w;
	c->arrived++;
	pthread_cond_broadcast(&c->changed);
	pthread_mutex_unlock(&c->mu);
	return OK;
}

static int take_xattrs(struct build_context *c, const Imaged__V1__FilePiece *m, struct context_place *place,
		       struct err *err)
{
	CLEANUP(freep) struct context_xattr *xattrs = reallocarray(NULL, m->n_xattrs, sizeof *xattrs);
	CLEANUP(buf_free) struct buf packed = BUF_INIT(CONTEXT_XATTRS_PACKED_MAX);
	int r;

	if (!xattrs)
		return fail_nomem(err);
	for (size_t i = 0; i < m->n_xattrs; i++)
		xattrs[i] = (struct context_xattr){ { m->xattrs[i]->name.data, m->xattrs[i]->name.len },
						    { m->xattrs[i]->value.data, m->xattrs[i]->value.len } };
	r = context_xattrs_check(xattrs, m->n_xattrs, context_list_path(list_of(c), m->file), err);
	if (r != OK)
		return r;
	context_xattrs_pack(xattrs, m->n_xattrs, &packed);
	if (!buf_ok(&packed))
		return fail_nomem(err);
	place->xattrs_len = (uint32_t)packed.len;
	place->xattrs_at = context_pack_reserve(c->files->pack, packed.len);
	return context_file_write(pack_of(c), packed.data, packed.len, place->xattrs_at, err);
}

static int add_place(struct build_context *c, uint32_t index, const struct context_place *place, struct err *err)
{
	struct intake *in = &c->intake;
	int r = OK;

	if (in->run_n == INTAKE_PLACES || (in->run_n && in->run_begin + in->run_n != index))
		r = intake_flush(c, err);
	if (!in->run_n)
		in->run_begin = index;
	in->run[in->run_n++] = *place;
	return r;
}

static int end_file(struct build_context *c, const Imaged__V1__FilePiece *m, struct err *err)
{
	struct intake *in = &c->intake;
	bool reliable = context_list_entry(list_of(c), m->file).stamp && !m->unsettled;
	struct context_place place = { .offset = in->writer.begin,
				       .flags = CONTEXT_KNOWN | (reliable ? 0 : CONTEXT_UNSETTLED) };
	struct digest sha256 = pack_writer_end(&in->writer);
	int r = m->n_xattrs ? take_xattrs(c, m, &place, err) : OK;

	memcpy(place.sha256, sha256.bytes, sizeof place.sha256);
	if (r == OK)
		r = add_place(c, m->file, &place, err);
	if (r != OK)
		return r;
	return ++in->at == in->want->n ? end_want(c, err) : begin_file(c, err);
}

/* ---- messages ------------------------------------------------------------------------------- */

static int take_piece(struct build_context *c, const Imaged__V1__FilePiece *m, struct err *err)
{
	struct intake *in = &c->intake;
	uint64_t size;
	int r = in->want ? OK : begin_want(c, err);

	if (r != OK)
		return r;
	if (m->file != expected(in))
		return fail(err, E_INVALID, "build context \"%s\": file %u came where %u was asked for", c->name,
			    m->file, expected(in));
	if (*m->failed)
		return fail_file(c, E_ABORTED, m->file, m->failed, err);
	size = (uint64_t)context_list_entry(list_of(c), m->file).size;
	if (m->data.len > size - in->writer.got)
		return fail_file(c, E_INVALID, m->file, "more bytes came than its size says", err);
	r = m->data.len ? pack_writer_add(&in->writer, (struct bytes){ m->data.data, m->data.len }, err) : OK;
	if (r != OK || !m->end)
		return r;
	if (in->writer.got != size)
		return fail_file(c, E_INVALID, m->file, "fewer bytes came than its size says", err);
	return end_file(c, m, err);
}

static int take(struct build_context *c, const Imaged__V1__ContextData *m, struct err *err)
{
	int64_t bytes = 0;
	int r = OK;

	if (!c->files)
		return fail(err, E_INVALID, "build context \"%s\": bytes that were not asked for", c->name);
	for (size_t i = 0; r == OK && i < m->n_pieces; i++) {
		r = take_piece(c, m->pieces[i], err);
		bytes += (int64_t)m->pieces[i]->data.len;
	}
	pthread_mutex_lock(&c->mu);
	c->received += bytes;
	pthread_mutex_unlock(&c->mu);
	return r;
}

int build_context_take_data(struct build_context *c, const Imaged__V1__ContextData *m, struct err *err)
{
	struct err why = ERR_INIT;
	int r;

	pthread_mutex_lock(&c->mu);
	r = build_context_check(c, &why);
	pthread_mutex_unlock(&c->mu);
	if (r == OK)
		r = take(c, m, &why);
	if (r == OK)
		return OK;
	build_context_fail(c, &why);
	if (err)
		*err = why;
	return r;
}
