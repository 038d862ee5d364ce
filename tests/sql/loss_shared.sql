-- Losses and damage in captures that are not part of the project.
-- needs: ../shared/captures
SELECT frame, expected, got, flows_lost, kind FROM netflow_loss('../shared/captures/derived/ndpi-lost4datagrams.pcap');
SELECT sum(flows_lost) FROM netflow_loss('../shared/captures/derived/ndpi-lost4datagrams.pcap');
SELECT flows_lost FROM netflow_scan_stats();
SELECT count(*) FROM netflow_pcap('../shared/captures/derived/ndpi-lost4datagrams.pcap');
SELECT flows_lost, rejected FROM netflow_scan_stats();
SELECT kind, count(*), sum(flows_lost) FROM netflow_loss('../shared/captures/derived/ndpi-dup-30.pcap') GROUP BY 1;
SELECT count(*), sum(packets), sum(bytes) FROM netflow_pcap('../shared/captures/derived/malformed-v5-variants.pcap');
SELECT sum(decoded), sum(rejected), sum(seen) FROM netflow_audit('../shared/captures/derived/malformed-v5-variants.pcap');
SELECT count(*), sum(packets), sum(bytes) FROM netflow_pcap('../shared/captures/derived/netgraph-cut-midpacket.pcap');
SELECT reason, decoded, rejected, seen FROM netflow_audit('../shared/captures/derived/netgraph-cut-midpacket.pcap');
SELECT count(*) FROM netflow_audit('../shared/captures/derived') WHERE decoded + rejected <> seen;
