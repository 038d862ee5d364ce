-- Scalar functions given other types, borders and wrong numbers of arguments. NULL in any argument gives NULL.
.nullvalue NULL
SELECT quote(ip4_num(167772161)), quote(ip4_num(4294967295)), quote(ip4_num(4294967296)), quote(ip4_num(-1)), quote(ip4_num(1.0)), quote(ip4_num(x'31302e302e302e31'));
SELECT quote(ip4_num('1.2.3.4.5')), quote(ip4_num('1.2.3.4' || char(0))), quote(ip4_num(' 1.2.3.4')), quote(ip4_num('1.2.3.-4')), quote(ip4_num('1..3.4')), quote(ip4_num('0x1.2.3.4')), quote(ip4_num('1.2.3.004')), quote(ip4_num('167772161')), quote(ip4_num('1.2.3.4/32'));
SELECT typeof(ip4_num('1.2.3.4')), typeof(ip4_text(1)), typeof(ip4_in('1.2.3.4', '0.0.0.0/0')), typeof(ip4_prefix('1.2.3.4', 8)), typeof(protocol_name(6)), typeof(tcp_flags_text(1)), typeof(earlgrey_version());
SELECT quote(ip4_text('167772161')), quote(ip4_text(167772161.0)), quote(ip4_text(1.5)), quote(ip4_text(x'01')), quote(ip4_text('10.0.0.1')), quote(ip4_text(9223372036854775807)), quote(ip4_text(''));
SELECT quote(ip4_in('x', '10.0.0.0/8')), quote(ip4_in('', '10.0.0.0/8')), quote(ip4_in(-1, '0.0.0.0/0')), quote(ip4_in(4294967295, '255.255.255.255')), quote(ip4_in(x'00', '0.0.0.0/0')), quote(ip4_in(1.5, '0.0.0.0/0')), quote(ip4_in(NULL, 'no network'));
SELECT quote(ip4_in('10.0.0.0', '10.0.0.0/31')), quote(ip4_in('10.0.0.1', '10.0.0.0/31')), quote(ip4_in('10.0.0.2', '10.0.0.0/31')), quote(ip4_in('9.255.255.255', '10.0.0.0/8')), quote(ip4_in('10.255.255.255', '10.0.0.0/8')), quote(ip4_in('11.0.0.0', '10.0.0.0/8'));
SELECT ip4_in('10.0.0.1', '');
SELECT ip4_in('10.0.0.1', '10.0.0.0/');
SELECT ip4_in('10.0.0.1', '10.0.0.0/ 8');
SELECT ip4_in('10.0.0.1', '10.0.0.0/08x');
SELECT ip4_in('10.0.0.1', '10.0.0.0/-1');
SELECT ip4_in('10.0.0.1', '10/8');
SELECT ip4_in('10.0.0.1', 8);
SELECT ip4_in('10.0.0.1', printf('%.*c', 200, 'n'));
SELECT ip4_prefix('10.1.2.3', '24'), ip4_prefix('255.255.255.255', 1), ip4_prefix(0, 32), quote(ip4_prefix('', 8)), quote(ip4_prefix(x'00', 8)), quote(ip4_prefix(-1, 8));
SELECT ip4_prefix('10.1.2.3', -1);
SELECT ip4_prefix('10.1.2.3', 'x');
SELECT ip4_prefix('10.1.2.3', 8.5);
SELECT ip4_prefix('10.1.2.3', 4294967304);
SELECT quote(protocol_name('6')), quote(protocol_name(6.0)), quote(protocol_name(6.5)), quote(protocol_name(x'06')), quote(protocol_name('')), quote(protocol_name(255)), quote(protocol_name(4294967302)), quote(protocol_name(132)), quote(protocol_name(58));
SELECT quote(tcp_flags_text('18')), quote(tcp_flags_text(18.0)), quote(tcp_flags_text(1.5)), quote(tcp_flags_text(x'12')), quote(tcp_flags_text('S')), quote(tcp_flags_text(4294967298));
-- each letter stands for its bit: FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32, ECE 64, CWR 128
SELECT group_concat(tcp_flags_text(1 << value), ' ') FROM json_each('[7,6,5,4,3,2,1,0]');
-- there and back: every tested address, every protocol
WITH RECURSIVE n(i) AS (VALUES (0) UNION ALL SELECT i + 1 FROM n WHERE i < 2000) SELECT count(*), sum(ip4_num(ip4_text(i * 2147483)) = i * 2147483) FROM n;
WITH RECURSIVE n(i) AS (VALUES (0) UNION ALL SELECT i + 1 FROM n WHERE i < 255) SELECT count(DISTINCT protocol_name(i)), sum(protocol_name(i) = CAST(i AS TEXT)) > 50 FROM n;
SELECT ip4_num();
SELECT ip4_num('1.2.3.4', 1);
SELECT ip4_in('1.2.3.4');
SELECT earlgrey_version(1);
