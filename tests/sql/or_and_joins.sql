-- OR, IN, joins, subqueries: the answer is what SQLite gives over a plain copy of the rows.
CREATE TEMP TABLE copy AS SELECT *, proto, start_ms, file, frame FROM netflow_pcap('samples/softflowd-v5-ndpi-adj.pcap');
SELECT count(*), sum(packets), sum(bytes) FROM netflow_pcap('samples/softflowd-v5-ndpi-adj.pcap')
WHERE protocol = 'UDP' AND (srcport = 53 OR dstport = 53);
SELECT (SELECT count(*) FROM netflow_pcap('samples/softflowd-v5-ndpi-adj.pcap') WHERE srcport = 53 OR dstport = 53),
       (SELECT count(*) FROM copy WHERE srcport = 53 OR dstport = 53);
SELECT (SELECT count(*) FROM netflow_pcap('samples/softflowd-v5-ndpi-adj.pcap') WHERE (srcport = 53 AND proto = 17) OR bytes > 100000 OR srcaddr = '127.0.0.1'),
       (SELECT count(*) FROM copy WHERE (srcport = 53 AND proto = 17) OR bytes > 100000 OR srcaddr = '127.0.0.1');
SELECT (SELECT count(*) FROM netflow_pcap('samples/softflowd-v5-ndpi-adj.pcap') WHERE NOT (srcport < 1024 OR dstport < 1024)),
       (SELECT count(*) FROM copy WHERE NOT (srcport < 1024 OR dstport < 1024));
SELECT (SELECT count(*) FROM netflow_pcap('samples/softflowd-v5-ndpi-adj.pcap') WHERE dstport NOT IN (80, 443)),
       (SELECT count(*) FROM copy WHERE dstport NOT IN (80, 443));
SELECT (SELECT count(*) FROM netflow_pcap('samples/softflowd-v5-ndpi-adj.pcap') WHERE protocol LIKE 'i%' OR protocol GLOB 'U*'),
       (SELECT count(*) FROM copy WHERE protocol LIKE 'i%' OR protocol GLOB 'U*');
-- types that do not match
SELECT (SELECT count(*) FROM netflow_pcap('samples/softflowd-v5-ndpi-adj.pcap') WHERE dstport = '443' OR dstport > 'x' OR bytes < 40.5),
       (SELECT count(*) FROM copy WHERE dstport = '443' OR dstport > 'x' OR bytes < 40.5);
SELECT (SELECT count(*) FROM netflow_pcap('samples/softflowd-v5-ndpi-adj.pcap') WHERE srcaddr > 5 AND srcaddr < x'00' AND protocol >= 2),
       (SELECT count(*) FROM copy WHERE srcaddr > 5 AND srcaddr < x'00' AND protocol >= 2);
-- joins with small tables, in either order
CREATE TEMP TABLE ports(port INTEGER, name TEXT);
INSERT INTO ports VALUES (53, 'domain'), (80, 'http'), (443, 'https'), (NULL, 'none');
SELECT name, count(*), sum(bytes) FROM netflow_pcap('samples/softflowd-v5-ndpi-adj.pcap') JOIN ports ON dstport = port GROUP BY 1 ORDER BY 1;
SELECT name, count(*), sum(bytes) FROM ports CROSS JOIN netflow_pcap('samples/softflowd-v5-ndpi-adj.pcap') ON dstport = port GROUP BY 1 ORDER BY 1;
SELECT name, count(frame) FROM ports LEFT JOIN netflow_pcap('samples/softflowd-v5-ndpi-adj.pcap') ON dstport = port AND protocol = 'SCTP' GROUP BY 1 ORDER BY 1;
SELECT name, (SELECT count(*) FROM netflow_pcap('samples/softflowd-v5-ndpi-adj.pcap') WHERE srcport = port) FROM ports ORDER BY 1;
-- the source from another table
CREATE TEMP TABLE captures(path TEXT);
INSERT INTO captures VALUES ('samples/fprobe-live-v5.pcapng'), ('samples/softflowd-v5-sampled-s10.pcap');
SELECT path, count(*), sum(bytes) FROM captures, netflow_pcap(path) GROUP BY 1 ORDER BY 1;
SELECT path, addr1, addr2, bytes FROM captures, netflow_active(path, 1) ORDER BY 1;
SELECT path, seen FROM captures, netflow_audit(path) ORDER BY 1;
SELECT count(*) FROM netflow_pcap WHERE source IN (SELECT path FROM captures);
-- the flow and its answer
SELECT count(*) FROM netflow_pcap('samples/softflowd-v5-sampled-s10.pcap') AS a JOIN netflow_pcap('samples/softflowd-v5-sampled-s10.pcap') AS b
ON a.srcaddr = b.dstaddr AND a.dstaddr = b.srcaddr AND a.srcport = b.dstport AND a.dstport = b.srcport AND a.proto = b.proto;
-- a filter of a grouping from a table read before it
SELECT name, addr1, addr2, bytes FROM ports, netflow_active('samples/softflowd-v5-ndpi-adj.pcap', 1) WHERE dstport = port ORDER BY 1;
