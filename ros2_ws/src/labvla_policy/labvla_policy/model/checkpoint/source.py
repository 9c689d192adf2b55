"""From what people write to a folder: a path, a checkpoint that comes along, a hub id."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from labvla_policy.model.errors import CheckpointError, Unavailable

CONFIG = "config.json"
INNER = "pretrained_model"  # where training puts weights and configuration
INCOMPLETE = ".INCOMPLETE"
BUNDLED = Path(__file__).resolve().parents[2] / "checkpoints"
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
# Nothing else is fetched: least of all pickles, which could run code.
_WANTED = ["*.json", "*.safetensors", "merges.txt"]


@dataclass(frozen=True)
class CheckpointFolder:
    """A folder; its files may lie in it or in its `pretrained_model`."""

    root: Path

    def find(self, name: str) -> Path | None:
        """Return where a file is: in `pretrained_model` first, as the public server looks."""
        places = [self.root / INNER, self.root]
        if self.root.name == INNER:  # somebody named the inner folder: the rest lies outside
            places = [self.root, self.root.parent]
        return next((place / name for place in places if (place / name).is_file()), None)

    @property
    def digest(self) -> str:
        """Tell its content apart from any other's; what is written about it does not count."""
        total = hashlib.sha256()
        found = {path for wanted in _WANTED for path in self.root.rglob(wanted) if path.is_file()}
        for path in sorted(found):
            total.update(f"{path.relative_to(self.root)}\n".encode())
            with path.open("rb") as file:
                total.update(hashlib.file_digest(file, "sha256").digest())
        return total.hexdigest()[:16]

    def need(self, name: str, why: str) -> Path:
        """Return where a file is, or say why it has to be there."""
        path = self.find(name)
        if path is None:
            raise CheckpointError(f"{self.root / name}: missing; {why}")
        return path


def find_checkpoint(source: str | Path) -> CheckpointFolder:
    """Return the folder of a checkpoint; what looks like a hub id is downloaded."""
    folder = find_local(source) or _fetched(source)
    if any((place / INCOMPLETE).exists() for place in (folder.root, folder.root / INNER)):
        raise CheckpointError(
            f"{folder.root}: holds {INCOMPLETE}: it was still being written, or writing broke off; "
            "use another checkpoint"
        )
    return folder


def find_local(source: str | Path) -> CheckpointFolder | None:
    """Return the folder of a checkpoint that is on this computer already."""
    if Path(source).is_dir():
        return CheckpointFolder(Path(source))
    return CheckpointFolder(BUNDLED / source) if str(source) in bundled() else None


def bundled() -> tuple[str, ...]:
    """Return the names of the checkpoints that come along."""
    return tuple(sorted(path.parent.name for path in BUNDLED.glob(f"*/{CONFIG}")))


def _fetched(source: str | Path) -> CheckpointFolder:
    if Path(source).exists():
        raise CheckpointError(f"{source}: expected a checkpoint's folder, got a file")
    if isinstance(source, str) and _HUB_ID.fullmatch(source):
        return CheckpointFolder(_download(source))
    known = ", ".join(bundled()) or "there is none"
    raise CheckpointError(
        f"{source}: no such folder, none that comes along ({known}), and no hub id (owner/name)"
    )


def _download(model: str) -> Path:
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError
    except ImportError:
        raise Unavailable(
            f"{model}: no such folder; to download it, install the package huggingface_hub"
        ) from None
    try:
        return Path(snapshot_download(model, allow_patterns=_WANTED))
    except HfHubHTTPError as error:  # the hub answered: no such model, or no right to it
        raise CheckpointError(f"{model}: no such folder, and the hub says: {error}") from None
    except Exception as error:  # every kind of network trouble, and a cache that has nothing
        raise Unavailable(
            f"{model}: no such folder here, and the hub cannot be reached ({error}); "
            "download it elsewhere and give the folder"
        ) from error
