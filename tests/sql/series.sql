-- netflow_series: counters pro-rated over the buckets of time that a flow spans, so that they add up; empty buckets included.
.read '|echo "CREATE TEMP TABLE place AS SELECT \"$TMP/set\" AS dataset, \"$TMP/flows.db\" AS store;"'
SELECT * FROM netflow_series('samples/softflowd-v5-ndpi-adj.pcap', '10m');
SELECT time, time_ms, typeof(time), typeof(time_ms), key = '' FROM netflow_series('tests/data/softflowd-v5-rawip-tun.pcap', '1d');
-- every step adds up to the flows themselves
CREATE TEMP TABLE copy AS SELECT *, start_ms, end_ms, proto FROM netflow_pcap('samples/softflowd-v5-ndpi-adj.pcap');
SELECT count(*), sum(bytes), sum(packets) FROM copy;
SELECT value, count(*), sum(bytes), sum(packets), sum(flows) FROM json_each('["1s","7s","5m","90m","1h","1d"]'), netflow_series('samples/softflowd-v5-ndpi-adj.pcap', value) GROUP BY id ORDER BY id;
SELECT sum(bytes), sum(packets), sum(flows) FROM netflow_series('samples/softflowd-v5-ndpi-adj.pcap', '1m', 'srcaddr,dstport');
-- a minute has of a flow what floor(counter * time / duration) grew by in it: the same by plain SQL
CREATE TEMP TABLE exact AS
WITH RECURSIVE part(flow, minute) AS (SELECT rowid, start_ms / 60000 FROM copy UNION ALL SELECT flow, minute + 1 FROM part, copy ON copy.rowid = flow WHERE (minute + 1) * 60000 < end_ms),
span AS (SELECT *, min((minute + 1) * 60000, end_ms) - start_ms AS till, max(minute * 60000, start_ms) - start_ms AS since, max(duration_ms, 1) AS d FROM part, copy ON copy.rowid = flow)
SELECT datetime(minute * 60, 'unixepoch') AS time, protocol, sum(iif(duration_ms = 0, bytes, bytes * till / d - bytes * since / d)) AS bytes,
 sum(iif(duration_ms = 0, packets, packets * till / d - packets * since / d)) AS packets, sum(start_ms / 60000 = minute) AS flows FROM span GROUP BY minute, protocol;
