-- The prompt: reads lines, tells Lua from SQL, shows what they give.
--
-- A text that Lua can parse is Lua; one that it cannot and that begins with an
-- SQL keyword is SQL, read on until it is complete; anything else is Lua that
-- goes on, or is wrong. SQL runs on the connection in the global `db`.
--
-- `host` is what the program lends: is_interactive, read, remember, protect,
-- write, flush, complain (see main.c). Nothing here prints by itself.

local aligned = require "earlgrey.table"
local earlgrey = require "earlgrey"

local M = {}

-- Rows that are looked at for the widths of a table before it is shown.
local LOOKAHEAD <const> = 2000

local KEYWORDS = {}
for word in ([[ALTER ANALYZE ATTACH BEGIN COMMIT CREATE DELETE DETACH DROP EXPLAIN INSERT PRAGMA
  REINDEX RELEASE REPLACE ROLLBACK SAVEPOINT SELECT UPDATE VACUUM VALUES WITH]]):gmatch "%u+" do
  KEYWORDS[word] = true
end

local HELP <const> = [[
Type Lua or SQL. SQL ends with ';', runs on the connection in `db` and prints a table; a Lua
expression prints its value.

  SELECT srcaddr, sum(bytes) FROM netflow_pcap('samples') GROUP BY 1 ORDER BY 2 DESC LIMIT 5;
  r = db:query("SELECT * FROM netflow_active('samples')")
  r:csv()

  .help            this
  .tables          tables, views and table-valued functions
  .timer on|off    show how long each input took
  .quit            leave (also Ctrl-D)

Tab completes names, the arrow keys recall earlier lines, Ctrl-C stops what runs.
]]

-- ---- telling Lua from SQL ----

local function is_incomplete(message)
  return message:sub(-5) == "<eof>"
end

-- Compiles as an expression whose values are shown, else as statements.
local function compile(text)
  local chunk = load("return " .. text, "=prompt", "t")
  if chunk then
    return chunk
  end
  return load(text, "=prompt", "t")
end

-- What a text is: "lua" and its chunk; "sql" when it is complete SQL; "more"
-- when it goes on; "wrong" and why.
function M.classify(text)
  local word, after = text:match("^%s*(%a+)%s*(.?)")
  local is_keyword = word and KEYWORDS[word:upper()]
  local chunk, message = compile(text)
  -- A lone keyword (BEGIN) parses as a variable, VALUES (1) and SELECT 'x'
  -- as a call of one.
  local is_unset = is_keyword and rawget(_G, word) == nil
    and (after:find("[('\"]") or text:find("^%s*%a+[%s;]*$"))
  if chunk and not is_unset then
    return "lua", chunk
  end
  if is_keyword then
    local is_lua = not chunk and is_incomplete(message)
      and (after:find("[=.:%[,{]") or rawget(_G, word) ~= nil and after == "(")
    if is_lua then
      return "more"
    end
    return earlgrey.complete(text) and "sql" or "more"
  end
  if is_incomplete(message) then
    return "more"
  end
  return "wrong", message
end

-- ---- completion ----

