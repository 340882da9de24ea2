#include "service/build/run/worker/spec.h"

static const char default_path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

json_t *spec_string(ProtobufCBinaryData text)
{
	return text.len ? json_stringn((const char *)text.data, text.len) : json_string("");
}

static bool add(json_t *array, json_t *value)
{
	return json_array_append_new(array, value) == 0;
}

/* ---- process -------------------------------------------------------------------- */

static json_t *strings(size_t n, const ProtobufCBinaryData *all)
{
	json_t *array = json_array();

	for (size_t i = 0; array && i < n; i++)
		if (!add(array, spec_string(all[i]))) {
			json_decref(array);
			return NULL;
		}
	return array;
}

static bool has_variable(const Imaged__Run__RunStep *s, const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < s->n_env; i++)
		if (s->env[i].len > len && !memcmp(s->env[i].data, name, len) && s->env[i].data[len] == '=')
			return true;
	return false;
}

static json_t *environment(const struct spec_input *in)
{
	json_t *array = strings(in->step->n_env, in->step->env);
	bool ok = array;

	if (ok && !has_variable(in->step, "PATH"))
		ok = add(array, json_string(default_path));
	if (ok && in->step->terminal && !has_variable(in->step, "TERM"))
		ok = add(array, json_string("TERM=xterm"));
	if (ok && !has_variable(in->step, "HOME"))
		ok = add(array, json_sprintf("HOME=%s", in->account->home));
	if (ok)
		return array;
	json_decref(array);
	return NULL;
}

static json_t *groups(const struct account *a)
{
	json_t *array = json_array();

	for (size_t i = 0; array && i < a->n_groups; i++)
		if (!add(array, json_integer(a->groups[i]))) {
			json_decref(array);
			return NULL;
		}
	return array;
}

static json_t *ulimits(const Imaged__Run__RunLimits *limits)
{
	json_t *array = json_array();

	for (size_t i = 0; array && limits && i < limits->n_ulimits; i++) {
		const Imaged__Run__RunUlimit *u = limits->ulimits[i];

		if (!add(array, json_pack("{s:o, s:I, s:I}", "type", spec_string(u->name), "soft", (json_int_t)u->soft,
					  "hard", (json_int_t)u->hard))) {
			json_decref(array);
			return NULL;
		}
	}
	return array;
}

static json_t *process(const struct spec_input *in)
{
	const Imaged__Run__RunStep *s = in->step;
	json_t *p = json_pack("{s:b, s:o, s:o, s:o, s:{s:I, s:I, s:o}, s:o, s:o, s:b}", "terminal", s->terminal, "args",
			      strings(s->n_args, s->args), "env", environment(in), "cwd", spec_string(s->cwd), "user",
			      "uid", (json_int_t)in->account->uid, "gid", (json_int_t)in->account->gid,
			      "additionalGids", groups(in->account), "capabilities", spec_capabilities(s->insecure),
			      "rlimits", ulimits(s->limits), "noNewPrivileges", 0);

	bool ok = p;

	if (ok && s->terminal && s->columns && s->rows)
		ok = !json_object_set_new(p, "consoleSize",
					  json_pack("{s:i, s:i}", "width", (int)s->columns, "height", (int)s->rows));
	if (ok && s->has_oom_score)
		ok = !json_object_set_new(p, "oomScoreAdj", json_integer(s->oom_score));
	if (ok)
		return p;
	json_decref(p);
	return NULL;
}

/* crun takes a compiled filter in place of compiling the profile. */
static json_t *annotations(const struct spec_input *in)
{
	if (!in->step->seccomp_filter.len)
		return json_object();
	return json_pack("{s:o}", "run.oci.seccomp_bpf_data", spec_string(in->step->seccomp_filter));
}

/* ---- all -------------------------------------------------------------------------- */

int spec_write(const struct spec_input *in, char **ret_text, struct err *err)
{
	json_t *spec = json_pack("{s:s, s:o, s:{s:s, s:b}, s:o, s:o, s:o, s:o}", "ociVersion", "1.0.2", "process",
				 process(in), "root", "path", "../root", "readonly", 0, "hostname",
				 spec_string(in->step->hostname), "mounts", spec_mounts(in), "linux", spec_linux(in),
				 "annotations", annotations(in));
	char *text = spec ? json_dumps(spec, JSON_COMPACT) : NULL;

	json_decref(spec);
	if (!text)
		return fail(err, E_INVALID, "the step has a text that is not UTF-8, or memory is short");
	*ret_text = text;
	return OK;
}
