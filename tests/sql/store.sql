-- netflow_ingest into an SQLite store: exactly once, and the answers of the captures.
.read '|printf "CREATE TEMP TABLE place AS SELECT \047samples\047 AS captures, \047$TMP/flows.db\047 AS store;"'
.headers on
SELECT capture, status, rows, rejected, lost, shards, bytes > 0 AS has_bytes, detail FROM place, netflow_ingest(captures, store);
SELECT capture, status, rows FROM place, netflow_ingest(captures, store);
.headers off
-- every column of every row, both ways
SELECT count(*) AS missing FROM (SELECT *, start_ms, end_ms, proto, packets_est, bytes_est, time_flag, file FROM netflow_pcap('samples') EXCEPT SELECT n.*, start_ms, end_ms, proto, packets_est, bytes_est, time_flag, file FROM place, netflow(store) n);
SELECT count(*) AS missing FROM (SELECT n.*, start_ms, end_ms, proto, packets_est, bytes_est, time_flag, file FROM place, netflow(store) n EXCEPT SELECT *, start_ms, end_ms, proto, packets_est, bytes_est, time_flag, file FROM netflow_pcap('samples'));
SELECT count(*), sum(bytes), count(received_time), count(frame) FROM place, netflow(store);
-- terms that an index answers, that SQL says, and that only the engine knows
SELECT count(*), sum(bytes) FROM place, netflow(store) WHERE srcaddr = '192.168.1.29';
SELECT count(*), sum(bytes) FROM netflow_pcap('samples') WHERE srcaddr = '192.168.1.29';
SELECT count(*), sum(bytes) FROM place, netflow(store) WHERE dstaddr = '192.168.1.29' AND start_time >= '2023-11-14 22:30' AND start_time < '2023-11-14 22:33:40.5';
SELECT count(*), sum(bytes) FROM netflow_pcap('samples') WHERE dstaddr = '192.168.1.29' AND start_time >= '2023-11-14 22:30' AND start_time < '2023-11-14 22:33:40.5';
SELECT count(*), sum(bytes) FROM place, netflow(store) WHERE ip4_in(srcaddr, '77.0.0.0/8') AND protocol = 'TCP' AND dstport > 1024;
SELECT count(*), sum(bytes) FROM netflow_pcap('samples') WHERE ip4_in(srcaddr, '77.0.0.0/8') AND protocol = 'TCP' AND dstport > 1024;
SELECT count(*), sum(bytes) FROM place, netflow(store) WHERE start_time LIKE '2026%' AND exporter = '127.0.0.1' AND dstport IN (53, 443, 67) AND file LIKE '%fprobe%';
SELECT count(*), sum(bytes) FROM netflow_pcap('samples') WHERE start_time LIKE '2026%' AND exporter = '127.0.0.1' AND dstport IN (53, 443, 67) AND file LIKE '%fprobe%';
SELECT count(*) FROM place, netflow(store) WHERE srcaddr = 'nowhere' OR start_time = '2023-11-14 22:13:20.250' OR end_time > '2026-11-23 05:14:56.8' OR srcaddr < '1' OR srcaddr > '99';
SELECT count(*) FROM netflow_pcap('samples') WHERE srcaddr = 'nowhere' OR start_time = '2023-11-14 22:13:20.250' OR end_time > '2026-11-23 05:14:56.8' OR srcaddr < '1' OR srcaddr > '99';
-- the functions that aggregate
SELECT addr1, addr2, bytes FROM place, netflow_active(store, 3);
SELECT addr1, addr2, bytes FROM netflow_active('samples', 3);
SELECT * FROM place JOIN netflow_top(store, 'protocol', 'flows', 3) WHERE 0;
SELECT count(*) FROM (SELECT * FROM netflow_top('samples', 'exporter,srcaddr/24,dstport', 'bytes') EXCEPT SELECT t.* FROM place, netflow_top(store, 'exporter,srcaddr/24,dstport', 'bytes') t);
-- what became of the packets
SELECT count(*) FROM (SELECT reason, seen, frames, records, meaning FROM netflow_audit('samples') EXCEPT SELECT reason, seen, frames, records, meaning FROM place, netflow_audit(store));
SELECT count(*), sum(records) FROM place, netflow_audit(store);
SELECT count(*) FROM place, netflow_loss(store);
-- an ordinary file
.shell sqlite3 "$TMP/flows.db" "PRAGMA integrity_check; PRAGMA user_version; PRAGMA journal_mode; SELECT count(*) FROM sqlite_schema WHERE sql LIKE '%VIRTUAL TABLE%'"
.shell sqlite3 "$TMP/flows.db" "EXPLAIN QUERY PLAN SELECT * FROM flow WHERE srcaddr = '122.166.26.132'" | sed 1d
.shell sqlite3 "$TMP/flows.db" "EXPLAIN QUERY PLAN SELECT * FROM flow WHERE dstaddr = '122.166.26.132'" | sed 1d
.shell sqlite3 "$TMP/flows.db" "EXPLAIN QUERY PLAN SELECT * FROM flow WHERE srcaddr = '122.166.26.132' AND start_ms BETWEEN 1 AND 2" | sed 1d
.shell sqlite3 "$TMP/flows.db" "EXPLAIN QUERY PLAN SELECT * FROM flow WHERE start_ms >= 1000 * unixepoch('2007-07-26 22:30') AND start_ms < 1000 * unixepoch('2007-07-26 22:31')" | sed 1d
.shell sqlite3 "$TMP/flows.db" "EXPLAIN QUERY PLAN SELECT * FROM flow WHERE srcaddr_num BETWEEN 2058747904 AND 2058813439" | sed 1d
.shell sqlite3 "$TMP/flows.db" "EXPLAIN QUERY PLAN SELECT * FROM flow WHERE dstaddr_num BETWEEN 2058747904 AND 2058813439" | sed 1d
.shell sqlite3 "$TMP/flows.db" "SELECT * FROM daily; SELECT * FROM top_talkers LIMIT 2; SELECT * FROM flow_readable WHERE dstaddr = '192.168.1.29' LIMIT 1; SELECT count(*) FROM reject"
-- its generated columns are those of the engine, row by row
.read '|printf "ATTACH \047$TMP/flows.db\047 AS plain;"'
SELECT count(*) FROM (SELECT * FROM plain.flow_readable EXCEPT SELECT n.*, n.file FROM place, netflow(store) n);
SELECT count(*) FROM (SELECT start_ms, end_ms, proto, packets_est, bytes_est, time_flag, srcaddr_num, dstaddr_num FROM plain.flow EXCEPT SELECT start_ms, end_ms, proto, packets_est, bytes_est, time_flag, ip4_num(srcaddr), ip4_num(dstaddr) FROM place, netflow(store) n);
WITH RECURSIVE n(i) AS (VALUES (0) UNION ALL SELECT i + 1 FROM n WHERE i < 255) INSERT INTO plain.flow(start_ms, duration_ms, srcaddr_num, dstaddr_num, proto, exporter_num) SELECT i * 16843009 * 1000, i, i * 16843009, 4294967295 - i * 16843009, i, '2001:db8::' || printf('%x', i + 1) FROM n;
SELECT count(*), count(file) FROM place, netflow(store) WHERE exporter > '2001:db8' AND exporter LIKE '%:%';
SELECT count(*) FROM (SELECT start_time, end_time, srcaddr, dstaddr, protocol, exporter FROM plain.flow_readable EXCEPT SELECT start_time, end_time, srcaddr, dstaddr, protocol, exporter FROM place, netflow(store) n);
-- by hand, from a capture
INSERT INTO plain.flow(start_ms, duration_ms, srcaddr_num, dstaddr_num, srcport, dstport, proto, packets, bytes, exporter_num) SELECT start_ms, duration_ms, ip4_num(srcaddr), ip4_num(dstaddr), srcport, dstport, proto, packets, bytes, ip4_num(exporter) FROM netflow_pcap('samples/softflowd-v5-sampled-s10.pcap');
SELECT count(*) FROM place, netflow(store);
