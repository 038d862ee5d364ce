-- netflow_loss: breaks of flow_sequence, told apart. One export of 24 records over and over, its sequence number set anew.
CREATE TEMP TABLE raw AS SELECT readfile('tests/data/softflowd-v5-rawip-tun.pcap') AS b;
SELECT group_concat(name || ' ' || type, ', ') FROM pragma_table_info('netflow_loss');
-- two exporters, each whole
SELECT count(*) FROM netflow_loss('tests/data/softflowd-v5-rawip-tun.pcap');
.read '|echo .cd $TMP'
CREATE TEMP TABLE datagram(story TEXT, place INTEGER, sequence BLOB);
INSERT INTO datagram VALUES
('whole.pcap', 1, x'00000000'), ('whole.pcap', 2, x'00000018'), ('whole.pcap', 3, x'00000030'), ('whole.pcap', 4, x'00000048'),
('gap.pcap', 1, x'00000000'), ('gap.pcap', 2, x'00000018'), ('gap.pcap', 3, x'00000060'), ('gap.pcap', 4, x'00000078'),
('gaps.pcap', 1, x'00000000'), ('gaps.pcap', 2, x'00000030'), ('gaps.pcap', 3, x'00000048'), ('gaps.pcap', 4, x'00000090'),
('late.pcap', 1, x'00000000'), ('late.pcap', 2, x'00000030'), ('late.pcap', 3, x'00000018'), ('late.pcap', 4, x'00000048'),
('half-late.pcap', 1, x'00000000'), ('half-late.pcap', 2, x'00000048'), ('half-late.pcap', 3, x'00000018'), ('half-late.pcap', 4, x'00000060'),
('twice.pcap', 1, x'00000000'), ('twice.pcap', 2, x'00000018'), ('twice.pcap', 3, x'00000018'), ('twice.pcap', 4, x'00000030'),
('restart.pcap', 1, x'10000000'), ('restart.pcap', 2, x'10000018'), ('restart.pcap', 3, x'00000000'), ('restart.pcap', 4, x'00000018'),
('wrap.pcap', 1, x'ffffffd0'), ('wrap.pcap', 2, x'ffffffe8'), ('wrap.pcap', 3, x'00000000'), ('wrap.pcap', 4, x'00000018'),
('wrap-gap.pcap', 1, x'ffffffd0'), ('wrap-gap.pcap', 2, x'ffffffe8'), ('wrap-gap.pcap', 3, x'00000018'), ('wrap-gap.pcap', 4, x'00000030'),
('single.pcap', 1, x'00001000');
SELECT count(*), sum(writefile(story, CAST(substr(b, 1, 24) || packets AS BLOB))) FROM raw,
  (SELECT story, group_concat(substr(b, 25, 60) || sequence || substr(b, 89, 1156), '') AS packets FROM raw, (SELECT * FROM datagram ORDER BY story, place) GROUP BY story);
SELECT file, sum(records) FROM netflow_audit('*.pcap') GROUP BY file HAVING sum(records) <> 96;
SELECT story, frame, expected, got, flows_lost, kind FROM (SELECT DISTINCT story FROM datagram), netflow_loss(story) ORDER BY 1, 2;
SELECT time, exporter, engine_type, engine_id, typeof(expected), typeof(flows_lost) FROM netflow_loss('gap.pcap');
-- what is lost is in the figures of every scan that read to the end
SELECT count(*) FROM netflow_pcap('gaps.pcap'); SELECT flows_lost FROM netflow_scan_stats();
SELECT count(*) FROM netflow_active('gaps.pcap'); SELECT flows_lost FROM netflow_scan_stats();
SELECT count(*) FROM netflow_pcap('gaps.pcap') WHERE srcport = -1; SELECT flows_lost FROM netflow_scan_stats();
SELECT count(*) FROM netflow_pcap('whole.pcap'); SELECT flows_lost FROM netflow_scan_stats();
-- the sequence of an exporter goes on from capture to capture, in the order of the source
SELECT file, frame, expected, got, flows_lost, kind FROM netflow_loss('whole.pcap' || char(10) || 'gap.pcap');
SELECT writefile('next.pcap', CAST(substr(b, 1, 84) || x'00000060' || substr(b, 89, 1156) AS BLOB)) FROM raw;
SELECT count(*) FROM netflow_loss('whole.pcap' || char(10) || 'next.pcap');
