-- One mail in every order of steps that an MTA may choose, and mail after mail on one connection.

case("takes a mail in its usual steps", function()
  local conn = connected()
  taken(conn)
  mt.disconnect(conn)
end)

case("passes what is none of its business before the header", function()
  local conn = connected()
  passed(conn)
  mt.disconnect(conn)
end)

case("takes its recipient off a mail that has others", function()
  local conn = connected()
  envelope(conn, other, ours)
  data(conn)
  content(conn)
  sent(mt.eom(conn))
  local got = mt.getreply(conn)
  if got ~= SMFIR_CONTINUE and got ~= SMFIR_ACCEPT then error("eom: got " .. string.char(got)) end
  if not mt.eom_check(conn, MT_RCPTDELETE, "<" .. ours .. ">") then error("ours is left") end
  if mt.eom_check(conn, MT_RCPTDELETE, "<" .. other .. ">") then error("the other is deleted") end
  if mt.eom_check(conn, MT_HDRADD) or mt.eom_check(conn, MT_BODYCHANGE) or mt.eom_check(conn, MT_QUARANTINE) then
    error("more was changed than a recipient")
  end
  mt.disconnect(conn)
end)

case("decides each of a hundred mails on one connection afresh", function()
  local conn = connected()
  for number = 1, 100 do
    if number % 3 == 0 then taken(conn) else passed(conn) end
  end
  mt.disconnect(conn)
end)

case("takes a body in pieces of any size", function()
  local conn = connected()
  for _, size in ipairs({7, 64, 1023, 65535}) do
    envelope(conn, ours)
    data(conn)
    headers(conn)
    end_of_header(conn)
    body(conn, size)
    ending(conn, SMFIR_DISCARD, "pieces of " .. size)
  end
  mt.disconnect(conn)
end)

case("answers a mail without header, without body, without both", function()
  local conn = connected()
  for _, shape in ipairs({"header", "body", "nothing"}) do
    envelope(conn, ours)
    data(conn)
    if shape == "header" then headers(conn) end
    sent(mt.eoh(conn))
    if mt.getreply(conn) == SMFIR_CONTINUE then
      if shape == "body" then sent(mt.bodystring(conn, "alone\r\n")) end
      sent(mt.eom(conn))
    end
    if mt.getreply(conn) == 0 then error(shape .. ": no answer") end
    taken(conn)
  end
  mt.disconnect(conn)
end)

case("takes ESMTP parameters of sender and recipient", function()
  local conn = connected()
  sent(mt.mailfrom(conn, "<" .. sender .. ">", "SIZE=4711", "BODY=8BITMIME", "SMTPUTF8", "RET=HDRS", "ENVID=a+40b"))
  sent(mt.rcptto(conn, "<" .. ours .. ">", "NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;a+40b"))
  data(conn)
  content(conn)
  ending(conn, SMFIR_DISCARD)
  mt.disconnect(conn)
end)

case("keeps twenty connections apart whose steps are mixed", function()
  local conns = {}
  for number = 1, 20 do conns[number] = connected() end
  for number, conn in ipairs(conns) do
    if number % 2 == 0 then envelope(conn, ours) else envelope(conn, other) end
  end
  for number, conn in ipairs(conns) do
    if number % 2 == 0 then data(conn) else data(conn, SMFIR_ACCEPT) end
  end
  for number = 2, 20, 2 do headers(conns[number]) end
  for number = 20, 2, -2 do end_of_header(conns[number]) end
  for number = 2, 20, 2 do body(conns[number]) end
  for number = 20, 2, -2 do ending(conns[number], SMFIR_DISCARD) end
  for _, conn in ipairs(conns) do mt.disconnect(conn) end
end)
