-- The Lua binding: results, errors, lifetime. LUA_CPATH must lead to dsa.so.
local dsa = require "dsa"

local tests = {}

local function same(found, ...)
  local want = {...}
  assert(#found == #want, "found " .. #found .. " values, want " .. #want)
  for i = 1, #want do
    assert(math.abs(found[i] - want[i]) < 1e-5, "value " .. i .. " is " .. found[i])
  end
end

local function fails(text, call, ...)
  local ok, err = pcall(call, ...)
  assert(not ok, "no error, want: " .. text)
  assert(tostring(err):find(text, 1, true), "error is: " .. tostring(err))
  return err
end

local function topk_of(scores)
  local d = dsa.TopkDesc()
  d.scores = scores
  d.k = 2
  d.indices = dsa.Tensor(dsa.I32, {2, 2})
  return d
end

local kScores = {{1, 9, 3, 9}, {-2, -1, -4, -3}}

function tests.topk()
  local ctx = dsa.Context()
  local scores = dsa.Tensor(dsa.F32, {2, 4}, kScores)
  local d = topk_of(scores)
  d.values = dsa.Tensor(dsa.F32, {2, 2})
  ctx:topk(d)
  same(d.indices:get(), 1, 3, 0, 1)
  same(d.values:get(), 9, 9, -2, -1)
  scores:set({5, 4, 3, 2, 1, 2, 3, 4})
  ctx:topk(d)
  same(d.indices:get(), 0, 1, 2, 3)
end

function tests.transposed_view()
  local ctx = dsa.Context()
  local d = dsa.TopkDesc()
  d.scores = dsa.Tensor(dsa.F32, {2, 4}, kScores):view({4, 2}, {1, 4}, 0)
  d.k = 1
  d.indices = dsa.Tensor(dsa.I32, {4, 1})
  ctx:topk(d)
  same(d.indices:get(), 0, 0, 0, 0)
  assert(d.scores:extent(0) == 4 and d.scores:step(1) == 4)
end

function tests.half_precision_as_bits()
  local ctx = dsa.Context()
  local d = dsa.TopkDesc()
  d.scores = dsa.Tensor(dsa.BF16, {1, 4}, {0x3f80, 0x4000, 0xbf80, 0x4040}) -- 1 2 -1 3
  d.k = 2
  d.order = dsa.ORDER_SCORE
  d.values = dsa.Tensor(dsa.BF16, {1, 2})
  ctx:topk(d)
  same(d.values:get(), 0x4040, 0x4000)
end

function tests.one_layer()
  local ctx = dsa.Context()
  local s = dsa.IndexerTopkDesc()
  -- Keys 0 .. 3 score 1, 4, 2, 3; the causal row at position 2 sees the first three.
  s.q = dsa.Tensor(dsa.F32, {1, 1, 2}, {1, 0})
  s.keys = dsa.Tensor(dsa.F32, {4, 2}, {{1, 7}, {4, 7}, {2, 7}, {3, 7}})
  s.flags = dsa.CAUSAL
  s.offset = 2
  s.k = 2
  s.indices = dsa.Tensor(dsa.I32, {1, 2})
  ctx:indexer_topk(s)
  same(s.indices:get(), 1, 2)

  local a = dsa.SparseAttnDesc()
  a.q = dsa.Tensor(dsa.F32, {1, 1, 2}, {math.log(3), 0})
  a.kv = dsa.Tensor(dsa.F32, {4, 2}, {{9, 9}, {0, 4}, {1, 8}, {9, 9}})
  a.indices = s.indices
  a.k = 2
  a.scale = 1
  a.out = dsa.Tensor(dsa.F32, {1, 1, 2})
  a.lse = dsa.Tensor(dsa.F32, {1, 1})
  ctx:sparse_attn(a)
  same(a.out:get(), 0.75, 7)
  same(a.lse:get(), math.log(4))

  local m = dsa.MergeLseDesc()
  m.partial_out = dsa.Tensor(dsa.F32, {2, 1, 1, 2}, {4, 0, 1, 3})
  m.partial_lse = dsa.Tensor(dsa.F32, {2, 1, 1}, {0, math.log(2)}) -- weights 1 and 2
  m.out = dsa.Tensor(dsa.F32, {1, 1, 2})
  ctx:merge_lse(m)
  same(m.out:get(), 2, 2)
end

function tests.plans_and_kernels()
  local ctx = dsa.Context()
  local d = topk_of(dsa.Tensor(dsa.F32, {2, 4}, kScores))
  ctx:check_support(d)
  local plan = ctx:plan(d)
  assert(plan:kernel():find("^cpu%.topk%."))
  local exec = dsa.Exec()
  exec:set_plan(plan)
  exec:set_workspace(dsa.Tensor(dsa.U8, {math.max(1, ctx:workspace_size(d))}))
  ctx:topk(d, exec)
  same(d.indices:get(), 1, 3, 0, 1)
  local names = {}
  for i = 0, ctx:kernel_count() - 1 do names[ctx:kernel(i).name] = true end
  assert(names["cpu.topk.scalar"])
  assert(ctx:describe():find('"kernels"', 1, true))
  assert(dsa.status_name(dsa.ERROR_INVALID) == "DSA_ERROR_INVALID")
  assert(dsa.abi_version() == dsa.ABI_VERSION)
end

function tests.wrong_shape()
  local ctx = dsa.Context()
  local d = topk_of(dsa.Tensor(dsa.F32, {2, 4}))
  d.indices = dsa.Tensor(dsa.I32, {2, 1})
  local err = fails("topk.indices.shape[1] is 1, k is 2", ctx.topk, ctx, d)
  assert(err.status == dsa.ERROR_INVALID)
  fails("tensor.shape has 6 axes, must have 1 to 5", dsa.Tensor, dsa.F32, {1, 1, 1, 1, 1, 1})
  fails("tensor.shape[1] is -1, must be 0 to 2^40", dsa.Tensor, dsa.F32, {2, -1})
  fails("tensor.shape[0] is not an integer", dsa.Tensor, dsa.F32, {"x"})
end

function tests.wrong_dtype()
  local ctx = dsa.Context()
  local d = topk_of(dsa.Tensor(dsa.F32, {2, 4}))
  d.indices = dsa.Tensor(dsa.F32, {2, 2})
  fails("topk.indices.dtype is 1 (f32), which this field does not take", ctx.topk, ctx, d)
  fails("tensor.dtype is 99", dsa.Tensor, 99, {2})
  fails("value 2 is not an integer", dsa.Tensor, dsa.I32, {2}, {1, 1.5})
  fails("value 1 is 65536, must be 0 to 65535", dsa.Tensor, dsa.BF16, {1}, {65536})
  fails("value 2 is a boolean", dsa.Tensor, dsa.F32, {2}, {1, true})
end

function tests.wrong_type()
  local ctx = dsa.Context()
  local d = dsa.TopkDesc()
  fails("expected", function() d.scores = "scores" end)
  fails("Wrong arguments", ctx.topk, ctx, 7)
  fails("No setter", function() d.nothing = 1 end)
  fails("descriptor is NULL", ctx.check_support, ctx, nil)
end

function tests.closed()
  local ctx = dsa.Context()
  local d = topk_of(dsa.Tensor(dsa.F32, {2, 4}))
  local tensor = dsa.Tensor(dsa.F32, {2, 4})
  tensor:close()
  tensor:close()
  fails("the tensor is closed", tensor.get, tensor)
  fails("the tensor is closed", function() d.scores = tensor end)
  ctx:close()
  ctx:close()
  fails("the context is closed", ctx.topk, ctx, d)
  fails("the context is closed", ctx.describe, ctx)
end

function tests.forward_keeps_its_parts()
  local d = dsa.ForwardDesc()
  d:set_select(dsa.IndexerTopkDesc())
  d:set_attend(dsa.SparseAttnDesc())
  collectgarbage()
  d.route = 9
  local ctx = dsa.Context()
  fails("forward.route is 9, must be 0 to 4", ctx.forward, ctx, d)
end

function tests.too_small()
  local tensor = dsa.Tensor(dsa.F32, {4})
  fails("the table holds 3 numbers, the tensor 4", tensor.set, tensor, {1, 2, 3})
  fails("the table holds 5 numbers, the tensor 4", tensor.set, tensor, {1, 2, {3, 4, 5}})
  fails("tensor.stride reaches bytes 0 to 20, its memory holds 16", tensor.view, tensor, {5}, {1}, 0)
  local loop = {}
  loop[1] = loop
  fails("nested deeper", tensor.set, tensor, loop)
end

function tests.descriptors_keep_their_memory()
  local ctx = dsa.Context()
  local d = topk_of(dsa.Tensor(dsa.F32, {2, 4}, kScores))
  for _ = 1, 50 do
    collectgarbage()
    dsa.Tensor(dsa.F32, {2, 4}, {7, 7, 7, 7, 7, 7, 7, 7})
  end
  ctx:topk(d)
  same(d.indices:get(), 1, 3, 0, 1)
end

local function resident_kib()
  for line in io.lines("/proc/self/status") do
    local kib = line:match("^VmRSS:%s*(%d+)")
    if kib then return tonumber(kib) end
  end
end

function tests.memory_stays_flat()
  local function rounds(count)
    for i = 1, count do
      local options = dsa.Options()
      options.num_threads = 1
      local ctx = dsa.Context(options)
      local d = dsa.TopkDesc()
      d.scores = dsa.Tensor(dsa.F32, {64, 256})
      d.k = 2
      d.indices = dsa.Tensor(dsa.I32, {64, 2})
      ctx:topk(d)
      pcall(ctx.topk, ctx, dsa.TopkDesc())
      ctx:close()
      -- The collector sees some bytes of a tensor: how much waits for it must not be left to luck.
      if i % 20 == 0 then collectgarbage() end
    end
  end
  rounds(1000)
  local before = resident_kib()
  rounds(10000)
  local grown = resident_kib() - before
  -- A round's tensors take 66 KiB: one in a hundred left behind were 6.6 MiB.
  assert(grown < 4096, "grown by " .. grown .. " KiB")
end

local passed, failed = 0, 0
for name, test in pairs(tests) do
  local ok, err = xpcall(test, debug.traceback)
  if ok then
    passed = passed + 1
  else
    failed = failed + 1
    print(name .. ": " .. tostring(err))
  end
end
print(string.format("%d passed, %d failed", passed, failed))
os.exit(failed == 0)
