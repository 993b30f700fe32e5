/* What Lua adds: errors {status, text}, and tables of numbers. */

%{
#include "lua/values.h"

#define DSA_RAISE_IN_LUA(status, text)       \
  do {                                       \
    dsa_swig::push_error(L, status, text);   \
    SWIG_fail;                               \
  } while (0)
%}
#define DSA_RAISE(status, text) DSA_RAISE_IN_LUA(status, text)
%include "core/errors.i"

/* Tensors that come out of a descriptor are their own. */
%typemap(out) dsa_tensor * {
  SWIG_NewPointerObj(L, dsa_swig::held(arg1)->get(*$1), $1_descriptor, 1);
  SWIG_arg++;
}
%typemap(out) dsa_tensor *dsa_tensor, dsa_new_tensor * {
  SWIG_NewPointerObj(L, $1, SWIGTYPE_p_dsa_tensor, 1);
  SWIG_arg++;
}

%typemap(in, checkfn="lua_istable") const dsa_swig::Axes & (dsa_swig::Axes axes) {
  try {
    axes = dsa_swig::axes_of(L, $input);
  } catch (const dsa_swig::Error &error) {
    DSA_RAISE(error.status, error.text.c_str());
  }
  $1 = &axes;
}
%typemap(in, checkfn="lua_istable") dsa_swig::LuaTable "$1.index = $input;"
%typemap(typecheck, precedence=SWIG_TYPECHECK_POINTER) const dsa_swig::Axes &, dsa_swig::LuaTable
  "$1 = lua_istable(L, $input);"
%typemap(in, numinputs=0) lua_State *L "$1 = L;"
%typemap(out) dsa_swig::LuaPushed "SWIG_arg++;"

%extend dsa_tensor {
  /* Numbers of the table, and of tables in it; 16 and 8 bit types as their bits. */
  dsa_tensor(int32_t dtype, const dsa_swig::Axes &shape, lua_State *L, dsa_swig::LuaTable values) {
    std::unique_ptr<dsa_swig::Tensor> made(dsa_swig::Tensor::zeros(dtype, shape));
    dsa_swig::TableReader(L, *made).read(values.index);
    return made.release();
  }
  void set(lua_State *L, dsa_swig::LuaTable values) {
    dsa_swig::TableReader(L, *static_cast<dsa_swig::Tensor *>($self)).read(values.index);
  }
  dsa_swig::LuaPushed get(lua_State *L) {
    return dsa_swig::push_values(L, *static_cast<dsa_swig::Tensor *>($self));
  }
  /* The memory goes now, unless a descriptor holds it too, and not at the next collection. */
  void close() { static_cast<dsa_swig::Tensor *>($self)->close(); }
}
