-- WHERE terms reach the scan: rows_kept is what passed in the engine, count(*) what SQLite saw.
-- Where both agree, SQLite had nothing left to drop.
CREATE TEMP VIEW kept AS SELECT rows_read, rows_kept FROM netflow_scan_stats();
SELECT count(*) FROM netflow_pcap('samples/softflowd-v5-ndpi-adj.pcap'); SELECT * FROM kept;
SELECT count(*) FROM netflow_pcap('samples/softflowd-v5-ndpi-adj.pcap') WHERE srcaddr = '77.111.247.69'; SELECT * FROM kept;
SELECT count(*) FROM netflow_pcap('samples/softflowd-v5-ndpi-adj.pcap') WHERE protocol = 'UDP' AND dstport = 53; SELECT * FROM kept;
SELECT count(*) FROM netflow_pcap('samples/softflowd-v5-ndpi-adj.pcap') WHERE protocol <> 'TCP'; SELECT * FROM kept;
SELECT count(*) FROM netflow_pcap('samples/softflowd-v5-ndpi-adj.pcap') WHERE bytes BETWEEN 1000 AND 5000; SELECT * FROM kept;
SELECT count(*) FROM netflow_pcap('samples/softflowd-v5-ndpi-adj.pcap') WHERE bytes > 1000.5 AND packets <= '10'; SELECT * FROM kept;
SELECT count(*) FROM netflow_pcap('samples/softflowd-v5-ndpi-adj.pcap') WHERE srcport IN (53, 443.0, '80', 'x', NULL); SELECT * FROM kept;
SELECT count(*) FROM netflow_pcap('samples/softflowd-v5-ndpi-adj.pcap') WHERE protocol IN ('UDP', 'SCTP', 'tcp'); SELECT * FROM kept;
SELECT count(*) FROM netflow_pcap('samples/softflowd-v5-ndpi-adj.pcap') WHERE srcaddr IN ('127.0.0.1', '77.111.247.69', '127.0.0.01'); SELECT * FROM kept;
SELECT count(*) FROM netflow_pcap('samples/softflowd-v5-ndpi-adj.pcap') WHERE start_time >= '2023-11-14 23:00'; SELECT * FROM kept;
SELECT count(*) FROM netflow_pcap('samples/softflowd-v5-ndpi-adj.pcap') WHERE start_ms < 1700001000000; SELECT * FROM kept;
SELECT count(*) FROM netflow_pcap('samples/softflowd-v5-ndpi-adj.pcap') WHERE ip4_in(srcaddr, '192.168.0.0/16'); SELECT * FROM kept;
SELECT count(*) FROM netflow_pcap('samples/softflowd-v5-ndpi-adj.pcap') WHERE exporter = '10.0.0.1'; SELECT * FROM kept;
SELECT count(*) FROM netflow_pcap('samples') WHERE file = 'samples/fprobe-live-v5.pcapng'; SELECT * FROM kept;
SELECT count(*) FROM netflow_pcap('samples/softflowd-v5-ndpi-adj.pcap') WHERE received_time IS NULL; SELECT * FROM kept;
SELECT count(*) FROM netflow_pcap('samples/softflowd-v5-sampled-s10.pcap') WHERE bytes_est >= 10000; SELECT * FROM kept;
-- one scan for a whole list, also from a subquery
CREATE TEMP TABLE hosts(addr TEXT);
INSERT INTO hosts VALUES ('127.0.0.1'), ('77.111.247.69'), ('no address'), (NULL);
SELECT count(*) FROM netflow_pcap('samples/softflowd-v5-ndpi-adj.pcap') WHERE srcaddr IN (SELECT addr FROM hosts); SELECT * FROM kept;
-- what can never be
SELECT count(*) FROM netflow_pcap('samples/softflowd-v5-ndpi-adj.pcap') WHERE srcport = 1.5; SELECT * FROM kept;
SELECT count(*) FROM netflow_pcap('samples/softflowd-v5-ndpi-adj.pcap') WHERE srcport = NULL; SELECT * FROM kept;
SELECT count(*) FROM netflow_pcap('samples/softflowd-v5-ndpi-adj.pcap') WHERE srcport < x'00'; SELECT * FROM kept;
-- another collation and LIKE are SQLite's: the answer is right all the same
SELECT count(*) FROM netflow_pcap('samples/softflowd-v5-ndpi-adj.pcap') WHERE protocol = 'udp' COLLATE NOCASE;
SELECT count(*) FROM netflow_pcap('samples/softflowd-v5-ndpi-adj.pcap') WHERE protocol LIKE 'ud%';
-- LIMIT stops the scan early: not every record was decoded
SELECT count(*) FROM (SELECT 1 FROM netflow_pcap('samples/softflowd-v5-ndpi-adj.pcap') LIMIT 5);
SELECT rows_read < 7627, rows_read >= 5 FROM netflow_scan_stats();
-- the other figures
SELECT count(*) FROM netflow_pcap('samples');
SELECT * FROM netflow_scan_stats();
-- borders: values of either kind on, beside and between those of the rows; a line for each that differs from a copy
CREATE TEMP TABLE copy AS SELECT *, end_ms FROM netflow_pcap('samples/softflowd-v5-sampled-s10.pcap');
CREATE TEMP TABLE border AS
SELECT DISTINCT srcport + d AS v FROM copy, (SELECT 0 AS d UNION ALL VALUES (-1), (1), (0.5), (-0.5))
WHERE srcport IN (0, 22, 53, 80, 443) OR srcport = (SELECT max(srcport) FROM copy)
UNION ALL VALUES (-1), (65536), (9223372036854775807), (-9223372036854775808), (9.3e18), (-9.3e18), (9e999), (-9e999), ('53'), ('x'), (x'35'), (NULL);
SELECT count(*) > 25 FROM border;
SELECT '<', quote(v) FROM border WHERE (SELECT count(*) FROM netflow_pcap('samples/softflowd-v5-sampled-s10.pcap') WHERE srcport < v) <> (SELECT count(*) FROM copy WHERE srcport < v);
SELECT '<=', quote(v) FROM border WHERE (SELECT count(*) FROM netflow_pcap('samples/softflowd-v5-sampled-s10.pcap') WHERE srcport <= v) <> (SELECT count(*) FROM copy WHERE srcport <= v);
SELECT '>', quote(v) FROM border WHERE (SELECT count(*) FROM netflow_pcap('samples/softflowd-v5-sampled-s10.pcap') WHERE srcport > v) <> (SELECT count(*) FROM copy WHERE srcport > v);
SELECT '>=', quote(v) FROM border WHERE (SELECT count(*) FROM netflow_pcap('samples/softflowd-v5-sampled-s10.pcap') WHERE srcport >= v) <> (SELECT count(*) FROM copy WHERE srcport >= v);
SELECT '=', quote(v) FROM border WHERE (SELECT count(*) FROM netflow_pcap('samples/softflowd-v5-sampled-s10.pcap') WHERE srcport = v) <> (SELECT count(*) FROM copy WHERE srcport = v);
SELECT '<>', quote(v) FROM border WHERE (SELECT count(*) FROM netflow_pcap('samples/softflowd-v5-sampled-s10.pcap') WHERE srcport <> v) <> (SELECT count(*) FROM copy WHERE srcport <> v);
SELECT 'IS', quote(v) FROM border WHERE (SELECT count(*) FROM netflow_pcap('samples/softflowd-v5-sampled-s10.pcap') WHERE srcport IS v) <> (SELECT count(*) FROM copy WHERE srcport IS v);
SELECT 'IS NOT', quote(v) FROM border WHERE (SELECT count(*) FROM netflow_pcap('samples/softflowd-v5-sampled-s10.pcap') WHERE srcport IS NOT v) <> (SELECT count(*) FROM copy WHERE srcport IS NOT v);
-- and of texts
CREATE TEMP TABLE moment AS SELECT DISTINCT substr(start_time, 1, n) || tail AS v
FROM (SELECT start_time FROM copy ORDER BY 1 LIMIT 5), (SELECT 4 AS n UNION ALL VALUES (10), (16), (19), (22), (23)), (SELECT '' AS tail UNION ALL VALUES ('0'), ('~'));
SELECT '<', v FROM moment WHERE (SELECT count(*) FROM netflow_pcap('samples/softflowd-v5-sampled-s10.pcap') WHERE start_time < v) <> (SELECT count(*) FROM copy WHERE start_time < v);
SELECT '<=', v FROM moment WHERE (SELECT count(*) FROM netflow_pcap('samples/softflowd-v5-sampled-s10.pcap') WHERE start_time <= v) <> (SELECT count(*) FROM copy WHERE start_time <= v);
SELECT '>', v FROM moment WHERE (SELECT count(*) FROM netflow_pcap('samples/softflowd-v5-sampled-s10.pcap') WHERE start_time > v) <> (SELECT count(*) FROM copy WHERE start_time > v);
SELECT '>=', v FROM moment WHERE (SELECT count(*) FROM netflow_pcap('samples/softflowd-v5-sampled-s10.pcap') WHERE start_time >= v) <> (SELECT count(*) FROM copy WHERE start_time >= v);
