#include "service/build/context/context_git.h"

#include <ctype.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/stat.h>

#include "proto/runtime/clock.h"
#include "service/build/context/git_run.h"
#include "service/build/context/git_submodules.h"
#include "service/build/diff/changes.h"
#include "service/registry/url.h"

enum { COMMIT_TEXT_MAX = 128, PATH_TEXT_MAX = 4096, REFS_TEXT_MAX = 1024 * 1024 };

static const char directory_prefix[] = "git-";

struct repository {
	const struct context_git *what;
	const struct context_archive *archive;
	struct archive_unpacking *unpacking;
	const char *prefix; /* where its files are in the context */
	unsigned depth;	    /* of submodules */
	struct git git;
	char path[PATH_TEXT_MAX];
	char *shown; /* the remote, for messages */
	struct git_budget budget;
	struct context_git_result *result;
	char commit[GIT_COMMIT_MAX];
};

/* ---- the directory --------------------------------------------------------------------- */

static int make_directory(struct repository *r, struct store *s, struct err *err)
{
	CLEANUP(freep) char *real = realpath(store_root(s), NULL);
	int n;

	if (!real)
		return fail_errno(err, "root '%s'", store_root(s));
	n = snprintf(r->path, sizeof r->path, "%s/contexts/%sXXXXXX", real, directory_prefix);
	if (n < 0 || (size_t)n >= sizeof r->path)
		return fail(err, E_LIMIT, "root '%s': its path is too long", store_root(s));
	if (!mkdtemp(r->path)) {
		r->path[0] = 0;
		return fail_errno(err, "make a directory for git");
	}
	return OK;
}

static int remove_one(const char *path, const struct stat *st UNUSED, int type, struct FTW *ftw UNUSED)
{
	(void)!(type == FTW_DP ? rmdir(path) : unlink(path));
	return 0;
}

static void remove_tree(const char *path)
{
	nftw(path, remove_one, 32, FTW_DEPTH | FTW_PHYS);
}

static void repository_free(struct repository *r)
{
	if (r->path[0])
		remove_tree(r->path);
	free(r->shown);
}

void context_git_sweep(struct store *s)
{
	CLEANUP(freep) char *path = format("%s/contexts", store_root(s));
	DIR *dir = path ? opendir(path) : NULL;
	struct dirent *e;

	if (!dir)
		return;
	while (dir_next(dir, &e) && e) {
		CLEANUP(freep) char *old = NULL;

		if (strncmp(e->d_name, directory_prefix, sizeof directory_prefix - 1) != 0)
			continue;
		old = format("%s/%s", path, e->d_name);
		if (old)
			remove_tree(old);
	}
	closedir(dir);
}

/* ---- what is wanted ---------------------------------------------------------------------- */

static bool begins_with(const char *text, const char *prefix)
{
	return !strncmp(text, prefix, strlen(prefix));
}

static int check_remote(const struct repository *r, struct err *err)
{
	static const char *const allowed[] = { "https://", "http://", "git://" };

	for (size_t i = 0; i < ARRAY_LEN(allowed); i++)
		if (begins_with(r->what->remote, allowed[i]))
			return OK;
	if (r->what->allow_file && begins_with(r->what->remote, "file://"))
		return OK;
	return fail(err, E_UNSUPPORTED, "git repository %.256s: only https, http and git are served", r->shown);
}

/* Git takes much for a ref, and a word with a dash in front for an option. */
static int check_ref(const char *ref, struct err *err)
{
	for (const char *c = ref; *c; c++)
		if ((unsigned char)*c <= ' ' || strchr(":?*[\\^~", *c) || *c == 0x7f)
			return fail(err, E_INVALID, "git ref \"%.128s\" is none", ref);
	return *ref == '-' || strstr(ref, "..") ? fail(err, E_INVALID, "git ref \"%.128s\" is none", ref) : OK;
}

static bool is_hex(const char *text)
{
	size_t n = strspn(text, "0123456789abcdef");

	return n >= 7 && n <= 64 && !text[n];
}

/* ---- git -------------------------------------------------------------------------------------- */

/* It goes before all that the repository says of its own. */
static int write_attributes(const struct repository *r, struct err *err)
{
	static const char text[] = "* -export-ignore -export-subst -filter -ident -text\n";
	CLEANUP(freep) char *directory = format("%s/info", r->path);
	CLEANUP(freep) char *path = format("%s/info/attributes", r->path);
	CLEANUP(closep) int fd = -1;

	if (!directory || !path)
		return fail_nomem(err);
	if (mkdir(directory, 0700) && errno != EEXIST)
		return fail_errno(err, "prepare a git repository");
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 || write(fd, text, sizeof text - 1) != sizeof text - 1)
		return fail_errno(err, "prepare a git repository");
	return OK;
}

