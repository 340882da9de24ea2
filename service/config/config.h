/*
 * What the daemon was told: command line over configuration file over defaults.
 * Every flag has a key of the same name in the TOML file; a key that is not known
 * is an error with line and column. Lists on the command line replace the list of
 * the file. A switch is a boolean in the file, and "--name" or "--name=true|false".
 */
#ifndef SERVICE_CONFIG_CONFIG_H
#define SERVICE_CONFIG_CONFIG_H

#include "proto/runtime/mem.h"
#include "service/config/cache_limits.h"
#include "service/log.h"

struct config_list {
	char **items; /* NULL-terminated */
	size_t n;
};

struct config {
	char *root;
	struct config_list listen;
	char *metrics_listen;			  /* NULL: no metrics are served */
	char *tls_cert, *tls_key, *tls_client_ca; /* NULL when not set */
	bool tls_allow_anonymous;
	struct config_list grant; /* as grants_new() reads them */
	bool no_audit;
	bool channelz;
	char *client_calls, *client_transfers, *client_bytes;
	unsigned client_calls_most, client_transfers_most;
	int64_t client_bytes_most;
	char *hosts_dir; /* "" for none */
	struct config_list registry_mirror, insecure_registry;
	bool allow_foreign_urls;
	bool no_layers;
	char *build_runtime;	   /* path of crun or runc; NULL: looked for */
	char *build_cgroup_parent; /* NULL: "imaged" */
	char *build_parallel;	   /* NULL: as many steps as fit the machine */
	unsigned build_parallel_steps;
	char *build_cache_max, *build_cache_unused;
	struct cache_limits build_cache_limits;
	struct config_list build_allow; /* entitlements */
	bool build_allow_network_host, build_allow_security_insecure;
	struct config_list pin, pin_label;
	char *sandbox_image;			/* NULL when not set */
	struct config_list cri_runtime_handler; /* NAME or NAME=PLATFORM */
	bool cri_network_ready;
	char *search_index, *hub_url; /* NULL when not set */
	char *log_format;	      /* "text" or "json" */
	char *log_level;
	enum log_level level;
};

/* What the command line asks for besides. */
enum config_action { CONFIG_RUN, CONFIG_VERSION, CONFIG_HELP };

/* E_USAGE for flags, E_INVALID for the file and for values. */
int config_load(int argc, char **argv, struct config *ret_config, enum config_action *ret_action, struct err *err);
void config_free(struct config *c); /* also the cleanup function */

extern const char config_usage[];

#endif
