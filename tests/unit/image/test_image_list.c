/* ListImages, asked as clients ask: over a socket, page by page. */
#include "imaged/v1/image_service.client.h"
#include "tests/unit/image/daemon.h"
#include "tests/unit/image/literals.h"

#define BY_NAME IMAGED__V1__LIST_IMAGES_REQUEST__ORDER__ORDER_NAME
#define NEWEST_FIRST IMAGED__V1__LIST_IMAGES_REQUEST__ORDER__ORDER_CREATED_DESC
#define UNSPECIFIED IMAGED__V1__LIST_IMAGES_REQUEST__ORDER__ORDER_UNSPECIFIED

enum { TEXT_MAX = 65536 };

/* ---- pages -------------------------------------------------------------------- */

typedef Imaged__V1__ListImagesRequest request;
typedef Imaged__V1__ListImagesResponse page;

#define PAGE CLEANUP(imaged__v1__image_service__list_images_freep) page

static int ask_code(struct daemon *d, const Imaged__V1__ImageFilter *filter, int order, int32_t size, const char *token,
		    page **ret_page, struct err *err)
{
	request q = IMAGED__V1__LIST_IMAGES_REQUEST__INIT;

	q.filter = (Imaged__V1__ImageFilter *)filter;
	q.order = order;
	q.page_size = size;
	q.page_token = (char *)token;
	return imaged__v1__image_service__call_list_images(d->channel, NULL, &q, ret_page, err);
}

static page *ask(struct daemon *d, const Imaged__V1__ImageFilter *filter, int order, int32_t size, const char *token)
{
	page *p = NULL;
	struct err err = ERR_INIT;

	assert_ok(ask_code(d, filter, order, size, token, &p, &err), &err);
	return p;
}

static void assert_refused(struct daemon *d, const Imaged__V1__ImageFilter *filter, int order, int32_t size,
			   const char *token, int code, const char *text)
{
	page *p = NULL;
	struct err err = ERR_INIT;

	assert_code(ask_code(d, filter, order, size, token, &p, &err), code);
	assert_string_equal(err.text, text);
	assert_null(p);
}

/* The first tag without repository and "latest", or "-" for an image without one. */
static void add_images(struct buf *out, const page *p)
{
	for (size_t i = 0; i < p->n_images; i++) {
		const char *name = p->images[i]->n_repo_tags ? p->images[i]->repo_tags[0] : "docker.io/library/-:";

		name += strlen("docker.io/library/");
		buf_printf(out, "%.*s ", (int)strcspn(name, ":"), name);
	}
}

/* Adds a page to the text and goes on to the next one: the token takes its place. */
static void turn(struct daemon *d, const Imaged__V1__ImageFilter *filter, int order, int32_t size, char **token,
		 struct buf *out)
{
	PAGE *p = ask(d, filter, order, size, *token);

	assert_true(size <= 0 || p->n_images <= (size_t)size);
	add_images(out, p);
	free(*token);
	*token = strdup(p->next_page_token);
	assert_non_null(*token);
}

static void assert_lists(struct daemon *d, const Imaged__V1__ImageFilter *filter, int order, int32_t size,
			 const char *expected)
{
	CLEANUP(buf_free) struct buf out = BUF_INIT(TEXT_MAX);
	CLEANUP(freep) char *token = strdup("");

	do
		turn(d, filter, order, size, &token, &out);
	while (*token);
	assert_string_equal(buf_text(&out), expected);
}

static void make(struct daemon *d, const char *name, int64_t created)
{
	make_image(d->store, &(struct image_spec){ .name = name, .refs = { name }, .created = created });
}

static void take_away(struct daemon *d, const char *name)
{
	struct err err = ERR_INIT;
	char *said;

	assert_ok(removal_text(d->store, name, true, false, &said, NULL, &err), &err);
	free(said);
}

static void fill(struct daemon *d)
{
	make(d, "e", 100);
	make(d, "b", 500);
	make(d, "d", 300);
	make(d, "a", 200);
	make(d, "c", 0);
	make_image(d->store, &(struct image_spec){ .name = "nameless", .created = 400 });
}

