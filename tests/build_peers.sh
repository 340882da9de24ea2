#!/bin/sh
# The corpus of builds (tests/build/corpus) through dockerd's BuildKit and buildah: what
# the cases expect is what builders do, or the case says why one of them does not.
#
#   sh tests/build_peers.sh [-k REGEX] [buildkit] [buildah]      as root
#
# Packages: docker.io, buildah, skopeo, busybox-static, runc (deploy/deps.sh bench test).
set -eu
cd "$(dirname "$0")/.."
exec /usr/bin/python3 tests/build/peers.py "$@"
