-- Demonstrates time: traffic by minute of one hour, and the longest flows.
-- Run from the project's root: sqlite3 -cmd '.load ./earlgrey' :memory: < samples/minutes.sql
.mode column
CREATE VIRTUAL TABLE temp.flow USING netflow_pcap('samples/softflowd-v5-ndpi-adj.pcap');

SELECT substr(start_time, 1, 16) AS minute, count(*) AS flows, sum(bytes) AS bytes
FROM flow GROUP BY 1 ORDER BY 3 DESC, 1 LIMIT 5;

SELECT start_time, duration_ms / 1000 AS seconds, protocol, srcaddr, dstaddr, dstport
FROM flow ORDER BY duration_ms DESC, start_time, srcaddr, dstaddr, dstport LIMIT 5;
