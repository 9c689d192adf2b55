"""Which share of an episode is done, as something to learn and to deliver."""

from __future__ import annotations

import torch

from labvla_policy.model.checkpoint.progress import has_progress_head, read_progress_head
from labvla_policy.model.config import ModelConfig
from labvla_policy.model.progress import ProgressHead
from labvla_train.errors import TrainError
from labvla_train.network.start import Beginning
from labvla_train.settings import Settings

_NAME = "progress head"


def refuse_without_policy(stage: str, settings: Settings) -> None:
    """Refuse the head where there is no policy that it could be delivered with."""
    if stage == "fast" and settings.progress is not None:
        raise TrainError("progress: tokens alone are learnt here; take it out (null)")


def share_done(frame: int, length: int) -> float:
    """Return which share of an episode lies behind: 1 in its last frame."""
    return frame / (length - 1) if length > 1 else 1.0


def begin_head(
    wanted: bool, beginning: Beginning | None, config: ModelConfig
) -> tuple[ProgressHead | None, tuple[str, ...]]:
    """Return the head to train, if one is wanted, and what people should know of it.

    A checkpoint's own goes on; where it has none, one begins anew.
    """
    stored = beginning is not None and has_progress_head(
        beginning.raw_config, str(beginning.folder.root)
    )
    if not wanted:
        return None, (f"left aside: {_NAME}",) if stored else ()
    if beginning is None or not stored:
        return ProgressHead(config), () if beginning is None else (f"begins anew: {_NAME}",)
    place = torch.device("cpu")
    head = read_progress_head(beginning.folder, config, device=place, dtype=torch.float32)
    return head.train(), ()
