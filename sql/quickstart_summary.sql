-- quickstart_summary.sql - rows, bytes and times of both kinds of table.
-- The parameter :store_bytes is what demo.db-faster occupies on disk.

.bail on
.load ./faster
.mode list
SELECT 'rows in the table: ' || (SELECT count(*) FROM package_ordinary) || ' ordinary, '
  || (SELECT count(*) FROM package) || ' FASTER';
SELECT 'bytes on disk, all tables: '
  || (SELECT sum(pgsize) FROM dbstat WHERE name LIKE '%_ordinary') || ' ordinary, '
  || :store_bytes || ' FASTER';
.print
.mode column
SELECT step AS 'seconds', printf('%.3f', a.seconds) AS ordinary, printf('%.3f', b.seconds) AS FASTER,
       printf('%.2f x', a.seconds / max(b.seconds, 0.0005)) AS 'ordinary / FASTER'
  FROM timing AS a JOIN timing AS b USING (step)
  WHERE a.kind = 'ordinary' AND b.kind = 'FASTER' ORDER BY a.rowid;
