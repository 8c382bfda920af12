-- What the milter asks for, and how it gets on with an MTA that offers less than Postfix does.

local function named(list)
  local found = {}
  for name in list:gmatch("%S+") do found[name] = true end
  return found
end

case("asks for the steps it needs and no more", function()
  local conn = connected()
  local wanted = named(declined)
  for _, name in ipairs(STEPS) do
    if mt.test_option(conn, _G[name]) ~= (wanted[name] or false) then error(name) end
  end
  mt.disconnect(conn)
end)

case("asks for no right to change anything but what it changes", function()
  local conn = connected()
  local wanted = named(actions)
  for _, name in ipairs(ACTIONS) do
    if mt.test_action(conn, _G[name]) ~= (wanted[name] or false) then error(name) end
  end
  mt.disconnect(conn)
end)

for _, version in ipairs({2, 3, 4, 6}) do
  local steps = ({[2] = 0x3f, [3] = 0x7f, [4] = 0x3ff, [6] = EVERY_STEP})[version]
  case("takes and passes mail of an MTA of protocol " .. version, function()
    local conn = connected(version, 0x3f, steps)
    taken(conn)
    passed(conn)
    taken(conn)
    mt.disconnect(conn)
  end)
end

case("gets on with an MTA that lets no step be left out", function()
  local conn = connected(6, EVERY_ACTION, 0)
  taken(conn)
  passed(conn)
  mt.disconnect(conn)
end)

case("puts a mail off where the MTA can't take a recipient off it", function()
  local conn = connected(6, SMFIF_ADDHDRS, EVERY_STEP)
  envelope(conn, ours, other)
  data(conn)
  content(conn)
  refused_for_now(conn)
  taken(conn)
  mt.disconnect(conn)
end)
