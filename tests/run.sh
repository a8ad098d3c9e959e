#!/bin/bash
# run.sh - installs what is missing, builds and runs all tests.
#
#   tests/run.sh            everything, about 50 minutes on two cores
#   tests/run.sh --quick    the optimised gcc build and its tests
#   tests/run.sh --only S   the suites whose name contains S, and the builds they need
#   tests/run.sh --long [M] goes on with the long set for M minutes [60]; see long.py
#
# FASTER_TEST_SCALE  size of the random tests in percent [100]; other builds than gcc's run a
#                    tenth of it, or less
# FASTER_TEST_SEED   seed of the random tests [drawn; printed]
# FASTER_TEST_MINUTES_MAX  a suite that might take until after so many minutes is not run, and
#                          has failed [87]
# FASTER_BUILD_ROOT  where the build directories build-* go [the project's root]
#
# Each suite has a budget in seconds, written beside it below; a suite that passes it is
# stopped and has failed. The last line is "N passed, N failed".
set -u

tests_directory=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
project_root=$(dirname -- "$tests_directory")
. "$tests_directory/packages.sh"

quick=
only=
long=
while [ $# -gt 0 ]; do
  case $1 in
  --quick) quick=1 ;;
  --only)
    only=${2:-}
    shift
    ;;
  --long)
    long=60
    case ${2:-} in
    [1-9]*)
      long=$2
      shift
      ;;
    esac
    ;;
  *)
    sed -n '2,/^set -u/s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
  esac
  shift
done

needed="gcc=cmd:gcc libc6-dev=h:stdio.h meson=cmd:meson ninja-build=cmd:ninja
  pkg-config=cmd:pkg-config python3=cmd:python3 libxxhash-dev=pc:libxxhash
  libsqlite3-dev=pc:sqlite3 sqlite3=cmd:sqlite3 libcriterion-dev=pc:criterion
  libmd-dev=h:md5.h"
[ -n "$quick$long" ] || needed="$needed clang=cmd:clang clang-format=cmd:clang-format
  clang-tidy=cmd:clang-tidy valgrind=cmd:valgrind git=cmd:git xz-utils=cmd:xz"
require_packages $needed
want_packages liburing-dev=pc:liburing e2fsprogs=cmd:mkfs.ext4
[ -n "$quick$long" ] || want_packages musl-tools=cmd:musl-gcc \
  gcc-aarch64-linux-gnu=cmd:aarch64-linux-gnu-gcc qemu-user=cmd:qemu-aarch64 \
  libc6-dev-arm64-cross=f:/usr/aarch64-linux-gnu/include/stdio.h

build_root=${FASTER_BUILD_ROOT:-$project_root}
cache=${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/faster-sqlite
scale=${FASTER_TEST_SCALE:-100}
tenth=$(((scale + 9) / 10))
twentieth=$(((scale + 19) / 20))
fiftieth=$(((scale + 49) / 50))
minutes_max=${FASTER_TEST_MINUTES_MAX:-87}
export FASTER_TEST_SEED=${FASTER_TEST_SEED:-$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')}
export ASAN_OPTIONS=strict_string_checks=1
export UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1
export TSAN_OPTIONS=halt_on_error=1:second_deadlock_stack=1
logs=$(mktemp -d "${TMPDIR:-/tmp}/faster-tests.XXXXXX")
memory=$(mktemp -d /dev/shm/faster-tests.XXXXXX 2>/dev/null) &&
  chmod 755 "$memory" # tests give up root's rights
trap 'rm -rf "$logs" ${memory:+"$memory"}' EXIT
passed=0
failed=0
skipped=0
failed_suites=
start_seconds=$SECONDS
echo "seed $FASTER_TEST_SEED, scale $scale %, builds in $build_root"

# is_needed_build NAME: a suite that --only asks for uses build-NAME. Suites are named after
# their build, but for tidy, which reads how build-clang compiles.
is_needed_build() {
  case $only in *"$1"*) return 0 ;; esac
  case $1:tidy in clang:*"$only"*) return 0 ;; esac
  return 1
}

