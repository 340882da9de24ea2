# In the place of the client's process.c, hence objects: they come before its archive.
add_library(fuzz_hostile_worker OBJECT hostile_worker.c)
target_link_libraries(fuzz_hostile_worker PUBLIC imaged_layer_client imaged_flags)
add_library(fuzz_tar_checksums STATIC tar_checksums.c)
target_link_libraries(fuzz_tar_checksums PUBLIC imaged_layer_worker imaged_flags)

# The daemon's side of the worker protocol, and the worker's data path.
imaged_fuzz(fuzz_layer_protocol fuzz_hostile_worker)
imaged_fuzz(fuzz_layer_data fuzz_tar_checksums)
# The same of an archive: its headers, its compression.
imaged_fuzz(fuzz_archive_protocol fuzz_hostile_worker)
imaged_fuzz(fuzz_tar_members fuzz_tar_checksums)
imaged_fuzz(fuzz_inflate_archive imaged_layer_worker)
# Images of layers: tar to image, the daemon's check of an image, and what reads it.
imaged_fuzz(fuzz_erofs_writer fuzz_tar_checksums imaged_tree)
imaged_fuzz(fuzz_erofs_check imaged_layer_client)
imaged_fuzz(fuzz_erofs_reader imaged_tree)
# Tar to image to reader, against a model of what a layer is.
add_library(fuzz_layer_model STATIC layer_model.c)
target_link_libraries(fuzz_layer_model PUBLIC fuzz_tar_checksums imaged_flags)
imaged_fuzz(fuzz_erofs_model fuzz_layer_model fuzz_tar_checksums imaged_tree imaged_layer_client)
# And the comparison of two such trees, against what their models differ in.
imaged_fuzz(fuzz_tree_diff fuzz_layer_model fuzz_tar_checksums imaged_tree imaged_layer_client)