SELECT count(*), count(DISTINCT time), sum(bytes) FROM exact;
SELECT count(*) FROM (SELECT time, protocol, bytes, packets, flows FROM netflow_series('samples/softflowd-v5-ndpi-adj.pcap', '1m', 'protocol') EXCEPT SELECT * FROM exact) WHERE bytes + packets + flows > 0;
SELECT count(*) FROM (SELECT * FROM exact EXCEPT SELECT time, protocol, bytes, packets, flows FROM netflow_series('samples/softflowd-v5-ndpi-adj.pcap', '1m', 'protocol'));
SELECT count(*) FROM (SELECT time, sum(bytes), sum(packets), sum(flows) FROM exact GROUP BY 1 EXCEPT SELECT time, bytes, packets, flows FROM netflow_series('samples/softflowd-v5-ndpi-adj.pcap', '1m'));
-- every key has a row in every bucket from the first to the last, by time and then by key as a number
SELECT count(*), count(DISTINCT time), count(DISTINCT protocol), (max(time_ms) - min(time_ms)) / 60000 + 1 FROM netflow_series('samples/softflowd-v5-ndpi-adj.pcap', '1m', 'protocol');
SELECT time, key, srcaddr, bytes FROM netflow_series('tests/data/softflowd-v5-rawip-tun.pcap', '10s', 'srcaddr');
SELECT count(*), sum(bytes = 0 AND packets = 0 AND flows = 0) FROM netflow_series('samples', '1d');
SELECT time, key, srcaddr, dstport, flows FROM netflow_series('samples/softflowd-v5-ndpi-adj.pcap', '1h', 'srcaddr/4,dstport') WHERE dstport IN (53, 443) AND flows > 40;
SELECT key, file, exporter, flows FROM netflow_series('samples', '1d', 'file,exporter') WHERE flows > 0;
-- the same of every kind of source
SELECT sum(rows) FROM place, netflow_ingest('samples', dataset);
SELECT sum(rows) FROM place, netflow_ingest('samples', store);
SELECT count(*), sum(bytes) FROM netflow_series('samples', '1h', 'protocol');
SELECT count(*), sum(s.bytes) FROM place, netflow_series(dataset, '1h', 'protocol') AS s;
SELECT count(*), sum(s.bytes) FROM place, netflow_series(store, '1h', 'protocol') AS s;
SELECT count(*) FROM (SELECT time, bytes, packets, flows, key FROM netflow_series('samples', '1h', 'protocol') EXCEPT SELECT s.* FROM place, netflow_series(dataset, '1h', 'protocol') AS s);
SELECT count(*) FROM (SELECT time, bytes, packets, flows, key FROM netflow_series('samples', '1h', 'protocol') EXCEPT SELECT s.* FROM place, netflow_series(store, '1h', 'protocol') AS s);
-- terms choose flows, before they are summed; terms on results choose rows
SELECT count(*), sum(bytes), sum(flows) FROM netflow_series('samples', '5m') WHERE dstport = 53 AND start_time >= '2023-11-14 22:20' AND start_time < '2023-11-14 22:40' AND ip4_in(srcaddr, '10.0.0.0/8');
SELECT sum(bytes), count(*) FROM netflow_pcap('samples') WHERE dstport = 53 AND start_time >= '2023-11-14 22:20' AND start_time < '2023-11-14 22:40' AND ip4_in(srcaddr, '10.0.0.0/8');
SELECT rows_kept < rows_read FROM netflow_scan_stats();
SELECT * FROM netflow_series('samples/softflowd-v5-ndpi-adj.pcap', '10m') WHERE time BETWEEN '2023-11-14 22:20' AND '2023-11-14 22:40' AND bytes > 3000000;
SELECT * FROM netflow_series('samples', '5m') WHERE srcaddr = '1.2.3.4';
SELECT count(*) FROM netflow_series('samples', '1s', 'srcaddr') WHERE start_time < '2000';
-- arguments by name; NULL keys are none
SELECT source, step, keys, exporter, flows FROM netflow_series WHERE keys = 'exporter' AND step = '24h' AND source = 'tests/data/softflowd-v5-rawip-tun.pcap';
SELECT count(*), sum(flows), max(key) FROM netflow_series('samples/softflowd-v5-ndpi-adj.pcap', '1h', NULL);
-- ORDER BY time needs no sorting, other orders do
EXPLAIN QUERY PLAN SELECT time, bytes FROM netflow_series('samples', '1h') ORDER BY time;
EXPLAIN QUERY PLAN SELECT time, bytes FROM netflow_series('samples', '1h') ORDER BY time_ms LIMIT 5;
EXPLAIN QUERY PLAN SELECT time, bytes FROM netflow_series('samples', '1h') ORDER BY time DESC;
EXPLAIN QUERY PLAN SELECT time, bytes FROM netflow_series('samples', '1h') ORDER BY bytes;
SELECT time, flows FROM netflow_series('samples/softflowd-v5-ndpi-adj.pcap', '10m') ORDER BY time_ms LIMIT 2 OFFSET 1;
-- FULL JOIN reads twice and matches by bucket and key
SELECT count(*) FROM (VALUES (53), (7)) AS v FULL JOIN netflow_series('samples/softflowd-v5-ndpi-adj.pcap', '10m', 'protocol') AS s ON s.bytes = v.column1;
SELECT 1 + count(*) FROM netflow_series('samples/softflowd-v5-ndpi-adj.pcap', '10m', 'protocol');
-- what is wrong is said
SELECT * FROM netflow_series('samples');
SELECT * FROM netflow_series('samples', NULL);
SELECT * FROM netflow_series('samples', '');
SELECT * FROM netflow_series('samples', '0s');
SELECT * FROM netflow_series('samples', '2d');
SELECT * FROM netflow_series('samples', '1.5h');
SELECT * FROM netflow_series('samples', '5M');
SELECT * FROM netflow_series('samples', 5);
SELECT * FROM netflow_series('samples', 'srcaddr');
SELECT * FROM netflow_series(NULL, '5m');
SELECT * FROM netflow_series('samples', '5m', '');
SELECT * FROM netflow_series('samples', '5m', 'time');
SELECT * FROM netflow_series('samples', '5m', 'bytes');
SELECT * FROM netflow_series('samples', '5m', 'srcaddr', 'bytes');
SELECT * FROM netflow_series('nothing.pcap', '5m');
SELECT dstport FROM netflow_series('samples', '1d', 'srcport');
SELECT * FROM netflow_series('samples', '1d', 'srcaddr/24') WHERE srcaddr = '192.168.1.0/24';
SELECT * FROM netflow_series('samples', '1d') WHERE protocol LIKE 'U%';
SELECT * FROM netflow_series('samples', '1d') WHERE srcport = 53 OR dstport = 53;
-- too many rows are refused with both ends of the time
SELECT count(*) FROM netflow_series('samples', '1s');
SELECT count(*) FROM netflow_series('samples', '1m', 'srcaddr');
SELECT count(*) FROM netflow_series('samples', '1s') WHERE start_time < '2024';
