#include "client/cli/commands/commands.h"
#include "client/cli/path.h"
#include "imaged/v1/image_service.client.h"

struct options {
	const char *way;
	bool rw, allow_devices, allow_setuid;
};

static int parse_way(const char *text, Imaged__V1__MountWay *ret_way, struct err *err)
{
	static const char *const names[] = { "", "file", "loop", "fuse" };

	*ret_way = IMAGED__V1__MOUNT_WAY__MOUNT_WAY_UNSPECIFIED;
	for (size_t i = 0; text && i < ARRAY_LEN(names); i++)
		if (!strcmp(text, names[i])) {
			*ret_way = (Imaged__V1__MountWay)i;
			return OK;
		}
	return text ? fail(err, E_USAGE, "invalid way '%s': it is file, loop or fuse", text) : OK;
}

static int mount(struct cli *cli, const struct options *o, char *image, char *target, struct err *err)
{
	Imaged__V1__MountImageRequest request = IMAGED__V1__MOUNT_IMAGE_REQUEST__INIT;
	CLEANUP(imaged__v1__image_service__mount_image_freep) Imaged__V1__MountImageResponse *response = NULL;
	struct rpc_channel *channel;
	int r = cli_channel(cli, &channel, err);

	request.image = image;
	request.target = (ProtobufCBinaryData){ strlen(target), (uint8_t *)target };
	request.read_write = o->rw;
	request.allow_devices = o->allow_devices;
	request.allow_setuid = o->allow_setuid;
	if (!r)
		r = parse_way(o->way, &request.way, err);
	if (!r)
		r = imaged__v1__image_service__call_mount_image(channel, cli_call_options(), &request, &response, err);
	cli_explain(cli, err);
	if (!r)
		cli_print("%s\n", response->mount->id);
	return r;
}

static int run(struct cli *cli, const void *options, UNUSED int argc, char **argv)
{
	CLEANUP(freep) char *target = absolute_path(argv[1]);
	struct err err = ERR_INIT;

	cli_config(cli);
	if (!target) {
		fail_errno(&err, "the directory '%s'", argv[1]);
		return cli_fail(&err);
	}
	return mount(cli, options, argv[0], target, &err) ? cli_fail_call(&err) : 0;
}

static const struct flag flags[] = {
	{ "allow-devices", 0, FLAG_BOOL, offsetof(struct options, allow_devices), "Let device nodes of the image work",
	  NULL },
	{ "allow-setuid", 0, FLAG_BOOL, offsetof(struct options, allow_setuid),
	  "Let set-user-ID and set-group-ID bits of the image work", NULL },
	{ "rw", 0, FLAG_BOOL, offsetof(struct options, rw),
	  "Let it be written to; what is written is gone with the mount", NULL },
	{ "way", 0, FLAG_STRING, offsetof(struct options, way),
	  "How layers are mounted: file, loop or fuse (default: the best that the daemon's machine has)", NULL },
};

const struct command_spec spec_image_mount = {
	.usage = "[OPTIONS] IMAGE DIRECTORY",
	.summary = "Mount an image at a directory of the daemon's machine",
	.help = "Mount an image at a directory of the daemon's machine, read-only, and print the ID of\n"
		"the mount. The image's content stays until it is unmounted, also over restarts of the\n"
		"daemon.",
	.flags = flags,
	.n_flags = ARRAY_LEN(flags),
	.min_args = 2,
	.max_args = 2,
	.own = true,
	.options_size = sizeof(struct options),
	.run = run,
};
