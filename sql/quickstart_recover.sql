-- quickstart_recover.sql - what a killed load left: the same rows in both tables, and every
-- transaction whose COMMIT had returned. Parameters: :acked transactions of :size rows.

.bail on
.load ./faster
.mode list
CREATE TEMP TABLE found(what TEXT, differences INTEGER CHECK (differences = 0));
INSERT INTO found SELECT 'only in the ordinary table', count(*)
  FROM (SELECT * FROM package_ordinary EXCEPT SELECT * FROM package);
INSERT INTO found SELECT 'only in the FASTER table', count(*)
  FROM (SELECT * FROM package EXCEPT SELECT * FROM package_ordinary);
INSERT INTO found SELECT 'an acknowledged transaction is missing', count(*) < :acked * :size
  FROM package;
INSERT INTO found SELECT 'verify', faster_verify('package') IS NOT 'ok';
INSERT INTO found SELECT 'integrity_check', integrity_check <> 'ok' FROM pragma_integrity_check;
SELECT :acked || ' transactions were acknowledged; ' || count(*)
  || ' rows in each table, 0 differences' FROM package;
