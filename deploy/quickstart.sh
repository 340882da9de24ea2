#!/bin/sh
# Builds imaged, starts it on a private root, and does real image work with it.
#
#   sh deploy/quickstart.sh [IMAGE]
#
# Without IMAGE no network is needed: a registry (Debian's docker-registry) is
# started on loopback with an image of Debian's busybox, and that is pulled.
# Everything that is started is stopped again; nothing outside build/ and one
# temporary directory is written, except the Debian packages that were missing.
set -eu

cd "$(dirname "$0")/.."
image=${1:-}

step() { printf '\n== %s\n' "$*"; }
show() {
	printf '\n$ imagectl %s\n' "$*"
	build/bin/imagectl "$@"
}

work=$(mktemp -d "${TMPDIR:-/tmp}/imaged-quickstart.XXXXXX")
daemon='' registry=''
cleanup() {
	status=$?
	trap - EXIT
	for pid in $daemon $registry; do
		kill "$pid" 2>/dev/null || continue
		wait "$pid" 2>/dev/null || :
	done
	[ "$status" = 0 ] || for log in "$work"/*.log; do
		[ ! -s "$log" ] || { echo "--- $log"; tail -n 20 "$log"; } >&2
	done
	rm -rf "$work"
	exit "$status"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# Until the command succeeds; the process must live meanwhile.
wait_for() { # PID WHAT COMMAND...
	pid=$1 what=$2 tries=0
	shift 2
	until "$@" >/dev/null 2>&1; do
		tries=$((tries + 1))
		if [ "$tries" -gt 200 ] || ! kill -0 "$pid" 2>/dev/null; then
			echo "quickstart: $what did not start" >&2
			exit 1
		fi
		sleep 0.05
	done
}

step "1. Packages and build"
if [ -n "$image" ]; then sh deploy/deps.sh install build run; else sh deploy/deps.sh install build run demo; fi
cmake -S . -B build -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo -DIMAGED_TESTS=OFF >"$work/build.log"
cmake --build build >>"$work/build.log"
: >"$work/build.log"
build/bin/imaged --version

# An image of one layer, written by hand: an OCI layout that skopeo can send.
busybox_layout() { # DIRECTORY
	tree=$work/tree layout=$1
	mkdir -p "$tree/bin" "$tree/etc" "$layout/blobs/sha256"
	cp "$(command -v busybox)" "$tree/bin/busybox"
	for name in sh ls cat cp mv rm mkdir ps wget vi tar; do ln -s busybox "$tree/bin/$name"; done
	echo 'root:x:0:0:root:/root:/bin/sh' >"$tree/etc/passwd"
	tar --sort=name --mtime=@1700000000 --owner=0 --group=0 --numeric-owner -C "$tree" -cf "$work/layer.tar" .
	gzip -n "$work/layer.tar" -c >"$work/layer.gz"
	store() { # FILE: sets $digest and $size
		digest=$(sha256sum <"$1" | cut -d' ' -f1)
		size=$(wc -c <"$1")
		cp "$1" "$layout/blobs/sha256/$digest"
	}
	store "$work/layer.gz"
	layer="{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar+gzip\",\"digest\":\"sha256:$digest\",\"size\":$size}"
	printf '{"created":"2023-11-14T22:13:20Z","os":"linux","architecture":"%s","config":{"Env":["PATH=/bin"],"Cmd":["sh"]},"rootfs":{"type":"layers","diff_ids":["sha256:%s"]},"history":[{"created":"2023-11-14T22:13:20Z","created_by":"COPY busybox /bin"}]}' \
		"$(dpkg --print-architecture)" "$(sha256sum <"$work/layer.tar" | cut -d' ' -f1)" >"$work/config"
	store "$work/config"
	printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:%s","size":%s},"layers":[%s]}' \
		"$digest" "$size" "$layer" >"$work/manifest"
	store "$work/manifest"
	printf '{"schemaVersion":2,"manifests":[{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:%s","size":%s,"annotations":{"org.opencontainers.image.ref.name":"latest"}}]}' \
		"$digest" "$size" >"$layout/index.json"
	echo '{"imageLayoutVersion":"1.0.0"}' >"$layout/oci-layout"
}

# A port of loopback that nobody listens on.
free_port() {
	port=5000
	while grep -qi ":$(printf %04X "$port") [0-9A-F:]* 0A" /proc/net/tcp /proc/net/tcp6 2>/dev/null; do port=$((port + 1)); done
	echo "$port"
}

if [ -z "$image" ]; then
	step "2. A registry on loopback, with Debian's busybox in it"
	host=127.0.0.1:$(free_port)
	printf 'version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: %s/registry}}\nhttp: {addr: "%s"}\n' \
		"$work" "$host" >"$work/registry.yml"
	docker-registry serve "$work/registry.yml" >"$work/registry.log" 2>&1 </dev/null &
	registry=$!
	busybox_layout "$work/layout"
	image=$host/busybox:latest
	wait_for "$registry" "the registry" skopeo --insecure-policy copy --dest-tls-verify=false \
		"oci:$work/layout:latest" "docker://$image"
	echo "serving $image"
fi

step "3. imaged, on a private root and socket"
build/bin/imaged --root "$work/root" --listen "unix://$work/imaged.sock" >"$work/imaged.log" 2>&1 </dev/null &
daemon=$!
export IMAGED_HOST="unix://$work/imaged.sock"
wait_for "$daemon" imaged build/bin/imagectl version
cat "$work/imaged.log"

step "4. Image work"
show pull "$image"
show pull "$image"
show images --digests
show inspect --format '{{.Id}} {{.Os}}/{{.Architecture}} {{.Config.Cmd}}' "$image"
show history "$image"
show tag "$image" quickstart/copy:v1
show images
if [ -n "$registry" ]; then
	show tag "$image" "$host/mine/busybox:v1"
	show push "$host/mine/busybox:v1"
	show push "$host/mine/busybox:v1"
	show rmi "$host/mine/busybox:v1"
fi
show system df
show system check
show save -o "$work/copy.tar" quickstart/copy:v1
show rmi quickstart/copy:v1
show rmi "$image"
show image prune -f
show load -i "$work/copy.tar"
show images

step "5. A build: what was loaded, a file, and two steps in a container"
mkdir "$work/context"
echo hello >"$work/context/greeting"
cat >"$work/context/Dockerfile" <<'DOCKERFILE'
FROM quickstart/copy:v1 AS shout
COPY greeting /greeting
RUN sed 's/hello/HELLO/' /greeting >/loud
FROM quickstart/copy:v1
COPY --from=shout /loud /greeting
RUN --mount=type=cache,target=/var/cache cat /greeting
CMD ["cat", "/greeting"]
DOCKERFILE
show build -t quickstart/hello "$work/context"
show build -t quickstart/hello "$work/context"
show history quickstart/hello

step "6. Stop"
kill "$daemon"
wait "$daemon"
daemon=''
tail -n 1 "$work/imaged.log"
echo "done"
