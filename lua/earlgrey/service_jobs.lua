-- The jobs of a server: their queue, their processes, how they end.
--
-- What a job is stands in the store and nowhere else; here is kept which jobs wait and which
-- processes are watched, and recover() makes that anew from the store.
--
--   Created   to be started
--   Started   without startedTime it waits for a free place, in the order of `queued`;
--             with it a process runs it, or is about to
--   End       its runner says so (jobrun.lua)
--   Failed    said here: its process is gone, and it was still Started
--   Canceled  said at once; its process and what it has written go afterwards. `pid` stays
--             until they are gone, so that a server which starts meanwhile sees to it.
--
-- A runner outlives its server. It holds a lock on its log as long as it lives, which is how
-- the next server knows it.

local earlgrey = require "earlgrey"
local files = require "files"
local json = require "earlgrey.json"
local process = require "process"
local store = require "earlgrey.store"

local M = {}

local KILL_AFTER_MS <const> = 5000
-- Between two looks at processes that are not our children, and at a store that was away.
local LOOK_MS <const> = 500

local TAIL_LINES <const> = 8
local TAIL_BYTES <const> = 2000

local RUNNER <const> = "require('earlgrey.jobrun').main('%s')"

local methods = {}

-- ---- logs ----

function methods:log_path(id)
  return self.logs .. "/" .. id .. ".log"
end

-- The end of a job's log: at most n_bytes, from the beginning of a line.
function methods:log_text(id, n_bytes)
  local file <close> = io.open(self:log_path(id), "rb")
  if not file then
    return ""
  end
  local size = file:seek "end"
  file:seek("set", math.max(0, size - n_bytes))
  local text = file:read "a" or ""
  if size > n_bytes then
    text = text:match "\n(.*)$" or text
  end
  return text
end

