-- JSON both ways.

local json = require "json"
local tap = require "tests.lua.tap"

tap.case("json, earlgrey.json and the field of earlgrey are one module", function()
  tap.ok(json == require "earlgrey.json")
  tap.ok(json == require("earlgrey").json)
end)

tap.case("integers are exact in both directions, up to the limits of 64 bits", function()
  for _, n in ipairs { 0, -1, 9007199254740993, math.maxinteger, math.mininteger } do
    tap.equal(json.encode(n), ("%d"):format(n))
    tap.equal(json.decode(("%d"):format(n)), n)
  end
  tap.equal(json.decode("9223372036854775808"), 9223372036854775808.0)
end)

tap.case("floats come back as they were and stay floats", function()
  for _, x in ipairs { 0.1, 1.0, -2.5e-300, 1e300, 1 / 3 } do
    tap.equal(json.decode(json.encode(x)), x)
  end
  tap.equal(json.encode(2.0), "2.0")
  tap.equal(json.encode(math.huge), "9e999")
  tap.equal(json.decode("-9e999"), -math.huge)
  tap.raises("NaN", json.encode, 0 / 0)
end)

tap.case("strings are escaped, and what is no UTF-8 becomes U+FFFD", function()
  tap.equal(json.encode('a"b\\c\n\0\127é'), '"a\\"b\\\\c\\n\\u0000\\u007fé"')
  tap.equal(json.encode("x\xffy\xc3"), '"x\u{fffd}y\u{fffd}"')
  tap.equal(json.encode("\xed\xa0\x80"), '"\u{fffd}\u{fffd}\u{fffd}"')
end)

tap.case("arrays and objects, empty ones too, come back as they were", function()
  for _, text in ipairs { "[]", "{}", "[1,[],{}]", '{"a":[null,true],"b":{"c":false}}', '[[[]]]' } do
    tap.equal(json.encode(json.decode(text)), text)
  end
  tap.equal(json.encode {}, "{}")
  tap.equal(json.encode(json.array {}), "[]")
  tap.equal(json.encode { b = 1, a = { 1, 2 } }, '{"a":[1,2],"b":1}')
  for value, expected in pairs { ["[]"] = true, ["[1]"] = true, ["{}"] = false, ["null"] = false, ["7"] = false } do
    tap.equal(json.is_array(json.decode(value)), expected, value)
  end
  tap.equal(json.is_array { 1, 2 }, true)
  tap.equal(json.is_array {}, false)
  for value, expected in pairs { ["[]"] = false, ["[1]"] = false, ["{}"] = true, ['{"a":1}'] = true, ["null"] = false, ["7"] = false } do
    tap.equal(json.is_object(json.decode(value)), expected, value)
  end
end)

tap.case("null is json.null inside tables and cannot be changed", function()
  local t = json.decode('{"a":null}')
  tap.ok(t.a == json.null)
  tap.equal(tostring(json.null), "null")
  tap.raises("cannot be changed", function()
    json.null.x = 1
  end)
end)

tap.case("escapes are read, pairs of surrogates joined, halves replaced", function()
  tap.equal(json.decode([["\u00e9\n\/\ud83d\ude00\ud83d!"]]), "é\n/😀\u{fffd}!")
end)

tap.case("what JSON cannot say raises", function()
  tap.raises("JSON has no function", json.encode, print)
  tap.raises("number as key", json.encode, { [2] = 1 })
  local t = {}
  t.t = t
  tap.raises("nested deeper", json.encode, t)
  tap.raises("string expected, got nil", json.decode)
end)

tap.case("bad text gives nil, a message with the place, and a code", function()
  local bad = {
    [""] = "found the end at byte 1", ["[1,]"] = "value expected at byte 4", ["{a:1}"] = "name of a member",
    ["[1 2]"] = "',' or ']' expected at byte 4", ['"abc'] = "closing quote", ['"\\x"'] = "unknown escape",
    ['"\\u12g4"'] = "four hexadecimal", ["01"] = "number expected", ["-"] = "number expected",
    ["tru"] = "value expected", ["1 x"] = "something follows", ['{"a" 1}'] = "':' expected",
    ['"a\nb"'] = "control character", ['{"a":1'] = "',' or '}' expected", ["1."] = "something follows",
  }
  for text, pattern in pairs(bad) do
    tap.fails(pattern, "JSON_SYNTAX", json.decode(text))
  end
end)

tap.case("nesting has a limit, so that hostile text cannot exhaust the stack", function()
  tap.ok(json.decode(("["):rep(200) .. ("]"):rep(200)))
  tap.fails("nested deeper than 200", "JSON_SYNTAX", json.decode(("["):rep(1000000)))
end)

tap.case("a row encoder keeps the order of columns and writes nil as null", function()
  local encode = json.row_encoder { "z", "a", 'q"' }
  tap.equal(encode { 1, nil, "x" }, '{"z":1,"a":null,"q\\"":"x"}')
end)

return tap.finish()
