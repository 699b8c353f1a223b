#!/usr/bin/env bash
# Runs a program as a container engine would run it in an image: the root is what the image holds and is read-only,
# the volumes can be written, the user is another one, and nothing can raise its rights. Needs root.
#
#   unshare --mount tests/hosts/image.sh ROOT USER:GROUP [INSIDE=OUTSIDE]... -- PROGRAM [ARGUMENT]...
set -euo pipefail

root=$1 user=$2
shift 2
mount --make-rprivate /
mount --bind "$root" "$root"
mount -t tmpfs -o mode=755 dev "$root/dev"
for node in null zero full random urandom; do
  : >"$root/dev/$node"
  mount --bind "/dev/$node" "$root/dev/$node"
done
mount --bind /proc "$root/proc"
while [[ $1 != -- ]]; do
  mount --bind "${1#*=}" "$root${1%%=*}"
  shift
done
shift
mount -o remount,bind,ro "$root"
exec setpriv --no-new-privs chroot --userspec="$user" --groups="${user#*:}" "$root" "$@"
