-- Joins, correlated subqueries, CTEs and several scans at once: what a plain copy of the rows gives.
CREATE TEMP TABLE copy AS SELECT *, proto, start_ms, frame FROM netflow_pcap('samples/fprobe-live-v5.pcapng');
CREATE TEMP VIEW flow AS SELECT *, proto, start_ms, frame FROM netflow_pcap('samples/fprobe-live-v5.pcapng');
CREATE TEMP TABLE service(port INTEGER, transport TEXT, name TEXT);
INSERT INTO service VALUES (53, 'UDP', 'domain'), (443, 'TCP', 'https'), (443, 'UDP', 'quic'), (5060, 'UDP', 'sip'), (65535, 'TCP', 'nobody'), (NULL, 'TCP', 'null');
CREATE TEMP TABLE net(cidr TEXT, label TEXT);
INSERT INTO net VALUES ('10.0.0.0/8', 'ten'), ('192.168.0.0/16', 'home'), ('172.16.0.0/12', 'middle');
-- inner, outer, the table first or last: pairs must agree
SELECT name, count(*), sum(bytes) FROM service JOIN flow ON dstport = port AND protocol = transport GROUP BY 1 ORDER BY 1;
SELECT name, count(*), sum(bytes) FROM service JOIN copy ON dstport = port AND protocol = transport GROUP BY 1 ORDER BY 1;
SELECT name, count(frame), sum(bytes) FROM service LEFT JOIN flow ON dstport = port AND protocol = transport GROUP BY 1 ORDER BY 1;
SELECT name, count(frame), sum(bytes) FROM service LEFT JOIN copy ON dstport = port AND protocol = transport GROUP BY 1 ORDER BY 1;
SELECT name, count(*) FROM flow LEFT JOIN service ON dstport = port AND protocol = transport GROUP BY 1 ORDER BY 1;
SELECT name, count(*) FROM copy LEFT JOIN service ON dstport = port AND protocol = transport GROUP BY 1 ORDER BY 1;
SELECT name, count(srcport) FROM flow FULL JOIN service ON dstport = port WHERE name IS NOT NULL GROUP BY 1 ORDER BY 1;
SELECT name, count(srcport) FROM copy FULL JOIN service ON dstport = port WHERE name IS NOT NULL GROUP BY 1 ORDER BY 1;
SELECT count(*) FROM service LEFT JOIN flow ON dstport = port AND protocol = transport WHERE srcaddr IS NULL;
SELECT count(*) FROM service LEFT JOIN copy ON dstport = port AND protocol = transport WHERE srcaddr IS NULL;
-- networks of a table
SELECT label, count(*) FROM net CROSS JOIN flow ON ip4_in(srcaddr, cidr) GROUP BY 1 ORDER BY 1;
SELECT label, count(*) FROM copy JOIN net ON ip4_in(srcaddr, cidr) GROUP BY 1 ORDER BY 1;
SELECT label, addr1, addr2, bytes FROM net, netflow_active('samples/fprobe-live-v5.pcapng', 1) WHERE ip4_in(srcaddr, cidr) AND ip4_in(dstaddr, cidr) ORDER BY 1;
-- correlated, EXISTS, IN
SELECT (SELECT count(*) FROM flow WHERE EXISTS (SELECT 1 FROM service WHERE port = dstport)), (SELECT count(*) FROM copy WHERE dstport IN (SELECT port FROM service));
SELECT label, (SELECT max(bytes) FROM flow WHERE ip4_in(dstaddr, cidr)) IS (SELECT max(bytes) FROM copy WHERE ip4_in(dstaddr, cidr)) FROM net;
SELECT count(*) FROM flow WHERE (srcaddr, dstport) IN (SELECT srcaddr, dstport FROM copy WHERE bytes > 100000);
SELECT count(*) FROM copy WHERE bytes > 100000;
-- both ways of a conversation
SELECT (SELECT count(*) FROM flow a JOIN flow b ON a.srcaddr = b.dstaddr AND a.dstaddr = b.srcaddr AND a.srcport = b.dstport AND a.dstport = b.srcport AND a.proto = b.proto WHERE a.bytes > 5000),
       (SELECT count(*) FROM copy a JOIN copy b ON a.srcaddr = b.dstaddr AND a.dstaddr = b.srcaddr AND a.srcport = b.dstport AND a.dstport = b.srcport AND a.proto = b.proto WHERE a.bytes > 5000);
