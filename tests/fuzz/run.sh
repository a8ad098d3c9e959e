#!/bin/bash
# run.sh - runs fuzz targets: each over its corpus first, then for some time; two at once.
#
#   tests/fuzz/run.sh BUILD SECONDS [TARGET...]    BUILD: see fuzz_build() of tests/run.sh
#
# FASTER_TEST_SEED       where chance begins [1]
# FASTER_FUZZ_CORPUS     directory, with one for each target, that new inputs are kept in and
#                        taken from, so that one run goes on where the last one stopped [none]
# FASTER_FUZZ_FINDINGS   directory for inputs that fail [a new one in $TMPDIR or /tmp]
#
# A finding is an input that ends the target: a sanitizer's report, a property that does not hold,
# more than 64 MiB in one allocation, more than 1 GiB in all, or more than 30 seconds. It is run
# again by giving its file to the target.
set -u
fuzz_directory=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
[ $# -ge 2 ] || {
  sed -n '2,/^set -u/s/^# \{0,1\}//p' "$0" >&2
  exit 2
}
build=$1
seconds=$2
shift 2
[ $# -gt 0 ] || set -- checkpoint codec manifest record redo schema script segment

findings=${FASTER_FUZZ_FINDINGS:-$(mktemp -d "${TMPDIR:-/tmp}/faster-fuzz-findings.XXXXXX")}
# Stores live in memory where that is possible: a sync costs nothing there.
work=$(mktemp -d /dev/shm/faster-fuzz.XXXXXX 2>/dev/null || mktemp -d)
trap 'rm -rf "$work"' EXIT
export TMPDIR=$work
export ASAN_OPTIONS=${ASAN_OPTIONS:-}:allocator_may_return_null=0
mkdir -p "$findings"

length_of() { # TARGET: what a longer input would only repeat
  case $1 in
  segment) echo 40000 ;;
  redo | checkpoint) echo 8000 ;;
  record | manifest) echo 4000 ;;
  *) echo 500 ;;
  esac
}

run_target() { # TARGET
  local kept=${FASTER_FUZZ_CORPUS:-$work}/$1 begin=$SECONDS code
  mkdir -p "$kept"
  "$build/tests/fuzz/fuzz_$1" "$kept" "$fuzz_directory/corpus/$1" -max_total_time="$seconds" \
    -max_len="$(length_of "$1")" -seed="${FASTER_TEST_SEED:-1}" -rss_limit_mb=1024 \
    -malloc_limit_mb=64 -timeout=30 -print_final_stats=1 -artifact_prefix="$findings/$1-" \
    >"$work/$1.log" 2>&1
  code=$?
  printf '%-12s %9s runs, %4d s, %5d inputs kept: %s\n' "$1" \
    "$(sed -n 's/^stat::number_of_executed_units: *//p' "$work/$1.log")" $((SECONDS - begin)) \
    "$(find "$kept" -type f | wc -l)" "$([ "$code" -eq 0 ] && echo no finding || echo FINDING)"
  if [ "$code" -ne 0 ]; then
    tail -n 60 "$work/$1.log"
    touch "$work/failed"
  fi
}

export -f run_target length_of
export build seconds work findings fuzz_directory
printf '%s\n' "$@" | xargs -P 2 -I TARGET bash -c 'run_target TARGET'
if [ -e "$work/failed" ]; then
  echo "the inputs are in $findings"
  exit 1
fi
rmdir "$findings" 2>/dev/null
exit 0
