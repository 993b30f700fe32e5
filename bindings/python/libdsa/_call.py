"""From keyword arguments to a descriptor and a call."""

from __future__ import annotations

import ctypes
import operator
import struct
from typing import Any, Callable, NamedTuple

import numpy as np

from . import _abi, _frameworks, _tensor
from ._context import Context, Handle, default_context, raise_kept
from ._errors import InvalidError
from ._load import check, last_error, lib
from ._tensor import Tensor

Fields = dict  # argument name -> value, of one call


class Support(NamedTuple):
    """True when the call would run; else `status` and `reason` say why not."""
    status: int
    reason: str

    def __bool__(self) -> bool:
        return self.status == _abi.OK


class Call:
    """An operation with its arguments, ready to run any number of times: `call()`.

    `result` is what it returns; the same arrays are written each time.
    """

    __slots__ = ("result", "context", "desc", "_function", "_exec", "_keep")

    def __init__(self, function: Any, desc: ctypes.Structure, fields: Fields, result: Any,
                 device_id: int | None = None):
        self.result = result
        self.desc = desc
        self._function = function
        self._keep = fields
        plan = fields["plan"]
        context = fields["ctx"]
        if plan is not None:
            if context is None:
                context = plan.context
            elif context is not plan.context:
                raise InvalidError("the plan was made on another context")
        self.context: Context = context or default_context(device_id)
        self._exec = _make_exec(fields)

    def __call__(self) -> Any:
        handle = self.context.handle
        status = self._function(handle.pointer, ctypes.byref(self.desc), self._exec)
        if handle.callbacks is not None:
            raise_kept(handle.callbacks)
        if status:
            check(status)
        return self.result

    @property
    def stream(self) -> int | None:
        """That of the call, or of its arrays' framework."""
        return self._keep["stream"]

    def use_workspace(self, workspace: Any) -> None:
        """Gives the call a workspace of at least `workspace_size()` bytes, on its device."""
        self._keep["workspace"] = workspace
        self._exec = _make_exec(self._keep)

    def supports(self) -> Support:
        status = lib.dsa_supports(self.context.handle.pointer, ctypes.byref(self.desc))
        return Support(status, last_error() if status else "")

    def workspace_size(self) -> int:
        size = ctypes.c_uint64()
        check(lib.dsa_workspace_size(self.context.handle.pointer, ctypes.byref(self.desc),
                                     ctypes.byref(size)))
        return size.value


class _PlanHandle:
    __slots__ = ("pointer", "_context", "_destroy")

    def __init__(self, pointer: int, context: Handle):
        self.pointer = pointer
        self._context = context  # must outlive the plan
        self._destroy = lib.dsa_plan_destroy

    def __del__(self):
        self._destroy(self.pointer)


class Plan:
    """The choice of a kernel, made once: `plan = Plan(libdsa.topk, scores, 64)`, then
    `libdsa.topk(scores, 64, plan=plan)` for calls of the same dtypes, layout and head dims.

    `kernel` is its name; `refused` lists the candidates that were refused, and why.
    """

    def __init__(self, function: Callable[..., Any], *arguments: Any, **keywords: Any):
        call = make_call(function, arguments, keywords, allocate=False)
        self.context = call.context
        context, pointer = self.context.handle, ctypes.c_void_p()
        check(lib.dsa_plan_create(context.pointer, ctypes.byref(call.desc), ctypes.byref(pointer)))
        self.handle = _PlanHandle(pointer.value or 0, context)
        self.kernel: str = lib.dsa_plan_kernel(pointer).decode()
        self.refused: list[str] = []
        while (text := lib.dsa_plan_refused(pointer, len(self.refused))) is not None:
            self.refused.append(text.decode())

    def __repr__(self):
        return f"Plan({self.kernel})"


