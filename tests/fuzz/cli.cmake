imaged_fuzz(fuzz_template cli_format)
imaged_fuzz(fuzz_table cli_format)
imaged_fuzz(fuzz_docker_config cli_base)
imaged_fuzz(fuzz_json_indent cli_format)
