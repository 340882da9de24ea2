#include "service/build/lint.h"

#include <stdio.h>

#include "service/build/directive.h"
#include "service/build/number.h"
#include "service/build/quote.h"

#define URL(page) "https://docs.docker.com/go/dockerfile/rule/" page "/"

static const struct rule {
	const char *name, *description, *url;
	bool experimental;
} rules[N_LINT_RULES] = {
	[LINT_CONSISTENT_INSTRUCTION_CASING] = { "ConsistentInstructionCasing",
						 "All commands within the Dockerfile should use the same casing "
						 "(either upper or lower)",
						 URL("consistent-instruction-casing"), false },
	[LINT_COPY_IGNORED_FILE] = { "CopyIgnoredFile", "Attempting to Copy file that is excluded by .dockerignore",
				     URL("copy-ignored-file"), false },
	[LINT_DUPLICATE_STAGE_NAME] = { "DuplicateStageName", "Stage names should be unique",
					URL("duplicate-stage-name"), false },
	[LINT_EXPOSE_INVALID_FORMAT] = { "ExposeInvalidFormat",
					 "IP address and host-port mapping should not be used in EXPOSE instruction. "
					 "This will become an error in a future release",
					 URL("expose-invalid-format"), false },
	[LINT_EXPOSE_PROTO_CASING] = { "ExposeProtoCasing", "Protocol in EXPOSE instruction should be lowercase",
				       URL("expose-proto-casing"), false },
	[LINT_FROM_AS_CASING] = { "FromAsCasing", "The 'as' keyword should match the case of the 'from' keyword",
				  URL("from-as-casing"), false },
	[LINT_FROM_PLATFORM_FLAG_CONST_DISALLOWED] = { "FromPlatformFlagConstDisallowed",
						       "FROM --platform flag should not use a constant value",
						       URL("from-platform-flag-const-disallowed"), false },
	[LINT_INVALID_BASE_IMAGE_PLATFORM] = { "InvalidBaseImagePlatform",
					       "Base image platform does not match expected target platform", "",
					       false },
	[LINT_INVALID_DEFAULT_ARG_IN_FROM] = { "InvalidDefaultArgInFrom",
					       "Default value for global ARG results in an empty or invalid base image "
					       "name",
					       URL("invalid-default-arg-in-from"), false },
	[LINT_INVALID_DEFINITION_DESCRIPTION] = { "InvalidDefinitionDescription",
						  "Comment for build stage or argument should follow the format: `# "
						  "<arg/stage name> <description>`. "
						  "If this is not intended to be a description comment, add an empty "
						  "line or comment between the "
						  "instruction and the comment.",
						  URL("invalid-definition-description"), true },
	[LINT_JSON_ARGS_RECOMMENDED] = { "JSONArgsRecommended",
					 "JSON arguments recommended for ENTRYPOINT/CMD to prevent unintended behavior "
					 "related to OS signals",
					 URL("json-args-recommended"), false },
	[LINT_LEGACY_KEY_VALUE_FORMAT] = { "LegacyKeyValueFormat",
					   "Legacy key/value format with whitespace separator should not be used",
					   URL("legacy-key-value-format"), false },
	[LINT_MAINTAINER_DEPRECATED] = { "MaintainerDeprecated",
					 "The MAINTAINER instruction is deprecated, use a label instead to define an "
					 "image author",
					 URL("maintainer-deprecated"), false },
	[LINT_MULTIPLE_INSTRUCTIONS_DISALLOWED] = { "MultipleInstructionsDisallowed",
						    "Multiple instructions of the same type should not be used in the "
						    "same stage",
						    URL("multiple-instructions-disallowed"), false },
	[LINT_NO_EMPTY_CONTINUATION] = { "NoEmptyContinuation",
					 "Empty continuation lines will become errors in a future release",
					 URL("no-empty-continuation"), false },
	[LINT_REDUNDANT_TARGET_PLATFORM] = { "RedundantTargetPlatform",
					     "Setting platform to predefined $TARGETPLATFORM in FROM is redundant as "
					     "this is the default behavior",
					     URL("redundant-target-platform"), false },
	[LINT_RESERVED_STAGE_NAME] = { "ReservedStageName", "Reserved words should not be used as stage names",
				       URL("reserved-stage-name"), false },
	[LINT_SECRETS_USED_IN_ARG_OR_ENV] = { "SecretsUsedInArgOrEnv",
					      "Sensitive data should not be used in the ARG or ENV commands",
					      URL("secrets-used-in-arg-or-env"), false },
	[LINT_STAGE_NAME_CASING] = { "StageNameCasing", "Stage names should be lowercase", URL("stage-name-casing"),
				     false },
	[LINT_UNDEFINED_ARG_IN_FROM] = { "UndefinedArgInFrom", "FROM command must use declared ARGs",
					 URL("undefined-arg-in-from"), false },
	[LINT_UNDEFINED_VAR] = { "UndefinedVar", "Variables should be defined before their use", URL("undefined-var"),
				 false },
	[LINT_WORKDIR_RELATIVE_PATH] = { "WorkdirRelativePath",
					 "Relative workdir without an absolute workdir declared within the build can "
					 "have unexpected results if "
					 "the base image changes",
					 URL("workdir-relative-path"), false },
};

