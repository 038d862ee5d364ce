-- netflow_active against plain SQL over the decode of another program (tab-separated: a line for each record).
-- needs: ../shared/captures
.mode tabs
.import ../shared/captures/made/softflowd-v5-ndpi-adj.tshark.tsv record
.mode list
CREATE TEMP TABLE parts AS
WITH RECURSIVE cut(addr, rest, n) AS (SELECT DISTINCT a, a || '.', 0 FROM (SELECT srcaddr AS a FROM record UNION SELECT dstaddr FROM record)
  UNION ALL SELECT addr, substr(rest, instr(rest, '.') + 1), n * 256 + substr(rest, 1, instr(rest, '.') - 1) FROM cut WHERE rest <> '')
SELECT addr, n FROM cut WHERE rest = '';
CREATE TEMP TABLE pair AS SELECT min(s.n, d.n) AS low, max(s.n, d.n) AS high, sum(octets) AS bytes, sum(packets) AS packets, count(*) AS flows
FROM record JOIN parts s ON s.addr = srcaddr JOIN parts d ON d.addr = dstaddr GROUP BY 1, 2;
CREATE TEMP TABLE ranked AS SELECT row_number() OVER (ORDER BY bytes DESC, low, high) AS place,
  l.addr AS addr1, h.addr AS addr2, bytes, packets, flows FROM pair JOIN parts l ON l.n = low JOIN parts h ON h.n = high;
SELECT count(*), sum(bytes), sum(packets), sum(flows) FROM ranked;
-- the whole ranking, in its order
CREATE TEMP TABLE ours AS SELECT row_number() OVER () AS place, * FROM netflow_active('samples/softflowd-v5-ndpi-adj.pcap');
SELECT count(*) FROM ours;
SELECT count(*) FROM (SELECT * FROM ours EXCEPT SELECT * FROM ranked);
SELECT addr1, addr2, bytes, packets, flows FROM ranked WHERE place <= 3;
-- the first n are the first n of the whole
SELECT count(*) FROM (SELECT row_number() OVER () AS place, * FROM netflow_active('samples/softflowd-v5-ndpi-adj.pcap', 100) INTERSECT SELECT * FROM ranked);
-- busiest sources, by each measure
CREATE TEMP TABLE source AS SELECT srcaddr, n, sum(octets) AS bytes, sum(packets) AS packets, count(*) AS flows FROM record JOIN parts ON addr = srcaddr GROUP BY 1, 2;
SELECT (SELECT count(*) FROM (SELECT row_number() OVER (), srcaddr, bytes, packets, flows FROM (SELECT * FROM source ORDER BY bytes DESC, n LIMIT 50)
        INTERSECT SELECT row_number() OVER (), * FROM netflow_top('samples/softflowd-v5-ndpi-adj.pcap', 'srcaddr', 'bytes', 50))),
       (SELECT count(*) FROM (SELECT row_number() OVER (), srcaddr, bytes, packets, flows FROM (SELECT * FROM source ORDER BY packets DESC, n LIMIT 50)
        INTERSECT SELECT row_number() OVER (), * FROM netflow_top('samples/softflowd-v5-ndpi-adj.pcap', 'srcaddr', 'packets', 50))),
       (SELECT count(*) FROM (SELECT row_number() OVER (), srcaddr, bytes, packets, flows FROM (SELECT * FROM source ORDER BY flows DESC, n LIMIT 50)
        INTERSECT SELECT row_number() OVER (), * FROM netflow_top('samples/softflowd-v5-ndpi-adj.pcap', 'srcaddr', 'flows', 50)));
-- pushed terms against the same decode
SELECT (SELECT count(*) FROM netflow_pcap('samples/softflowd-v5-ndpi-adj.pcap') WHERE tcp_flags = 2 AND dstport = 8080), (SELECT count(*) FROM record WHERE tcpflags = '2' AND dstport = '8080');
SELECT (SELECT sum(bytes) FROM netflow_pcap('samples/softflowd-v5-ndpi-adj.pcap') WHERE proto IN (6, 17) AND packets BETWEEN 3 AND 9), (SELECT sum(octets) FROM record WHERE prot IN ('6', '17') AND packets + 0 BETWEEN 3 AND 9);
SELECT (SELECT count(*) FROM netflow_pcap('samples/softflowd-v5-ndpi-adj.pcap') WHERE tos <> 0), (SELECT count(*) FROM record WHERE tos <> '0');
SELECT (SELECT count(*) FROM netflow_pcap('samples/softflowd-v5-ndpi-adj.pcap') WHERE duration_ms > 60000), (SELECT count(*) FROM record WHERE last_ms - first_ms > 60000);
SELECT (SELECT count(*) FROM netflow_pcap('samples/softflowd-v5-ndpi-adj.pcap') WHERE srcaddr < '10.0.0.0'), (SELECT count(*) FROM record WHERE srcaddr < '10.0.0.0');
SELECT (SELECT count(*) FROM netflow_pcap('samples/softflowd-v5-ndpi-adj.pcap') WHERE ip4_in(dstaddr, '172.16.0.0/12')), (SELECT count(*) FROM record JOIN parts ON addr = dstaddr WHERE n >> 20 = 172 << 4 | 1);