# suite NAME BUDGET_SECONDS FUNCTION ARGUMENTS... runs a function in a subshell. It may
# write "passed failed skipped" to $counts; otherwise its exit code counts as one test, and
# 77 as skipped.
suite() {
  local name=$1 budget=$2 code p f s
  shift 2
  case $name in
  *"$only"* | build-gcc) ;;
  build-*) is_needed_build "${name#build-}" || return 0 ;;
  *) return 0 ;;
  esac
  if [ $((SECONDS + budget)) -gt $((minutes_max * 60)) ]; then
    printf '%-20s not run: it might take until after %d minutes\n' "$name" "$minutes_max"
    failed=$((failed + 1))
    failed_suites="$failed_suites $name"
    return 0
  fi
  counts=$logs/$name.counts
  export counts
  rm -f "$logs/meson.last"
  local begin=$SECONDS
  run_bounded "$budget" "$@" >"$logs/$name.log" 2>&1
  code=$?
  if [ "$code" -eq 0 ] || [ "$code" -eq 77 ]; then
    p=1 f=0 s=0
    [ "$code" -eq 0 ] || { p=0 s=1; }
  else
    p=0 f=1 s=0
  fi
  if [ -s "$counts" ]; then
    read -r p f s <"$counts"
    [ "$code" -eq 0 ] || [ "$f" -gt 0 ] || f=1
  fi
  passed=$((passed + p))
  failed=$((failed + f))
  skipped=$((skipped + s))
  printf '%-20s %4d of %4d s: %s passed, %s failed, %s skipped\n' \
    "$name" $((SECONDS - begin)) "$budget" "$p" "$f" "$s"
  if [ "$f" -gt 0 ]; then
    failed_suites="$failed_suites $name"
    [ "$code" -ne 124 ] || echo "  stopped: over its budget; what had ended by then:"
    if [ "$code" -eq 124 ] && [ -s "$logs/meson.last" ]; then
      python3 "$tests_directory/meson_counts.py" $(cat "$logs/meson.last") /dev/null >>"$logs/$name.log"
    fi
    grep -vE '^\[[0-9]+/[0-9]+\] (Compiling|Linking)' "$logs/$name.log" | tail -n 150 | sed 's/^/  | /'
  elif [ "$s" -gt 0 ] && [ "$p" -eq 0 ]; then
    tail -n 1 "$logs/$name.log" | sed 's/^/  skipped: /'
  elif [ -s "$counts" ]; then
    grep -E '^  .* passed, ' "$logs/$name.log"
  fi
}

# Runs a function in a process group of its own, which is ended after so many seconds.
# Exit code 124 then.
run_bounded() {
  local budget=$1 process watcher code
  shift
  set -m
  ("$@") </dev/null &
  process=$!
  set +m
  (
    sleep "$budget" &
    sleeper=$!
    trap 'kill "$sleeper" 2>/dev/null; exit 0' TERM
    wait "$sleeper"
    touch "$logs/stopped.$process"
    kill -TERM -- "-$process" 2>/dev/null
    sleep 3
    kill -KILL -- "-$process" 2>/dev/null
  ) </dev/null >/dev/null 2>&1 &
  watcher=$!
  wait "$process"
  code=$?
  kill "$watcher" 2>/dev/null
  wait "$watcher" 2>/dev/null
  [ ! -e "$logs/stopped.$process" ] || code=124
  return "$code"
}

# build NAME SETUP_ARGUMENTS... configures and compiles build-NAME; warnings are errors.
build() {
  local name=$1
  shift
  configure_build "$build_root/build-$name" -Dwerror=true "$@" &&
    ninja -C "$build_root/build-$name"
}

# meson_tests NAME SCALE ARGUMENTS... runs the tests of build-NAME. A test's own limit is for a
# quiet machine; the suite's budget is what counts.
meson_tests() {
  local name=$1 percent=$2 code
  shift 2
  echo "$build_root/build-$name $suite_log" >"$logs/meson.last"
  FASTER_TEST_SCALE=$percent meson test -C "$build_root/build-$name" --no-rebuild \
    --num-processes 2 --timeout-multiplier 3 --logbase "$suite_log" "$@" >/dev/null 2>"$logs/meson.err"
  code=$?
  cat "$logs/meson.err"
  # With --wrap the log is named after the wrapper, too.
  case " $* " in
  *" --wrap valgrind "*) suite_log=$suite_log-valgrind ;;
  *" --wrap "*no_uring" "*) suite_log=$suite_log-no_uring ;;
  esac
  python3 "$tests_directory/meson_counts.py" "$build_root/build-$name" "$suite_log" "$counts"
  return "$code"
}

tests_of() { # NAME SCALE SUITES...; -SUITE leaves one out
  local name=$1 percent=$2 arguments=
  shift 2
  suite_log=run-$1
  for one in "$@"; do
    case $one in
    -*) arguments="$arguments --no-suite ${one#-}" ;;
    *) arguments="$arguments --suite $one" ;;
    esac
  done
  meson_tests "$name" "$percent" $arguments
}

# Lets tests that do not need a disk make their files in memory, if 6 GiB are free there: on a
# disk they wait for it most of the time.
in_memory() {
  if [ -n "$memory" ] && [ "$(df --output=avail -k "$memory" | tail -n 1)" -gt $((6 << 20)) ]; then
    TMPDIR=$memory "$@"
  else
    "$@"
  fi
}