/* ---- tests -------------------------------------------------------------------- */

static void an_empty_store_has_one_empty_page(void **state)
{
	struct daemon *d = *state;
	PAGE *p = ask(d, NULL, BY_NAME, 0, "");

	assert_int_equal(p->n_images, 0);
	assert_string_equal(p->next_page_token, "");
	assert_lists(d, NULL, NEWEST_FIRST, 1, "");
}

static void both_orders_hold_for_every_size_of_page(void **state)
{
	struct daemon *d = *state;

	fill(d);
	for (int32_t size = 0; size < 8; size++) {
		assert_lists(d, NULL, NEWEST_FIRST, size, "b - d a e c ");
		assert_lists(d, NULL, UNSPECIFIED, size, "b - d a e c ");
		assert_lists(d, NULL, BY_NAME, size, "a b c d e - ");
	}
}

static void a_page_is_full_while_there_is_more(void **state)
{
	struct daemon *d = *state;
	CLEANUP(freep) char *token = strdup("");

	fill(d);
	for (size_t seen = 0; seen < 6; seen += 4) {
		PAGE *p = ask(d, NULL, BY_NAME, 4, token);

		assert_int_equal(p->n_images, seen ? 2 : 4);
		assert_true(!*p->next_page_token == (seen != 0));
		free(token);
		token = strdup(p->next_page_token);
	}
}

static void a_summary_says_what_the_store_knows(void **state)
{
	struct daemon *d = *state;
	struct image_spec spec = {
		.name = "s", .layers = { "one", "two!" }, .refs = { "s:2", "s:1" }, .created = 77, .label = "value"
	};
	struct made made = make_image(d->store, &spec);
	PAGE *p = ask(d, NULL, NEWEST_FIRST, 0, "");
	const Imaged__V1__ImageSummary *m;
	char id[DIGEST_TEXT_MAX];

	assert_int_equal(p->n_images, 1);
	m = p->images[0];
	assert_string_equal(m->id, digest_text(&made.config, id));
	assert_int_equal(m->n_manifest_digests, 1);
	assert_string_equal(m->manifest_digests[0], digest_text(&made.manifest, id));
	assert_int_equal(m->n_repo_tags, 2);
	assert_string_equal(m->repo_tags[0], "docker.io/library/s:1");
	assert_string_equal(m->repo_tags[1], "docker.io/library/s:2");
	assert_int_equal(m->n_repo_digests, 0);
	assert_int_equal(m->created->seconds, 77);
	assert_int_equal(m->size, 1003 + 1004);
	assert_int_equal(m->content_size, strlen("config s") + strlen("manifest s") + 3 + 4);
	assert_string_equal(m->platform->os, "linux");
	assert_int_equal(m->n_labels, 1);
	assert_string_equal(m->labels[0]->value, "value");
}

static void what_is_filtered_out_takes_no_place_on_a_page(void **state)
{
	struct daemon *d = *state;
	const Imaged__V1__ImageFilter *some = FILTER(LIST(references, "[ace]"));

	fill(d);
	for (int32_t size = 0; size < 4; size++) {
		assert_lists(d, some, BY_NAME, size, "a c e ");
		assert_lists(d, some, NEWEST_FIRST, size, "a e c ");
		assert_lists(d, BETWEEN("a", "b"), NEWEST_FIRST, size, "- d ");
		assert_lists(d, FILTER(.dangling = IMAGED__V1__CHOICE__CHOICE_YES), BY_NAME, size, "- ");
	}
}

static void few_images_of_many_pass(void **state)
{
	enum { MANY = 150 };
	struct daemon *d = *state;

	for (int i = 0; i < MANY; i++) {
		struct image_spec spec = { .label = i % 70 == 5 ? "rare" : "common", .created = 1000 + i };
		char name[16];

		snprintf(name, sizeof name, "i%03d", i);
		spec.name = spec.refs[0] = name;
		make_image(d->store, &spec);
	}
	for (int32_t size = 0; size < 4; size++) {
		assert_lists(d, FILTER(LIST(labels, "test=rare")), BY_NAME, size, "i005 i075 i145 ");
		assert_lists(d, FILTER(LIST(labels, "test=rare")), NEWEST_FIRST, size, "i145 i075 i005 ");
		assert_lists(d, FILTER(LIST(labels, "test=none")), NEWEST_FIRST, size, "");
	}
}

