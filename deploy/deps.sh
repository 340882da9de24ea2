#!/bin/sh
# The one place that names the Debian packages imaged needs.
#
#   sh deploy/deps.sh print GROUP...     names, one per line
#   sh deploy/deps.sh missing GROUP...   those that are not installed
#   sh deploy/deps.sh install GROUP...   installs those (no-op when all are present)
#
# Groups: build (compile it), run (what the installed programs need beside their
# libraries), demo (deploy/quickstart.sh), test (tests/run.sh), bench
# (peers of tests/bench/run.sh), fresh (tests/fresh.sh), package (tests/package.sh).
set -eu

packages() {
	case $1 in
	build)
		echo gcc g++ libc6-dev cmake ninja-build pkg-config git ca-certificates
		# messages and RPC; the last five only for the static gRPC of imagectl
		echo protobuf-compiler libprotobuf-dev libprotoc-dev libprotobuf-c-dev protobuf-c-compiler libgrpc-dev
		echo libabsl-dev libc-ares-dev libre2-dev libssl-dev zlib1g-dev
		# registry, layers, store, configuration
		echo libcurl4-openssl-dev libisal-dev libzstd-dev liblzma-dev libbz2-dev liblmdb-dev libjansson-dev
		echo libseccomp-dev libcap-ng-dev libtomlplusplus-dev uthash-dev libmicrohttpd-dev
		;;
	run)
		echo ca-certificates
		echo crun # recommended: only RUN steps of builds need it, and runc does as well
		;;
	demo) echo docker-registry skopeo busybox-static ;;
	test)
		echo libcmocka-dev clang libclang-rt-14-dev llvm clang-tidy clang-format cppcheck valgrind
		echo docker-registry skopeo busybox-static mmdebstrap zstd openssl nginx-light
		echo git # whose repositories are contexts of builds
		echo erofs-utils attr acl # the referees of layers' images, and what their trees need
		# tools whose archives we read, and which read ours (72 MB installed, 15 s)
		echo podman buildah umoci
		echo crun runc uidmap # run the steps of builds, also without root
		echo openssh-client # an SSH agent that builds forward
		# mounts: calls that fail or kill, and the overlay of those without privileges
		echo strace fuse3 fuse-overlayfs
		echo groff-base # renders the man pages
		echo zsh fish # whose completions are tried, beside those of bash
		echo python3 python3-grpcio python3-protobuf
		# A Node.js from elsewhere brings its own npm; Debian's must not replace it.
		command -v npm >/dev/null || echo nodejs npm
		;;
	bench) echo docker.io containerd podman buildah crun runc e2fsprogs docker-registry skopeo busybox-static mmdebstrap python3 python3-grpcio python3-protobuf ;;
	fresh) echo mmdebstrap git ;;
	package) echo dpkg-dev file lintian mmdebstrap python3 ;;
	*)
		echo "deps.sh: unknown group '$1' (build, run, demo, test, bench, fresh, package)" >&2
		exit 2
		;;
	esac
}

names() {
	for group; do packages "$group"; done | tr ' ' '\n' | sort -u
}

missing() {
	for name in $(names "$@"); do
		status=$(dpkg-query -W -f='${db:Status-Status}' "$name" 2>/dev/null) || status=none
		[ "$status" = installed ] || echo "$name"
	done
}

install_missing() {
	wanted=$(missing "$@")
	[ -n "$wanted" ] || return 0
	echo "installing: $(echo "$wanted" | tr '\n' ' ')"
	as_root=
	if [ "$(id -u)" != 0 ]; then
		command -v sudo >/dev/null || {
			echo "deps.sh: run as root, or install these yourself" >&2
			exit 1
		}
		as_root=sudo
	fi
	# A package that starts a service (docker-registry, docker.io) must not do so here.
	policy=/usr/sbin/policy-rc.d
	made_policy=
	if [ ! -e "$policy" ]; then
		printf '#!/bin/sh\nexit 101\n' | $as_root tee "$policy" >/dev/null
		$as_root chmod 755 "$policy"
		made_policy=1
	fi
	status=0
	$as_root apt-get update -qq || echo "deps.sh: apt-get update had errors; going on with the lists there are" >&2
	# shellcheck disable=SC2086 # a list of words
	$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $wanted \
		>/dev/null || status=$?
	[ -z "$made_policy" ] || $as_root rm -f "$policy"
	return "$status"
}

[ $# -ge 2 ] || {
	sed -n '2,11p' "$0" >&2
	exit 2
}
verb=$1
shift
case $verb in
print) names "$@" ;;
missing) missing "$@" ;;
install) install_missing "$@" ;;
*)
	echo "deps.sh: unknown verb '$verb' (print, missing, install)" >&2
	exit 2
	;;
esac
