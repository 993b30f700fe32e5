"""Build backend: scikit-build-core, run in the repository root."""

import os
import pathlib

os.chdir(pathlib.Path(__file__).resolve().parents[2])
from scikit_build_core.build import *  # noqa: E402, F403
