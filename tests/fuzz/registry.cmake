# What registries send that we parse ourselves.
imaged_fuzz(fuzz_challenge imaged_registry)
imaged_fuzz(fuzz_content_range imaged_registry)
imaged_fuzz(fuzz_error_body imaged_registry)
imaged_fuzz(fuzz_rate_limit imaged_registry)
imaged_fuzz(fuzz_link imaged_registry)
imaged_fuzz(fuzz_search imaged_registry)
imaged_fuzz(fuzz_url imaged_registry)
# What administrators write.
imaged_fuzz(fuzz_hosts_toml imaged_registry)
imaged_fuzz(fuzz_token_answer imaged_registry)
