-- What the scripts beside this one share: a connection, a mail in its steps, what is expected of an answer.
-- Each case prints a line of TAP ("ok NAME" or "not ok NAME: why"); proof/conformance/scripts.py reads them.
--
-- Given by -D: socket, ours (a recipient whose mail the milter takes), other (one whose mail is none of its business),
-- sender, mail (a file: a mail that is taken), declined and actions (names of what is negotiated, with blanks between).

STEPS = {
  "SMFIP_NOCONNECT", "SMFIP_NOHELO", "SMFIP_NOMAIL", "SMFIP_NORCPT", "SMFIP_NOBODY", "SMFIP_NOHDRS", "SMFIP_NOEOH",
  "SMFIP_NR_HDR", "SMFIP_NOUNKNOWN", "SMFIP_NODATA", "SMFIP_SKIP", "SMFIP_RCPT_REJ", "SMFIP_NR_CONN", "SMFIP_NR_HELO",
  "SMFIP_NR_MAIL", "SMFIP_NR_RCPT", "SMFIP_NR_DATA", "SMFIP_NR_UNKN", "SMFIP_NR_EOH", "SMFIP_NR_BODY", "SMFIP_HDR_LEADSPC",
}
ACTIONS = {
  "SMFIF_ADDHDRS", "SMFIF_CHGBODY", "SMFIF_ADDRCPT", "SMFIF_DELRCPT", "SMFIF_CHGHDRS", "SMFIF_QUARANTINE",
  "SMFIF_CHGFROM", "SMFIF_ADDRCPT_PAR", "SMFIF_SETSYMLIST",
}
EVERY_STEP = 0x1fffff
EVERY_ACTION = 0x1ff

mt.set_timeout(30)

function case(name, body)
  local fine, why = pcall(body)
  if fine then
    mt.echo("ok " .. name)
  else
    mt.echo("not ok " .. name .. ": " .. tostring(why))
  end
end

function sent(failure)
  if failure ~= nil then error(failure, 2) end
end

function answer(conn, wanted, where)
  local got = mt.getreply(conn)
  if got ~= wanted then
    error(where .. ": expected " .. string.char(wanted) .. ", got " .. (got == 0 and "nothing" or string.char(got)), 2)
  end
end

-- miltertest 1.6 takes steps before actions, other than its manual says.
function negotiate(conn, version, actions, steps)
  sent(mt.negotiate(conn, version, steps, actions))
end

-- A connection on which the MTA offers what Postfix offers, or what the arguments say.
function connected(version, actions, steps)
  local conn = mt.connect("unix:" .. socket, 50, 0.1)
  if conn == nil then error("nobody answers on " .. socket, 2) end
  negotiate(conn, version or 6, actions or EVERY_ACTION, steps or EVERY_STEP)
  if not mt.test_option(conn, SMFIP_NOCONNECT) then
    sent(mt.conninfo(conn, "client.example.com", "192.0.2.7"))
    answer(conn, SMFIR_CONTINUE, "connect")
  end
  if not mt.test_option(conn, SMFIP_NOHELO) then
    sent(mt.helo(conn, "client.example.com"))
    answer(conn, SMFIR_CONTINUE, "helo")
  end
  return conn
end

function envelope(conn, ...)
  sent(mt.mailfrom(conn, "<" .. sender .. ">"))
  answer(conn, SMFIR_CONTINUE, "mail")
  for _, rcpt in ipairs({...}) do
    sent(mt.rcptto(conn, "<" .. rcpt .. ">"))
    answer(conn, SMFIR_CONTINUE, "rcpt")
  end
end

function data(conn, wanted)
  sent(mt.data(conn))
  answer(conn, wanted or SMFIR_CONTINUE, "data")
end

-- The mail in the file: a list of {name, value}, and the body.
function mail_of(file)
  local handle = assert(io.open(file, "rb"))
  local raw = handle:read("*a")
  handle:close()
  local ends = raw:find("\r\n\r\n", 1, true)
  local fields = {}
  for line in (raw:sub(1, ends + 1):gsub("\r\n([ \t])", "\n%1")):gmatch("(.-)\r\n") do
    local colon = line:find(":", 1, true)
    table.insert(fields, {line:sub(1, colon - 1), line:sub(colon + 1)})
  end
  return fields, raw:sub(ends + 4)
end

FIELDS, BODY = mail_of(mail)

function header(conn, name, value)
  -- Postfix keeps the blank after the colon where that was negotiated.
  if not mt.test_option(conn, SMFIP_HDR_LEADSPC) then value = value:gsub("^ ", "") end
  sent(mt.header(conn, name, value))
  answer(conn, SMFIR_CONTINUE, "header " .. name)
end

function headers(conn)
  for _, field in ipairs(FIELDS) do header(conn, field[1], field[2]) end
end

function end_of_header(conn)
  sent(mt.eoh(conn))
  answer(conn, SMFIR_CONTINUE, "eoh")
end

function body(conn, size)
  size = size or 65535
  for from = 1, #BODY, size do
    sent(mt.bodystring(conn, BODY:sub(from, from + size - 1)))
    answer(conn, SMFIR_CONTINUE, "body")
  end
end

function ending(conn, wanted, where)
  sent(mt.eom(conn))
  answer(conn, wanted, where or "eom")
end

-- Everything up to the end of the message.
function content(conn)
  headers(conn)
  end_of_header(conn)
  body(conn)
end

-- A whole mail of ours, which is taken and goes no further.
function taken(conn)
  envelope(conn, ours)
  data(conn)
  content(conn)
  ending(conn, SMFIR_DISCARD)
end

-- A mail that is none of the milter's business: its body is never asked for.
function passed(conn)
  envelope(conn, other)
  data(conn, SMFIR_ACCEPT)
end

function refused_for_now(conn)
  sent(mt.eom(conn))
  local got = mt.getreply(conn)
  if got == SMFIR_TEMPFAIL then return end
  answer(conn, SMFIR_REPLYCODE, "eom")
end
