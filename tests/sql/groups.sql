-- netflow_active and netflow_top: the busiest first, ties by key, always what GROUP BY says.
SELECT * FROM netflow_active('samples/softflowd-v5-ndpi-adj.pcap', 5);
SELECT key, bytes, packets, flows FROM netflow_top('samples/softflowd-v5-ndpi-adj.pcap', 'srcaddr', 'bytes', 5);
SELECT key, flows, bytes FROM netflow_top('samples/softflowd-v5-ndpi-adj.pcap', 'dstport', 'flows', 5) WHERE protocol IN ('TCP', 'UDP');
SELECT key, packets FROM netflow_top('samples/softflowd-v5-ndpi-adj.pcap', 'protocol', 'packets');
-- keys as columns, with their types; prefixes as networks
SELECT key, protocol, dstport, typeof(dstport), flows
FROM netflow_top('samples/softflowd-v5-ndpi-adj.pcap', 'protocol, dstport', 'flows', 3);
SELECT key, srcaddr, bytes FROM netflow_top('samples/softflowd-v5-ndpi-adj.pcap', 'srcaddr/16', 'bytes', 3);
SELECT key, bytes, flows FROM netflow_top('samples/softflowd-v5-ndpi-adj.pcap', 'srcaddr/0');
-- limits: none, negative, NULL are all
SELECT count(*), sum(bytes), sum(packets), sum(flows) FROM netflow_active('samples/softflowd-v5-ndpi-adj.pcap');
SELECT count(*) FROM netflow_active('samples/softflowd-v5-ndpi-adj.pcap', -1);
SELECT count(*) FROM netflow_active('samples/softflowd-v5-ndpi-adj.pcap', NULL);
SELECT count(*) FROM netflow_active('samples/softflowd-v5-ndpi-adj.pcap', 0);
-- SQL's LIMIT, OFFSET and ORDER BY over them
SELECT addr1, addr2, bytes FROM netflow_active('samples/softflowd-v5-ndpi-adj.pcap') LIMIT 2 OFFSET 1;
SELECT addr1, addr2, bytes FROM netflow_active('samples/softflowd-v5-ndpi-adj.pcap') ORDER BY bytes DESC LIMIT 2 OFFSET 1;
SELECT addr1, addr2, flows FROM netflow_active('samples/softflowd-v5-ndpi-adj.pcap') ORDER BY flows DESC, addr1 LIMIT 2;
SELECT key, bytes FROM netflow_top('samples/softflowd-v5-ndpi-adj.pcap', 'protocol', 'bytes') ORDER BY bytes LIMIT 2;
SELECT count(*) FROM netflow_active('samples/softflowd-v5-ndpi-adj.pcap') WHERE bytes > 100000 AND flows < 10;
-- filters go in before the sums
SELECT * FROM netflow_active('samples/softflowd-v5-ndpi-adj.pcap', 3) WHERE dstport = 53 AND protocol = 'UDP';
SELECT key, bytes FROM netflow_top('samples/softflowd-v5-ndpi-adj.pcap', 'srcaddr', 'bytes', 3)
WHERE start_time >= '2023-11-14 23:00' AND start_time < '2023-11-14 23:10' AND ip4_in(dstaddr, '192.168.0.0/16');
SELECT sum(flows) FROM netflow_active('samples/softflowd-v5-ndpi-adj.pcap') WHERE protocol = 'TCP' AND dstport BETWEEN 1 AND 1023;
-- a number is text where the column is: as for a literal
SELECT sum(flows) FROM netflow_top('samples/softflowd-v5-ndpi-adj.pcap', 'srcaddr') WHERE protocol = 6;

-- the same as GROUP BY
CREATE TEMP TABLE flow AS SELECT *, proto, file FROM netflow_pcap('samples');
CREATE TEMP TABLE pairs AS
SELECT iif(ip4_num(srcaddr) <= ip4_num(dstaddr), srcaddr, dstaddr) AS addr1,
       iif(ip4_num(srcaddr) <= ip4_num(dstaddr), dstaddr, srcaddr) AS addr2,
       sum(bytes) AS bytes, sum(packets) AS packets, count(*) AS flows
FROM flow GROUP BY 1, 2;
SELECT count(*) FROM pairs;
SELECT count(*) FROM (SELECT * FROM pairs EXCEPT SELECT * FROM netflow_active('samples'));
SELECT count(*) FROM (SELECT * FROM netflow_active('samples') EXCEPT SELECT * FROM pairs);
SELECT count(*) FROM (SELECT srcaddr || ',' || dstport, sum(bytes), sum(packets), count(*) FROM flow GROUP BY srcaddr, dstport
                      EXCEPT SELECT * FROM netflow_top('samples', 'srcaddr,dstport', 'flows'));
SELECT count(*) FROM (SELECT * FROM netflow_top('samples', 'srcaddr/24', 'packets')
                      EXCEPT SELECT ip4_prefix(srcaddr, 24), sum(bytes), sum(packets), count(*) FROM flow GROUP BY 1);
SELECT count(*) FROM (SELECT * FROM netflow_top('samples', 'file,protocol')
                      EXCEPT SELECT file || ',' || protocol, sum(bytes), sum(packets), count(*) FROM flow GROUP BY file, protocol);
-- in order: no pair before a busier one, nor before one of its size with smaller addresses
SELECT count(*) FROM (SELECT bytes, lag(bytes) OVER () AS before, ip4_num(addr1) AS a, lag(ip4_num(addr1)) OVER () AS a0,
                             ip4_num(addr2) AS b, lag(ip4_num(addr2)) OVER () AS b0
                      FROM netflow_active('samples'))
WHERE before < bytes OR (before = bytes AND (a0 > a OR (a0 = a AND b0 >= b)));
