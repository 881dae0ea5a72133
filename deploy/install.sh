#!/usr/bin/env bash
# Installs edgebnn's services on 64-bit Raspberry Pi OS or Debian (bookworm, trixie), or upgrades them.
#
#   sudo ./deploy/install.sh [--wheel FILE] [--wheels FOLDER] [--dry-run] [face] [sleep]
#
# face: faces in front of a camera. sleep: the alarm clock and the bedside monitor. Without either, an upgrade of what is
# there. Without --wheel it builds one of this checkout, with a C++ compiler and a network; --wheels says where pip finds all
# that the wheel needs, so that no network is used. Running it again changes nothing but what is new.
#
# A version lives in /opt/edgebnn/versions, with its environment and units; /opt/edgebnn/current points to the one that
# runs. When an upgrade's services do not come up, the version before is put back, with its databases as they were.
# Configuration in /etc/edgebnn is written only where there is none. docs/installing.md
set -euo pipefail
umask 022

readonly OPT=/opt/edgebnn ETC=/etc/edgebnn STATE=/var/lib/edgebnn UNITS=/usr/local/lib/systemd/system BIN=/usr/local/bin
readonly SETTLE_S=${EDGEBNN_SETTLE_S:-5} # how long services must stay up to count as good

die() {
  echo "install.sh: $*" >&2
  exit 1
}
say() { echo "edgebnn: $*"; }
wheel="" wheels="" dry=false
components=()
while [ $# -gt 0 ]; do
  case $1 in
    --wheel) [ -n "${2:-}" ] || die "--wheel needs a file" && wheel=$2 && shift ;;
    --wheels) [ -n "${2:-}" ] || die "--wheels needs a folder" && wheels=$2 && shift ;;
    --dry-run) dry=true ;;
    face | sleep) components+=("$1") ;;
    -h | --help) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0" && exit ;;
    *) die "expected --wheel FILE, --wheels FOLDER, --dry-run, face or sleep, got '$1'" ;;
  esac
  shift
