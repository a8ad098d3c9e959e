#!/bin/sh
# quickstart.sh - builds the extension and runs the main job on this machine's packages.
#
# Puts the package catalogue into an ordinary table and a FASTER table, works on both,
# reopens them, kills a load with SIGKILL and recovers it, and compares the tables row by
# row each time. Exit code 0 means that there was no difference.
#
# QUICKSTART_BUILD: build directory, default build-quickstart in the project.
# QUICKSTART_KEEP=1: keep the directory with the databases.
set -eu

sql_directory=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
project_root=$(dirname -- "$sql_directory")
. "$project_root/tests/packages.sh"

require_packages gcc=cmd:cc libc6-dev=h:stdio.h meson=cmd:meson ninja-build=cmd:ninja \
  pkg-config=cmd:pkg-config libxxhash-dev=pc:libxxhash libsqlite3-dev=pc:sqlite3 \
  sqlite3=cmd:sqlite3
want_packages liburing-dev=pc:liburing

work=$(mktemp -d "${TMPDIR:-/tmp}/faster-quickstart.XXXXXX")
loader=
finish() {
  code=$?
  [ -z "$loader" ] || kill -9 "$loader" 2>/dev/null || true
  if [ "$code" -eq 0 ] && [ -z "${QUICKSTART_KEEP:-}" ]; then
    rm -rf "$work"
  else
    echo "the databases are in $work" >&2
  fi
  exit "$code"
}
trap finish EXIT
trap 'exit 130' INT TERM

build=${QUICKSTART_BUILD:-$project_root/build-quickstart}
echo "== building in $build"
configure_build "$build" --buildtype=release -Dtests=false
if ! ninja -C "$build" >"$build/compile.log" 2>&1; then
  cat "$build/compile.log" >&2
  exit 1
fi
cp "$build/ext/faster.so" "$sql_directory"/quickstart*.sql "$work"
cd "$work"

echo "== the package catalogue"
if command -v apt-cache >/dev/null 2>&1; then
  apt-cache dumpavail | LC_ALL=C awk -f "$sql_directory/packages_to_csv.awk" >catalogue.csv
fi
if [ ! -s catalogue.csv ] && [ -r /var/lib/dpkg/status ]; then
  LC_ALL=C awk -f "$sql_directory/packages_to_csv.awk" /var/lib/dpkg/status >catalogue.csv
fi
if [ ! -s catalogue.csv ]; then
  echo "neither apt-cache nor /var/lib/dpkg/status gives a package catalogue" >&2
  exit 1
fi
row_count=$(wc -l <catalogue.csv)
echo "$row_count packages"

echo "== the main job (quickstart.sql)"
sqlite3 -bail demo.db ".read quickstart.sql"
echo "== a new shell (quickstart_reopen.sql)"
sqlite3 -bail demo.db ".read quickstart_reopen.sql"

# A load in about 300 transactions, each over both tables. The file acked/N appears after
# the COMMIT of transaction N has returned.
batch_rows=$((row_count / 300 + 1))
batch_count=$(((row_count + batch_rows - 1) / batch_rows))
mkdir acked
load_script() {
  cat quickstart_kill.sql
  awk -v from="$1" -v count="$batch_count" -v size="$batch_rows" 'BEGIN {
    for (n = from; n <= count; n++) {
      rows = "SELECT * FROM catalogue WHERE rowid BETWEEN " ((n - 1) * size + 1) " AND " n * size
      print "BEGIN;"
      print "INSERT INTO package_ordinary " rows ";"
      print "INSERT INTO package " rows ";"
      print "COMMIT;"
      print ".once acked/" n
      print "SELECT " n ";"
    }
  }'
}

echo "== a load killed with SIGKILL, and its recovery"
load_script 1 >load.sql
kill_after=$(awk -v count="$batch_count" -v seed="$$" \
  'BEGIN { srand(seed); print int(count / 10 + rand() * count / 3) + 1 }')
sqlite3 -bail kill.db ".read load.sql" &
loader=$!
while [ ! -e "acked/$kill_after" ] && kill -0 "$loader" 2>/dev/null; do
  sleep 0.01
done
if ! kill -9 "$loader" 2>/dev/null; then
  echo "the load ended before it could be killed" >&2
  exit 1
fi
wait "$loader" 2>/dev/null || true
loader=
acked=$(ls acked | sort -n | tail -n 1)
sqlite3 -bail kill.db ".param init" ".param set :acked $acked" ".param set :size $batch_rows" \
  ".read quickstart_recover.sql"
committed=$(sqlite3 kill.db \
  "SELECT (count(*) + $batch_rows - 1) / $batch_rows FROM package_ordinary")
load_script $((committed + 1)) >load.sql
sqlite3 -bail kill.db ".read load.sql"
sqlite3 -bail kill.db ".param init" ".param set :acked $batch_count" \
  ".param set :size 0" ".read quickstart_recover.sql"

echo "== summary"
store_bytes=$(($(du -sk demo.db-faster | cut -f 1) * 1024))
sqlite3 -bail demo.db ".param init" ".param set :store_bytes $store_bytes" \
  ".read quickstart_summary.sql"