local function last_lines(text)
  local lines = {}
  for line in text:gmatch "[^\n]+" do
    lines[#lines + 1] = line
  end
  return table.concat(lines, "\n", math.max(1, #lines - TAIL_LINES + 1))
end

-- ---- processes ----

local function is_alive(self, document)
  return files.is_locked(self:log_path(document._id))
    or document.pid ~= nil and process.start_of(document.pid) == document.pidStart
end

local function kill(self, id, run, signal)
  if run.child then
    run.child:kill(signal)
    return
  end
  local document = self.store:job(id)
  if document and document.pid then
    process.kill(document.pid, document.pidStart, signal)
  end
end

-- How a process ended; nil as long as it has not.
local function end_of(self, id, run)
  if run.child then
    local how, code = run.child:poll()
    return how and (how == "signal" and "its process was ended by signal %d" or "its process ended with exit code %d")
      :format(code)
  end
  local now_ms = earlgrey.now_ms()
  if now_ms < run.look_ms then
    return nil
  end
  run.look_ms = now_ms + LOOK_MS
  local document, message = self.store:job(id)
  if message or document and is_alive(self, document) then
    return nil
  end
  return "its process ended, outside of this server's sight"
end

-- ---- ends ----

local GONE <const> = { pid = json.null, pidStart = json.null }

local function fail(self, id, reason)
  local tail = last_lines(self:log_text(id, TAIL_BYTES))
  local is_changed, message = self.store:update_job(id, {
    status = "Failed", endedTime = store.now_text(), pid = json.null, pidStart = json.null,
    statusDetail = tail ~= "" and reason .. ": " .. tail or reason,
  }, "Started")
  if is_changed then
    self.log(("job %s failed: %s"):format(id, reason))
    self.store:drop_results(id)
  end
  return is_changed, message
end

-- Tells the store of a job whose process has ended; false where the store is away.
local function settle(self, id, reason, run)
  local changed, message = fail(self, id, reason)
  if changed == nil then
    self.log(("job %s: %s"):format(id, message))
    return false
  end
  local document, why = self.store:job(id)
  if why then
    return false
  elseif document and document.status == "Canceled" then
    local dropped = self.store:drop_results(id)
    if not dropped or self.store:update_job(id, GONE, "Canceled") == nil then
      return false
    end
  end
  if document then
    local labels = { "type", document.type, "status", document.status }
    self.metrics:count("earlgrey_jobs_ended_total", labels)
    self.metrics:count("earlgrey_rows_scanned_total", {}, document.rowsScanned or 0)
    if run and run.started_ms then
      self.metrics:observe("earlgrey_job_seconds", { "type", document.type },
        (earlgrey.now_ms() - run.started_ms) / 1000)
    end
  end
  return true
end

-- ---- the queue ----

local function launch(self, id)
  local claimed, message = self.store:update_job(id, {
    startedTime = store.now_text(), statusDetail = "its process starts",
  }, "Started")
  if not claimed then
    return claimed, message -- canceled or deleted meanwhile; or the store is away
  end
  local child, why = process.spawn {
    argv = { self.program, "-e", RUNNER:format(id) },
    environment = { "EARLGREY_STORE=" .. self.url, "EARLGREY_DATA=" .. self.data },
    log = self:log_path(id),
  }
  if not child then
    return fail(self, id, "no process could be started, " .. why)
  end
  self.running[id] = { child = child, started_ms = earlgrey.now_ms() }
  self.n_running = self.n_running + 1
  return true
end

local function fill_places(self)
  while self.n_running < self.places and #self.queue > 0 and earlgrey.now_ms() >= self.store_due_ms do
    local id = table.remove(self.queue, 1)
    local ok, message = launch(self, id)
    if ok == nil then
      self.log(("job %s: %s"):format(id, message))
      table.insert(self.queue, 1, id)
      self.store_due_ms = earlgrey.now_ms() + LOOK_MS
    end
  end
end

-- How many are before a waiting job; nil where it does not wait.
function methods:place_of(id)
  for i, waiting in ipairs(self.queue) do
    if waiting == id then
      return i - 1
    end
  end
  return nil
end

local function leave_queue(self, id)
  local place = self:place_of(id)
  if place then
    table.remove(self.queue, place + 1)
  end
end

-- ---- what a client asks for. true; false where the state forbids it; nil, message, code ----

function methods:start(id)
  self.last_queued = math.max(self.last_queued + 1, earlgrey.clock_ms())
  local ok, message, code = self.store:update_job(id, { status = "Started", queued = self.last_queued }, "Created")
  if ok then
    self.queue[#self.queue + 1] = id
    fill_places(self)
  end
  return ok, message, code
end

function methods:cancel(id)
  local ok, message, code = self.store:update_job(id, {
    status = "Canceled", endedTime = store.now_text(), statusDetail = "canceled",
  }, { "Created", "Started" })
  if not ok then
    return ok, message, code
  end
  leave_queue(self, id)
  local run = self.running[id]
  if run then
    run.kill_ms = earlgrey.now_ms() + KILL_AFTER_MS
    kill(self, id, run, "TERM")
  end
  return true
end

-- A job that was canceled may have a process that still writes; one that has ended may have one
-- that is about to exit, which does no harm.
function methods:delete(id)
  local from = { "Created", "End", "Failed", not self.running[id] and "Canceled" or nil }
  local ok, message, code = self.store:delete_job(id, from)
  if ok then
    os.remove(self:log_path(id))
  end
  return ok, message, code
end

-- ---- the loop ----

-- Looks after the processes; gives milliseconds until it should be called again.
function methods:tick()
  local now_ms = earlgrey.now_ms()
  local is_watching = false
  for id, run in pairs(self.running) do
    run.reason = run.reason or end_of(self, id, run)
    if run.reason and now_ms >= (run.settle_ms or 0) then
      if settle(self, id, run.reason, run) then
        self.running[id] = nil
        self.n_running = self.n_running - 1
      else
        run.settle_ms = now_ms + LOOK_MS
      end
    elseif run.kill_ms and now_ms >= run.kill_ms then
      run.kill_ms = now_ms + KILL_AFTER_MS
      kill(self, id, run, "KILL")
    end
    is_watching = is_watching or not run.child or run.reason or run.kill_ms
  end
  fill_places(self)
  return (is_watching or #self.queue > 0 and self.n_running < self.places) and LOOK_MS // 5 or 1000
end

-- ---- after a start ----

local function adopt(self, id, is_canceled)
  self.running[id] = { look_ms = 0, kill_ms = is_canceled and 0 or nil }
  self.n_running = self.n_running + 1
end

-- Finds what an earlier server left. true, or nil and a message.
function methods:recover()
  local list, message = self.store:jobs { status = { "Started", "Canceled" } }
  if not list then
    return nil, message
  end
  local waiting = {}
  for _, document in ipairs(list) do
    local id = document._id
    local alive = (document.startedTime or document.pid) and is_alive(self, document)
    if document.status == "Canceled" then
      if document.pid and alive then
        adopt(self, id, true)
      elseif document.pid then
        settle(self, id, "")
      end
    elseif alive then
      self.log(("job %s goes on: its process lives"):format(id))
      adopt(self, id)
    elseif document.queued and not document.pid then
      -- Its runner never began: the earlier server ended before it did.
      if document.startedTime then
        self.store:update_job(id, { startedTime = json.null, statusDetail = json.null }, "Started")
      end
      waiting[#waiting + 1] = document
    else
      settle(self, id, "its process ended while no server ran")
    end
  end
  table.sort(waiting, function(a, b)
    return a.queued < b.queued
  end)
  for _, document in ipairs(waiting) do
    self.queue[#self.queue + 1] = document._id
    self.last_queued = math.max(self.last_queued, document.queued)
  end
  fill_places(self)
  return true
end

-- options: store, url (as the runners open it), data, logs (a folder), places (jobs that run at
-- once), metrics, log (a function).
function M.new(options)
  local self = setmetatable({}, { __index = methods })
  for name, value in pairs(options) do
    self[name] = value
  end
  self.program = assert(process.program())
  self.running, self.n_running = {}, 0
  self.queue, self.last_queued, self.store_due_ms = {}, 0, 0
  return self
end

return M
