-- Macros: missing, empty, large, of other steps than theirs. None decides what becomes of a mail.

case("a mail without any macro is taken", function()
  local conn = connected()
  taken(conn)
  mt.disconnect(conn)
end)

local odd = {
  {"empty", "i", ""},
  {"of another alphabet", "i", "4b\xc3\xb6\xff\xfe"},
  {"of nine hundred characters", "i", string.rep("4b", 450)},
  {"with a line end", "i", "4bX\nNOQUEUE: forged"},
  {"nobody knows", "{no such macro}", "x"},
}

for _, macro in ipairs(odd) do
  case("a macro " .. macro[1] .. " keeps no mail from being taken", function()
    local conn = connected()
    sent(mt.macro(conn, SMFIC_MAIL, macro[2], macro[3]))
    sent(mt.mailfrom(conn, "<" .. sender .. ">"))
    sent(mt.macro(conn, SMFIC_RCPT, macro[2], macro[3]))
    sent(mt.rcptto(conn, "<" .. ours .. ">"))
    data(conn)
    content(conn)
    ending(conn, SMFIR_DISCARD)
    mt.disconnect(conn)
  end)
end

case("Postfix's macros of each step are taken", function()
  local conn = mt.connect("unix:" .. socket)
  negotiate(conn, 6, EVERY_ACTION, EVERY_STEP)
  sent(mt.macro(conn, SMFIC_CONNECT, "j", "mail.example.com", "{daemon_name}", "smtpd", "v", "Postfix 3.10.5"))
  if not mt.test_option(conn, SMFIP_NOCONNECT) then sent(mt.conninfo(conn, "client.example.com", "192.0.2.7")) end
  sent(mt.macro(conn, SMFIC_MAIL, "i", "4bXq7y1Z", "{mail_addr}", sender, "{mail_host}", "h", "{mail_mailer}", "smtp"))
  sent(mt.mailfrom(conn, "<" .. sender .. ">"))
  sent(mt.macro(conn, SMFIC_RCPT, "{rcpt_addr}", ours, "{rcpt_host}", "h", "{rcpt_mailer}", "smtp"))
  sent(mt.rcptto(conn, "<" .. ours .. ">"))
  data(conn)
  content(conn)
  ending(conn, SMFIR_DISCARD)
  mt.disconnect(conn)
end)

case("a client's address of no known family is taken", function()
  local conn = mt.connect("unix:" .. socket)
  negotiate(conn, 6, EVERY_ACTION, EVERY_STEP)
  if not mt.test_option(conn, SMFIP_NOCONNECT) then sent(mt.conninfo(conn, "client.example.com", "unspec")) end
  taken(conn)
  mt.disconnect(conn)
end)