def _make_exec(fields: Fields) -> Any:
    stream, workspace = fields["stream"], fields["workspace"]
    plan, parallel_user = fields["plan"], fields["parallel_user"]
    if stream is None and workspace is None and plan is None and parallel_user is None:
        return None
    made = _abi.Exec(struct_size=ctypes.sizeof(_abi.Exec), stream=stream,
                     parallel_user=parallel_user)
    if workspace is not None:
        memory = fields["workspace"] = _tensor.as_tensor(workspace, "workspace", stream)
        _tensor.check_writable(memory, "workspace")
        if isinstance(memory, Tensor):
            if memory.dtype != _abi.U8 or len(memory.shape) != 1 or memory.strides != (1,):
                raise InvalidError("workspace must be bytes on one axis")
            made.workspace, made.workspace_size = memory.data, memory.shape[0]
        else:
            if not memory.flags.c_contiguous:
                raise InvalidError("workspace must be contiguous")
            made.workspace, made.workspace_size = memory.ctypes.data, memory.nbytes
    if plan is not None:
        made.plan = plan.handle.pointer
    return ctypes.byref(made)


def _values(names: list[str]) -> Callable[[Fields], tuple]:
    """Takes the values of these names, as a tuple, out of a dictionary."""
    if len(names) == 1:
        return lambda fields: (fields[names[0]],)
    return operator.itemgetter(*names)


class Operation:
    """One operation's descriptor, taken apart into scalars, inputs and outputs.

    `shapes(fields)` gives (shape, dtype) of each output; `complete(fields)` fills in arguments
    that follow from others.
    """

    def __init__(self, name: str, kind: int, desc: type[ctypes.Structure], outputs: str,
                 default: str, shapes: Callable[[Fields], dict[str, tuple]],
                 result: Callable[..., Any], complete: Callable[[Fields], None] | None = None):
        self.name = name
        self.desc = desc
        self.function = getattr(lib, "dsa_" + name)
        self.template = bytes(desc(struct_size=ctypes.sizeof(desc), kind=kind))
        self.default = dict.fromkeys(default.split(), True)
        self.shapes = shapes
        self.result = result
        self.complete = complete
        names = outputs.split()
        fields: Any = desc._fields_
        tensors = [(field, getattr(desc, field).offset, f"{name}.{field}")
                   for field, type_ in fields if type_ is _abi.Tensor]
        self.inputs = [tensor for tensor in tensors if tensor[0] not in names]
        self.outputs = [tensor for tensor in tensors if tensor[0] in names]
        self.inputs_of = _values([tensor[0] for tensor in self.inputs])
        self.outputs_of = _values(names)
        # The scalars lie without gaps between `kind` and the first tensor.
        self.scalars = [(field, type_._type_) for field, type_ in fields[2:]
                        if type_ is not _abi.Tensor]
        self.pack_scalars = struct.Struct("=" + "".join(
            {"L": "Q", "l": "q", "i": "i", "f": "f"}[code] for _, code in self.scalars)).pack_into
        self.scalars_of = _values([field for field, _ in self.scalars])

    def run(self, fields: Fields) -> Any:
        return self.call(fields)()

    def call(self, fields: Fields, allocate: bool = True) -> Call:
        desc = self.desc.from_buffer_copy(self.template)
        gpu = device_id = None
        for name, at, where in self.inputs:
            value = fields[name]
            if value is not None:
                if type(value) is not np.ndarray:
                    if gpu is None:
                        gpu = _frameworks.of_gpu_array(value)
                        if gpu is not None and fields["stream"] is None:
                            fields["stream"] = gpu[0].stream(gpu[1])
                    value = fields[name] = _tensor.as_tensor(value, where, fields["stream"])
                    if type(value) is Tensor and value.device == _abi.DEVICE_CUDA:
                        device_id = value.device_id
                _tensor.pack(desc, at, value, where)
        if self.complete is not None:
            self.complete(fields)
        try:
            self.pack_scalars(desc, 8, *self.scalars_of(fields))
        except struct.error:
            self._explain_scalars(fields)
            raise
        self._pack_outputs(desc, fields, self._empty(gpu, device_id) if allocate
                           else self._nothing(device_id))
        return Call(self.function, desc, fields, self.result(*self.outputs_of(fields)), device_id)

    @staticmethod
    def _nothing(device_id: int | None) -> Callable[[tuple[int, ...], int], Tensor]:
        """Tensors without memory, for questions."""
        if device_id is None:
            return lambda shape, code: Tensor(0, shape, code)
        return lambda shape, code: Tensor(0, shape, code, device=_abi.DEVICE_CUDA,
                                          device_id=device_id)

    def _empty(self, gpu: Any, device_id: int | None) -> Callable[[tuple[int, ...], int], Any]:
        """What allocates outputs: arrays like the inputs."""
        if device_id is None:
            return _tensor.empty
        if gpu is None:
            def refuse(_shape: tuple[int, ...], _code: int) -> Any:
                raise InvalidError(f"{self.name} is on a CUDA device: give the outputs there too")
            return refuse
        framework, number = gpu
        return lambda shape, code: framework.empty(shape, code, number)

    def _pack_outputs(self, desc: ctypes.Structure, fields: Fields,
                      empty: Callable[[tuple[int, ...], int], Any]) -> None:
        if all(value is None for value in self.outputs_of(fields)):
            fields.update(self.default)
        shapes = None
        for name, at, where in self.outputs:
            value = fields[name]
            if value is None:
                continue
            if value is False:
                fields[name] = None
                continue
            if value is True:
                if shapes is None:
                    shapes = self.shapes(fields)
                shape, code = shapes[name]
                value = fields[name] = empty(shape, code)
            view = value
            if type(value) is not np.ndarray:
                # The result has the caller's own object; the view lives as long as the call.
                view = _tensor.as_tensor(value, where, fields["stream"])
                fields["view of " + name] = view
            _tensor.check_writable(view, where)
            _tensor.pack(desc, at, view, where)

    def _explain_scalars(self, fields: Fields) -> None:
        for name, code in self.scalars:
            value, where = fields[name], f"{self.name}.{name}"
            if code == "f":
                if not isinstance(value, (float, int, np.floating, np.integer)):
                    raise TypeError(f"{where} is {value!r}, must be a number")
                continue
            try:
                number = operator.index(value)
            except TypeError:
                raise TypeError(f"{where} is {value!r}, must be an integer") from None
            low, high = {"i": (-2**31, 2**31), "l": (-2**63, 2**63), "L": (0, 2**64)}[code]
            if not low <= number < high:
                raise InvalidError(f"{where} is {number}, must be {low} to {high - 1}")


