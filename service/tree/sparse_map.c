#include "service/tree/sparse_map.h"

enum { PIECES_MIN = 64 };

void sparse_map_free(struct sparse_map *m)
{
	free(m->pieces);
	*m = (struct sparse_map){ .pieces = NULL };
}

static int grow(struct sparse_map *m, struct err *err)
{
	size_t room = m->room ? 2 * m->room : PIECES_MIN;
	struct sparse_piece *pieces = reallocarray(m->pieces, room, sizeof *pieces);

	if (!pieces)
		return fail_nomem(err);
	m->pieces = pieces;
	m->room = room;
	return OK;
}

/* Data from `offset` to `end`: a piece of its own, or more of the one before. */
static int add(struct sparse_map *m, uint64_t offset, uint64_t end, uint64_t least_hole, struct err *err)
{
	struct sparse_piece *last = m->n ? &m->pieces[m->n - 1] : NULL;
	int rc = OK;

	if (last && offset - (last->offset + last->len) < least_hole) {
		m->stored += end - (last->offset + last->len);
		last->len = end - last->offset;
		return OK;
	}
	if (m->n == m->room)
		rc = grow(m, err);
	if (rc == OK)
		m->pieces[m->n++] = (struct sparse_piece){ offset, end - offset };
	m->stored += end - offset;
	return rc;
}

static int collect(struct sparse_map *m, struct erofs_reader *r, const struct erofs_node *n, uint64_t least_hole,
		   struct err *err)
{
	m->n = 0;
	m->stored = 0;
	for (uint64_t offset = 0, len; offset < n->size && m->n <= SPARSE_PIECES_MAX; offset += len) {
		bool is_hole;
		int rc = erofs_read_run(r, n, offset, &is_hole, &len, err);

		if (rc == OK && !is_hole)
			rc = add(m, offset, offset + len, least_hole, err);
		if (rc != OK)
			return rc;
	}
	return OK;
}

int sparse_map_read(struct sparse_map *m, struct erofs_reader *r, const struct erofs_node *n, struct err *err)
{
	uint64_t least_hole = EROFS_BLOCK; /* which all of them have */
	int rc = collect(m, r, n, least_hole, err);

	for (; rc == OK && m->n > SPARSE_PIECES_MAX; least_hole *= 2)
		rc = collect(m, r, n, 2 * least_hole, err);
	return rc;
}
