/*
 * Errors: one convention for every folder.
 *
 * A function that can fail returns OK (0) or a negative `enum code` and takes a
 * `struct err *` as its last parameter. The struct is the caller's, has a fixed
 * size, and is written only on failure; nothing in it needs freeing, so it
 * survives threads and a lack of memory. NULL is allowed where only the code
 * matters. On the way up err_wrap() puts context in front of the message; the
 * RPC boundary logs it once and sends it as a gRPC status.
 *
 * ERR_TABLE is the one table of errors (DESIGN.md 11.11): our code, the gRPC status
 * code, the reason that goes out as google.rpc.ErrorInfo.reason (stable, never
 * renamed), how imagectl presents it (prefix of the text, exit code), and how loudly
 * imaged logs it.
 */
#ifndef PROTO_RUNTIME_ERR_H
#define PROTO_RUNTIME_ERR_H

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* gRPC status codes by name, so that no grpc header is needed here. */
enum grpc_code {
	GRPC_CODE_OK = 0,
	GRPC_CODE_CANCELLED = 1,
	GRPC_CODE_UNKNOWN = 2,
	GRPC_CODE_INVALID_ARGUMENT = 3,
	GRPC_CODE_DEADLINE_EXCEEDED = 4,
	GRPC_CODE_NOT_FOUND = 5,
	GRPC_CODE_ALREADY_EXISTS = 6,
	GRPC_CODE_PERMISSION_DENIED = 7,
	GRPC_CODE_RESOURCE_EXHAUSTED = 8,
	GRPC_CODE_FAILED_PRECONDITION = 9,
	GRPC_CODE_ABORTED = 10,
	GRPC_CODE_OUT_OF_RANGE = 11,
	GRPC_CODE_UNIMPLEMENTED = 12,
	GRPC_CODE_INTERNAL = 13,
	GRPC_CODE_UNAVAILABLE = 14,
	GRPC_CODE_DATA_LOSS = 15,
	GRPC_CODE_UNAUTHENTICATED = 16,
};

/* How imagectl words it: DAEMON puts "Error response from daemon: " in front
 * when the failure came before the first progress line. */
enum err_prefix { ERR_PREFIX_NONE, ERR_PREFIX_DAEMON };

/* INFO: it is the caller's, or of what the caller asked for. WARN: this machine, or
 * somebody on the way, does not do its part. ERROR: imaged or its store is damaged. */
enum err_level { ERR_LEVEL_INFO, ERR_LEVEL_WARN, ERR_LEVEL_ERROR };

