#include "service/build/copy/owner.h"

#include <sys/stat.h>

#include "service/build/run/worker/account.h"

/* An image without the file, or without a tree, is one with an empty one. */
static int read_file(struct tree_view *into, const char *path, char **ret_text, struct bytes *ret_bytes,
		     struct err *err)
{
	CLEANUP(buf_free) struct buf real = BUF_INIT(TREE_PATH_MAX);
	struct tree_entry e;
	bool found = false;
	size_t len = 0;
	int rc = into ? tree_view_resolve(into, bytes_of(path), true, &real, &found, &e, err) : OK;

	if (rc == OK && found && S_ISREG(e.node.mode)) {
		e.path = buf_bytes(&real);
		rc = tree_read_all(&e, ACCOUNT_FILE_MAX, ret_text, &len, err);
	}
	*ret_bytes = (struct bytes){ (const uint8_t *)*ret_text, len };
	return rc;
}

static bool is_number(const char *text, size_t len)
{
	return len && strspn(text, "0123456789") >= len;
}

int owner_resolve(struct tree_view *into, const char *text, struct copy_owner *ret_owner, struct err *err)
{
	CLEANUP(freep) char *passwd_text = NULL;
	CLEANUP(freep) char *group_text = NULL;
	CLEANUP(freep) struct account *account = calloc(1, sizeof *account);
	struct bytes passwd = { 0 }, group = { 0 };
	size_t user_len = strcspn(text, ":");
	bool has_group = text[user_len] && text[user_len + 1];
	int rc = account ? OK : fail_nomem(err);

	if (rc == OK && !is_number(text, user_len))
		rc = read_file(into, "etc/passwd", &passwd_text, &passwd, err);
	if (rc == OK && has_group)
		rc = read_file(into, "etc/group", &group_text, &group, err);
	if (rc == OK)
		rc = account_resolve(text, passwd, group, account, err);
	if (rc != OK)
		return rc;
	*ret_owner = (struct copy_owner){ account->uid, account->gid };
	if (is_number(text, user_len) && !has_group)
		ret_owner->gid = account->uid;
	return OK;
}
