/* RuntimeService. */
#include "service/cri/handlers.h"

static int add_condition(struct arena *a, Runtime__V1__RuntimeStatus *status, const char *type, bool good,
			 const char *reason, const char *message, struct err *err)
{
	Runtime__V1__RuntimeCondition *c = arena_alloc(a, sizeof *c);

	if (!c)
		return fail_nomem(err);
	runtime__v1__runtime_condition__init(c);
	c->type = (char *)type;
	c->status = good;
	c->reason = (char *)reason;
	c->message = (char *)message;
	status->conditions[status->n_conditions++] = c;
	return OK;
}

int cri_version(UNUSED void *self, UNUSED struct rpc_call *call, UNUSED const Runtime__V1__VersionRequest *request,
		Runtime__V1__VersionResponse *response, UNUSED struct err *err)
{
	response->version = (char *)"0.1.0"; /* of kubelet's own interface, whatever is asked */
	response->runtime_name = (char *)"imaged";
	response->runtime_version = (char *)IMAGED_VERSION;
	response->runtime_api_version = (char *)"v1";
	return OK;
}

int cri_status(void *self, struct rpc_call *call, UNUSED const Runtime__V1__StatusRequest *request,
	       Runtime__V1__StatusResponse *response, struct err *err)
{
	static const char no_network[] = "imaged serves images; the network belongs to the runtime";
	struct cri_service *service = self;
	struct arena *a = rpc_call_arena(call);
	Runtime__V1__RuntimeStatus *status = arena_alloc(a, sizeof *status);
	bool network = service->network_ready;

	if (!status)
		return fail_nomem(err);
	runtime__v1__runtime_status__init(status);
	status->conditions = arena_array(a, 2, sizeof *status->conditions);
	if (!status->conditions)
		return fail_nomem(err);
	if (add_condition(a, status, "RuntimeReady", true, "", "", err) < 0 ||
	    add_condition(a, status, "NetworkReady", network, network ? "" : "ImageServiceOnly",
			  network ? "" : no_network, err) < 0)
		return err->code;
	response->status = status;
	return OK;
}

int cri_list_containers(UNUSED void *self, UNUSED struct rpc_call *call,
			UNUSED const Runtime__V1__ListContainersRequest *request,
			UNUSED Runtime__V1__ListContainersResponse *response, UNUSED struct err *err)
{
	return OK;
}

int cri_list_pod_sandbox(UNUSED void *self, UNUSED struct rpc_call *call,
			 UNUSED const Runtime__V1__ListPodSandboxRequest *request,
			 UNUSED Runtime__V1__ListPodSandboxResponse *response, UNUSED struct err *err)
{
	return OK;
}

/* Kubelet takes its own setting where this is unset. */
int cri_runtime_config(UNUSED void *self, UNUSED struct rpc_call *call,
		       UNUSED const Runtime__V1__RuntimeConfigRequest *request,
		       UNUSED Runtime__V1__RuntimeConfigResponse *response, UNUSED struct err *err)
{
	return OK;
}
