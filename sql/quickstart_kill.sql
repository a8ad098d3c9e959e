-- quickstart_kill.sql - the head of a load in many transactions over both tables.
-- quickstart.sh adds the transactions, kills the shell in the middle and goes on later.

.bail on
.load ./faster
.mode list
.output /dev/null
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
.output

CREATE TABLE IF NOT EXISTS package_ordinary(
  name TEXT PRIMARY KEY, version TEXT, section TEXT, priority TEXT, maintainer TEXT,
  architecture TEXT, installed_kib INTEGER, download_bytes INTEGER, depends TEXT,
  description TEXT) WITHOUT ROWID;
CREATE VIRTUAL TABLE IF NOT EXISTS package USING faster(
  name TEXT PRIMARY KEY, version TEXT, section TEXT, priority TEXT, maintainer TEXT,
  architecture TEXT, installed_kib INTEGER, download_bytes INTEGER, depends TEXT,
  description TEXT, memory='64MiB');
CREATE TEMP TABLE catalogue(
  name, version, section, priority, maintainer, architecture, installed_kib, download_bytes,
  depends, description);
.import --csv --schema temp catalogue.csv catalogue
