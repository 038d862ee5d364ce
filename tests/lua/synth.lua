-- Small captures made for a test: NetFlow v5 datagrams in UDP, IPv4, Ethernet, pcap.

local M = {}

local function address(text)
  local a, b, c, d = text:match("^(%d+)%.(%d+)%.(%d+)%.(%d+)$")
  return (tonumber(a) << 24) | (tonumber(b) << 16) | (tonumber(c) << 8) | tonumber(d)
end

-- One record; times in ms of the exporter's uptime.
local function record(r)
  return string.pack(">I4I4I4I2I2I4I4I4I4I2I2BBBBI2I2BBI2",
    address(r.src), address(r.dst), 0, 0, 0, r.packets or 1, r.bytes or 0, r.first or 0, r.last or 0,
    r.src_port or 0, r.dst_port or 0, 0, r.tcp_flags or 0, r.protocol or 6, r.tos or 0, 0, 0, 0, 0, 0)
end

-- The payload of a datagram: d.records; d.seconds (header time), d.uptime_ms,
-- d.sequence, d.version.
function M.payload(d)
  local parts = {
    string.pack(">I2I2I4I4I4I4BBI2", d.version or 5, #d.records, d.uptime_ms or 0, d.seconds or 0, 0,
      d.sequence or 0, 0, 0, 0),
  }
  for i, r in ipairs(d.records) do
    parts[i + 1] = record(r)
  end
  return table.concat(parts)
end

-- The same as a packet of a capture.
function M.packet(d)
  local payload = M.payload(d)
  local udp = string.pack(">I2I2I2I2", 50000, 2055, 8 + #payload, 0) .. payload
  local ip = string.pack(">BBI2I2I2BBI2I4I4", 0x45, 0, 20 + #udp, 0, 0, 64, 17, 0,
    address "192.0.2.1", address "192.0.2.2") .. udp
  local frame = ("\0"):rep(12) .. "\8\0" .. ip
  return string.pack("<I4I4I4I4", d.seconds or 0, 0, #frame, #frame) .. frame
end

local HEADER <const> = string.pack("<I4I2I2I4I4I4I4", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1)

-- Writes a capture of datagrams, each `times` times.
function M.write(path, datagrams, times)
  local file <close> = assert(io.open(path, "wb"))
  assert(file:write(HEADER))
  for _, d in ipairs(datagrams) do
    local packet = M.packet(d)
    for _ = 1, times or 1 do
      assert(file:write(packet))
    end
  end
end

return M
