-- netflow_top's and netflow_active's arguments: keys, prefixes, measure, limit, by name or in place; ties in order of the keys.
SELECT * FROM netflow_top('tests/data/softflowd-v5-rawip-tun.pcap', 'srcaddr', 'bytes', 3);
-- the same, by name, in any order; measure is bytes where it is left out or NULL, in any case of letters
SELECT count(*) FROM (SELECT * FROM netflow_top WHERE "limit" = 3 AND measure = 'bytes' AND keys = 'srcaddr' AND source = 'tests/data/softflowd-v5-rawip-tun.pcap'
                      INTERSECT SELECT * FROM netflow_top('tests/data/softflowd-v5-rawip-tun.pcap', 'srcaddr', 'bytes', 3));
SELECT count(*) FROM (SELECT * FROM netflow_top('samples', 'srcaddr') EXCEPT SELECT * FROM netflow_top('samples', ' SRCADDR ', 'Bytes', -5));
SELECT count(*) FROM (SELECT * FROM netflow_top('samples', 'srcaddr') LIMIT 20) EXCEPT SELECT count(*) FROM netflow_top('samples', 'srcaddr', NULL, 20);
SELECT source, keys, measure, "limit" FROM netflow_top('samples', 'srcaddr , dstport', 'flows', '1');
SELECT source, "limit" FROM netflow_active('samples', 1.0);
-- limits: a number, a text that is one; 0 none; NULL and below 0 all; larger than there are groups
SELECT 3, count(*) FROM netflow_top('samples', 'srcaddr', 'flows', 3) UNION ALL SELECT '4', count(*) FROM netflow_top('samples', 'srcaddr', 'flows', '4')
UNION ALL SELECT 0, count(*) FROM netflow_top('samples', 'srcaddr', 'flows', 0) UNION ALL SELECT -1, count(*) FROM netflow_top('samples', 'srcaddr', 'flows', -1)
UNION ALL SELECT 'NULL', count(*) FROM netflow_top('samples', 'srcaddr', 'flows', NULL) UNION ALL SELECT '2^63-1', count(*) FROM netflow_top('samples', 'srcaddr', 'flows', 9223372036854775807)
UNION ALL SELECT '-2^63', count(*) FROM netflow_top('samples', 'srcaddr', 'flows', -9223372036854775808) UNION ALL SELECT 'plain', count(DISTINCT srcaddr) FROM netflow_pcap('samples');
SELECT count(*) FROM netflow_top('samples', 'srcaddr', 'flows', 2.5);
SELECT count(*) FROM netflow_top('samples', 'srcaddr', 'flows', '3 rows');
SELECT count(*) FROM netflow_active('samples', x'33');
SELECT count(*) FROM netflow_active('samples', 1e99);
SELECT count(*) FROM netflow_active('samples', '');
-- SQL's LIMIT and OFFSET after them
SELECT count(*) FROM (SELECT * FROM netflow_top('samples', 'srcaddr', 'flows', 5) LIMIT 3 OFFSET 4);
SELECT count(*) FROM (SELECT * FROM netflow_top('samples', 'srcaddr', 'flows', 5) LIMIT -1 OFFSET 2);
SELECT count(*) FROM (SELECT * FROM netflow_active('samples') LIMIT 0);
SELECT count(*) FROM (SELECT * FROM netflow_active('samples') LIMIT 9223372036854775807 OFFSET 9223372036854775807);
SELECT count(*) FROM (SELECT * FROM netflow_active('samples') LIMIT 10 OFFSET 1670);
-- ties: equal counts come in order of the key as a number, not as a text
CREATE TEMP TABLE copy AS SELECT *, ip4_num(srcaddr) AS n FROM netflow_pcap('samples');
SELECT group_concat(dstport || ' ' || packets, ', ') FROM netflow_top('samples', 'dstport', 'packets', 12) WHERE packets_est = 1;
SELECT group_concat(dstport || ' ' || packets, ', ') FROM (SELECT dstport, sum(packets) AS packets FROM copy WHERE packets = 1 AND sampling_interval < 2 GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 12);
SELECT group_concat(srcaddr || ' ' || flows, ', ') FROM netflow_top('samples', 'srcaddr', 'flows', 12) WHERE dstport = 443;
SELECT group_concat(srcaddr || ' ' || flows, ', ') FROM (SELECT srcaddr, count(*) AS flows FROM copy WHERE dstport = 443 GROUP BY 1 ORDER BY 2 DESC, n LIMIT 12);
SELECT group_concat(addr1 || '-' || addr2 || ' ' || bytes, ', ') FROM (SELECT * FROM netflow_active('samples') WHERE protocol = 'IGMP' ORDER BY bytes DESC LIMIT 8);
-- every kind of key, with the type of its column
SELECT key, typeof(key), start_time, typeof(start_time) FROM netflow_top('tests/data/softflowd-v5-rawip-tun.pcap', 'start_time', 'flows', 2);
SELECT key, protocol, typeof(protocol), proto, typeof(proto) FROM netflow_top('samples', 'protocol,proto', 'flows', 2);
SELECT key, file, frame, typeof(frame) FROM netflow_top('tests/data/softflowd-v5-rawip-tun.pcap', 'file,frame', 'flows');
SELECT key, exporter, flows FROM netflow_top('tests/data/softflowd-v5-rawip-tun.pcap', 'exporter', 'flows');
SELECT key, srcaddr, dstaddr, nexthop, flows FROM netflow_top('samples', 'srcaddr/8, dstaddr / 16,nexthop/0', 'flows', 2);
SELECT key, flows FROM netflow_top('samples', 'srcaddr/32', 'flows', 1);
SELECT count(*), sum(flows) FROM netflow_top('samples', 'srcaddr,dstaddr,srcport,dstport,protocol,tos,start_time,end_time');
SELECT count(*) FROM (SELECT DISTINCT srcaddr, dstaddr, srcport, dstport, protocol, tos, start_time, end_time FROM netflow_pcap('samples'));
-- a prefix groups by network
SELECT count(*) FROM (SELECT ip4_prefix(dstaddr, 20), sum(bytes), sum(packets), count(*) FROM netflow_pcap('samples') GROUP BY 1 EXCEPT SELECT * FROM netflow_top('samples', 'dstaddr/20'));
-- wrong keys
SELECT * FROM netflow_top('samples', 'srcaddr,');
SELECT * FROM netflow_top('samples', 'srcaddr dstaddr');
SELECT * FROM netflow_top('samples', 'srcaddr,srcaddr/8');
SELECT * FROM netflow_top('samples', 'srcaddr/');
SELECT * FROM netflow_top('samples', 'srcaddr/-1');
SELECT * FROM netflow_top('samples', 'srcaddr/8x');
SELECT * FROM netflow_top('samples', 'protocol/8');
SELECT * FROM netflow_top('samples', 'packets');
SELECT * FROM netflow_top('samples', 'bytes_est');
SELECT * FROM netflow_top('samples', 'flows');
SELECT * FROM netflow_top('samples', 'source');
SELECT * FROM netflow_top('samples', '"srcaddr"');
SELECT * FROM netflow_top('samples', 'srcaddr,dstaddr,srcport,dstport,protocol,tos,input,output,nexthop');
SELECT * FROM netflow_top('samples', NULL);
SELECT * FROM netflow_top('samples', 5);
SELECT * FROM netflow_top('samples', 'srcaddr', '');
SELECT * FROM netflow_top('samples', 'srcaddr', 'bytes ');
SELECT * FROM netflow_top('samples', 'srcaddr', 7);
SELECT * FROM netflow_top(NULL, 'srcaddr');
SELECT * FROM netflow_top('nothing.pcap', 'srcaddr');
-- a wrong limit is said before the source is opened
SELECT * FROM netflow_top('nothing.pcap', 'srcaddr', 'bytes', 'many');
