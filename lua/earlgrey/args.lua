-- Command lines of scripts. Options are `--name value`, `--name=value`, with one
-- dash or two, `-` and `_` alike inside names; `--` ends them; the rest are
-- operands.

local M = {}

local function canonical(name)
  return (name:gsub("-", "_"))
end

-- Reads `argv` by `spec`, a table of option name to
--   { value = function(text) -> value | nil, "what was expected" }   with a value
--   { flag = true }                                                  without
--   { same = "other" }                                               another name of it
-- Returns the options by name and the array of operands, or nil and a message.
function M.parse(argv, spec)
  local options, operands = {}, {}
  local i, only_operands = 1, false
  while argv[i] ~= nil do
    local a = argv[i]
    i = i + 1
    if only_operands or a == "-" or a:sub(1, 1) ~= "-" then
      operands[#operands + 1] = a
    elseif a == "--" then
      only_operands = true
    else
      local shown, equals, value = a:match("^(%-%-?[^=]+)(=?)(.*)$")
      local name = shown and canonical(shown:match("^%-%-?(.*)$"))
      local option = name and spec[name]
      if option and option.same then
        name = option.same
        option = spec[name]
      end
      if not option then
        return nil, ("unknown option '%s'"):format(shown or a)
      elseif options[name] ~= nil then
        return nil, ("%s is given twice"):format(shown)
      elseif option.flag then
        if equals == "=" then
          return nil, ("%s takes no value"):format(shown)
        end
        options[name] = true
      else
        if equals ~= "=" then
          value = argv[i]
          i = i + 1
          if value == nil then
            return nil, ("%s needs a value"):format(shown)
          end
        end
        local parsed, expected = option.value(value)
        if parsed == nil then
          return nil, ("%s: '%s' is not %s"):format(shown, value, expected)
        end
        options[name] = parsed
      end
    end
  end
  return options, operands
end

-- A whole number from lo to hi, decimal or 0x hexadecimal.
function M.integer(lo, hi)
  local expected = hi == math.maxinteger and ("a whole number of at least %d"):format(lo)
    or ("a whole number from %d to %d"):format(lo, hi)
  return {
    value = function(text)
      local n
      if text:find("^%d+$") then
        n = math.tointeger(text)
      elseif text:find("^0[xX]%x+$") and #text <= 17 then
        n = tonumber(text)
      end
      if n and n >= lo and n <= hi then
        return n
      end
      return nil, expected
    end,
  }
end

-- One of these words.
function M.choice(...)
  local words = { ... }
  return {
    value = function(text)
      for _, word in ipairs(words) do
        if text == word then
          return word
        end
      end
      return nil, table.concat(words, ", ", 1, #words - 1) .. " or " .. words[#words]
    end,
  }
end

-- A dotted IPv4 address, with /bits a network. Leading zeros are refused: some
-- programs read them as octal.
function M.address()
  return {
    value = function(text)
      local address, bits = text:match("^([%d.]+)(.*)$")
      local expected = "an IPv4 address or a network (10.1.2.3, 10.0.0.0/8)"
      local octets = { (address or ""):match("^(%d+)%.(%d+)%.(%d+)%.(%d+)$") }
      if #octets ~= 4 then
        return nil, expected
      end
      for _, octet in ipairs(octets) do
        if #octet > 3 or tonumber(octet) > 255 or octet:find("^0%d") then
          return nil, expected
        end
      end
      if bits == "" then
        return { text = address, is_network = false }
      end
      local n = bits:match("^/(%d%d?)$")
      if not n or tonumber(n) > 32 or n:find("^0%d") then
        return nil, expected
      end
      return { text = text, is_network = true }
    end,
  }
end

return M
