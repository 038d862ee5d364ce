-- netflow_audit and netflow_loss: decoded + rejected = seen, always.
SELECT file, reason, decoded, rejected, seen, frames, records, first_frame, meaning FROM netflow_audit('samples');
SELECT reason, decoded, rejected, seen, frames, records FROM netflow_audit('tests/data/softflowd-v5-ipfrag-mtu576.pcap');
SELECT reason, decoded, rejected, seen, records, meaning FROM netflow_audit('tests/data/softflowd-v5-snap128.pcap');
SELECT reason, decoded, rejected, seen, records, meaning FROM netflow_audit('tests/data/neg-softflowd-v9.pcap');
SELECT count(*) FROM netflow_audit('samples' || char(10) || 'tests/data') WHERE decoded + rejected <> seen;
SELECT sum(records) = (SELECT count(*) FROM netflow_pcap('samples')) FROM netflow_audit('samples');
-- a capture without a record is an empty table, not an error
SELECT count(*), sum(bytes) FROM netflow_pcap('tests/data/neg-softflowd-v9.pcap');
SELECT count(*) FROM netflow_active('tests/data/neg-softflowd-v9.pcap');
SELECT datagrams, rejected, rows_read FROM netflow_scan_stats();
-- one exporter's sequence is whole in each capture alone
SELECT count(*) FROM netflow_loss('samples/softflowd-v5-ndpi-adj.pcap');
SELECT count(*) FROM netflow_loss('samples/fprobe-live-v5.pcapng');
-- read after it, another one's is a break
SELECT file, frame, time, exporter, engine_type, engine_id, expected, got, flows_lost, kind
FROM netflow_loss('samples/fprobe-live-v5.pcapng' || char(10) || 'samples/softflowd-v5-ndpi-adj.pcap');
