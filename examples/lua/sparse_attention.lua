-- Selects the 2 best of 4 keys and attends to them alone.
-- lua5.4 sparse_attention.lua prints "keys 1 3, out 0.75 7.00".
local dsa = require "dsa"

local ctx = dsa.Context()
local indices = dsa.Tensor(dsa.I32, {1, 2})
local out = dsa.Tensor(dsa.F32, {1, 1, 2})

local select = dsa.TopkDesc()
select.scores = dsa.Tensor(dsa.F32, {1, 4}, {2, 5, 1, 3})
select.k = 2
select.indices = indices
ctx:topk(select)

local attend = dsa.SparseAttnDesc()
attend.q = dsa.Tensor(dsa.F32, {1, 1, 2}, {math.log(3), 0})
attend.kv = dsa.Tensor(dsa.F32, {4, 2}, {{9, 9}, {0, 4}, {9, 9}, {1, 8}})
attend.indices = indices
attend.k = 2
attend.scale = 1
attend.out = out
ctx:sparse_attn(attend)

-- Logits 0 and log 3 are weights 1/4 and 3/4 of rows (0, 4) and (1, 8).
local keys, result = indices:get(), out:get()
print(string.format("keys %d %d, out %.2f %.2f", keys[1], keys[2], result[1], result[2]))
assert(keys[1] == 1 and keys[2] == 3)
assert(math.abs(result[1] - 0.75) < 1e-6 and math.abs(result[2] - 7) < 1e-6)
