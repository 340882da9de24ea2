/* Operations of a build: which there are, and what makes them others. */
#include "tests/unit/build/unit.h"

#include "service/build/epoch.h"
#include "service/build/outline.h"
#include "tests/unit/build/world.h"

/* ---- shapes ------------------------------------------------------------------- */

/* "1 copy(0 context) [2/3] COPY a b", a line for each. */
static void show(const struct graph *g, struct buf *out)
{
	static const char *const kinds[] = { "scratch", "image", "context", "url", "git",
					     "file",	"copy",	 "merge",   "run", "directory" };

	for (size_t i = 0; i < g->n; i++) {
		const struct op *op = &g->ops[i];

		buf_printf(out, "%zu %s", i, kinds[op->kind]);
		for (size_t k = 0; k < op->n_inputs; k++)
			buf_printf(out, " %zu", op->inputs[k]);
		buf_printf(out, "%s%s%s\n", op->title ? " " : "", op->title ? op->title : "",
			   i == g->target ? " *" : "");
	}
}

struct shape {
	const char *text, *graph;
};

static void shapes(void **state)
{
	static const struct shape rows[] = {
		{ "FROM scratch", "0 scratch *\n" },
		{ "FROM x", "0 image [1/1] FROM docker.io/library/x:latest *\n" },
		{ "FROM x\nENV a=b\nLABEL c=d\nCMD e", "0 image [1/1] FROM docker.io/library/x:latest *\n" },
		{ "FROM x\nRUN a\nRUN b",
		  "0 image [1/3] FROM docker.io/library/x:latest\n1 run 0 [2/3] RUN a\n2 run 1 [3/3] RUN b *\n" },
		{ "FROM x\nWORKDIR /a\nWORKDIR /",
		  "0 image [1/3] FROM docker.io/library/x:latest\n1 directory 0 [2/3] WORKDIR /a *\n" },
		{ "FROM x\nENV v=1\nCOPY a$v b c/",
		  "0 image [1/2] FROM docker.io/library/x:latest\n1 context\n2 copy 0 1 1 [2/2] COPY a1 b c/ *\n" },
		{ "FROM scratch\nCOPY --link a b",
		  "0 scratch\n1 context\n2 copy 0 1 [1/1] COPY --link a b\n3 merge 0 2 "
		  "*\n" },
		{ "FROM x\nCOPY --link --chown=mail a b", "0 image [1/2] FROM docker.io/library/x:latest\n1 context\n2 "
							  "copy 0 1 [2/2] COPY --link --chown=mail a b *\n" },
		{ "FROM x AS a\nRUN a\nFROM y AS b\nRUN b\nFROM a\nCOPY --from=a f f\n",
		  "0 image [a 1/2] FROM docker.io/library/x:latest\n1 run 0 [a 2/2] RUN a\n2 copy 1 1 [stage-2 1/1] "
		  "COPY --from=a f f *\n" },
		{ "FROM x\nRUN --mount=target=/a --mount=type=cache,target=/b --mount=from=y,target=/c "
		  "--mount=type=secret,id=s a",
		  "0 image [stage-0 1/2] FROM docker.io/library/x:latest\n1 context\n2 image\n3 run 0 1 2 [stage-0 "
		  "2/2] RUN --mount=target=/a "
		  "--mount=type=cache,target=/b --mount=from=y,target=/c --mount=type=secret,id=s a *\n" },
		{ "FROM x\nADD http://h/a https://h/b.git /d/\nCOPY <<e /\nx\ne",
		  "0 image [1/3] FROM docker.io/library/x:latest\n1 url\n2 git\n3 copy 0 1 2 [2/3] ADD http://h/a "
		  "https://h/b.git /d/\n4 file\n"
		  "5 copy 3 4 [3/3] COPY <<e / *\n" },
		/* The shell's variables and quotes stay, those of other instructions do not. */
		{ "FROM x\nENV v=1\nrun a \"$v\" $w\ncopy \"$v\" ${w}b",
		  "0 image [1/3] FROM docker.io/library/x:latest\n1 run 0 [2/3] RUN a \"1\" $w\n2 context\n3 copy 1 2 "
		  "[3/3] COPY 1 b *\n" },
		{ "FROM x\nRUN <<E\n\n  a \r\nb\nE\nRUN <<E\na\nE\nRUN <<E cat\na\nE",
		  "0 image [1/4] FROM docker.io/library/x:latest\n1 run 0 [2/4] RUN <<E (a ...)\n2 run 1 [3/4] RUN <<E "
		  "(a)\n3 run 2 [4/4] RUN "
		  "<<E "
		  "cat *\n" },
		/* What is the same is there once. */
		{ "FROM x AS a\nRUN a\nFROM x AS b\nRUN a\nFROM scratch\nCOPY --from=a f f\nCOPY --from=b f g",
		  "0 image [a 1/2] FROM docker.io/library/x:latest\n1 run 0 [a 2/2] RUN a\n2 scratch\n3 copy 2 1 "
		  "[stage-2 1/2] COPY --from=a f "
		  "f\n"
		  "4 copy 3 1 [stage-2 2/2] COPY --from=b f g *\n" },
		/* Numbers are as wide as the last. */
		{ "FROM x\nRUN 1\nRUN 2\nRUN 3\nRUN 4\nRUN 5\nRUN 6\nRUN 7\nRUN 8\nRUN 9",
		  "0 image [ 1/10] FROM docker.io/library/x:latest\n1 run 0 [ 2/10] RUN 1\n2 run 1 [ 3/10] RUN 2\n3 "
		  "run 2 [ 4/10] RUN 3\n"
		  "4 run 3 [ 5/10] RUN 4\n5 run 4 [ 6/10] RUN 5\n6 run 5 [ 7/10] RUN 6\n7 run 6 [ 8/10] RUN 7\n"
		  "8 run 7 [ 9/10] RUN 8\n9 run 8 [10/10] RUN 9 *\n" },
		{ "FROM x AS a\nONBUILD RUN o\nFROM a AS b\nRUN b",
		  "0 image [a 1/1] FROM docker.io/library/x:latest\n1 run 0 [b 1/2] ONBUILD RUN o\n2 run 1 [b 2/2] RUN "
		  "b *\n" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		CLEANUP(buf_free) struct buf out = BUF_INIT(64 * 1024);
		CLEANUP(world_free) struct world w;

		world_init(&w, DOCKERFILE_ARENA_MAX, NULL);
		if (world_run(&w, rows[i].text) < 0)
			buf_puts(&out, w.err.text);
		else
			show(&w.graph, &out);
		check_row(rows[i].graph, buf_text(&out), rows[i].text);
	}
}

/* ---- keys --------------------------------------------------------------------- */

static struct digest key_of(const char *text, const char *args)
{
	const char *const list[] = { args, NULL };
	CLEANUP(world_free) struct world w;

	world_init(&w, DOCKERFILE_ARENA_MAX, args ? list : NULL);
	if (world_run(&w, text) < 0)
		check_row("a graph", w.err.text, text);
	return world_key(&w);
}

struct pair_row {
	bool same;
	const char *a, *b;
	const char *args_a, *args_b;
};

static void keys(void **state)
{
	static const struct pair_row rows[] = {
		/* How it is written does not count. */
		{ true, "FROM x\nRUN a", "# c\nFROM  x\n\nrun   a", NULL, NULL },
		{ true, "FROM x\nCOPY --chown=1 --chmod=1 a b", "FROM x\nCOPY --chmod=1 --chown=1 a b", NULL, NULL },
		{ true, "FROM x\nWORKDIR /a\nRUN b", "FROM x\nWORKDIR /\nWORKDIR a\nRUN b", NULL, NULL },
		{ true, "FROM x\nENV a=1\nRUN b", "FROM x\nENV a 1\nRUN b", NULL, NULL },
		/* What no step sees does not. */
		{ true, "FROM x\nRUN a\nLABEL b=c\nCMD d\nEXPOSE 1", "FROM x\nRUN a", NULL, NULL },
		{ true, "FROM x\nLABEL b=c\nRUN a", "FROM x\nRUN a", NULL, NULL },
		{ true, "FROM x\nARG v=1\nCOPY a b", "FROM x\nARG v=2\nCOPY a b", NULL, NULL },
		{ true, "FROM x\nENV v=1\nCOPY a b", "FROM x\nCOPY a b", NULL, NULL },
		{ true, "FROM x\nRUN a", "FROM x\nRUN a", "http_proxy=p", "HTTPS_PROXY=q" },
		{ true, "FROM x\nRUN a", "FROM x\nRUN a", "unused=1", NULL },
		{ true, "FROM x AS s\nRUN y\nFROM x\nRUN a", "FROM x\nRUN a", NULL, NULL },
		{ true, "FROM x\nUSER u\nCOPY a b", "FROM x\nCOPY a b", NULL, NULL },
		/* Where a file of the context comes from is for the digest of its contents. */
		{ true, "FROM x\nCOPY d/a b", "FROM x\nCOPY e/a b", NULL, NULL },
		/* What a cache is called does not; what a secret is called does. */
		{ true, "FROM x\nRUN --mount=type=cache,id=a,target=/c r", "FROM x\nRUN --mount=type=cache,target=/c r",
		  NULL, NULL },
		{ false, "FROM x\nRUN --mount=type=secret,id=a,target=/c r",
		  "FROM x\nRUN --mount=type=secret,id=b,target=/c r", NULL, NULL },
		/* What steps see does. */
		{ false, "FROM x\nRUN a", "FROM x\nRUN b", NULL, NULL },
		{ false, "FROM x\nRUN a", "FROM y\nRUN a", NULL, NULL },
		{ false, "FROM x\nRUN a", "FROM x\nRUN [\"a\"]", NULL, NULL },
		{ false, "FROM x\nENV v=1\nRUN a", "FROM x\nENV v=2\nRUN a", NULL, NULL },
		{ false, "FROM x\nARG v=1\nRUN a", "FROM x\nARG v=2\nRUN a", NULL, NULL },
		{ false, "FROM x\nARG v\nRUN a", "FROM x\nARG v\nRUN a", "v=1", "v=2" },
		{ false, "FROM x\nARG http_proxy\nRUN a", "FROM x\nARG http_proxy\nRUN a", "http_proxy=1",
		  "http_proxy=2" },
		{ false, "FROM x\nUSER u\nRUN a", "FROM x\nRUN a", NULL, NULL },
		{ false, "FROM --platform=linux/s390x scratch AS a\nFROM a\nRUN b", "FROM scratch AS a\nFROM a\nRUN b",
		  NULL, NULL },
		{ false, "FROM x\nRUN --network=none a", "FROM x\nRUN a", NULL, NULL },
		{ false, "FROM x\nRUN --security=insecure a", "FROM x\nRUN a", NULL, NULL },
		{ false, "FROM x\nSHELL [\"/s\"]\nRUN a", "FROM x\nRUN a", NULL, NULL },
		{ false, "FROM x\nRUN --mount=type=tmpfs,target=/a r", "FROM x\nRUN --mount=type=tmpfs,target=/b r",
		  NULL, NULL },
		{ false, "FROM x\nRUN --mount=target=/a r", "FROM x\nRUN --mount=target=/a,rw r", NULL, NULL },
		{ false, "FROM x\nRUN <<E\n#!/a\nE", "FROM x\nRUN <<E\n#!/b\nE", NULL, NULL },
		{ false, "FROM x\nCOPY a b", "FROM x\nCOPY a c", NULL, NULL },
		{ false, "FROM x\nCOPY a b", "FROM x\nCOPY c b", NULL, NULL },
		{ false, "FROM x\nCOPY a b", "FROM x\nADD a b", NULL, NULL },
		{ true, "FROM x\nCOPY a b", "FROM x\nADD --unpack=false a b", NULL, NULL },
		{ false, "FROM x\nCOPY a b", "FROM x\nCOPY --chmod=1 a b", NULL, NULL },
		{ false, "FROM x\nCOPY a b", "FROM x\nCOPY --chown=1 a b", NULL, NULL },
		{ false, "FROM x\nCOPY a b", "FROM x\nCOPY --exclude=c a b", NULL, NULL },
		{ false, "FROM x\nCOPY a b c/", "FROM x\nCOPY b a c/", NULL, NULL },
		{ false, "FROM x\nCOPY <<a /\n1\na", "FROM x\nCOPY <<a /\n2\na", NULL, NULL },
		{ false, "FROM x\nADD http://a/c d", "FROM x\nADD http://b/c d", NULL, NULL },
		{ false, "FROM x\nWORKDIR /a", "FROM x\nWORKDIR /b", NULL, NULL },
		{ false, "FROM x\nUSER u\nWORKDIR /a", "FROM x\nWORKDIR /a", NULL, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct digest a = key_of(rows[i].a, rows[i].args_a), b = key_of(rows[i].b, rows[i].args_b);

		check_row(rows[i].same ? "the same" : "another", digest_eq(&a, &b) ? "the same" : "another", rows[i].b);
	}
}

static struct digest key_with(const struct graph_options *o, const char *text)
{
	CLEANUP(world_free) struct world w;

	world_init(&w, DOCKERFILE_ARENA_MAX, NULL);
	w.graph_options = *o;
	assert_int_equal(world_run(&w, text), OK);
	return world_key(&w);
}

static void options_count_where_they_matter(void **state)
{
	static const char run[] = "FROM x\nRUN a", copy[] = "FROM x\nCOPY a b",
			  none_network[] = "FROM x\nRUN --network=none a";
	const struct graph_options plain = { .network = NULL }, epoch = { .has_epoch = true, .epoch = 1 },
				   network = { .network = "none" }, shm = { .shm_size = 1 };
	struct digest a, b;

	(void)state;
	a = key_with(&plain, copy);
	b = key_with(&epoch, copy);
	assert_false(digest_eq(&a, &b));
	b = key_with(&shm, copy);
	assert_true(digest_eq(&a, &b));
	a = key_with(&plain, run);
	b = key_with(&shm, run);
	assert_false(digest_eq(&a, &b));
	a = key_with(&network, run);
	b = key_with(&plain, none_network);
	assert_true(digest_eq(&a, &b));
}

/* Another name for the same image is the same. */
static void images_count_by_their_digest(void **state)
{
	struct digest found[1] = { { .algorithm = DIGEST_SHA256, .bytes = { 1 } } }, a, b;
	const struct graph_options resolved = { .images = found }, names = { .images = NULL };

	(void)state;
	a = key_with(&resolved, "FROM x:1\nRUN a");
	b = key_with(&resolved, "FROM y:2\nRUN a");
	assert_true(digest_eq(&a, &b));
	found[0].bytes[0] = 2;
	b = key_with(&resolved, "FROM x:1\nRUN a");
	assert_false(digest_eq(&a, &b));
	a = key_with(&names, "FROM x:1\nRUN a");
	b = key_with(&names, "FROM x:2\nRUN a");
	assert_false(digest_eq(&a, &b));
}

static void settings_come_from_arguments(void **state)
{
	static const char *const args[] = { "A=1", "E=", NULL };
	CLEANUP(world_free) struct world w;

	(void)state;
	world_init(&w, DOCKERFILE_ARENA_MAX, args);
	assert_int_equal(world_run(&w, "ARG A=2\nARG B=3\nARG C=\nARG D\nFROM x\nARG F=4"), OK);
	assert_string_equal(plan_setting(&w.plan, "A"), "1");
	assert_string_equal(plan_setting(&w.plan, "B"), "3");
	assert_string_equal(plan_setting(&w.plan, "E"), "");
	assert_null(plan_setting(&w.plan, "C"));
	assert_null(plan_setting(&w.plan, "D"));
	assert_null(plan_setting(&w.plan, "F"));
}

static void epochs(void **state)
{
	static const struct {
		const char *text, *arg;
		int kind; /* -1: refused */
		int64_t seconds;
	} rows[] = {
		{ "FROM x", NULL, EPOCH_NONE, 0 },
		{ "FROM x", "SOURCE_DATE_EPOCH=", EPOCH_NONE, 0 },
		{ "FROM x", "SOURCE_DATE_EPOCH=1485449953", EPOCH_SECONDS, 1485449953 },
		{ "FROM x", "SOURCE_DATE_EPOCH=-5", EPOCH_SECONDS, -5 },
		{ "FROM x", "SOURCE_DATE_EPOCH=9223372036854775807", EPOCH_SECONDS, INT64_MAX },
		{ "FROM x", "SOURCE_DATE_EPOCH=-9223372036854775808", EPOCH_SECONDS, INT64_MIN },
		{ "FROM x", "SOURCE_DATE_EPOCH=9223372036854775808", -1, 0 },
		{ "ARG SOURCE_DATE_EPOCH=7\nFROM x", NULL, EPOCH_SECONDS, 7 },
		{ "ARG SOURCE_DATE_EPOCH=7\nFROM x", "SOURCE_DATE_EPOCH=8", EPOCH_SECONDS, 8 },
		{ "FROM x", "SOURCE_DATE_EPOCH=context", EPOCH_CONTEXT, 0 },
		{ "FROM scratch AS Src\nFROM x", "SOURCE_DATE_EPOCH=src", EPOCH_SOURCE, 0 },
		{ "FROM x", "SOURCE_DATE_EPOCH=src", -1, 0 },
		{ "FROM x", "SOURCE_DATE_EPOCH=1x", -1, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const char *const args[] = { rows[i].arg, NULL };
		CLEANUP(world_free) struct world w;
		struct epoch e = { .kind = EPOCH_NONE };
		int r;

		world_init(&w, DOCKERFILE_ARENA_MAX, args);
		assert_int_equal(world_run(&w, rows[i].text), OK);
		r = epoch_of(&w.plan, &e, &w.err);
		if ((r == OK) != (rows[i].kind >= 0) ||
		    (r == OK && ((int)e.kind != rows[i].kind || e.seconds != rows[i].seconds)))
			check_row("another epoch", "this one", rows[i].arg ? rows[i].arg : rows[i].text);
	}
}

/* A linked copy is the same whatever is below. */
static void linked_copies_stand_alone(void **state)
{
	CLEANUP(world_free) struct world a, b;

	(void)state;
	world_init(&a, DOCKERFILE_ARENA_MAX, NULL);
	world_init(&b, DOCKERFILE_ARENA_MAX, NULL);
	assert_int_equal(world_run(&a, "FROM x\nRUN y\nCOPY --link a b"), OK);
	assert_int_equal(world_run(&b, "FROM z\nCOPY --link a b"), OK);
	assert_int_equal(a.graph.ops[a.graph.target].kind, OP_MERGE);
	a.graph.target = a.graph.ops[a.graph.target].inputs[1];
	b.graph.target = b.graph.ops[b.graph.target].inputs[1];
	struct digest one = world_key(&a), other = world_key(&b);
	assert_true(digest_eq(&one, &other));
}

/* ---- bounds ------------------------------------------------------------------- */

static const char everything[] =
	"# check=skip=StageNameCasing\nARG B=x\nFROM $B AS Base\nARG v=1 w\nENV a=$v b=${a#x}\nLABEL c d\nONBUILD RUN "
	"e\n"
	"SHELL [\"/s\"]\nHEALTHCHECK --retries=2 CMD f\nEXPOSE 1-3\nVOLUME /g\nUSER h\nWORKDIR i\nSTOPSIGNAL "
	"9\nMAINTAINER j\n"
	"FROM Base\nRUN --mount=type=cache,target=/k --mount=type=secret,id=l,env=m --device=n,required <<E cat\no\nE\n"
	"COPY --from=0 --chmod=u+x --exclude=p q r/\nADD --link https://s/t.git#u:v http://w/x <<y /z/\n$a\ny\nCMD "
	"$a\nCMD b\n";

/* Whatever the memory, there is an answer, and the same one. */
static void every_arena_is_enough_or_is_not(void **state)
{
	int r = E_NO_MEMORY;
	size_t cap = 0;

	(void)state;
	for (; r == E_NO_MEMORY; cap += 256) {
		CLEANUP(world_free) struct world w;

		assert_true(cap < 1024 * 1024);
		world_init(&w, cap, NULL);
		r = world_run(&w, everything);
		assert_int_equal(r == OK ? OK : w.err.code, r);
		if (r == E_LIMIT) {
			assert_non_null(strstr(w.err.text, "bytes of memory"));
			r = E_NO_MEMORY;
		} else if (r != OK && r != E_NO_MEMORY) {
			check_row("no memory", w.err.text, everything);
		}
	}
	assert_int_equal(r, OK);
	assert_true(cap > 4096);
}

static void check_limit(const struct buf *text, const char *message)
{
	CLEANUP(world_free) struct world w;

	assert_true(buf_ok(text));
	world_init(&w, DOCKERFILE_ARENA_MAX, NULL);
	assert_int_equal(world_run(&w, buf_text(text)), E_LIMIT);
	check_row(message, w.err.text, "limits");
}

static void limits(void **state)
{
	CLEANUP(buf_free)
	struct buf lines = BUF_INIT(8 * 1024 * 1024), words = BUF_INIT(8 * 1024 * 1024),
		   large = BUF_INIT(8 * 1024 * 1024), chain = BUF_INIT(8 * 1024 * 1024),
		   many = BUF_INIT(8 * 1024 * 1024);

	(void)state;
	for (int i = 0; i <= INSTRUCTIONS_MAX; i++)
		buf_puts(&lines, i ? "CMD a\n" : "FROM x\n");
	check_limit(&lines, "a Dockerfile has at most 10000 instructions");
	buf_puts(&words, "FROM x\nEXPOSE");
	for (int i = 0; i <= WORDS_MAX; i++)
		buf_puts(&words, " 1");
	check_limit(&words, "an instruction has at most 100000 words");
	while (large.len <= DOCKERFILE_MAX)
		buf_puts(&large, "RUN 0123456789012345678901234567890123456789\n");
	check_limit(&large, "the Dockerfile is larger than 4194304 bytes");
	for (int i = 0; i < 5000; i++)
		buf_printf(&chain, i ? "FROM s%d AS s%d\nRUN a\n" : "FROM x AS s%d\n", i ? i - 1 : 0, i);
	check_limit(&chain, "the configurations of the stages are larger than 67108864 bytes together");
	for (int i = 0; i < 4900; i++)
		buf_printf(&many, i ? "ENV a%d=1\nRUN x\n" : "FROM x\n", i);
	check_limit(&many,
		    "the Dockerfile needs more than 100663296 bytes of memory: too many words, variables or steps");
}

/* Each stage has all arguments of the one below, and none costs a look at all the others. */
static void arguments_of_a_long_chain(void **state)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(1 << 20);
	CLEANUP(world_free) struct world w;

	(void)state;
	buf_puts(&text, "FROM scratch AS s0\nARG");
	for (int i = 0; i < 9000; i++)
		buf_printf(&text, " a%d=%d", i, i);
	for (int i = 0; i < 400; i++)
		buf_printf(&text, "\nFROM s%d AS s%d", i, i + 1);
	buf_puts(&text, "\nARG b=$a8999\nWORKDIR /$b");
	world_init(&w, DOCKERFILE_ARENA_MAX, NULL);
	assert_int_equal(world_run(&w, buf_text(&text)), OK);
	assert_string_equal(w.evaluation.stages[400].image->config.working_dir, "/8999");
	assert_int_equal(w.evaluation.stages[399].args.n, 9000);
}

static void a_build_that_is_given_up_ends_here_too(void **state)
{
	CLEANUP(cancel_unrefp) struct cancel *cancel = cancel_new();
	CLEANUP(world_free) struct world w;

	(void)state;
	world_init(&w, DOCKERFILE_ARENA_MAX, NULL);
	w.options.cancel = cancel;
	assert_int_equal(world_run(&w, "FROM x\nRUN a\n"), OK);
	evaluation_free(&w.evaluation);
	cancel_fire(cancel, E_CANCELLED);
	assert_int_equal(evaluate(&w.plan, NULL, &w.arena, &w.evaluation, &w.place, &w.err), E_CANCELLED);
	assert_int_equal(w.err.code, E_CANCELLED);
}

static void outline_of(struct world *w, const char *text, struct buf *out)
{
	const struct outline_subject subject = { bytes_of(text), &w->plan, &w->evaluation };

	world_init(w, DOCKERFILE_ARENA_MAX, NULL);
	assert_int_equal(world_run(w, text), OK);
	assert_int_equal(outline_text(&subject, out, &w->err), OK);
}

static void an_outline_has_each_name_once(void **state)
{
	CLEANUP(buf_free) struct buf out = BUF_INIT(1 << 10);
	CLEANUP(world_free) struct world w;

	(void)state;
	outline_of(&w,
		   "FROM x\nRUN --mount=type=secret,id=b --mount=type=secret,id=a a\n"
		   "RUN --mount=type=secret,id=a,required b\nRUN --mount=type=secret,id=b c\n",
		   &out);
	assert_string_equal(buf_text(&out), "SECRET REQUIRED\nb      \na      true\n\n");
}

/* Not one look at all names before it for each of them. */
static void an_outline_of_many_names(void **state)
{
	CLEANUP(buf_free) struct buf out = BUF_INIT(8 << 20), text = BUF_INIT(8 << 20);
	CLEANUP(world_free) struct world w;
	size_t lines = 0;

	(void)state;
	for (int i = 0; i < 80000; i++) {
		if (i % 20000 == 0)
			buf_printf(&text, "\nFROM %s%d AS s%d\nRUN", i ? "s" : "x", i - 20000, i);
		buf_printf(&text, " --mount=type=secret,id=%x%s", i, i % 20000 == 19999 ? " x" : "");
	}
	outline_of(&w, buf_text(&text), &out);
	for (size_t i = 0; i < out.len; i++)
		lines += out.data[i] == '\n';
	assert_int_equal(lines, 80000 + 4); /* the target and the head of the table, each with a blank line */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shapes),
		cmocka_unit_test(keys),
		cmocka_unit_test(options_count_where_they_matter),
		cmocka_unit_test(images_count_by_their_digest),
		cmocka_unit_test(settings_come_from_arguments),
		cmocka_unit_test(epochs),
		cmocka_unit_test(linked_copies_stand_alone),
		cmocka_unit_test(every_arena_is_enough_or_is_not),
		cmocka_unit_test(limits),
		cmocka_unit_test(arguments_of_a_long_chain),
		cmocka_unit_test(a_build_that_is_given_up_ends_here_too),
		cmocka_unit_test(an_outline_has_each_name_once),
		cmocka_unit_test(an_outline_of_many_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
