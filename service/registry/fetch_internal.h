/*
 * One fetch: what fetch.c (attempts, and whether there is another) and split.c (several
 * ranges at once) share.
 */
#ifndef SERVICE_REGISTRY_FETCH_INTERNAL_H
#define SERVICE_REGISTRY_FETCH_INTERNAL_H

#include "service/registry/request.h"
#include "store/content/runs.h"

/* How fast bytes come, over a window. */
struct rate {
	int64_t since_ms, bytes;
};

struct fetch {
	struct repository *repository;
	const struct descriptor *blob;
	struct ingest *ingest;
	const struct fetch_observer *observer;
	struct cancel *cancel;
	struct retry retry;
	int64_t fetched;
	int64_t best;	       /* the highest offset so far: what is above is progress */
	bool no_ranges;	       /* the server has none: it is not asked for one again */
	bool no_split;	       /* ranges of it do not fit together: one stream */
	bool asked_range;      /* of the last request */
	bool bounded;	       /* there may be others beside it: more is missing than `range` */
	bool fast;	       /* the last such range came faster than lanes are worth (split.h) */
	struct run range;      /* what was asked for */
	struct rate rate;      /* of the body that is coming */
	bool other_etag;       /* the server knows the blob by another tag than our start has */
	bool second_try;       /* started over after bytes that were wrong */
	bool mixed;	       /* the bytes do not all come from one version of the blob, or one host */
	struct endpoint *from; /* who sent the last bytes; NULL: nobody yet */
};

/* How an attempt ended. */
enum ending {
	COMPLETE,    /* every byte is here */
	PARTIAL,     /* the answer was as promised, and shorter than what is missing */
	OTHER_ETAG,  /* the whole in answer to If-Range */
	SLOW,	     /* of an answer in mid-way: several are asked for */
	NO_RANGE,    /* an answer to a Range that is no use */
	NO_SPLIT,    /* one of several such answers: what is here up to the first gap is good */
	BROKEN,	     /* no answer, or half of one, or a refusal: its class says more */
	WRONG_BYTES, /* complete, and not what the digest says; or of no use to the observer */
	FATAL,	     /* nothing that another attempt would change */
};

struct end {
	enum ending how;
	enum retry_class class;
	int64_t retry_after;
};

/* Where an earlier answer came from, when it was not the registry; url NULL: nowhere. */
struct storage {
	char *url;
	struct endpoint *from; /* who led there */
};

/* GET of the blob, of the bytes [range->from, range->to) when range is not NULL; of the
 * storage, or of the registry when it is NULL. */
int fetch_open(const struct fetch *f, const struct run *range, const struct storage *storage, struct cancel *cancel,
	       struct answer *ret_answer, enum retry_class *ret_class, struct err *err);
/* An answer that is a refusal: its words in err, when to ask again in err->retry_after_ms. */
void fetch_refuse(const struct fetch *f, struct answer *a, struct cancel *cancel, struct err *err);
/* fail() with the blob named. */
int fetch_fail(const struct fetch *f, int code, struct err *err, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
int fetch_tell(const struct fetch *f, struct err *err);
/* What a failure of fetch_tell() means. */
enum ending fetch_ending_of_told(int code);

/* ---- split.c ---- */

/* What to ask for next: the first gap, or the beginning of it where so much is missing that
 * more than one connection may be worth it (f->bounded). */
void split_plan(struct fetch *f);
/* Whether the one connection has turned out slow, and others are idle. */
bool split_is_due(struct fetch *f);
/* A range has come to its end: when it was fast, the next is larger. */
void split_range_ended(struct fetch *f);
/* Fetches all that is missing, beginning with the rest of an answer that was accepted:
 * that of `range` from the ingest's offset. */
struct end split_fetch(struct fetch *f, struct answer *first, struct err *err);

#endif
