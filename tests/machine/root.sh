# Sourced by tests/pi/services: the root file system of tests/machine, a Debian trixie of this machine's own kind, and
# the wheels for it. All lies in build/machine. Needs root.

machine=$PWD/build/machine

# make_machine_root: $machine/root, with all that install.sh would get by apt, since the machine has no network.
make_machine_root() {
  local root=$machine/root
  [ ! -e "$root/.complete" ] || return 0
  ! grep -q " $root/" /proc/mounts || die "something is mounted below $root: unmount it"
  rm -rf --one-file-system "$root"
  mkdir -p "$machine"
  mmdebstrap --quiet --mode=root --variant=essential --include=systemd,systemd-sysv,dbus,procps \
    --include=python3,python3-venv,mosquitto,mosquitto-clients,alsa-utils,libportaudio2 \
    --aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Languages "none"' --dpkgopt=force-unsafe-io \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' trixie "$root" 2>"$machine/mmdebstrap.log" ||
    { tail -20 "$machine/mmdebstrap.log" >&2; die "mmdebstrap could not make the machine's root"; }
  touch "$root/.complete"
}

# collect_wheels VENV WHEEL: $machine/wheels, the wheel and all that it needs on trixie's Python.
collect_wheels() {
  local platforms=(--platform manylinux2014_x86_64) glibc needs=$machine/needs
  for glibc in $(seq 17 41); do platforms+=(--platform "manylinux_2_${glibc}_x86_64"); done
  mkdir -p "$machine"
  "$1/bin/python" - "$2" <<'END' | grep ^Requires-Dist >"$needs.new"
import sys, zipfile
wheel = zipfile.ZipFile(sys.argv[1])
print(*(wheel.read(name).decode() for name in wheel.namelist() if name.endswith(".dist-info/METADATA")))
END
  if ! cmp -s "$needs.new" "$needs"; then
    rm -rf "$machine/wheels"
    "$1/bin/python" -m pip download -qq --disable-pip-version-check --dest "$machine/wheels" --implementation cp \
      --python-version 3.13 --only-binary=:all: "${platforms[@]}" "$2[service]" || die "pip could not get all wheels"
    mv "$needs.new" "$needs"
  fi
  rm -f "$machine"/wheels/edgebnn-*
  cp "$2" "$machine/wheels/"
}
