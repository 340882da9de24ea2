#include "proto/plugin/names.h"

#include <stdio.h>

/* The locale must not matter, so <ctype.h> is not used. */
static bool is_upper(char c)
{
	return c >= 'A' && c <= 'Z';
}

static bool is_lower(char c)
{
	return c >= 'a' && c <= 'z';
}

static bool is_alnum(char c)
{
	return is_upper(c) || is_lower(c) || (c >= '0' && c <= '9');
}

static char to_upper(char c)
{
	return is_lower(c) ? (char)(c - 'a' + 'A') : c;
}

static char to_lower(char c)
{
	return is_upper(c) ? (char)(c - 'A' + 'a') : c;
}

/* Room for a name in which each character may become two. */
static char *room_for(struct arena *a, const char *name)
{
	return arena_array(a, strlen(name) + 1, 2);
}

char *name_type(struct arena *a, const char *full_name)
{
	char *name = room_for(a, full_name), *out = name;
	bool capital = true;

	for (const char *p = full_name; name && *p; p++) {
		if (*p == '.') {
			*out++ = '_';
			*out++ = '_';
			capital = true;
		} else if (*p == '_') {
			capital = true;
		} else {
			*out++ = capital ? to_upper(*p) : *p;
			capital = false;
		}
	}
	return name;
}

/* An underscore at each border from a character that is no capital to one. */
static char *split_words(struct arena *a, const char *full_name, char (*change)(char))
{
	char *name = room_for(a, full_name), *out = name;
	bool was_upper = true;

	for (const char *p = full_name; name && *p; p++) {
		if (*p == '.') {
			*out++ = '_';
			*out++ = '_';
			was_upper = true;
			continue;
		}
		if (is_upper(*p) && !was_upper)
			*out++ = '_';
		*out++ = change(*p);
		was_upper = is_upper(*p);
	}
	return name;
}

char *name_lower(struct arena *a, const char *full_name)
{
	return split_words(a, full_name, to_lower);
}

char *name_upper(struct arena *a, const char *full_name)
{
	return split_words(a, full_name, to_upper);
}

static bool is_reserved(const char *word)
{
	static const char *const words[] = {
		"and",
		"and_eq",
		"asm",
		"auto",
		"bitand",
		"bitor",
		"bool",
		"break",
		"case",
		"catch",
		"char",
		"class",
		"compl",
		"const",
		"const_cast",
		"continue",
		"default",
		"delete",
		"do",
		"double",
		"dynamic_cast",
		"else",
		"enum",
		"explicit",
		"extern",
		"false",
		"float",
		"for",
		"friend",
		"goto",
		"if",
		"inline",
		"int",
		"long",
		"mutable",
		"namespace",
		"new",
		"not",
		"not_eq",
		"operator",
		"or",
		"or_eq",
		"private",
		"protected",
		"public",
		"register",
		"reinterpret_cast",
		"restrict",
		"return",
		"short",
		"signed",
		"sizeof",
		"static",
		"static_cast",
		"struct",
		"switch",
		"template",
		"this",
		"throw",
		"true",
		"try",
		"typedef",
		"typeid",
		"typename",
		"typeof",
		"union",
		"unsigned",
		"using",
		"virtual",
		"void",
		"volatile",
		"wchar_t",
		"while",
		"xor",
		"xor_eq",
		/* macros */
		"assert",
		"errno",
		"linux",
		"stderr",
		"stdin",
		"stdout",
		"unix",
	};

	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (!strcmp(word, words[i]))
			return true;
	return false;
}

char *name_member(struct arena *a, const char *lower)
{
	return arena_printf(a, "%s%s", lower, is_reserved(lower) ? "_" : "");
}

char *name_path(struct arena *a, const char *path)
{
	size_t len = strlen(path);
	char *name = arena_array(a, len + 1, 3), *out = name;

	for (size_t i = 0; name && i < len; i++) {
		if (is_alnum(path[i]))
			*out++ = path[i];
		else
			out += snprintf(out, 4, "_%02x", (uint8_t)path[i]);
	}
	return name;
}

bool name_is_identifier(const char *text)
{
	if (!*text || (*text >= '0' && *text <= '9'))
		return false;
	for (; *text; text++)
		if (!is_alnum(*text) && *text != '_')
			return false;
	return true;
}
