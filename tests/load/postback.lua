-- Owns what wrk sends and reports: a postback with a click id never used before, and one line of JSON at the end.
--
--   wrk -t1 -c64 -d5s --timeout 10s -s postback.lua http://127.0.0.1:8000 -- 0123456789abcdef
--
-- The argument is the run's seed, 16 hex digits, different for every run into the same database. A second one is added
-- to each query as it is (&key=…).
-- A click id is 32 hex digits: two scrambled forms of the counter, then the thread and the seed. The first form is a
-- bijection of the counter, so no id repeats, and it jumps about, so neighbours in time land on different B-tree pages.

local bit = require("bit")
local bxor, rshift, tobit, tohex = bit.bxor, bit.rshift, bit.tobit, bit.tohex

local threads = 0

function setup(thread)
  thread:set("thread_number", threads)
  threads = threads + 1
end

-- A bijection on 32 bits. The factors stay below 2^19, so that a product is exact in a double before tobit wraps it.
local function scramble(x)
  x = bxor(x, rshift(x, 16))
  x = tobit(x * 0x5bd1d)
  x = bxor(x, rshift(x, 13))
  x = tobit(x * 0x6c8e9)
  return bxor(x, rshift(x, 16))
end

local before, after, first_salt, second_salt
local counter = 0

function init(arguments)
  local seed = arguments[1]
  assert(seed and #seed == 16 and not seed:find("%X"), "the seed after -- must be 16 hex digits")
  first_salt = tobit(tonumber(seed:sub(1, 8), 16) + thread_number * 0x9e3779)
  second_salt = tobit(tonumber(seed:sub(9, 16), 16) + thread_number * 0x85ebca)
  local request = wrk.format("GET", "/postback?c=@&value=1.25" .. (arguments[2] or ""))
  local at = request:find("@", 1, true)
  before = request:sub(1, at - 1)
  after = tohex(thread_number, 2) .. seed:sub(1, 14) .. request:sub(at + 1)
end

function request()
  counter = counter + 1
  return before .. tohex(scramble(bxor(counter, first_salt))) .. tohex(scramble(counter + second_salt)) .. after
end

-- Times are microseconds here and milliseconds in the report. wrk counts an answer above 399 as a status error.
function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '{"requests":%d,"seconds":%.6f,"p50_ms":%.3f,"p99_ms":%.3f,"status_errors":%d,"socket_errors":%d,"timeouts":%d}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    errors.status, errors.connect + errors.read + errors.write, errors.timeout))
end
