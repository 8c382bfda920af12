-- Header fields more and odder than anybody writes them. Each mail is taken, or refused for its size.
-- A field of miltertest ends at about a thousand octets; larger ones come from proof/conformance/orders.py.

local function with(conn, name, value, times)
  envelope(conn, ours)
  data(conn)
  for _ = 1, times or 1 do
    sent(mt.header(conn, name, value))
    answer(conn, SMFIR_CONTINUE, "header")
  end
  content(conn)
  sent(mt.eom(conn))
end

local odd = {
  {"a field without value", "X-Empty", ""},
  {"a field of blanks", "X-Blank", " \t "},
  {"a field folded 140 times", "X-Folded", string.rep("part\n ", 140) .. "end"},
  {"a field folded by CR LF", "X-Folded", "one\r\n two"},
  {"a field with a bare CR", "X-Bare", "one\rtwo"},
  {"a field of octets that are no text", "X-Octets", string.char(0xff, 0xfe, 0x80, 0x7f, 0x01)},
  {"a field of UTF-8", "X-UTF8", "J\xc3\xb6rg \xf0\x9f\x93\xac"},
  {"a name of nine hundred characters", string.rep("X", 900), "x"},
  {"a name with blanks", "X Y Z", "x"},
  {"a value of nine hundred characters", "X-Long", string.rep("y", 900)},
  {"a line that looks like the end of the header", "X-End", "x\r\n\r\nSubject: y"},
}

for _, field in ipairs(odd) do
  case(field[1] .. " keeps no mail from its answer", function()
    local conn = connected()
    with(conn, field[2], field[3])
    if mt.getreply(conn) ~= SMFIR_DISCARD and mt.getreply(conn) ~= SMFIR_REPLYCODE then
      error("got " .. string.char(mt.getreply(conn)))
    end
    taken(conn)
    mt.disconnect(conn)
  end)
end

case("five thousand fields are taken", function()
  local conn = connected()
  with(conn, "X-Many", "x", 5000)
  answer(conn, SMFIR_DISCARD, "eom")
  mt.disconnect(conn)
end)

case("fields of more than the limit are refused, and the next mail is taken", function()
  local conn = connected()
  envelope(conn, ours)
  data(conn)
  headers(conn)
  for _ = 1, 2400 do sent(mt.header(conn, "X-Long", string.rep("y", 900))) end
  sent(mt.eoh(conn))
  if mt.getreply(conn) == SMFIR_CONTINUE then sent(mt.bodystring(conn, "x\r\n")) end
  answer(conn, SMFIR_REPLYCODE, "after 2.1 MB of fields")
  sent(mt.abort(conn))
  taken(conn)
  mt.disconnect(conn)
end)
