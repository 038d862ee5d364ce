-- netflow_ingest stores captures exactly once; a dataset gives the answers of its captures.
.read '|printf "CREATE TEMP TABLE place AS SELECT \047samples\047 AS captures, \047$TMP/flows\047 AS dataset;"'
.headers on
SELECT capture, status, rows, rejected, lost, shards, bytes > 0 AS has_bytes, detail FROM place, netflow_ingest(captures, dataset);
-- again, and under another name
SELECT capture, status, rows FROM place, netflow_ingest(captures, dataset);
SELECT status, rows FROM place, netflow_ingest('samples/fprobe-live-v5.pcapng', dataset, 'addresses=text compression=gzip partial=yes');
-- every column of every row, both ways
SELECT count(*) AS missing FROM (SELECT *, start_ms, end_ms, proto, packets_est, bytes_est, time_flag, file FROM netflow_pcap('samples') EXCEPT SELECT n.*, start_ms, end_ms, proto, packets_est, bytes_est, time_flag, file FROM place, netflow_parquet(dataset) n);
.headers off
SELECT count(*) FROM place, netflow_parquet(dataset);
SELECT count(*), sum(bytes), sum(packets) FROM place, netflow(dataset) WHERE srcaddr = '192.168.1.29' AND dstport = 443;
SELECT count(*), sum(bytes), sum(packets) FROM netflow_pcap('samples') WHERE srcaddr = '192.168.1.29' AND dstport = 443;
SELECT addr1, addr2, bytes FROM place, netflow_active(dataset, 3);
SELECT addr1, addr2, bytes FROM netflow_active('samples', 3);
SELECT * FROM place JOIN netflow_top(dataset, 'protocol', 'flows', 3) WHERE 0;
-- what is not kept in Parquet is NULL, and can be asked for
SELECT count(*) FROM place, netflow_parquet(dataset) WHERE received_time IS NULL AND frame IS NULL;
SELECT count(*) FROM place, netflow(dataset) WHERE srcaddr IS NULL;
-- a day of a dataset is skipped without opening its shards
SELECT count(*) FROM place, netflow_parquet(dataset) WHERE start_time < '2024-01-01';
SELECT files, files_skipped, row_groups, rows_read FROM netflow_scan_stats();
-- small shards of a day are merged, and nothing changes
SELECT days, merged, made FROM place, netflow_compact(dataset);
SELECT days, merged, made FROM place, netflow_compact(dataset);
SELECT count(*), sum(bytes), count(DISTINCT file) FROM place, netflow(dataset);
SELECT status, count(*) FROM place, netflow_ingest(captures, dataset) GROUP BY 1;
-- a dataset goes on as it began where nothing else is asked for
SELECT status, rows FROM place, netflow_ingest('samples/fprobe-live-v5.pcapng', dataset || '-numbers', 'addresses=uint32 compression=none');
SELECT status, rows FROM place, netflow_ingest('samples/softflowd-v5-ndpi-adj.pcap', dataset || '-numbers');
SELECT merged, made FROM place, netflow_compact(dataset || '-numbers');
SELECT group_concat(status), sum(rows) FROM place, netflow_verify(dataset || '-numbers');
-- the manifest keeps what became of the packets
SELECT count(*) FROM (SELECT reason, seen, frames, records, meaning FROM netflow_audit('samples') EXCEPT SELECT reason, seen, frames, records, meaning FROM place, netflow_audit(dataset));
SELECT reason, sum(decoded), sum(rejected), sum(records), meaning FROM place, netflow_audit(dataset) GROUP BY reason;
SELECT count(*) FROM place, netflow_loss(dataset);
-- everything of it is sound
SELECT file LIKE '%.parquet' AS is_shard, status, rows > 0 AS has_rows, bytes > 0 AS has_bytes, detail FROM place, netflow_verify(dataset);
-- each table says what it reads
SELECT count(*) FROM netflow_parquet('samples');
SELECT * FROM netflow_ingest('samples');
SELECT * FROM netflow_ingest('samples', '/tmp/x', 'addresses=int');
SELECT * FROM netflow_ingest('samples', '/dev/null');
SELECT * FROM netflow_compact('samples');
SELECT * FROM netflow_verify('samples');
SELECT * FROM netflow_verify('no such dataset');
SELECT * FROM netflow_ingest('no such capture', '/dev/null/x');
-- a statement that writes to the target between the captures of an ingest: it waited for itself
SELECT status, rows, day, flows FROM netflow_ingest('samples', (SELECT dataset || '-between' FROM place)) JOIN netflow_expire((SELECT dataset || '-between' FROM place), '2024-01-01');
