-- The test of the contract at the head of lua/earlgrey/store.lua, for every backend:
--
--   suite.run(open)   open() gives a new connection to one and the same empty store

local json = require "json"
local store = require "earlgrey.store"
local tap = require "tests.lua.tap"

local M = {}

local NOBODY <const> = "0123456789abcdef01234567"

local function flow(position, bytes)
  return {
    _id = position, srcAddress = "10.0.0.1", dstAddress = "10.0.0.2", srcPort = 53, dstPort = 65535,
    protocol = "UDP", time = "2007-07-26-22:15:38", duration = 120, bytes = bytes or position, packets = 1,
  }
end

local function flows(first, last)
  local list = {}
  for i = first, last do
    list[#list + 1] = flow(i)
  end
  return list
end

local function new(s, kind)
  return assert(s:create_job { type = kind or "FlowQuery", name = "a test" })
end

local function same(got, expected, what)
  tap.equal(json.encode(got), json.encode(expected), what)
end

local function jobs_cases(open)
  tap.case("a new job is Created, and found by its id", function()
    local s <close> = open()
    local params = { src_addr = "10.0.0.1", dst_port = 53, deep = 2 ^ 53 // 1 | 0, flag = true, list = json.array { "a", "ö" } }
    local id = assert(s:create_job { type = "FlowQuery", name = "caf\u{e9} $where {}", params = params })
    tap.ok(store.is_id(id), id)
    local d = assert(s:job(id))
    tap.equal(d._id, id)
    tap.equal(d.status, "Created")
    tap.equal(d.type, "FlowQuery")
    tap.equal(d.name, "caf\u{e9} $where {}")
    tap.equal(d.progress, 0)
    tap.matches(d.createdTime, "^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%d%.%d%d%dZ$")
    tap.equal(d.startedTime, nil)
    tap.equal(d.statusDetail, nil)
    same(d.params, params)
    tap.equal(s:delete_job(id), true)
  end)

  tap.case("what is no job is nil alone, whatever the id", function()
    local s <close> = open()
    for _, id in ipairs { NOBODY, "", "x", NOBODY .. "0", "0123456789ABCDEF01234567", "' OR 1=1 --", "{\"$ne\":0}" } do
      local document, message = s:job(id)
      tap.equal(document, nil, id)
      tap.equal(message, nil, id)
      tap.equal(s:update_job(id, { progress = 1 }), false, id)
      tap.equal(s:delete_job(id), false, id)
      same(s:results(id), {}, id)
      tap.equal(s:count_results(id), 0, id)
      tap.equal(s:drop_results(id), 0, id)
    end
    tap.equal(s:job(nil), nil)
  end)

  tap.case("jobs are listed oldest first, by status and type, in pages", function()
    local s <close> = open()
    local ids = {}
    for i = 1, 7 do
      ids[i] = new(s, i % 2 == 0 and "ActiveFlow" or "FlowQuery")
    end
    for i = 1, 3 do
      assert(s:update_job(ids[i], { status = i == 3 and "End" or "Started" }))
    end
    local function listed(options)
      local numbers = {}
      for k, d in ipairs(assert(s:jobs(options))) do
        for i = 1, 7 do
          numbers[k] = d._id == ids[i] and i or numbers[k]
        end
      end
      return table.concat(numbers, " ")
    end
    tap.equal(listed(), "1 2 3 4 5 6 7")
    tap.equal(listed { offset = 2, limit = 3 }, "3 4 5")
    tap.equal(listed { offset = 7 }, "")
    tap.equal(listed { limit = 0 }, "")
    tap.equal(listed { status = "Started" }, "1 2")
    tap.equal(listed { status = { "Started", "End" } }, "1 2 3")
    tap.equal(listed { type = "ActiveFlow" }, "2 4 6")
    tap.equal(listed { type = "ActiveFlow", status = "Created", limit = 1 }, "4")
    same(s:count_jobs(), { Created = 4, Started = 2, End = 1, Failed = 0, Canceled = 0 })
    for i = 1, 7 do
      tap.equal(s:delete_job(ids[i]), true)
    end
    same(s:count_jobs(), { Created = 0, Started = 0, End = 0, Failed = 0, Canceled = 0 })
  end)

  tap.case("an update sets its fields alone; null takes one away", function()
    local s <close> = open()
    local id = new(s)
    tap.equal(s:update_job(id, { status = "Started", progress = 40, statusDetail = "it's at 40 %", pid = 4711,
      pidStart = 1 << 40, queued = 7, startedTime = "2026-01-02T03:04:05.678Z" }), true)
    local d = s:job(id)
    tap.equal(d.progress, 40)
    tap.equal(d.statusDetail, "it's at 40 %")
    tap.equal(d.pid, 4711)
    tap.equal(d.pidStart, 1 << 40)
    tap.equal(d.startedTime, "2026-01-02T03:04:05.678Z")
    tap.equal(s:update_job(id, { statusDetail = json.null, pid = json.null, progress = 41 }), true)
    d = s:job(id)
    tap.equal(d.statusDetail, nil)
    tap.equal(d.pid, nil)
    tap.equal(d.progress, 41)
    tap.equal(d.queued, 7)
    tap.equal(d.name, "a test")
    tap.equal(s:delete_job(id), true)
  end)

  tap.case("an update with a status is made only in that status", function()
    local s <close> = open()
    local id = new(s)
    tap.equal(s:update_job(id, { status = "End" }, "Started"), false)
    tap.equal(s:job(id).status, "Created")
    tap.equal(s:update_job(id, { status = "Started" }, { "Created", "Failed" }), true)
    tap.equal(s:update_job(id, { status = "Started" }, { "Created", "Failed" }), false)
    tap.equal(s:update_job(id, {}, "Started"), true)
    tap.equal(s:delete_job(id, { "Created", "End" }), false)
    tap.equal(s:delete_job(id, "Started"), true)
    tap.equal(s:job(id), nil)
  end)

  tap.case("misuse raises", function()
    local s <close> = open()
    local id = new(s)
    tap.raises("no field 'nonsense'", s.update_job, s, id, { nonsense = 1 })
    tap.raises("no field '_id'", s.update_job, s, id, { _id = NOBODY })
    tap.raises("'Ended' is no status", s.update_job, s, id, { status = "Ended" })
    tap.raises("'Ended' is no status", s.update_job, s, id, { progress = 1 }, "Ended")
    tap.raises("needs the text 'name'", s.create_job, s, { type = "FlowQuery" })
    tap.equal(s:delete_job(id), true)
    s:close()
    s:close()
    tap.raises("closed store", s.job, s, id)
    tap.raises("closed store", s.results, s, id)
  end)
end

local function results_cases(open)
  tap.case("results come back as they were, in their order, in pages", function()
    local s <close> = open()
    local id = new(s)
    tap.equal(s:add_results(id, flows(1, 1500)), 1500)
    tap.equal(s:add_results(id, flows(1501, 2000)), 500)
    tap.equal(s:count_results(id), 2000)
    same(s:results(id, 0, 1)[1], flow(1))
    local page = s:results(id, 1498, 4)
    tap.equal(#page, 4)
    for i, d in ipairs(page) do
      same(d, flow(1498 + i))
    end
    tap.equal(#s:results(id), 100)
    tap.equal(#s:results(id, 1999, 10), 1)
    same(s:results(id, 2000, 10), {})
    same(s:results(id, 0, 0), {})
    tap.equal(s:add_results(id, {}), 0)
    tap.equal(s:delete_job(id), true)
  end)

  tap.case("what is there already counts as written, once", function()
    local s <close> = open()
    local id = new(s)
    tap.equal(s:add_results(id, flows(1, 60)), 60)
    tap.equal(s:add_results(id, flows(41, 100)), 60)
    tap.equal(s:add_results(id, flows(1, 100)), 100)
    tap.equal(s:count_results(id), 100)
    for i, d in ipairs(s:results(id, 0, 200)) do
      tap.equal(d._id, i)
    end
    tap.equal(s:add_results(id, { flow(7, 999) }), 1)
    tap.equal(s:results(id, 6, 1)[1].bytes, 7)
    tap.equal(s:delete_job(id), true)
  end)

  tap.case("fields that a job of its type does not give stay away; large numbers stay whole", function()
    local s <close> = open()
    local id = new(s, "ActiveFlow")
    local pair = { _id = 1, srcAddress = "10.0.0.1", dstAddress = "10.0.0.9", bytes = 1 << 62, packets = 1 << 33, flows = 3 }
    tap.equal(s:add_results(id, { pair }), 1)
    local d = s:results(id)[1]
    same(d, pair)
    tap.equal(math.type(d.bytes), "integer")
    tap.equal(s:delete_job(id), true)
  end)

  tap.case("results are of one job: dropping and deleting leaves others alone", function()
    local s <close> = open()
    local one, other = new(s), new(s, "ActiveFlow")
    assert(s:add_results(one, flows(1, 10)))
    assert(s:add_results(other, { { _id = 1, srcAddress = "1.1.1.1", dstAddress = "2.2.2.2", bytes = 1, packets = 1, flows = 1 } }))
    tap.equal(s:drop_results(one), 10)
    tap.equal(s:drop_results(one), 0)
    tap.equal(s:count_results(one), 0)
    tap.equal(s:count_results(other), 1)
    tap.equal(s:job(one)._id, one)
    assert(s:add_results(one, flows(1, 3)))
    tap.equal(s:delete_job(one), true)
    tap.equal(s:count_results(one), 0)
    tap.equal(s:count_results(other), 1)
    tap.equal(s:delete_job(other), true)
  end)

  tap.case("results of a job that is gone are refused", function()
    local s <close> = open()
    local id = new(s)
    tap.equal(s:delete_job(id), true)
    tap.fails("no job", store.NO_JOB, s:add_results(id, flows(1, 3)))
    tap.fails("no job", store.NO_JOB, s:add_results("../x", flows(1, 3)))
    tap.equal(s:count_results(id), 0)
  end)
end

local function two_cases(open)
  tap.case("two connections see one store, and one of two takes a job", function()
    local a <close> = open()
    local b <close> = open()
    local id = new(a)
    tap.equal(b:job(id).status, "Created")
    tap.equal(a:update_job(id, { status = "Started", statusDetail = "a" }, "Created"), true)
    tap.equal(b:update_job(id, { status = "Started", statusDetail = "b" }, "Created"), false)
    tap.equal(b:job(id).statusDetail, "a")
    assert(a:add_results(id, flows(1, 5)))
    tap.equal(b:count_results(id), 5)
    tap.equal(b:delete_job(id), true)
    tap.equal(a:job(id), nil)
  end)
end

function M.run(open)
  jobs_cases(open)
  results_cases(open)
  two_cases(open)
end

return M
