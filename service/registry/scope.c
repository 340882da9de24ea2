#include "service/registry/scope.h"

#include <stdio.h>

/* The length of "TYPE:NAME", which the actions follow; names may hold colons. All of
 * it when it is of another kind: such a scope is only ever itself. */
static size_t resource_len(const char *scope)
{
	const char *first = strchr(scope, ':'), *last = strrchr(scope, ':');

	return first && last > first && last[1] ? (size_t)(last - scope) : strlen(scope);
}

static bool is_visible(const char *text)
{
	for (; *text; text++)
		if (*text <= ' ' || *text >= 0x7f)
			return false;
	return true;
}

static char *find_resource(struct scopes *s, const char *scope, size_t len)
{
	for (size_t i = 0; i < s->n; i++)
		if (!strncmp(s->items[i], scope, len + 1) && resource_len(s->items[i]) == len)
			return s->items[i];
	return NULL;
}

static bool has_action(const char *actions, const char *action, size_t len)
{
	for (size_t n;; actions += n + 1) {
		n = strcspn(actions, ",");
		if (n == len && !strncmp(actions, action, len))
			return true;
		if (!actions[n])
			return false;
	}
}

/* Adds the actions that `item` lacks. */
static bool add_actions(char *item, size_t resource, const char *actions)
{
	char merged[SCOPE_MAX];
	size_t used = strlen(item);

	memcpy(merged, item, used + 1);
	for (size_t n; *actions; actions += n + (actions[n] == ',')) {
		n = strcspn(actions, ",");
		if (!n || has_action(merged + resource + 1, actions, n))
			continue;
		if (used + 1 + n >= sizeof merged)
			return false;
		used += (size_t)snprintf(merged + used, sizeof merged - used, ",%.*s", (int)n, actions);
	}
	memcpy(item, merged, used + 1);
	return true;
}

bool scopes_add(struct scopes *s, const char *scope)
{
	size_t resource = resource_len(scope);
	char *same;

	if (!*scope)
		return true;
	if (strlen(scope) >= SCOPE_MAX || !is_visible(scope))
		return false;
	same = find_resource(s, scope, resource);
	if (same)
		return !scope[resource] || add_actions(same, resource, scope + resource + 1);
	if (s->n >= SCOPES_MAX)
		return false;
	memcpy(s->items[s->n++], scope, strlen(scope) + 1);
	return true;
}

void scopes_add_list(struct scopes *s, const char *list)
{
	while (*list) {
		size_t n = strcspn(list, " ");
		char one[SCOPE_MAX];

		if (n < sizeof one) {
			memcpy(one, list, n);
			one[n] = 0;
			scopes_add(s, one);
		}
		list += n + (list[n] == ' ');
	}
}
