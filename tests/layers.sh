#!/bin/sh
# The campaign for layers' images and mounts: what takes longer than tests/run.sh may.
#
#   sh tests/layers.sh [PART...]
#
# Parts, in order:
#   trees    a Debian root, /usr of this machine, 100,000 small files, 64,000 entries in one
#            directory and more, by import and pull, against GNU tar's extraction
#   workers  a worker that hangs is ended after a minute
#   corpus   what fuzzing has of tars: fsck.erofs over each image that is made of them
#   crash    kill -9 at POINTS (200) calls and bytes, power loss at CUTS (40) places
#
# Needs root, and what tests/run.sh has built. About 20 minutes, and three times the space
# of /usr in TMPDIR, or that tree is left out. Exit status 0 when nothing failed.
set -u

cd "$(dirname "$0")/.." || exit 2
export LC_ALL=C.UTF-8
POINTS=${POINTS:-200} CUTS=${CUTS:-40}
status=0

tests() { # FILE...
	/usr/bin/python3 tests/lib/runner.py -j "${JOBS:-1}" "$@" || status=1
}

part_trees() { tests tests/layer/campaign_trees.py; }
part_workers() { tests tests/layer/campaign_workers.py; }
part_corpus() { tests tests/layer/campaign_corpus.py; }

part_crash() {
	SWEEP_POINTS=$POINTS LOSS_CUTS=$CUTS
	export SWEEP_POINTS LOSS_CUTS
	tests tests/crash/test_kill_sweep.py tests/crash/test_mount_sweep.py tests/crash/test_power_loss.py
}

for part in ${*:-trees workers corpus crash}; do
	case $part in
	trees | workers | corpus | crash) ;;
	*)
		echo "layers.sh: unknown part '$part'; one of: trees workers corpus crash" >&2
		exit 2
		;;
	esac
	begin=$(date +%s)
	printf '\n== %s\n' "$part"
	"part_$part"
	printf '%5d s  %s\n' $(($(date +%s) - begin)) "$part"
done
exit "$status"
