-- The line of each request, in Heroku's form (contract 5.6), and what a response that breaks off was cut by.

local ngx, tonumber = ngx, tonumber
local format, floor, max = string.format, math.floor, math.max
local here = (...):gsub("told$", "")
local mesh, tries = require(here .. "mesh"), require(here .. "tries")
local counts, lines = require(here .. "counts"), require(here .. "lines")

local LINE, REQUEST_ID = mesh.common .. "_line", mesh.common .. "_request_id"
local DESC = {
	H10 = "App crashed",
	H12 = "Request timeout",
	H13 = "Connection closed without response",
	H14 = "No web processes running",
	H15 = "Idle connection",
	H17 = "Poorly formatted HTTP response",
	H18 = "Server Request Interrupted",
	H19 = "Backend connection timeout",
	H20 = "App boot timeout",
	H21 = "Backend connection refused",
	H22 = "Connection limit reached",
	H25 = "HTTP restriction: oversized header",
	H26 = "Request Error",
	H27 = "Client Request Interrupted",
	H28 = "Client Connection Idle",
	H32 = "TLS Certificate Mismatch",
	H34 = "All up dynos are quarantined",
	H80 = "Maintenance mode",
	H99 = "Platform error",
}
local AT = { H27 = "warning", H28 = "warning", H80 = "info" }
local SOCK = { H18 = "sock=backend ", H27 = "sock=client " }
local NO_CONNECTION = { H10 = true, H14 = true, H20 = true, H22 = true, H26 = true, H34 = true, H80 = true }
local NO_ANSWER = { H12 = true, H13 = true, H17 = true, H25 = true, H28 = true }
local PROTOCOL = { ["HTTP/1.0"] = "http1.0", ["HTTP/2.0"] = "http2.0" }
local REFUSED = { [400] = true, [413] = true, [414] = true, [417] = true, [494] = true }

local told = {}

-- When a dyno fails in mid-response nginx sends one more, empty buffer; when the client goes, or all is sent, it does
-- not. (The very first buffer may be empty, too.)
function told.hear()
	local arg = ngx.arg
	if arg[2] then
		return
	end
	local ctx = ngx.ctx
	local now = ngx.now()
	if ctx.heard and arg[1] == "" then
		ctx.silent = now - ctx.heard
	end
	ctx.heard = now
end

local function bad_request(var, status)
	if status == 417 then
		return "unsupported expect header value"
	end
	local is_head_read = var.deployer_rounds ~= ""
	return is_head_read and var.http_transfer_encoding and "bad chunk" or "bad header"
end

-- The code of what went wrong, and for H26 its cause; nil for what an app answered.
local function code_of(app, var, status)
	local ctx = ngx.ctx
	if ctx.silent then
		return ctx.silent >= (ctx.clock or app.first_byte) - 1 and "H15" or "H18"
	elseif status == 499 then
		return "H27"
	elseif status == 408 and not var.upstream_status then
		return "H28"
	elseif var.request_completion == "" and status < 400 then
		return "H27"
	elseif status < 400 then
		return nil
	end
	local answered = (var.upstream_status or ""):match("(%d*)%D*$")
	if tonumber(answered) == status then
		return nil
	elseif status == 408 then
		return "H28"
	elseif REFUSED[status] then
		return "H26", bad_request(var, status)
	end
	return status >= 500 and "H99" or nil
end

local function escaped(char)
	return char == '"' and '\\"' or char == "\\" and "\\\\" or format("\\x%02x", char:byte())
end

-- Text in quotes that nothing in it can leave.
local function quoted(text)
	return text:find('[%c"\\\127-\255]') and text:gsub('[%c"\\\127-\255]', escaped) or text
end

-- A bare word: no blank in it begins another key.
local function bare(text)
	return text:find('[%c%s"=\\\127-\255]') and text:gsub('[%c%s"=\\\127-\255]', "?") or text
end

