-- Demonstrates looking for port scans: sources that send lone SYNs to many ports or hosts.
-- Run from the project's root: sqlite3 -cmd '.load ./earlgrey' :memory: < samples/scan-suspects.sql
.mode column

SELECT srcaddr, count(DISTINCT dstaddr) AS hosts, count(DISTINCT dstport) AS ports, count(*) AS flows
FROM netflow_pcap('samples')
WHERE protocol = 'TCP' AND tcp_flags & 2 AND NOT tcp_flags & 16
GROUP BY srcaddr ORDER BY ports DESC, hosts DESC, srcaddr LIMIT 5;

-- What was in the captures that is not a sound v5 datagram, and what got lost on the way?
SELECT file, reason, seen, meaning FROM netflow_audit('samples') WHERE rejected > 0;
SELECT exporter, kind, count(*) AS times, sum(flows_lost) AS flows_lost
FROM netflow_loss('samples') GROUP BY 1, 2;
