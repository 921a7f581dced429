-- What the hosts of an app's dynos say of them: asked only when no dyno took a request, at most once a second.

local ngx = ngx

local PORT, WAIT, KEPT = 20515, 1000, 1

local function get(host)
	local socket = ngx.socket.tcp()
	socket:settimeout(WAIT)
	if not socket:connect(host, PORT) then
		return ""
	end
	socket:send("GET /dynos HTTP/1.0\r\nHost: " .. host .. "\r\n\r\n")
	local answer = socket:receive("*a") or ""
	socket:close()
	return answer:match("^HTTP/1%.[01] 200 .-\r\n\r\n(.*)$") or ""
end

local function ask(dict, host)
	local known = dict:get("states:" .. host)
	if not known then
		known = get(host)
		dict:set("states:" .. host, known, KEPT)
	end
	return known
end

local function hosts(app)
	local found, seen = {}, {}
	for _, peer in ipairs(app.peers) do
		if not seen[peer.host] then
			seen[peer.host] = true
			found[#found + 1] = ngx.thread.spawn(ask, app.dict, peer.host)
		end
	end
	return found
end

-- How many of the app's web dynos are `starting`, `up`, `crashed`, `stopped`, or `unknown` for their host is silent.
return function(app)
	local states, count = {}, { starting = 0, up = 0, crashed = 0, stopped = 0, unknown = 0 }
	for _, thread in ipairs(hosts(app)) do
		local _, text = ngx.thread.wait(thread)
		for key, state in (text or ""):gmatch("(%S+) (%S+)") do
			states[key] = state
		end
	end
	for _, peer in ipairs(app.peers) do
		local state = states[peer.key] or "unknown"
		count[state] = (count[state] or 0) + 1
	end
	return count
end
