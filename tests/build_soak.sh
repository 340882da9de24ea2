#!/bin/sh
# Builds, for long: BUILDS (500) in a row and a fifth of it four at a time, with flat memory;
# then the daemon is killed at 50 points of a build.
#
#   sh tests/build_soak.sh [BUILDS [KILLS]]      as root; about 15 minutes
#
# Needs build/bin (sh tests/run.sh build).
set -eu
cd "$(dirname "$0")/.."
/usr/bin/python3 tests/build/soak.py "${1:-500}"
IMAGED_BUILD_KILLS=${2:-50} exec /usr/bin/python3 tests/lib/runner.py tests/crash/test_build_kill_daemon.py
