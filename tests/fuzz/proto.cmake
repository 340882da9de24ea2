# The generator's input, and every request message that the service takes.
imaged_fuzz(fuzz_plugin imaged_plugin)
imaged_fuzz(fuzz_request imaged_api_rpc grpc_health_rpc grpc_reflection_rpc imaged_messages grpc_messages imaged_runtime)