# function -> how its bound arguments become a call; filled by _ops.
PREPARE: dict[Callable[..., Any], Callable[[tuple, dict, bool], Call]] = {}


def make_call(function: Callable[..., Any], arguments: tuple, keywords: dict,
              allocate: bool) -> Call:
    prepare = PREPARE.get(function)
    if prepare is None:
        raise TypeError(f"{function!r} is no operation of libdsa")
    return prepare(arguments, keywords, allocate)


def prepare(function: Callable[..., Any], *arguments: Any, **keywords: Any) -> Call:
    """The call `function(*arguments, **keywords)` without running it. `call()` then does, for a
    fraction of the overhead: `call = prepare(topk, scores, 64)`, and in a loop `call()`."""
    return make_call(function, arguments, keywords, allocate=True)


def supports(function: Callable[..., Any], *arguments: Any, **keywords: Any) -> Support:
    """Whether the call would run, and the reason when not. Tensors may be `Tensor(0, shape,
    dtype)`; contents are never read, outputs never allocated."""
    return make_call(function, arguments, keywords, allocate=False).supports()


def workspace_size(function: Callable[..., Any], *arguments: Any, **keywords: Any) -> int:
    """Bytes of workspace that the call needs; arguments as for `supports`."""
    return make_call(function, arguments, keywords, allocate=False).workspace_size()


def workspace(size: int) -> np.ndarray:
    """`size` bytes of CPU memory with the alignment that workspaces need (256)."""
    memory = np.empty(size + 255, np.uint8)
    start = -memory.ctypes.data % 256
    return memory[start:start + size]
