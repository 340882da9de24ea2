#include "service/rpc/health.h"

#include "grpc/health/v1/health.server.h"
#include "service/rpc/internal.h"

enum { WATCHERS_MAX = 1024, NOTHING_SENT = -1 };

#define STATUS(name) GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__##name

struct watcher {
	struct health *health;
	struct rpc_call *call;
	struct watcher *next, **link; /* health.watchers */
	bool known;		      /* the service is one of ours */
	int sent;		      /* the last status, or NOTHING_SENT */
	bool sending;		      /* so nobody else acts on it */
	bool failed;		      /* the client is gone */
};

struct health {
	pthread_mutex_t mu;
	const char **services; /* fixed before the start */
	size_t n_services;
	bool serving, ended;
	struct watcher *watchers;
	unsigned n_watchers;
};

int health_new(struct health **ret_health, struct err *err)
{
	struct health *h = calloc(1, sizeof *h);

	if (!h)
		return fail_nomem(err);
	pthread_mutex_init(&h->mu, NULL);
	*ret_health = h;
	return OK;
}

void health_free(struct health *h)
{
	if (!h)
		return;
	pthread_mutex_destroy(&h->mu);
	free(h->services);
	free(h);
}

int health_add_service(struct health *h, const char *name, struct err *err)
{
	const char **bigger = reallocarray(h->services, h->n_services + 1, sizeof *bigger);

	if (!bigger)
		return fail_nomem(err);
	h->services = bigger;
	h->services[h->n_services++] = name;
	return OK;
}

static bool is_known(const struct health *h, const char *service)
{
	bool known = !service[0];

	for (size_t i = 0; i < h->n_services && !known; i++)
		known = !strcmp(h->services[i], service);
	return known;
}

/* ---- watches ---- */

enum action { NOTHING, SEND, END_DRAINED, END_GONE };

static int status_now(const struct health *h, bool known)
{
	if (!known)
		return STATUS(SERVICE_UNKNOWN);
	return h->serving ? STATUS(SERVING) : STATUS(NOT_SERVING);
}

/* With the lock held: what is to be done, and mark it as being done. */
static enum action next_action(struct health *h, struct watcher *w)
{
	int status = status_now(h, w->known);

	if (w->sending)
		return NOTHING;
	if (!w->failed && w->sent == status && !h->ended)
		return NOTHING;
	w->sending = true;
	if (!w->failed && w->sent != status) {
		w->sent = status;
		return SEND;
	}
	*w->link = w->next;
	if (w->next)
		w->next->link = w->link;
	h->n_watchers--;
	return w->failed ? END_GONE : END_DRAINED;
}

static void end(struct watcher *w, enum action why)
{
	struct err err = ERR_INIT;

	if (why == END_GONE)
		call_over(w->call, &err);
	else
		fail(&err, E_UNAVAILABLE, "the service is shutting down");
	call_finish(w->call, &err, NULL);
}

static void perform(struct watcher *w, enum action action, int status)
{
	Grpc__Health__V1__HealthCheckResponse response = GRPC__HEALTH__V1__HEALTH_CHECK_RESPONSE__INIT;
	struct err err = ERR_INIT;

	if (action != SEND) {
		end(w, action);
		return;
	}
	response.status = (Grpc__Health__V1__HealthCheckResponse__ServingStatus)status;
	if (call_start_write(w->call, &response.base, &err) == OK)
		return;
	pthread_mutex_lock(&w->health->mu);
	w->failed = true;
	w->sending = false;
	pthread_mutex_unlock(&w->health->mu);
}

/* Moves all watches that can move: each that is found is marked, so the search
 * ends. Whoever changed something calls this. */
static void move_all(struct health *h)
{
	enum action action;
	struct watcher *w;
	int status = 0;

	do {
		pthread_mutex_lock(&h->mu);
		action = NOTHING;
		for (w = h->watchers; w; w = w->next) {
			action = next_action(h, w);
			status = w->sent;
			if (action != NOTHING)
				break;
		}
		pthread_mutex_unlock(&h->mu);
		if (action != NOTHING)
			perform(w, action, status);
	} while (action != NOTHING);
}

