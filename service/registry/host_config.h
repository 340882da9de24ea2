/*
 * How one host of a registry is to be asked, as somebody wrote it down: hosts.toml,
 * docker's certificate folders, the daemon's flags, or nobody (host_config_default).
 *
 * A value: it owns its texts. host_config_load() reads the files that it names, so
 * that whoever asks holds what they held at that moment.
 */
#ifndef SERVICE_REGISTRY_HOST_CONFIG_H
#define SERVICE_REGISTRY_HOST_CONFIG_H

#include "service/registry/host_tls.h"
#include "service/registry/scheme.h"
#include "store/types/digest.h"

enum {
	HOST_AUTHORITY_MAX = 256,
	HOST_HEADERS_MAX = 32,
	HOST_FILES_MAX = 32, /* of one kind */
	HOST_PATH_MAX = 1024,
};

/* What a request needs of a host. */
enum host_capability {
	HOST_PULL,    /* what is named by its digest, so that it can be compared */
	HOST_RESOLVE, /* says which digest a tag has, and is believed */
	HOST_PUSH,
	HOST_REFERRERS,
	HOST_CAPABILITIES,
};
enum { HOST_CAN_ALL = (1 << HOST_CAPABILITIES) - 1 };

struct host_header {
	char *name, *value;
};

struct host_config {
	char authority[HOST_AUTHORITY_MAX]; /* HOST[:PORT], lower case */
	char path[HOST_PATH_MAX];	    /* what the API's paths stand behind: "/v2", "/mirror/v2", "" */
	enum scheme_said said;
	unsigned capabilities; /* bits 1 << enum host_capability */
	enum { VERIFY_UNSAID, VERIFY, VERIFY_NOT } verify;
	bool asked_insecure; /* by a caller: as if it were on the insecure list */
	char **ca_files;
	size_t n_ca_files;
	struct host_client *clients;
	size_t n_clients;
	struct host_header *headers;
	size_t n_headers;
	int64_t dial_timeout_ms; /* 0: the usual */

	/* host_config_load() */
	struct host_tls *tls;	   /* NULL: nothing beyond the system's */
	struct digest fingerprint; /* of all that a connection depends on */
};

/* All of a host, as it is asked when nobody says anything about it. */
void host_config_default(const char *authority, struct host_config *ret_config);
void host_config_free(struct host_config *c); /* also the cleanup function */

int host_config_add_ca(struct host_config *c, char *file, struct err *err); /* takes the text, also on failure */
int host_config_add_client(struct host_config *c, char *cert_file, char *key_file, struct err *err);
/* E_INVALID for what is no header, and for those that are ours to send. */
int host_config_add_header(struct host_config *c, const char *name, const char *value, struct err *err);

/* "https://HOST[:PORT]/PATH" or "HOST[:PORT]" into authority, said and path: "/v2" is
 * appended unless it is there or `override_path` says that the path is all. */
int host_config_set_url(struct host_config *c, const char *url, bool override_path, struct err *err);

/* Reads the files. E_BAD_CONTENT names the one that is no use. */
int host_config_load(struct host_config *c, struct err *err);

static inline bool host_config_has_tls(const struct host_config *c)
{
	return c->n_ca_files || c->n_clients || c->verify != VERIFY_UNSAID;
}

/* "HOST[:PORT]" of a domain or of what users give as a server address ("https://
 * index.docker.io/v1/"), lower case, as it is asked: Docker Hub is
 * registry-1.docker.io. False when it does not fit. */
bool host_authority(const char *server, char out[HOST_AUTHORITY_MAX]);

#endif
