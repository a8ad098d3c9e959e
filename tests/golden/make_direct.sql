-- make_direct.sql - makes the golden store of direct tables (P10); see make.sql.
--
-- In an empty directory that holds faster.so:
--     sqlite3 golden.db ".read make_direct.sql"
-- and then move golden.db and golden.db-faster to tests/golden/v<format version>/. The stores end
-- in different states: kv is committed and the log goes on behind the last commit, of pairs there
-- was a commit before the last one, notes has two commits without a close.

.bail on
.load ./faster
PRAGMA journal_mode = DELETE;

CREATE VIRTUAL TABLE kv USING faster(key TEXT PRIMARY KEY, value,
  writes='direct', memory='1MiB', page_size='16KiB', segment_size='16KiB');
CREATE VIRTUAL TABLE pairs USING faster(a TEXT COLLATE NOCASE, b REAL, c INTEGER DEFAULT 7,
  d BLOB, PRIMARY KEY(a, b), writes='direct', memory='1MiB', page_size='16KiB',
  segment_size='16KiB');
CREATE VIRTUAL TABLE notes USING faster(id INTEGER PRIMARY KEY, note TEXT NOT NULL,
  writes='direct', memory='1MiB', page_size='16KiB', segment_size='16KiB');

WITH RECURSIVE number(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM number WHERE n < 60)
INSERT INTO kv SELECT 'key-' || n,
  CASE n % 5 WHEN 0 THEN n WHEN 1 THEN n + 0.5 WHEN 2 THEN 'text ' || n
             WHEN 3 THEN x'00ff' ELSE NULL END FROM number;
INSERT INTO kv VALUES ('large', printf('%.*c', 9000, 'x'));
INSERT INTO kv VALUES ('', 'empty key');
UPDATE kv SET value = 'changed' WHERE key IN ('key-10', 'key-20');
DELETE FROM kv WHERE key = 'key-30';

WITH RECURSIVE number(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM number WHERE n < 40)
INSERT INTO pairs SELECT 'Name' || (n % 8), n / 4.0, nullif(n % 7, 0), x'cafe' FROM number;
INSERT INTO pairs(pairs) VALUES ('commit');
DELETE FROM pairs WHERE b > 9;

INSERT INTO notes(note) VALUES ('one'), ('two'), ('three');
INSERT INTO notes(notes) VALUES ('commit');
BEGIN;
INSERT INTO notes VALUES (100, 'not rolled back');
ROLLBACK;
DELETE FROM notes WHERE id = 2;
INSERT INTO notes(notes, id, note) VALUES ('append', 3, ', appended');

CREATE TABLE expected_kv AS SELECT * FROM kv;
CREATE TABLE expected_pairs AS SELECT * FROM pairs;
CREATE TABLE expected_notes AS SELECT * FROM notes;
SELECT faster_commit('kv'), faster_commit('pairs'), faster_commit('notes');
INSERT INTO kv VALUES ('lost', 'at the kill');

-- No clean close: the last commit is what counts.
.shell kill -9 $PPID