static void on_sent(struct rpc_call *call, bool ok)
{
	struct watcher *w = call->watcher;
	struct health *h = w->health;

	pthread_mutex_lock(&h->mu);
	w->sending = false;
	w->failed = w->failed || !ok;
	pthread_mutex_unlock(&h->mu);
	move_all(h);
}

static void on_closed(struct rpc_call *call)
{
	struct watcher *w = call->watcher;
	struct health *h = w->health;

	pthread_mutex_lock(&h->mu);
	w->failed = true;
	pthread_mutex_unlock(&h->mu);
	move_all(h);
}

static int add_watcher(struct health *h, struct watcher *w, struct err *err)
{
	bool full;

	pthread_mutex_lock(&h->mu);
	full = h->n_watchers >= WATCHERS_MAX;
	if (!full) {
		h->n_watchers++;
		w->next = h->watchers;
		w->link = &h->watchers;
		if (w->next)
			w->next->link = &w->next;
		h->watchers = w;
	}
	pthread_mutex_unlock(&h->mu);
	return full ? fail(err, E_BUSY, "%d health watches run, which is the limit", WATCHERS_MAX) : OK;
}

static void start_watch(void *self, struct rpc_call *call, const ProtobufCMessage *request)
{
	const Grpc__Health__V1__HealthCheckRequest *req = (const Grpc__Health__V1__HealthCheckRequest *)request;
	struct health *h = self;
	struct watcher *w = arena_alloc(&call->arena, sizeof *w);
	struct err err = ERR_INIT;

	if (!w) {
		fail_nomem(&err);
		call_finish(call, &err, NULL);
		return;
	}
	*w = (struct watcher){ .health = h, .call = call, .known = is_known(h, req->service), .sent = NOTHING_SENT };
	call->watcher = w;
	call->on_sent = on_sent;
	if (add_watcher(h, w, &err) < 0) {
		call_finish(call, &err, NULL);
		return;
	}
	call_ref(call); /* the watch may end below */
	pthread_mutex_lock(&call->mu);
	call->on_closed = on_closed;
	pthread_mutex_unlock(&call->mu);
	if (cancel_fired(call->cancel)) /* before on_closed was set */
		on_closed(call);
	else
		move_all(h);
	call_unref(call);
}

/* ---- the service ---- */

static int check(void *self, UNUSED struct rpc_call *call, const Grpc__Health__V1__HealthCheckRequest *request,
		 Grpc__Health__V1__HealthCheckResponse *response, struct err *err)
{
	struct health *h = self;

	if (!is_known(h, request->service))
		return fail(err, E_NOT_FOUND, "there is no service '%s'", request->service);
	pthread_mutex_lock(&h->mu);
	response->status = (Grpc__Health__V1__HealthCheckResponse__ServingStatus)status_now(h, true);
	pthread_mutex_unlock(&h->mu);
	return OK;
}

struct rpc_binding health_binding(struct health *h)
{
	static const struct grpc__health__v1__health__impl impl = { .check = check };

	return grpc__health__v1__health__bind(&impl, h);
}

void health_take_methods(struct health *h, const struct methods *m)
{
	struct method_entry *watch = methods_find(m, bytes_of("/grpc.health.v1.Health/Watch"));
	struct method_entry *one = methods_find(m, bytes_of("/grpc.health.v1.Health/Check"));

	one->is_inline = true;
	watch->start = start_watch;
	watch->self = h;
}

void health_start(struct health *h)
{
	pthread_mutex_lock(&h->mu);
	h->serving = true;
	pthread_mutex_unlock(&h->mu);
	move_all(h);
}

void health_end(struct health *h)
{
	pthread_mutex_lock(&h->mu);
	h->serving = false;
	h->ended = true;
	pthread_mutex_unlock(&h->mu);
	move_all(h);
}
