# shellcheck shell=bash
# Sourced by tests/pi/* and tests/board/run: Debian roots, arm64 ones too, which are unpacked without running anything of
# them, and commands inside. Lies in build/pi. Needs root on x86_64 Debian.

pi=$PWD/build/pi
declare -A PYTHON=([bookworm]=3.11 [trixie]=3.13) GLIBC=([bookworm]=36 [trixie]=41)
declare -A PART=([cortex-a53]=0xd03 [cortex-a72]=0xd08 [cortex-a76]=0xd0b)

# make_debian ROOT SUITE OPTION...: a Debian in the folder ROOT, by mmdebstrap with these options, complete or made anew.
make_debian() {
  local root=$1 suite=$2
  shift 2
  [ ! -e "$root/.complete" ] || return 0
  remove_tree "$root"
  mmdebstrap --quiet --mode=root --aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Languages "none"' \
    --dpkgopt=force-unsafe-io --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' "$@" "$suite" "$root" 2>"$root-mmdebstrap.log" ||
    { tail -20 "$root-mmdebstrap.log" >&2; die "mmdebstrap could not make $root"; }
  touch "$root/.complete"
}

# make_tools: $pi/tools, an environment with pip for other machines, and pytest.
make_tools() {
  make_venv "$pi/tools" "$(find_python 3.11 3.12 3.13 3.10 || die "expected Python 3.10 to 3.13, found none")"
  "$pi/tools/bin/python" -c 'import pytest' 2>/dev/null || pip_install "$pi/tools" pytest
}

# let_arm64_run: the kernel hands arm64 programs to qemu.
let_arm64_run() {
  [ -e /proc/sys/fs/binfmt_misc/status ] || mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc
  [ -e /proc/sys/fs/binfmt_misc/qemu-aarch64 ] || update-binfmts --enable qemu-aarch64
}

# pip_for SUITE FOLDER REQUIREMENT...: what pip on that release, on aarch64, would install, put into FOLDER of its root.
pip_for() {
  local suite=$1 folder=$pi/$1$2 glibc platforms=(--platform manylinux2014_aarch64)
  shift 2
  for glibc in $(seq 17 "${GLIBC[$suite]}"); do platforms+=(--platform "manylinux_2_${glibc}_aarch64"); done
  rm -rf "$folder"
  pip_install "$pi/tools" --target "$folder" --implementation cp --python-version "${PYTHON[$suite]}" \
    --only-binary=:all: "${platforms[@]}" "$@"
}

# make_root SUITE: $pi/SUITE, a Debian with Python.
make_root() {
  make_debian "$pi/$1" "$1" --variant=extract --architectures=arm64 \
    --include=python3,libstdc++6,ca-certificates,bash,coreutils,libc-bin,base-files
}

# install_wheel SUITE WHEEL: the wheel, and all it depends on once.
install_wheel() {
  local suite=$1 wheel=$2 needs=$pi/$1/opt/needs
  pip_for "$suite" /opt/edgebnn --no-deps "$wheel"
  grep -h ^Requires-Dist "$pi/$suite"/opt/edgebnn/edgebnn-*.dist-info/METADATA >"$needs.new"
  if ! cmp -s "$needs.new" "$needs"; then
    pip_for "$suite" /opt/packages "$wheel" "ai-edge-litert==2.3.*" pytest hypothesis
    rm -rf "$pi/$suite"/opt/packages/{edgebnn,edgebnn_convert,edgebnn-*}
    mv "$needs.new" "$needs"
  fi
}

# on_pi SUITE CPU COMMAND...: inside that root, on that core. The runtime asks /proc/cpuinfo, so it gets an ARM's; the
# mounts end with the command.
on_pi() {
  local root=$pi/$1 cpu=$2
  shift 2
  sed "s/^CPU part.*/CPU part\t: ${PART[$cpu]}/" tests/pi/cpuinfo >"$root/opt/cpuinfo"
  # shellcheck disable=SC2016
  unshare -m bash -c '
    root=$1; shift
    mount -t proc proc "$root/proc" && mount --bind "$root/opt/cpuinfo" "$root/proc/cpuinfo"
    mount -t tmpfs tmpfs "$root/tmp"
    exec chroot "$root" /usr/bin/env -i PATH=/usr/bin:/bin HOME=/tmp LANG=C.UTF-8 "$@"' on_pi "$root" \
    QEMU_CPU="$cpu" PYTHONPATH=/opt/edgebnn:/opt/packages:/opt/tests PYTHONDONTWRITEBYTECODE=1 "$@"
}
