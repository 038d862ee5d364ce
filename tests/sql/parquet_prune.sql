-- What a predicate excludes of shards is not read, netflow_scan_stats() counts it, and the answer
-- is the captures'. Three captures of two days: the manifest's times, statistics and page
-- indexes, Bloom filters, dictionaries, one after the other.
.read '|printf "CREATE TEMP TABLE place AS SELECT \047$TMP/flows\047 AS dataset, \047$TMP/flows/**/*.parquet\047 AS files;"'
SELECT sum(rows), sum(shards) FROM place, netflow_ingest('samples', dataset);
.headers on
-- a time: shards by the manifest, without opening them; by the days of their paths; by statistics
SELECT count(*) FROM place, netflow(dataset) WHERE start_time >= '2026-01-01';
SELECT files, files_skipped, rows_read > 0 AS reads FROM netflow_scan_stats();
SELECT count(*) FROM netflow_pcap('samples') WHERE start_time >= '2026-01-01';
SELECT count(*) FROM place, netflow_parquet(dataset) WHERE end_time < '2001-01-01';
SELECT files, files_skipped, row_groups, rows_read FROM netflow_scan_stats();
SELECT count(*) FROM place, netflow_parquet(dataset || '/year=2023') WHERE start_time >= '2026-01-01';
SELECT files, files_skipped, rows_read FROM netflow_scan_stats();
.shell mkdir $TMP/renamed; i=0; for f in $TMP/flows/year=2023/*/*/*.parquet; do i=$((i + 1)); cp $f $TMP/renamed/$i.parquet; done
SELECT count(*) FROM place, netflow_parquet(dataset || '/../renamed') WHERE start_time >= '2026-01-01';
SELECT files, row_groups, row_groups_skipped, rows_read FROM netflow_scan_stats();
-- an address that is there: some row groups by Bloom filters
SELECT count(*), sum(bytes) FROM place, netflow(dataset) WHERE srcaddr = '192.168.1.29';
SELECT files, row_groups, row_groups_skipped > 0 AS skips, rows_read < 8985 AS reads_less FROM netflow_scan_stats();
SELECT count(*), sum(bytes) FROM netflow_pcap('samples') WHERE srcaddr = '192.168.1.29';
-- one that is nowhere, though within the bounds of all: not a page is read
SELECT count(*) FROM place, netflow(dataset) WHERE dstaddr = '172.31.255.254';
SELECT row_groups, row_groups_skipped, pages, rows_read FROM netflow_scan_stats();
-- one of several
SELECT count(*) FROM place, netflow(dataset) WHERE srcaddr IN ('1.2.3.4', '172.31.255.254', '9.9.9.9');
SELECT row_groups, row_groups_skipped, rows_read FROM netflow_scan_stats();
-- a prefix has no Bloom filter: bounds and dictionaries
SELECT count(*) FROM place, netflow(dataset) WHERE ip4_in(srcaddr, '198.51.100.0/24');
SELECT row_groups, row_groups_skipped, rows_read FROM netflow_scan_stats();
SELECT count(*) FROM netflow_pcap('samples') WHERE ip4_in(srcaddr, '198.51.100.0/24');
-- a port, a protocol that no row has
SELECT count(*) FROM place, netflow(dataset) WHERE dstport = 64999;
SELECT row_groups + row_groups_skipped AS row_groups, rows_read FROM netflow_scan_stats();
SELECT count(*) FROM netflow_pcap('samples') WHERE dstport = 64999;
SELECT count(*) FROM place, netflow(dataset) WHERE protocol = 'SCTP';
SELECT row_groups, row_groups_skipped, rows_read FROM netflow_scan_stats();
-- columns that nobody asked for are not read
SELECT count(*) FROM place, netflow(dataset);
CREATE TEMP TABLE narrow AS SELECT bytes_read FROM netflow_scan_stats();
SELECT count(*), sum(bytes), max(srcaddr), max(dstaddr), sum(flow_sequence) > 0 AS has FROM place, netflow(dataset);
SELECT n.bytes_read * 2 < s.bytes_read AS reads_less FROM narrow n, netflow_scan_stats() s;
-- nor sums that nobody asked a ranking for, but for what it is ordered by
CREATE TEMP TABLE ranked(n, key, bytes, packets, flows, bytes_read);
INSERT INTO ranked SELECT 1, key, bytes, packets, flows, NULL FROM place, netflow_top(dataset, 'protocol', 'packets');
UPDATE ranked SET bytes_read = (SELECT bytes_read FROM netflow_scan_stats());
INSERT INTO ranked SELECT 2, key, NULL, packets, NULL, NULL FROM place, netflow_top(dataset, 'protocol', 'packets');
UPDATE ranked SET bytes_read = (SELECT bytes_read FROM netflow_scan_stats()) WHERE n = 2;
INSERT INTO ranked SELECT 3, key, NULL, NULL, flows, NULL FROM place, netflow_top(dataset, 'protocol', 'packets');
UPDATE ranked SET bytes_read = (SELECT bytes_read FROM netflow_scan_stats()) WHERE n = 3;
INSERT INTO ranked SELECT 4, key, NULL, NULL, flows, NULL FROM place, netflow_top(dataset, 'protocol', 'flows');
UPDATE ranked SET bytes_read = (SELECT bytes_read FROM netflow_scan_stats()) WHERE n = 4;
SELECT n, group_concat(key || ' ' || ifnull(packets, flows), ', ') AS groups, rank() OVER (ORDER BY bytes_read DESC) AS reads FROM (SELECT * FROM ranked WHERE length(key) = 3) GROUP BY n ORDER BY n;
-- a window of one day, in files named by a glob
SELECT count(*) FROM place, netflow_parquet(files) WHERE start_time BETWEEN '2026-11-23' AND '2026-11-24';
SELECT files, files_skipped FROM netflow_scan_stats();
SELECT count(*) FROM place, netflow(dataset) WHERE start_time BETWEEN '2026-11-23' AND '2026-11-24';
-- an outer join reads twice, the second time without the term, and knows rows again by their numbers
CREATE TEMP TABLE wanted AS SELECT '10.0.0.1' AS addr UNION ALL SELECT '1.2.3.4';
.read '|printf "CREATE VIRTUAL TABLE temp.listed USING netflow_parquet(\047$TMP/flows\047); CREATE VIRTUAL TABLE temp.globbed USING netflow_parquet(\047$TMP/flows/**/*.parquet\047);"'
SELECT count(*), count(srcaddr), sum(addr IS NULL AND srcaddr = '10.0.0.1') AS twice FROM wanted FULL JOIN listed ON srcaddr = addr;
SELECT count(*), count(srcaddr), sum(addr IS NULL AND srcaddr = '10.0.0.1') AS twice FROM wanted FULL JOIN globbed ON srcaddr = addr;
SELECT count(*), count(DISTINCT rowid) FROM globbed;
