#!/usr/bin/env bash
# Puts together what the Dockerfile's last stage begins with, gcr.io/distroless/cc-debian13:nonroot, as far as
# fleetpush could need it, since its registry cannot be asked in the tests: the C library and its companions from
# the same Debian packages, the bundle of CA certificates where distroless puts it, and its users. No shell.
#
#   tests/tools/image-base.sh [FOLDER]      (default: target/test-tools; the root is FOLDER/image-base/root)
set -euo pipefail

readonly tool=image-base
readonly release=trixie
readonly packages=(base-files ca-certificates libc6 libgcc-s1)

# shellcheck source=tests/debian.sh
source "$(dirname "$(realpath "$0")")/../debian.sh"
# shellcheck source=tests/tool.sh
source "$(dirname "$(realpath "$0")")/../tool.sh"

script=$(realpath "$0")
for needed in apt-get dpkg flock; do
  command -v "$needed" >/dev/null || fail "$needed is missing; run this on Debian or in a Debian container"
done
enter "$@"

stamp="$(cat "$script" "$(dirname "$script")/../debian.sh" | cksum) $(dpkg --print-architecture)"
[[ ! -f $folder/.stamp || $(<"$folder/.stamp") != "$stamp" ]] || exit 0

apt_root=$folder/.apt
rm -rf "$apt_root"
trap 'rm -rf "$apt_root"' EXIT
log=$folder/fetch.log
download "$release" "$log" "${packages[@]}" ||
  fail "the packages of $release could not be fetched ($(apt_error "$log")); check the network and the mirror in apt's sources, then run make test-tools again (everything apt said: $log)"

root=$folder/root
rm -rf "$root"
mkdir -p "$root"
for deb in "$apt_root/$release/debs"/*.deb; do
  dpkg -x "$deb" "$root" || fail "$(basename "$deb") cannot be unpacked; run make test-tools again"
done
cat "$root"/usr/share/ca-certificates/mozilla/*.crt >"$folder/ca-certificates.crt"
# The image has no program of its own, and what nobody reads is left out here.
rm -rf "$root"/usr/{bin,sbin} "$root"/usr/share/{doc,man,info,lintian,locale,ca-certificates} "$root"/usr/lib/*/{gconv,audit}
rm -rf "$root"/{dev,proc,sys,run,tmp,home} "$root"/etc/update-motd.d
mkdir -p "$root"/{dev,proc,sys,run,home,usr/bin} "$root/etc/ssl/certs"
install -d -m 1777 "$root/tmp"
mv "$folder/ca-certificates.crt" "$root/etc/ssl/certs/ca-certificates.crt"
cat >"$root/etc/passwd" <<'END'
root:x:0:0:root:/root:/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin
nonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin
END
printf 'root:x:0:\nnobody:x:65534:\ntty:x:5:\nstaff:x:50:\nnonroot:x:65532:\n' >"$root/etc/group"
printf 'hosts: files dns\n' >"$root/etc/nsswitch.conf"
# An engine puts this one in.
printf '127.0.0.1 localhost\n' >"$root/etc/hosts"
install -d -m 700 -o 65532 -g 65532 "$root/home/nonroot" 2>/dev/null || install -d -m 700 "$root/home/nonroot"
echo "$stamp" >"$folder/.stamp"
