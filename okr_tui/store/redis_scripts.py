"""What the server does in one step, in its own language."""

APPEND = """
local done = redis.call('GET', KEYS[3])
if done then return tonumber(done) end
local last = math.max(tonumber(ARGV[1]), tonumber(redis.call('GET', KEYS[2]) or 0))
for i = 2, #ARGV, 2 do
    last = last + 1
    redis.call('XADD', KEYS[1], last .. '-0', 'at', ARGV[i], 'body', ARGV[i + 1])
end
redis.call('SET', KEYS[2], last)
redis.call('SET', KEYS[3], last, 'EX', 60)
return last
"""
TRIM = """
local through, before, most = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local bytes, place = tonumber(ARGV[5]), 0
for _, entry in ipairs(redis.call('XREVRANGE', KEYS[1], ARGV[4], '-', 'COUNT', ARGV[6])) do
    place = tonumber(string.match(entry[1], '%d+'))
    local at, body = tonumber(entry[2][2]), entry[2][4]
    bytes = bytes + #body
    if place <= through and (at < before or bytes > most) then
        redis.call('XDEL', KEYS[1], entry[1])
    end
end
return {place, bytes}
"""
LEASE = """
local held = redis.call('HMGET', KEYS[1], 'owner', 'until')
if held[1] and held[1] ~= ARGV[1] and tonumber(held[2]) > tonumber(ARGV[2]) then return 0 end
redis.call('HSET', KEYS[1], 'owner', ARGV[1], 'until', ARGV[3])
return 1
"""
