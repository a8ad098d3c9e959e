-- bench_begin.sql - what every benchmark begins with: the extension, and a way to time a step.
--
-- INSERT INTO running VALUES (step, 'ordinary' or 'FASTER', julianday('now')), the statements,
-- DELETE FROM running. What both kinds must find alike goes into `answer`.

.load ./faster
.mode column
.output /dev/null
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
PRAGMA temp_store = MEMORY;
.output

CREATE TEMP TABLE running(step TEXT, kind TEXT, started REAL);
CREATE TEMP TABLE timing(step TEXT, kind TEXT, seconds REAL);
CREATE TEMP TRIGGER stop AFTER DELETE ON running BEGIN
  INSERT INTO timing VALUES (old.step, old.kind, (julianday('now') - old.started) * 86400);
END;
CREATE TEMP TABLE answer(step TEXT, result);
CREATE TEMP TABLE checked(differences INTEGER CHECK (differences = 0));
