/*
 * TOML as a flat list: every table and every value with its path and its place in
 * the file, in file order. The one C header in front of toml++ (toml.cpp).
 */
#ifndef SERVICE_CONFIG_TOML_H
#define SERVICE_CONFIG_TOML_H

#include "proto/runtime/mem.h"

#ifdef __cplusplus
extern "C" {
#endif

enum toml_kind { TOML_STRING, TOML_INTEGER, TOML_BOOLEAN, TOML_STRINGS, TOML_LISTS, TOML_TABLE, TOML_OTHER };

struct toml_list {
	char **items;
	size_t n_items;
};

struct toml_value {
	char **path; /* names from the root, unquoted */
	size_t n_path;
	enum toml_kind kind;
	char *text;	/* TOML_STRING */
	int64_t number; /* TOML_INTEGER; 0 or 1 for TOML_BOOLEAN */
	char **items;	/* TOML_STRINGS: an array of strings only, maybe empty */
	size_t n_items;
	struct toml_list *lists; /* TOML_LISTS: an array of arrays of strings; a string alone is one of one */
	size_t n_lists;
	bool empty; /* TOML_TABLE: nothing is in it */
	unsigned line, column;
};

struct toml_file {
	struct toml_value *values;
	size_t n_values;
};

/* E_INVALID names file, line and column. Strings with a NUL are refused. */
int toml_file_parse(const char *file, const char *text, size_t len, struct toml_file **ret_toml, struct err *err);
void toml_file_free(struct toml_file *t);
void toml_file_freep(struct toml_file **t);

#ifdef __cplusplus
}
#endif

#endif
