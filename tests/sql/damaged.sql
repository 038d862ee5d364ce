-- Damage: each fault is counted under its reason, what is whole is kept, decoded + rejected = seen.
-- Each variant is the same capture of two exports of 24 records (IPv4, IPv6) with some bytes replaced or cut.
CREATE TEMP TABLE raw AS SELECT readfile('tests/data/softflowd-v5-rawip-tun.pcap') AS b;
.read '|echo .cd $TMP'
CREATE TEMP TABLE fault(name TEXT, at INTEGER, bytes BLOB, size INTEGER);
INSERT INTO fault VALUES
-- the first datagram
('whole.pcap', 1, x'', 2484), ('count-0.pcap', 71, x'0000', 2484), ('count-23.pcap', 71, x'0017', 2484),
('count-25.pcap', 71, x'0019', 2484), ('count-30.pcap', 71, x'001e', 2484), ('count-31.pcap', 71, x'001f', 2484),
('count-65535.pcap', 71, x'ffff', 2484), ('version-9.pcap', 69, x'0009', 2484), ('version-10.pcap', 69, x'000a0498', 2484),
('version-4.pcap', 69, x'0004', 2484), ('version-0.pcap', 69, x'0000', 2484), ('version-0500.pcap', 69, x'0500', 2484),
-- its IP and UDP headers
('tcp.pcap', 50, x'06', 2484), ('ip-length-19.pcap', 43, x'0013', 2484), ('ip-length-2000.pcap', 43, x'07d0', 2484),
('ip-header-16.pcap', 41, x'44', 2484), ('ip-version-7.pcap', 41, x'75', 2484), ('udp-length-7.pcap', 65, x'0007', 2484),
('udp-checksum.pcap', 67, x'1234', 2484), ('fragment.pcap', 47, x'2000', 2484),
-- the file
('link-147.pcap', 21, x'93', 2484), ('packet-huge.pcap', 33, x'ffffffff', 2484), ('packet-0.pcap', 33, x'00000000', 2484),
('cut-24.pcap', 1, x'', 24), ('cut-30.pcap', 1, x'', 30), ('cut-40.pcap', 1, x'', 40), ('cut-100.pcap', 1, x'', 100),
('cut-1244.pcap', 1, x'', 1244), ('cut-1250.pcap', 1, x'', 1250), ('cut-2483.pcap', 1, x'', 2483);
SELECT count(*) FROM fault, raw WHERE writefile(name, CAST(substr(b, 1, at - 1) || bytes || substr(b, at + length(bytes), size - at - length(bytes) + 1) AS BLOB)) = size;
SELECT name, group_concat(reason || ' ' || seen || ' ' || records, ', ') FROM fault, netflow_audit(name) GROUP BY 1;
-- the rows are those the audit counted, and the first one's fields are sound where it was not touched
SELECT name FROM fault WHERE (SELECT count(*) FROM netflow_pcap(name)) <> coalesce((SELECT sum(records) FROM netflow_audit(name)), 0);
SELECT name FROM fault WHERE (SELECT sum(flows) FROM netflow_top(name, 'srcaddr')) <> (SELECT count(*) FROM netflow_pcap(name));
SELECT name FROM fault, netflow_audit(name) WHERE decoded + rejected <> seen OR seen < 1 OR frames < seen;
SELECT count(*), count(DISTINCT srcaddr || ' ' || srcport || ' ' || dstaddr || ' ' || flow.bytes) FROM fault, netflow_pcap(name) AS flow WHERE frame = 2;
-- what cannot be read at all is an error when it is named
SELECT writefile('empty.pcap', x''), writefile('cut-10.pcap', substr(b, 1, 10)), writefile('text.pcap', 'no capture here'),
       writefile('magic.pcap', CAST(x'd4c3b2a3' || substr(b, 5) AS BLOB)), writefile('version.pcap', CAST(substr(b, 1, 4) || x'0900' || substr(b, 7) AS BLOB)) FROM raw;
SELECT count(*) FROM netflow_pcap('empty.pcap');
SELECT reason, seen, records, note FROM netflow_audit('cut-10.pcap');
SELECT count(*) FROM netflow_pcap('text.pcap');
SELECT count(*) FROM netflow_pcap('magic.pcap');
SELECT count(*) FROM netflow_pcap('version.pcap');
-- and is counted when it lies in a folder
SELECT writefile('folder', NULL, 16893), writefile('folder/a.pcap', b), writefile('folder/b.pcap', x''), writefile('folder/c.pcap', 'no capture') FROM raw;
SELECT file, reason, decoded, rejected, records FROM netflow_audit('folder');
SELECT count(*) FROM netflow_pcap('folder');
