# Sourced by tests/pi/services: the root file system of tests/machine, a Debian trixie of this machine's own kind, in
# build/machine. Needs root.

machine=$PWD/build/machine

# make_machine_root: $machine/root, with all that install.sh would get by apt, since the machine has no network.
make_machine_root() {
  local root=$machine/root
  [ ! -e "$root/.complete" ] || return 0
  ! grep -q " $root/" /proc/mounts || die "something is mounted below $root: unmount it"
  rm -rf --one-file-system "$root"
  mkdir -p "$machine"
  mmdebstrap --quiet --mode=root --variant=minbase --include=systemd,systemd-sysv,dbus,procps \
    --include=python3,python3-venv,mosquitto,mosquitto-clients,alsa-utils,libportaudio2 \
    --aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Languages "none"' --dpkgopt=force-unsafe-io \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' trixie "$root" 2>"$machine/mmdebstrap.log" ||
    { tail -20 "$machine/mmdebstrap.log" >&2; die "mmdebstrap could not make the machine's root"; }
  touch "$root/.complete"
}
