#!/usr/bin/env bash
# Removes edgebnn's services. Configuration (/etc/edgebnn, secrets, drop-ins), state (/var/lib/edgebnn) and the user that
# owns it stay, unless --purge is given. Debian's packages stay in any case.
#
#   sudo /opt/edgebnn/current/deploy/uninstall.sh [--purge]
set -euo pipefail

readonly OPT=/opt/edgebnn ETC=/etc/edgebnn STATE=/var/lib/edgebnn BIN=/usr/local/bin LIB=/usr/local/lib

die() {
  echo "uninstall.sh: $*" >&2
  exit 1
}
purge=false
case ${1:-} in
  "") ;;
  --purge) purge=true ;;
  -h | --help) sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0" && exit ;;
  *) die "expected --purge or nothing, got '$1'" ;;
esac
[ $# -le 1 ] || die "expected --purge or nothing, got '$*'"
[ "$(id -u)" = 0 ] || die "expected root: run sudo $0"
# shellcheck source=deploy/trees.sh
. "$(dirname "$0")/trees.sh"
exec 9>/run/edgebnn-install.lock
flock --nonblock 9 || die "another install.sh or uninstall.sh is at work: wait for it"
folders=("$OPT")
! $purge || folders+=("$ETC" "$STATE" /run/edgebnn /var/log/edgebnn /etc/systemd/system/edgebnn-*.d)
refuse_mounts "${folders[@]}" # before anything is touched

# All of edgebnn's units that are there, loaded or not.
cd / # this file may lie in what goes
units=()
for unit in "$LIB"/systemd/system/edgebnn-*.{service,timer}; do
  [ ! -e "$unit" ] || units+=("${unit##*/}")
done
if [ ${#units[@]} -gt 0 ]; then
  systemctl --quiet disable --now "${units[@]}" 2>/dev/null || true
  for unit in "${units[@]}"; do rm -f "$LIB/systemd/system/$unit"; done
  systemctl daemon-reload
  systemctl reset-failed 'edgebnn-*' 2>/dev/null || true
fi
for command in edgebnn edgebnn-face edgebnn-alarm edgebnn-sleep; do
  if [[ $(readlink "$BIN/$command" 2>/dev/null) == $OPT/* ]]; then rm "$BIN/$command"; fi
done
rm -f $LIB/sysusers.d/edgebnn.conf $LIB/tmpfiles.d/edgebnn.conf
remove_tree "${folders[@]}"
# Folders that may have been there before edgebnn go only when they are empty.
rmdir --ignore-fail-on-non-empty $LIB/systemd/system $LIB/systemd $LIB/sysusers.d $LIB/tmpfiles.d 2>/dev/null || true

if $purge; then
  rm -f /etc/credstore/edgebnn.*
  rmdir --ignore-fail-on-non-empty /etc/credstore 2>/dev/null || true
  ! id edgebnn >/dev/null 2>&1 || userdel edgebnn
  ! getent group edgebnn >/dev/null || groupdel edgebnn
  systemctl daemon-reload
  echo "edgebnn: removed, with configuration and state"
else
  echo "edgebnn: removed; kept: $ETC, $STATE, /etc/credstore/edgebnn.*, the user edgebnn (uninstall.sh --purge removes them)"
fi
