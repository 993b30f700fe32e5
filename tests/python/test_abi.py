"""The ctypes structures and constants are those of dsa.h."""

import ctypes
import inspect
import pathlib
import re
import shutil
import subprocess

import pytest

import libdsa
from libdsa import _abi, _constants, _ops

ROOT = pathlib.Path(__file__).resolve().parents[2]
HEADER = ROOT / "include" / "dsa.h"
CONSTANTS = {name: value for name, value in vars(_constants).items() if isinstance(value, int)}


@pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler")
def test_layout_is_the_compilers(tmp_path):
    wanted, lines = [], []

    def expect(label, expression, value):
        wanted.append(f"{label} {value}")
        lines.append(f'  printf("{label} %lld\\n", (long long)({expression}));')

    for name, structure in _abi.STRUCTURES.items():
        expect(name, f"sizeof({name})", ctypes.sizeof(structure))
        for field, *_ in structure._fields_:
            at = getattr(structure, field)
            expect(f"{name}.{field}", f"offsetof({name}, {field})", at.offset)
            expect(f"size of {name}.{field}", f"sizeof((({name} *)0)->{field})", at.size)
    for name, value in CONSTANTS.items():
        expect(name, f"DSA_{name}", value)
    source = tmp_path / "layout.c"
    source.write_text('#include <dsa.h>\n#include <stdio.h>\nint main(void) {\n' +
                      "\n".join(lines) + "\n  return 0;\n}\n")
    subprocess.run(["cc", "-std=c99", f"-I{HEADER.parent}", "-o", tmp_path / "layout", source],
                   check=True)
    found = subprocess.run([tmp_path / "layout"], check=True, capture_output=True, text=True)
    assert found.stdout.splitlines() == wanted


def without_comments():
    return re.sub(r"/\*.*?\*/|//[^\n]*", "", HEADER.read_text(), flags=re.S)


def test_every_field_is_there_in_order():
    text = without_comments()
    structures = dict(re.findall(r"typedef struct (\w+) \{(.*?)\} \1;", text, flags=re.S))
    assert set(structures) == set(_abi.STRUCTURES)
    for name, body in structures.items():
        fields = re.findall(r"(\w+)(?:\[\w+\])?;", body)
        assert fields == [field for field, *_ in _abi.STRUCTURES[name]._fields_], name


def test_every_constant_and_function_is_there():
    text = without_comments()
    enumerators = re.findall(r"\bDSA_(\w+) = ", text)
    assert set(enumerators) | {"ABI_VERSION"} == set(CONSTANTS)
    assert all(getattr(libdsa, name) == value for name, value in CONSTANTS.items())
    functions = re.findall(r"DSA_API [\w ]+?[ *](dsa_\w+)\(", text)
    assert len(functions) > 15 and set(functions) == set(_abi.FUNCTIONS)


@pytest.mark.parametrize("function, desc", [
    (libdsa.indexer, _abi.IndexerDesc), (libdsa.topk, _abi.TopkDesc),
    (libdsa.indexer_topk, _abi.IndexerTopkDesc), (libdsa.sparse_attn, _abi.SparseAttnDesc),
    (libdsa.merge_lse, _abi.MergeLseDesc), (libdsa.forward, _abi.ForwardDesc)])
def test_every_field_is_an_argument(function, desc):
    arguments = set(inspect.signature(function).parameters)
    extra = {"ctx", "stream", "workspace", "plan", "parallel_user", "out_dtype", "value_dim"}
    fields = {field for field, *_ in desc._fields_[2:]}
    assert fields <= arguments and arguments - fields <= extra
    assert function.__doc__ and "Returns" in function.__doc__


def test_version_is_the_headers():
    text = HEADER.read_text()
    parts = [re.search(rf"#define DSA_VERSION_{part} (\d+)", text).group(1)
             for part in ("MAJOR", "MINOR", "PATCH")]
    assert libdsa.__version__ == ".".join(parts)


def test_package_is_typed():
    folder = pathlib.Path(libdsa.__file__).parent
    assert (folder / "py.typed").exists()
    assert _ops.topk.__annotations__["return"] == "TopkResult"
