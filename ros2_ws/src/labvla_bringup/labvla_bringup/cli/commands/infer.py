"""`labvla infer`: one chunk from files, without ROS, robot or server."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from labvla_bringup.cli.common import CHECKPOINT, add_json
from labvla_bringup.cli.errors import EnvironmentLack, ExitCode, UsageError
from labvla_bringup.console import complain, print_json

if TYPE_CHECKING:
    from labvla_policy.model.inference import Answer

_MOST_SLOTS = 3


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "--checkpoint",
        metavar="DIR",
        required=True,
        help=CHECKPOINT,
    )
    parser.add_argument(
        "--image",
        metavar="SLOT=PNG",
        action="append",
        required=True,
        help="a camera's frame for a slot (0, 1, 2); slots without one are masked",
    )
    parser.add_argument(
        "--state",
        metavar="CSV",
        required=True,
        help="numbers in raw units, as text (0.1,-0.2,...) or a file with one line of them",
    )
    parser.add_argument("--prompt", metavar="TEXT", required=True, help="the instruction")
    parser.add_argument(
        "--noise",
        metavar="FILE",
        type=Path,
        help="where the sampler starts: .npy, or .safetensors with a tensor `noise`",
    )
    parser.add_argument("--seed", type=int, help="of the noise, where none is given")
    parser.add_argument("--steps", type=int, help="of the sampler (default: the checkpoint's)")
    parser.add_argument(
        "--dtype", metavar="TYPE", help="bfloat16, float16 or float32 (default: the checkpoint's)"
    )
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:N (default: %(default)s)")
    parser.add_argument(
        "--dataset", metavar="NAME", help="which data set's statistics, if there are several"
    )
    parser.add_argument(
        "--out",
        metavar="FILE.safetensors",
        type=Path,
        required=True,
        help="gets `chunk` (the network's numbers) and `actions` (absolute, in the robot's units)",
    )
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Load, ask once, write."""
    try:
        from labvla_policy.model.errors import ModelError, Unavailable
        from labvla_policy.model.inference import load_policy
    except ModuleNotFoundError as error:
        raise EnvironmentLack(
            f"labvla infer needs the Python package '{error.name}', which is not installed "
            "(`make setup` installs it unless TORCH=none was chosen)."
        ) from error
    images, state = _images(arguments.image), _state(arguments.state)
    noise = None if arguments.noise is None else _noise(arguments.noise)
    _check(arguments)
    try:
        policy = load_policy(
            arguments.checkpoint, arguments.device, arguments.dtype, dataset=arguments.dataset
        )
        for note in policy.notes:
            complain(f"note: {note}")
        answer = policy.predict(
            images, state, arguments.prompt,
            noise=noise, seed=arguments.seed, steps=arguments.steps,
        )  # fmt: skip
    except ModelError as error:
        raise UsageError(str(error)) from error
    except Unavailable as error:
        raise EnvironmentLack(str(error)) from error
    if answer.words.warning:
        complain(f"warning: {answer.words.warning}")
    _write(arguments.out, answer)
    _report(arguments, answer, policy.notes)
    return ExitCode.DONE


def _check(arguments: argparse.Namespace) -> None:
    if arguments.steps is not None and arguments.steps < 1:
        raise UsageError(f"--steps: expected at least 1, got {arguments.steps}")
    if arguments.seed is not None and arguments.noise is not None:
        raise UsageError("--seed and --noise: give one of them; a seed draws the noise")
    if arguments.seed is not None and not 0 <= arguments.seed < 2**63:
        raise UsageError(f"--seed: expected 0 to {2**63 - 1}, got {arguments.seed}")
    if not arguments.out.absolute().parent.is_dir():
        raise UsageError(f"--out: {arguments.out.absolute().parent}: no such folder")


def _images(entries: list[str]) -> list[Any]:
    images: dict[int, Any] = {}
    for entry in entries:
        slot, equals, path = entry.partition("=")
        if not equals or not slot.isdecimal() or int(slot) >= _MOST_SLOTS:
            raise UsageError(f"--image: expected SLOT=PNG with a slot of 0, 1 or 2, got {entry!r}")
        if int(slot) in images:
            raise UsageError(f"--image: slot {slot} is given twice")
        images[int(slot)] = _image(Path(path))
    return [images.get(slot) for slot in range(max(images) + 1)]


def _image(path: Path) -> Any:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            if image.mode != "RGB":
                raise UsageError(
                    f"--image: {path}: expected 8-bit red, green and blue, got the mode "
                    f"{image.mode}; convert it"
                )
            return np.asarray(image)
    except FileNotFoundError:
        raise UsageError(f"--image: {path}: no such file") from None
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        raise UsageError(f"--image: {path}: cannot be read as a picture: {error}") from None


def _state(text: str) -> list[float]:
    path = Path(text)
    try:
        is_file = path.is_file()
    except OSError:  # too long for a file's name
        is_file = False
    if is_file:
        try:
            lines = path.read_text(encoding="utf-8").split("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"--state: {path}: cannot be read: {error}") from None
        rows = [line for line in lines if line.strip()]
        if len(rows) != 1:
            raise UsageError(f"--state: {path}: expected one line of numbers, got {len(rows)}")
        text = rows[0]
    try:
        return [float(cell) for cell in text.split(",")]
    except ValueError:
        raise UsageError(
            f"--state: expected numbers separated by commas, or a file with a line of them, "
            f"got {text[:80]!r}"
        ) from None


def _noise(path: Path) -> Any:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        if path.suffix == ".npy":
            return np.load(path, allow_pickle=False)
        tensors = load_file(path)
    except FileNotFoundError:
        raise UsageError(f"--noise: {path}: no such file") from None
    except (OSError, ValueError, SafetensorError) as error:
        raise UsageError(f"--noise: {path}: expected .npy or .safetensors: {error}") from None
    if "noise" not in tensors and len(tensors) != 1:
        got = ", ".join(sorted(tensors)) or "none"
        raise UsageError(f"--noise: {path}: expected a tensor `noise`, got {got}")
    return tensors["noise"] if "noise" in tensors else next(iter(tensors.values()))


def _write(path: Path, answer: Answer) -> None:
    from safetensors.numpy import save_file

    try:
        save_file({"chunk": answer.chunk[None], "actions": answer.actions}, path)
    except OSError as error:
        raise UsageError(f"--out: {path}: cannot be written: {error}") from None


def _report(arguments: argparse.Namespace, answer: Answer, notes: tuple[str, ...]) -> None:
    rows, columns = answer.actions.shape
    if arguments.json:
        print_json(
            {
                "out": str(arguments.out),
                "rows": rows,
                "columns": columns,
                "progress": answer.progress,
                "prompt_tokens": answer.words.count,
                "prompt_tokens_dropped": answer.words.dropped,
                "notes": list(notes),
            }
        )
    else:
        print(f"{rows} rows of {columns} columns: {arguments.out}")
        if answer.progress is not None:
            print(f"progress: {answer.progress:.0%} of the episode")
