#!/bin/sh
# Load: 1,000 open connections, calls of ListImages as fast as a client of bare HTTP/2 gets
# answers, and pulls beside, for SECONDS (60). Prints the rate and imaged's memory.
#
#   sh tests/load.sh [SECONDS]
#
# Status 1 when a call or a pull fails, or when memory is not back where it was. A short form
# of it is in tests/integration/test_load_proof.py.
set -eu
cd "$(dirname "$0")/.."
sh deploy/deps.sh install build run test
[ -f build/build.ninja ] || cmake -S . -B build -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DIMAGED_TESTS=ON >/dev/null
cmake --build build -j 2 >/dev/null
exec /usr/bin/python3 tests/lib/load.py "$@"
