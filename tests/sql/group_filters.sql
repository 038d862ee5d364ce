-- WHERE terms on netflow_active and netflow_top go in before the sums: the same groups as GROUP BY gives over a plain copy.
CREATE TEMP TABLE copy AS SELECT *, start_ms, end_ms, proto, packets_est, bytes_est, time_flag, received_time, file, frame,
  min(ip4_num(srcaddr), ip4_num(dstaddr)) AS low, max(ip4_num(srcaddr), ip4_num(dstaddr)) AS high FROM netflow_pcap('samples');
CREATE TEMP TABLE term(n INTEGER PRIMARY KEY, t TEXT, flows, groups, plain_groups, differ, top_groups, plain_top_groups, top_differ);
INSERT INTO term(t) VALUES
('1'), ('srcaddr = ''127.0.0.1'''), ('dstaddr <> ''127.0.0.1'''), ('ip4_in(srcaddr, ''192.168.0.0/16'')'), ('ip4_in(srcaddr, ''10.0.0.0/8'') AND ip4_in(dstaddr, ''10.0.0.0/8'')'), ('srcaddr IN (''127.0.0.1'', ''178.62.197.130'', ''x'', NULL)'), ('srcaddr < ''10.0.0.0'''),
('srcport = 53'), ('dstport BETWEEN 1 AND 1023'), ('dstport IN (53, 80, 443)'), ('dstport IS 443'), ('dstport IS NOT 443'), ('dstport > ''x'''), ('srcport < 1024.5'), ('srcport = ''53'''),
('protocol = ''UDP'''), ('protocol <> ''TCP'''), ('protocol IN (''ICMP'', ''UDP'')'), ('protocol >= ''TCP'''), ('proto = 17'), ('proto <> 6'),
('start_time >= ''2023-11-14 23:00'''), ('start_time BETWEEN ''2023-11-14 22:20'' AND ''2023-11-14 22:40'''), ('start_time > ''2024'''), ('end_time < ''2023-11-14 22:30'''), ('start_ms >= 1700003000000'), ('end_ms < 1700000600000'), ('received_time >= ''2026'''), ('received_time IS NULL'),
('duration_ms > 60000'), ('tcp_flags = 2'), ('tos <> 0'), ('input = 7'), ('output < 9'), ('nexthop = ''0.0.0.0'''), ('src_as = 0'), ('dst_as = 1'), ('src_mask <= 0'), ('dst_mask > 0'),
('exporter = ''127.0.0.1'''), ('exporter > ''127'''), ('engine_type = 0'), ('engine_id <> 0'), ('sampling_mode = 1'), ('sampling_interval = 10'), ('sampling_interval IN (0, 10)'), ('flow_sequence < 100'), ('packets_est > 100'), ('bytes_est BETWEEN 1000 AND 10000'), ('time_flag = 0'), ('file = ''samples/fprobe-live-v5.pcapng'''), ('file < ''samples/g'''), ('frame = 1'),
('srcport IS NULL'), ('srcport IS NOT NULL'), ('srcport = NULL'), ('protocol = ''UDP'' AND dstport = 53 AND start_time >= ''2023-11-14 22:20'' AND duration_ms > 0');
.once '|cat > $TMP/statements.sql'
SELECT replace('UPDATE term SET flows = (SELECT count(*) FROM copy WHERE @), groups = (SELECT count(*) FROM netflow_active(''samples'') WHERE @),
  differ = (SELECT count(*) FROM (SELECT ip4_text(low), ip4_text(high), sum(bytes), sum(packets), count(*) FROM copy WHERE @ GROUP BY low, high
                                  EXCEPT SELECT * FROM netflow_active(''samples'') WHERE @)),
  plain_groups = (SELECT count(*) FROM (SELECT 1 FROM copy WHERE @ GROUP BY low, high)),
  top_groups = (SELECT count(*) FROM netflow_top(''samples'', ''dstport,protocol'', ''flows'') WHERE @),
  plain_top_groups = (SELECT count(*) FROM (SELECT 1 FROM copy WHERE @ GROUP BY dstport, protocol)),
  top_differ = (SELECT count(*) FROM (SELECT dstport || '','' || protocol, sum(bytes), sum(packets), count(*) FROM copy WHERE @ GROUP BY dstport, protocol
                                      EXCEPT SELECT * FROM netflow_top(''samples'', ''dstport,protocol'', ''flows'') WHERE @)) WHERE n = ', '@', t) || n || ';' FROM term;
.read '|cat $TMP/statements.sql'
-- terms whose groups differ: none
SELECT t, differ, top_differ FROM term WHERE differ IS NOT 0 OR top_differ IS NOT 0 OR groups IS NOT plain_groups OR top_groups IS NOT plain_top_groups;
SELECT count(*), sum(groups = 0), sum(flows = 8985) FROM term;
SELECT t || ': ' || flows || ' flows, ' || groups || ' pairs, ' || top_groups || ' keys' FROM term ORDER BY n;
-- the filter is in the scan
SELECT sum(flows) FROM netflow_active('samples') WHERE dstport = 53; SELECT rows_read, rows_kept FROM netflow_scan_stats();
-- a term on a result is SQLite's, after the sums
SELECT count(*) FROM netflow_active('samples') WHERE flows = 1 AND dstport = 53;
SELECT (SELECT count(*) FROM netflow_active('samples') WHERE addr1 = '127.0.0.1'), (SELECT count(DISTINCT high) FROM copy WHERE low = ip4_num('127.0.0.1'));
-- what cannot go in before the sums fails, rather than filter nothing
SELECT count(*) FROM netflow_active('samples') WHERE dstport = 53 OR srcport = 53;
SELECT count(*) FROM netflow_active('samples') WHERE dstport = 53 OR bytes > 1000;
SELECT count(*) FROM netflow_active('samples') WHERE NOT (dstport = 53 AND srcport > 1000);
SELECT count(*) FROM netflow_active('samples') WHERE dstport NOT IN (53, 80);
SELECT count(*) FROM netflow_active('samples') WHERE srcaddr GLOB '10.*';
SELECT count(*) FROM netflow_active('samples') WHERE protocol = 'udp' COLLATE NOCASE;
SELECT count(*) FROM netflow_active('samples') WHERE srcport = dstport;
SELECT count(*) FROM netflow_active('samples') WHERE abs(dstport) = 53;
SELECT count(*) FROM netflow_active('samples') WHERE NOT ip4_in(srcaddr, '10.0.0.0/8');
SELECT count(*) FROM netflow_active('samples') WHERE ip4_in(srcaddr, NULL);
SELECT count(*) FROM netflow_active('samples') WHERE CASE WHEN dstport = 53 THEN 1 END;
SELECT dstport FROM netflow_active('samples') WHERE dstport = 53;
SELECT count(*) FROM (SELECT * FROM netflow_active('samples') ORDER BY dstport);
SELECT count(DISTINCT dstport) FROM netflow_active('samples');
SELECT sum(flows) FROM netflow_active('samples') WHERE dstport = 53 AND dstport = 53 AND dstport > 52 AND dstport < 54 AND dstport >= 53 AND dstport <= 53 AND srcport >= 0;
-- more terms than SQLite lets a table take over
SELECT sum(flows) FROM netflow_active('samples') WHERE dstport >= 1 AND dstport >= 2 AND dstport >= 3 AND dstport >= 4 AND dstport >= 5 AND dstport >= 6 AND dstport >= 7
  AND dstport >= 8 AND dstport >= 9 AND dstport >= 10 AND dstport >= 11 AND dstport >= 12 AND dstport >= 13 AND dstport >= 14 AND dstport >= 15 AND dstport >= 16;
