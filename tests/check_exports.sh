#!/bin/sh
# check_exports.sh BUILD_DIRECTORY - the symbols that the two shared libraries show.
set -eu
project_root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
build=$1
failed=0

complain() {
  echo "$1"
  failed=1
}

exported() {
  nm -D --defined-only "$1" | awk '{ print $NF }' | sed 's/@.*//' | sort -u
}

module=$build/ext/faster.so
[ "$(exported "$module")" = sqlite3_faster_init ] ||
  complain "faster.so exports: $(exported "$module" | tr '\n' ' ')"
# A loadable extension reaches SQLite through the pointers it is given, never by name.
direct=$(nm -D --undefined-only "$module" | awk '$NF ~ /^sqlite3_/ { print $NF }')
[ -z "$direct" ] || complain "faster.so calls SQLite by name: $direct"
readelf -d "$module" | grep -q NODELETE || complain "faster.so is not linked with -z nodelete"
printing=$(nm -D --undefined-only "$module" |
  awk '{ sub(/@.*/, "", $NF); print $NF }' |
  grep -Ex '(v|f|vf)?printf|__(v|f|vf)?printf_chk|puts|putchar|perror|abort|exit' || true)
[ -z "$printing" ] || complain "faster.so prints, aborts or exits: $(echo $printing)"

library=$build/engine/libfaster.so
declared=$(sed -n 's/^FASTER_PUBLIC.*[ *]\(faster_[a-z0-9_]*\)(.*/\1/p; s/^faster_[a-z0-9_]*(/&/p' \
  "$project_root/engine/include/faster.h" | sed 's/(.*//' | grep -v '_fn$' | sort -u)
for name in $(exported "$library"); do
  echo "$declared" | grep -qx "$name" || complain "libfaster.so exports $name, which faster.h lacks"
done
for name in $declared; do
  exported "$library" | grep -qx "$name" || complain "libfaster.so does not export $name"
done
[ "$failed" -ne 0 ] || echo "faster.so: 1 symbol; libfaster.so: $(echo "$declared" | wc -l) symbols"
exit "$failed"
