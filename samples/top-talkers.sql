-- Demonstrates ranking: who sent most, to which services, and how much of the whole that was.
-- Run from the project's root: sqlite3 -cmd '.load ./earlgrey' :memory: < samples/top-talkers.sql
.mode column

SELECT key AS source, bytes, packets, flows
FROM netflow_top('samples', 'srcaddr', 'bytes', 5);

SELECT protocol, dstport, bytes, flows
FROM netflow_top('samples', 'protocol,dstport', 'flows', 5);

SELECT srcaddr AS network, bytes,
       round(100.0 * bytes / (SELECT sum(bytes) FROM netflow_pcap('samples')), 1) AS percent
FROM netflow_top('samples', 'srcaddr/16', 'bytes', 5);
