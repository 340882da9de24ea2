# The daemon's side of the worker protocol, and the worker's data path.
imaged_fuzz(fuzz_layer_protocol imaged_layer_client)
imaged_fuzz(fuzz_layer_data imaged_layer_worker)
# The same of an archive: its headers, its compression.
imaged_fuzz(fuzz_archive_protocol imaged_layer_client)
imaged_fuzz(fuzz_tar_members imaged_layer_worker)
imaged_fuzz(fuzz_inflate_archive imaged_layer_worker)