# Each test is a process that fails silently under valgrind: what it finds is in the log
# files. Tests about 80-bit numbers are left out, valgrind computes
# them with 64 bits.
valgrind_tests() {
  local code
  suite_log=run
  mkdir "$logs/memcheck"
  # valgrind does not see that io_uring fills buffers.
  build threads -Dbuildtype=debugoptimized -During=disabled -Dcriterion=disabled || return 1
  meson_tests threads "$tenth" --suite unit --no-suite long-double --no-suite shell --timeout-multiplier 10 \
    --wrap "valgrind --quiet --fair-sched=try --leak-check=full --show-leak-kinds=definite \
      --errors-for-leak-kinds=definite --log-file=$logs/memcheck/%p"
  code=$?
  find "$logs/memcheck" -type f -empty -delete
  if [ -n "$(ls -A "$logs/memcheck")" ]; then
    head -n 60 "$logs/memcheck"/*
    return 1
  fi
  return "$code"
}

project_files() { # PATTERNS...: tracked files, or all where there is no git
  (cd "$project_root" &&
    { git ls-files -- "$@" 2>/dev/null || find engine ext tests bench -name '*.[ch]'; })
}

format_check() {
  local tool=clang-format
  ! command -v clang-format-14 >/dev/null || tool=clang-format-14
  case $($tool --version) in
  *" 14."*) ;;
  *)
    echo "clang-format 14 is needed; other versions format differently"
    return 77
    ;;
  esac
  cd "$project_root" && project_files '*.c' '*.h' | xargs "$tool" --dry-run -Werror
}

tidy_check() {
  local tool=clang-tidy
  ! command -v clang-tidy-14 >/dev/null || tool=clang-tidy-14
  "$tests_directory/check_tidy.py" "$tool" "$build_root/build-clang"
}

sql_programs() {
  QUICKSTART_BUILD=$build_root/build-quickstart "$project_root/sql/quickstart.sh"
}

bench_program() {
  local work
  work=$(mktemp -d "$logs/bench.XXXXXX")
  cp "$build_root/build-gcc/ext/faster.so" "$project_root"/sql/bench_*.sql "$work"
  cd "$work" && sqlite3 -bail bench.db '.read bench_basic.sql' &&
    sqlite3 -bail batch.db '.read bench_batch.sql'
}

python_client() {
  local python=/usr/bin/python3
  [ -x "$python" ] || python=python3
  "$python" "$tests_directory/clients/python_client.py" "$build_root/build-gcc/ext/faster.so"
}

node_client() {
  "$tests_directory/clients/node/run.sh" "$build_root/build-gcc/ext/faster.so" "$cache/node"
}

clang_build() {
  CC=clang build clang -Dbuildtype=debugoptimized -Dbench=true
}

# Every test is to pass without io_uring; what differs is the device.
without_uring() {
  local names="test_device test_device_file test_device_uring test_device_uring_poll"
  configure_build "$build_root/build-threads" -Dwerror=true -Dbuildtype=debugoptimized \
    -During=disabled -Dcriterion=disabled &&
    ninja -C "$build_root/build-threads" ext/faster.so $(printf 'tests/unit_%s ' $names) &&
    suite_log=run && meson_tests threads "$scale" $names
}

# The same at run time: a kernel that refuses io_uring to a build that has it.
refused_uring() {
  suite_log=run
  meson_tests gcc "$tenth" --suite unit --suite stress --wrap "$build_root/build-gcc/tests/no_uring"
}

# other_system NAME CROSS_FILE SCALE COMMAND...: the engine and its tests for another C library
# or processor, if the commands that this takes are there.
other_system() {
  local name=$1 cross=$tests_directory/cross/$2.txt percent=$3 command
  shift 3
  for command in "$@"; do
    command -v "$command" >/dev/null || {
      echo "$command is missing"
      return 77
    }
  done
  build "$name" -Dbuildtype=debugoptimized -Doptimization=1 -Dextension=false \
    --cross-file "$cross" && tests_of "$name" "$percent" unit stress
}

asan_build() {
  build asan -Dbuildtype=debugoptimized -Doptimization=1 -Db_sanitize=address,undefined \
    -Dc_args=-fno-sanitize-recover=all
}

tsan_build() {
  build tsan -Dbuildtype=debugoptimized -Doptimization=1 -Db_sanitize=thread
}

# The fuzz targets alone, with what libFuzzer and the sanitizers put in.
fuzz_build() {
  CC=clang build fuzz -Dfuzz=true -Dbuildtype=debugoptimized -Db_sanitize=address,undefined \
    -Dcriterion=disabled -Dc_args=-fno-sanitize-recover=all
}

fuzz_run() { # SECONDS for each target
  FASTER_FUZZ_FINDINGS=$build_root/build-fuzz/findings \
    "$tests_directory/fuzz/run.sh" "$build_root/build-fuzz" "$1"
}

# Without assertions: that they hold is no branch to be covered.
coverage_build() {
  build coverage -Dbuildtype=debug -Doptimization=1 -Db_coverage=true -Db_ndebug=true -Dextension=false \
    -Dc_args=-fprofile-update=atomic
}

# What the tests of the engine reach at a twentieth of their size. The minima, in percent of lines and
# of branches, are a little below what is reached: whoever reaches more raises them.
coverage_run() {
  local code
  find "$build_root/build-coverage" -name '*.gcda' -delete
  suite_log=run
  meson_tests coverage "$twentieth" --suite unit --suite sim --suite stress --suite disk --suite fuzz \
    --timeout-multiplier 3
  code=$?
  "$tests_directory/coverage.py" "$build_root/build-coverage" 97 86 || code=$?
  return "$code"
}

if [ -n "$long" ]; then
  build gcc -Dbuildtype=debugoptimized -Dbench=true -Dplanted=true >"$logs/build.log" 2>&1 || {
    tail -n 50 "$logs/build.log"
    exit 1
  }
  "$tests_directory/long.py" "$build_root/build-gcc" "$long"
  exit
fi

# Besides the suites of tests/: "fixed" holds what does not shrink with the scale, "self" the
# tests of the tests, "plain" what is not for the thread sanitizer.
# name               budget function
suite build-gcc        600 build gcc -Dbuildtype=debugoptimized -Dbench=true -Dplanted=true
suite gcc-unit         180 tests_of gcc "$scale" unit
suite gcc-fuzz          60 tests_of gcc "$scale" fuzz
suite without-uring    200 without_uring
suite refused-uring    200 in_memory refused_uring
suite gcc-stress       200 tests_of gcc "$scale" stress
suite gcc-sim          400 in_memory tests_of gcc "$scale" sim
suite gcc-sql          700 in_memory tests_of gcc "$scale" sql
suite gcc-disk         500 in_memory tests_of gcc $(((scale * 2 + 4) / 5)) disk
suite gcc-planted      400 in_memory tests_of gcc 100 planted
suite gcc-crash        200 tests_of gcc "$scale" crash
suite gcc-limits       200 tests_of gcc "$scale" limits
suite gcc-bench        130 tests_of gcc "$scale" bench
suite layers            60 "$tests_directory/check_layers.py" "$build_root/build-gcc"
suite orders            60 "$tests_directory/check_orders.py"
suite sources           60 "$tests_directory/check_sources.sh"
suite test-names        60 "$tests_directory/check_test_names.py"
suite exports           60 "$tests_directory/check_exports.sh" "$build_root/build-gcc"
suite readme            40 "$tests_directory/check_readme.sh" "$build_root/build-gcc"
suite python-client     90 python_client
suite quickstart       240 sql_programs
if [ -z "$quick" ]; then
  suite bench-sql      180 bench_program
  suite node-client    240 node_client
  suite install         90 "$tests_directory/check_install.sh" "$build_root/build-gcc"
  suite format          30 format_check
  suite build-clang    500 clang_build
  suite tidy           600 tidy_check
  suite clang-tests    400 in_memory tests_of clang "$twentieth" unit stress sim sql -fixed -self
  suite build-asan     500 asan_build
  suite asan-tests     700 in_memory tests_of asan "$tenth" unit stress sim sql crash -self
  suite asan-disk      500 in_memory tests_of asan $(((tenth + 3) / 4)) disk -self
  suite build-tsan     500 tsan_build
  suite tsan-tests     600 in_memory tests_of tsan "$tenth" stress sim sql crash -fixed -self -plain
  suite build-fuzz     250 fuzz_build
  suite fuzz           150 fuzz_run 10
  suite build-coverage 250 coverage_build
  suite coverage       500 in_memory coverage_run
  suite valgrind       700 in_memory valgrind_tests
  suite musl           300 in_memory other_system musl musl "$fiftieth" musl-gcc
  suite aarch64        450 in_memory other_system aarch64 aarch64-linux-gnu "$fiftieth" \
    aarch64-linux-gnu-gcc qemu-aarch64
fi

echo "time: $(((SECONDS - start_seconds) / 60)) min $(((SECONDS - start_seconds) % 60)) s," \
  "seed $FASTER_TEST_SEED, $skipped skipped"
[ -z "$failed_suites" ] || echo "failed suites:$failed_suites"
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
