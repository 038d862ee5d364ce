-- netflow_audit: a row for each file and reason; decoded + rejected = seen, records = rows, frames = packets of the capture.
CREATE TEMP TABLE source(path TEXT);
INSERT INTO source VALUES ('samples'), ('tests/data/*.pcap'), ('tests/data/ring.tar.gz'), ('samples' || char(10) || 'tests/data');
CREATE TEMP TABLE list AS SELECT group_concat('tests/data/' || value, char(10)) AS path
FROM json_each('["softflowd-v5-ipfrag-mtu576.pcap","softflowd-v5-rawip-tun.pcap","softflowd-v5-snap128.pcap","neg-softflowd-v9.pcap","ring.tar.gz"]');
SELECT name || ' ' || type FROM pragma_table_info('netflow_audit');
SELECT file, reason, typeof(decoded), typeof(seen), typeof(frames), typeof(records), typeof(first_frame), typeof(note) FROM netflow_audit('tests/data/softflowd-v5-ipfrag-mtu576.pcap');
SELECT file, reason, decoded, rejected, seen, frames, records, first_frame, meaning FROM list, netflow_audit(path);
-- none of these differ
SELECT path FROM source, netflow_audit(path) WHERE decoded + rejected <> seen OR (decoded > 0 AND rejected > 0) OR seen < 1 OR frames < seen OR first_frame < 1;
SELECT path FROM source WHERE (SELECT sum(records) FROM netflow_audit(path)) <> (SELECT count(*) FROM netflow_pcap(path));
SELECT file FROM (SELECT file, sum(records) AS n FROM netflow_audit('samples') GROUP BY 1) AS a WHERE n <> (SELECT count(*) FROM netflow_pcap('samples') AS p WHERE p.file = a.file);
SELECT file, reason, count(*) FROM source, netflow_audit(path) GROUP BY path, file, reason HAVING count(*) > 1;
-- the scan's figures are the audit's
SELECT sum(seen), sum(rejected), sum(records) FROM list, netflow_audit(path);
SELECT datagrams, rejected, rows_read FROM netflow_scan_stats();
SELECT count(*) FROM list, netflow_pcap(path);
SELECT datagrams, rejected, rows_read FROM netflow_scan_stats();
-- terms on its columns are SQLite's
SELECT reason, sum(seen) FROM list, netflow_audit(list.path) WHERE rejected > 0 GROUP BY 1 ORDER BY 1;
SELECT source, reason FROM netflow_audit WHERE source IN ('tests/data/neg-softflowd-v9.pcap', 'tests/data/softflowd-v5-snap128.pcap');
SELECT count(*) FROM netflow_audit('samples') a JOIN netflow_audit('samples') b USING (file, reason);
SELECT count(*) FROM netflow_audit(NULL);
SELECT count(*) FROM netflow_audit('nothing.pcap');
