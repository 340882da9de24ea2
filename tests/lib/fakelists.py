"""Lists of a FakeRegistry: tags/list, _catalog and /v1/search, honest ones and liars.

A list is answered in pages of `page` names (the client's n, if that is less), each
with a Link to the next one, made by `link(registry, path, last)`.
"""

import json
from urllib.parse import quote


def relative(_registry, path, last):
    return f'<{path}?last={quote(last)}&n=2>; rel="next"'


def query_only(_registry, _path, last):
    return f"<?last={quote(last)}>; rel=next"


def absolute(registry, path, last):
    return f'<http://{registry.host}{path}?n=2&last={quote(last)}>; title="a, b; c"; rel="prev next"'


def pages(registry, path, member, names, page=2, link=relative, headers=None, obey=True):
    """`obey`: takes notice of n and last, as Debian's docker-registry does not for tags."""

    def respond(query, _request):
        last = query.get("last", [""])[0]
        rest = names[names.index(last) + 1 :] if last in names else names
        n = min(page, int(query.get("n", [page])[0]))
        shown = rest[:n] if obey else names
        more = {"Link": link(registry, path, shown[-1])} if obey and rest[n:] else {}
        return 200, {**(headers or {}), **more, "Content-Type": "application/json"}, json.dumps({member: shown}).encode()

    registry.route(path, respond)


def tags(registry, repository, names, **options):
    pages(registry, f"/v2/{repository}/tags/list", "tags", names, **options)


def catalog(registry, names, **options):
    pages(registry, "/v2/_catalog", "repositories", names, **options)


def index(registry, results, path="/v1/search", headers=None):
    """An index that knows these results, whatever it is asked for."""

    def respond(query, _request):
        found = results[: int(query.get("n", ["25"])[0])]
        body = {"num_results": len(found), "query": query.get("q", [""])[0], "results": found}
        return 200, {**(headers or {}), "Content-Type": "application/json"}, json.dumps(body).encode()

    registry.route(path, respond)


def result(name, description="", stars=0, official=False, automated=False):
    return {
        "name": name,
        "description": description,
        "star_count": stars,
        "is_official": official,
        "is_automated": automated,
    }
