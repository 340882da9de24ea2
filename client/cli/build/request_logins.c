/*
 * Which registries a build may ask, as far as it can be seen here: those that its flags name, and
 * those of the Dockerfile's FROM, COPY --from and RUN --mount=from. A name may be made of
 * variables: then their values count, too. Where the Dockerfile is not here, all registries count
 * that the user is logged in to.
 */
#include <ctype.h>

#include "client/cli/build/request.h"

enum { WORD_MAX = REFERENCE_TEXT_MAX };

struct search {
	struct build_request *request;
	struct cli *cli;
};

static void add_domain(const struct search *s, const char *domain)
{
	struct build_request *q = s->request;
	Imaged__V1__Credentials *m;
	char *copy;

	for (size_t i = 0; i < q->start.n_credentials; i++)
		if (!strcmp(q->start.credentials[i]->server_address, domain))
			return;
	if (q->n_logins == REQUEST_LOGINS_MAX)
		return;
	copy = arena_string(&q->arena, domain);
	m = copy ? credentials_for_registry(s->cli, copy, &q->logins[q->n_logins++]) : NULL;
	if (m)
		q->start.credentials[q->start.n_credentials++] = m;
}

/* "registry.example:5000" alone, as a variable may hold it. */
static bool is_host(const char *word)
{
	return !strchr(word, '/') && (strchr(word, '.') || !strncmp(word, "localhost", 9));
}

static void add_word(const struct search *s, const char *word)
{
	struct reference ref;

	if (is_host(word))
		add_domain(s, word);
	else if (!reference_parse(word, &ref, NULL) && *ref.domain)
		add_domain(s, ref.domain);
}

static void add_part(const struct search *s, const char *from, size_t len)
{
	char word[WORD_MAX];

	if (!len || len >= sizeof word)
		return;
	memcpy(word, from, len);
	word[len] = 0;
	add_word(s, word);
}

/* ---- the Dockerfile --------------------------------------------------------------------------------- */

static size_t word_len(const char *text)
{
	return strcspn(text, " \t\r\n,\"'");
}

static const char *next_word(const char *text)
{
	text += strcspn(text, " \t\r\n");
	return text + strspn(text, " \t");
}

/* FROM [--platform=…] NAME */
static void search_from(const struct search *s, const char *line)
{
	const char *word = next_word(line);

	while (!strncmp(word, "--", 2))
		word = next_word(word);
	add_part(s, word, word_len(word));
}

/* ARG NAME[=DEFAULT]… */
static void search_arg(const struct search *s, const char *line)
{
	for (const char *word = next_word(line); *word && *word != '\n'; word = next_word(word)) {
		const char *equals = memchr(word, '=', strcspn(word, " \t\r\n"));

		if (equals) {
			const char *value = equals + 1 + (equals[1] == '"' || equals[1] == '\'');

			add_part(s, value, word_len(value));
		}
	}
}

/* Anywhere in a line: "--from=NAME", "type=bind,from=NAME". */
static void search_flags(const struct search *s, const char *line)
{
	for (const char *at = line; *at && *at != '\n'; at++)
		if (!strncmp(at, "from=", 5)) {
			add_part(s, at + 5, word_len(at + 5));
			at += 4;
		}
}

static void search_dockerfile(const struct search *s, const char *text)
{
	while (*text) {
		const char *line = text + strspn(text, " \t");

		if (!strncasecmp(line, "FROM", 4) && isblank((unsigned char)line[4]))
			search_from(s, line);
		else if (!strncasecmp(line, "ARG", 3) && isblank((unsigned char)line[3]))
			search_arg(s, line);
		else
			search_flags(s, line);
		text += strcspn(text, "\n");
		text += *text == '\n';
	}
}

/* ---- the flags ---------------------------------------------------------------------------------------- */

static void search_start(const struct search *s)
{
	const Imaged__V1__BuildStart *start = &s->request->start;

	for (size_t i = 0; i < start->n_tags; i++)
		add_word(s, start->tags[i]);
	for (size_t i = 0; i < start->n_outputs; i++)
		for (size_t k = 0; k < start->outputs[i]->n_names; k++)
			add_word(s, start->outputs[i]->names[k]);
	for (size_t i = 0; i < start->n_cache_from; i++)
		if (!strcmp(start->cache_from[i]->type, "registry"))
			add_word(s, start->cache_from[i]->reference);
	for (size_t i = 0; i < start->n_cache_to; i++)
		if (!strcmp(start->cache_to[i]->type, "registry"))
			add_word(s, start->cache_to[i]->reference);
	for (size_t i = 0; i < start->n_arguments; i++)
		add_word(s, start->arguments[i]->value);
	for (size_t i = 0; i < start->n_named_contexts; i++)
		if (start->named_contexts[i]->source_case == IMAGED__V1__BUILD_CONTEXT__SOURCE_URL &&
		    !strncmp(start->named_contexts[i]->url, "docker-image://", 15))
			add_word(s, start->named_contexts[i]->url + 15);
}

static int search_config(const struct search *s, struct err *err)
{
	struct strings servers;

	if (docker_config_servers(cli_config(s->cli), &servers, err) < 0)
		return err->code;
	for (size_t i = 0; i < servers.n; i++) {
		CLEANUP(freep) char *host = docker_config_host(servers.items[i]);

		if (host)
			add_domain(s, !strcmp(servers.items[i], HUB_SERVER) ? "docker.io" : host);
	}
	free(servers.items);
	return OK;
}

int request_logins(struct build_request *q, struct cli *cli, struct err *err)
{
	const struct search s = { q, cli };

	q->start.credentials = arena_array(&q->arena, REQUEST_LOGINS_MAX, sizeof(Imaged__V1__Credentials *));
	if (!q->start.credentials)
		return fail_nomem(err);
	search_start(&s);
	if (q->sources.dockerfile.len) /* a copy, which ends with a NUL */
		search_dockerfile(&s, (const char *)q->sources.dockerfile.data);
	return q->sources.dockerfile_in_context ? search_config(&s, err) : OK;
}
