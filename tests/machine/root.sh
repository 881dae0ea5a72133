# shellcheck shell=bash
# Sourced by tests/pi/services: the root file system of tests/machine, a Debian trixie of this machine's own kind, in
# build/machine. Needs root.

machine=$PWD/build/machine

# make_machine_root: $machine/root, with all that install.sh would get by apt, since the machine has no network.
make_machine_root() {
  make_debian "$machine/root" trixie --variant=minbase --include=systemd,systemd-sysv,dbus,procps \
    --include=python3,python3-venv,mosquitto,mosquitto-clients,alsa-utils,libportaudio2
}
