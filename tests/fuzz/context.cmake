add_library(fuzz_context_store STATIC context_store.c)
target_link_libraries(fuzz_context_store PUBLIC imaged_build_context imaged_flags)

# A client's directory, and a worker's records of a tar.
imaged_fuzz(fuzz_build_context fuzz_context_store)
imaged_fuzz(fuzz_untar_records fuzz_context_store)
