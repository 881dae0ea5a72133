# shellcheck shell=bash
# Sourced by tests/pi/services and tests/board/run.

# collect_wheels VENV WHEEL FOLDER: the wheel, and all that it needs on trixie's Python, in FOLDER.
collect_wheels() {
  local venv=$1 wheel=$2 folder=$3 needs=$3/needs kind platforms glibc
  kind=${wheel##*_28_} kind=${kind%.whl}
  platforms=(--platform "manylinux2014_$kind")
  for glibc in $(seq 17 41); do platforms+=(--platform "manylinux_2_${glibc}_$kind"); done
  mkdir -p "$folder"
  "$venv/bin/python" - "$wheel" <<'END' | grep ^Requires-Dist >"$needs.new"
import sys, zipfile
wheel = zipfile.ZipFile(sys.argv[1])
print(*(wheel.read(name).decode() for name in wheel.namelist() if name.endswith(".dist-info/METADATA")))
END
  if ! cmp -s "$needs.new" "$needs"; then
    rm -f "$folder"/*.whl
    "$venv/bin/python" -m pip download -qq --disable-pip-version-check --dest "$folder" --implementation cp \
      --python-version 3.13 --only-binary=:all: "${platforms[@]}" "${wheel}[service]" ||
      die "pip could not get all wheels"
    mv "$needs.new" "$needs"
  fi
  rm -f "$folder"/edgebnn-*
  cp "$wheel" "$folder/"
}
