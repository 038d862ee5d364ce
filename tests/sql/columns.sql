-- Columns: names, order, types, what SELECT * shows, and their values. Raw fields are tshark's.
SELECT group_concat(name || ' ' || type, ', ') FROM pragma_table_info('netflow_pcap');
SELECT group_concat(name, ', ') FROM pragma_table_xinfo('netflow_pcap') WHERE hidden;
SELECT group_concat(name, ', ') FROM pragma_table_info('netflow_active');
SELECT group_concat(name, ', ') FROM pragma_table_info('netflow_top');
SELECT group_concat(name, ', ') FROM pragma_table_info('netflow_series');
SELECT group_concat(name, ', ') FROM pragma_table_info('netflow_loss');
SELECT group_concat(name, ', ') FROM pragma_table_info('netflow_scan_stats');
-- every table has at most 63 columns, so that each has its own bit in colUsed
SELECT m.name, count(*) <= 63 FROM pragma_module_list AS m, pragma_table_xinfo(m.name)
WHERE m.name LIKE 'netflow%' GROUP BY 1 ORDER BY 1;

.mode line
SELECT * FROM netflow_pcap('samples/fprobe-live-v5.pcapng') LIMIT 1;
SELECT start_ms, end_ms, proto, packets_est, bytes_est, time_flag, received_time, file, frame
FROM netflow_pcap('samples/fprobe-live-v5.pcapng') LIMIT 1;
.mode list
-- what a value is
SELECT typeof(start_time), typeof(duration_ms), typeof(srcaddr), typeof(srcport), typeof(protocol),
       typeof(bytes), typeof(exporter), typeof(start_ms), typeof(received_time), typeof(frame)
FROM netflow_pcap('samples/fprobe-live-v5.pcapng') LIMIT 1;
-- times agree with their numbers
SELECT count(*) FROM netflow_pcap('samples')
WHERE strftime('%s', start_time) * 1000 + substr(start_time, 21) <> start_ms
   OR strftime('%s', end_time) * 1000 + substr(end_time, 21) <> end_ms
   OR end_ms - start_ms <> duration_ms OR start_time > end_time;
-- protocols and addresses agree with theirs
SELECT count(*) FROM netflow_pcap('samples')
WHERE protocol <> protocol_name(proto) OR ip4_text(ip4_num(srcaddr)) <> srcaddr;
SELECT proto, protocol, count(*) FROM netflow_pcap('samples') GROUP BY 1, 2 ORDER BY 1;
-- sampling
SELECT DISTINCT sampling_mode, sampling_interval FROM netflow_pcap('samples/softflowd-v5-sampled-s10.pcap');
SELECT count(*) FROM netflow_pcap('samples')
WHERE bytes_est <> bytes * max(sampling_interval, 1) OR packets_est <> packets * max(sampling_interval, 1);
-- flow_sequence counts the records of the header's sequence on
SELECT count(*), min(flow_sequence), max(flow_sequence), count(DISTINCT flow_sequence)
FROM netflow_pcap('samples/softflowd-v5-ndpi-adj.pcap');
-- the argument is a column too
SELECT DISTINCT source FROM netflow_pcap('samples/fprobe-live-v5.pcapng');
-- min and max with other columns of the same row (texts outlive the row)
SELECT srcaddr, dstaddr, max(bytes) FROM netflow_pcap('samples/softflowd-v5-ndpi-adj.pcap');
SELECT min(srcaddr), max(srcaddr), min(protocol), max(protocol) FROM netflow_pcap('samples/softflowd-v5-ndpi-adj.pcap');
