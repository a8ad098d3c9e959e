-- make.sql - makes a golden store: what a released version wrote, kept for ever (P10).
--
-- In an empty directory that holds faster.so:
--     sqlite3 golden.db ".read make.sql"
-- and then move golden.db and golden.db-faster to tests/golden/v<format version>/. For each
-- FASTER table t the ordinary table expected_t holds the rows that must be found in it.
-- The stores end in different states: of kv the last commits are in its rows' redo only, of
-- pairs everything is below a checkpoint, from format 4 on one with an index, notes holds rolled back and deleted rows. From format 3
-- on each has a row larger than a page.

.bail on
.load ./faster
PRAGMA journal_mode = DELETE;

CREATE VIRTUAL TABLE kv USING faster(key TEXT PRIMARY KEY, value,
  memory='1MiB', page_size='16KiB', segment_size='16KiB');
CREATE VIRTUAL TABLE pairs USING faster(a TEXT COLLATE NOCASE, b REAL, c INTEGER DEFAULT 7,
  d BLOB, PRIMARY KEY(a, b), memory='1MiB', page_size='16KiB', segment_size='16KiB');
CREATE VIRTUAL TABLE notes USING faster(id INTEGER PRIMARY KEY, note TEXT NOT NULL,
  memory='1MiB', page_size='16KiB', segment_size='16KiB');

WITH RECURSIVE number(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM number WHERE n < 60)
INSERT INTO kv SELECT 'key-' || n,
  CASE n % 5 WHEN 0 THEN n WHEN 1 THEN n + 0.5 WHEN 2 THEN 'text ' || n
             WHEN 3 THEN x'00ff' ELSE NULL END FROM number;
INSERT INTO kv VALUES ('large', printf('%.*c', 9000, 'x'));
INSERT INTO kv VALUES ('', 'empty key');
INSERT INTO kv VALUES ('larger than a page', printf('%.*c', 50000, 'y'));
UPDATE kv SET value = value || 'z' WHERE key = 'larger than a page';

WITH RECURSIVE number(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM number WHERE n < 40)
INSERT INTO pairs SELECT 'Name' || (n % 8), n / 4.0, nullif(n % 7, 0), x'cafe' FROM number;
INSERT INTO pairs VALUES ('Blob', 0.5, 1, zeroblob(70000));
DELETE FROM pairs WHERE b > 9;
INSERT INTO pairs(pairs) VALUES ('checkpoint');
INSERT INTO pairs(pairs) VALUES ('checkpoint copy');

INSERT INTO notes(note) VALUES ('one'), ('two'), ('three');
BEGIN;
INSERT INTO notes VALUES (100, 'kept');
SAVEPOINT s;
INSERT INTO notes VALUES (101, 'rolled back');
INSERT INTO notes VALUES (102, printf('%.*c', 40000, 'r'));
UPDATE notes SET note = 'changed and rolled back' WHERE id = 1;
ROLLBACK TO s;
RELEASE s;
INSERT INTO notes VALUES (103, printf('%.*c', 30000, 'k'));
DELETE FROM notes WHERE id = 2;
COMMIT;
BEGIN;
DELETE FROM notes;
ROLLBACK;
INSERT INTO notes(notes, id, note) VALUES ('append', 3, ', appended');
UPDATE kv SET value = 'in redo' WHERE key IN ('key-10', 'key-20');
DELETE FROM kv WHERE key = 'key-30';

CREATE TABLE expected_kv AS SELECT * FROM kv;
CREATE TABLE expected_pairs AS SELECT * FROM pairs;
CREATE TABLE expected_notes AS SELECT * FROM notes;

-- No clean close: what is not in the log's files stays in the rows.
.shell kill -9 $PPID
