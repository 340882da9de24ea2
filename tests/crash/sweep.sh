#!/bin/sh
# The wide crash campaign: kill -9 at POINTS system calls (default 400) of what is done
# to images and their mounts, and in the middle of layers, and power loss at CUTS places
# of the log (default 200), four trees each.
#
#   sh tests/crash/sweep.sh [POINTS [CUTS [SEED]]]
#
# Needs build/bin/imaged (sh tests/run.sh build). Takes about 15 minutes.
set -eu
cd "$(dirname "$0")/../.."
SWEEP_POINTS=${1:-400} LOSS_CUTS=${2:-200} LOSS_SEED=${3:-1}
export SWEEP_POINTS LOSS_CUTS LOSS_SEED
exec /usr/bin/python3 tests/lib/runner.py -j 2 tests/crash/test_kill_sweep.py tests/crash/test_mount_sweep.py tests/crash/test_power_loss.py
