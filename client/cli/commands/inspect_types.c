#include "client/cli/commands/inspect_types.h"

#include <inttypes.h>

#include "client/cli/commands/graph_driver.h"
#include "client/cli/convert.h"

#define FIELD(field_name) [F_##field_name] = { .name = #field_name }
#define OMIT(field_name) [F_##field_name] = { .name = #field_name, .omit_empty = true }

#define PINNED_BY [F_PinnedBy] = { .name = "PinnedBy", .omit_empty = true, .method = true }

#define TYPE(variable, go_name, fields_array)                                                                      \
	static const struct value_type variable = {                                                                \
		.name = go_name, .kind = VALUE_STRUCT, .fields = fields_array, .n_fields = ARRAY_LEN(fields_array) \
	}

/* ---- leaves --------------------------------------------------------------- */

static const struct value_type type_strslice = { .name = "strslice.StrSlice",
						 .kind = VALUE_LIST,
						 .elem = &type_string };
static const struct value_type type_port_set = { .name = "nat.PortSet", .kind = VALUE_MAP, .elem = &type_empty_struct };

static struct value string_list(struct arena *a, const struct value_type *type, const Imaged__V1__StringList *list)
{
	struct value v;

	if (!list)
		return value_nil_list(type);
	v = value_strings(a, list->values, list->n_values);
	if (v.kind != VALUE_NONE)
		v.type = type;
	return v;
}

/* A list of names as the keys of a map of empty structs. */
static struct value set(struct arena *a, const struct value_type *type, char *const *names, size_t n)
{
	struct value_pair *pairs = arena_array(a, n, sizeof *pairs);

	for (size_t i = 0; pairs && i < n; i++)
		pairs[i] = (struct value_pair){ text_of(names[i]), value_struct(&type_empty_struct, NULL) };
	return value_map(type, pairs, n);
}

static struct value string_set(struct arena *a, const struct value_type *type, const Imaged__V1__StringList *list)
{
	return list ? set(a, type, list->values, list->n_values) : value_nil_list(type);
}

static struct value ports(struct arena *a, const struct value_type *type, const Imaged__V1__ContainerConfig *c)
{
	return c->n_exposed_ports ? set(a, type, c->exposed_ports, c->n_exposed_ports) : value_nil_list(type);
}

static struct value labels(struct arena *a, const Imaged__V1__LabelMap *map)
{
	struct value_pair *pairs;

	if (!map)
		return value_nil_list(&type_string_map);
	pairs = arena_array(a, map->n_values, sizeof *pairs);
	for (size_t i = 0; pairs && i < map->n_values; i++)
		pairs[i] = (struct value_pair){ text_of(map->values[i]->key), value_string(map->values[i]->value) };
	return value_map(&type_string_map, pairs, map->n_values);
}

static struct value references(struct arena *a, char *const *canonical, size_t n)
{
	struct value *items = arena_array(a, n, sizeof *items);

	for (size_t i = 0; items && i < n; i++) {
		char text[REFERENCE_TEXT_MAX];

		items[i] = value_copy(a, text_of(familiar_text(canonical[i], text)));
	}
	return value_list(&type_strings, items, n);
}

/* ---- health check --------------------------------------------------------- */

enum { F_Test, F_Interval, F_Timeout, F_StartPeriod, F_StartInterval, F_Retries };

static const struct value_field health_fields[] = { OMIT(Test),	       OMIT(Interval),	    OMIT(Timeout),
						    OMIT(StartPeriod), OMIT(StartInterval), OMIT(Retries) };

TYPE(type_health, "v1.HealthcheckConfig", health_fields);

static struct value health(struct arena *a, const Imaged__V1__HealthCheck *h)
{
	struct value *f = arena_array(a, ARRAY_LEN(health_fields), sizeof *f);

	if (!h)
		return value_nil_pointer(&type_health);
	if (!f)
		return value_none();
	f[F_Test] = h->n_test ? value_strings(a, h->test, h->n_test) : value_nil_list(&type_strings);
	f[F_Interval] = value_duration(h->interval);
	f[F_Timeout] = value_duration(h->timeout);
	f[F_StartPeriod] = value_duration(h->start_period);
	f[F_StartInterval] = value_duration(h->start_interval);
	f[F_Retries] = value_int(h->retries);
	return value_pointer_to(value_struct(&type_health, f));
}

/* ---- the engine's Config -------------------------------------------------- */

