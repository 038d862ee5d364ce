-- Demonstrates a query from Lua: open a connection, bind a value, print the
-- result as an aligned table.
--
--   earlgrey-lua samples/busiest_ports.lua [SOURCE]

local earlgrey = require "earlgrey"

local folder = arg[0]:match("^(.*)/[^/]*$") or "."
local source = arg[1] or folder

local conn <close> = assert(earlgrey.open())
print(assert(conn:query([[
  SELECT protocol, dstport, count(*) AS flows, sum(packets) AS packets, sum(bytes) AS bytes
  FROM netflow_pcap(?)
  WHERE protocol IN ('TCP', 'UDP')
  GROUP BY protocol, dstport
  ORDER BY bytes DESC, protocol, dstport
  LIMIT 5]], source)))
