-- A line on the terminal while a statement runs: how much of its input is read, how
-- fast, how long it will take. Nothing where standard error is no terminal.
--
--   local line <close> = progress.show(conn, "reading")
--
-- The line goes away when it is closed. It appears only after half a second.

local earlgrey = require "earlgrey"

local M = {}

local EVERY_MS <const> = 100
local AFTER_MS <const> = 500

local BAR_CELLS <const> = 20

local function size_text(bytes)
  local units = { "B", "kB", "MB", "GB", "TB" }
  local value, i = bytes, 1
  while value >= 1000 and i < #units do
    value = value / 1000
    i = i + 1
  end
  return (i == 1 and "%d %s" or "%.1f %s"):format(value, units[i])
end

-- The line after elapsed_ms, with done of total bytes (total 0: not known) and rows read.
function M.text(what, elapsed_ms, done, total, rows)
  local seconds = elapsed_ms / 1000
  if total <= 0 then
    return ("%s: %.1f s"):format(what, seconds)
  end
  local cells = done * BAR_CELLS // total
  local text = ("%s: [%s%s] %d %%, %s of %s, %s/s"):format(what, ("#"):rep(cells), (" "):rep(BAR_CELLS - cells),
    done * 100 // total, size_text(done), size_text(total), size_text(math.floor(done / seconds)))
  if rows > 0 then
    text = text .. (", %.2f M flows/s"):format(rows / seconds / 1e6)
  end
  if done > 0 and done < total then
    text = text .. (", %d s left"):format(math.ceil(seconds * (total - done) / done))
  end
  return text
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
  local started_ms = earlgrey.now_ms()
  conn:progress(function(done, total, rows)
    local elapsed_ms = earlgrey.now_ms() - started_ms
    if elapsed_ms < AFTER_MS then
      return
    end
    io.stderr:write("\r\27[K", M.text(what, elapsed_ms, done, total, rows))
    is_shown = true
  end, EVERY_MS)
  return line
end

return M