enum {
	F_Hostname,
	F_Domainname,
	F_User,
	F_AttachStdin,
	F_AttachStdout,
	F_AttachStderr,
	F_ExposedPorts,
	F_Tty,
	F_OpenStdin,
	F_StdinOnce,
	F_Env,
	F_Cmd,
	F_Healthcheck,
	F_ArgsEscaped,
	F_Image,
	F_Volumes,
	F_WorkingDir,
	F_Entrypoint,
	F_NetworkDisabled,
	F_MacAddress,
	F_OnBuild,
	F_Labels,
	F_StopSignal,
	F_StopTimeout,
	F_Shell,
};

static const struct value_field config_fields[] = {
	FIELD(Hostname),     FIELD(Domainname),	 FIELD(User),	    FIELD(AttachStdin),	   FIELD(AttachStdout),
	FIELD(AttachStderr), OMIT(ExposedPorts), FIELD(Tty),	    FIELD(OpenStdin),	   FIELD(StdinOnce),
	FIELD(Env),	     FIELD(Cmd),	 OMIT(Healthcheck), OMIT(ArgsEscaped),	   FIELD(Image),
	FIELD(Volumes),	     FIELD(WorkingDir),	 FIELD(Entrypoint), OMIT(NetworkDisabled), OMIT(MacAddress),
	FIELD(OnBuild),	     FIELD(Labels),	 OMIT(StopSignal),  OMIT(StopTimeout),	   OMIT(Shell),
};

TYPE(type_config, "container.Config", config_fields);

static void fill_config_flags(struct value *f, const Imaged__V1__ContainerConfig *c)
{
	f[F_AttachStdin] = value_bool(c->attach_stdin);
	f[F_AttachStdout] = value_bool(c->attach_stdout);
	f[F_AttachStderr] = value_bool(c->attach_stderr);
	f[F_Tty] = value_bool(c->tty);
	f[F_OpenStdin] = value_bool(c->open_stdin);
	f[F_StdinOnce] = value_bool(c->stdin_once);
	f[F_ArgsEscaped] = value_bool(c->args_escaped);
	f[F_NetworkDisabled] = value_bool(c->network_disabled);
}

static void fill_config_texts(struct value *f, const Imaged__V1__ContainerConfig *c)
{
	bool has_timeout = c->stop_timeout_set_case == IMAGED__V1__CONTAINER_CONFIG__STOP_TIMEOUT_SET_STOP_TIMEOUT;

	f[F_Hostname] = value_string(c->hostname);
	f[F_Domainname] = value_string(c->domainname);
	f[F_User] = value_string(c->user);
	f[F_Image] = value_string(c->image);
	f[F_WorkingDir] = value_string(c->working_dir);
	f[F_MacAddress] = value_string(c->mac_address);
	f[F_StopSignal] = value_string(c->stop_signal);
	f[F_StopTimeout] = has_timeout ? value_int(c->stop_timeout) : value_nil_pointer(&type_int);
}

static struct value config(struct arena *a, const Imaged__V1__ContainerConfig *c)
{
	struct value *f = arena_array(a, ARRAY_LEN(config_fields), sizeof *f);
	const Imaged__V1__ContainerConfig empty = IMAGED__V1__CONTAINER_CONFIG__INIT;

	if (!f)
		return value_none();
	if (!c)
		c = &empty;
	fill_config_flags(f, c);
	fill_config_texts(f, c);
	f[F_ExposedPorts] = ports(a, &type_port_set, c);
	f[F_Env] = string_list(a, &type_strings, c->env);
	f[F_Cmd] = string_list(a, &type_strslice, c->cmd);
	f[F_Healthcheck] = health(a, c->healthcheck);
	f[F_Volumes] = string_set(a, &type_set, c->volumes);
	f[F_Entrypoint] = string_list(a, &type_strslice, c->entrypoint);
	f[F_OnBuild] = string_list(a, &type_strings, c->on_build);
	f[F_Labels] = labels(a, c->labels);
	f[F_Shell] = string_list(a, &type_strslice, c->shell);
	return value_pointer_to(value_struct(&type_config, f));
}

/* ---- the client's Config -------------------------------------------------- */

enum {
	F_CUser,
	F_CExposedPorts,
	F_CEnv,
	F_CEntrypoint,
	F_CCmd,
	F_CVolumes,
	F_CWorkingDir,
	F_CLabels,
	F_CStopSignal,
	F_CArgsEscaped
};

static const struct value_field oci_fields[] = {
	[F_CUser] = { .name = "User", .omit_empty = true },
	[F_CExposedPorts] = { .name = "ExposedPorts", .omit_empty = true },
	[F_CEnv] = { .name = "Env", .omit_empty = true },
	[F_CEntrypoint] = { .name = "Entrypoint", .omit_empty = true },
	[F_CCmd] = { .name = "Cmd", .omit_empty = true },
	[F_CVolumes] = { .name = "Volumes", .omit_empty = true },
	[F_CWorkingDir] = { .name = "WorkingDir", .omit_empty = true },
	[F_CLabels] = { .name = "Labels", .omit_empty = true },
	[F_CStopSignal] = { .name = "StopSignal", .omit_empty = true },
	[F_CArgsEscaped] = { .name = "ArgsEscaped", .omit_empty = true },
};

