-- Times as people write them, to milliseconds since 1970 UTC.
--
--   20070726221538            yyyyMMddHHmmss
--   2007-07-26-22:15:38       yyyy-MM-dd-HH:mm:ss
--   2007-07-26T22:15:38.120Z  ISO 8601: T or a space, seconds and fraction
--                             optional, Z or an offset (+02:00, +0200, +02)
--   2007-07-26                a day
--
-- Without an offset a time is UTC.

local M = {}

M.EXPECTED = "a time as yyyyMMddHHmmss, yyyy-MM-dd-HH:mm:ss or ISO 8601 (2007-07-26T22:15:38Z)"

-- Days from 1970-01-01 to a day of the Gregorian calendar. Counts from March,
-- so that a leap day is the last of its year.
local function days_from_civil(year, month, day)
  if month <= 2 then
    year = year - 1
    month = month + 12
  end
  local day_of_year = (153 * (month - 3) + 2) // 5 + day - 1
  return 365 * year + year // 4 - year // 100 + year // 400 + day_of_year - 719468
end

local MONTH_DAYS = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 }

local function is_day(year, month, day)
  if month < 1 or month > 12 then
    return false
  end
  local leap = year % 4 == 0 and (year % 100 ~= 0 or year % 400 == 0)
  local days = MONTH_DAYS[month] + (month == 2 and leap and 1 or 0)
  return day >= 1 and day <= days
end

-- Minutes east of UTC, nil where `text` is no offset.
local function offset_minutes(text)
  if text == "" or text == "Z" or text == "z" then
    return 0
  end
  local sign, hours, minutes = text:match("^([+-])(%d%d):?(%d%d)$")
  if not sign then
    sign, hours = text:match("^([+-])(%d%d)$")
    minutes = 0
  end
  hours, minutes = tonumber(hours), tonumber(minutes)
  if not sign or hours > 23 or minutes > 59 then
    return nil
  end
  return (sign == "-" and -1 or 1) * (60 * hours + minutes)
end

-- Splits the clock part "22:15[:38[.120]][offset]": hours, minutes, seconds, ms,
-- offset text, and how many ms the last digit given stands for.
local function split_clock(text)
  local h, mi, rest = text:match("^(%d%d):(%d%d)(.*)$")
  if not h then
    return nil
  end
  local s, after = rest:match("^:(%d%d)(.*)$")
  if not s then
    return h, mi, 0, 0, rest, 60000
  end
  local fraction, tail = after:match("^[.,](%d+)(.*)$")
  if not fraction then
    return h, mi, s, 0, after, 1000
  end
  local digits = fraction:sub(1, 3)
  local unit = math.tointeger(10 ^ (3 - #digits))
  return h, mi, s, tonumber(digits) * unit, tail, unit
end

-- First and last millisecond of what `text` names: a day, a minute, a second, a
-- millisecond. nil where it is no time.
function M.parse(text)
  local y, mo, d, h, mi, s = text:match("^(%d%d%d%d)(%d%d)(%d%d)(%d%d)(%d%d)(%d%d)$")
  local ms, offset, unit = 0, "", 1000
  if not y then
    local rest
    y, mo, d, rest = text:match("^(%d%d%d%d)-(%d%d)-(%d%d)(.*)$")
    if not y then
      return nil
    end
    if rest == "" then
      h, mi, s, unit = 0, 0, 0, 86400000
    else
      local clock = rest:match("^[Tt -](.*)$")
      if not clock then
        return nil
      end
      h, mi, s, ms, offset, unit = split_clock(clock)
      if not h then
        return nil
      end
    end
  end
  y, mo, d = math.tointeger(y), math.tointeger(mo), math.tointeger(d)
  h, mi, s = math.tointeger(h), math.tointeger(mi), math.tointeger(s)
  local minutes = offset_minutes(offset)
  if not minutes or not is_day(y, mo, d) or h > 23 or mi > 59 or s > 59 then
    return nil
  end
  local seconds = days_from_civil(y, mo, d) * 86400 + h * 3600 + mi * 60 + s - minutes * 60
  local first = seconds * 1000 + ms
  return first, first + unit - 1
end

return M
