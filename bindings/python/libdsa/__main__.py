"""Where the parts of this package are, for build files: `python -m libdsa --cmake-dir`."""

import argparse
import pathlib

from . import __version__, library_path

_FOLDER = pathlib.Path(__file__).parent


def main():
    parser = argparse.ArgumentParser(prog="python -m libdsa")
    which = parser.add_mutually_exclusive_group(required=True)
    for name, value, text in (
            ("--cmake-dir", _FOLDER / "cmake", "folder of dsaConfig.cmake"),
            ("--include-dir", _FOLDER / "include", "folder of dsa.h"),
            ("--library", library_path, "the libdsa.so that is loaded"),
            ("--version", __version__, "version of the library that is loaded")):
        which.add_argument(name, dest="answer", action="store_const", const=value, help=text)
    print(parser.parse_args().answer)


if __name__ == "__main__":
    main()
