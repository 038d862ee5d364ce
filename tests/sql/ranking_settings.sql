-- Threads and the memory limit change how a ranking is made, not what it says.
.headers off
.mode list
CREATE TEMP TABLE said(threads, memory, ranking, n, digest, spilled);
-- A query for each setting: how many rows, and what they are.
SELECT earlgrey_threads(1), earlgrey_memory_limit('1GiB');
INSERT INTO said SELECT 1, '1GiB', 'pairs', count(*), group_concat(addr1 || addr2 || bytes || packets || flows) , 0 FROM netflow_active('samples');
INSERT INTO said SELECT 1, '1GiB', 'texts', count(*), group_concat(key || bytes), 0 FROM netflow_top('samples', 'exporter,file,srcaddr', 'flows') WHERE exporter > '1';
INSERT INTO said SELECT 1, '1GiB', 'first', count(*), group_concat(key || bytes), 0 FROM netflow_top('samples', 'srcaddr,dstport', 'packets', 20) WHERE protocol = 'TCP';
SELECT earlgrey_threads(3), earlgrey_memory_limit('1 kb');
INSERT INTO said SELECT 3, '1 kb', 'pairs', count(*), group_concat(addr1 || addr2 || bytes || packets || flows), 0 FROM netflow_active('samples');
UPDATE said SET spilled = (SELECT bytes_spilled > 0 FROM netflow_scan_stats()) WHERE threads = 3 AND ranking = 'pairs';
INSERT INTO said SELECT 3, '1 kb', 'texts', count(*), group_concat(key || bytes), 0 FROM netflow_top('samples', 'exporter,file,srcaddr', 'flows') WHERE exporter > '1';
INSERT INTO said SELECT 3, '1 kb', 'first', count(*), group_concat(key || bytes), 0 FROM netflow_top('samples', 'srcaddr,dstport', 'packets', 20) WHERE protocol = 'TCP';
SELECT ranking, min(n), max(n), count(DISTINCT digest), max(spilled) FROM said GROUP BY 1;
-- What was read and what was lost is the same, too.
SELECT earlgrey_threads(1); SELECT count(*) FROM netflow_active('tests/data/ring.tar.gz'); SELECT files, datagrams, rejected, flows_lost, rows_read, rows_kept, bytes_read FROM netflow_scan_stats();
SELECT earlgrey_threads(4); SELECT count(*) FROM netflow_active('tests/data/ring.tar.gz'); SELECT files, datagrams, rejected, flows_lost, rows_read, rows_kept, bytes_read FROM netflow_scan_stats();
-- Values.
SELECT earlgrey_memory_limit('512MB'), earlgrey_memory_limit('1.5 GiB'), earlgrey_memory_limit(1000000), earlgrey_memory_limit('64kib');
SELECT earlgrey_memory_limit(NULL) = earlgrey_memory_limit(), earlgrey_memory_limit() > 100000000, earlgrey_threads(NULL) = earlgrey_threads(), earlgrey_threads() > 0;
SELECT earlgrey_threads(0);
SELECT earlgrey_threads(65);
SELECT earlgrey_threads('two');
SELECT earlgrey_memory_limit(0);
SELECT earlgrey_memory_limit(-5);
SELECT earlgrey_memory_limit('much');
SELECT earlgrey_memory_limit('5 apples');
CREATE TEMP VIEW setting AS SELECT earlgrey_threads(2); SELECT * FROM setting;
