#!/bin/sh
# check_example.sh PROGRAM - runs engine/examples/page_hits.c twice on one store: the second run
# adds to what the first one made durable.
set -eu
place=$(mktemp -d "${TMPDIR:-/tmp}/faster-example.XXXXXX")
trap 'rm -rf "$place"' EXIT

"$1" "$place/hits" 1000 >"$place/first"
"$1" "$place/hits" 500 >"$place/second"
printf '%-10s %s\n' / 300 /about 600 /docs 0 /download 0 /news 600 >"$place/wanted"
diff "$place/wanted" "$place/second"
if "$1" /dev/null 2>"$place/error"; then
  echo "a file was taken for a store" >&2
  exit 1
fi
grep -q '/dev/null' "$place/error"
