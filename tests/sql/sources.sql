-- What a source may be: a file, a folder, a glob, lines of these, an archive; names are taken as they stand.
CREATE TEMP TABLE raw AS SELECT readfile('tests/data/softflowd-v5-rawip-tun.pcap') AS b, readfile('tests/data/softflowd-v5-snap128.pcap') AS snap;
SELECT count(*), sum(packets), sum(bytes) FROM netflow_pcap('tests/data/softflowd-v5-rawip-tun.pcap');
-- members of an archive are files of it; what is named like a capture and is none is counted
SELECT file, count(*), max(frame) FROM netflow_pcap('tests/data/ring.tar.gz') GROUP BY 1;
SELECT file, reason, seen, records FROM netflow_audit('tests/data/ring.tar.gz');
SELECT files, datagrams, rejected, rows_read FROM netflow_scan_stats();
.read '|echo .cd $TMP'
CREATE TEMP TABLE name(path TEXT);
INSERT INTO name VALUES ('ring/cap10.pcap'), ('ring/cap9.pcap'), ('ring/cap1.pcap'), ('ring/inner/deep.cap'), ('ring/no-ending'),
    ('ring/.hidden.pcap'), ('ring/_temporary.pcap'), ('two words.pcap'), ('it''s "odd".pcap'), ('star*.pcap'), ('star[1].pcap'), ('starling.pcap'),
    ('grün.pcap'), ('a%20b%s%n.pcap'), ('-rf.pcap'), ('semi;colon.pcap'), ('tab	.pcap');
SELECT writefile('ring', NULL, 16893), writefile('ring/inner', NULL, 16893), writefile('empty', NULL, 16893), writefile('others', NULL, 16893);
SELECT count(*) FROM name, raw WHERE writefile(path, b);
SELECT writefile('ring/notes.txt', 'no capture'), writefile('others/notes.txt', 'no capture');
-- a folder: captures by their beginning or name, in natural order, below it too, but neither .hidden nor _temporary
SELECT file, count(*) FROM netflow_pcap('ring') GROUP BY 1 ORDER BY min(rowid);
SELECT group_concat(file, ' ') FROM (SELECT DISTINCT file FROM netflow_pcap('ring/'));
SELECT group_concat(file, ' ') FROM (SELECT DISTINCT file FROM netflow_pcap('ring/cap*.pcap'));
SELECT group_concat(file, ' ') FROM (SELECT DISTINCT file FROM netflow_pcap('ring/cap[19].pcap'));
SELECT group_concat(file, ' ') FROM (SELECT DISTINCT file FROM netflow_pcap('r?ng/c*9*'));
SELECT group_concat(file, ' ') FROM (SELECT DISTINCT file FROM netflow_pcap('ring/.hidden.pcap'));
-- lines: in the order given, empty ones passed over, a file named twice read once
SELECT group_concat(file, ' ') FROM (SELECT DISTINCT file FROM netflow_pcap(char(10) || 'ring/no-ending' || char(10, 10) || 'ring/cap9.pcap' || char(10) || 'ring' || char(10)));
SELECT files, rows_read FROM netflow_scan_stats();
-- each odd name means itself, also where it could be a pattern; the hidden column gives it back
SELECT path FROM name WHERE (SELECT count(*) FROM netflow_pcap(path)) <> 48 OR (SELECT DISTINCT file || '|' || source FROM netflow_pcap(path)) <> path || '|' || path;
SELECT group_concat(file, ' ') FROM (SELECT DISTINCT file FROM netflow_pcap('star*'));
-- other ways to say it
SELECT count(*) FROM netflow_pcap WHERE source = 'ring/cap1.pcap';
SELECT count(*) FROM netflow_pcap(CAST('ring/cap1.pcap' AS BLOB));
SELECT count(*) FROM netflow_pcap WHERE source IN ('ring/cap1.pcap', 'ring/cap9.pcap', 'ring/cap1.pcap');
SELECT count(*) FROM netflow_pcap WHERE source = 'ring/cap1.pcap' OR source = 'ring/cap9.pcap';
.parameter set :file 'ring/cap1.pcap'
SELECT count(*) FROM netflow_pcap(:file);
-- what is no source
SELECT count(*) FROM netflow_pcap('empty');
SELECT count(*) FROM netflow_pcap('others');
SELECT count(*) FROM netflow_pcap('others/notes.txt');
SELECT count(*) FROM netflow_pcap('ring/cap1.pcap' || char(13));
SELECT count(*) FROM netflow_pcap('ring/cap1.pcap/');
SELECT count(*) FROM netflow_pcap('r*/nothing*');
SELECT count(*) FROM netflow_pcap('~/ring');
SELECT count(*) FROM netflow_pcap(char(10, 10));
SELECT count(*) FROM netflow_pcap(17);
SELECT count(*) FROM netflow_pcap(:not_set);
SELECT count(*) FROM netflow_pcap WHERE source LIKE 'ring%';
SELECT count(*) FROM netflow_pcap WHERE source > 'ring';
SELECT count(*) FROM netflow('nothing.pcap');
-- a file in a list that is no capture fails when its turn comes
SELECT DISTINCT file FROM netflow_pcap('ring/cap1.pcap' || char(10) || 'others/notes.txt');
