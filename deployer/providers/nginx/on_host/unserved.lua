-- A request that got no answer from a dyno: it waits while dynos boot, or is told why.

local ngx = ngx
local here = (...):gsub("unserved$", "")
local mesh, tries, states = require(here .. "mesh"), require(here .. "tries"), require(here .. "states")

local PATIENCE, PAUSE = 75, 0.5
-- nginx ends a request at its tenth internal redirect, and each round takes two.
local ROUNDS = 4
local STATUS = { H25 = 502 }

-- What refused tries mean, by what the dynos' hosts say: crashed, booting, or up and refusing. One that is stopped is
-- about to start again, or else nobody knows when it will.
local function explained(app, code)
	local now = states(app)
	if now.starting + now.stopped > 0 and now.up == 0 then
		return "H20"
	elseif now.up + now.unknown + now.starting == 0 then
		return "H10"
	end
	return code
end

local function takes(peer)
	local socket = ngx.socket.tcp()
	socket:settimeout(PAUSE * 1000)
	local is_there = socket:connect(peer.host, peer.port)
	socket:close()
	return is_there
end

-- Whether a dyno takes connections again. One request at a time looks, for all that wait.
local function is_back(app)
	if app.dict:get("back") then
		return true
	elseif not app.dict:add("looking", true, PAUSE) then
		return false
	end
	for _, peer in ipairs(app.peers) do
		if takes(peer) then
			mesh.release(app, peer.at)
			app.dict:set("back", true, PAUSE)
			return true
		end
	end
	return false
end

local function has_body()
	return ngx.var.http_content_length ~= nil or ngx.var.http_transfer_encoding ~= nil
end

-- The code at last, or nil when it is worth another try. What has a body cannot be sent again by nginx.
local function waited(app, code)
	local last = ngx.req.start_time() + PATIENCE
	local found = explained(app, code)
	local may_wait = not has_body() and tonumber(ngx.var.deployer_rounds) < ROUNDS
	while may_wait and (found == "H20" or found == "H34") and ngx.now() < last do
		ngx.sleep(PAUSE)
		if is_back(app) then
			return nil
		end
		found = explained(app, code)
	end
	return found
end

local function decided(app)
	local code = ngx.var.deployer_code
	if code ~= "" then
		return code
	elseif ngx.var.limit_conn_status == "REJECTED" then
		return "H22"
	elseif ngx.status == 500 then
		return "H99"
	end
	local all = tries.all()
	code = tries.code(all)
	if tries.sent(all) then
		return code
	end
	for _, try in ipairs(all) do
		mesh.quarantine(app, try.at)
	end
	return waited(app, code)
end

local function answer(app, code)
	ngx.var.deployer_code = code
	ngx.status = STATUS[code] or 503
	ngx.header["Content-Type"] = "text/html; charset=utf-8"
	ngx.header["Cache-Control"] = "no-store"
	ngx.print(app.pages[code] or app.pages.other)
end

return function(name)
	local app = mesh.of(name)
	local code = decided(app)
	if code then
		return answer(app, code)
	end
	ngx.var.deployer_rounds = ngx.var.deployer_rounds + 1
	ngx.exec("@deployer_again")
end
