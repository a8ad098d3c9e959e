-- quickstart.sql - the machine's package catalogue in an ordinary and in a FASTER table.
--
-- quickstart.sh runs this in a directory that holds faster.so and catalogue.csv:
--     sqlite3 -bail demo.db ".read quickstart.sql"
-- Every comparison goes into the table `checked`, where a difference breaks a CHECK, so
-- that the shell stops with an error. Times go into the table `timing`.

.bail on
.load ./faster
.mode list
.separator "  "
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;

CREATE TABLE checked(what TEXT, differences INTEGER CHECK (differences = 0));
CREATE TEMP TABLE running(step TEXT, kind TEXT, started REAL);
CREATE TABLE timing(step TEXT, kind TEXT, seconds REAL);
CREATE TEMP TRIGGER stop AFTER DELETE ON running BEGIN
  INSERT INTO timing VALUES (old.step, old.kind, (julianday('now') - old.started) * 86400);
END;

.print -- The same columns, once as an ordinary table, once as a FASTER table.
CREATE TABLE package_ordinary(
  name TEXT PRIMARY KEY, version TEXT, section TEXT, priority TEXT, maintainer TEXT,
  architecture TEXT, installed_kib INTEGER, download_bytes INTEGER, depends TEXT,
  description TEXT) WITHOUT ROWID;
CREATE VIRTUAL TABLE package USING faster(
  name TEXT PRIMARY KEY, version TEXT, section TEXT, priority TEXT, maintainer TEXT,
  architecture TEXT, installed_kib INTEGER, download_bytes INTEGER, depends TEXT,
  description TEXT, memory='64MiB');

CREATE TEMP VIEW difference AS
  SELECT (SELECT count(*) FROM (SELECT * FROM package_ordinary EXCEPT SELECT * FROM package))
       + (SELECT count(*) FROM (SELECT * FROM package EXCEPT SELECT * FROM package_ordinary))
       + abs((SELECT count(*) FROM package_ordinary) - (SELECT count(*) FROM package)) AS rows;

.print -- Load
CREATE TEMP TABLE catalogue(
  name, version, section, priority, maintainer, architecture, installed_kib, download_bytes,
  depends, description);
.import --csv --schema temp catalogue.csv catalogue
INSERT INTO running VALUES ('load', 'ordinary', julianday('now'));
INSERT INTO package_ordinary
  SELECT name, version, section, priority, maintainer, architecture,
         nullif(installed_kib, ''), nullif(download_bytes, ''), nullif(depends, ''), description
  FROM catalogue;
DELETE FROM running;
INSERT INTO running VALUES ('load', 'FASTER', julianday('now'));
INSERT INTO package
  SELECT name, version, section, priority, maintainer, architecture,
         nullif(installed_kib, ''), nullif(download_bytes, ''), nullif(depends, ''), description
  FROM catalogue;
DELETE FROM running;
INSERT INTO checked SELECT 'load', rows FROM difference;
SELECT count(*) || ' packages in the FASTER table' FROM package;

.print -- Point reads
SELECT name, version, section FROM package WHERE name = 'dpkg';
SELECT 'faster_get: ' || faster_get('package', 'dpkg', 'version');
SELECT 'faster_exists: ' || faster_exists('package', 'no-such-package');
CREATE TEMP TABLE sample AS SELECT name FROM catalogue ORDER BY random() LIMIT 20000;
CREATE TEMP TABLE answer(kind TEXT, step TEXT, result);
INSERT INTO running VALUES ('20,000 point reads', 'ordinary', julianday('now'));
INSERT INTO answer SELECT 'ordinary', 'reads', count(*) || ' ' || sum(length(p.description))
  FROM sample AS s CROSS JOIN package_ordinary AS p ON p.name = s.name;
DELETE FROM running;
INSERT INTO running VALUES ('20,000 point reads', 'FASTER', julianday('now'));
INSERT INTO answer SELECT 'FASTER', 'reads', count(*) || ' ' || sum(length(p.description))
  FROM sample AS s CROSS JOIN package AS p ON p.name = s.name;
DELETE FROM running;

.print -- IN
SELECT name, installed_kib || ' KiB' FROM package
  WHERE name IN ('bash', 'coreutils', 'dpkg', 'no-such-package') ORDER BY name;
INSERT INTO running VALUES ('IN with 20,000 keys', 'ordinary', julianday('now'));
INSERT INTO answer SELECT 'ordinary', 'in', count(*) || ' ' || sum(length(version))
  FROM package_ordinary WHERE name IN (SELECT name FROM sample);
DELETE FROM running;
INSERT INTO running VALUES ('IN with 20,000 keys', 'FASTER', julianday('now'));
INSERT INTO answer SELECT 'FASTER', 'in', count(*) || ' ' || sum(length(version))
  FROM package WHERE name IN (SELECT name FROM sample);
DELETE FROM running;

.print -- Full scan
INSERT INTO running VALUES ('full scan', 'ordinary', julianday('now'));
INSERT INTO answer SELECT 'ordinary', 'scan', count(*) || ' ' || total(download_bytes)
  FROM package_ordinary;
DELETE FROM running;
INSERT INTO running VALUES ('full scan', 'FASTER', julianday('now'));
INSERT INTO answer SELECT 'FASTER', 'scan', count(*) || ' ' || total(download_bytes)
  FROM package;
