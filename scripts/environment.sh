# shellcheck shell=bash
# Sourced by the scripts: where Python is, and how an environment is made. Works from the repository's root.

die() {
  echo "$(basename "$0"): $*" >&2
  exit 1
}

# shellcheck source=deploy/trees.sh
. deploy/trees.sh

# python_version PYTHON: prints "3.11", or nothing when it does not run.
python_version() { "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null || true; }

# find_python VERSION...: prints the first interpreter found of these versions, in their order; fails when there is none.
find_python() {
  local version candidate
  for version in "$@"; do
    for candidate in "python$version" python3 "${PYENV_ROOT:-$HOME/.pyenv}"/versions/"$version".*/bin/python3; do
      if [ "$(python_version "$candidate")" = "$version" ]; then
        command -v "$candidate"
        return
      fi
    done
  done
  return 1
}

# make_venv FOLDER PYTHON: an environment of that Python; one of another version is made anew.
make_venv() {
  [ -x "$1/bin/python" ] && [ "$(python_version "$1/bin/python")" = "$(python_version "$2")" ] && return
  rm -rf "$1"
  "$2" -m venv "$1" || die "$2 cannot make environments: install its venv module (Debian: apt install python3-venv)"
}

# need_compiler: a sentence with the cure when there is no C++ compiler.
need_compiler() {
  command -v c++ >/dev/null || command -v g++ >/dev/null || command -v clang++ >/dev/null ||
    die "expected a C++17 compiler, found none: install one (Debian: apt install g++)"
}

# need_packages PACKAGE...: of Debian, installed where they are missing. Needs root.
need_packages() {
  dpkg --status "$@" >/dev/null 2>&1 && return
  mkdir -p build
  { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -q -y \
    --no-install-recommends "$@"; } >build/apt.log 2>&1 ||
    { tail -20 build/apt.log >&2; die "apt could not install $*"; }
}

# pip_install FOLDER ARGUMENT...: says nothing but errors.
pip_install() {
  local folder=$1
  shift
  "$folder/bin/python" -m pip install -qq --disable-pip-version-check "$@"
}

# use_zig: puts the compiler of the wheels, CMake and Ninja first in PATH, in versions that scripts/wheels pins; for
# scripts/wheels/zig.cmake. Needs Python only; all it makes lies in build/wheels/.
use_zig() {
  local tools=$PWD/build/wheels/tools pins=scripts/wheels/requirements.txt
  export ZIG_GLOBAL_CACHE_DIR=$PWD/build/wheels/zig-cache ZIG_LOCAL_CACHE_DIR=$PWD/build/wheels/zig-cache
  make_venv "$tools" "$(find_python 3.11 3.12 3.13 3.10 || die "expected Python 3.10 to 3.13, found none: install python3")"
  cmp -s "$pins" "$tools/installed" || { pip_install "$tools" --requirement "$pins" && cp "$pins" "$tools/installed"; }
  export PATH=$tools/bin:$PATH
}

# zig_kernels MACHINE: build/wheels/kernels/MACHINE/libedgebnn_kernels_testing.so, the kernels as the wheels have them, for
# tests to drive.
zig_kernels() {
  use_zig
  local build=build/wheels/kernels/$1
  mkdir -p build/wheels/kernels
  { cmake -S edgebnn/delegate -B "$build" -G Ninja -DCMAKE_TOOLCHAIN_FILE="$PWD/scripts/wheels/zig.cmake" \
    -DCMAKE_SYSTEM_PROCESSOR="$1" -DEDGEBNN_KERNEL_LIBRARY=ON -DEDGEBNN_WERROR=ON &&
    cmake --build "$build" --target edgebnn_kernels_testing; } >"$build.log" 2>&1 ||
    { tail -30 "$build.log" >&2; die "the kernels do not build for $1 with zig"; }
}
