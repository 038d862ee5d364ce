-- A line on the terminal while a statement runs: what is done, how long it has
-- taken, how much was read. Nothing where standard error is no terminal.
--
--   local line <close> = progress.show(conn, "reading")
--
-- The line goes away when it is closed. It appears only after half a second.

local earlgrey = require "earlgrey"

local M = {}

local EVERY_MS <const> = 100
local AFTER_MS <const> = 500

-- Bytes this process has read so far, nil where the system does not tell.
local function bytes_read()
  local file <close> = io.open("/proc/self/io")
  local text = file and file:read("a")
  return text and math.tointeger(text:match("rchar: (%d+)"))
end

local function size_text(bytes)
  local units = { "B", "kB", "MB", "GB", "TB" }
  local value, i = bytes, 1
  while value >= 1000 and i < #units do
    value = value / 1000
    i = i + 1
  end
  return (i == 1 and "%d %s" or "%.1f %s"):format(value, units[i])
end

function M.show(conn, what)
  local line = setmetatable({}, {
    __close = function(self)
      self:close()
    end,
  })
  local is_shown = false

  function line:close()
    if conn then
      conn:progress(nil)
      conn = nil
      if is_shown then
        io.stderr:write("\r\27[K")
      end
    end
  end

  if not earlgrey.is_terminal("stderr") then
    conn = nil
    return line
  end
  local started_ms, bytes_before = earlgrey.now_ms(), bytes_read()
  conn:progress(function()
    local elapsed_ms = earlgrey.now_ms() - started_ms
    if elapsed_ms < AFTER_MS then
      return
    end
    local text = ("%s: %.1f s"):format(what, elapsed_ms / 1000)
    local bytes = bytes_before and bytes_read()
    if bytes then
      text = text .. ", " .. size_text(bytes - bytes_before) .. " read"
    end
    io.stderr:write("\r\27[K", text)
    is_shown = true
  end, EVERY_MS)
  return line
end

return M