static int init(const struct repository *r, struct err *err)
{
	static const char *const args[] = { "init", "--quiet", "--bare", "--template=", ".", NULL };
	int code = git_run(&r->git, args, NULL, err);

	return code == OK ? write_attributes(r, err) : code;
}

static int fetch_history(const struct repository *r, const char *ref, bool all, struct err *err)
{
	const char *args[10] = { "fetch", "--quiet", "--no-tags", "--no-recurse-submodules", "--update-head-ok" };
	size_t n = 5;

	if (!all)
		args[n++] = "--depth=1";
	args[n++] = "--";
	args[n++] = r->what->remote;
	args[n] = ref;
	return git_run(&r->git, args, NULL, err);
}

/* A web server that knows nothing of git gives the whole history or nothing. */
static int fetch_ref(const struct repository *r, const char *ref, struct err *err)
{
	int code = fetch_history(r, ref, false, err);

	return code == E_UNKNOWN && strstr(err->text, "does not support shallow") ? fetch_history(r, ref, true, err)
										  : code;
}

/* For a server that gives no commit by its number, and for numbers that are cut short. */
static int fetch_all(const struct repository *r, struct err *err)
{
	const char *const args[] = { "fetch",
				     "--quiet",
				     "--no-recurse-submodules",
				     "--",
				     r->what->remote,
				     "+refs/heads/*:refs/remotes/origin/*",
				     "+refs/tags/*:refs/tags/*",
				     NULL };

	return git_run(&r->git, args, NULL, err);
}

static int parse_commit(const struct repository *r, const char *name, char out[GIT_COMMIT_MAX], struct err *err)
{
	CLEANUP(buf_free) struct buf text = BUF_INIT(COMMIT_TEXT_MAX);
	CLEANUP(freep) char *commit = format("%s^{commit}", name);
	const char *const args[] = { "rev-parse", "--verify", "--quiet", "--end-of-options", commit, NULL };
	int code = commit ? git_run(&r->git, args, &text, err) : fail_nomem(err);
	size_t n;

	if (code != OK)
		return code;
	n = strspn(buf_text(&text), "0123456789abcdef");
	if (n < 40 || n >= GIT_COMMIT_MAX)
		return fail(err, E_UNKNOWN, "git named no commit");
	memcpy(out, buf_text(&text), n);
	out[n] = 0;
	return OK;
}

/* In BuildKit's words. */
static int fail_ref(const char *ref, struct err *err)
{
	return fail(err, E_NOT_FOUND, "repository does not contain ref %.128s, output: \"\"", ref);
}

static int find_fetched(const struct repository *r, char commit[GIT_COMMIT_MAX], struct err *err)
{
	const char *ref = *r->what->ref ? r->what->ref : "HEAD";
	struct err why = ERR_INIT;
	int code = fetch_ref(r, ref, &why);

	if (code == OK)
		return parse_commit(r, "FETCH_HEAD", commit, err);
	if (code == E_UNKNOWN && is_hex(ref)) {
		code = fetch_all(r, &why);
		if (code == OK)
			code = parse_commit(r, ref, commit, &why);
	}
	if (code != OK && err)
		*err = why;
	if (code == E_UNKNOWN && strstr(why.text, "couldn't find remote ref"))
		return fail_ref(ref, err);
	return code;
}

static int fetch(const struct repository *r, char commit[GIT_COMMIT_MAX], struct err *err)
{
	int code = find_fetched(r, commit, err);

	return code == OK ? git_spend(&r->git, err) : code;
}

static int check_commit(const struct repository *r, const char *commit, struct err *err)
{
	if (begins_with(commit, r->what->checksum))
		return OK;
	return fail(err, E_CONFLICT, "git repository %.256s: expected checksum to match %.64s, got %s", r->shown,
		    r->what->checksum, commit);
}

static int receive(void *process, struct bytes *ret_data, struct err *err)
{
	return git_read(process, ret_data, err);
}

static int unpack(const struct repository *r, struct err *err)
{
	const char *const args[] = { "archive", "--format=tar", r->commit, NULL };
	CLEANUP(git_end) struct git_process p;
	const struct archive_reader from = { receive, &p };
	int code = git_start(&r->git, args, &p, err);

	return code == OK ? context_unpack_add(r->unpacking, r->prefix, &from, err) : code;
}

/* ---- .git ------------------------------------------------------------------------------------------ */

