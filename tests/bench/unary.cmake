# tests/bench/unary.sh: the load for unary calls, against any gRPC server.
add_executable(bench_unary unary.c)
target_link_libraries(bench_unary PRIVATE imaged_runtime)
set_target_properties(bench_unary PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
add_executable(bench_unary_core unary_core.c)
target_link_libraries(bench_unary_core PRIVATE imaged_flags imaged_grpc)
set_target_properties(bench_unary_core PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/tests)
