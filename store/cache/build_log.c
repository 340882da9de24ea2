#include "store/cache/build_log.h"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "proto/runtime/clock.h"
#include "store/cache/build_records.h"
#include "store/internal.h"
#include "store/record.h"

enum { TIME_DIGITS = 13, RANDOM_DIGITS = 12, LENGTH_BYTES = 4, DIGITS = 36 };

_Static_assert(TIME_DIGITS + RANDOM_DIGITS + 1 == BUILD_ID_TEXT_MAX, "an ID is a time and a random number");
_Static_assert((int)BUILD_ID_TEXT_MAX == (int)BUILD_KEY_TEXT_MAX, "an ID is a key");

struct build_log {
	struct store *store;
	char id[BUILD_ID_TEXT_MAX];
	int fd; /* -1: it cannot be written */
	int64_t bytes, started_ns;
	bool is_cut;
};

/* ---- begin ----------------------------------------------------------------------------------- */

static void put_digits(char *out, size_t n, uint64_t v)
{
	static const char digits[DIGITS + 1] = "0123456789abcdefghijklmnopqrstuvwxyz";

	for (size_t i = n; i-- > 0; v /= DIGITS)
		out[i] = digits[v % DIGITS];
}

/* The time first, so that keys are in the order in which builds began. */
static int choose_id(int64_t now_ns, char ret_id[BUILD_ID_TEXT_MAX], struct err *err)
{
	uint64_t random;

	if (getrandom(&random, sizeof random, 0) != sizeof random)
		return fail_errno(err, "random number for a build");
	put_digits(ret_id, TIME_DIGITS, (uint64_t)now_ns);
	put_digits(ret_id + TIME_DIGITS, RANDOM_DIGITS, random);
	ret_id[BUILD_ID_TEXT_MAX - 1] = 0;
	return OK;
}

static void open_file(struct build_log *l)
{
	l->fd = openat(l->store->logs_fd, l->id, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	l->is_cut = l->fd < 0;
}

int build_log_begin(struct store *s, Imaged__Store__V1__BuildRecord *record, struct build_log **ret_log,
		    struct err *err)
{
	struct build_log *l = calloc(1, sizeof *l);
	int r = l ? store_writable(s, err) : fail_nomem(err);

	if (r == OK) {
		l->store = s;
		l->started_ns = clock_wall_ns();
		r = choose_id(l->started_ns, l->id, err);
	}
	if (r == OK) {
		record->id = l->id;
		record->started_ns = l->started_ns;
		record->ended_ns = 0;
		r = build_record_write(s, record, err);
	}
	if (r != OK) {
		free(l);
		return r;
	}
	open_file(l);
	*ret_log = l;
	return OK;
}

const char *build_log_id(const struct build_log *l)
{
	return l->id;
}

/* ---- write ------------------------------------------------------------------------------------- */

static void cut_off(struct build_log *l)
{
	/* Half an event ends what is read back just as well, should it stay. */
	UNUSED int rc = ftruncate(l->fd, l->bytes);

	l->is_cut = true;
	closep(&l->fd);
	l->fd = -1;
}

void build_log_write(struct build_log *l, struct bytes event)
{
	uint8_t length[LENGTH_BYTES];
	struct iovec parts[2] = { { length, sizeof length }, { (void *)event.data, event.len } };
	int64_t size = LENGTH_BYTES + (int64_t)event.len;

	if (l->fd < 0)
		return;
	if (l->bytes + size > BUILD_LOG_BYTES_MAX) {
		cut_off(l);
		return;
	}
	for (size_t i = 0; i < sizeof length; i++)
		length[i] = (uint8_t)(event.len >> 8 * i);
	if (writev(l->fd, parts, 2) == size)
		l->bytes += size;
	else
		cut_off(l);
}

/* ---- end ---------------------------------------------------------------------------------------- */

void build_log_end(struct build_log *l, const Imaged__Store__V1__BuildRecord *record)
{
	Imaged__Store__V1__BuildRecord r = *record;

	r.id = l->id;
	r.started_ns = l->started_ns;
	if (!r.ended_ns)
		r.ended_ns = clock_wall_ns();
	r.log_is_cut = r.log_is_cut || l->is_cut;
	build_record_write(l->store, &r, NULL);
	closep(&l->fd);
	build_records_trim(l->store, BUILD_LOGS_MAX);
	free(l);
}

int build_log_open(struct store *s, const char *id, int *ret_fd, struct err *err)
{
	*ret_fd = -1;
	if (s->logs_fd < 0 || !build_id_is_valid(id))
		return fail(err, E_NOT_FOUND, "no record found for \"%.64s\"", id);
	*ret_fd = openat(s->logs_fd, id, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (*ret_fd < 0 && errno == ENOENT)
		return fail(err, E_NOT_FOUND, "the log of build %s is not there", id);
	return *ret_fd < 0 ? fail_errno(err, "open the log of build %s", id) : OK;
}
