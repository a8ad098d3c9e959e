#!/bin/sh
# check_readme.sh BUILD_DIRECTORY - the README's session, and its commands for backups, print what the
# README says.
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
block 'sh backup' >backup.sh
block 'text backup' | sed '/^$/d' >expected
sh -eu backup.sh | sed -E "s|^$work|...|" | sed -E 's/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/UUID/' >printed_backup
diff expected printed_backup
echo "the backups print $(wc -l <expected) lines as documented"
echo "the session prints $(wc -l <printed) lines as documented"
