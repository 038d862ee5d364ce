-- Elasticsearch's _search: queries, windows, order, the shape of answers, what is refused.

local earlgrey = require "earlgrey"
local json = require "earlgrey.json"
local search = require "earlgrey.search"
local tap = require "tests.lua.tap"

local folder <close> = tap.folder()
local STORE <const> = folder.path .. "/flows.db"

local conn, store -- open while a case runs
local flows

do
  local memory <close> = assert(earlgrey.open())
  assert(memory:query("SELECT * FROM netflow_ingest('samples', ?)", STORE))
  flows = assert(memory:query("SELECT srcaddr, dstaddr, srcport, dstport, protocol, proto, start_ms, bytes, tcp_flags "
    .. "FROM netflow('samples')"))
end

local function case(claim, f)
  tap.case(claim, function()
    local memory <close> = assert(earlgrey.open())
    local file <close> = assert(earlgrey.open(STORE, { readonly = true }))
    conn, store = memory, file
    f()
  end)
end

local function ask(body, options, from, over)
  local status, text = search.answer(over or store, from or search.store(), "flows", body, options)
  return status, json.decode(text), text
end

local function total(query, from, over)
  local status, answer = ask({ query = query, size = 0 }, nil, from, over)
  tap.equal(status, 200, json.encode(answer))
  return answer.hits.total.value
end

local function count(passes)
  local n = 0
  for _, flow in ipairs(flows) do
    n = n + (passes(flow) and 1 or 0)
  end
  return n
end

-- Addresses as numbers, of which there are fewer than flows.
local numbers = setmetatable({}, {
  __index = function(t, address)
    local n = 0
    for part in address:gmatch "%d+" do
      n = n << 8 | math.tointeger(part)
    end
    t[address] = n
    return n
  end,
})

-- ---- queries against an oracle ----

