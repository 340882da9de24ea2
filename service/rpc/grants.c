#include "service/rpc/grants.h"

#include <grp.h>
#include <pwd.h>
#include <sys/socket.h>

#include "service/rpc/identity.h"

enum { LOOKUP_BYTES = 64 * 1024, GROUPS_USUAL = 64 };

enum who { WHO_UNIX, WHO_UID, WHO_GID, WHO_CERTIFICATE, WHO_CN, WHO_NAME, WHO_SPIFFE, WHO_ANONYMOUS };

/* The words of grants. */
static const struct word {
	const char *text;
	enum who who;
	enum alt_name_kind kind; /* WHO_NAME */
	const char *stops;	 /* what '*' does not stand for; NULL: no name with patterns */
} words[] = {
	{ .text = "unix", .who = WHO_UNIX },
	{ .text = "uid", .who = WHO_UID },
	{ .text = "gid", .who = WHO_GID },
	{ .text = "certificate", .who = WHO_CERTIFICATE },
	{ .text = "cn", .who = WHO_CN, .stops = "./@" },
	{ .text = "dns", .who = WHO_NAME, .kind = ALT_NAME_DNS, .stops = "." },
	{ .text = "email", .who = WHO_NAME, .kind = ALT_NAME_EMAIL, .stops = ".@" },
	{ .text = "uri", .who = WHO_NAME, .kind = ALT_NAME_URI, .stops = "/" },
	{ .text = "ip", .who = WHO_NAME, .kind = ALT_NAME_IP, .stops = ".:" },
	{ .text = "spiffe", .who = WHO_SPIFFE, .stops = "/" },
	{ .text = "anonymous", .who = WHO_ANONYMOUS },
};

struct grant {
	enum rpc_role role;
	const struct word *word;
	uint32_t id;   /* WHO_UID, WHO_GID */
	char *pattern; /* with word->stops */
};

struct grants {
	struct grant *list;
	size_t n;
	bool speaks_of_unix;
};

static const char *const role_names[] = { "none", "read", "write", "admin" };

const char *grants_role_name(enum rpc_role role)
{
	return role_names[role];
}

/* ---- reading grants ---- */

static int role_of(const char *grant, size_t len, enum rpc_role *ret_role, struct err *err)
{
	for (enum rpc_role r = RPC_ROLE_READ; r <= RPC_ROLE_ADMIN; r++) {
		if (strlen(role_names[r]) == len && !memcmp(role_names[r], grant, len)) {
			*ret_role = r;
			return OK;
		}
	}
	return fail(err, E_INVALID, "grant '%s': a grant is ROLE:WHO, and the role is read, write or admin", grant);
}

static int word_of(const char *grant, const char *who, const struct word **ret_word, struct err *err)
{
	size_t len = strcspn(who, "=");

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		bool takes_value = words[i].stops || words[i].who == WHO_UID || words[i].who == WHO_GID;

		if (strlen(words[i].text) != len || memcmp(words[i].text, who, len) != 0)
			continue;
		if (takes_value != (who[len] && who[len + 1]) || (!takes_value && who[len]))
			return fail(err, E_INVALID, "grant '%s': it is %s%s", grant, words[i].text,
				    takes_value ? "=SOMETHING" : ", without a value");
		*ret_word = &words[i];
		return OK;
	}
	return fail(
		err, E_INVALID,
		"grant '%s': who that is must be unix, uid=, gid=, certificate, cn=, dns=, email=, uri=, ip=, spiffe= "
		"or anonymous",
		grant);
}

static bool number_of(const char *text, uint32_t *ret_number)
{
	char *end;
	unsigned long long n;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	n = strtoull(text, &end, 10);
	*ret_number = (uint32_t)n;
	return !errno && !*end && n < UINT32_MAX;
}

static int user_of(const char *grant, const char *name, uint32_t *ret_id, struct err *err)
{
	CLEANUP(freep) char *room = malloc(LOOKUP_BYTES);
	struct passwd entry, *found = NULL;

	if (!room)
		return fail_nomem(err);
	if (getpwnam_r(name, &entry, room, LOOKUP_BYTES, &found) || !found)
		return fail(err, E_INVALID, "grant '%s': this machine has no user '%s'", grant, name);
	*ret_id = found->pw_uid;
	return OK;
}

static int group_of(const char *grant, const char *name, uint32_t *ret_id, struct err *err)
{
	CLEANUP(freep) char *room = malloc(LOOKUP_BYTES);
	struct group entry, *found = NULL;

	if (!room)
		return fail_nomem(err);
	if (getgrnam_r(name, &entry, room, LOOKUP_BYTES, &found) || !found)
		return fail(err, E_INVALID, "grant '%s': this machine has no group '%s'", grant, name);
	*ret_id = found->gr_gid;
	return OK;
}

static int read_value(const char *grant, const char *value, struct grant *g, struct err *err)
{
	if (g->word->stops) {
		g->pattern = strdup(value);
		return g->pattern ? OK : fail_nomem(err);
	}
	if ((g->word->who != WHO_UID && g->word->who != WHO_GID) || number_of(value, &g->id))
		return OK;
	return g->word->who == WHO_UID ? user_of(grant, value, &g->id, err) : group_of(grant, value, &g->id, err);
}

static int read_grant(const char *text, struct grant *g, struct err *err)
{
	size_t len = strcspn(text, ":");
	const char *who = text + len + (text[len] == ':');
	int r = role_of(text, len, &g->role, err);

	who += strspn(who, " ");
	if (r == OK)
		r = word_of(text, who, &g->word, err);
	return r < 0 ? r : read_value(text, who + strcspn(who, "=") + (strchr(who, '=') != NULL), g, err);
}

static void grants_freep(struct grants **all)
{
	grants_free(*all);
}

