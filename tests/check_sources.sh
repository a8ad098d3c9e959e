#!/bin/sh
# check_sources.sh - every source file is named in a meson.build.
set -eu
project_root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
cd "$project_root"
failed=0
count=0
for file in $(find engine ext tests bench -name '*.c' | sort); do
  count=$((count + 1))
  top=${file%%/*}
  name=$(basename "$file" .c)
  case $file in tests/install/*) continue ;; esac
  if ! grep -q "['/]$name\(\.c\)\?'" $(find "$top" -name meson.build); then
    echo "$file is in no meson.build of $top"
    failed=1
  fi
done
[ "$failed" -ne 0 ] || echo "$count files"
exit "$failed"
