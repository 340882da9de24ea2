#!/bin/sh
# Both README commands inside a fresh Debian 12 root, so that a missing install step
# shows. Needs root and a Debian mirror.
#
#   sh tests/fresh.sh [DIRECTORY]     DIRECTORY (default: a temporary one) must have 10 GB
#
# FRESH_STAGES: stages of tests/run.sh (default: all).
#
# The root has only what mmdebstrap's minbase variant has. The last commit is cloned
# into it: what is not committed is not tested.
set -eu

cd "$(dirname "$0")/.."
sh deploy/deps.sh install fresh
base=${1:-$(mktemp -d /var/tmp/imaged-fresh.XXXXXX)}
root=$base/root
mkdir -p "$base"
mounted=''
cleanup() {
	status=$?
	trap - EXIT
	for path in $mounted; do umount -l "$path" 2>/dev/null || :; done
	[ -n "${1:-}" ] || rm -rf --one-file-system "$base"
	exit "$status"
}
trap 'cleanup "${1:-}"' EXIT
trap 'exit 130' INT TERM

echo "== a Debian 12 minbase root in $root"
[ -x "$root/bin/sh" ] || mmdebstrap --variant=minbase --quiet bookworm "$root"
# How this machine reaches a mirror is its own matter; the fresh root needs the same.
for file in /etc/apt/apt.conf.d/*proxy* /etc/resolv.conf; do
	[ ! -f "$file" ] || cp -L "$file" "$root$file"
done
# A mount of its own, as the root of a machine is: podman wants to make it private.
mount --bind "$root" "$root"
mounted=$root
for kind in proc sys dev dev/pts; do
	mkdir -p "$root/$kind"
	case $kind in
	proc) mount -t proc proc "$root/proc" ;;
	sys) mount --rbind /sys "$root/sys" && mount --make-rslave "$root/sys" ;;
	dev) mount --rbind /dev "$root/dev" && mount --make-rslave "$root/dev" ;;
	*) continue ;;
	esac
	mounted="$root/$kind $mounted"
done
rm -rf "$root/src"
git clone --quiet . "$root/src"
git -C "$root/src" log -1 --format='commit %h: %s'

# Not by chroot alone: the kernel makes no user namespace for who is in one.
# shellcheck disable=SC2016 # expanded inside
enter='
	cd "$ROOT"
	mkdir -p .before
	pivot_root . .before
	exec chroot . sh -euc "
		umount -l /.before
		rmdir /.before
		cd /src
		exec env -u ROOT -u COMMAND sh -c \"\$COMMAND\""'

inside() { # COMMAND
	begin=$(date +%s)
	echo
	echo "== $1"
	result=0
	# shellcheck disable=SC2024
	env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM="${TERM:-dumb}" LANG=C.UTF-8 ROOT="$root" COMMAND="$1" \
		unshare --mount --propagation slave sh -euc "$enter" </dev/null || result=$?
	echo "== exit $result after $(($(date +%s) - begin)) s: $1"
	[ "$result" = 0 ] || failed="$failed '$1'"
}

failed=''
inside "sh deploy/quickstart.sh"
inside "sh tests/run.sh${FRESH_STAGES:+ $FRESH_STAGES}"
echo
if [ -n "$failed" ]; then
	echo "failed in a fresh root:$failed"
	exit 1
fi
echo "both commands work in a fresh root"