static void sizes_of_pages_have_bounds(void **state)
{
	enum { DEFAULT = 100, MAX = 1000, ALL = 1003 };
	struct daemon *d = *state;
	PAGE *p = NULL, *q = NULL, *rest = NULL;

	for (int i = 0; i < ALL; i++) {
		char name[16];

		snprintf(name, sizeof name, "%d", i);
		make_image(d->store, &(struct image_spec){ .name = name, .created = 1 + i });
	}
	p = ask(d, NULL, NEWEST_FIRST, 0, "");
	assert_int_equal(p->n_images, DEFAULT);
	q = ask(d, NULL, NEWEST_FIRST, INT32_MAX, "");
	assert_int_equal(q->n_images, MAX);
	rest = ask(d, NULL, NEWEST_FIRST, MAX + 1, q->next_page_token);
	assert_int_equal(rest->n_images, ALL - MAX);
	assert_string_equal(rest->next_page_token, "");
	assert_refused(d, NULL, NEWEST_FIRST, -1, "", E_INVALID, "page_size is negative");
	assert_refused(d, NULL, NEWEST_FIRST, INT32_MIN, "", E_INVALID, "page_size is negative");
}

/* The client takes no message beyond 4 MiB, as gRPC's are by default. */
static void a_page_fits_into_a_message_however_large_the_images_are(void **state)
{
	enum { LABEL = 100 * 1024, IMAGES = 90 };
	struct daemon *d = *state;
	CLEANUP(freep) char *label = malloc(LABEL + 1);
	CLEANUP(freep) char *token = strdup("");
	CLEANUP(buf_free) struct buf out = BUF_INIT(TEXT_MAX), expected = BUF_INIT(TEXT_MAX);
	int pages = 0;

	assert_non_null(label);
	memset(label, 'x', LABEL);
	label[LABEL] = 0;
	for (int i = 0; i < IMAGES; i++) {
		char name[16];

		snprintf(name, sizeof name, "i%03d", i);
		make_image(d->store, &(struct image_spec){ .name = name, .refs = { name }, .label = label });
		buf_printf(&expected, "%s ", name);
	}
	do {
		turn(d, NULL, BY_NAME, 1000, &token, &out);
		pages++;
	} while (*token);
	assert_string_equal(buf_text(&out), buf_text(&expected));
	assert_in_range(pages, 3, 4);
}

static void a_token_belongs_to_its_filter_and_order(void **state)
{
	static const char other[] = "page_token belongs to another filter or order";
	struct daemon *d = *state;
	const Imaged__V1__ImageFilter *filter = FILTER(LIST(references, "[a-e]"));
	PAGE *plain = NULL, *filtered = NULL, *next = NULL, *again = NULL;

	fill(d);
	plain = ask(d, NULL, BY_NAME, 2, "");
	filtered = ask(d, filter, BY_NAME, 2, "");
	assert_true(*plain->next_page_token && *filtered->next_page_token);
	assert_refused(d, NULL, NEWEST_FIRST, 2, plain->next_page_token, E_INVALID, other);
	assert_refused(d, NULL, UNSPECIFIED, 2, plain->next_page_token, E_INVALID, other);
	assert_refused(d, filter, BY_NAME, 2, plain->next_page_token, E_INVALID, other);
	assert_refused(d, NULL, BY_NAME, 2, filtered->next_page_token, E_INVALID, other);
	assert_refused(d, FILTER(LIST(references, "[a-f]")), BY_NAME, 2, filtered->next_page_token, E_INVALID, other);
	/* An empty filter is none, unspecified is newest first, and sizes may differ. */
	next = ask(d, FILTER(), BY_NAME, 1, plain->next_page_token);
	assert_string_equal(next->images[0]->repo_tags[0], "docker.io/library/c:latest");
	again = ask(d, NULL, NEWEST_FIRST, 1, "");
	assert_lists(d, NULL, UNSPECIFIED, 1, "b - d a e c ");
	imaged__v1__image_service__list_images_freep(&next);
	next = ask(d, NULL, UNSPECIFIED, 5, again->next_page_token);
	assert_int_equal(next->n_images, 5);
}

