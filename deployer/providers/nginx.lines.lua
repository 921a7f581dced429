-- Takes the lines of requests to the logplex, those of a moment at a time: one that wakes rsyslogd up for itself costs
-- both of them more than the request does. While rsyslogd is away or slow they wait.

local ngx, date = ngx, os.date

local PAUSE, AGAIN = 0.02, 0.005
-- Lines that wait in each worker process, about 10 MB.
local ROOM = 30000

local waiting, first, last = {}, 1, 0
local armed = false
-- Of each app: how many lines there was no room for, and since when.
local lost = {}

local lines, send = {}, nil

-- A worker process that is to end may only begin what is due at once.
local function arm(pause)
	armed = ngx.timer.at(pause, send) or ngx.timer.at(0, send)
end

local function append(text)
	last = last + 1
	waiting[last] = text
end

-- The socket holds a few hundred lines, and takes none while it is full.
local function deliver(socket)
	while first <= last and socket:send(waiting[first]) do
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

function send()
	local before, socket = first, ngx.socket.udp()
	if socket:setpeername("unix:/run/deployer/log") then
		deliver(socket)
		socket:close()
	end
	if first > last then
		tell_losses()
	end
	armed = false
	if first <= last then
		arm(first > before and AGAIN or PAUSE)
	end
end

local function lose(app)
	lost[app] = lost[app] or { count = 0, since = date("!%Y-%m-%dT%H:%M:%S+00:00") }
	lost[app].count = lost[app].count + 1
end

function lines.put(app, text)
	if last - first >= ROOM then
		return lose(app)
	end
	append("<134>" .. app .. "/heroku/router: " .. text)
	if not armed then
		arm(PAUSE)
	end
end

return lines
