# shellcheck shell=bash
# Sourced by install.sh, uninstall.sh and scripts/environment.sh, which have `die`: how root removes folders.

# refuse_mounts FOLDER...: ends when something is mounted on or below one of them. A bind mount may be of the same device,
# so that rm --one-file-system would empty what is mounted.
refuse_mounts() {
  local folder mount
  for folder in "$@"; do
    folder=$(realpath --canonicalize-missing "$folder")
    while read -r _ mount _; do
      printf -v mount '%b' "$mount" # a space stands there as \040
      [[ $mount/ != "$folder"/* ]] || die "expected nothing mounted below $folder, $mount is: unmount it"
    done </proc/self/mounts
  done
}

# remove_tree FOLDER...: all of them, or none when something is mounted there.
remove_tree() {
  refuse_mounts "$@"
  rm -rf --one-file-system "$@"
}
