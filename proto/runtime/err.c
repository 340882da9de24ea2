#include "proto/runtime/err.h"

#include <stdio.h>
#include <string.h>

struct row {
	enum grpc_code grpc;
	const char *reason;
	enum err_prefix prefix;
	enum err_level level;
	int exit_code;
};

static const struct row rows[CODE_COUNT_] = {
#define X(name, g, r, p, l, e) [ERR_ORDINAL_##name] = { GRPC_CODE_##g, r, ERR_PREFIX_##p, ERR_LEVEL_##l, e },
	ERR_TABLE(X)
#undef X
};

static const struct row *row_of(int code)
{
	if (code >= 0 || code <= -CODE_COUNT_)
		return &rows[ERR_ORDINAL_E_UNKNOWN];
	return &rows[-code];
}

int failv(struct err *err, int code, const char *fmt, va_list ap)
{
	if (err) {
		*err = (struct err){ .code = code };
		vsnprintf(err->text, sizeof err->text, fmt, ap);
	}
	return code;
}

int fail(struct err *err, int code, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	failv(err, code, fmt, ap);
	va_end(ap);
	return code;
}

static int code_of_errno(int number)
{
	switch (number) {
	case ENOSPC:
	case EDQUOT:
		return E_DISK_FULL;
	case ENOMEM:
		return E_NO_MEMORY;
	case EROFS:
		return E_READ_ONLY;
	default:
		return E_IO;
	}
}

int fail_errno(struct err *err, const char *fmt, ...)
{
	int number = errno, code = code_of_errno(number);
	va_list ap;

	va_start(ap, fmt);
	failv(err, code, fmt, ap);
	va_end(ap);
	if (err) {
		size_t used = strlen(err->text);

		snprintf(err->text + used, sizeof err->text - used, ": %s", strerrordesc_np(number));
	}
	errno = number;
	return code;
}

int err_wrap(struct err *err, const char *fmt, ...)
{
	char old[ERR_TEXT_MAX];
	size_t used;
	va_list ap;

	if (!err)
		return E_UNKNOWN;
	memcpy(old, err->text, sizeof old);
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof err->text, fmt, ap);
	va_end(ap);
	used = strlen(err->text);
	snprintf(err->text + used, sizeof err->text - used, ": %s", old);
	return err->code;
}

enum grpc_code err_grpc_code(int code)
{
	return code == OK ? GRPC_CODE_OK : row_of(code)->grpc;
}

const char *err_reason(int code)
{
	return row_of(code)->reason;
}

enum err_prefix err_prefix(int code)
{
	return row_of(code)->prefix;
}

enum err_level err_level(int code)
{
	return row_of(code)->level;
}

int err_exit_code(int code)
{
	return code == OK ? 0 : row_of(code)->exit_code;
}

int err_code_from(enum grpc_code grpc, const char *reason)
{
	if (grpc == GRPC_CODE_OK)
		return OK;
	for (int i = 1; reason && i < CODE_COUNT_; i++)
		if (!strcmp(rows[i].reason, reason))
			return -i;
	for (int i = 1; i < CODE_COUNT_; i++)
		if (rows[i].grpc == grpc)
			return -i;
	return E_UNKNOWN;
}
