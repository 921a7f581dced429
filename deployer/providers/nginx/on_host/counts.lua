-- Counts of requests by status and by code, and how long they took, as Prometheus text.

local ngx, pairs = ngx, pairs
local mesh = require((...):gsub("counts$", "mesh"))

local BOUNDS = { 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60 }
local PAUSE = 1
-- What this worker process has counted of each app since it last wrote to the dict of all.
local pending = {}

local counts = {}

local function begun(app)
	local row = { status = {}, code = {}, bucket = {}, seconds = 0, armed = false }
	pending[app] = row
	return row
end

-- A write for each request would have all worker processes wait for each other's lock.
local function write(_, app)
	local row, dict = pending[app], mesh.dict(app)
	begun(app)
	for _, kind in pairs({ "status", "code", "bucket" }) do
		for key, number in pairs(row[kind]) do
			dict:incr(kind .. ":" .. key, number, 0)
		end
	end
	dict:incr("seconds", row.seconds, 0)
end

local function bucket(seconds)
	local i = 1
	while BOUNDS[i] and seconds > BOUNDS[i] do
		i = i + 1
	end
	return i
end

local function count(row, key)
	row[key] = (row[key] or 0) + 1
end

function counts.add(app, status, code, seconds)
	local row = pending[app] or begun(app)
	row.armed = row.armed or ngx.timer.at(PAUSE, write, app) or ngx.timer.at(0, write, app)
	row.seconds = row.seconds + seconds
	count(row.status, status)
	count(row.bucket, bucket(seconds))
	if code then
		count(row.code, code)
	end
end

-- The dicts of all apps of this router, by app, whichever Lua counts for them.
local function apps()
	local found = {}
	for name, dict in pairs(ngx.shared) do
		local app = name:match("^deployer%.([^.]+)$")
		if app then
			found[#found + 1] = { name = app, dict = dict }
		end
	end
	table.sort(found, function(one, other) return one.name < other.name end)
	return found
end

local function sorted(dict, kind)
	local found = {}
	for _, key in ipairs(dict:get_keys(0)) do
		local value = key:match("^" .. kind .. ":(.+)$")
		if value then
			found[#found + 1] = { label = value, count = dict:get(key) }
		end
	end
	table.sort(found, function(one, other) return one.label < other.label end)
	return found
end

local function by(all, kind, metric, label)
	ngx.print("# TYPE ", metric, " counter\n")
	for _, app in ipairs(all) do
		for _, row in ipairs(sorted(app.dict, kind)) do
			ngx.print(('%s{app="%s",%s="%s"} %d\n'):format(metric, app.name, label, row.label, row.count))
		end
	end
end

local function histogram(name, app, dict)
	local sum = 0
	for i = 1, #BOUNDS + 1 do
		sum = sum + (dict:get("bucket:" .. i) or 0)
		ngx.print(('%s_bucket{app="%s",le="%s"} %d\n'):format(name, app, BOUNDS[i] or "+Inf", sum))
	end
	ngx.print(('%s_sum{app="%s"} %.3f\n'):format(name, app, dict:get("seconds") or 0))
	ngx.print(('%s_count{app="%s"} %d\n'):format(name, app, sum))
end

function counts.show()
	local all, name = apps(), "deployer_router_seconds"
	by(all, "status", "deployer_router_requests_total", "status")
	by(all, "code", "deployer_router_errors_total", "code")
	ngx.print("# TYPE ", name, " histogram\n")
	for _, app in ipairs(all) do
		histogram(name, app.name, app.dict)
	end
end

return counts
