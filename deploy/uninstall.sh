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

# All of edgebnn's units that are there, loaded or not.
cd / # this file may lie in what goes
mapfile -t units < <(cd "$LIB/systemd/system" 2>/dev/null && ls -d edgebnn-*.service edgebnn-*.timer 2>/dev/null || true)
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
rm -rf --one-file-system $OPT
# Folders that may have been there before edgebnn go only when they are empty.
rmdir --ignore-fail-on-non-empty $LIB/systemd/system $LIB/systemd $LIB/sysusers.d $LIB/tmpfiles.d 2>/dev/null || true

if $purge; then
  rm -rf --one-file-system $ETC $STATE /run/edgebnn /var/log/edgebnn
  rm -rf /etc/systemd/system/edgebnn-*.d
  rm -f /etc/credstore/edgebnn.*
  rmdir --ignore-fail-on-non-empty /etc/credstore 2>/dev/null || true
  ! id edgebnn >/dev/null 2>&1 || userdel edgebnn
  ! getent group edgebnn >/dev/null || groupdel edgebnn
  systemctl daemon-reload
  echo "edgebnn: removed, with configuration and state"
else
  echo "edgebnn: removed; kept: $ETC, $STATE, /etc/credstore/edgebnn.*, the user edgebnn (uninstall.sh --purge removes them)"
fi
