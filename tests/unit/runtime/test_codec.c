/* What the codec refuses on its way in and out. */
#include "codectest.pb-c.h"
#include "proto/runtime/buf.h"
#include "proto/runtime/codec.h"
#include "tests/unit/runtime/runtime_test.h"

typedef Codectest__Shapes Shapes;
typedef Codectest__Leaf Leaf;

static struct bytes wire_of(const char *data, size_t len)
{
	return (struct bytes){ (const uint8_t *)data, len };
}

/* A literal without its final NUL. */
#define WIRE(literal) wire_of(literal, sizeof(literal) - 1)

static int unpack(struct bytes wire, struct err *err)
{
	CLEANUP(arena_free) struct arena a;
	ProtobufCMessage *m = NULL;

	arena_init(&a, codec_arena_cap(wire.len));
	return codec_unpack(&codectest__shapes__descriptor, wire, &a, &m, err);
}

static void assert_refused(struct bytes wire, const char *text)
{
	struct err err = ERR_INIT;

	assert_int_equal(unpack(wire, &err), E_INVALID);
	if (!strstr(err.text, text)) {
		print_error("\"%s\" lacks \"%s\"\n", err.text, text);
		_fail(__FILE__, __LINE__);
	}
}

/* ---- UTF-8 ---------------------------------------------------------------------------------- */

static void utf8_accepts_every_range_at_its_ends(UNUSED void **state)
{
	static const char *const good[] = { "",
					    "a",
					    "\x7f",
					    "\xc2\x80",
					    "\xdf\xbf",
					    "\xe0\xa0\x80",
					    "\xed\x9f\xbf",
					    "\xee\x80\x80",
					    "\xef\xbf\xbf",
					    "\xf0\x90\x80\x80",
					    "\xf4\x8f\xbf\xbf",
					    "z\xc3\xbcrich 日本 😀" };

	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_true(utf8_valid(bytes_of(good[i])));
	assert_true(utf8_valid(WIRE("a\0b")));
	assert_true(utf8_valid((struct bytes){ 0 }));
}

