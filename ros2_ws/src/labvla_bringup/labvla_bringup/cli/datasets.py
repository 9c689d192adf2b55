"""What the commands on datasets share: their errors and arguments."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from labvla_bringup.cli.errors import EnvironmentLack, UsageError
from labvla_data.bag.errors import BagError
from labvla_data.dataset import VERSIONS, DatasetError, NoRoomError, VideoSettings
from labvla_data.json_files import JsonFileError
from labvla_data.parallel import WorkerLostError


@contextmanager
def dataset_errors() -> Iterator[None]:
    """Turn what goes wrong with datasets into exit codes: bad input, or no room."""
    try:
        yield
    except (NoRoomError, WorkerLostError) as error:
        raise EnvironmentLack(str(error)) from None
    except (DatasetError, BagError, JsonFileError) as error:
        raise UsageError(str(error)) from None


def add_form(parser: argparse.ArgumentParser, about_images: str) -> None:
    """Add how a new dataset is written."""
    parser.add_argument(
        "--version", choices=VERSIONS, default="v3.0", help="of LeRobot's format (%(default)s)"
    )
    parser.add_argument("--images", choices=("video", "png"), default="video", help=about_images)
    parser.add_argument(
        "--crf",
        type=int,
        choices=range(52),
        metavar="0-51",
        default=VideoSettings().crf,
        help="of the videos: 0 keeps everything, 51 hardly anything (%(default)s)",
    )


def add_workers(parser: argparse.ArgumentParser) -> None:
    """Add --workers."""
    parser.add_argument(
        "--workers", type=positive, metavar="N", help="processes (default: one for each core)"
    )


def add_dataset(parser: argparse.ArgumentParser) -> None:
    """Add the dataset's folder."""
    parser.add_argument("dataset", metavar="DATASET", type=Path, help="folder of a dataset")


def positive(text: str) -> int:
    """Read a number above 0."""
    number = int(text) if text.isdigit() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected a number above 0, got {text!r}")
    return number
