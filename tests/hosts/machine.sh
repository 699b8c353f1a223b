#!/usr/bin/env bash
# A machine of its own for tests of the Debian package and its units: the real systemd, booted in namespaces over
# this machine's files. Whatever it writes lies in memory and is gone with it. It shares the network, so that it
# reaches the test's servers on loopback, and has no right to change it; this machine's devices, kernel settings and
# modules are out of its reach. Needs root. It runs until it is killed, by its parent's end at the latest.
#
#   unshare --mount tests/hosts/machine.sh FOLDER [FILE]...      FOLDER is empty; the FILEs lie in its /given
set -euo pipefail

folder=$1
script=$(realpath "$0")

outside() {
  mount --make-rprivate /
  mount -t tmpfs machine "$folder"
  mkdir "$folder"/{cgroup,upper,work,root,given}
  (($# == 0)) || cp -- "$@" "$folder/given/"
  mount -t cgroup2 none "$folder/cgroup"
  group=$folder/cgroup/fleetpush-test-$$
  mkdir "$group"
  trap 'echo 0 >"$folder/cgroup/cgroup.procs"; find "$group" -depth -type d -exec rmdir {} +' EXIT
  echo 0 >"$group/cgroup.procs"
  setpriv --pdeathsig KILL unshare --mount --pid --fork --uts --ipc --cgroup --kill-child=KILL \
    "$script" "$folder" --inside
}

inside() {
  local root=$folder/root node
  mount -t overlay overlay -o "lowerdir=/,upperdir=$folder/upper,workdir=$folder/work" "$root"
  mount -t proc proc "$root/proc"
  mount --bind "$root/proc/sys" "$root/proc/sys"
  mount -o remount,bind,ro "$root/proc/sys"
  mount -t sysfs -o ro sysfs "$root/sys"
  mount -t cgroup2 none "$root/sys/fs/cgroup"
  for node in run tmp dev; do mount -t tmpfs "$node" "$root/$node"; done
  chmod 1777 "$root/tmp"
  for node in null zero full random urandom; do
    : >"$root/dev/$node"
    mount --bind "/dev/$node" "$root/dev/$node"
  done
  mkdir "$root"/dev/{shm,pts} "$root/given" "$root/before"
  mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
  ln -s /proc/self/fd "$root/dev/fd"
  ln -s pts/ptmx "$root/dev/ptmx"
  mount --bind "$folder/given" "$root/given"

  # Nothing runs but a log and what the test asks for; images often forbid packages to start anything.
  rm -f "$root/usr/sbin/policy-rc.d"
  rm -rf "$root"/etc/systemd/system/* "$root"/{usr/lib,etc}/systemd/system/*.wants "$root/var/log/journal"
  rm -rf "$root"/var/lib/{systemd,fleetpush,private} "$root"/etc/{default/fleetpush,fleetpush}
  printf '[Unit]\nDefaultDependencies=no\nWants=systemd-journald.service\n' >"$root/etc/systemd/system/default.target"

  cd "$root"
  pivot_root . before
  umount --lazy /before
  # As at a boot: what systemd mounts for a unit is seen from both sides.
  mount --make-rshared /
  exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin container=test setpriv --bounding-set \
    -net_admin,-net_raw,-sys_module,-sys_time,-sys_boot,-sys_rawio,-syslog,-mknod,-audit_control,-mac_admin,-bpf \
    /usr/lib/systemd/systemd --system --log-target=journal --show-status=no
}

if [[ ${2:-} == --inside ]]; then inside; else outside "${@:2}"; fi
