/*
 * The daemon's side of imaged-layer against a hostile worker: the input is what the
 * worker says, and when. No process is started (hostile_worker.h).
 *
 * Input: records of an operation byte and its arguments. With an odd number of bytes the
 * job makes an image too, by a second worker.
 */
#include <fcntl.h>
#include <sys/mman.h>

#include "service/layer/layer.h"
#include "tests/fuzz/hostile_worker.h"

enum { BLOB = 4 << 20, OPERATIONS_MAX = 300 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- the worker ------------------------------------------------------------------ */

/* A message with a sound head, and small numbers in its fields. */
static void say_message(struct input *in)
{
	static const uint16_t types[] = { LAYER_READY,	   LAYER_PROGRESS, LAYER_RESULT, LAYER_FAILED,
					  LAYER_CANCELLED, LAYER_BEGIN,	   LAYER_IMAGED };
	struct layer_message m = layer_message_of(types[take_byte(in) % ARRAY_LEN(types)], (uint32_t)take_byte(in) & 3);
	uint8_t n = take_byte(in);

	if (m.type == LAYER_FAILED) {
		m.u.failed.code = (int8_t)take_byte(in);
		take(in, m.u.failed.text, n);
	} else if (m.type == LAYER_READY) {
		m.u.ready.sandbox = take_byte(in);
		take(in, m.u.ready.note, n);
	} else if (m.type == LAYER_RESULT) {
		m.u.result.tar_bytes = n * 100U;
		m.u.result.entries = take_byte(in);
		take(in, &m.u.result.files_bytes, 8);
	} else if (m.type == LAYER_IMAGED) {
		m.u.imaged.tar_bytes = n * 100U;
		m.u.imaged.entries = take_byte(in);
		take(in, &m.u.imaged.image_bytes, 8);
	} else {
		m.u.progress.read = n * 10000U;
		m.u.progress.written = take_byte(in);
	}
	say(&m, sizeof m);
}

/* ---- the daemon ------------------------------------------------------------------ */

static void step(struct layer_job *j, struct input *in)
{
	uint8_t operation = take_byte(in);

	hostile.as_images = operation & 0x80;
	switch ((operation & 0x7f) % 6) {
	case 0:
		say_raw(in);
		break;
	case 1:
		layer_job_available(j, take_byte(in) * (BLOB / 200));
		break;
	case 2:
		layer_job_restart(j);
		break;
	case 3:
		layer_job_check(j, NULL);
		break;
	default:
		say_message(in);
		break;
	}
}

static void check_facts(const struct layer_facts *f, const struct layer_policy *p)
{
	if (f->tar_size < 0 || f->files_size < 0 || f->entries < 0 || (uint64_t)f->tar_size > p->limits.tar_bytes ||
	    (uint64_t)f->entries > p->limits.entries)
		abort();
}

static void check_text(const struct err *err)
{
	for (const char *c = err->text; *c; c++)
		if (*c < ' ' || *c > '~')
			abort();
}

static void finish(struct layer_job *j, const struct layer_policy *policy)
{
	struct layer_facts facts;
	struct err err = ERR_INIT;

	hostile_close();
	if (layer_job_finish(j, NULL, &facts, &err) == OK)
		check_facts(&facts, policy);
	else
		check_text(&err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct layer_policy policy = layer_policy_default();
	struct input in = { data, size };
	struct layer_workers *w;
	struct layer_job *j;
	CLEANUP(closep) int image = size % 2 ? memfd_create("image", MFD_CLOEXEC) : -1;

	policy.stall_ms = 0;
	if (layer_workers_new("imaged-layer", 1, &w, NULL) != OK)
		return 0;
	layer_workers_set_policy(w, &policy);
	if (layer_job_start_image(w, open("/dev/null", O_RDONLY | O_CLOEXEC), image, COMPRESSION_NONE, BLOB, &j,
				  NULL) == OK) {
		for (int i = 0; in.len && i < OPERATIONS_MAX; i++)
			step(j, &in);
		finish(j, &policy);
		layer_job_free(j);
	}
	layer_workers_unref(w);
	hostile_close();
	return 0;
}
