#!/bin/sh
# Our client library and other gRPC implementations against the server runtime.
#
#   sh tests/conformance/run.sh BUILD_DIR
#
# Starts the build's echo_server on a unix socket, TCP, TLS and mutual TLS at
# once, then runs our own C library (its public calls), python3-grpcio (from
# reflection alone) and @grpc/grpc-js (from the .proto files). Prints a line per test and ends with "N passed, N failed, N
# skipped"; IMAGED_RESULTS names a file that gets "pass NAME" and so on too.
set -u

if [ $# != 1 ] || [ ! -x "$1/tests/echo_server" ]; then
	echo "usage: $0 BUILD_DIR (with tests/echo_server)" >&2
	exit 2
fi
here=$(cd "$(dirname "$0")" && pwd)
server=$(cd "$1" && pwd)/tests/echo_server
work=$(mktemp -d /tmp/imaged-conformance.XXXXXX)
pid=
cleanup() {
	[ -z "$pid" ] || kill "$pid" 2>/dev/null
	[ -z "$pid" ] || wait "$pid"
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# ---- certificates ----

authority() { # NAME
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$work/$1.key" \
		-out "$work/$1.pem" -subj "/CN=$1" -days 2 2>/dev/null
}

certificate() { # NAME AUTHORITY COMMON-NAME ALTERNATIVE-NAMES
	printf 'subjectAltName=%s\n' "$4" >"$work/$1.ext"
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$work/$1.key" \
		-out "$work/$1.csr" -subj "/CN=$3" 2>/dev/null &&
		openssl x509 -req -in "$work/$1.csr" -CA "$work/$2.pem" -CAkey "$work/$2.key" -CAcreateserial \
			-days 2 -extfile "$work/$1.ext" -out "$work/$1.pem" 2>/dev/null
}

authority ca && authority other_ca &&
	certificate server ca server IP:127.0.0.1,DNS:localhost &&
	certificate alice ca alice DNS:alice.example &&
	certificate stranger other_ca alice DNS:alice.example || exit 2

# ---- the server ----

"$server" --grace 2000 "unix://$work/echo.sock" tcp://127.0.0.1:0 \
	--cert "$work/server.pem" --key "$work/server.key" tcp://127.0.0.1:0 \
	--client-ca "$work/ca.pem" tcp://127.0.0.1:0 >"$work/out" 2>"$work/err" &
pid=$!
tries=0
until grep -q '^ready' "$work/out"; do
	tries=$((tries + 1))
	if [ $tries -gt 200 ] || ! kill -0 "$pid" 2>/dev/null; then
		echo "echo_server does not start:" >&2
		cat "$work/err" >&2
		exit 1
	fi
	sleep 0.05
done
address() { sed -n "s/^listening on //p" "$work/out" | sed -n "$1p"; }
cat >"$work/setup.json" <<END
{ "addresses": { "unix": "$(address 1)", "tcp": "$(address 2)", "tls": "$(address 3)", "mtls": "$(address 4)" },
  "protos": "$here/proto",
  "files": { "ca": "$work/ca.pem", "cert": "$work/alice.pem", "key": "$work/alice.key",
             "stranger_cert": "$work/stranger.pem", "stranger_key": "$work/stranger.key" } }
END

# ---- the clients ----

: >"$work/lines"
client() { # NAME COMMAND...: its lines; a client that dies is a failure too
	name=$1
	shift
	timeout 300 "$@" >"$work/client" 2>"$work/client.err"
	status=$?
	cat "$work/client" >>"$work/lines"
	cat "$work/client"
	[ $status = 0 ] || cat "$work/client.err" >&2
	if [ $status != 0 ] && ! grep -q '^FAIL' "$work/client"; then
		echo "FAIL $name.run (exit $status)" | tee -a "$work/lines"
	fi
}
skip() { echo "skip $1: $2" | tee -a "$work/lines"; }

ours() { client "c.$1" "$(dirname "$server")/test_echo" "$@"; }
ours unix "$(address 1)"
ours tcp "$(address 2)"
ours tls "$(address 3)" "$work/ca.pem"
ours mtls "$(address 4)" "$work/ca.pem" "$work/alice.pem" "$work/alice.key"

python=/usr/bin/python3 # Debian's: it has grpcio
if $python -c 'import grpc, google.protobuf' 2>/dev/null; then
	client python env PYTHONDONTWRITEBYTECODE=1 $python "$here/python/test_echo.py" "$work/setup.json"
else
	skip python "python3-grpcio is not installed"
fi

install_node() { # the packages, by the lock file, beside a copy of the test
	cp "$here"/node/* "$work/node" && (cd "$work/node" && npm ci --no-audit --no-fund --ignore-scripts) >"$work/npm" 2>&1
}
mkdir "$work/node"
if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
	skip node "node or npm is not installed"
elif ! install_node; then
	tail -n 5 "$work/npm" >&2
	skip node "npm cannot install @grpc/grpc-js"
else
	client node node "$work/node/test_echo.js" "$work/setup.json"
fi

# ---- the server's own end ----

verdict=ok
kill -TERM "$pid"
wait "$pid" && [ ! -e "$work/echo.sock" ] || verdict=FAIL
pid=
[ $verdict = ok ] || cat "$work/err" >&2
echo "$verdict server.ends_well_and_removes_its_socket" | tee -a "$work/lines"

if [ -n "${IMAGED_RESULTS:-}" ]; then
	sed -n 's/^ok /pass conformance./p; s/^FAIL /fail conformance./p; s/^skip /skip conformance./p' "$work/lines" \
		>>"$IMAGED_RESULTS"
fi
count() { grep -c "^$1 " "$work/lines"; }
passed=$(count ok) failed=$(count FAIL) skipped=$(count skip)
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ] && [ "$passed" != 0 ]
