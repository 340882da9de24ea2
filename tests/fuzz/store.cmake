imaged_fuzz(fuzz_journal imaged_store)
imaged_fuzz(fuzz_keys imaged_store)