local function add_matching(words, seen, prefix, name, shown, any_case)
  local head = name:sub(1, #prefix)
  if (head == prefix or any_case and head:lower() == prefix:lower()) and not seen[shown] then
    seen[shown] = true
    words[#words + 1] = shown
  end
end

-- Names in the first column of a query, none where it fails.
local function names(db, sql, ...)
  local list = {}
  local result = db:query(sql, ...)
  for i, row in ipairs(result and result.rows or {}) do
    list[i] = row[1]
  end
  return list
end

local TABLES <const> = [[
  SELECT name FROM pragma_table_list WHERE name NOT LIKE 'sqlite_%'
  UNION SELECT name FROM pragma_module_list WHERE name LIKE 'netflow%' ORDER BY 1]]

local function complete_sql(db, word, before)
  local words, seen = {}, {}
  local qualifier, prefix = word:match("^(.*%.)([^.]*)$")
  qualifier, prefix = qualifier or "", prefix or word
  if qualifier == "" then
    for keyword in ([[SELECT FROM WHERE GROUP ORDER LIMIT OFFSET HAVING DISTINCT BETWEEN LIKE JOIN
        USING VIRTUAL TABLE VALUES EXPLAIN CREATE INSERT UPDATE DELETE]]):gmatch "%u+" do
      add_matching(words, seen, prefix, keyword, keyword, true)
    end
  end
  local used = before:lower()
  for _, name in ipairs(names(db, TABLES)) do
    if qualifier == "" then
      add_matching(words, seen, prefix, name, name, true)
    end
    if qualifier ~= "" or prefix ~= "" or used:find(name:lower(), 1, true) then
      for _, column in ipairs(names(db, "SELECT name FROM pragma_table_xinfo(?)", name)) do
        add_matching(words, seen, prefix, column, qualifier .. column, true)
      end
    end
  end
  if qualifier == "" and prefix ~= "" then
    for _, name in ipairs(names(db, "SELECT DISTINCT name FROM pragma_function_list")) do
      if name:find("^%a") then
        add_matching(words, seen, prefix, name, name .. "(", true)
      end
    end
  end
  table.sort(words)
  return words
end

-- The table that holds the fields of a value, without running any of its code.
local function fields_of(value)
  if type(value) == "table" then
    return value
  end
  local meta = debug.getmetatable(value)
  local index = type(meta) == "table" and rawget(meta, "__index")
  return type(index) == "table" and index or nil
end

local function complete_lua(word)
  local words, seen = {}, {}
  local path, prefix = word:match("^(.*[.:])([^.:]*)$")
  path, prefix = path or "", prefix or word
  local value = _G
  for name in path:gmatch("[^.:]+") do
    local fields = fields_of(value)
    value = fields and rawget(fields, name)
    if value == nil then
      return words
    end
  end
  for depth = 1, 8 do
    local fields = fields_of(value)
    if not fields then
      break
    end
    for name in next, fields do
      if type(name) == "string" and name:find("^[%a_][%w_]*$") then
        add_matching(words, seen, prefix, name, path .. name, false)
      end
    end
    local meta = type(value) == "table" and debug.getmetatable(value)
    value = type(meta) == "table" and rawget(meta, "__index") or nil
  end
  table.sort(words)
  return words
end

-- Words to offer for `word`, which stands after `before` (the lines so far).
function M.complete(db, word, before)
  local first = before:match("^%s*(%a+)[%s(*'\"]")
  if first and KEYWORDS[first:upper()] and db then
    return complete_sql(db, word, before)
  end
  if before:find("^%s*$") and word:sub(1, 1) == "." then
    local words = {}
    for _, command in ipairs { ".help", ".quit", ".tables", ".timer" } do
      add_matching(words, {}, word, command, command)
    end
    return words
  end
  local words = complete_lua(word)
  if before:find("^%s*$") and word ~= "" then
    local seen = {}
    for keyword in pairs(KEYWORDS) do
      add_matching(words, seen, word:upper(), keyword, word:find("%l") and keyword:lower() or keyword)
    end
    table.sort(words)
  end
  return words
end

-- ---- running ----

local Shell = {}
Shell.__index = Shell

-- The connection of the prompt: whatever `db` holds now.
function Shell:connection()
  local db = rawget(_G, "db")
  if db == nil then
    error("there is no connection: db = earlgrey.open()", 0)
  end
  return db
end

function Shell:show(columns, stmt)
  local writer = aligned.writer(columns, self.host.write, LOOKAHEAD)
  while true do
    local values, message = stmt:values()
    if not values then
      if message then
        return message
      end
      break
    end
    writer:row(values)
  end
  writer:finish()
end

-- Runs statement after statement; raises at the first that fails.
function Shell:run_sql(text)
  local db = self:connection()
  while text ~= "" do
    local stmt <close>, tail = db:prepare(text)
    if not stmt then
      error(tail, 0)
    end
    local columns = stmt:columns()
    local message
    if #columns > 0 then
      message = self:show(columns, stmt)
    else
      message = select(2, stmt:values())
    end
    if message then
      error(message, 0)
    end
    text = tail
  end
end

function Shell:run_lua(chunk)
  local values = table.pack(chunk())
  if values.n > 0 then
    local texts = {}
    for i = 1, values.n do
      texts[i] = tostring(values[i])
    end
    local text = table.concat(texts, "\t")
    self.host.write(text:sub(-1) == "\n" and text or text .. "\n")
  end
end

-- A message without the part of its traceback that lies in the prompt itself.
local function trim(message)
  local head, trace = message:match("^(.-)\nstack traceback:\n(.*)$")
  if not head then
    return message
  end
  local lines, says_more = {}, false
  for line in trace:gmatch("[^\n]+") do
    if line:find("^\tearlgrey/shell.lua:") then
      break
    elseif not line:find("^\tprompt:%d+: in %a+ 'chunk'") then
      lines[#lines + 1] = line
      says_more = says_more or not line:find("^\t%[C%]")
    end
  end
  return says_more and head .. "\nstack traceback:\n" .. table.concat(lines, "\n") or head
end

-- Ctrl-C ends the input at hand where somebody types, else everything.
function Shell:interrupted()
  if self.is_interactive then
    self.host.complain("interrupted")
  else
    self.is_done, self.is_interrupted = true, true
  end
end

-- Runs f under protection; tells what went wrong.
function Shell:protect(f, ...)
  local started_ms = earlgrey.now_ms()
  local ok, message = self.host.protect(f, ...)
  if not ok then
    self.n_failed = self.n_failed + 1
    if message then
      self.host.complain(trim(message))
    else
      self:interrupted()
    end
  end
  if self.has_timer then
    self.host.write(("time %.3f s\n"):format((earlgrey.now_ms() - started_ms) / 1000))
  end
  self.host.flush()
end

function Shell:command(line)
  local name, argument = line:match("^%s*%.(%a*)%s*(.-)%s*$")
  if name == "help" then
    self.host.write(HELP)
  elseif name == "quit" or name == "exit" then
    self.is_done = true
  elseif name == "tables" then
    self:protect(function()
      for _, table_name in ipairs(names(self:connection(), TABLES)) do
        self.host.write(table_name .. "\n")
      end
    end)
  elseif name == "timer" and (argument == "on" or argument == "off") then
    self.has_timer = argument == "on"
  else
    self.n_failed = self.n_failed + 1
    self.host.complain(("unknown command '%s'; .help lists them"):format(line:match("^%s*(.-)%s*$")))
  end
end

-- Runs a complete text; what classify said of it.
function Shell:run_text(text, kind, chunk)
  if kind == "lua" then
    self:protect(self.run_lua, self, chunk)
  elseif kind == "sql" then
    self:protect(self.run_sql, self, text)
  elseif kind == "wrong" then
    self.n_failed = self.n_failed + 1
    self.host.complain(chunk)
  end
end

function Shell:remember(text)
  if not text:find("\n") then
    self.host.remember(text)
  elseif text:find("--", 1, true) then -- a comment would swallow the rest of a joined line
    for line in text:gmatch("[^\n]+") do
      self.host.remember(line)
    end
  else
    self.host.remember((text:gsub("%s*\n%s*", " ")))
  end
end

-- Reads and runs one input of one or more lines.
function Shell:step()
  local text
  while true do
    local prompt = self.is_interactive and (text and "      ...> " or "earlgrey> ") or ""
    local line, interrupted = self.host.read(prompt, function(word, before)
      return M.complete(rawget(_G, "db"), word, (text and text .. "\n" or "") .. before)
    end)
    if interrupted then
      if self.is_interactive then
        self.host.write("\n")
      else
        self:interrupted()
      end
      return
    elseif not line then
      self.is_done = true
      if self.is_interactive then
        self.host.write("\n")
      elseif text then -- the end of a file ends its last statement
        local word = text:match("^%s*(%a+)")
        local is_sql = word and KEYWORDS[word:upper()]
        self:run_text(text, is_sql and "sql" or "wrong", select(2, compile(text)))
      end
      return
    end
    if not text and line:find("^%s*%.%a") then
      self.host.remember(line)
      return self:command(line)
    elseif not text and line:find("^%s*%-%-") or not text and not line:find("%S") then
      return
    end
    text = text and text .. "\n" .. line or line
    local kind, chunk = M.classify(text)
    if kind ~= "more" then
      self:remember(text)
      return self:run_text(text, kind, chunk)
    end
  end
end

-- The loop. Gives the exit code, 1 where input that nobody typed had a mistake, and
-- whether Ctrl-C ended it.
function M.run(host)
  local self = setmetatable({ host = host, n_failed = 0 }, Shell)
  self.is_interactive = host.is_interactive()
  if rawget(_G, "db") == nil then
    _G.db = assert(earlgrey.open())
  end
  if self.is_interactive then
    host.write(("Earlgrey %s, %s, SQLite %s. Lua or SQL; .help tells more.\n"):format(
      earlgrey.version, _VERSION, earlgrey.sqlite_version))
  end
  while not self.is_done do
    self:step()
  end
  return not self.is_interactive and self.n_failed > 0 and 1 or 0, self.is_interrupted
end

return M
