/*
 * The folder of host configurations (hosts-dir of imaged(8)): below it one folder for
 * each registry, with a hosts.toml or, without one, docker's certificate files:
 *
 *     registry.example_5000_/hosts.toml        or registry.example:5000/
 *     registry.example/ca.crt                  authorities beside the system's
 *     registry.example/client.cert, client.key  what we show
 *     _default/hosts.toml                      for all registries without a folder
 *
 * Nothing is remembered: what is read is what is there now.
 */
#ifndef SERVICE_REGISTRY_HOSTS_DIR_H
#define SERVICE_REGISTRY_HOSTS_DIR_H

#include "service/registry/hosts_file.h"

struct hosts_found {
	struct host_list list; /* the registry itself last */
	char *file;	       /* hosts.toml, or the folder of certificates; NULL: nothing was found */
	bool is_toml;	       /* else the list holds the registry alone */
};

void hosts_found_free(struct hosts_found *f); /* also the cleanup function */

/* `host` is HOST[:PORT] as in references ("docker.io"). E_BAD_CONTENT: what is there
 * cannot be read, or says what cannot be. */
int hosts_dir_read(const char *root, const char *host, bool with_default, struct hosts_found *ret_found,
		   struct err *err);

#endif
