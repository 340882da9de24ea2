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

void free_strings(char **texts, size_t n)
{
	for (size_t i = 0; texts && i < n; i++)
		free(texts[i]);
	free(texts);
}

char **copy_all(const path_t &texts)
{
	char **out = static_cast<char **>(calloc(texts.size() + 1, sizeof *out));

	if (!out)
		throw std::bad_alloc();
	try {
		for (size_t i = 0; i < texts.size(); i++)
			out[i] = copy(texts[i]);
	} catch (...) {
		free_strings(out, texts.size());
		throw;
	}
	return out;
}

bool strings_of(const toml::array &array, path_t &items)
{
	for (const toml::node &node : array) {
		const auto *text = node.as_string();

		if (!text)
			return false;
		items.emplace_back(text->get());
	}
	return true;
}

bool lists_of(const toml::array &array, std::vector<path_t> &lists)
{
	for (const toml::node &node : array) {
		path_t items;

		if (const auto *text = node.as_string())
			items.emplace_back(text->get());
		else if (const toml::array *inner = node.as_array(); !inner || !strings_of(*inner, items))
			return false;
		lists.push_back(std::move(items));
	}
	return true;
}

void copy_lists(const std::vector<path_t> &lists, toml_value &v)
{
	v.lists = static_cast<toml_list *>(calloc(lists.size() + 1, sizeof *v.lists));
	if (!v.lists)
		throw std::bad_alloc();
	for (const path_t &items : lists) {
		v.lists[v.n_lists].items = copy_all(items);
		v.lists[v.n_lists++].n_items = items.size();
	}
}

void take_array(const toml::array &array, toml_value &v)
{
	std::vector<path_t> lists;
	path_t items;

	if (strings_of(array, items)) {
		v.items = copy_all(items);
		v.n_items = items.size();
		v.kind = TOML_STRINGS;
	} else if (lists_of(array, lists)) {
		copy_lists(lists, v);
		v.kind = TOML_LISTS;
	}
}

void take(const toml::node &node, toml_value &v)
{
	v.kind = TOML_OTHER;
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
		take_array(*array, v);
	} else if (const toml::table *table = node.as_table()) {
		v.kind = TOML_TABLE;
		v.empty = table->empty();
	}
}

void walk(const toml::table &table, path_t &path, std::vector<toml_value> &out)
{
	for (const auto &[key, node] : table) {
		path.emplace_back(key.str());
		out.push_back(toml_value{});
		toml_value &v = out.back();
		v.path = copy_all(path);
		v.n_path = path.size();
		v.line = key.source().begin.line;
		v.column = key.source().begin.column;
		take(node, v);
		if (const toml::table *child = node.as_table())
			walk(*child, path, out);
		path.pop_back();
	}
}

void free_value(toml_value &v)
{
	free_strings(v.path, v.n_path);
	free_strings(v.items, v.n_items);
	for (size_t i = 0; i < v.n_lists; i++)
		free_strings(v.lists[i].items, v.lists[i].n_items);
	free(v.lists);
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