/* clang-format off */
/*	 code                    gRPC                 reason                     prefix  level exit */
#define ERR_TABLE(X) \
	X(E_CANCELLED,           CANCELLED,           "CANCELLED",               NONE,   INFO,    1) \
	X(E_UNKNOWN,             UNKNOWN,             "UNKNOWN",                 DAEMON, WARN,    1) \
	X(E_INVALID,             INVALID_ARGUMENT,    "INVALID_ARGUMENT",        DAEMON, INFO,    1) \
	X(E_INVALID_REFERENCE,   INVALID_ARGUMENT,    "INVALID_REFERENCE",       DAEMON, INFO,    1) \
	X(E_INVALID_PLATFORM,    INVALID_ARGUMENT,    "INVALID_PLATFORM",        DAEMON, INFO,    1) \
	X(E_INVALID_FILTER,      INVALID_ARGUMENT,    "INVALID_FILTER",          DAEMON, INFO,    1) \
	X(E_DEADLINE,            DEADLINE_EXCEEDED,   "DEADLINE_EXCEEDED",       DAEMON, INFO,    1) \
	X(E_NOT_FOUND,           NOT_FOUND,           "NOT_FOUND",               DAEMON, INFO,    1) \
	X(E_NO_SUCH_IMAGE,       NOT_FOUND,           "NO_SUCH_IMAGE",           DAEMON, INFO,    1) \
	X(E_MANIFEST_UNKNOWN,    NOT_FOUND,           "MANIFEST_UNKNOWN",        DAEMON, INFO,    1) \
	X(E_NO_PLATFORM,         NOT_FOUND,           "NO_MATCHING_PLATFORM",    NONE,   INFO,    1) \
	X(E_EXISTS,              ALREADY_EXISTS,      "ALREADY_EXISTS",          DAEMON, INFO,    1) \
	X(E_DENIED,              PERMISSION_DENIED,   "ACCESS_DENIED",           DAEMON, INFO,    1) \
	X(E_ROLE,                PERMISSION_DENIED,   "ROLE_REQUIRED",           DAEMON, INFO,    1) \
	X(E_LIMIT,               RESOURCE_EXHAUSTED,  "LIMIT_EXCEEDED",          DAEMON, INFO,    1) \
	X(E_BUSY,                RESOURCE_EXHAUSTED,  "SERVICE_BUSY",            DAEMON, WARN,    1) \
	X(E_CLIENT_LIMIT,        RESOURCE_EXHAUSTED,  "CLIENT_LIMIT",            DAEMON, INFO,    1) \
	X(E_DISK_FULL,           RESOURCE_EXHAUSTED,  "DISK_FULL",               DAEMON, WARN,    1) \
	X(E_NO_MEMORY,           RESOURCE_EXHAUSTED,  "OUT_OF_MEMORY",           DAEMON, WARN,    1) \
	X(E_RATE_LIMITED,        RESOURCE_EXHAUSTED,  "RATE_LIMITED",            DAEMON, INFO,    1) \
	X(E_CONFLICT,            FAILED_PRECONDITION, "CONFLICT",                DAEMON, INFO,    1) \
	X(E_READ_ONLY,           FAILED_PRECONDITION, "READ_ONLY_STORE",         DAEMON, INFO,    1) \
	X(E_FORMAT,              FAILED_PRECONDITION, "STORE_FORMAT",            DAEMON, WARN,    1) \
	X(E_UNSUPPORTED,         FAILED_PRECONDITION, "UNSUPPORTED_CONTENT",     DAEMON, INFO,    1) \
	X(E_BAD_CONTENT,         FAILED_PRECONDITION, "INVALID_CONTENT",         DAEMON, INFO,    1) \
	X(E_CANNOT_MOUNT,        FAILED_PRECONDITION, "CANNOT_MOUNT",            DAEMON, INFO,    1) \
	X(E_ABORTED,             ABORTED,             "ABORTED",                 DAEMON, INFO,    1) \
	X(E_OUT_OF_RANGE,        OUT_OF_RANGE,        "OUT_OF_RANGE",            DAEMON, INFO,    1) \
	X(E_UNIMPLEMENTED,       UNIMPLEMENTED,       "UNIMPLEMENTED",           DAEMON, INFO,    1) \
	X(E_INTERNAL,            INTERNAL,            "INTERNAL",                DAEMON, ERROR,   1) \
	X(E_IO,                  INTERNAL,            "IO_ERROR",                DAEMON, ERROR,   1) \
	X(E_WORKER,              INTERNAL,            "WORKER_FAILED",           DAEMON, WARN,    1) \
	X(E_UNAVAILABLE,         UNAVAILABLE,         "UNAVAILABLE",             DAEMON, INFO,    1) \
	X(E_REGISTRY,            UNAVAILABLE,         "REGISTRY_UNAVAILABLE",    DAEMON, INFO,    1) \
	X(E_TLS,                 UNAVAILABLE,         "REGISTRY_TLS",            DAEMON, INFO,    1) \
	X(E_NO_DAEMON,           UNAVAILABLE,         "DAEMON_UNREACHABLE",      NONE,   INFO,    1) \
	X(E_CORRUPT,             DATA_LOSS,           "CONTENT_DAMAGED",         DAEMON, ERROR,   1) \
	X(E_DIGEST_MISMATCH,     DATA_LOSS,           "DIGEST_MISMATCH",         DAEMON, WARN,    1) \
	X(E_UNAUTHENTICATED,     UNAUTHENTICATED,     "UNAUTHENTICATED",         DAEMON, INFO,    1) \
	X(E_USAGE,               INVALID_ARGUMENT,    "USAGE",                   NONE,   INFO,  125) \
	X(E_TEMPLATE,            INVALID_ARGUMENT,    "TEMPLATE",                NONE,   INFO,   64)
/* clang-format on */

#define OK 0

enum code {
	CODE_ZERO_ = 0,
#define X(name, grpc, reason, prefix, level, exit_code) ERR_ORDINAL_##name,
	ERR_TABLE(X)
#undef X
		CODE_COUNT_,
#define X(name, grpc, reason, prefix, level, exit_code) name = -ERR_ORDINAL_##name,
	ERR_TABLE(X)
#undef X
};

enum { ERR_TEXT_MAX = 1024 };

struct err {
	int code;		 /* OK or a negative enum code */
	int64_t needed_bytes;	 /* E_DISK_FULL: what the operation wanted; else 0 */
	int64_t free_bytes;	 /* E_DISK_FULL: what there was */
	int64_t retry_after_ms;	 /* how long waiting helps; 0 when unknown */
	char text[ERR_TEXT_MAX]; /* UTF-8, without a final newline */
};

/* clang-format off */
#define ERR_INIT { .code = OK }
/* clang-format on */

/* Fill err and return the code. `fail` takes the message from a format;
 * `fail_errno` appends strerror(errno) and maps ENOSPC/EDQUOT to E_DISK_FULL,
 * ENOMEM to E_NO_MEMORY, EROFS to E_READ_ONLY, all else to E_IO. */
int fail(struct err *err, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
int failv(struct err *err, int code, const char *fmt, va_list ap) __attribute__((format(printf, 3, 0)));
int fail_errno(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Puts "context: " in front of the message; returns err->code. */
int err_wrap(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Table look-ups. An unknown code reads as E_UNKNOWN. */
enum grpc_code err_grpc_code(int code);
const char *err_reason(int code);
enum err_prefix err_prefix(int code);
enum err_level err_level(int code);
int err_exit_code(int code);

/* The code for a reason, or the most general one for a gRPC code when the
 * reason is NULL or unknown: how a client turns a status back into an err. */
int err_code_from(enum grpc_code grpc, const char *reason);

#ifdef __cplusplus
}
#endif

#endif
