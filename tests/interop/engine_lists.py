"""The columns and grouped queries on which engines are compared."""

NUMBERS = (
    "duration_ms srcport dstport packets bytes tcp_flags tos input output src_as dst_as src_mask dst_mask engine_type"
    " engine_id sampling_mode sampling_interval flow_sequence"
).split()
TIMES = ("start_time", "end_time")
TEXTS = ("srcaddr", "dstaddr", "protocol", "nexthop", "exporter")
GROUPS = (
    ("protocol",), ("srcaddr",), ("dstaddr",), ("srcport",), ("dstport",), ("srcaddr", "dstaddr"), ("src_as", "dst_as"),
    ("tcp_flags", "tos"), ("exporter", "engine_id"), ("protocol", "dstport", "input"),
)
