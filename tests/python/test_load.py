"""Which libdsa.so is loaded, and what is said when there is none."""

import os
import pathlib
import subprocess
import sys

import libdsa


def run(code, **environment):
    return subprocess.run([sys.executable, "-c", code], text=True, capture_output=True,
                          env={**os.environ, **environment})


def test_path_from_the_environment(tmp_path):
    library = pathlib.Path(os.path.realpath(libdsa.library_path))
    folder = tmp_path / "libdsa"
    folder.mkdir()
    os.symlink(library, folder / "libdsa.so")
    # A wheel's library looks for those it needs beside its own folder.
    os.symlink(library.parents[1] / "libdsa.libs", tmp_path / "libdsa.libs")
    for path in (folder, folder / "libdsa.so"):
        found = run("import libdsa; print(libdsa.library_path)", LIBDSA_PATH=str(path))
        assert found.stdout.strip() == str(folder / "libdsa.so"), found.stderr


def test_a_path_that_is_wrong():
    found = run("import libdsa", LIBDSA_PATH="/nowhere/libdsa.so")
    assert found.returncode and "/nowhere/libdsa.so" in found.stderr
    libc = "libc.so.6"
    found = run("import libdsa", LIBDSA_PATH=libc)
    assert found.returncode and "libc.so.6 is not this libdsa" in found.stderr


def test_exit_with_contexts_open():
    found = run("import libdsa, numpy; x = numpy.ones((2, 3), 'f'); c = libdsa.Context();"
                "libdsa.topk(x, 1); libdsa.topk(x, 1, ctx=c); p = libdsa.Plan(libdsa.topk, x, 1)")
    assert found.returncode == 0 and found.stderr == ""