DELETE FROM running;
INSERT INTO checked SELECT 'answers', count(*) FROM answer AS a JOIN answer AS b USING (step)
  WHERE a.result IS NOT b.result;

.print -- A join of the two
SELECT p.section, count(*) AS packages FROM package_ordinary AS p
  JOIN package AS f ON f.name = p.name AND f.version = p.version
  WHERE p.section IN ('admin', 'database', 'shells') GROUP BY p.section ORDER BY p.section;

.print -- An update of thousands of rows
INSERT INTO running VALUES ('update of thousands', 'ordinary', julianday('now'));
UPDATE package_ordinary SET installed_kib = installed_kib * 2, priority = 'extra'
  WHERE substr(name, 1, 3) = 'lib';
DELETE FROM running;
INSERT INTO running VALUES ('update of thousands', 'FASTER', julianday('now'));
UPDATE package SET installed_kib = installed_kib * 2, priority = 'extra'
  WHERE substr(name, 1, 3) = 'lib';
DELETE FROM running;
INSERT INTO checked SELECT 'update', rows FROM difference;
SELECT count(*) || ' rows updated' FROM package WHERE priority = 'extra';

.print -- A transaction over both, rolled back
BEGIN;
UPDATE package_ordinary SET version = 'lost' WHERE name < 'c';
UPDATE package SET version = 'lost' WHERE name < 'c';
DELETE FROM package_ordinary WHERE name > 'x';
DELETE FROM package WHERE name > 'x';
INSERT INTO checked SELECT 'inside a transaction', rows FROM difference;
ROLLBACK;
INSERT INTO checked SELECT 'rolled back', rows FROM difference;
INSERT INTO checked SELECT 'nothing is left of it', count(*) FROM package WHERE version = 'lost';

.print -- A transaction over both, committed, with savepoints
BEGIN;
UPDATE package_ordinary SET section = 'kept' WHERE name < 'b';
UPDATE package SET section = 'kept' WHERE name < 'b';
SAVEPOINT outer_one;
INSERT INTO package_ordinary(name, version) VALUES ('a-new-package', '1');
INSERT INTO package(name, version) VALUES ('a-new-package', '1');
SAVEPOINT inner_one;
DELETE FROM package_ordinary WHERE name < 'm';
DELETE FROM package WHERE name < 'm';
INSERT OR REPLACE INTO package_ordinary(name, version) VALUES ('a-new-package', '2');
INSERT OR REPLACE INTO package(name, version) VALUES ('a-new-package', '2');
ROLLBACK TO inner_one;
INSERT INTO checked SELECT 'rolled back to a savepoint', rows FROM difference;
RELEASE outer_one;
COMMIT;
INSERT INTO checked SELECT 'committed', rows FROM difference;
INSERT INTO checked SELECT 'the savepoint kept version 1', version <> '1' FROM package
  WHERE name = 'a-new-package';

.print -- Counters per section (command column) and per maintainer (function)
CREATE TABLE section_ordinary(key TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE VIRTUAL TABLE section USING faster(key TEXT PRIMARY KEY, value);
CREATE TABLE maintainer_ordinary(key TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE VIRTUAL TABLE maintainer USING faster(key TEXT PRIMARY KEY, value);
INSERT INTO running VALUES ('counters', 'ordinary', julianday('now'));
INSERT INTO section_ordinary SELECT section, 1 FROM catalogue WHERE true
  ON CONFLICT(key) DO UPDATE SET value = value + 1;
INSERT INTO maintainer_ordinary SELECT maintainer, 1 FROM catalogue WHERE true
  ON CONFLICT(key) DO UPDATE SET value = value + 1;
DELETE FROM running;
INSERT INTO running VALUES ('counters', 'FASTER', julianday('now'));
INSERT INTO section(section, key, value) SELECT 'add', section, 1 FROM catalogue;
BEGIN;
CREATE TEMP TABLE increments AS SELECT faster_incr('maintainer', maintainer) FROM catalogue;
COMMIT;
DELETE FROM running;
INSERT INTO checked SELECT 'counters per section', count(*) FROM (
  SELECT * FROM (SELECT * FROM section EXCEPT SELECT * FROM section_ordinary)
  UNION ALL SELECT * FROM (SELECT * FROM section_ordinary EXCEPT SELECT * FROM section));
INSERT INTO checked SELECT 'counters per maintainer', count(*) FROM (
  SELECT * FROM (SELECT * FROM maintainer EXCEPT SELECT * FROM maintainer_ordinary)
  UNION ALL SELECT * FROM (SELECT * FROM maintainer_ordinary EXCEPT SELECT * FROM maintainer));
SELECT key, value FROM section ORDER BY value DESC LIMIT 3;

.print -- Deletes
INSERT INTO running VALUES ('deletes', 'ordinary', julianday('now'));
DELETE FROM package_ordinary WHERE substr(name, -4) = '-dev';
DELETE FROM running;
INSERT INTO running VALUES ('deletes', 'FASTER', julianday('now'));
DELETE FROM package WHERE substr(name, -4) = '-dev';
DELETE FROM running;
INSERT INTO checked SELECT 'deletes', rows FROM difference;
SELECT count(*) || ' packages left' FROM package;
