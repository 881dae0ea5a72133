# shellcheck shell=bash
# Sourced by scripts that run all their parts and then say what failed. Works from the repository's root.

# begin_parts FOLDER [MARK]: the parts that follow keep their output in FOLDER; MARK stands before their names.
begin_parts() {
  logs=$1 mark=${2:-==} failed=() started=$SECONDS
  rm -rf "$logs"
  mkdir -p "$logs"
}
# since SECOND: minutes.
since() { awk "BEGIN {printf \"%.1f\", ($SECONDS - $1) / 60}"; }
# part NAME COMMAND...: runs it; a part that fails stops nothing, end_parts says so.
part() {
  local name=$1 before=$SECONDS
  shift
  echo "$mark $name"
  "$@" 2>&1 | tee "$logs/${name// /-}.log" || failed+=("$name")
  echo "-- $name: $(since "$before") min"
}
# end_parts LOG...: what failed, and the count of the tests in these files; fails when a part or a test did.
end_parts() {
  echo "$mark $(since "$started") minutes in all"
  [ ${#failed[@]} -eq 0 ] || echo "FAILED: ${failed[*]}"
  scripts/count-tests "$@" && [ ${#failed[@]} -eq 0 ]
}
# last_lines: of the parts' logs, a file each, for end_parts: a part that has parts ends with the count of all.
last_lines() {
  local log
  for log in "$logs"/*.log; do
    tail -n 1 "$log" >"$log.count"
    echo "$log.count"
  done
}
