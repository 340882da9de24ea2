# The daemon's side of the worker protocol, and the worker's data path.
imaged_fuzz(fuzz_layer_protocol imaged_layer_client)
imaged_fuzz(fuzz_layer_data imaged_layer_worker)
