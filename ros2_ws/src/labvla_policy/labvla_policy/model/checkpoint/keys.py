"""Names of weights in files against names of weights in the policy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from labvla_policy.model.checkpoint.header import StoredTensor
from labvla_policy.model.errors import CheckpointError

PREFIX = "model."
EMBEDDING = "vlm.model.language_model.embed_tokens.weight"
LANGUAGE_HEAD = "vlm.lm_head.weight"
PROJECTION = "proj_vlm_to_dit.weight"
FIRST_KEYS = "dit_action_head.transformer_blocks.0.attn1.to_k.weight"
CLASSIFIER = "ki_head.classifier.weight"  # in fp32, whatever the rest is
KI_PARTS = ("ki_head.", "state_vlm_proj.")
POSITION_TABLE = ".pos_embed.pe"
_LISTED = 12


@dataclass(frozen=True)
class Variant:
    """What the weights themselves tell about the policy."""

    wide: bool  # keys and values come from the backbone's width directly
    source_width: int  # of the features that keys and values are made of
    knowledge_isolation: bool  # the parts for it are there

    @property
    def name(self) -> str:
        """As in the papers and the documentation."""
        return ("B" if self.wide else "A") + (" with KI parts" if self.knowledge_isolation else "")


def policy_names(stored: Iterable[str], where: str) -> dict[str, str]:
    """Map the policy's names to the file's, which may or may not begin with `model.`."""
    stored = list(stored)
    prefixed = [name for name in stored if name.startswith((f"{PREFIX}vlm.", f"{PREFIX}dit_"))]
    plain = [name for name in stored if name.startswith(("vlm.", "dit_"))]
    if bool(prefixed) == bool(plain):
        got = "both" if plain else f"names such as {', '.join(sorted(stored)[:3]) or 'none'}"
        raise CheckpointError(
            f"{where}: expected weights of a LabVLA policy, all named {PREFIX}vlm..., or all "
            f"named vlm..., got {got}"
        )
    cut = len(PREFIX) if prefixed else 0
    return {name[cut:] if name.startswith(PREFIX) else name: name for name in stored}


def detect(stored: Mapping[str, StoredTensor], where: str) -> Variant:
    """Tell the variant from shapes, since configurations may leave it out."""
    if FIRST_KEYS not in stored:
        raise CheckpointError(
            f"{where}: {FIRST_KEYS} is missing: no action expert; the result of the first "
            "training stage alone cannot act"
        )
    return Variant(
        wide=PROJECTION not in stored,
        source_width=stored[FIRST_KEYS].shape[1],
        knowledge_isolation=all(any(name.startswith(part) for name in stored) for part in KI_PARTS),
    )


def check_names(
    stored: Mapping[str, StoredTensor],
    expected: Mapping[str, tuple[int, ...]],
    optional: Iterable[str],
    where: str,
) -> None:
    """Refuse missing, unexpected and wrongly shaped weights, and list them."""
    optional = set(optional)
    wrong = [
        f"{name}: expected {_shape(shape)}, got {_shape(stored[name].shape)}"
        for name, shape in expected.items()
        if name in stored and stored[name].shape != shape
    ]
    problems = [
        _listed("missing", sorted(expected.keys() - stored.keys() - optional)),
        _listed("unexpected", sorted(stored.keys() - expected.keys() - optional)),
        _listed("of another shape", wrong),
    ]
    found = [problem for problem in problems if problem]
    if found:
        raise CheckpointError(
            f"{where}: these weights are not those of its config.json and vlm_config.json\n"
            + "\n".join(found)
        )


def _listed(what: str, names: list[str]) -> str:
    if not names:
        return ""
    shown = "".join(f"\n    {name}" for name in names[:_LISTED])
    more = f"\n    ... and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return f"  {what} ({len(names)}):{shown}{more}"


def _shape(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "a number"
