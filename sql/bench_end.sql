-- bench_end.sql - what every benchmark ends with: stops the shell if the two kinds of table gave
-- different answers, and shows the times.

INSERT INTO checked SELECT count(*) FROM (SELECT step FROM answer GROUP BY step, result
  HAVING count(*) <> 2);
INSERT INTO checked SELECT count(*) = 0 FROM answer;

SELECT step AS 'seconds', printf('%.3f', a.seconds) AS ordinary, printf('%.3f', b.seconds) AS FASTER,
       printf('%.2f x', a.seconds / max(b.seconds, 0.0005)) AS 'ordinary / FASTER'
  FROM timing AS a JOIN timing AS b USING (step)
  WHERE a.kind = 'ordinary' AND b.kind = 'FASTER' ORDER BY a.rowid;
