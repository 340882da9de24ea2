#include "service/registry/paging.h"

/* FNV-1a. Who forges an equal hash only ends a list of its own. */
static uint64_t hash_of(const char *text)
{
	uint64_t hash = 0xcbf29ce484222325;

	for (; *text; text++)
		hash = (hash ^ (uint8_t)*text) * 0x100000001b3;
	return hash;
}

/* Every second power of two a page is remembered: a circle is seen at the latest when
 * it has been walked twice. */
int paging_follow(struct paging *p, const char *query, struct err *err)
{
	uint64_t hash = hash_of(query);

	if (p->pages && hash == p->remembered)
		return fail(err, E_REGISTRY, "the pages of the list go round in a circle");
	if (p->pages >= PAGES_MAX)
		return fail(err, E_LIMIT, "the list has more than %d pages", PAGES_MAX);
	p->pages++;
	if (p->pages >= p->until) {
		p->remembered = hash;
		p->until = 2 * p->pages;
	}
	return OK;
}
