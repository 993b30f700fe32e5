#pragma once
// Lua's side: error objects, and numbers of tables from and to tensors.

#include <dsa.h>

#include <limits>
#include <lua.hpp>

#include "core/error.h"
#include "core/tensor.h"

namespace dsa_swig {

struct LuaTable {
  int index;
};
struct LuaPushed {};  // lies on the stack already

inline int error_text(lua_State *L) {
  lua_getfield(L, 1, "text");
  return 1;
}

// Pushes {status = -1, text = "..."}, whose tostring() is the text.
inline void push_error(lua_State *L, dsa_status status, const char *text) {
  lua_createtable(L, 0, 2);
  lua_pushinteger(L, status);
  lua_setfield(L, -2, "status");
  lua_pushstring(L, text);
  lua_setfield(L, -2, "text");
  if (luaL_newmetatable(L, "dsa.error")) {
    lua_pushcfunction(L, error_text);
    lua_setfield(L, -2, "__tostring");
  }
  lua_setmetatable(L, -2);
}

inline Axes axes_of(lua_State *L, int table) {
  Axes axes;
  const lua_Unsigned count = lua_rawlen(L, table);
  if (count > 5) fail("tensor.shape has %d axes, must have 1 to 5", static_cast<int>(count));
  for (; axes.count < static_cast<int32_t>(count); ++axes.count) {
    lua_rawgeti(L, table, axes.count + 1);
    int is_integer = 0;
    axes.values[axes.count] = lua_tointegerx(L, -1, &is_integer);
    lua_pop(L, 1);
    if (!is_integer) fail("tensor.shape[%d] is not an integer", axes.count);
  }
  return axes;
}

// The numbers of a table, and of the tables in it, in their order.
class TableReader {
 public:
  TableReader(lua_State *L, const Tensor &tensor) : L_(L), tensor_(tensor.open()) {
    tensor.check_dense();
  }

  void read(int table) {
    read_level(lua_absindex(L_, table), 0);
    if (next_ != tensor_.elements()) {
      fail("the table holds %" PRId64 " numbers, the tensor %" PRId64, next_, tensor_.elements());
    }
  }

 private:
  void read_level(int table, int depth) {
    // A table that holds itself ends here too.
    if (depth > 5 || !lua_checkstack(L_, 4)) fail("tables of values are nested deeper than 5");
    const auto count = static_cast<lua_Integer>(lua_rawlen(L_, table));
    for (lua_Integer i = 1; i <= count; ++i) {
      lua_rawgeti(L_, table, i);
      if (lua_istable(L_, -1)) {
        read_level(lua_gettop(L_), depth + 1);
      } else {
        store();
      }
      lua_pop(L_, 1);
    }
  }

  void store() {
    const int64_t i = next_++;
    if (i >= tensor_.elements()) return;  // counted on, for the error
    switch (element_of(tensor_.dtype)) {
      case Element::kFloat:
        put(i, static_cast<float>(number(i)));
        break;
      case Element::kInt:
        put(i, static_cast<int32_t>(integer(i, std::numeric_limits<int32_t>::min(),
                                            std::numeric_limits<int32_t>::max())));
        break;
      case Element::kShort:
        put(i, static_cast<uint16_t>(integer(i, 0, 0xffff)));
        break;
      case Element::kByte:
        put(i, static_cast<uint8_t>(integer(i, 0, 0xff)));
        break;
    }
  }

  template <class T>
  void put(int64_t i, T value) {
    static_cast<T *>(tensor_.data)[i] = value;
  }

  double number(int64_t i) {
    int is_number = 0;
    const double value = lua_tonumberx(L_, -1, &is_number);
    if (!is_number) fail("value %" PRId64 " is a %s", i + 1, luaL_typename(L_, -1));
    return value;
  }

  int64_t integer(int64_t i, int64_t low, int64_t high) {
    int is_integer = 0;
    const int64_t value = lua_tointegerx(L_, -1, &is_integer);
    if (!is_integer) fail("value %" PRId64 " is not an integer", i + 1);
    if (value < low || value > high) {
      fail("value %" PRId64 " is %" PRId64 ", must be %" PRId64 " to %" PRId64, i + 1, value, low,
           high);
    }
    return value;
  }

  lua_State *L_;
  const Tensor &tensor_;
  int64_t next_ = 0;
};

// Pushes a flat table of a tensor's elements.
inline LuaPushed push_values(lua_State *L, const Tensor &tensor) {
  tensor.open().check_dense();
  const Element kind = element_of(tensor.dtype);
  const int64_t count = tensor.elements();
  if (count > std::numeric_limits<int>::max()) fail("the tensor has too many elements for a table");
  lua_createtable(L, static_cast<int>(count), 0);
  for (int64_t i = 0; i < count; ++i) {
    switch (kind) {
      case Element::kFloat:
        lua_pushnumber(L, static_cast<const float *>(tensor.data)[i]);
        break;
      case Element::kInt:
        lua_pushinteger(L, static_cast<const int32_t *>(tensor.data)[i]);
        break;
      case Element::kShort:
        lua_pushinteger(L, static_cast<const uint16_t *>(tensor.data)[i]);
        break;
      case Element::kByte:
        lua_pushinteger(L, static_cast<const uint8_t *>(tensor.data)[i]);
        break;
    }
    lua_rawseti(L, -2, i + 1);
  }
  return {};
}

}  // namespace dsa_swig
