-- netflow_pcap(source): rows, totals and known answers. The figures are tshark's.
.bail off
SELECT count(*), sum(packets), sum(bytes), count(DISTINCT srcaddr), count(DISTINCT dstaddr)
FROM netflow_pcap('samples/softflowd-v5-ndpi-adj.pcap');
SELECT proto, count(*) AS flows, sum(packets), sum(bytes)
FROM netflow_pcap('samples/softflowd-v5-ndpi-adj.pcap') GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 8;
SELECT srcaddr, count(*), sum(packets), sum(bytes) AS bytes
FROM netflow_pcap('samples/softflowd-v5-ndpi-adj.pcap') GROUP BY 1 ORDER BY bytes DESC, 1 LIMIT 5;
SELECT dstport, count(*) AS flows, sum(bytes)
FROM netflow_pcap('samples/softflowd-v5-ndpi-adj.pcap')
WHERE protocol IN ('TCP', 'UDP') GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 5;
-- TCP with SYN and without ACK
SELECT count(*) FROM netflow_pcap('samples/softflowd-v5-ndpi-adj.pcap')
WHERE protocol = 'TCP' AND tcp_flags & 2 AND NOT tcp_flags & 16;
-- the largest record, the longest record
SELECT srcaddr, srcport, dstaddr, dstport, proto, packets, bytes
FROM netflow_pcap('samples/softflowd-v5-ndpi-adj.pcap') ORDER BY bytes DESC, srcaddr LIMIT 1;
SELECT srcaddr, srcport, dstaddr, dstport, proto, duration_ms
FROM netflow_pcap('samples/softflowd-v5-ndpi-adj.pcap') ORDER BY duration_ms DESC, srcaddr, srcport LIMIT 1;

-- a pcapng, a directory, a glob, a list, and netflow() mean the same rows
SELECT count(*), sum(packets), sum(bytes) FROM netflow_pcap('samples/fprobe-live-v5.pcapng');
SELECT file, count(*), sum(bytes) FROM netflow_pcap('samples') GROUP BY 1 ORDER BY 1;
SELECT count(*), sum(bytes) FROM netflow_pcap('samples/softflowd-*.pcap');
SELECT count(*), sum(bytes) FROM netflow_pcap('samples/softflowd-v5-ndpi-adj.pcap' || char(10)
                                              || 'samples/softflowd-v5-sampled-s10.pcap');
SELECT count(*), sum(bytes) FROM netflow('samples/fprobe-live-v5.pcapng');
-- a file named twice is read once
SELECT count(*) FROM netflow_pcap('samples/fprobe-live-v5.pcapng' || char(10) || 'samples/*.pcapng');
-- export datagrams in IP fragments
SELECT count(*), sum(packets), sum(bytes) FROM netflow_pcap('tests/data/softflowd-v5-ipfrag-mtu576.pcap');
-- sampled: counters are kept as exported, the estimates are scaled
SELECT count(*), sum(packets), sum(bytes), sum(packets_est), sum(bytes_est)
FROM netflow_pcap('samples/softflowd-v5-sampled-s10.pcap');
-- datagrams captured short keep their whole records
SELECT count(*), sum(packets), sum(bytes) FROM netflow_pcap('tests/data/softflowd-v5-snap128.pcap');
