/*
 * Store values as messages of the API. Results live in the arena; every function
 * returns NULL (or fails with E_NO_MEMORY) when it is exhausted.
 */
#ifndef SERVICE_IMAGE_CONVERT_H
#define SERVICE_IMAGE_CONVERT_H

#include "imaged/v1/image.pb-c.h"
#include "imaged/v1/transfer.pb-c.h"
#include "service/registry/registry.h"
#include "service/rpc/call.h"
#include "store/image/image.h"

enum { ANSWER_BYTES_MAX = 64 * 1024 * 1024 };

/* An arena for an answer: freed when the call is over. */
int answer_arena(struct rpc_call *call, struct arena **ret_arena, struct err *err);

char *digest_message(struct arena *a, const struct digest *d);
/* The digest of a record's bytes field; E_CORRUPT when it is none. */
int digest_of_record(const ProtobufCBinaryData *field, struct digest *ret_digest, struct err *err);

Google__Protobuf__Timestamp *time_message(struct arena *a, int64_t seconds, int32_t nanos);
Google__Protobuf__Timestamp *timestamp_message(struct arena *a, const struct timestamp *t); /* NULL if absent */

Imaged__V1__Descriptor *descriptor_message(struct arena *a, const char *media_type, const struct digest *d,
					   int64_t size);

/* With the names that are given (a filter may have left some out). */
int summary_message(struct store *s, struct arena *a, const struct image *image, char *const *names, size_t n_names,
		    Imaged__V1__ImageSummary *ret_summary, struct err *err);

/* As the record has it: without what is known of its image, and of other images. */
int layer_record_message(struct arena *a, const Imaged__Store__V1__LayerEntry *entry, Imaged__V1__Layer *m,
			 struct err *err);

/* A copy that shares nothing with it. */
Imaged__V1__ImageSummary *summary_copy(struct arena *a, const Imaged__V1__ImageSummary *summary);

/* Manifest and configuration of a stored image, read and parsed. */
struct image_content {
	struct buf manifest_body, config_body;
	struct manifest manifest;
	struct image_config config;
};

int image_content_read(struct store *s, const struct image *image, struct image_content *ret_content, struct err *err);
void image_content_free(struct image_content *c); /* also the cleanup function */

int config_message(struct arena *a, const struct container_config *c, Imaged__V1__ContainerConfig **ret_config,
		   struct err *err);

/* Newest first; layer sizes from the record. */
int history_messages(struct store *s, struct arena *a, const struct image *image, const struct image_config *config,
		     size_t *ret_n, Imaged__V1__HistoryEntry ***ret_entries, struct err *err);

/* Text for a message that is perhaps not UTF-8 (a server's words, a cut one): then
 * what is not ASCII becomes '?'. */
void utf8_clean(char *text);

/* What the registry said last of its limit; NULL: nothing. */
struct rate_message {
	struct rate_limit rate;
	Imaged__V1__RateLimit message; /* borrows from `rate` */
};

Imaged__V1__RateLimit *rate_message_of(struct repository *r, struct rate_message *out);

/* Borrows the strings of the message. */
struct credentials credentials_of(const Imaged__V1__Credentials *message);
/* Of several those that name the registry; NULL: none does. They go to no other. */
const Imaged__V1__Credentials *credentials_among(Imaged__V1__Credentials *const *all, size_t n, const char *registry);
/* When the call is done with them; what gRPC holds cannot be reached. */
void credentials_wipe(const Imaged__V1__Credentials *message);

#endif
