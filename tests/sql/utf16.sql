-- Claim: in a database whose texts are UTF-16, comparisons are SQLite's there too.
PRAGMA encoding = 'UTF-16le';
CREATE TABLE copy AS SELECT * FROM netflow_pcap('samples/fprobe-live-v5.pcapng');
SELECT count(*) FROM netflow_pcap('samples/fprobe-live-v5.pcapng') WHERE srcaddr > 'Ā';
SELECT count(*) FROM copy WHERE srcaddr > 'Ā';
SELECT count(*) FROM netflow_pcap('samples/fprobe-live-v5.pcapng') WHERE start_time < '2026-11-23 05:14:30' AND protocol >= 'U';
SELECT count(*) FROM copy WHERE start_time < '2026-11-23 05:14:30' AND protocol >= 'U';
