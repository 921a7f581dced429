-- What nginx noted of each try to reach a dyno, and the error code that they amount to (Heroku contract 4.1).

local ngx, tonumber = ngx, tonumber

local BUFFER = 64 * 1024

-- The items of one of nginx's lists: " : " stands before the tries after an internal redirect.
local function split(list)
	local found = {}
	for item in (list:gsub(" : ", ", ") .. ", "):gmatch("(.-), ") do
		found[#found + 1] = item
	end
	return found
end

local tries = {}

-- Each has `at`, `status`, `sent` and `received` in bytes, `connect` and `took` in ms (nil where it did not come to that).
function tries.all()
	local var, found = ngx.var, {}
	local addresses = split(var.upstream_addr or "")
	local sent, received = split(var.upstream_bytes_sent or ""), split(var.upstream_bytes_received or "")
	local statuses = split(var.upstream_status or "")
	local connects, times = split(var.upstream_connect_time or ""), split(var.upstream_response_time or "")
	for i, at in ipairs(addresses) do
		if at ~= "" then
			found[#found + 1] = {
				at = at,
				status = statuses[i],
				sent = tonumber(sent[i]) or 0,
				received = tonumber(received[i]) or 0,
				connect = tonumber(connects[i]),
				took = tonumber(times[i]) or 0,
			}
		end
	end
	return found
end

-- The try that reached a dyno, or nil.
function tries.sent(all)
	for i = #all, 1, -1 do
		if all[i].sent > 0 then
			return all[i]
		end
	end
end

local function of_sent(try)
	if try.status == "504" then
		return "H12"
	elseif (tonumber(ngx.var.http_content_length) or 0) > try.sent then
		return "H18"
	elseif try.received >= BUFFER then
		return "H25"
	end
	return try.received > 0 and "H17" or "H13"
end

-- H34 where none was even tried, for all were in quarantine.
function tries.code(all)
	local sent = tries.sent(all)
	if sent then
		return of_sent(sent)
	elseif #all == 0 then
		return "H34"
	end
	for _, try in ipairs(all) do
		if try.status == "504" then
			return "H19"
		end
	end
	return "H21"
end

return tries
