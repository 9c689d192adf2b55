"""A LabVLA checkpoint as the server asks it: rows restored to absolute ones, once, here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from labvla_policy.engines.labvla import agreement
from labvla_policy.model.errors import InputError
from labvla_policy.model.inference import LoadedPolicy, load_policy
from labvla_policy.model.live import Committed, LivePolicy
from labvla_policy.model.realtime import Cancelled, RealtimeSettings
from labvla_policy.openpi import names
from labvla_policy.openpi.metadata import Metadata
from labvla_policy.runtime.cell import Cell
from labvla_policy.runtime.refusal import Refusal, Refused
from labvla_policy.runtime.types import Array
from labvla_policy.serving.policy import CommittedRows, PolicyAnswer, PolicyRequest
from labvla_policy.serving.reasons import RequestRefused

POLICY_TYPE = "labvla"
_WARM_UP = (224, 224)  # other sizes differ in the first resize alone
_SEMANTIC_UNITS = {"open_fraction": "open_fraction"}  # "width" may be one finger's or both


@dataclass(frozen=True)
class CheckpointSettings:
    """Which checkpoint, and how it is run."""

    source: str
    device: str = "cpu"
    dtype: str | None = None
    dataset: str | None = None
    rows: int | None = None  # of an answer; None: all that the network predicts
    realtime: RealtimeSettings = field(default_factory=RealtimeSettings)


class CheckpointPolicy:
    """A checkpoint, loaded and warm."""

    def __init__(self, settings: CheckpointSettings, cell: Cell | None = None) -> None:
        """Load, and check against the cell where one is given; raises ModelError or Refused."""
        self._loaded = load_policy(
            settings.source, settings.device, settings.dtype, dataset=settings.dataset
        )
        if cell is not None:
            _check_agreement(self._loaded, cell)
        self._live = LivePolicy(self._loaded, settings.realtime)
        predicted = self._loaded.policy.config.chunk_size
        self._rows = min(settings.rows or predicted, predicted)
        self.metadata = _metadata(self._loaded, self._live, self._rows, settings, cell)
        self.notes = self._loaded.notes
        assert self.metadata.cameras is not None
        # Clients send the pictures of all of the cell's cameras; the policy may know fewer.
        self._shown = tuple(range(len(self.metadata.cameras)))
        if cell is not None:
            self._shown = agreement.shown(self._loaded, cell)
        self.warm_up_seconds = self._live.warm_up([_WARM_UP] * len(self._shown))

    def prompt_tokens(self, prompt: str) -> int:
        """Return how many tokens a prompt has."""
        try:
            words = self._loaded.tokenizer(prompt)
        except InputError as error:
            raise RequestRefused("prompt_unreadable", str(error)) from None
        return words.count + words.dropped

    def infer(self, request: PolicyRequest) -> PolicyAnswer:
        """Answer with absolute rows in raw units."""
        if request.seed is not None:
            self._live.seed(request.seed)
        try:
            answer = self._live.ask(
                [request.images[place] for place in self._shown],
                request.state,
                request.prompt,
                self._committed(request.prefix, request.state),
                cancelled=request.abandoned.is_set,
            )
        except InputError as error:
            raise RequestRefused("policy_input", str(error)) from None
        except Cancelled as cancelled:
            raise RequestRefused("deadline", str(cancelled)) from None
        finally:
            if request.seed is not None:
                self._live.seed(None)  # one client's seed is not everybody's
        rows = answer.absolute[: self._rows].astype(np.float64)
        return PolicyAnswer(rows, min(answer.prefix_rows, len(rows)))

    def _committed(self, prefix: CommittedRows | None, state: Array) -> Committed | None:
        if prefix is None:
            return None
        vectors = self._loaded.vectors
        canonical = vectors.canonical_state(state)[: vectors.action_width]
        # What is executed anyway, as the network would have to say it of the new state.
        rows = prefix.rows - np.where(vectors.delta_mask, canonical, 0.0)
        return Committed(rows, prefix.frozen)


def _check_agreement(loaded: LoadedPolicy, cell: Cell) -> None:
    space = agreement.check(loaded, cell)
    if space != "absolute" and cell.policy.anchor != "measured":
        raise Refused(
            Refusal(
                "checkpoint_contract",
                f"policy.anchor: {cell.name} wants deltas added to the controller's "
                f"{cell.policy.anchor}, and a server has only the measured state of the request",
            )
        )


def _metadata(
    loaded: LoadedPolicy,
    live: LivePolicy,
    rows: int,
    settings: CheckpointSettings,
    cell: Cell | None,
) -> Metadata:
    config, vectors, control = loaded.policy.config, loaded.vectors, loaded.control
    relative = bool(vectors.delta_mask.any())
    slots = loaded.policy.vlm.camera_slots
    cameras = len(loaded.schema.cameras) or slots
    continues = live.continuing != "off"
    known = Metadata(
        policy_type=POLICY_TYPE,
        action_dim=vectors.action_width,
        state_dim=vectors.state_columns.width,
        chunk_size=rows,
        model_chunk_size=config.chunk_size,
        output_chunk_size=rows,
        max_state_dim=config.max_state_dim,
        max_action_dim=config.max_action_dim,
        num_inference_steps=settings.realtime.steps or config.num_inference_steps,
        num_cameras=slots,
        control_rate=control.row_rate,
        row_offset=control.row_offset,
        action_space="absolute",
        network_action_space="delta_from_observation" if relative else "absolute",
        anchor="measured" if relative else None,  # the request's own state
        gripper_columns=tuple(vectors.action_columns.grippers),
        gripper_unit=_SEMANTIC_UNITS.get(loaded.schema.gripper_semantic),
        cameras=names.CAMERAS[:cameras],
        prompt_tokens=config.tokenizer_max_length,
        norm_stats_hash=loaded.stats_digest,
        checkpoint=Path(loaded.source).name,
        extensions=(names.SEED, names.PREFIX) if continues else (names.SEED,),
        prefix_rows=rows if continues else None,
    )
    return known if cell is None else _with_cell(known, cell)


def _with_cell(known: Metadata, cell: Cell) -> Metadata:
    """Say what the cell knows: the checkpoint has been found to agree with it."""
    policy = cell.policy
    cameras: Sequence[str] = [camera.name for camera in cell.policy_cameras]
    units = {arm.gripper.policy_unit for arm in cell.arms}
    return replace(
        known,
        control_rate=policy.row_rate,
        row_offset=policy.row_offset,
        columns=tuple(name or "" for name in cell.column_names),
        gripper_unit=next(iter(units)) if len(units) == 1 else None,
        joint_unit="rad",
        cameras=names.CAMERAS[: len(cameras)],
        camera_names=tuple(cameras),
        contract_hash=cell.contract_hash,
    )