/* As after a checkout of the commit. */
static int make_work_tree(const struct repository *r, struct err *err)
{
	const char *const head[] = { "update-ref", "--no-deref", "HEAD", r->commit, NULL };
	const char *const index[] = { "read-tree", r->commit, NULL };
	const char *const bare[] = { "config", "core.bare", "false", NULL };
	const char *const *const all[] = { head, index, bare };
	int code = OK;

	for (size_t i = 0; code == OK && i < ARRAY_LEN(all); i++)
		code = git_run(&r->git, all[i], NULL, err);
	return code;
}

static int write_piece(void *fd, struct bytes piece, struct err *err)
{
	while (piece.len) {
		ssize_t n = write(*(int *)fd, piece.data, piece.len);

		if (n < 0)
			return fail_errno(err, "write a git directory");
		piece = (struct bytes){ piece.data + n, piece.len - (size_t)n };
	}
	return OK;
}

struct tar_file {
	int fd;
	uint8_t piece[GIT_PIECE_BYTES];
};

static int read_piece(void *file, struct bytes *ret_data, struct err *err)
{
	struct tar_file *f = file;
	ssize_t n = read(f->fd, f->piece, sizeof f->piece);

	if (n < 0)
		return fail_errno(err, "read a git directory");
	*ret_data = (struct bytes){ f->piece, (size_t)n };
	return n > 0;
}

