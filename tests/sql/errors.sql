-- What goes wrong says what, where and what was expected; the connection goes on.
SELECT count(*) FROM netflow_pcap;
SELECT count(*) FROM netflow_pcap(NULL);
SELECT count(*) FROM netflow_pcap('');
SELECT count(*) FROM netflow_pcap('no/such/capture.pcap');
SELECT count(*) FROM netflow_pcap('samples/*.nothing');
SELECT count(*) FROM netflow_pcap('samples/minutes.sql');
SELECT count(*) FROM netflow_pcap('samples/fprobe-live-v5.pcapng' || char(10) || 'no/such/capture.pcap');
SELECT count(*) FROM netflow_active;
SELECT count(*) FROM netflow_audit;
SELECT count(*) FROM netflow_loss;
SELECT count(*) FROM netflow_top('samples');
SELECT count(*) FROM netflow_top('samples', 'srcaddr,weight');
SELECT count(*) FROM netflow_top('samples', 'srcport/8');
SELECT count(*) FROM netflow_top('samples', 'srcaddr/33');
SELECT count(*) FROM netflow_top('samples', 'bytes');
SELECT count(*) FROM netflow_top('samples', '');
SELECT count(*) FROM netflow_top('samples', 'srcaddr', 'weight');
SELECT count(*) FROM netflow_top('samples', 'srcaddr', 'bytes', 'many');
-- a filter is no result
SELECT dstport, bytes FROM netflow_active('samples', 1);
SELECT dstport, bytes FROM netflow_top('samples', 'srcaddr', 'bytes', 1);
SELECT count(*) FROM netflow_top('samples', 'srcaddr') WHERE srcport = 53 OR dstport = 53;
SELECT count(*) FROM netflow_active('samples') WHERE protocol LIKE 'U%';
SELECT count(*) FROM netflow_active('samples') WHERE dstport + 0 = 53;
SELECT count(*) FROM netflow_active('samples') WHERE ip4_in(srcaddr, '10.0.0.0/99');
-- files are opened for the user's own statements only
CREATE VIEW planted AS SELECT count(*) FROM netflow_pcap('samples');
SELECT * FROM planted;
CREATE TEMP VIEW own AS SELECT count(*) FROM netflow_pcap('samples/fprobe-live-v5.pcapng');
SELECT * FROM own;
-- a failure ends the statement, not the transaction
CREATE TABLE t(x);
BEGIN;
INSERT INTO t VALUES (1);
INSERT INTO t SELECT count(*) FROM netflow_pcap('no/such/capture.pcap');
COMMIT;
SELECT count(*) FROM t;
INSERT INTO netflow_pcap(srcport) VALUES (1);
