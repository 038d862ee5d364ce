-- Lua values as BSON and back, without a server.

local json = require "json"
local tap = require "tests.lua.tap"

local found, mongo = pcall(require, "mongo")
if not found then
  tap.skip("BSON", mongo)
  return tap.finish()
end

local function hex(bytes)
  return (bytes:gsub(".", function(c)
    return ("%02x"):format(c:byte())
  end))
end

local function bytes(text)
  return (text:gsub("%s", ""):gsub("%x%x", function(digits)
    return string.char(tonumber(digits, 16))
  end))
end

tap.case("documents are the bytes that bsonspec.org gives", function()
  tap.equal(hex(mongo.encode { hello = "world" }), "160000000268656c6c6f0006000000776f726c640000")
  tap.equal(hex(mongo.encode { BSON = { "awesome", 5.05, 1986 } }),
    "310000000442534f4e002600000002300008000000617765736f6d65000131003333333333331440103200c20700000000")
  tap.equal(hex(mongo.encode {}), "0500000000")
end)

tap.case("integers take 32 bits where they fit, floats stay floats", function()
  for value, kind in pairs {
    [0] = "10", [2 ^ 31 - 1 | 0] = "10", [-(2 ^ 31) | 0] = "10", [1 << 31] = "12", [-(1 << 31) - 1] = "12",
    [math.maxinteger] = "12", [math.mininteger] = "12", [0.5] = "01", [math.huge] = "01", [1e300] = "01",
  } do
    local encoded = mongo.encode { v = value }
    tap.equal(hex(encoded:sub(5, 5)), kind, tostring(value))
    tap.equal(mongo.decode(encoded).v, value)
  end
  tap.equal(mongo.decode(mongo.encode { v = 2.0 }).v, 2.0)
  local nan = mongo.decode(mongo.encode { v = 0 / 0 }).v
  tap.ok(nan ~= nan)
end)

