-- Creates one address after another, each with a random app password and a name of its own.
local thread = 0

function setup(t)
    t:set("number", thread)
    thread = thread + 1
end

function init()
    count = 0
    wrk.method = "POST"
    wrk.headers["Authorization"] = "Bearer " .. os.getenv("KEY")
    wrk.headers["Content-Type"] = "application/json"
end

function request()
    count = count + 1
    local name = string.format("n%d-%d-%s", number, count, os.getenv("ROUND"))
    -- A plan has 100 addresses, and the jobs take 20 of them.
    local domain = tonumber(os.getenv("FIRST")) + number * 5000 + math.floor(count / 80)
    return wrk.format(nil, "/api/v1/addresses", nil, string.format(
        '{"address":"%s@d%d.example","app_password":"phone"}', name, domain))
end

local failed = 0
function response(status)
    if status ~= 201 then
        failed = failed + 1
        if failed == 1 then io.stderr:write("status ", status, "\n") end
    end
end