enum { F_EHealthcheck, F_EOnBuild, F_EShell };

static const struct value_field extension_fields[] = {
	[F_EHealthcheck] = { .name = "Healthcheck", .omit_empty = true },
	[F_EOnBuild] = { .name = "OnBuild", .omit_empty = true },
	[F_EShell] = { .name = "Shell", .omit_empty = true },
};

static const struct value_field client_config_fields[] = {
	{ .name = "ImageConfig", .embedded = true },
	{ .name = "DockerOCIImageConfigExt", .embedded = true },
};

TYPE(type_oci_config, "v1.ImageConfig", oci_fields);
TYPE(type_extension, "v1.DockerOCIImageConfigExt", extension_fields);
TYPE(type_client_config, "v1.DockerOCIImageConfig", client_config_fields);

static struct value oci_config(struct arena *a, const Imaged__V1__ContainerConfig *c)
{
	struct value *f = arena_array(a, ARRAY_LEN(oci_fields), sizeof *f);

	if (!f)
		return value_none();
	f[F_CUser] = value_string(c->user);
	f[F_CExposedPorts] = ports(a, &type_set, c);
	f[F_CEnv] = string_list(a, &type_strings, c->env);
	f[F_CEntrypoint] = string_list(a, &type_strings, c->entrypoint);
	f[F_CCmd] = string_list(a, &type_strings, c->cmd);
	f[F_CVolumes] = string_set(a, &type_set, c->volumes);
	f[F_CWorkingDir] = value_string(c->working_dir);
	f[F_CLabels] = labels(a, c->labels);
	f[F_CStopSignal] = value_string(c->stop_signal);
	f[F_CArgsEscaped] = value_bool(c->args_escaped);
	return value_struct(&type_oci_config, f);
}

static struct value extension(struct arena *a, const Imaged__V1__ContainerConfig *c)
{
	struct value *f = arena_array(a, ARRAY_LEN(extension_fields), sizeof *f);

	if (!f)
		return value_none();
	f[F_EHealthcheck] = health(a, c->healthcheck);
	f[F_EOnBuild] = string_list(a, &type_strings, c->on_build);
	f[F_EShell] = string_list(a, &type_strings, c->shell);
	return value_struct(&type_extension, f);
}

static struct value client_config(struct arena *a, const Imaged__V1__ContainerConfig *c)
{
	const Imaged__V1__ContainerConfig empty = IMAGED__V1__CONTAINER_CONFIG__INIT;
	struct value *f = arena_array(a, ARRAY_LEN(client_config_fields), sizeof *f);

	if (!f)
		return value_none();
	f[0] = oci_config(a, c ? c : &empty);
	f[1] = extension(a, c ? c : &empty);
	return value_pointer_to(value_struct(&type_client_config, f));
}

/* ---- the rest ------------------------------------------------------------- */

static const struct value_field rootfs_fields[] = { { .name = "Type", .omit_empty = true },
						    { .name = "Layers", .omit_empty = true } };
static const struct value_field metadata_fields[] = { { .name = "LastTagTime" } };

TYPE(type_rootfs, "image.RootFS", rootfs_fields);
TYPE(type_metadata, "image.Metadata", metadata_fields);

static struct value rootfs(struct arena *a, const Imaged__V1__InspectImageResponse *r)
{
	struct value *f = arena_array(a, ARRAY_LEN(rootfs_fields), sizeof *f);
	struct value *ids = arena_array(a, r->n_layers, sizeof *ids);

	if (!f || !ids)
		return value_none();
	for (size_t i = 0; i < r->n_layers; i++)
		ids[i] = value_string(r->layers[i]->diff_id);
	f[0] = value_string("layers");
	f[1] = r->n_layers ? value_list(&type_strings, ids, r->n_layers) : value_nil_list(&type_strings);
	return value_struct(&type_rootfs, f);
}

static struct value metadata(struct arena *a, const Imaged__V1__InspectImageResponse *r)
{
	struct value *f = arena_array(a, ARRAY_LEN(metadata_fields), sizeof *f);

	if (!f)
		return value_none();
	f[0] = value_time(seconds_of(r->last_tag_time), nanos_of(r->last_tag_time));
	return value_struct(&type_metadata, f);
}

/* ---- the image ------------------------------------------------------------ */

