-- bench_basic.sql - the same statements on both kinds of table, timed in the plain shell.
--
-- In a directory that holds faster.so and these scripts, with a database that does not exist yet:
--     sqlite3 bench.db ".read bench_basic.sql"
-- 500,000 rows, 20-byte keys, 100-byte values. Both kinds get 64 MiB of memory. Rows are
-- loaded in random key order. Both tables must be equal at the end, or the shell stops.

.bail on
.read bench_begin.sql
PRAGMA cache_size = -65536;

CREATE TABLE kv_ordinary(key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE VIRTUAL TABLE kv USING faster(key TEXT PRIMARY KEY, value TEXT, memory='64MiB');

-- The rows in random order, and 100,000 of the keys in ten batches, in another order.
CREATE TEMP TABLE source AS
  WITH RECURSIVE number(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM number WHERE n < 500000)
  SELECT printf('key:%016d', n * 7919) AS key, hex(randomblob(50)) AS value
  FROM number ORDER BY random();
CREATE TEMP TABLE sample AS
  SELECT key, abs(random()) % 10 AS batch FROM source ORDER BY random() LIMIT 100000;

INSERT INTO running VALUES ('load 500,000', 'ordinary', julianday('now'));
INSERT INTO kv_ordinary SELECT key, value FROM source;
DELETE FROM running;
INSERT INTO running VALUES ('load 500,000', 'FASTER', julianday('now'));
INSERT INTO kv SELECT key, value FROM source;
DELETE FROM running;

INSERT INTO running VALUES ('100,000 point reads', 'ordinary', julianday('now'));
INSERT INTO answer SELECT 'reads', count(*) || ' ' || max(value)
  FROM sample AS s CROSS JOIN kv_ordinary AS t ON t.key = s.key;
DELETE FROM running;
INSERT INTO running VALUES ('100,000 point reads', 'FASTER', julianday('now'));
INSERT INTO answer SELECT 'reads', count(*) || ' ' || max(value)
  FROM sample AS s CROSS JOIN kv AS t ON t.key = s.key;
DELETE FROM running;

INSERT INTO running VALUES ('IN with 100,000 keys', 'ordinary', julianday('now'));
INSERT INTO answer SELECT 'in', count(*) || ' ' || max(value)
  FROM kv_ordinary WHERE key IN (SELECT key FROM sample);
DELETE FROM running;
INSERT INTO running VALUES ('IN with 100,000 keys', 'FASTER', julianday('now'));
INSERT INTO answer SELECT 'in', count(*) || ' ' || max(value)
  FROM kv WHERE key IN (SELECT key FROM sample);
DELETE FROM running;

INSERT INTO running VALUES ('update 100,000 (10 commits)', 'ordinary', julianday('now'));
UPDATE kv_ordinary SET value = lower(value)
  WHERE key IN (SELECT key FROM sample WHERE batch = 0);
UPDATE kv_ordinary SET value = lower(value)
  WHERE key IN (SELECT key FROM sample WHERE batch = 1);
UPDATE kv_ordinary SET value = lower(value)
  WHERE key IN (SELECT key FROM sample WHERE batch = 2);
UPDATE kv_ordinary SET value = lower(value)
  WHERE key IN (SELECT key FROM sample WHERE batch = 3);
UPDATE kv_ordinary SET value = lower(value)
  WHERE key IN (SELECT key FROM sample WHERE batch = 4);
UPDATE kv_ordinary SET value = lower(value)
  WHERE key IN (SELECT key FROM sample WHERE batch = 5);
UPDATE kv_ordinary SET value = lower(value)
  WHERE key IN (SELECT key FROM sample WHERE batch = 6);
UPDATE kv_ordinary SET value = lower(value)
  WHERE key IN (SELECT key FROM sample WHERE batch = 7);
UPDATE kv_ordinary SET value = lower(value)
  WHERE key IN (SELECT key FROM sample WHERE batch = 8);
UPDATE kv_ordinary SET value = lower(value)
  WHERE key IN (SELECT key FROM sample WHERE batch = 9);
DELETE FROM running;
INSERT INTO running VALUES ('update 100,000 (10 commits)', 'FASTER', julianday('now'));
UPDATE kv SET value = lower(value)
  WHERE key IN (SELECT key FROM sample WHERE batch = 0);
UPDATE kv SET value = lower(value)
  WHERE key IN (SELECT key FROM sample WHERE batch = 1);
UPDATE kv SET value = lower(value)
  WHERE key IN (SELECT key FROM sample WHERE batch = 2);
UPDATE kv SET value = lower(value)
  WHERE key IN (SELECT key FROM sample WHERE batch = 3);
UPDATE kv SET value = lower(value)
  WHERE key IN (SELECT key FROM sample WHERE batch = 4);
UPDATE kv SET value = lower(value)
  WHERE key IN (SELECT key FROM sample WHERE batch = 5);
UPDATE kv SET value = lower(value)
  WHERE key IN (SELECT key FROM sample WHERE batch = 6);
UPDATE kv SET value = lower(value)
  WHERE key IN (SELECT key FROM sample WHERE batch = 7);
UPDATE kv SET value = lower(value)
  WHERE key IN (SELECT key FROM sample WHERE batch = 8);
UPDATE kv SET value = lower(value)
  WHERE key IN (SELECT key FROM sample WHERE batch = 9);
DELETE FROM running;

INSERT INTO running VALUES ('replace 100,000', 'ordinary', julianday('now'));
REPLACE INTO kv_ordinary SELECT key, 'replaced' FROM sample;
DELETE FROM running;
INSERT INTO running VALUES ('replace 100,000', 'FASTER', julianday('now'));
REPLACE INTO kv SELECT key, 'replaced' FROM sample;
DELETE FROM running;

INSERT INTO running VALUES ('full scan', 'ordinary', julianday('now'));
INSERT INTO answer SELECT 'scan', count(*) || ' ' || sum(length(value)) FROM kv_ordinary;
DELETE FROM running;
INSERT INTO running VALUES ('full scan', 'FASTER', julianday('now'));
INSERT INTO answer SELECT 'scan', count(*) || ' ' || sum(length(value)) FROM kv;
DELETE FROM running;

INSERT INTO running VALUES ('delete 100,000', 'ordinary', julianday('now'));
DELETE FROM kv_ordinary WHERE key IN (SELECT key FROM sample);
DELETE FROM running;
INSERT INTO running VALUES ('delete 100,000', 'FASTER', julianday('now'));
DELETE FROM kv WHERE key IN (SELECT key FROM sample);
DELETE FROM running;

INSERT INTO checked SELECT count(*) FROM (SELECT * FROM kv_ordinary EXCEPT SELECT * FROM kv);
INSERT INTO checked SELECT count(*) FROM (SELECT * FROM kv EXCEPT SELECT * FROM kv_ordinary);
.read bench_end.sql
