-- The other entry point registers scalars only: no table, so no statement that opens a file.
.open :memory:
SELECT count(*) FROM pragma_module_list WHERE name LIKE 'netflow%';
SELECT ip4_num('10.0.0.1');
.load ./earlgrey sqlite3_earlgrey_nofs_init
SELECT count(*) FROM pragma_module_list WHERE name LIKE 'netflow%';
SELECT group_concat(name || '/' || narg, ' ') FROM (SELECT name, narg FROM pragma_function_list WHERE name LIKE 'ip4%' OR name IN ('protocol_name', 'tcp_flags_text', 'earlgrey_version') ORDER BY 1);
SELECT ip4_num('10.0.0.1'), ip4_text(1), ip4_in('10.0.0.1', '10.0.0.0/8'), ip4_prefix('10.0.0.1', 24), protocol_name(17), tcp_flags_text(18);
SELECT * FROM netflow_pcap('samples');
CREATE VIRTUAL TABLE temp.f USING netflow_pcap('samples');
SELECT * FROM netflow_scan_stats();
-- loading the whole afterwards adds the tables, twice does no harm
.load ./earlgrey
.load ./earlgrey
SELECT group_concat(name, ' ') FROM (SELECT name FROM pragma_module_list WHERE name LIKE 'netflow%' ORDER BY 1);
SELECT count(*) FROM netflow_pcap('tests/data/softflowd-v5-rawip-tun.pcap');
-- no such entry point
.load ./earlgrey sqlite3_earlgrey_other_init