tap.case("_id comes first, other keys by their bytes, ordered ones as they stand", function()
  local function keys(document)
    local list = {}
    for name in mongo.encode(document):gmatch "\16([^\0]+)\0" do
      list[#list + 1] = name
    end
    return table.concat(list, " ")
  end
  tap.equal(keys { b = 1, a = 2, _id = 3, Z = 4 }, "_id Z a b")
  tap.equal(keys(mongo.ordered { { "b", 1 }, { "a", 2 }, { "_id", 3 } }), "b a _id")
  local many, expected = {}, {}
  for i = 1, 500 do
    many[("k%03d"):format(i)] = 1
    expected[i] = ("k%03d"):format(i)
  end
  tap.equal(keys(many), table.concat(expected, " "))
  tap.equal(#mongo.encode { a = { mongo.ordered { { "x", mongo.ordered { { "y", 1 } } } } } }, #mongo.encode { a = { { x = { y = 1 } } } })
end)

tap.case("arrays, objects and null are told apart as in json", function()
  for _, text in ipairs {
    '{"a":[]}', '{"a":{}}', '{"a":[1,[2,[],{}]]}', '{"a":null}', '{"a":[null,1,null]}', '{"a":{"1":1}}',
    '{"a":[{"b":[{"c":null}]}]}', '{"a":true,"b":false}',
  } do
    tap.equal(json.encode(mongo.decode(mongo.encode(json.decode(text)))), text)
  end
  tap.ok(mongo.null == json.null)
  tap.equal(json.encode(mongo.decode(mongo.encode { a = json.array { 1, nil, 3 } })), '{"a":[1,null,3]}')
end)

tap.case("what can be no document raises", function()
  tap.raises("cannot hold a function", mongo.encode, { a = print })
  tap.raises("cannot hold a userdata", mongo.encode, { a = io.stdout })
  tap.raises("a text is no UTF%-8", mongo.encode, { a = "\xff" })
  tap.raises("a text is no UTF%-8", mongo.encode, { a = "\xed\xa0\x80" })
  tap.raises("no UTF%-8, or has a zero byte", mongo.encode, { ["a\0b"] = 1 })
  tap.raises("no UTF%-8, or has a zero byte", mongo.encode, { ["\xff"] = 1 })
  tap.raises("a number as key", mongo.encode, { a = { [2] = 1 } })
  tap.raises("a number as key", mongo.encode, { 1, 2 })
  tap.raises("a boolean as key", mongo.encode, { [true] = 1 })
  tap.raises("got an array", mongo.encode, json.array {})
  tap.raises("got null", mongo.encode, json.null)
  tap.raises("table expected", mongo.encode, "x")
  tap.raises("item 1 of an ordered document", mongo.encode, mongo.ordered { 1 })
  tap.raises("item 2 of an ordered document", mongo.encode, mongo.ordered { { "a", 1 }, { "b" } })
  tap.raises("a number as key", mongo.encode, mongo.ordered { { 1, 1 } })
  tap.raises("24 hexadecimal digits", mongo.objectid, "0123")
  tap.raises("24 hexadecimal digits", mongo.objectid, ("g"):rep(24))
  tap.raises("bad argument #1", mongo.date, "now")
end)

tap.case("nesting ends at 100, so also what contains itself", function()
  local function nested(depth)
    local t = { v = 1 }
    for _ = 2, depth do
      t = { a = t }
    end
    return t
  end
  tap.equal(json.encode(mongo.decode(mongo.encode(nested(100)))), json.encode(nested(100)))
  tap.raises("nested deeper than 100", mongo.encode, nested(102))
  local loop = {}
  loop.a = loop
  tap.raises("contains itself", mongo.encode, loop)
  loop = {}
  loop[1] = loop
  tap.raises("contains itself", mongo.encode, { a = loop })
  loop = {}
  loop[1] = { "a", mongo.ordered(loop) }
  tap.raises("contains itself", mongo.encode, mongo.ordered(loop))
end)

tap.case("a document is at most 16 MB", function()
  local text = ("x"):rep(1 << 20)
  local list = {}
  for i = 1, 15 do
    list[i] = text
  end
  tap.ok(#mongo.encode { a = list } > 15 << 20)
  list[16] = text
  tap.raises("larger than 16777216 bytes", mongo.encode, { a = list })
  tap.raises("larger than 16777216 bytes", mongo.encode, { a = ("x"):rep(17 << 20) })
  tap.raises("larger than", mongo.binary, ("x"):rep(17 << 20))
end)

tap.case("values have a type, content, equality and a text", function()
  local id = mongo.objectid "507f1f77bcf86cd799439011"
  tap.equal(id.type, "objectid")
  tap.equal(tostring(id), "507f1f77bcf86cd799439011")
  tap.ok(id == mongo.objectid "507F1F77BCF86CD799439011")
  tap.ok(mongo.objectid() ~= mongo.objectid())
  for ms, text in pairs {
    [0] = "1970-01-01T00:00:00.000Z", [-1] = "1969-12-31T23:59:59.999Z", [1185487200007] = "2007-07-26T22:00:00.007Z",
    [math.mininteger] = "-9223372036854775808 ms", [math.maxinteger] = "9223372036854775807 ms",
  } do
    local date = mongo.decode(mongo.encode { d = mongo.date(ms) }).d
    tap.equal(date.type, "date")
    tap.equal(date.value, ms)
    tap.equal(tostring(date), text)
  end
  tap.equal(mongo.binary("").value, "")
  tap.equal(tostring(mongo.binary "abc"), "binary (8 bytes)")
  tap.equal(id.nothing, nil)
  tap.equal(id == 5, false)
end)

-- Fields with a value of every type that Lua has nothing for.
local OTHERS <const> = bytes [[
  0b 72 00 5e 61 00 69 00
  11 74 00 01000000 02000000
  ff 6d 00
  7f 78 00
  13 64 00 01000000000000000000000000004030
  0d 63 00 02000000 78 00
  0f 77 00 0f000000 02000000 79 00 0500000000
  05 62 00 03000000 80 616263
  06 75 00
  0e 73 00 03000000 7879 00
  0c 70 00 02000000 61 00 0102030405060708090a0b0c
]]

tap.case("types that Lua has nothing for pass through unchanged", function()
  local t = assert(mongo.decode(string.pack("<I4", #OTHERS + 5) .. OTHERS .. "\0"))
  tap.equal(t.r.type, "regex")
  tap.equal(t.t.type, "timestamp")
  tap.equal(t.m.type, "minkey")
  tap.equal(t.x.type, "maxkey")
  tap.equal(t.d.type, "decimal128")
  tap.equal(t.d.value, "1")
  tap.equal(tostring(t.d), "1")
  tap.equal(t.c.type, "code")
  tap.equal(t.b.type, "binary")
  tap.equal(t.b.value, "abc")
  tap.ok(t.u == json.null)
  tap.equal(t.s, "xy")
  tap.equal(t.p.type, "dbpointer")
  local again = assert(mongo.decode(mongo.encode(t)))
  for _, name in ipairs { "r", "t", "m", "x", "d", "c", "w", "b", "p" } do
    tap.ok(again[name] == t[name], name)
  end
end)

tap.case("bytes that are no document fail, wherever they are damaged", function()
  local sound = mongo.encode {
    a = { 1, "two", { b = true } }, id = mongo.objectid(), d = mongo.date(5), n = 1 << 40, t = "text", x = mongo.binary "abc",
  }
  tap.fails("no BSON", "MONGO_BSON", mongo.decode "")
  for n = 0, #sound - 1 do
    tap.fails("no BSON", "MONGO_BSON", mongo.decode(sound:sub(1, n)))
  end
  for i = 1, #sound do
    for _, byte in ipairs { "\0", "\1", "\3", "\4", "\127", "\255" } do
      local t, _, code = mongo.decode(sound:sub(1, i - 1) .. byte .. sound:sub(i + 1))
      tap.ok(type(t) == "table" or code == "MONGO_BSON")
    end
  end
  local deep = "\5\0\0\0\0"
  for _ = 1, 2000 do
    deep = string.pack("<I4", #deep + 8) .. "\3a\0" .. deep .. "\0"
  end
  tap.fails("no BSON", "MONGO_BSON", mongo.decode(deep))
end)

tap.case("Python's bson reads what is written, and is read", function()
  local folder <close> = tap.folder()
  tap.write_file(folder.path .. "/in", mongo.encode {
    _id = mongo.objectid "507f1f77bcf86cd799439011", a = { 1, 1 << 40, 1.5, "\u{e9}", true, json.null, {}, json.array() },
    d = mongo.date(1185487200120), b = mongo.binary "\0\1",
  })
  local out, err, code = tap.run(([[/usr/bin/python3 - %s <<'EOF'
import sys, bson
from bson.codec_options import CodecOptions
from bson.son import SON
document = bson.decode(open(sys.argv[1] + "/in", "rb").read(), CodecOptions(document_class=SON))
print(list(document.items()))
open(sys.argv[1] + "/out", "wb").write(bson.encode(document))
EOF]]):format(folder))
  tap.equal(code, 0, err)
  tap.equal(out, "[('_id', ObjectId('507f1f77bcf86cd799439011')), ('a', [1, 1099511627776, 1.5, '\u{e9}', True, None, SON([]), []]), "
    .. "('b', b'\\x00\\x01'), ('d', datetime.datetime(2007, 7, 26, 22, 0, 0, 120000))]\n")
  tap.equal(hex(tap.read_file(folder.path .. "/out")), hex(tap.read_file(folder.path .. "/in")))
end)

-- A sanitizer needs more room than this.
if not tap.program:find "asan" then
  tap.case("memory that is short is an error of the script, and the process goes on", function()
    local out, err = tap.run(([[ulimit -v 700000; %s -e '
      local mongo = require "mongo"
      local text = ("x"):rep(15 << 20)
      local ok, message = pcall(function()
        local kept = {}
        for i = 1, 60 do kept[i] = mongo.encode { i = i, text = text } end
      end)
      print(ok, message)
      collectgarbage()
      print(#mongo.encode { a = 1 })']]):format(tap.program))
    tap.matches(out, "^false\t.*not enough memory\n12\n$", err)
  end)
end

return tap.finish()
