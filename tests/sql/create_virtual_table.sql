-- CREATE VIRTUAL TABLE temp.name USING netflow_pcap('source').
CREATE VIRTUAL TABLE temp.f USING netflow_pcap('samples/fprobe-live-v5.pcapng');
SELECT count(*), sum(packets), sum(bytes) FROM f;
SELECT count(*) FROM f WHERE protocol = 'UDP' AND dstport = 53;
SELECT rows_read, rows_kept FROM netflow_scan_stats();
SELECT count(*) FROM f WHERE srcport = 53 OR dstport = 53;
SELECT DISTINCT source FROM f;
CREATE VIRTUAL TABLE temp.two USING netflow("samples/fprobe-live-v5.pcapng");
SELECT count(*) FROM two;
CREATE TEMP TABLE copy AS SELECT * FROM f;
SELECT count(*) FROM (SELECT * FROM f EXCEPT SELECT * FROM copy);
-- never stored in a database
CREATE VIRTUAL TABLE stored USING netflow_pcap('samples/fprobe-live-v5.pcapng');
CREATE VIRTUAL TABLE main.stored USING netflow_pcap('samples/fprobe-live-v5.pcapng');
SELECT count(*) FROM sqlite_schema;
CREATE VIRTUAL TABLE temp.x USING netflow_pcap;
CREATE VIRTUAL TABLE temp.x USING netflow_pcap('samples', 'tests/data');
CREATE VIRTUAL TABLE temp.x USING netflow_active('samples');
-- the source is looked at when it is read
CREATE VIRTUAL TABLE temp.later USING netflow_pcap('it''s not there.pcap');
SELECT count(*) FROM later;
DROP TABLE later;
DROP TABLE f;
SELECT count(*) FROM f;
