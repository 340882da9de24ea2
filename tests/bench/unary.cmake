# tests/bench/unary.sh: the load for unary calls, against any gRPC server.
add_executable(bench_unary unary.c)
target_link_libraries(bench_unary PRIVATE imaged_runtime)
set_target_properties(bench_unary PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
