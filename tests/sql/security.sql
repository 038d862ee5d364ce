-- Tables that open files answer the user's own statements only; the scalars are for any connection.
.read '|echo .cd $TMP'
CREATE TABLE t(x);
CREATE VIEW v_pcap AS SELECT * FROM netflow_pcap('x.pcap');
CREATE VIEW v_netflow AS SELECT * FROM netflow('x.pcap');
CREATE VIEW v_active AS SELECT * FROM netflow_active('x.pcap');
CREATE VIEW v_top AS SELECT * FROM netflow_top('x.pcap', 'srcaddr');
CREATE VIEW v_series AS SELECT * FROM netflow_series('x.pcap', '5m');
CREATE VIEW v_audit AS SELECT * FROM netflow_audit('x.pcap');
CREATE VIEW v_loss AS SELECT * FROM netflow_loss('x.pcap');
CREATE VIEW v_stats AS SELECT * FROM netflow_scan_stats();
CREATE VIEW v_subquery AS SELECT x, (SELECT count(*) FROM netflow_pcap(x)) FROM t;
SELECT * FROM v_pcap;
SELECT * FROM v_netflow;
SELECT * FROM v_active;
SELECT * FROM v_top;
SELECT * FROM v_series;
SELECT * FROM v_audit;
SELECT * FROM v_loss;
SELECT * FROM v_stats;
SELECT * FROM v_subquery;
-- nor from a trigger in the schema
CREATE TRIGGER tr AFTER INSERT ON t BEGIN INSERT INTO t SELECT count(*) FROM netflow_pcap(new.x); END;
INSERT INTO t VALUES ('x.pcap');
SELECT count(*) FROM t;
-- a trusted schema does not change that
PRAGMA trusted_schema = ON;
SELECT * FROM v_pcap;
DROP TRIGGER tr;
-- the user's own: a TEMP view, a TEMP trigger, a statement
SELECT writefile('x.pcap', CAST(x'd4c3b2a1020004000000000000000000ffff000065000000' AS BLOB));
CREATE TEMP VIEW own AS SELECT count(*) FROM netflow_pcap('x.pcap');
SELECT * FROM own;
CREATE TEMP TRIGGER own_trigger AFTER INSERT ON t BEGIN INSERT INTO t SELECT 'rows: ' || count(*) FROM netflow_pcap(new.x) WHERE new.x = 'x.pcap'; END;
INSERT INTO t VALUES ('x.pcap');
SELECT x FROM t;
-- PRAGMA trusted_schema = OFF leaves the scalars usable in views, indexes, CHECKs
PRAGMA trusted_schema = OFF;
CREATE VIEW v_scalar AS SELECT ip4_text(ip4_num('10.0.0.1')), protocol_name(6), tcp_flags_text(2), ip4_prefix('10.1.2.3', 8), ip4_in('10.0.0.1', '10.0.0.0/8'), earlgrey_version() LIKE '_%.%';
SELECT * FROM v_scalar;
CREATE TABLE checked(a TEXT CHECK (ip4_num(a) IS NOT NULL));
INSERT INTO checked VALUES ('10.0.0.1'), ('nonsense');