enum {
	F_Id,
	F_RepoTags,
	F_RepoDigests,
	F_Parent,
	F_Comment,
	F_Created,
	F_Container,
	F_ContainerConfig,
	F_DockerVersion,
	F_Author,
	F_Config,
	F_Architecture,
	F_Variant,
	F_Os,
	F_OsVersion,
	F_Size,
	F_VirtualSize,
	F_GraphDriver,
	F_RootFS,
	F_Metadata,
	F_PinnedBy,   /* ours: docker's output is as it was where nothing is pinned */
	F_Descriptor, /* from here on: the client's only */
	F_Manifests,
};

static const struct value_field engine_fields[] = {
	FIELD(Id),
	FIELD(RepoTags),
	FIELD(RepoDigests),
	FIELD(Parent),
	FIELD(Comment),
	FIELD(Created),
	FIELD(Container),
	FIELD(ContainerConfig),
	FIELD(DockerVersion),
	FIELD(Author),
	FIELD(Config),
	FIELD(Architecture),
	OMIT(Variant),
	FIELD(Os),
	OMIT(OsVersion),
	FIELD(Size),
	FIELD(VirtualSize),
	FIELD(GraphDriver),
	FIELD(RootFS),
	FIELD(Metadata),
	PINNED_BY,
};

static const struct value_field client_fields[] = {
	[F_Id] = { .name = "ID", .json = "Id" },
	FIELD(RepoTags),
	FIELD(RepoDigests),
	FIELD(Parent),
	FIELD(Comment),
	OMIT(Created),
	OMIT(Container),
	OMIT(ContainerConfig),
	FIELD(DockerVersion),
	FIELD(Author),
	FIELD(Config),
	FIELD(Architecture),
	OMIT(Variant),
	FIELD(Os),
	OMIT(OsVersion),
	FIELD(Size),
	OMIT(VirtualSize),
	FIELD(GraphDriver),
	FIELD(RootFS),
	FIELD(Metadata),
	PINNED_BY,
	OMIT(Descriptor),
	OMIT(Manifests),
};

static const struct value_type type_descriptor = { .name = "v1.Descriptor", .kind = VALUE_STRUCT };
static const struct value_type type_manifests = { .name = "[]image.ManifestSummary",
						  .kind = VALUE_LIST,
						  .elem = &type_empty_struct };

TYPE(type_engine_image, "types.ImageInspect", engine_fields);
TYPE(type_client_image, "image.InspectResponse", client_fields);

static void fill_platform(struct value *f, const Imaged__V1__Platform *p)
{
	f[F_Architecture] = value_string(p ? p->architecture : "");
	f[F_Variant] = value_string(p ? p->variant : "");
	f[F_Os] = value_string(p ? p->os : "");
	f[F_OsVersion] = value_string(p ? p->os_version : "");
}

static void fill_image(struct arena *a, struct value *f, const Imaged__V1__InspectImageResponse *r, const char *root)
{
	const Imaged__V1__ImageSummary *i = r->image;

	f[F_Id] = value_string(i->id);
	f[F_RepoTags] = references(a, i->repo_tags, i->n_repo_tags);
	f[F_RepoDigests] = references(a, i->repo_digests, i->n_repo_digests);
	f[F_Parent] = value_string(r->parent);
	f[F_Comment] = value_string(r->comment);
	f[F_Created] = time_utc(a, i->created);
	f[F_Container] = value_string(r->container);
	f[F_ContainerConfig] = config(a, r->container_config);
	f[F_DockerVersion] = value_string(r->docker_version);
	f[F_Author] = value_string(r->author);
	fill_platform(f, i->platform);
	f[F_Size] = value_int64(i->size);
	f[F_VirtualSize] = value_int64(i->size);
	f[F_GraphDriver] = graph_driver_value(a, r, root);
	f[F_RootFS] = rootfs(a, r);
	f[F_Metadata] = metadata(a, r);
	f[F_PinnedBy] = value_string(i->pinned_by);
}

struct value inspect_engine(struct arena *a, const Imaged__V1__InspectImageResponse *r, const char *root)
{
	struct value *f = arena_array(a, ARRAY_LEN(engine_fields), sizeof *f);

	if (!f)
		return value_none();
	fill_image(a, f, r, root);
	f[F_Config] = config(a, r->config);
	return value_struct(&type_engine_image, f);
}

struct value inspect_client(struct arena *a, const Imaged__V1__InspectImageResponse *r, const char *root)
{
	struct value *f = arena_array(a, ARRAY_LEN(client_fields), sizeof *f);

	if (!f)
		return value_none();
	fill_image(a, f, r, root);
	f[F_Config] = client_config(a, r->config);
	f[F_Descriptor] = value_nil_pointer(&type_descriptor);
	f[F_Manifests] = value_nil_list(&type_manifests);
	return value_struct(&type_client_image, f);
}