int grants_new(const char *const *texts, size_t n, struct grants **ret_grants, struct err *err)
{
	CLEANUP(grants_freep) struct grants *all = calloc(1, sizeof *all);

	if (!all || !(all->list = calloc(n + 1, sizeof *all->list)))
		return fail_nomem(err);
	for (size_t i = 0; i < n; i++) {
		struct grant *g = &all->list[all->n++];

		if (read_grant(texts[i], g, err) < 0)
			return err->code;
		all->speaks_of_unix |= g->word->who <= WHO_GID;
	}
	*ret_grants = TAKE(all);
	return OK;
}

void grants_free(struct grants *all)
{
	if (!all)
		return;
	for (size_t i = 0; i < all->n; i++)
		free(all->list[i].pattern);
	free(all->list);
	free(all);
}

bool grants_open_tcp(const struct grants *all)
{
	for (size_t i = 0; i < all->n; i++)
		if (all->list[i].word->who > WHO_GID)
			return true;
	return false;
}

/* ---- unix sockets ---- */

struct groups {
	gid_t usual[GROUPS_USUAL];
	gid_t *list; /* usual, or memory of its own when there are more */
	size_t n;
};

static void groups_free(struct groups *g)
{
	if (g->list != g->usual)
		free(g->list);
}

/* The supplementary groups of the peer; those that cannot be read are none. */
static void groups_read(int fd, struct groups *g)
{
	socklen_t bytes = sizeof g->usual;

	g->list = g->usual;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, g->usual, &bytes) == 0) {
		g->n = bytes / sizeof *g->list;
		return;
	}
	if (errno != ERANGE || !(g->list = malloc(bytes)))
		g->list = g->usual;
	else if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, g->list, &bytes) == 0)
		g->n = bytes / sizeof *g->list;
}

static bool is_member(const struct ucred *cred, const struct groups *groups, uint32_t gid)
{
	if (cred->gid == gid)
		return true;
	for (size_t i = 0; i < groups->n; i++)
		if (groups->list[i] == gid)
			return true;
	return false;
}

static bool fits_socket(const struct grant *g, const struct ucred *cred, const struct groups *groups)
{
	switch (g->word->who) {
	case WHO_UNIX:
		return true;
	case WHO_UID:
		return g->id == cred->uid;
	case WHO_GID:
		return is_member(cred, groups, g->id);
	default:
		return false;
	}
}

enum rpc_role grants_role_of_socket(const struct grants *all, int fd)
{
	CLEANUP(groups_free) struct groups groups = { .n = 0 };
	enum rpc_role best = RPC_ROLE_NONE;
	struct ucred cred;
	socklen_t len = sizeof cred;

	groups_read(fd, &groups);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0)
		return RPC_ROLE_NONE;
	if (!all->speaks_of_unix)
		return RPC_ROLE_ADMIN;
	for (size_t i = 0; i < all->n; i++)
		if (all->list[i].role > best && fits_socket(&all->list[i], &cred, &groups))
			best = all->list[i].role;
	return best;
}

/* ---- TCP ---- */

/* Each '*' takes as little as it can, and more when the rest does not fit. */
bool grant_fits(const char *pattern, const char *name, const char *stops)
{
	const char *star = NULL, *taken = NULL; /* behind the last '*', and behind what it has taken */

	for (;;) {
		if (*pattern == '*' && *name && !strchr(stops, *name)) {
			star = ++pattern;
			taken = ++name;
		} else if (*pattern && *pattern != '*' && *pattern == *name) {
			pattern++;
			name++;
		} else if (!*pattern && !*name) {
			return true;
		} else if (star && *taken && !strchr(stops, *taken)) {
			pattern = star;
			name = ++taken;
		} else {
			return false;
		}
	}
}

/* DNS names have no case. */
static bool fits_dns(const char *pattern, const char *name)
{
	CLEANUP(freep) char *a = strdup(pattern);
	CLEANUP(freep) char *b = strdup(name);

	if (!a || !b)
		return false;
	for (char *p = a; *p; p++)
		*p = (char)(*p >= 'A' && *p <= 'Z' ? *p - 'A' + 'a' : *p);
	for (char *p = b; *p; p++)
		*p = (char)(*p >= 'A' && *p <= 'Z' ? *p - 'A' + 'a' : *p);
	return grant_fits(a, b, ".");
}

static bool fits_names(const struct grant *g, const struct identity *who)
{
	for (size_t i = 0; i < who->n_alt_names; i++) {
		if (who->alt_kinds[i] != g->word->kind)
			continue;
		if (g->word->kind == ALT_NAME_DNS ? fits_dns(g->pattern, who->alt_names[i])
						  : grant_fits(g->pattern, who->alt_names[i], g->word->stops))
			return true;
	}
	return false;
}

static bool fits_tcp(const struct grant *g, const struct identity *who)
{
	bool known = who->kind == IDENTITY_CERTIFICATE;

	switch (g->word->who) {
	case WHO_ANONYMOUS:
		return who->kind == IDENTITY_NONE;
	case WHO_CERTIFICATE:
		return known;
	case WHO_CN:
		return known && grant_fits(g->pattern, who->common_name, g->word->stops);
	case WHO_SPIFFE:
		return known && grant_fits(g->pattern, who->spiffe_id, g->word->stops);
	case WHO_NAME:
		return known && fits_names(g, who);
	default:
		return false;
	}
}

enum rpc_role grants_role_of_tcp(const struct grants *all, const struct identity *who)
{
	enum rpc_role best = RPC_ROLE_NONE;

	for (size_t i = 0; i < all->n; i++)
		if (all->list[i].role > best && fits_tcp(&all->list[i], who))
			best = all->list[i].role;
	return best;
}
