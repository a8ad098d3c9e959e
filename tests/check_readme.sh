#!/bin/sh
# check_readme.sh BUILD_DIRECTORY - the README's session prints what the README says.
set -eu
project_root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/faster-readme.XXXXXX")
trap 'rm -rf "$work"' EXIT
cp "$1/ext/faster.so" "$work"
block() {
  awk -v kind="$1" '/^```/ { inside = ($0 == "```" kind) ? 1 : 0; next } inside' \
    "$project_root/README.md"
}
block sql >"$work/session.sql"
block text >"$work/expected"
cd "$work"
sqlite3 -bail session.db <session.sql >printed
diff expected printed
echo "the session prints $(wc -l <expected) lines as documented"