-- Random leaves: a query, and the same as a function of a flow.
local function leaf()
  local flow = flows[math.random(#flows)]
  local kind = math.random(9)
  if kind == 1 then
    return { term = { srcAddress = flow.srcaddr } }, function(f) return f.srcaddr == flow.srcaddr end
  elseif kind == 2 then
    local bits = math.random(8, 31)
    local shift = 32 - bits
    return { term = { dstAddress = { value = ("%s/%d"):format(flow.dstaddr, bits) } } },
      function(f) return numbers[f.dstaddr] >> shift == numbers[flow.dstaddr] >> shift end
  elseif kind == 3 then
    return { terms = { dstPort = { flow.dstport, tostring(flow.srcport), 443 } } },
      function(f) return f.dstport == flow.dstport or f.dstport == flow.srcport or f.dstport == 443 end
  elseif kind == 4 then
    return { range = { bytes = { gte = flow.bytes, lt = flow.bytes * 4 } } },
      function(f) return f.bytes >= flow.bytes and f.bytes < flow.bytes * 4 end
  elseif kind == 5 then
    return { range = { time = { gt = flow.start_ms } } }, function(f) return f.start_ms > flow.start_ms end
  elseif kind == 6 then
    return { term = { protocol = math.random(2) == 1 and flow.protocol or flow.proto } },
      function(f) return f.proto == flow.proto end
  elseif kind == 7 then
    return { range = { srcAddress = { lte = flow.srcaddr } } },
      function(f) return numbers[f.srcaddr] <= numbers[flow.srcaddr] end
  elseif kind == 8 then
    return { terms = { srcAddress = { flow.srcaddr, "192.168.0.0/16" } } },
      function(f) return f.srcaddr == flow.srcaddr or f.srcaddr:find("^192%.168%.") ~= nil end
  end
  return { term = { ["tcpFlags.keyword"] = flow.tcp_flags } }, function(f) return f.tcp_flags == flow.tcp_flags end
end

local function tree(depth)
  if depth == 0 or math.random(3) == 1 then
    return leaf()
  end
  local bool, tests = {}, { must = {}, filter = {}, should = {}, must_not = {} }
  for clause, list in pairs(tests) do
    local queries = json.array()
    for i = 1, math.random(0, 2) do
      queries[i], list[i] = tree(depth - 1)
    end
    bool[clause] = #queries == 1 and math.random(2) == 1 and queries[1] or queries
  end
  local least = (#tests.must + #tests.filter > 0) and 0 or math.min(1, #tests.should)
  if #tests.should > 0 and math.random(2) == 1 then
    least = math.random(0, #tests.should)
    bool.minimum_should_match = least
  end
  return { bool = bool }, function(f)
    local n = 0
    for _, test in ipairs(tests.should) do
      n = n + (test(f) and 1 or 0)
    end
    for _, clause in ipairs { tests.must, tests.filter } do
      for _, test in ipairs(clause) do
        if not test(f) then
          return false
        end
      end
    end
    for _, test in ipairs(tests.must_not) do
      if test(f) then
        return false
      end
    end
    return n >= least
  end
end

case("queries find what a look at every flow finds, in a store and in captures", function()
  math.randomseed(7)
  for i = 1, 100 do
    local query, passes = tree(i % 3)
    local expected = count(passes)
    tap.equal(total(query), expected, json.encode(query))
    if i % 10 == 0 then
      tap.equal(total(query, search.source("samples"), conn), expected, json.encode(query))
    end
  end
end)

case("match_all, match_none, constant_score, exists, ids, no query", function()
  tap.equal(total { match_all = {} }, #flows)
  tap.equal(total(nil), #flows)
  tap.equal(total { match_none = {} }, 0)
  tap.equal(total { constant_score = { filter = { term = { dstPort = 53 } } } }, count(function(f) return f.dstport == 53 end))
  tap.equal(total { exists = { field = "tos" } }, #flows)
  tap.equal(total { ids = { values = { "1", "2", "none", "99999999" } } }, 2)
  tap.equal(total { terms = { dstPort = json.array() } }, 0)
  tap.equal(total { bool = {} }, #flows)
end)

case("a time names all of its second or day", function()
  local function between(first, last)
    return count(function(f) return f.start_ms >= first and f.start_ms <= last end)
  end
  tap.equal(total { range = { time = { gte = "2023-11-14", lte = "2023-11-14" } } }, between(1699920000000, 1700006399999))
  tap.equal(total { range = { time = { gt = "2023-11-14" } } }, between(1700006400000, math.maxinteger))
  tap.equal(total { term = { time = "2023-11-14-22:32:08" } }, between(1700001128000, 1700001128999))
  tap.equal(total { range = { time = { lt = "20231114223208" } } }, between(math.mininteger, 1700001127999))
end)

-- ---- answers ----

case("an answer has Elasticsearch's shape", function()
  local status, answer = ask { query = { term = { srcAddress = "192.168.1.29" } }, size = 1 }
  tap.equal(status, 200)
  tap.equal(answer.timed_out, false)
  tap.equal(answer._shards.failed, 0)
  tap.equal(answer.hits.total.value, 63)
  tap.equal(answer.hits.total.relation, "eq")
  tap.equal(answer.hits.max_score, 1.0)
  tap.equal(json.encode(answer.hits.hits[1]._source), json.encode {
    srcAddress = "192.168.1.29", dstAddress = "143.204.14.183", srcPort = 51536, dstPort = 80, protocol = "TCP",
    time = "2023-11-14-22:32:08", duration = 38, bytes = 458, packets = 7, tcpFlags = 27, tos = 0,
  })
  tap.equal(answer.hits.hits[1]._index, "flows")
  tap.equal(type(answer.hits.hits[1]._id), "string")
end)

case("from and size page through all hits once", function()
  local seen, n = {}, 0
  for from = 0, 70, 10 do
    local _, answer = ask { query = { term = { srcAddress = "192.168.1.29" } }, from = from }
    for _, hit in ipairs(answer.hits.hits) do
      tap.equal(seen[hit._id], nil)
      seen[hit._id] = true
      n = n + 1
    end
  end
  tap.equal(n, 63)
end)

case("hits come in the order asked for, and say by what", function()
  local _, answer = ask { sort = json.array { { bytes = { order = "desc" } }, "time" }, size = 500 }
  local last = math.huge
  for _, hit in ipairs(answer.hits.hits) do
    tap.equal(hit.sort[1], hit._source.bytes)
    tap.ok(hit.sort[1] <= last)
    last = hit.sort[1]
    tap.equal(hit._score, json.null)
  end
  tap.equal(answer.hits.max_score, json.null)
  _, answer = ask { sort = "srcAddress", size = 5000, _source = "srcAddress" }
  last = 0
  for _, hit in ipairs(answer.hits.hits) do
    tap.ok(numbers[hit._source.srcAddress] >= last, hit._source.srcAddress)
    last = numbers[hit._source.srcAddress]
  end
end)

case("totals as far as they are asked for", function()
  local query = { term = { srcAddress = "192.168.1.29" } }
  local _, answer = ask { query = query, track_total_hits = 20 }
  tap.equal(json.encode(answer.hits.total), '{"relation":"gte","value":20}')
  _, answer = ask { query = query, track_total_hits = 63 }
  tap.equal(json.encode(answer.hits.total), '{"relation":"eq","value":63}')
  _, answer = ask { query = query, track_total_hits = false }
  tap.equal(answer.hits.total, nil)
  _, answer = ask({ query = query }, { rest_total_hits_as_int = true })
  tap.equal(answer.hits.total, 63)
end)

case("_source chooses fields", function()
  local function fields(filter)
    local _, answer = ask { size = 1, _source = filter }
    return json.encode(answer.hits.hits[1]._source)
  end
  tap.equal(fields(false), "null")
  tap.equal(fields { "bytes" }, '{"bytes":4606}')
  tap.equal(fields "*Port", '{"dstPort":67,"srcPort":68}')
  tap.equal(fields { includes = { "src*" }, excludes = "*Port" }, '{"srcAddress":"0.0.0.0"}')
  tap.equal(fields "nothing", "{}")
end)

case("pretty changes only blanks", function()
  local _, answer, text = ask { size = 3 }
  local pretty = search.pretty(text)
  tap.equal(json.encode(json.decode(pretty)), json.encode(answer))
  tap.matches(pretty, '\n  "hits" : {\n    "total" : {\n      "value" : 8985')
  tap.equal(search.pretty '{"a":"{\\"x\\":[1,2]\\\\","b":[],"c":{}}', '{\n  "a" : "{\\"x\\":[1,2]\\\\",\n  "b" : [],\n  "c" : {}\n}\n')
end)

-- ---- refusals ----

case("what is not answered is refused in Elasticsearch's shape", function()
  for reason, body in pairs {
    ["unknown query %[fuzzy%]"] = { query = { fuzzy = {} } },
    ["Unknown key %[aggs%]"] = { aggs = {} },
    ["No mapping found for %[colour%]"] = { query = { term = { colour = "red" } } },
    ["%[10%.0%.0%.300%] of field %[srcAddress%] is no IPv4 address"] = { query = { term = { srcAddress = "10.0.0.300" } } },
    ["%[x%] of field %[dstPort%] is no number"] = { query = { range = { dstPort = { gte = "x" } } } },
    ["failed to parse date field %[yesterday%]"] = { query = { range = { time = { gte = "yesterday" } } } },
    ["does not support %[from%]"] = { query = { range = { bytes = { from = 1 } } } },
    ["expected an object with one key"] = { query = { term = { bytes = 1 }, match_all = {} } },
    ["less than or equal to: %[10000%] but was %[10001%]"] = { from = 1, size = 10000 },
    ["but was %[9223372036854775808%]"] = { from = math.maxinteger, size = 10 },
    ["cannot be negative"] = { size = -1 },
    ["Unknown SortOrder %[up%]"] = { sort = { bytes = "up" } },
    ["field %[protocol%] has no range"] = { query = { range = { protocol = { gte = 6 } } } },
    ["%[bool%] query does not support %[shall%]"] = { query = { bool = { shall = {} } } },
    ["the request is no object"] = json.array { 1 },
    ["%[query%] query malformed"] = { query = json.array() },
    ["%[bool%] query malformed"] = { query = { bool = json.array() } },
    ["track_total_hits"] = { track_total_hits = "yes" },
  } do
    local status, answer = ask(body)
    tap.equal(status, 400, reason)
    tap.equal(answer.status, 400)
    tap.matches(answer.error.reason, reason)
    tap.equal(answer.error.root_cause[1].type, answer.error.type)
  end
  for _, text in ipairs { "[]", "null", "false", "7", '"x"', "[[]]", "[{}]" } do
    local status, answer = ask(json.decode(text))
    tap.equal(status, 400, text)
    tap.equal(answer.error.reason, "the request is no object")
  end
  tap.equal(ask(json.decode "{}"), 200)
  local deep = { match_all = {} }
  for _ = 1, 40 do
    deep = { bool = { must = deep } }
  end
  tap.matches(select(2, ask { query = deep }).error.reason, "nested deeper than 20")
end)

case("values never become SQL", function()
  for _, value in ipairs { "' OR 1=1 --", "x') UNION SELECT 1 --", "\0", "%", "TCP'" } do
    tap.equal(total { term = { protocol = value } }, 0)
    tap.equal(ask { query = { term = { srcAddress = value } } }, 400)
    tap.equal(ask { query = { term = { [value] = 1 } } }, 400)
    tap.equal(ask { sort = { [value] = "asc" } }, 400)
  end
  local _, answer = ask({ size = 1 }, nil, nil)
  tap.equal(answer.hits.total.value, #flows)
  local _, text = search.answer(store, search.store(), "it's \"odd\"", { size = 1 })
  tap.equal(json.decode(text).hits.hits[1]._index, "it's \"odd\"")
end)

case("a search that takes too long ends as 503, and the next one works", function()
  tap.run(("mkdir %s/many; for i in $(seq 60); do for f in samples/*.pcap*; do cp $f %s/many/$i-${f##*/}; done; done"):format(
    folder.path, folder.path))
  local source = search.source(folder.path .. "/many")
  local status, answer = ask({ sort = "bytes" }, { limit_ms = 0 }, source, conn)
  tap.equal(status, 503)
  tap.matches(answer.error.reason, "the search took more than 0 ms")
  tap.ok(total({ match_all = {} }, source, conn) > 60 * #flows // 2)
end)

return tap.finish()
