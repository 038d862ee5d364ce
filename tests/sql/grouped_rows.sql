-- Rows that GROUP BY wants side by side come sorted: SQLite's plan has no b-tree for that. DISTINCT keeps its
-- table of what it saw, unless there is ORDER BY, but gets its rows in order (the plan's +columns) all the same.
CREATE TEMP TABLE copy AS SELECT *, proto, received_time, bytes_est FROM netflow_pcap('samples');
EXPLAIN QUERY PLAN SELECT srcaddr, sum(bytes) FROM netflow_pcap('samples') GROUP BY srcaddr;
EXPLAIN QUERY PLAN SELECT protocol, dstport, count(*) FROM netflow_pcap('samples') WHERE bytes > 100 GROUP BY protocol, dstport ORDER BY protocol, dstport;
EXPLAIN QUERY PLAN SELECT DISTINCT start_time, packets FROM netflow('samples');
EXPLAIN QUERY PLAN SELECT DISTINCT start_time, packets FROM netflow('samples') ORDER BY start_time DESC, packets;
-- not for exporters and files, not for expressions and other collations, not for few distinct values, not for ORDER BY alone
EXPLAIN QUERY PLAN SELECT exporter, count(*) FROM netflow_pcap('samples') GROUP BY exporter;
EXPLAIN QUERY PLAN SELECT bytes / 1000, count(*) FROM netflow_pcap('samples') GROUP BY 1;
EXPLAIN QUERY PLAN SELECT protocol, count(*) FROM netflow_pcap('samples') GROUP BY protocol COLLATE NOCASE;
EXPLAIN QUERY PLAN SELECT DISTINCT protocol FROM netflow_pcap('samples');
EXPLAIN QUERY PLAN SELECT srcaddr FROM netflow_pcap('samples') ORDER BY srcaddr;
-- the answers are those over a copy: both differences are empty
SELECT srcaddr, count(*), sum(bytes) FROM netflow_pcap('samples') GROUP BY 1 EXCEPT SELECT srcaddr, count(*), sum(bytes) FROM copy GROUP BY 1;
SELECT srcaddr, count(*), sum(bytes) FROM copy GROUP BY 1 EXCEPT SELECT srcaddr, count(*), sum(bytes) FROM netflow_pcap('samples') GROUP BY 1;
SELECT count(*) FROM (SELECT DISTINCT start_time, packets FROM netflow('samples')) UNION ALL SELECT count(*) FROM (SELECT DISTINCT start_time, packets FROM copy);
-- in the order that is asked for, NULL first or last
SELECT received_time IS NULL, count(*) FROM netflow_pcap('samples') GROUP BY received_time ORDER BY received_time LIMIT 1;
SELECT protocol, count(*) FROM netflow_pcap('samples') GROUP BY protocol ORDER BY protocol;
SELECT protocol, tos, count(*) FROM netflow_pcap('samples') WHERE dstport < 100 GROUP BY protocol, tos ORDER BY protocol DESC, tos;
SELECT srcaddr, count(*) FROM netflow_pcap('samples') GROUP BY srcaddr HAVING count(*) > 300 ORDER BY srcaddr DESC;
SELECT bytes_est, proto, count(*) FROM netflow_pcap('samples') GROUP BY bytes_est, proto ORDER BY bytes_est DESC, proto LIMIT 3 OFFSET 1;
-- the figures of the scan are told when it has ended, which is before the first row
SELECT srcaddr FROM netflow_pcap('samples') GROUP BY srcaddr LIMIT 1;
SELECT rows_read, rows_kept FROM netflow_scan_stats();