/* The repository's own directory, through the worker as everything that comes from outside. */
static int add_git_directory(const struct repository *r, struct err *err)
{
	CLEANUP(freep) struct tar_file *f = calloc(1, sizeof *f);
	CLEANUP(closep) int directory = open(r->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CLEANUP(closep) int fd = open(r->path, O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
	const struct changes c = { .upper = directory, .lower = -1, .write = write_piece, .arg = &fd };
	const struct archive_reader from = { read_piece, f };
	int code;

	if (!f)
		return fail_nomem(err);
	if (directory < 0 || fd < 0)
		return fail_errno(err, "open a git directory");
	code = changes_write(&c, err);
	if (code != OK)
		return code;
	if (lseek(fd, 0, SEEK_SET) < 0)
		return fail_errno(err, "read a git directory");
	f->fd = fd;
	return context_unpack_add(r->unpacking, ".git", &from, err);
}

/* ---- submodules ------------------------------------------------------------------------------------ */

static int read_repository(struct repository *r, struct err *err);

static int read_submodule(void *repository, const struct git_submodule *m, struct err *err)
{
	const struct repository *r = repository;
	CLEANUP(freep) char *prefix = *r->prefix ? format("%s/%s", r->prefix, m->path) : strdup(m->path);
	const struct context_git what = {
		.remote = m->url, .ref = m->commit, .checksum = m->commit, .allow_file = r->what->allow_file
	};
	CLEANUP(repository_free)
	struct repository sub = { .what = &what,
				  .archive = r->archive,
				  .unpacking = r->unpacking,
				  .prefix = prefix,
				  .depth = r->depth + 1,
				  .git = r->git,
				  .shown = url_for_display(m->url),
				  .result = r->result };

	if (!prefix || !sub.shown)
		return fail_nomem(err);
	if (sub.depth > GIT_SUBMODULE_DEPTH || r->result->submodules++ == GIT_SUBMODULES_MAX)
		return fail(err, E_LIMIT, "git repository %.256s: too many submodules", r->shown);
	sub.git.directory = sub.path;
	return read_repository(&sub, err);
}

/* ---- all of it ------------------------------------------------------------------------------------ */

static int get_commit(struct repository *r, struct err *err)
{
	int code = check_remote(r, err);

	if (code == OK)
		code = check_ref(r->what->ref, err);
	if (code == OK)
		code = make_directory(r, r->archive->store, err);
	if (code == OK)
		code = init(r, err);
	if (code == OK)
		code = fetch(r, r->commit, err);
	return code == OK ? check_commit(r, r->commit, err) : code;
}

static int read_repository(struct repository *r, struct err *err)
{
	int code = get_commit(r, err);

	if (code == OK)
		code = unpack(r, err);
	if (code == OK && r->what->keep_git_dir && !r->depth)
		code = make_work_tree(r, err);
	if (code == OK && r->what->keep_git_dir && !r->depth)
		code = add_git_directory(r, err);
	if (code == OK && !r->what->without_submodules)
		code = git_submodules(&r->git, r->what->remote, r->commit, read_submodule, r, err);
	if (code != E_UNKNOWN || !err)
		return code;
	err->code = E_UNAVAILABLE; /* it is somebody else's machine that said no */
	return err_wrap(err, "failed to fetch git repository %.256s", r->shown);
}

/* ---- without fetching -------------------------------------------------------------------------------- */

/* The line of the remote's answer for a ref of this name. */
static bool find_ref(const char *answer, const char *prefix, const char *ref, const char *suffix,
		     char ret_commit[GIT_COMMIT_MAX])
{
	CLEANUP(freep) char *name = format("\t%s%s%s\n", prefix, ref, suffix);
	const char *found = name ? strstr(answer, name) : NULL, *begin = found;

	while (begin && begin > answer && begin[-1] != '\n')
		begin--;
	if (!found || found - begin < 40 || found - begin >= GIT_COMMIT_MAX ||
	    strspn(begin, "0123456789abcdef") != (size_t)(found - begin))
		return false;
	memcpy(ret_commit, begin, (size_t)(found - begin));
	ret_commit[found - begin] = 0;
	return true;
}

/* In the order in which git takes a name for a ref; of a tag the commit that it tags. */
static bool choose_ref(const char *answer, const char *ref, char ret_commit[GIT_COMMIT_MAX])
{
	static const char *const prefixes[] = { "", "refs/", "refs/tags/", "refs/heads/" };

	for (size_t i = 0; i < ARRAY_LEN(prefixes); i++)
		if (find_ref(answer, prefixes[i], ref, "^{}", ret_commit) ||
		    find_ref(answer, prefixes[i], ref, "", ret_commit))
			return true;
	return false;
}

static int list_refs(struct repository *r, const char *ref, struct buf *out, struct err *err)
{
	CLEANUP(freep) char *peeled = format("%s^{}", ref);
	const char *const args[] = { "ls-remote", "--quiet", "--", r->what->remote, ref, peeled, NULL };
	int code = peeled ? make_directory(r, r->archive->store, err) : fail_nomem(err);

	if (code == OK)
		code = init(r, err);
	if (code == OK)
		code = git_run(&r->git, args, out, err);
	if (code != E_UNKNOWN || !err)
		return code;
	err->code = E_UNAVAILABLE;
	return err_wrap(err, "failed to fetch git repository %.256s", r->shown);
}

static int find_commit(struct repository *r, char ret_commit[GIT_COMMIT_MAX], struct err *err)
{
	const char *ref = *r->what->ref ? r->what->ref : "HEAD";
	CLEANUP(buf_free) struct buf answer = BUF_INIT(REFS_TEXT_MAX);
	size_t len = strlen(ref);
	int code = check_remote(r, err);

	if (code == OK)
		code = check_ref(r->what->ref, err);
	if (code != OK)
		return code;
	if (is_hex(ref) && (len == 40 || len == 64)) {
		memcpy(ret_commit, ref, len + 1);
		return check_commit(r, ret_commit, err);
	}
	code = list_refs(r, ref, &answer, err);
	if (code != OK)
		return code;
	if (!choose_ref(buf_text(&answer), ref, ret_commit))
		return fail_ref(ref, err);
	return check_commit(r, ret_commit, err);
}

static void set_git(struct repository *r)
{
	r->git = (struct git){
		.program = r->what->program ? r->what->program : "git",
		.directory = r->path,
		.protocols = r->what->allow_file ? "https:http:git:file" : "https:http:git",
		.cancel = r->archive->cancel,
		.budget = &r->budget,
	};
	r->budget = (struct git_budget){
		.bytes = r->what->bytes_max ? r->what->bytes_max : GIT_BYTES_MAX,
		.until_ms = clock_monotonic_ms() +
			    1000 * (r->what->seconds_max ? r->what->seconds_max : GIT_SECONDS_MAX),
	};
}

int context_git_find(const struct context_git *git, const struct context_archive *a, char ret_commit[GIT_COMMIT_MAX],
		     struct err *err)
{
	CLEANUP(repository_free)
	struct repository r = { .what = git, .archive = a, .prefix = "", .shown = url_for_display(git->remote) };
	struct err local = ERR_INIT, *e = err ? err : &local;

	if (!r.shown)
		return fail_nomem(e);
	set_git(&r);
	return find_commit(&r, ret_commit, e);
}

/* ---- fetched ------------------------------------------------------------------------------------------ */

int context_git_read(const struct context_git *git, const struct context_archive *a,
		     struct context_git_result *ret_result, struct build_context **ret_context, struct err *err)
{
	CLEANUP(repository_free)
	struct repository r = {
		.what = git, .archive = a, .prefix = "", .shown = url_for_display(git->remote), .result = ret_result
	};
	CLEANUP(context_unpack_freep) struct archive_unpacking *unpacking = NULL;
	struct err local = ERR_INIT, *e = err ? err : &local;
	int code = r.shown ? context_unpack_begin(a, &unpacking, e) : fail_nomem(e);

	ret_result->submodules = 0;
	r.unpacking = unpacking;
	set_git(&r);
	if (code == OK)
		code = read_repository(&r, e);
	if (code == OK)
		code = context_unpack_end(unpacking, ret_context, e);
	memcpy(ret_result->commit, r.commit, sizeof r.commit);
	return code;
}
