-- Takes the lines of requests to the logplex, those of a moment at a time: one that wakes rsyslogd up for itself costs
-- both of them more than the request does. While rsyslogd is away or slow they wait.

local ngx, date = ngx, os.date

local PAUSE, AGAIN, AWAY = 0.02, 0.005, 1
-- Bytes of a line, as rsyslogd takes them, and of all that wait in a worker process.
local LONGEST, ROOM = 16000, 10 * 1024 * 1024
-- Seconds that a worker process which is to end waits for rsyslogd.
local GRACE = 60

local waiting, first, last, bytes = {}, 1, 0, 0
local armed = false
-- Of each app: how many lines there was no room for, and since when.
local lost = {}

local lines = {}

local function append(text)
	last = last + 1
	waiting[last] = text
	bytes = bytes + #text
end

-- The socket holds a few hundred lines, and takes none while it is full.
local function deliver(socket)
	while first <= last and socket:send(waiting[first]) do
		bytes = bytes - #waiting[first]
		waiting[first] = nil
		first = first + 1
	end
end

-- Contract 4.3, L10.
local function tell_losses()
	for app, loss in pairs(lost) do
		local text = "<172>%s/heroku/logplex: Error L10 (output buffer overflow): %d messages dropped since %s."
		append(text:format(app, loss.count, loss.since))
	end
	lost = {}
end

-- How long to wait before the next try.
local function try()
	local before, socket = first, ngx.socket.udp()
	if not socket:setpeername("unix:/run/deployer/log") then
		return AWAY
	end
	deliver(socket)
	socket:close()
	if first > last then
		first, last = 1, 0
		tell_losses()
		return AGAIN
	end
	return first > before and AGAIN or PAUSE
end

local function send()
	local ends
	repeat
		local pause = try()
		if ngx.worker.exiting() then
			ends = ends or ngx.now() + GRACE
		end
		if first <= last then
			ngx.sleep(pause)
		end
	until first > last or ends and ngx.now() > ends
	armed = false
end

-- A worker process that is to end may only begin what is due at once.
local function arm()
	armed = armed or ngx.timer.at(PAUSE, send) or ngx.timer.at(0, send)
end

local function lose(app)
	lost[app] = lost[app] or { count = 0, since = date("!%Y-%m-%dT%H:%M:%S+00:00") }
	lost[app].count = lost[app].count + 1
end

function lines.put(app, text)
	if bytes < ROOM then
		append(("<134>" .. app .. "/heroku/router: " .. text):sub(1, LONGEST))
	else
		lose(app)
	end
	arm()
end

return lines