done
here=$(realpath "$(dirname "$0")")
readonly checkout=${here%/*}
# shellcheck source=deploy/trees.sh
. "$here/trees.sh"

# What the machine must be.
$dry || [ "$(id -u)" = 0 ] || die "expected root: run sudo $0"
$dry || [ -d /run/systemd/system ] || die "expected a system that systemd has booted, this one is not: use pip alone"
case $(uname -m) in
  x86_64 | aarch64) ;;
  *) die "expected a 64-bit system (aarch64 or x86_64), this is $(uname -m): install 64-bit Raspberry Pi OS" ;;
esac
if [ -n "$wheel" ]; then
  [ -f "$wheel" ] || die "expected a wheel, $wheel is no file"
  wheel=$(realpath "$wheel")
  case $(basename "$wheel") in
    edgebnn-*_"$(uname -m)".whl) ;;
    *) die "expected a wheel edgebnn-*_$(uname -m).whl for this machine, got $(basename "$wheel")" ;;
  esac
else
  [ -f "$checkout/pyproject.toml" ] || die "expected a checkout of edgebnn around $here, or a wheel: use --wheel FILE"
fi
if [ -n "$wheels" ]; then
  [ -d "$wheels" ] || die "expected a folder of wheels, $wheels is none"
  [ -n "$wheel" ] || die "expected a wheel with --wheels, since building one takes a network: use --wheel FILE too"
  wheels=$(realpath "$wheels")
fi
cd / # Python would take its modules from a checkout that we are in
for component in face sleep; do
  [ -e "$UNITS/edgebnn-$component.service" ] && [[ " ${components[*]} " != *" $component "* ]] && components+=("$component")
done
[ ${#components[@]} -gt 0 ] || die "expected face, sleep or both: say what to install"
services=()
for component in "${components[@]}"; do
  case $component in
    face) services+=(face) ;;
    sleep) services+=(alarm sleep) ;;
  esac
done
if ! $dry; then
  mkdir -p $OPT
  free_mb=$(df --output=avail --block-size=1M $OPT | tail -1)
  [ "$free_mb" -ge 700 ] || die "expected 700 MB free for $OPT, there are $((free_mb)): make room"
  exec 9>/run/edgebnn-install.lock
  flock --nonblock 9 || die "another install.sh or uninstall.sh is at work: wait for it"
fi

# Debian's packages. Without the wished ones a part is missing, and edgebnn doctor says so.
needed=(python3 python3-venv)
wished=(python3-picamera2)
if [[ " ${components[*]} " == *" sleep "* ]]; then
  needed+=(alsa-utils libportaudio2)
  wished+=(python3-gpiozero python3-lgpio)
fi
[ -n "$wheel" ] || needed+=(g++)
absent() {
  local package
  for package in "$@"; do
    [ "$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || echo "$package"
  done
}
# apt_get ARGUMENT...: says nothing but errors; fails as apt does.
apt_get() {
  if $dry; then
    echo "  apt-get $*"
  else
    DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 "$@" >"$scratch/apt.log" 2>&1 ||
      { tail -20 "$scratch/apt.log" >&2 && return 1; }
  fi
}
install_packages() {
  local missing wanted=() package
  mapfile -t missing < <(absent "${needed[@]}")
  mapfile -t wanted < <(absent "${wished[@]}")
  [ ${#missing[@]} -gt 0 ] || [ ${#wanted[@]} -gt 0 ] || return 0
  # A machine without a network keeps the lists that it has.
  [ -n "$wheels" ] || apt_get update || say "apt could not refresh its lists, the old ones are used"
  if [ ${#missing[@]} -gt 0 ]; then
    say "installs ${missing[*]}"
    apt_get install -y --no-install-recommends "${missing[@]}" ||
      die "apt could not install ${missing[*]}: install them by hand, then run this again"
  fi
  for package in "${wanted[@]}"; do
    if apt-cache show "$package" >/dev/null 2>&1; then
      say "installs $package"
      apt_get install -y --no-install-recommends "$package" ||
        say "goes on without $package, which apt could not install"
    else
      say "goes on without $package, which this system's apt does not know"
    fi
  done
}

build_wheel() {
  say "builds a wheel of $checkout"
  python3 -m venv "$scratch/build"
  # Without time stamps (1980-01-01 is the first that a wheel can have) the same sources are the same version.
  SOURCE_DATE_EPOCH=315532800 "$scratch/build/bin/python" -m pip wheel -qq --disable-pip-version-check --no-cache-dir \
    --no-deps --wheel-dir "$scratch" "$checkout" || die "the wheel does not build: see above"
  wheel=$(echo "$scratch"/edgebnn-*.whl)
}

# make_version: the environment of this wheel, complete or not there at all. A new release of Debian has another Python,
# under which an old environment is empty: that is made anew.
make_version() {
  local folder=$OPT/versions/$version numpy pip=(-qq --disable-pip-version-check --no-cache-dir)
  if [ -e "$folder/.complete" ] && "$folder/bin/python" -c 'import edgebnn' 2>/dev/null; then
    say "$version is installed already"
    return
  fi
  say "installs $version"
  made=$folder
  remove_tree "$folder"
  mkdir -p "$folder"
  # Python of the system sees apt's picamera2, whose compiled parts want the numpy that it was built with.
  python3 -m venv --system-site-packages "$folder"
  : >"$folder/constraints.txt"
  if numpy=$(python3 -c 'import numpy; print(numpy.__version__)' 2>/dev/null); then
    echo "numpy==$numpy" >"$folder/constraints.txt"
  fi
  [ -z "$wheels" ] || pip+=(--no-index --find-links "$wheels")
  "$folder/bin/python" -m pip install "${pip[@]}" --constraint "$folder/constraints.txt" "${wheel}[service]" ||
    die "pip could not install $(basename "$wheel") and what it needs: give a network, or all wheels with --wheels"
  mkdir "$folder/deploy"
  cp -r "$here"/{systemd,sysusers.d,tmpfiles.d,install.sh,uninstall.sh,trees.sh} "$folder/deploy/"
  touch "$folder/.complete"
}

# try_version: what can be known before the running version is touched.
try_version() {
  local folder=$OPT/versions/$version service config secret
  # Secrets belong to the settings: a page beyond this machine is refused without its token.
  mkdir "$scratch/credentials"
  for secret in /etc/credstore/edgebnn.*; do
    [ ! -f "$secret" ] || ln -s "$secret" "$scratch/credentials/${secret#/etc/credstore/edgebnn.}"
  done
  "$folder/bin/python" -c 'import edgebnn; edgebnn.load_delegate()' || die "the delegate of $version does not load here"
  for service in "${services[@]}"; do
    config=$ETC/$service.toml
    if [ ! -e "$config" ]; then
      config=$scratch/$service.toml
      "$folder/bin/edgebnn-$service" default-config >"$config" || die "edgebnn-$service of $version does not start"
    fi
    CREDENTIALS_DIRECTORY=$scratch/credentials "$folder/bin/edgebnn-$service" run --config "$config" --check-config >/dev/null ||
      die "edgebnn-$service of $version refuses its configuration; nothing was changed"
  done
}

units_of() {
  case $1 in
    face) echo edgebnn-face.service ;;
    sleep) echo edgebnn-alarm.service edgebnn-alarm-guard.service edgebnn-alarm-guard.timer edgebnn-sleep.service ;;
  esac
}
# What systemctl starts: the guard's service is the timer's business.
started_units() {
  local component
  for component in "${components[@]}"; do
    units_of "$component" | tr ' ' '\n' | grep -v guard.service
  done
}

make_user() {
  local lib=/usr/local/lib group
  mkdir -p $lib/sysusers.d $lib/tmpfiles.d &&
    install -m 644 "$1/deploy/sysusers.d/edgebnn.conf" $lib/sysusers.d/ &&
    install -m 644 "$1/deploy/tmpfiles.d/edgebnn.conf" $lib/tmpfiles.d/ &&
    systemd-sysusers $lib/sysusers.d/edgebnn.conf &&
    systemd-tmpfiles --create $lib/tmpfiles.d/edgebnn.conf || return 1
  for group in gpio input; do
    ! getent group $group >/dev/null || usermod --append --groups $group edgebnn || return 1
  done
}

# activate VERSION: its units and commands are the system's from now on, and its services run; fails when one does not.
# Services that are what they would be go on undisturbed.
activate() {
  local folder=$OPT/versions/$1 action=start component unit command
  # Where a function is a condition, bash does not stop at errors: each says so itself.
  make_user "$folder" && mkdir -p "$UNITS" || return 1
  for component in "${components[@]}"; do
    for unit in $(units_of "$component"); do
      cmp -s "$folder/deploy/systemd/$unit" "$UNITS/$unit" || action=restart
      install -m 644 "$folder/deploy/systemd/$unit" "$UNITS/" || return 1
    done
  done
  if [ "$(readlink "$OPT/current" 2>/dev/null)" != "versions/$1" ]; then
    action=restart
    ln -sfn "versions/$1" "$OPT/current.new" && mv -T "$OPT/current.new" "$OPT/current" || return 1
  fi
  for command in edgebnn edgebnn-face edgebnn-alarm edgebnn-sleep; do
    [ ! -e "$folder/bin/$command" ] || ln -sfn "$OPT/current/bin/$command" "$BIN/$command" || return 1
  done
  systemctl daemon-reload || return 1
  # shellcheck disable=SC2046
  systemctl enable --quiet $(started_units) && systemctl $action $(started_units) && settle
}

# settle: all are up, and none restarts for SETTLE_S.
settle() {
  local before until=$((SECONDS + SETTLE_S)) states unit
  # shellcheck disable=SC2046
  before=$(systemctl show --property=Id,MainPID,NRestarts $(started_units))
  while :; do
    # shellcheck disable=SC2046
    states=$(systemctl show --property=Id,MainPID,NRestarts $(started_units))
    [ "$states" = "$before" ] || return 1
    for unit in $(started_units); do # of several, is-active is content with one
      systemctl --quiet is-active "$unit" || return 1
    done
    [ $SECONDS -lt $until ] || return 0
    sleep 0.5
  done
}

tell_failure() {
  local unit
  for unit in $(started_units); do
    systemctl --quiet is-active "$unit" && continue
    echo "edgebnn: $unit does not stay up; its own last words:" >&2
    journalctl --quiet --no-pager --output=cat --lines=10 _SYSTEMD_UNIT="$unit" >&2 || true
  done
}

# Databases of the services, before a new version may change their form; readable by root only, as they are.
save_databases() {
  stopped=true
  # shellcheck disable=SC2046
  systemctl stop $(started_units) 2>/dev/null || true
  rm -f "$OPT/databases.tar"
  [ ! -d "$STATE" ] ||
    (umask 077 && cd "$STATE" && find . -type f -name '*.sqlite3*' -print0 |
      tar --create --null --files-from - --file "$OPT/databases.tar")
}
# restore_databases: fails when they could not be put back; then the copy stays, for hands.
restore_databases() {
  # shellcheck disable=SC2046
  systemctl stop $(started_units) 2>/dev/null || true
  [ -e "$OPT/databases.tar" ] || return 0
  find "$STATE" -type f -name '*.sqlite3*' -delete &&
    tar --extract --file "$OPT/databases.tar" --directory "$STATE" --same-owner --same-permissions &&
    rm -f "$OPT/databases.tar"
}

write_configuration() {
  local service mode
  for service in "${services[@]}"; do
    [ -e "$ETC/$service.toml" ] && continue
    # A camera's address may hold its password; the clock's file is for everybody who asks the clock.
    [ "$service" = alarm ] && mode=644 || mode=640
    install -m $mode -g edgebnn "$scratch/$service.toml" "$ETC/$service.toml"
    say "wrote $ETC/$service.toml"
  done
}

if $dry; then
  say "a dry run: nothing is changed"
  install_packages
  cat <<END
  an environment in $OPT/versions of ${wheel:-a wheel built of $checkout}${wheels:+, all else from $wheels}
  user edgebnn in video and audio, in gpio and input where they exist; $ETC
$(for service in "${services[@]}"; do
    [ -e "$ETC/$service.toml" ] && echo "  $ETC/$service.toml stays as it is" || echo "  $ETC/$service.toml, all defaults"
  done)
  start $(started_units | tr '\n' ' ')
END
  exit
fi

remove_tree "$OPT"/scratch.* # of a run that the power cut
scratch=$(mktemp -d "$OPT/scratch.XXXXXX")
export TMPDIR=$scratch # on the disk: a small board's /tmp is in memory
made="" stopped=false
# leave: of what failed nothing stays; what ran before runs.
leave() {
  # shellcheck disable=SC2046
  ! $stopped || systemctl start $(started_units) || true
  remove_tree "$scratch"
  if [ -n "$made" ] && [ "$(readlink -f $OPT/current)" != "$made" ]; then remove_tree "$made"; fi
}
trap leave EXIT
for command in edgebnn edgebnn-face edgebnn-alarm edgebnn-sleep; do
  [ ! -e "$BIN/$command" ] || [[ $(readlink "$BIN/$command") == $OPT/* ]] ||
    die "$BIN/$command is of another installation: remove that first"
done
install_packages
[ -n "$wheel" ] || build_wheel
python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' || die "expected Python 3.10 or later, this is $(python3 -V)"
# A version is its wheel and its units.
version=$(basename "$wheel" | cut -d - -f 2)-$(cat "$wheel" "$here"/{systemd,sysusers.d,tmpfiles.d}/* | sha256sum | cut -c 1-8)
previous=$(basename "$(readlink "$OPT/current" 2>/dev/null || true)")
[ "$previous" != "$version" ] || previous=""
make_version
try_version
make_user "$OPT/versions/$version"
write_configuration
[ -z "$previous" ] || save_databases
if ! activate "$version"; then
  tell_failure
  if [ -z "$previous" ]; then
    die "the services of $version do not stay up: see above, and edgebnn doctor"
  fi
  say "$version does not stay up: back to $previous" >&2
  if ! restore_databases; then
    copy=$OPT/databases-of-$previous.tar # later upgrades do not touch it
    mv "$OPT/databases.tar" "$copy"
    say "the databases could not be put back as they were: make room, and unpack $copy in $STATE" >&2
  fi
  activate "$previous" || { tell_failure && die "neither $version nor $previous stays up: see above, and edgebnn doctor"; }
  stopped=false
  die "$version was not installed; $previous runs as before"
fi
rm -f "$OPT/databases.tar"
stopped=false
# The version before stays, for install.sh --wheel with it takes seconds; older ones go.
for folder in "$OPT"/versions/*; do
  case $(basename "$folder") in
    "$version" | "$previous") ;;
    *) [ -z "$previous" ] || remove_tree "$folder" ;;
  esac
done
say "$version runs: $(started_units | tr '\n' ' ')"
say "settings: $ETC/*.toml, then systemctl restart; what is wrong: edgebnn doctor; log: journalctl -u 'edgebnn-*'"