const char *lint_name(enum lint_rule rule)
{
	return rules[rule].name;
}

const char *lint_description(enum lint_rule rule)
{
	return rules[rule].description;
}

const char *lint_url(enum lint_rule rule)
{
	return rules[rule].url;
}

/* ---- options ---------------------------------------------------------------- */

/* Names that are no rule are no error: they may be one of another version. */
static uint32_t rules_of(struct bytes list)
{
	uint32_t set = 0;

	if (bytes_are(bytes_trim(list), "all"))
		return UINT32_MAX;
	while (list.len) {
		size_t len = bytes_find(list, ',');
		struct bytes name = bytes_trim(bytes_first(list, len));

		for (size_t i = 0; i < N_LINT_RULES; i++)
			if (bytes_are(name, rules[i].name))
				set |= UINT32_C(1) << i;
		list = bytes_from(list, len + (len < list.len));
	}
	return set;
}

static int set_error(struct bytes value, struct lint_options *o, struct err *err)
{
	char text[8] = "";

	value = bytes_trim(value);
	if (value.len < sizeof text && value.len)
		memcpy(text, value.data, value.len);
	if (bool_parse(text, &o->error))
		return OK;
	return fail(err, E_INVALID, "failed to parse check option \"error=%.*s\": invalid syntax",
		    (int)min_size(value.len, 64), (const char *)value.data);
}

static int set_option(struct bytes option, struct lint_options *o, struct err *err)
{
	size_t at = bytes_find(option, '=');
	struct bytes key = bytes_trim(bytes_first(option, at));
	struct bytes value = bytes_from(option, at + (at < option.len));

	if (at < option.len && bytes_are(key, "skip"))
		o->skip |= rules_of(value);
	else if (at < option.len && bytes_are(key, "experimental"))
		o->experimental |= rules_of(value);
	else if (at < option.len && bytes_are(key, "error"))
		return set_error(value, o, err);
	else
		return fail(err, E_INVALID, "invalid check option \"%.*s\"",
			    (int)min_size(at < option.len ? key.len : option.len, 64),
			    (const char *)(at < option.len ? key.data : option.data));
	return OK;
}

static int parse_options(struct bytes text, struct lint_options *ret_options, struct err *err)
{
	struct lint_options o = { .skip = 0 };
	int r = OK;

	text = bytes_trim(text);
	while (r == OK && text.len) {
		size_t len = bytes_find(text, ';');

		r = set_option(bytes_first(text, len), &o, err);
		text = bytes_from(text, len + (len < text.len));
	}
	if (r == OK)
		*ret_options = o;
	return r;
}

int lint_options_parse(const char *text, struct lint_options *ret_options, struct err *err)
{
	return parse_options(bytes_of(text), ret_options, err);
}

/* What a comment above the instruction adds: the first check directive among them. */
static struct lint_options options_above(const struct word_list *comments)
{
	struct lint_options o = { .skip = 0 };

	for (size_t i = 0; comments && i < comments->n; i++) {
		struct directives d = { .done = false };
		enum directive_kind kind;
		struct bytes value;

		if (directive_read(&d, comments->items[i], "", &kind, &value, NULL) <= 0 || kind != DIRECTIVE_CHECK)
			continue;
		value.len = bytes_find(value, ' ');
		if (parse_options(value, &o, NULL) < 0)
			o = (struct lint_options){ .skip = 0 };
		break;
	}
	return o;
}

/* ---- warnings --------------------------------------------------------------- */

static bool counts(const struct lint *l, const struct word_list *comments, enum lint_rule rule)
{
	struct lint_options above = options_above(comments);
	uint32_t bit = UINT32_C(1) << rule;

	if (rules[rule].experimental)
		return (l->options.experimental | above.experimental) & bit;
	return !((l->options.skip | above.skip) & bit);
}

void lint_warn(struct lint *l, const struct word_list *comments, enum lint_rule rule, struct place place,
	       const char *fmt, ...)
{
	char detail[1024];
	const char *kept;
	va_list ap;

	if (!l || !counts(l, comments, rule))
		return;
	va_start(ap, fmt);
	vsnprintf(detail, sizeof detail, fmt, ap);
	va_end(ap);
	kept = arena_string(l->arena, detail);
	if (!kept || l->n >= LINT_WARNINGS_MAX ||
	    arena_grow(l->arena, &l->warnings, l->n, &l->capacity, sizeof *l->warnings, NULL) < 0) {
		l->full = true;
		return;
	}
	l->warnings[l->n++] = (struct lint_warning){ rule, place, kept };
}

int lint_verdict(const struct lint *l, struct err *err)
{
	CLEANUP(buf_free) struct buf names = BUF_INIT(4096);
	uint32_t found = 0;

	for (size_t i = 0; i < l->n; i++)
		found |= UINT32_C(1) << l->warnings[i].rule;
	if (!l->options.error || !found)
		return OK;
	for (size_t i = 0; i < N_LINT_RULES; i++)
		if (found & UINT32_C(1) << i)
			buf_printf(&names, "%s%s", names.len ? ", " : "", rules[i].name);
	return fail(err, E_INVALID, "lint violation found for rules: %s", buf_text(&names));
}