static void a_token_that_was_not_given_out_is_refused(void **state)
{
	static const char not_one[] = "page_token is not one that ListImages gave out";
	struct daemon *d = *state;
	CLEANUP(buf_free) struct buf text = BUF_INIT(TEXT_MAX);
	PAGE *p = NULL;
	const char *good;
	size_t len;

	fill(d);
	p = ask(d, NULL, BY_NAME, 2, "");
	good = p->next_page_token;
	len = strlen(good);
	assert_refused(d, NULL, BY_NAME, 2, "x", E_INVALID, not_one);
	assert_refused(d, NULL, BY_NAME, 2, "0", E_INVALID, not_one);
	assert_refused(d, NULL, BY_NAME, 2, "00", E_INVALID, not_one);
	assert_refused(d, NULL, BY_NAME, 2, "\xc3\xa4", E_INVALID, not_one);
	for (size_t i = 0; i < 2; i++) { /* half a byte less, or more */
		buf_reset(&text);
		buf_printf(&text, "%.*s", (int)(len - 1 + 2 * i), i ? "" : good);
		if (i)
			buf_printf(&text, "%s0", good);
		assert_refused(d, NULL, BY_NAME, 2, buf_text(&text), E_INVALID, not_one);
	}
	for (size_t at = 0; at < len; at += 7) { /* a character that is no hex digit */
		for (const char *c = "g /:`@G"; *c; c++) {
			buf_reset(&text);
			buf_puts(&text, good);
			text.data[at] = (uint8_t)*c;
			assert_refused(d, NULL, BY_NAME, 2, buf_text(&text), E_INVALID, not_one);
		}
	}
	buf_reset(&text);
	for (size_t i = 0; i < 10000; i++) /* longer than any key */
		buf_puts(&text, "00");
	assert_refused(d, NULL, BY_NAME, 2, buf_text(&text), E_INVALID, not_one);
}

/* The head alone, without a key: cut at every length there is no crash, and no
 * images from the front again. */
static void a_token_that_was_cut_leads_to_no_page_before_it(void **state)
{
	struct daemon *d = *state;
	PAGE *p = NULL;
	CLEANUP(freep) char *token = NULL;

	fill(d);
	p = ask(d, NULL, BY_NAME, 2, "");
	token = strdup(p->next_page_token);
	assert_non_null(token);
	for (size_t len = strlen(token) - 1; len > 0; len--) {
		page *answer = NULL;
		struct err err = ERR_INIT;
		int r;

		token[len] = 0;
		r = ask_code(d, NULL, BY_NAME, 2, token, &answer, &err);
		if (len % 2 || len <= 2 * (sizeof(uint64_t) + 1))
			assert_code(r, E_INVALID);
		else
			assert_ok(r, &err);
		imaged__v1__image_service__list_images_freep(&answer);
	}
}

static void images_of_before_and_since_must_be_there(void **state)
{
	struct daemon *d = *state;

	fill(d);
	assert_refused(d, BETWEEN("", "gone"), NEWEST_FIRST, 0, "", E_NO_SUCH_IMAGE, "No such image: gone:latest");
	assert_refused(d, BETWEEN("gone", ""), BY_NAME, 0, "", E_NO_SUCH_IMAGE, "No such image: gone:latest");
	assert_refused(d, FILTER(LIST(references, "[")), BY_NAME, 0, "", E_INVALID_FILTER, "syntax error in pattern");
}

