#include "service/build/session/execute.h"

#include "service/build/session/report.h"
#include "service/build/session/solving.h"
#include "service/build/set.h"

enum { REPORT_MAX = 8 * 1024 * 1024 };

struct execution {
	struct session *session;
	struct report report;
	struct definition definition;
	struct base_images *images;
	struct front_end *fronts; /* of each platform */
	size_t n;
	Imaged__V1__BuildDone *done;
};

/* ---- front ends --------------------------------------------------------------------------- */

static int open_images(struct execution *x, struct err *err)
{
	const struct base_images_options options = {
		.service = x->session->service,
		.start = x->session->start,
		.without_layers = x->report.kind != REPORT_NONE,
		.progress = x->session->progress,
		.cancel = x->session->cancel,
	};

	return base_images_new(&options, &x->images, err);
}

/* What this machine's processor can do beside the rest of its kind is no part of what is built,
 * unless it is asked for. */
static struct platform usual_platform(const struct image_service *service)
{
	struct platform p = service->platform;

	if (!strcmp(p.architecture, "amd64"))
		p.variant[0] = 0;
	return p;
}

static int choose_platforms(struct execution *x, struct err *err)
{
	const Imaged__V1__BuildStart *s = x->session->start;
	size_t n = s->n_platforms ? s->n_platforms : 1;

	x->fronts = calloc(n, sizeof *x->fronts);
	if (!x->fronts)
		return fail_nomem(err);
	x->n = n;
	for (size_t i = 0; i < n; i++) {
		struct front_end *f = &x->fronts[i];

		*f = (struct front_end){ .build_platform = usual_platform(x->session->service),
					 .session = x->session,
					 .definition = &x->definition,
					 .images = x->images };
		f->platform = usual_platform(x->session->service);
		if (!s->n_platforms)
			continue;
		if (platform_parse(s->platforms[i], &f->platform, err) < 0)
			return err->code;
		platform_normalize(&f->platform); /* TARGETVARIANT tells it so, as with BuildKit */
	}
	return OK;
}

/* What the linters find does not depend on the platform. */
static int run_front_ends(struct execution *x, struct err *err)
{
	for (size_t i = 0; i < x->n; i++)
		if (front_end_run(&x->fronts[i], i ? NULL : &x->definition.lint, err) < 0) {
			x->definition.place = x->fronts[i].place;
			return err->code;
		}
	return OK;
}

/* ---- what the command line adds ------------------------------------------------------------- */

/* Behind those of the Dockerfile. */
static int put_labels(struct execution *x, struct err *err)
{
	const Imaged__V1__BuildStart *s = x->session->start;

	for (size_t i = 0; i < x->n; i++) {
		struct front_end *f = &x->fronts[i];
		struct image_config *image = f->evaluation.stages[f->plan.target].image;

		for (size_t k = 0; image && k < s->n_labels; k++)
			if (map_put(&image->config.labels, s->labels[k]->key, s->labels[k]->value, err) < 0)
				return err->code;
	}
	return OK;
}

/* ---- reports ------------------------------------------------------------------------------- */

/* To find that the Dockerfile cannot be built is a result of a check. */
static int write_report(struct execution *x, const struct err *failure, struct err *err)
{
	CLEANUP(buf_free) struct buf out = BUF_INIT(REPORT_MAX);
	Imaged__V1__BuildDone *done = x->done;

	if (failure && x->report.kind != REPORT_CHECK) {
		*err = *failure;
		return err->code;
	}
	if (report_write(&x->report, &x->definition, &x->fronts[0], failure, &out, err) < 0)
		return err->code;
	done->report.data = (uint8_t *)arena_bytes(&x->session->arena, buf_bytes(&out));
	done->report.len = out.len;
	done->warnings = (uint32_t)x->definition.lint.n;
	return done->report.data ? OK : fail_nomem(err);
}

static int is_about_file(int code)
{
	return code == E_INVALID || code == E_LIMIT;
}

static int report(struct execution *x, struct err *err)
{
	struct err failure = ERR_INIT;
	int r = definition_parse(x->session, &x->definition, &failure);

	if (r == OK)
		r = run_front_ends(x, &failure);
	if (r == OK)
		return write_report(x, NULL, err);
	if (is_about_file(r) && x->report.kind == REPORT_CHECK && x->definition.place.first)
		return write_report(x, &failure, err);
	*err = failure;
	return r;
}

/* ---- builds -------------------------------------------------------------------------------- */

/* The place that a failure is about is shown with it; what comes later has places of its own. */
static int understand(struct execution *x, struct err *err)
{
	int r = definition_parse(x->session, &x->definition, err);

	if (r == OK)
		r = run_front_ends(x, err);
	definition_tell_warnings(x->session, &x->definition);
	if (r == OK)
		r = lint_verdict(&x->definition.lint, err);
	if (r < 0 && r != E_CANCELLED)
		definition_tell_place(x->session, &x->definition, x->definition.place, err);
	return r;
}

static int make(struct execution *x, struct err *err)
{
	if (understand(x, err) < 0 || put_labels(x, err) < 0)
		return err->code;
	return solve_and_export(x->session, &x->definition, x->fronts, x->n, &x->session->arena, x->done, err);
}

static void release(struct execution *x)
{
	base_images_free(x->images);
	for (size_t i = 0; i < x->n; i++)
		front_end_free(&x->fronts[i]);
	free(x->fronts);
	definition_free(&x->definition);
}

int session_execute(struct session *s, Imaged__V1__BuildDone *done, struct err *err)
{
	struct execution x = { .session = s, .done = done };
	int r = report_parse(s->start->call, &x.report, err);

	if (r == OK)
		r = definition_read(s, &x.definition, err);
	if (r == OK)
		r = open_images(&x, err);
	if (r == OK)
		r = choose_platforms(&x, err);
	if (r == OK)
		r = x.report.kind == REPORT_NONE ? make(&x, err) : report(&x, err);
	if (r < 0)
		cancel_fire(s->cancel, E_CANCELLED); /* images that are still being fetched */
	release(&x);
	return r;
}
