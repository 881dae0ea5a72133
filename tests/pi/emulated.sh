# Sourced by tests/pi/user-space: arm64 Debian roots that are unpacked without running anything of them, and commands
# inside. All lies in build/pi. Needs root on x86_64 Debian.

pi=$PWD/build/pi
declare -A PYTHON=([bookworm]=3.11 [trixie]=3.13) GLIBC=([bookworm]=36 [trixie]=41)
declare -A PART=([cortex-a53]=0xd03 [cortex-a72]=0xd08 [cortex-a76]=0xd0b)

# need_packages PACKAGE...: of Debian, installed where they are missing.
need_packages() {
  dpkg -s "$@" >/dev/null 2>&1 && return
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -q >/dev/null
  apt-get -o DPkg::Lock::Timeout=300 install -qq -y --no-install-recommends "$@" >"$pi/apt.log" 2>&1 ||
    { tail -20 "$pi/apt.log" >&2; die "apt could not install $*"; }
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
  local suite=$1 root=$pi/$1
  [ ! -e "$root/.complete" ] || return 0
  ! grep -q " $root/" /proc/mounts || die "something is mounted below $root: unmount it"
  rm -rf --one-file-system "$root"
  mmdebstrap --quiet --mode=root --variant=extract --architectures=arm64 \
    --include=python3,libstdc++6,ca-certificates,bash,coreutils,libc-bin,base-files \
    --aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Languages "none"' \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' "$suite" "$root" 2>"$pi/mmdebstrap-$suite.log" ||
    { tail -20 "$pi/mmdebstrap-$suite.log" >&2; die "mmdebstrap could not make the root of $suite"; }
  touch "$root/.complete"
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
  unshare -m bash -c '
    root=$1; shift
    mount -t proc proc "$root/proc" && mount --bind "$root/opt/cpuinfo" "$root/proc/cpuinfo"
    mount -t tmpfs tmpfs "$root/tmp"
    exec chroot "$root" /usr/bin/env -i PATH=/usr/bin:/bin HOME=/tmp LANG=C.UTF-8 "$@"' on_pi "$root" \
    QEMU_CPU="$cpu" PYTHONPATH=/opt/edgebnn:/opt/packages:/opt/tests PYTHONDONTWRITEBYTECODE=1 "$@"
}
