-- quickstart_reopen.sql - what quickstart.sql left, seen by a new shell.

.bail on
.load ./faster
.mode list
CREATE TEMP TABLE found(what TEXT, differences INTEGER CHECK (differences = 0));

CREATE TEMP VIEW both AS
  SELECT (SELECT count(*) FROM (SELECT * FROM package_ordinary EXCEPT SELECT * FROM package))
       + (SELECT count(*) FROM (SELECT * FROM package EXCEPT SELECT * FROM package_ordinary))
       + abs((SELECT count(*) FROM package_ordinary) - (SELECT count(*) FROM package)) AS rows;

INSERT INTO found SELECT 'reopened', rows FROM both;
INSERT INTO found SELECT 'section', count(*) FROM (
  SELECT * FROM section_ordinary EXCEPT SELECT * FROM section);
INSERT INTO found SELECT 'maintainer', count(*) FROM (
  SELECT * FROM maintainer_ordinary EXCEPT SELECT * FROM maintainer);
INSERT INTO found SELECT 'verify', faster_verify('package') IS NOT 'ok';
INSERT INTO found SELECT 'integrity_check', integrity_check <> 'ok' FROM pragma_integrity_check;
INSERT INTO package(package) VALUES ('checkpoint');
INSERT INTO checked SELECT what, differences FROM found;
SELECT count(*) || ' comparisons of the two tables, ' || sum(differences) || ' differences'
  FROM checked;
