-- What breaks off, at each step: the mail in hand is forgotten, the next one is whole.

local steps = {"mail", "rcpt", "data", "header", "eoh", "body"}

local function upto(conn, last)
  for _, step in ipairs(steps) do
    if step == "mail" then sent(mt.mailfrom(conn, "<" .. sender .. ">"))
    elseif step == "rcpt" then sent(mt.rcptto(conn, "<" .. ours .. ">"))
    elseif step == "data" then data(conn)
    elseif step == "header" then headers(conn)
    elseif step == "eoh" then end_of_header(conn)
    else body(conn)
    end
    if step == last then return end
  end
end

for _, step in ipairs(steps) do
  case("an abort after " .. step .. " leaves nothing to the next mail", function()
    local conn = connected()
    upto(conn, step)
    sent(mt.abort(conn))
    passed(conn)
    taken(conn)
    mt.disconnect(conn)
  end)

  case("a connection closed after " .. step .. " harms nobody", function()
    local conn = connected()
    upto(conn, step)
    mt.disconnect(conn, true)
    conn = connected()
    taken(conn)
    mt.disconnect(conn)
  end)

  case("a connection cut after " .. step .. " harms nobody", function()
    local conn = connected()
    upto(conn, step)
    mt.disconnect(conn, false)
    conn = connected()
    taken(conn)
    mt.disconnect(conn)
  end)
end

case("an abort after the end, twice, and before anything is one of nothing", function()
  local conn = connected()
  sent(mt.abort(conn))
  taken(conn)
  sent(mt.abort(conn))
  sent(mt.abort(conn))
  taken(conn)
  mt.disconnect(conn)
end)

case("a hundred connections that come and go without a word are forgotten", function()
  for number = 1, 100 do
    local conn = connected()
    mt.disconnect(conn, number % 2 == 0)
  end
  local conn = connected()
  taken(conn)
  mt.disconnect(conn)
end)

case("fifty aborted mails on one connection leave nothing to the next", function()
  local conn = connected()
  for number = 1, 50 do
    upto(conn, steps[number % #steps + 1])
    sent(mt.abort(conn))
  end
  passed(conn)
  taken(conn)
  mt.disconnect(conn)
end)
