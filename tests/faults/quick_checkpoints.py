"""The functions as they are, but for checkpoints that are saved all the time: a test has not the patience of a file."""

import sys
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

import importer.objects
from importer.core.ordered.run import Progress

importer.objects.Progress = partial(Progress, every=0.1)  # type: ignore[attr-defined,assignment]

from main import gcs_import  # noqa: E402, F401
