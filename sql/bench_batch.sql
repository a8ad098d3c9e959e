-- bench_batch.sql - reads of 100 keys at a time on both kinds of table, timed in the plain shell.
--
-- In a directory that holds faster.so and these scripts, with a database that does not exist yet:
--     sqlite3 batch.db ".read bench_batch.sql"
-- 500,000 rows in memory, 20-byte keys, 100-byte values; 1,000 batches of random keys. The
-- ordinary table is asked by joining json_each() and by IN, the other one by faster_mget() and by
-- IN. All must have found the same, or the shell stops.

.bail on
.read bench_begin.sql
PRAGMA cache_size = -524288;

CREATE TABLE kv_ordinary(key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE VIRTUAL TABLE kv USING faster(key TEXT PRIMARY KEY, value TEXT, memory='512MiB');
INSERT INTO kv_ordinary
  WITH RECURSIVE number(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM number WHERE n < 500000)
  SELECT printf('key:%016d', n * 7919), hex(randomblob(50)) FROM number;
INSERT INTO kv SELECT key, value FROM kv_ordinary;

CREATE TEMP TABLE batch AS
  WITH RECURSIVE number(n) AS (VALUES (0) UNION ALL SELECT n + 1 FROM number WHERE n < 99999)
  SELECT n / 100 AS id, json_group_array(printf('key:%016d', (abs(random()) % 500000 + 1) * 7919))
    AS keys FROM number GROUP BY id;

INSERT INTO running VALUES ('batches of 100: a join, faster_mget', 'ordinary', julianday('now'));
INSERT INTO answer SELECT 'batch', count(*) || ' ' || max(t.value)
  FROM batch AS b CROSS JOIN json_each(b.keys) AS j CROSS JOIN kv_ordinary AS t ON t.key = j.value;
DELETE FROM running;
INSERT INTO running VALUES ('batches of 100: a join, faster_mget', 'FASTER', julianday('now'));
INSERT INTO answer SELECT 'batch', count(*) || ' ' || max(t.value)
  FROM batch AS b CROSS JOIN faster_mget('kv', b.keys) AS t;
DELETE FROM running;

-- A trigger asks anew for each batch, as a program does; a correlated IN would build its list
-- again for each row that it compares.
CREATE TEMP TABLE found(kind TEXT, n INTEGER, value TEXT);
CREATE TEMP VIEW ask_ordinary AS SELECT NULL AS keys;
CREATE TEMP TRIGGER ask_ordinary_insert INSTEAD OF INSERT ON ask_ordinary BEGIN
  INSERT INTO found SELECT 'ordinary', count(*), max(value) FROM kv_ordinary
    WHERE key IN (SELECT value FROM json_each(new.keys));
END;
CREATE TEMP VIEW ask AS SELECT NULL AS keys;
CREATE TEMP TRIGGER ask_insert INSTEAD OF INSERT ON ask BEGIN
  INSERT INTO found SELECT 'FASTER', count(*), max(value) FROM kv
    WHERE key IN (SELECT value FROM json_each(new.keys));
END;
INSERT INTO running VALUES ('batches of 100: key IN (...)', 'ordinary', julianday('now'));
INSERT INTO ask_ordinary SELECT keys FROM batch;
DELETE FROM running;
INSERT INTO running VALUES ('batches of 100: key IN (...)', 'FASTER', julianday('now'));
INSERT INTO ask SELECT keys FROM batch;
DELETE FROM running;
INSERT INTO answer SELECT 'in', sum(n) || ' ' || max(value) FROM found GROUP BY kind;

INSERT INTO checked SELECT count(*) <> 4 FROM answer;
.read bench_end.sql
