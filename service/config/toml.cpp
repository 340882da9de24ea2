// The project's only C++: Debian has no C library for TOML.
#include "service/config/toml.h"

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#define TOML_EXCEPTIONS 1
#define TOML_HEADER_ONLY 1
#include <toml++/toml.h>

namespace
{

using path_t = std::vector<std::string>;

char *copy(std::string_view text)
{
	char *out = static_cast<char *>(malloc(text.size() + 1));

	if (!out || text.find('\0') != std::string_view::npos) {
		free(out);
		throw std::bad_alloc();
	}
	memcpy(out, text.data(), text.size());
	out[text.size()] = 0;
	return out;
}

char **copy_all(const path_t &texts)
{
	char **out = static_cast<char **>(calloc(texts.size() + 1, sizeof *out));

	if (!out)
		throw std::bad_alloc();
	for (size_t i = 0; i < texts.size(); i++)
		out[i] = copy(texts[i]);
	return out;
}

void strings_of(const toml::array &array, toml_value &value)
{
	path_t items;

	for (const toml::node &node : array) {
		const auto *text = node.as_string();

		if (!text)
			return;
		items.emplace_back(text->get());
	}
	value.kind = TOML_STRINGS;
	value.items = copy_all(items);
	value.n_items = items.size();
}

void walk(const toml::table &table, path_t &path, std::vector<toml_value> &out)
{
	for (const auto &[key, node] : table) {
		path.emplace_back(key.str());
		if (const toml::table *child = node.as_table(); child && !child->empty()) {
			walk(*child, path, out);
		} else {
			toml_value value = {};

			out.push_back(value);
			toml_value &v = out.back();
			v.kind = TOML_OTHER;
			v.path = copy_all(path);
			v.n_path = path.size();
			v.line = key.source().begin.line;
			v.column = key.source().begin.column;
			if (const auto *text = node.as_string()) {
				v.text = copy(text->get());
				v.kind = TOML_STRING;
			} else if (const auto *number = node.as_integer()) {
				v.number = number->get();
				v.kind = TOML_INTEGER;
			} else if (const auto *boolean = node.as_boolean()) {
				v.number = boolean->get();
				v.kind = TOML_BOOLEAN;
			} else if (const toml::array *array = node.as_array()) {
				strings_of(*array, v);
			}
		}
		path.pop_back();
	}
}

void free_strings(char **texts, size_t n)
{
	for (size_t i = 0; texts && i < n; i++)
		free(texts[i]);
	free(texts);
}

void free_value(toml_value &v)
{
	free_strings(v.path, v.n_path);
	free_strings(v.items, v.n_items);
	free(v.text);
}

} // namespace

extern "C" int toml_file_parse(const char *file, const char *text, size_t len, struct toml_file **ret_toml, struct err *err)
{
	std::vector<toml_value> values;

	try {
		path_t path;

		walk(toml::parse(std::string_view(text, len), std::string_view(file)), path, values);
		std::sort(values.begin(), values.end(), [](const toml_value &a, const toml_value &b) {
			return a.line != b.line ? a.line < b.line : a.column < b.column;
		});
		struct toml_file *t = static_cast<struct toml_file *>(calloc(1, sizeof *t));
		toml_value *copy = static_cast<toml_value *>(calloc(values.size() + 1, sizeof *copy));

		if (!t || !copy) {
			free(t);
			free(copy);
			throw std::bad_alloc();
		}
		std::copy(values.begin(), values.end(), copy);
		t->values = copy;
		t->n_values = values.size();
		*ret_toml = t;
		return OK;
	} catch (const toml::parse_error &e) {
		std::string why(e.description());

		std::for_each(values.begin(), values.end(), free_value);
		return fail(err, E_INVALID, "%s:%u:%u: %s", file, static_cast<unsigned>(e.source().begin.line),
			    static_cast<unsigned>(e.source().begin.column), why.c_str());
	} catch (const std::exception &e) {
		std::for_each(values.begin(), values.end(), free_value);
		return fail(err, E_INVALID, "%s: cannot be read: %s", file, e.what());
	}
}

extern "C" void toml_file_free(struct toml_file *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->n_values; i++)
		free_value(t->values[i]);
	free(t->values);
	free(t);
}

extern "C" void toml_file_freep(struct toml_file **t)
{
	toml_file_free(*t);
}
