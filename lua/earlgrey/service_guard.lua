-- Who may ask at all. A server on the loopback is within reach of every page in a browser of
-- that machine, by its address or, rebinding a name, as if it were the page's own. Hence:
--
--   Host    one of the names of this server, so that a rebound name is refused
--   Origin  absent, or this server's, so that foreign pages are refused
--   token   on every route but /healthz, where one is set; there must be one off the loopback
--   JSON    as the content type of what is written, which makes a browser ask first; routes that only
--           read do without
--
--   guard.new{ host=, port=, names=, token= } -> check(request, route) -> nil | status, message, description

local M = {}

local LOOPBACK <const> = { ["127.0.0.1"] = true, ["::1"] = true, ["localhost"] = true }

function M.is_loopback(address)
  return LOOPBACK[address] or address:find("^127%.%d+%.%d+%.%d+$") ~= nil
end

-- Equal, in a time that does not depend on where they differ.
local function same(a, b)
  if #a ~= #b then
    return false
  end
  local difference = 0
  for i = 1, #a do
    difference = difference | (a:byte(i) ~ b:byte(i))
  end
  return difference == 0
end

-- "name:port" in lower case, the port left out where it is HTTP's own.
local function authority(name, port)
  name = name:find(":", 1, true) and "[" .. name .. "]" or name
  return name:lower() .. ":" .. port
end

local function set_of_names(options)
  local names = {}
  local function add(name)
    names[authority(name, options.port)] = true
    if options.port == 80 then
      names[name:lower()] = true
    end
  end
  for name in pairs(LOOPBACK) do
    add(name)
  end
  add(options.host)
  -- Names that were configured stand for themselves, with any port: a proxy may be before us.
  local any_port = {}
  for _, name in ipairs(options.names or {}) do
    any_port[name:lower()] = true
  end
  return function(host)
    host = host:lower()
    return names[host] or any_port[host] or any_port[host:match("^(.*):%d+$") or ""] or false
  end
end

function M.new(options)
  local is_ours = set_of_names(options)

  return function(request, route)
    local headers = request.headers
    local host = headers.host
    if not host or not is_ours(host) then
      return 403, "Wrong host", "the Host header does not name this server; --host NAME makes a name known"
    end
    local origin = headers.origin
    if origin and not is_ours(origin:match("^https?://([^/]*)$") or "") then
      return 403, "Wrong origin", "requests of other origins are refused"
    end
    if options.token and not (route and route.is_open) then
      local given = (headers.authorization or ""):match("^[Bb]earer +(%S+)$")
      if not given then
        return 401, "Token needed", "send the header Authorization: Bearer TOKEN"
      elseif not same(given, options.token) then
        return 401, "Wrong token", "the bearer token is not the one of this server"
      end
    end
    if route and not route.only_reads and (route.body or request.body ~= "") then
      local kind = (headers["content-type"] or ""):match("^%s*([^;%s]*)"):lower()
      if kind ~= "application/json" then
        return 415, "Wrong content type", "Content-Type: application/json expected"
      end
    end
    return nil
  end
end

return M
