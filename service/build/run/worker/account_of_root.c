#include "service/build/run/worker/account.h"

#include "service/build/run/worker/in_root.h"

/* An image without the file is one with an empty one. */
static int read_file(int root, const char *path, char **ret_text, struct bytes *ret_bytes, struct err *err)
{
	struct err why = ERR_INIT;
	size_t len = 0;
	int rc = in_root_read(root, path, ACCOUNT_FILE_MAX, ret_text, &len, &why);

	if (rc != OK && rc != E_NOT_FOUND)
		return fail(err, rc, "%s", why.text);
	*ret_bytes = (struct bytes){ (const uint8_t *)*ret_text, len };
	return OK;
}

int account_of_root(int root, const char *user, struct account *ret_account, struct err *err)
{
	CLEANUP(freep) char *passwd_text = NULL;
	CLEANUP(freep) char *group_text = NULL;
	struct bytes passwd = { 0 }, group = { 0 };
	int rc = read_file(root, "/etc/passwd", &passwd_text, &passwd, err);

	if (rc == OK)
		rc = read_file(root, "/etc/group", &group_text, &group, err);
	return rc == OK ? account_resolve(user, passwd, group, ret_account, err) : rc;
}
