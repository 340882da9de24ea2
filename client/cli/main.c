/* imagectl: images of a machine, from the command line. */
#include "client/cli/cli.h"
#include "client/cli/docker_config.h"

/* Taking gRPC down costs two milliseconds, a third of a short command, and gives
 * back nothing that the end of the process does not. Output is not buffered. For
 * leak checkers it is done all the same. */
#ifndef TIDY_EXIT
#define TIDY_EXIT 0
#endif

int main(int argc, char **argv)
{
	struct cli cli = { .program = cli_program(argc > 0 ? argv[0] : NULL) };
	int status;

	signals_install();
	status = usage_run(&cli, argc > 0 ? argc - 1 : 0, argv + (argc > 0));
	if (status == 0 && cli_output_failed())
		status = 1;
	if (!TIDY_EXIT)
		_exit(status);
	rpc_channel_close(cli.channel);
	docker_config_free(cli.config);
	free(cli.address);
	return status;
}