local function chain(var)
	local before = var.http_x_forwarded_for
	if not before then
		return var.remote_addr
	end
	return quoted(before:gsub("%s+", "")) .. "," .. var.remote_addr
end

local function ms(seconds)
	return format("%d", floor(max(seconds, 0) * 1000 + 0.5))
end

-- `dyno`, `connect` and `service`, where one try was enough.
local function plain(app, at, var)
	local connect, took = tonumber(var.upstream_connect_time), tonumber(var.upstream_response_time)
	if not connect or not took then
		return app.named[at] or "", "", ""
	end
	return app.named[at] or "", ms(connect) .. "ms", ms(took - connect) .. "ms"
end

-- The same where there were more: all that was before the last connection counts as connecting.
local function winding(app)
	local all = tries.all()
	local last = tries.sent(all) or all[#all]
	if not last then
		return "", "", ""
	end
	local whole = ngx.now() - ngx.req.start_time()
	if last.sent == 0 then
		return app.named[last.at] or "", ms(whole) .. "ms", ""
	end
	local service = last.took - (last.connect or 0)
	return app.named[last.at] or "", ms(whole - service) .. "ms", ms(service) .. "ms"
end

local function dyno(app, var, code)
	local at = var.upstream_addr
	if not at or NO_CONNECTION[code] then
		return "", "", ""
	elseif app.named[at] and code ~= "H19" and code ~= "H21" then
		return plain(app, at, var)
	end
	return winding(app)
end

-- Of what a dyno said; a page of the router's own does not count.
local function bytes(var, code, name, status)
	if code and name == "" or code == "H19" or code == "H21" then
		return ""
	elseif NO_ANSWER[code] or code == "H18" and status >= 500 then
		return "0"
	end
	return var.body_bytes_sent
end

local function tls(var)
	if var.https ~= "on" then
		return "false tls_version=unknown"
	end
	local version = (var.ssl_protocol or ""):match("^TLSv(.+)$")
	return "true tls_version=" .. (version and "tls" .. version or "unknown")
end

local function head(code, cause)
	if not code then
		return "at=info"
	end
	local why = cause and format(' cause="%s"', cause) or ""
	return (SOCK[code] or "") .. "at=" .. (AT[code] or "error") .. " code=" .. code .. ' desc="' .. DESC[code] .. '"' .. why
end

local function line(app, var, status, code, cause)
	local name, connect, service = dyno(app, var, code)
	return head(code, cause)
		.. " method=" .. (var.request_method or "")
		.. ' path="' .. quoted(var.request_uri or "")
		.. '" host=' .. bare(var.host or "")
		.. " request_id=" .. (var[REQUEST_ID] or "")
		.. ' fwd="' .. chain(var)
		.. '" dyno=' .. name
		.. " connect=" .. connect
		.. " service=" .. service
		.. " status=" .. status
		.. " bytes=" .. bytes(var, code, name, status)
		.. " protocol=" .. (PROTOCOL[var.server_protocol] or "http1.1")
		.. " tls=" .. tls(var)
end

-- The line of most requests nginx has composed by itself: of an answer at the first try, to its end, with nothing to quote.
local function composed(var, status)
	local ctx = ngx.ctx
	local is_plain = status < 400 and not ctx.silent and not ctx.again and var.deployer_rounds == "0"
	return is_plain and var[LINE] or ""
end

function told.tell(name)
	local app, var, status = mesh.of(name), ngx.var, ngx.status
	local seconds = ngx.now() - ngx.req.start_time()
	local text = composed(var, status)
	if text ~= "" then
		lines.put(name, text)
		return counts.add(name, status, nil, seconds)
	end
	local code, cause = var.deployer_code, nil
	if not code or code == "" then
		code, cause = code_of(app, var, status)
	end
	if code == "H27" or code == "H28" then
		status = 499
	end
	counts.add(name, status, code, seconds)
	lines.put(name, line(app, var, status, code, cause))
end

return told
