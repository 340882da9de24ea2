#!/bin/sh
# Measures imaged beside its peers and prints medians, ratios and the aims.
#
#   sh tests/bench/run.sh                 everything (about 20 minutes the first time)
#   sh tests/bench/run.sh SECTION...      pull present calls memory start cli save load push
#                                         layers ranges tiny cut compress unary build conns cri
#
# Peers: bench_floor (what a pull costs at least, see floor.c), skopeo, dockerd, and those
# of peers.py that are there. They run in the same call, in turn with imaged. BENCH_ROUNDS
# (5) rounds each, BENCH_PEER_ROUNDS (1) of the peers that unpack. The images are made once
# and kept in build/bench-cache (about 7 GB).
set -eu
cd "$(dirname "$0")/../.."
sh deploy/deps.sh install build run bench
[ -f build/build.ninja ] || cmake -S . -B build -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DIMAGED_TESTS=ON >/dev/null
cmake --build build -j 2 >/dev/null
exec /usr/bin/python3 tests/bench/bench.py "$@"
