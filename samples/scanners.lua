-- Demonstrates rows one by one: addresses that sent a TCP SYN without ever an ACK
-- to many others, which is what a port scan looks like.
--
--   earlgrey-lua samples/scanners.lua [SOURCE [MIN_TARGETS]]

local earlgrey = require "earlgrey"

local folder = arg[0]:match("^(.*)/[^/]*$") or "."
local source, min_targets = arg[1] or folder, tonumber(arg[2] or 5)

local SYN <const>, ACK <const> = 0x02, 0x10

local conn <close> = assert(earlgrey.open())
local targets = {} -- address -> set of "address:port"
for row in assert(conn:rows("SELECT srcaddr, dstaddr, dstport, tcp_flags FROM netflow_pcap(?) WHERE protocol = 'TCP'",
  source)) do
  if row.tcp_flags & SYN ~= 0 and row.tcp_flags & ACK == 0 then
    targets[row.srcaddr] = targets[row.srcaddr] or { n = 0 }
    local set, target = targets[row.srcaddr], row.dstaddr .. ":" .. row.dstport
    if not set[target] then
      set[target] = true
      set.n = set.n + 1
    end
  end
end

local scanners = {}
for address, set in pairs(targets) do
  if set.n >= min_targets then
    scanners[#scanners + 1] = { address, set.n }
  end
end
table.sort(scanners, function(a, b)
  return a[2] > b[2] or a[2] == b[2] and a[1] < b[1]
end)
for _, scanner in ipairs(scanners) do
  print(("%s tried %d targets"):format(scanner[1], scanner[2]))
end
