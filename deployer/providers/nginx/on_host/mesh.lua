-- What an app's nginx file says about its mesh, read once in each worker process.

local ngx = ngx
local apps = {}
local mesh = { QUARANTINE = 5 }
-- What the names of nginx's own words begin with that go with this Lua.
mesh.common = "deployer_" .. (...):match("([^.]+)%.mesh$")

-- What all worker processes share.
function mesh.dict(app)
	return ngx.shared["deployer." .. app]
end

local function asked(name, key)
	local var = ngx.var
	var.deployer_ask = key
	return var[name .. "_mesh"]
end

-- Each peer has `key` (hello.web.1.v3), `dyno` (web.1), `at` (host:port), `host` and `port`.
local function peers(name)
	local found, line = {}, asked(name, 1)
	while line ~= "" do
		local key, host, port = line:match("^(%S+) (%S+):(%d+)$")
		local dyno = key:match("^[^.]+%.(.+)%.v%d+$")
		found[#found + 1] = { key = key, dyno = dyno, at = host .. ":" .. port, host = host, port = tonumber(port) }
		line = asked(name, #found + 1)
	end
	return found
end

local function read(app)
	local name = app:gsub("-", "_")
	local found = { name = app, peers = peers(name), named = {}, dict = mesh.dict(app) }
	for _, peer in ipairs(found.peers) do
		found.named[peer.at] = peer.dyno
	end
	found.first_byte = tonumber(asked(name, "first_byte"))
	found.idle = tonumber(asked(name, "idle"))
	found.pages = {
		H80 = asked(name, "maintenance_page"),
		H14 = asked(name, "empty_page"),
		other = asked(name, "error_page"),
	}
	return found
end

function mesh.of(app)
	local found = apps[app]
	if not found then
		found = read(app)
		apps[app] = found
	end
	return found
end

-- Leaves out a dyno that took no connection, on this router alone (Heroku contract 5.1).
function mesh.quarantine(app, at)
	app.dict:set("ill:" .. at, true, mesh.QUARANTINE)
	app.dict:set("ill", true, mesh.QUARANTINE)
end

function mesh.release(app, at)
	app.dict:delete("ill:" .. at)
end

-- The peers that are not left out now.
function mesh.well(app)
	if not app.dict:get("ill") then
		return app.peers
	end
	local found = {}
	for _, peer in ipairs(app.peers) do
		if not app.dict:get("ill:" .. peer.at) then
			found[#found + 1] = peer
		end
	end
	return found
end

return mesh