-- a CTE used twice, a compound, a window, a recursion whose step scans
WITH big AS (SELECT * FROM flow WHERE bytes > 20000) SELECT count(*), (SELECT count(*) FROM big x JOIN big y USING (srcaddr)) FROM big;
WITH big AS (SELECT * FROM copy WHERE bytes > 20000) SELECT count(*), (SELECT count(*) FROM big x JOIN big y USING (srcaddr)) FROM big;
SELECT count(*) FROM (SELECT * FROM flow INTERSECT SELECT * FROM copy);
SELECT count(*) FROM (SELECT * FROM flow EXCEPT SELECT * FROM copy UNION ALL SELECT * FROM copy EXCEPT SELECT * FROM flow);
SELECT (SELECT sum(r) FROM (SELECT rank() OVER (PARTITION BY protocol ORDER BY bytes DESC, frame, srcport, dstport) AS r FROM flow)),
       (SELECT sum(r) FROM (SELECT rank() OVER (PARTITION BY protocol ORDER BY bytes DESC, frame, srcport, dstport) AS r FROM copy));
WITH RECURSIVE hop(addr, n) AS (VALUES ('172.16.42.216', 0) UNION SELECT dstaddr, n + 1 FROM hop JOIN flow ON srcaddr = addr WHERE n < 2) SELECT n, count(*) FROM hop GROUP BY 1;
WITH RECURSIVE hop(addr, n) AS (VALUES ('172.16.42.216', 0) UNION SELECT dstaddr, n + 1 FROM hop JOIN copy ON srcaddr = addr WHERE n < 2) SELECT n, count(*) FROM hop GROUP BY 1;
-- a ranking joined with its flows
SELECT addr1, addr2, (SELECT count(*) FROM flow WHERE (srcaddr, dstaddr) = (addr1, addr2) OR (srcaddr, dstaddr) = (addr2, addr1)) = flows FROM netflow_active('samples/fprobe-live-v5.pcapng', 3);
-- ORDER BY, DISTINCT, rowid and LIMIT OFFSET: rows keep the order of the capture
SELECT count(*) FROM (SELECT rowid AS r, lag(rowid) OVER () AS before FROM netflow_pcap('samples/fprobe-live-v5.pcapng')) WHERE r <> before + 1;
SELECT (SELECT group_concat(srcport) FROM (SELECT srcport FROM flow LIMIT 5 OFFSET 865)), (SELECT group_concat(srcport) FROM (SELECT srcport FROM copy ORDER BY rowid LIMIT 5 OFFSET 865));
SELECT (SELECT count(*) FROM (SELECT DISTINCT protocol, dstport FROM flow)), (SELECT count(*) FROM (SELECT DISTINCT protocol, dstport FROM copy));
-- longer lists than one thinks of, and more terms than a plan holds
CREATE TEMP TABLE numbers AS WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 5000) SELECT i FROM n;
SELECT (SELECT count(*) FROM flow WHERE dstport IN (SELECT i FROM numbers)), (SELECT count(*) FROM copy WHERE dstport BETWEEN 1 AND 5000);
CREATE VIRTUAL TABLE temp.opened USING netflow_pcap('samples/fprobe-live-v5.pcapng');
.once '|cat > $TMP/long.sql'
SELECT 'SELECT (SELECT count(*) FROM opened WHERE ' || terms || '), (SELECT count(*) FROM copy WHERE ' || terms || '), (SELECT count(*) FROM flow WHERE srcport IN (' || list || '));'
FROM (SELECT group_concat('srcport >= ' || i || ' AND bytes <> ' || i, ' AND ') AS terms FROM numbers WHERE i <= 70), (SELECT group_concat(i) AS list FROM numbers WHERE i <= 1023);
.read '|cat $TMP/long.sql'
SELECT count(*) FROM copy WHERE srcport BETWEEN 1 AND 1023;
