-- Scalar functions.
.nullvalue NULL
SELECT ip4_num('0.0.0.0'), ip4_num('10.1.2.3'), ip4_num('255.255.255.255');
SELECT ip4_num('1.2.3'), ip4_num('1.2.3.4 '), ip4_num('01.2.3.4'), ip4_num('256.1.1.1'), ip4_num(''), ip4_num(NULL), ip4_num('::1');
SELECT ip4_text(0), ip4_text(167838211), ip4_text(4294967295), ip4_text(-1), ip4_text(4294967296), ip4_text(NULL), ip4_text('x');
SELECT ip4_in('10.1.2.3', '10.0.0.0/8'), ip4_in('11.1.2.3', '10.0.0.0/8'), ip4_in(167838211, '10.1.0.0/16');
SELECT ip4_in('10.1.2.3', '10.1.2.3'), ip4_in('10.1.2.4', '10.1.2.3/32'), ip4_in('9.9.9.9', '0.0.0.0/0'), ip4_in('10.1.2.3', '10.9.9.9/8');
SELECT ip4_in(NULL, '10.0.0.0/8'), ip4_in('10.1.2.3', NULL);
SELECT ip4_in('10.1.2.3', '10.0.0.0/33');
SELECT ip4_in('10.1.2.3', 'ten');
SELECT ip4_prefix('10.1.2.3', 8), ip4_prefix('10.1.2.3', 0), ip4_prefix('10.1.2.3', 32), ip4_prefix(167838211, 30);
SELECT ip4_prefix(NULL, 8), ip4_prefix('10.1.2.3', NULL), ip4_prefix('no address', 8);
SELECT ip4_prefix('10.1.2.3', 33);
SELECT protocol_name(6), protocol_name(17), protocol_name(1), protocol_name(253), protocol_name(0);
SELECT protocol_name(256), protocol_name(-1), protocol_name(NULL), protocol_name('TCP');
SELECT tcp_flags_text(0), tcp_flags_text(255), tcp_flags_text(18), tcp_flags_text(27), tcp_flags_text(128);
SELECT tcp_flags_text(256), tcp_flags_text(-1), tcp_flags_text(NULL);
SELECT earlgrey_version();
-- innocuous and deterministic: usable in a schema
CREATE TABLE t(addr TEXT, n INTEGER AS (ip4_num(addr)) STORED);
CREATE INDEX t_net ON t(ip4_prefix(addr, 24));
INSERT INTO t(addr) VALUES ('192.0.2.7');
SELECT addr, n, ip4_prefix(addr, 24) FROM t;
CREATE VIEW v AS SELECT ip4_text(n) AS again FROM t;
SELECT again FROM v;