static void utf8_refuses_what_rfc_3629_does(UNUSED void **state)
{
	static const char *const bad[] = {
		"\x80", /* continuation alone */
		"\xbf",
		"\xc0\x80", /* overlong */
		"\xc1\xbf",
		"\xe0\x80\x80",
		"\xe0\x9f\xbf",
		"\xf0\x80\x80\x80",
		"\xf0\x8f\xbf\xbf",
		"\xed\xa0\x80", /* surrogates */
		"\xed\xbf\xbf",
		"\xf4\x90\x80\x80", /* above U+10FFFF */
		"\xf5\x80\x80\x80",
		"\xff",
		"\xc2",
		"\xc2"
		"a", /* cut */
		"\xe2\x82",
		"\xe2\x82"
		"a",
		"\xf0\x9f\x98",
		"\xf0\x9f\x98"
		"a",
		"ok\xc3\xbc"
		"\xfe",
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(utf8_valid(bytes_of(bad[i])));
}

/* ---- in --------------------------------------------------------------------------------------- */

static void message_survives_the_round_trip(UNUSED void **state)
{
	CLEANUP(arena_free) struct arena a;
	char text[] = "text", one[] = "one", two[] = "", *texts[] = { one, two };
	Shapes shapes = CODECTEST__SHAPES__INIT;
	const Shapes *back;
	ProtobufCMessage *m;
	uint8_t wire[256];
	size_t n;

	shapes.text = text;
	shapes.texts = texts;
	shapes.n_texts = 2;
	shapes.one_case = CODECTEST__SHAPES__ONE_ONE_NUMBER;
	shapes.one_number = -3;
	assert_int_equal(codec_check(&shapes.base, NULL), OK);
	n = protobuf_c_message_pack(&shapes.base, wire);
	arena_init(&a, codec_arena_cap(n));
	assert_int_equal(codec_unpack(&codectest__shapes__descriptor, (struct bytes){ wire, n }, &a, &m, NULL), OK);
	back = (const Shapes *)m;
	assert_string_equal(back->text, "text");
	assert_string_equal(back->texts[0], "one");
	assert_string_equal(back->texts[1], "");
	assert_int_equal(back->one_number, -3);
}

static void empty_bytes_are_the_empty_message(UNUSED void **state)
{
	assert_int_equal(unpack((struct bytes){ 0 }, NULL), OK);
	assert_int_equal(unpack(wire_of("", 0), NULL), OK);
}

static void strings_with_a_nul_are_refused_wherever_they_are(UNUSED void **state)
{
	assert_refused(WIRE("\x0a\x02h\0"), "codectest.Shapes.text holds a NUL");
	assert_refused(WIRE("\x12\x01\0"), "codectest.Shapes.texts");
	assert_refused(WIRE("\x1a\x04\x0a\x02\0h"), "codectest.Leaf.text");
	assert_refused(WIRE("\x22\x03\x0a\x01\0"), "codectest.Leaf.text");
	assert_refused(WIRE("\x2a\x03\x12\x01\0"), "codectest.Shapes.MapEntry.value");
	assert_refused(WIRE("\x32\x01\0"), "codectest.Shapes.one_text");
}

static void strings_that_are_not_utf8_are_refused(UNUSED void **state)
{
	assert_refused(WIRE("\x0a\x01\xff"), "codectest.Shapes.text is not valid UTF-8");
	assert_refused(WIRE("\x2a\x03\x0a\x01\xc0"), "codectest.Shapes.MapEntry.key");
}

static void bytes_fields_may_hold_anything(UNUSED void **state)
{
	assert_int_equal(unpack(WIRE("\x1a\x04\x12\x02\0\xff"), NULL), OK);
	assert_int_equal(unpack(WIRE("\x52\x02\xff\0"), NULL), OK);
}

/* What a later field of the same number would hide is checked, too. */
static void overwritten_string_is_checked(UNUSED void **state)
{
	assert_refused(WIRE("\x0a\x01\xff\x0a\x01z"), "UTF-8");
}

static void unknown_fields_are_kept_out_of_the_way(UNUSED void **state)
{
	assert_int_equal(unpack(WIRE("\xfa\x7f\x01\xff"), NULL), OK);
	assert_int_equal(unpack(WIRE("\xf8\x7f\x05"), NULL), OK);
}

static void cut_and_senseless_bytes_are_refused(UNUSED void **state)
{
	static const char *const bad[] = {
		"\x0a",						    /* no length */
		"\x0a\x05hi",					    /* cut */
		"\x80",						    /* cut tag */
		"\x40\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", /* varint of 11 bytes */
		"\x5d\x01\x02",					    /* cut fixed32 */
		"\x61\x01\x02\x03\x04",				    /* cut fixed64 */
		"\x0b\x0c",					    /* group */
		"\x0e",						    /* wire type 6 */
		"\x0f",						    /* wire type 7 */
		"\x02\x01z",					    /* field 0 */
		"\x08\x01",					    /* string as varint */
		"\x1a\x02\x0a\x05",				    /* cut inside */
		"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01z",    /* length near 2^64 */
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_refused(bytes_of(bad[i]), "codectest.");
}

/* LEVELS messages, each in the one before. */
static size_t make_tree(uint8_t *out, size_t size, int levels)
{
	uint8_t inner[1024];
	size_t n = 0;

	for (int i = 1; i < levels; i++) {
		uint8_t tag[3] = { 0x0a, (uint8_t)(n & 0x7f), 0 };
		size_t head = 2;

		if (n > 0x7f) {
			tag[1] |= 0x80;
			tag[2] = (uint8_t)(n >> 7);
			head = 3;
		}
		memcpy(inner, out, n);
		assert_true(head + n <= size && head + n <= sizeof inner);
		memcpy(out, tag, head);
		memcpy(out + head, inner, n);
		n += head;
	}
	return n;
}

static void nesting_is_bounded_even_for_recursive_types(UNUSED void **state)
{
	CLEANUP(arena_free) struct arena a;
	uint8_t wire[1024];
	ProtobufCMessage *m;

	arena_init(&a, 1024 * 1024);
	assert_int_equal(codec_unpack(&codectest__tree__descriptor,
				      (struct bytes){ wire, make_tree(wire, sizeof wire, CODEC_DEPTH_MAX) }, &a, &m,
				      NULL),
			 OK);
	assert_int_equal(codec_check(m, NULL), OK);
	assert_int_equal(codec_unpack(&codectest__tree__descriptor,
				      (struct bytes){ wire, make_tree(wire, sizeof wire, CODEC_DEPTH_MAX + 1) }, &a, &m,
				      NULL),
			 E_INVALID);
}

/* Empty submessages take thirty times their bytes. */
static void amplification_stops_at_the_cap(UNUSED void **state)
{
	enum { N = 1024 * 1024 };
	CLEANUP(buf_free) struct buf wire = BUF_INIT(2 * N);
	CLEANUP(arena_free) struct arena a;
	struct err err = ERR_INIT;
	ProtobufCMessage *m = NULL;

	for (int i = 0; i < N; i++)
		assert_true(buf_append(&wire, "\x22\x00", 2));
	arena_init(&a, codec_arena_cap(wire.len));
	assert_int_equal(codec_unpack(&codectest__shapes__descriptor, buf_bytes(&wire), &a, &m, &err), E_INVALID);
	assert_true(a.used <= codec_arena_cap(wire.len));
	assert_null(m);
}

static void honest_messages_fit_under_the_cap(UNUSED void **state)
{
	CLEANUP(buf_free) struct buf wire = BUF_INIT(1024 * 1024);

	for (int i = 0; i < 20000; i++)
		assert_true(buf_puts(&wire, "\x12\x10"
					    "a string of some"));
	assert_int_equal(unpack(buf_bytes(&wire), NULL), OK);
	assert_int_equal(codec_arena_cap(SIZE_MAX), SIZE_MAX);
}

/* ---- out -------------------------------------------------------------------------------------- */

static void assert_unsendable(const Shapes *shapes, const char *text)
{
	struct err err = ERR_INIT;

	assert_int_equal(codec_check(&shapes->base, &err), E_INTERNAL);
	if (!strstr(err.text, text)) {
		print_error("\"%s\" lacks \"%s\"\n", err.text, text);
		_fail(__FILE__, __LINE__);
	}
}

static void outgoing_strings_must_be_utf8(UNUSED void **state)
{
	char bad[] = "caf\xe9", good[] = "ok", *texts[] = { good, bad };
	Shapes shapes = CODECTEST__SHAPES__INIT;
	Leaf leaf = CODECTEST__LEAF__INIT;

	shapes.text = bad;
	assert_unsendable(&shapes, "codectest.Shapes.text");
	shapes.text = good;
	shapes.texts = texts;
	shapes.n_texts = 2;
	assert_unsendable(&shapes, "codectest.Shapes.texts");
	shapes.n_texts = 1;
	shapes.leaf = &leaf;
	leaf.text = bad;
	assert_unsendable(&shapes, "codectest.Leaf.text");
}

static void missing_elements_are_found_before_packing(UNUSED void **state)
{
	char *texts[] = { NULL };
	Leaf *leaves[] = { NULL };
	ProtobufCBinaryData datas[] = { { 3, NULL } };
	Shapes shapes = CODECTEST__SHAPES__INIT;

	shapes.n_texts = 1;
	assert_unsendable(&shapes, "texts: it is NULL");
	shapes.texts = texts;
	assert_unsendable(&shapes, "texts: it is NULL");
	shapes.n_texts = 0;
	shapes.leaves = leaves;
	shapes.n_leaves = 1;
	assert_unsendable(&shapes, "leaves: it is NULL");
	shapes.n_leaves = 0;
	shapes.n_numbers = 1;
	assert_unsendable(&shapes, "numbers: it is NULL");
	shapes.n_numbers = 0;
	shapes.datas = datas;
	shapes.n_datas = 1;
	assert_unsendable(&shapes, "datas: its bytes are missing");
	shapes.n_datas = 0;
	shapes.text = NULL; /* as good as empty */
	assert_int_equal(codec_check(&shapes.base, NULL), OK);
}

static void only_the_chosen_member_of_a_oneof_is_looked_at(UNUSED void **state)
{
	char bad[] = "\xff";
	Shapes shapes = CODECTEST__SHAPES__INIT;

	shapes.one_case = CODECTEST__SHAPES__ONE_ONE_NUMBER;
	shapes.one_number = 1; /* would be a wild pointer as a string */
	assert_int_equal(codec_check(&shapes.base, NULL), OK);
	shapes.one_case = CODECTEST__SHAPES__ONE_ONE_TEXT;
	shapes.one_text = bad;
	assert_unsendable(&shapes, "one_text");
}

static void message_that_contains_itself_is_refused(UNUSED void **state)
{
	Codectest__Tree tree = CODECTEST__TREE__INIT;
	struct err err = ERR_INIT;

	tree.child = &tree;
	assert_int_equal(codec_check(&tree.base, &err), E_INTERNAL);
	assert_non_null(strstr(err.text, "nest deeper"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(utf8_accepts_every_range_at_its_ends),
		cmocka_unit_test(utf8_refuses_what_rfc_3629_does),
		cmocka_unit_test(message_survives_the_round_trip),
		cmocka_unit_test(empty_bytes_are_the_empty_message),
		cmocka_unit_test(strings_with_a_nul_are_refused_wherever_they_are),
		cmocka_unit_test(strings_that_are_not_utf8_are_refused),
		cmocka_unit_test(bytes_fields_may_hold_anything),
		cmocka_unit_test(overwritten_string_is_checked),
		cmocka_unit_test(unknown_fields_are_kept_out_of_the_way),
		cmocka_unit_test(cut_and_senseless_bytes_are_refused),
		cmocka_unit_test(nesting_is_bounded_even_for_recursive_types),
		cmocka_unit_test(amplification_stops_at_the_cap),
		cmocka_unit_test(honest_messages_fit_under_the_cap),
		cmocka_unit_test(outgoing_strings_must_be_utf8),
		cmocka_unit_test(missing_elements_are_found_before_packing),
		cmocka_unit_test(only_the_chosen_member_of_a_oneof_is_looked_at),
		cmocka_unit_test(message_that_contains_itself_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
