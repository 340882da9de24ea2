#include "client/cli/platform_check.h"

#include "client/cli/convert.h"
#include "store/types/platform.h"

static struct platform platform_from(const Imaged__V1__Platform *p)
{
	struct platform out = { 0 };

	if (!p)
		return out;
	snprintf(out.os, sizeof out.os, "%s", p->os);
	snprintf(out.architecture, sizeof out.architecture, "%s", p->architecture);
	snprintf(out.variant, sizeof out.variant, "%s", p->variant);
	platform_normalize(&out);
	return out;
}

/* With the tag that it is looked up by. */
static char *full_reference(const char *reference, char out[REFERENCE_TEXT_MAX])
{
	struct reference ref;

	if (reference_is_id_prefix(reference) || reference_parse(reference, &ref, NULL)) {
		snprintf(out, REFERENCE_TEXT_MAX, "%s", reference);
		return out;
	}
	reference_default_tag(&ref);
	return reference_familiar(&ref, out);
}

int platform_check_text(const char *wanted, struct err *err)
{
	struct platform p;

	return wanted && *wanted ? platform_parse(wanted, &p, err) : OK;
}

int platform_check(const char *reference, const Imaged__V1__Platform *actual, const char *wanted, struct err *err)
{
	struct platform want, have = platform_from(actual);
	char have_text[256], want_text[PLATFORM_TEXT_MAX], name[REFERENCE_TEXT_MAX];
	int r;

	if (!wanted || !*wanted)
		return OK;
	r = platform_parse(wanted, &want, err);
	if (r)
		return r;
	if (platform_rank(&want, &have))
		return OK;
	return fail(
		err, E_NOT_FOUND,
		"image with reference %s was found but its platform (%s) does not match the specified platform (%s)",
		full_reference(reference, name), platform_of(actual, have_text), platform_text(&want, want_text));
}
