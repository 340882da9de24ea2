/* Any text as a template, over a struct and over raw JSON: it must end, within its
 * bounds, and leave nothing behind. The first byte chooses the data and the mode. */
#include "client/cli/template/template.h"

#include "client/cli/value/print.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct value_field fields[] = {
	{ .name = "Name", .method = true },
	{ .name = "Tags" },
	{ .name = "Labels" },
	{ .name = "Size" },
	{ .name = "Wait", .json = "wait", .omit_empty = true },
	{ .name = "When" },
	{ .name = "Nobody" },
};
static const struct value_type type_object = {
	.name = "fuzz.Object",
	.kind = VALUE_STRUCT,
	.fields = fields,
	.n_fields = ARRAY_LEN(fields),
};

static struct value object(void)
{
	static struct value tags[3], values[ARRAY_LEN(fields)];
	static struct value_pair labels[2];

	tags[0] = value_string("22.04");
	tags[1] = value_string("");
	tags[2] = value_string("zé\xff");
	labels[0] = (struct value_pair){ text_of("a"), value_string("<1>") };
	labels[1] = (struct value_pair){ text_of("b"), value_string("2") };
	values[0] = value_string("docker.io/library/ubuntu");
	values[1] = value_list(&type_strings, tags, 3);
	values[2] = value_map(&type_string_map, labels, 2);
	values[3] = value_int64(687033);
	values[4] = value_duration(-90000000001);
	values[5] = value_time(1634348865, 5000);
	values[6] = value_nil_pointer(&type_object);
	return value_pointer_to(value_struct(&type_object, values));
}

static struct value raw(void)
{
	static struct value list[4];
	static struct value_pair pairs[4];
	struct value number = value_string("42");

	number.type = &type_number;
	list[0] = number;
	list[1] = (struct value){ .kind = VALUE_NIL };
	list[2] = value_float(2.5);
	list[3] = value_string("x\ty");
	pairs[0] = (struct value_pair){ text_of("Id"), value_string("sha256:abc") };
	pairs[1] = (struct value_pair){ text_of("List"), value_list(&type_any_list, list, 4) };
	pairs[2] = (struct value_pair){ text_of("Nothing"), { .kind = VALUE_NIL } };
	pairs[3] = (struct value_pair){ text_of("Size"), number };
	return value_map(&type_any_map, pairs, 4);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct template_options options = { .steps_max = 20000 };
	struct buf out = BUF_INIT(1024 * 1024);
	struct template *t = NULL;
	struct err err = ERR_INIT;

	if (!size)
		return 0;
	options.mode = data[0] & 1 ? TEMPLATE_HEADER : TEMPLATE_ROW;
	options.missing_key_error = data[0] & 2;
	if (!template_parse((struct text){ (const char *)data + 1, size - 1 }, &t, &err))
		template_execute(t, &options, data[0] & 4 ? raw() : object(), &out, &err);
	template_free(t);
	buf_free(&out);
	return 0;
}
