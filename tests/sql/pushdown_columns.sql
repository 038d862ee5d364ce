-- Every column, every operator: the term is answered as over a plain copy, and in the scan: rows_kept is the
-- number of rows that pass, less than rows_read unless all pass. (A scan of another capture comes between, so that no figure is left over.)
CREATE TEMP TABLE copy AS SELECT *, start_ms, end_ms, proto, packets_est, bytes_est, time_flag, received_time, file, frame FROM netflow_pcap('samples');
CREATE TEMP TABLE term(n INTEGER PRIMARY KEY, t TEXT, here INTEGER, plain INTEGER, kept INTEGER, rows INTEGER);
INSERT INTO term(t) VALUES
('start_time >= ''2023-11-14 23:00'''), ('start_time < ''2023-11-14 22:30:00.5'''), ('start_time = ''2023-11-14 22:13:20.000'''), ('start_time BETWEEN ''2023-11-14 22:20'' AND ''2023-11-14 22:40'''),
('start_time <> ''2023-11-14 22:13:20.000'''), ('start_time IN (''2023-11-14 22:13:20.000'', ''never'')'), ('start_time < ''2023-11-14T'''), ('end_time > ''2024-01-01'''), ('end_time <= ''2023-11-14 22:13:21'''),
('start_ms = 1700000000000'), ('start_ms >= 1700003000000'), ('start_ms < 1700000060000.5'), ('end_ms BETWEEN 1700000000000 AND ''1700000600000'''), ('end_ms <> 0'),
('received_time >= ''2026'''), ('received_time IS NULL'), ('received_time IS NOT NULL'), ('received_time <> ''x'''),
('duration_ms = 0'), ('duration_ms > 60000'),
('srcaddr = ''127.0.0.1'''), ('dstaddr <> ''127.0.0.1'''), ('srcaddr IN (''127.0.0.1'', ''178.62.197.130'', ''::1'')'), ('srcaddr < ''10.0.0.0'''),
('ip4_in(srcaddr, ''10.0.0.0/8'')'), ('ip4_in(dstaddr, ''192.168.1.13'')'), ('ip4_in(nexthop, ''0.0.0.0/0'')'), ('nexthop = ''0.0.0.0'''), ('nexthop > ''0.0.0.0'''), ('srcaddr = ''127.0.0.01'''), ('srcaddr = ''no address'''),
('srcport = 53'), ('dstport <> 443'), ('srcport < 1024'), ('dstport BETWEEN 80 AND 443'), ('dstport IN (53, 80, 443, 70000, -1)'), ('srcport = ''53'''), ('srcport > ''x'''), ('srcport IS 53'), ('dstport IS NOT 53'), ('dstport >= 65535'), ('dstport > 65535'),
('protocol = ''UDP'''), ('protocol <> ''TCP'''), ('protocol IN (''ICMP'', ''IGMP'', ''udp'')'), ('protocol > ''TCP'''), ('protocol <= ''ICMP'''), ('protocol BETWEEN ''I'' AND ''J'''), ('protocol = '''''), ('proto = 17'), ('proto > 17'), ('proto IN (1, 2, 6.0)'), ('proto = 17.5'),
('packets = 1'), ('packets > 1000'), ('packets < 2.5'), ('bytes BETWEEN 100 AND 200'), ('bytes >= 100000'), ('bytes <> 40'), ('bytes > 9e18'), ('bytes < -9223372036854775808'), ('packets_est > 1000'), ('bytes_est = 400'), ('bytes_est <> 400'), ('bytes_est BETWEEN 1000 AND 10000'), ('bytes_est IN (400, 280, 40)'),
('tcp_flags = 2'), ('tcp_flags >= 16'), ('tcp_flags IN (18, 27)'), ('tos = 0'), ('tos <> 0'), ('input = 7'), ('output = 9'), ('input < 7'), ('src_as = 0'), ('dst_as > 0'), ('src_mask = 0'),
('exporter = ''127.0.0.1'''), ('exporter <> ''127.0.0.1'''), ('exporter IN (''127.0.0.1'', ''10.0.0.1'')'), ('engine_type = 0'), ('engine_id > 0'), ('sampling_mode = 1'), ('sampling_interval = 10'), ('sampling_interval BETWEEN 2 AND 9'),
('flow_sequence < 100'), ('flow_sequence BETWEEN 7000 AND 8000'), ('time_flag = 0'), ('time_flag <> 0'), ('file = ''samples/fprobe-live-v5.pcapng'''), ('file <> ''x'''), ('file IN (''samples/fprobe-live-v5.pcapng'')'), ('frame = 1'), ('frame > 200'), ('frame BETWEEN 10 AND 12'),
('srcport = NULL'), ('srcaddr = x''3132372e302e302e31'''), ('srcport IN (NULL)'), ('protocol = ''UDP'' AND dstport = 53 AND bytes > 80'), ('53 = dstport'), ('1000 > bytes AND protocol == ''TCP''');
-- SQLite's own to decide: columns that are never NULL, two columns compared, OR, names in order, texts that read as numbers
INSERT INTO term(n, t) SELECT 1000 + row_number() OVER (), column1 FROM (VALUES ('srcport IN ()'), ('end_time > ''2024'''), ('received_time = start_time'), ('duration_ms NOT BETWEEN 1 AND 1000'), ('dstaddr BETWEEN ''192.168.'' AND ''192.169'''), ('dstaddr >= ''9'''), ('exporter < ''127.0.0.1'''), ('exporter IS NULL'), ('file > ''samples/softflowd-v5-n'''), ('srcaddr IS NULL'), ('dstport IS NULL'), ('dst_mask IS NOT NULL'), ('protocol = ''253'''),
('protocol LIKE ''u%'''), ('srcport IS 53 OR protocol = ''ICMP'''), ('srcport + 0 = 53'), ('protocol = ''udp'' COLLATE NOCASE'), ('srcaddr GLOB ''10.*'''), ('srcport = dstport'), ('duration_ms IS NOT NULL AND srcport IS NOT dstport'));
.once '|cat > $TMP/statements.sql'
SELECT printf('UPDATE term SET rows = (SELECT count(*) FROM netflow_pcap(''tests/data/softflowd-v5-rawip-tun.pcap'')) WHERE n = %d;'
           || ' UPDATE term SET here = (SELECT count(*) FROM netflow_pcap(''samples'') WHERE %s), plain = (SELECT count(*) FROM copy WHERE %s) WHERE n = %d;'
           || ' UPDATE term SET (rows, kept) = (SELECT rows_read, rows_kept FROM netflow_scan_stats()) WHERE n = %d;', n, t, t, n, n) FROM term;
.read '|cat $TMP/statements.sql'
-- answers that differ: none
SELECT t, here, plain FROM term WHERE here IS NOT plain;
-- terms that SQLite had to check again for the scan: none
SELECT t, here, kept, rows FROM term WHERE n < 1000 AND (kept IS NOT here OR rows IS NOT 8985);
SELECT count(*), sum(kept = 0), sum(kept = 8985), sum(kept BETWEEN 1 AND 8984) FROM term WHERE n < 1000;
SELECT t || ': ' || here FROM term ORDER BY n;