static void what_is_removed_between_pages_is_not_listed_and_nothing_else_is_missing(void **state)
{
	struct daemon *d = *state;

	fill(d);
	for (int order = NEWEST_FIRST; order <= BY_NAME; order++) {
		CLEANUP(buf_free) struct buf out = BUF_INIT(TEXT_MAX);
		CLEANUP(freep) char *token = strdup("");

		turn(d, NULL, order, 2, &token, &out); /* "b -" or "a b" */
		take_away(d, "b");		       /* on the page that was shown */
		take_away(d, "d");		       /* still to come */
		while (*token)
			turn(d, NULL, order, 2, &token, &out);
		assert_string_equal(buf_text(&out), order == BY_NAME ? "a b c e - " : "b - a e c ");
		make(d, "b", 500);
		make(d, "d", 300);
	}
}

static void everything_may_be_removed_between_pages(void **state)
{
	struct daemon *d = *state;
	CLEANUP(buf_free) struct buf out = BUF_INIT(TEXT_MAX);
	CLEANUP(freep) char *token = strdup("");

	fill(d);
	turn(d, NULL, BY_NAME, 2, &token, &out);
	for (const char *name = "abcde"; *name; name++)
		take_away(d, (char[]){ *name, 0 });
	while (*token)
		turn(d, NULL, BY_NAME, 2, &token, &out);
	assert_string_equal(buf_text(&out), "a b - ");
}

static void what_is_added_between_pages_comes_where_its_place_is(void **state)
{
	struct daemon *d = *state;

	fill(d);
	for (int order = NEWEST_FIRST; order <= BY_NAME; order++) {
		CLEANUP(buf_free) struct buf out = BUF_INIT(TEXT_MAX);
		CLEANUP(freep) char *token = strdup("");

		turn(d, NULL, order, 2, &token, &out); /* "b -" or "a b" */
		make(d, "aa", 450);		       /* before the place in either order */
		make(d, "dd", 250);		       /* behind it */
		while (*token)
			turn(d, NULL, order, 2, &token, &out);
		assert_string_equal(buf_text(&out), order == BY_NAME ? "a b c d dd e - " : "b - d dd a e c ");
		take_away(d, "aa");
		take_away(d, "dd");
	}
}

/* A new manifest of a configuration, or a new first name, does not show it twice in
 * the order that it was shown in already. */
static void an_image_that_changes_between_pages_is_not_shown_twice(void **state)
{
	struct daemon *d = *state;
	CLEANUP(buf_free) struct buf out = BUF_INIT(TEXT_MAX);
	CLEANUP(freep) char *token = strdup("");

	fill(d);
	turn(d, NULL, NEWEST_FIRST, 2, &token, &out); /* "b -" */
	make_image(d->store, &(struct image_spec){ .name = "b", .manifest = " 2", .refs = { "z" }, .created = 500 });
	while (*token)
		turn(d, NULL, NEWEST_FIRST, 2, &token, &out);
	assert_string_equal(buf_text(&out), "b - d a e c ");
	buf_reset(&out);
	turn(d, NULL, BY_NAME, 2, &token, &out); /* "a b" */
	make_image(d->store, &(struct image_spec){ .name = "a", .refs = { "y" }, .created = 200 });
	while (*token)
		turn(d, NULL, BY_NAME, 2, &token, &out);
	assert_string_equal(buf_text(&out), "a b c d e - ");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, daemon_start, daemon_stop)
	const struct CMUnitTest tests[] = {
		TEST(an_empty_store_has_one_empty_page),
		TEST(both_orders_hold_for_every_size_of_page),
		TEST(a_page_is_full_while_there_is_more),
		TEST(a_summary_says_what_the_store_knows),
		TEST(what_is_filtered_out_takes_no_place_on_a_page),
		TEST(few_images_of_many_pass),
		TEST(sizes_of_pages_have_bounds),
		TEST(a_page_fits_into_a_message_however_large_the_images_are),
		TEST(a_token_belongs_to_its_filter_and_order),
		TEST(a_token_that_was_not_given_out_is_refused),
		TEST(a_token_that_was_cut_leads_to_no_page_before_it),
		TEST(images_of_before_and_since_must_be_there),
		TEST(what_is_removed_between_pages_is_not_listed_and_nothing_else_is_missing),
		TEST(everything_may_be_removed_between_pages),
		TEST(what_is_added_between_pages_comes_where_its_place_is),
		TEST(an_image_that_changes_between_pages_is_not_shown_twice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
