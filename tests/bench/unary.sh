#!/bin/sh
# Unary throughput: imaged's server runtime against grpc-go, the same two clients for
# both.
#
#   sh tests/bench/unary.sh [BUILD_DIR]
#
# ROUNDS (5) rounds of SECONDS (2) for each server, in turn; prints medians of calls
# per second with 64 and with 1 outstanding, and the ratio. The aim is 1.2 at
# 64 outstanding.
# Needs golang-go and golang-google-grpc-dev; without them only ours is measured.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
build=$(cd "${1:-$here/../../build}" && pwd)
ROUNDS=${ROUNDS:-5} SECONDS_EACH=${SECONDS_EACH:-2}
work=$(mktemp -d /tmp/imaged-unary.XXXXXX)
pids=
cleanup() {
	for pid in $pids; do kill "$pid" 2>/dev/null || true; done
	wait
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

begin() { # NAME COMMAND...: a server in the background, until it says ready
	name=$1
	shift
	"$@" >"$work/$name.out" &
	pids="$pids $!"
	tries=0
	until grep -q ready "$work/$name.out"; do
		tries=$((tries + 1))
		[ $tries -le 200 ] || { echo "$name does not start" >&2; exit 1; }
		sleep 0.05
	done
}

begin ours "$build/tests/echo_server" "unix://$work/ours.sock"
methods="ours:Echo ours:EchoInline"
if command -v go >/dev/null && [ -d /usr/share/gocode/src/google.golang.org/grpc ]; then
	GO111MODULE=off GOPATH=/usr/share/gocode GOCACHE=$work/cache GOFLAGS= \
		go build -o "$work/unary_server" "$here/unary_server.go"
	begin go "$work/unary_server" "$work/go.sock"
	methods="$methods go:Echo"
else
	echo "grpc-go is not installed (golang-go, golang-google-grpc-dev): no peer"
fi

measure() { # CLIENT SERVER METHOD OUTSTANDING
	"$build/tests/bench_$1" "$work/$2.sock" "/echo.v1.EchoService/$3" "$4" "$SECONDS_EACH"
}

round=0
while [ $round -lt "$ROUNDS" ]; do
	for client in unary_core unary; do
		for outstanding in 64 1; do
			for m in $methods; do
				measure $client "${m%:*}" "${m#*:}" $outstanding >>"$work/$client.$m.$outstanding"
			done
		done
	done
	round=$((round + 1))
done

median() { # FILE: of the calls per second
	sort -n "$1" | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}
for client in unary_core unary; do
	case $client in
	unary_core) echo "client: gRPC's C core, as C programs have it" ;;
	unary) echo "client: bare HTTP/2, which costs next to nothing: what the server alone can give" ;;
	esac
	for outstanding in 64 1; do
		for m in $methods; do
			printf '  %-16s %2d outstanding: %s\n' "$m" $outstanding \
				"$(sort -n "$work/$client.$m.$outstanding" | sed -n "$(((ROUNDS + 1) / 2))p")"
		done
		[ -e "$work/$client.go:Echo.$outstanding" ] || continue
		go=$(median "$work/$client.go:Echo.$outstanding")
		for m in ours:Echo ours:EchoInline; do
			awk -v a="$(median "$work/$client.$m.$outstanding")" -v b="$go" -v m="$m" -v n=$outstanding \
				'BEGIN { printf "  ratio %s / go, %d outstanding: %.2f\n", m, n, a / b }'
		done
	done
done
