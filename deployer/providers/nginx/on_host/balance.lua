-- Chooses the dyno for a try: the next in turn of all worker processes together, without those in quarantine.

local ngx, tonumber = ngx, tonumber
local balancer = require("ngx.balancer")
local mesh = require((...):gsub("balance$", "mesh"))

-- To nginx there is nobody then: it answers 502, and what becomes of that is told elsewhere.
local NOBODY = -3
local DYNO = mesh.common .. "_dyno"

-- Whether the last try got as far as sending: then the request may have been served, whatever came of it.
local function was_sent()
	local sent = ngx.var.upstream_bytes_sent:match("(%d+)%D*$")
	return tonumber(sent) > 0
end

local function last_address()
	return ngx.var.upstream_addr:match("(%S+:%d+)[,: ]*$")
end

return function(name)
	local app = mesh.of(name)
	if balancer.get_last_failure() then
		if was_sent() then
			return ngx.exit(NOBODY)
		end
		mesh.quarantine(app, last_address())
		ngx.ctx.again = true
	end
	local peers = mesh.well(app)
	local count = #peers
	if count == 0 then
		return ngx.exit(NOBODY)
	end
	local peer = peers[app.dict:incr("turn", 1, 0) % count + 1]
	local var = ngx.var
	local accept = var.http_accept
	if var.http_upgrade or accept and accept:find("text/event-stream", 1, true) then
		balancer.set_timeouts(nil, nil, app.idle)
		ngx.ctx.clock = app.idle
	end
	var[DYNO] = peer.dyno
	balancer.set_current_peer(peer.host, peer.port)
end
