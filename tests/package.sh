#!/bin/sh
# The Debian package in a Debian 12 root that mmdebstrap has just made: installed, run, removed
# and purged, with nothing left behind; and the container image that imaged builds of it, run
# by crun. Needs root, a Debian mirror and what was built in build/.
#
#   sh tests/package.sh [TAR]     TAR: such a root, instead of mmdebstrap's
#
# Ends with "package: passed" and exit status 0, or with what failed.
set -eu

cd "$(dirname "$0")/.."
# Whatever is mounted here ends with this process.
[ -n "${IMAGED_NAMESPACE:-}" ] || exec env IMAGED_NAMESPACE=1 unshare --mount --propagation private sh "$0" "$@"
[ -f build/CPackConfig.cmake ] || {
	echo "package.sh: nothing is built in build/; README, \"Build and install\", says how" >&2
	exit 2
}
sh deploy/deps.sh install package
base=$(mktemp -d /var/tmp/imaged-package.XXXXXX)
root=$base/root
machine=
daemon=
cleanup() {
	status=$?
	trap - EXIT
	# Its processes and mounts end with the first process of the machine.
	[ -z "$machine" ] || kill -KILL "$machine" || :
	wait
	rm -rf --one-file-system "$base"
	[ "$status" = 0 ] && echo "package: passed" || echo "package: FAILED"
	exit "$status"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

fail() {
	echo "FAIL: $*" >&2
	exit 1
}

# The root becomes one of a machine: with processes and mounts of its own. Not by chroot
# alone: the kernel makes no user namespace for who is in one. crun refuses the hybrid
# hierarchy of cgroups that this one may have.
# shellcheck disable=SC2016 # expanded inside
become='
	mount --bind "$0" "$0"
	for kind in sys dev; do mount --rbind "/$kind" "$0/$kind"; done
	mount -t cgroup2 cgroup2 "$0/sys/fs/cgroup"
	mount -t proc proc "$0/proc"
	cd "$0"
	mkdir .before
	pivot_root . .before
	exec chroot . sh -euc "umount -l /.before; rmdir /.before; echo >/run/ready; exec sleep infinity"'

start_machine() {
	unshare --mount --propagation private --pid --fork --kill-child sh -euc "$become" "$root" 2>"$base/machine.log" &
	holder=$!
	until [ -e "$root/run/ready" ]; do
		kill -0 "$holder" 2>/dev/null || fail "the root does not become one of a machine: $(cat "$base/machine.log")"
		sleep 0.1
	done
	rm "$root/run/ready"
	machine=$(cat "/proc/$holder/task/$holder/children")
	machine=${machine% }
}

inside() { # COMMAND...
	nsenter --target "$machine" --mount --pid \
		env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/tmp LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive "$@"
}

until_answers() { # SECONDS COMMAND...: of a daemon whose first process is $daemon
	tries=$(($1 * 10))
	shift
	until "$@" >/dev/null 2>&1; do
		tries=$((tries - 1))
		[ "$tries" -gt 0 ] || fail "no answer to: $*: $(cat "$base/log")"
		kill -0 "$daemon" 2>/dev/null || fail "imaged ended: $(cat "$base/log")"
		sleep 0.1
	done
}

start_imaged() {
	inside sh -c 'echo $$ >/run/pid; exec imaged' 2>"$base/log" &
	daemon=$!
	until_answers 60 inside imagectl version
}

stop_imaged() {
	# shellcheck disable=SC2016 # expanded inside
	inside sh -c 'kill "$(cat /run/pid)"; rm /run/pid'
	wait "$daemon" || fail "imaged ended with $?: $(cat "$base/log")"
}

contained() { # COMMAND OF CRUN...
	inside crun --root /tmp/crun --cgroup-manager=disabled "$@"
}

# Names, kinds, modes, owners and sizes. What apt and dpkg keep of all packages is not this one's.
listing() {
	(cd "$root" && find . -path ./var/lib/apt -prune -o -path ./var/lib/dpkg -prune -o -path ./var/cache -prune -o \
		-path ./var/log -prune -o -path ./tmp -prune -o -type f -printf '%y %m %u:%g %s %p\n' -o -printf '%y %m %u:%g %p %l\n' | sort)
}

has() { # PATTERN COMMAND...
	pattern=$1
	shift
	said=$("$@") || fail "$*"
	echo "$said" | grep -q -e "$pattern" || fail "$*: no $pattern in: $said"
}

echo "== the package"
cpack -G DEB --config build/CPackConfig.cmake -B "$base/package" >"$base/log" 2>&1 || fail "cpack: $(cat "$base/log")"
rm -rf "$base/package/_CPack_Packages"
package=$(echo "$base"/package/imaged_*.deb)
echo "$(basename "$package"), $(stat -c %s "$package") bytes"
lintian --allow-root --fail-on error "$package" || fail "lintian finds errors"

echo "== a Debian 12 root"
mkdir "$root"
if [ $# -gt 0 ]; then tar -C "$root" -xf "$1"; else mmdebstrap --variant=minbase --quiet bookworm "$root"; fi
# How this machine reaches a mirror is its own matter; the root needs the same.
for file in /etc/apt/apt.conf.d/*proxy* /etc/resolv.conf; do
	[ ! -f "$file" ] || cp -L "$file" "$root$file"
done
tar -C "$root" -c . >"$base/base.tar"
start_machine
inside apt-get update -qq
# What the package stands on is not what it leaves.
inside apt-get satisfy -y -qq --no-install-recommends "$(dpkg-deb -f "$package" Depends), crun" >"$base/log" 2>&1 || fail "its dependencies: $(cat "$base/log")"
listing >"$base/before"

echo "== installed"
cp "$package" "$root/tmp/imaged.deb"
inside dpkg -i /tmp/imaged.deb >/dev/null
# shellcheck disable=SC2016 # a field of dpkg-query
has '^installed$' inside dpkg-query -W -f '${db:Status-Status}\n' imaged
# shellcheck disable=SC2016
has '^ /etc/imaged/imaged.toml ' dpkg-query --admindir "$root/var/lib/dpkg" -W -f '${Conffiles}\n' imaged
[ -L "$root/etc/systemd/system/sockets.target.wants/imaged.socket" ] || fail "the socket is not enabled"
for name in /usr/sbin/imaged /usr/bin/imagectl /usr/libexec/imaged/imaged-layer /usr/libexec/imaged/imaged-run \
	/usr/lib/systemd/system/imaged.service /usr/lib/systemd/system/imaged.socket /usr/share/man/man8/imaged.8.gz \
	/usr/share/man/man1/imagectl.1.gz /usr/share/bash-completion/completions/imagectl; do
	has "^$name\$" inside dpkg -L imaged
done
has '^' inside dpkg --verify imaged

echo "== run"
start_imaged
has '^Server:' inside imagectl version
inside imagectl import - base:12 <"$base/base.tar" >/dev/null || fail "import"
has '^base:12$' inside imagectl images --format '{{.Repository}}:{{.Tag}}'

echo "== the container image, built by it"
mkdir -p "$root/tmp/context" "$root/tmp/bundle/rootfs"
cp "$package" deploy/container/Dockerfile "$root/tmp/context"
inside imagectl build --build-arg BASE=base:12 -t imaged:test /tmp/context >"$base/log.build" 2>&1 ||
	fail "build: $(tail -n 60 "$base/log.build")"
inside imagectl images
inside imagectl inspect imaged:test >"$base/image.json"
# shellcheck disable=SC2016 # of imagectl
has '^map\[/var/lib/imaged:{}\] \[/usr/sbin/imaged\] \[CMD imagectl version\] map\[\]$' inside imagectl inspect --format \
	'{{.Config.Volumes}} {{.Config.Entrypoint}} {{.Config.Healthcheck.Test}} {{or .Config.ExposedPorts "map[]"}}' imaged:test

echo "== the container"
/usr/bin/python3 tests/lib/bundle.py <"$base/image.json" >"$root/tmp/bundle/config.json"
inside imagectl image mount --rw imaged:test /tmp/bundle/rootfs >/dev/null
installed=$daemon
contained run --bundle /tmp/bundle imaged >"$base/log" 2>&1 &
daemon=$!
until_answers 60 contained exec imaged imagectl version
contained exec imaged sh -ec '
	mkdir /tmp/tiny
	echo hello >/tmp/tiny/greeting
	printf "FROM scratch\nCOPY greeting /\n" >/tmp/tiny/Dockerfile
	imagectl build -q -t tiny:1 /tmp/tiny' >/dev/null || fail "a build in the container"
has '^tiny:1$' contained exec imaged imagectl images --format '{{.Repository}}:{{.Tag}}'
contained kill imaged TERM
wait "$daemon" || fail "the container ended with $?: $(cat "$base/log")"
daemon=$installed
inside imagectl image unmount /tmp/bundle/rootfs >/dev/null

echo "== removed: images stay"
inside imagectl image mount base:12 /mnt >/dev/null
stop_imaged
inside dpkg -r imaged >/dev/null
[ ! -e "$root/usr/sbin/imaged" ] || fail "removal leaves the programs"
[ -f "$root/etc/imaged/imaged.toml" ] || fail "removal takes the configuration"
[ -f "$root/var/lib/imaged/FORMAT" ] || fail "removal takes the images"
inside grep -q ' /mnt overlay' /proc/mounts || fail "removal unmounts an image"

echo "== purged while something is mounted in its directory: that stays"
inside mkdir /var/lib/imaged/foreign
inside mount -t tmpfs tmpfs /var/lib/imaged/foreign
inside touch /var/lib/imaged/foreign/file
inside dpkg -P imaged >"$base/log" 2>&1
grep -q '/var/lib/imaged stays' "$base/log" || fail "no word about what stays: $(cat "$base/log")"
inside test -f /var/lib/imaged/foreign/file || fail "purge followed a mount"
[ -f "$root/var/lib/imaged/FORMAT" ] || fail "purge took images although something was mounted"
inside umount /var/lib/imaged/foreign
inside rmdir /var/lib/imaged/foreign

echo "== installed again, and purged with an image mounted"
inside dpkg -i /tmp/imaged.deb >/dev/null
start_imaged
has '^base:12$' inside imagectl images --format '{{.Repository}}:{{.Tag}}'
inside imagectl image mount base:12 /mnt >/dev/null
stop_imaged
inside dpkg -P imaged >"$base/log" 2>&1
! inside grep -e '^imaged:' -e ' /var/lib/imaged' /proc/mounts || fail "purge leaves mounts"
! inside dpkg -s imaged >/dev/null 2>&1 || fail "dpkg still knows it"
listing >"$base/after"
diff "$base/before" "$base/after" || fail "purge leaves or takes something (above)"
