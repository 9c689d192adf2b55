"""From an instruction to token ids: no chat template, no system text, nothing in front."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from labvla_policy.model.errors import CheckpointError, InputError
from labvla_policy.model.json_files import read_json

if TYPE_CHECKING:
    from tokenizers import Tokenizer

TOKENIZER = "tokenizer.json"
TOKENIZER_CONFIG = "tokenizer_config.json"
MOST_CHARACTERS = 100_000  # of a prompt; tokenising more would keep a robot waiting
_PAD_TOKEN = "<|endoftext|>"


@dataclass(frozen=True)
class Words:
    """An instruction as the network sees it."""

    ids: tuple[int, ...]  # padded on the right
    count: int  # how many of them are words
    dropped: int  # tokens that did not fit

    @property
    def mask(self) -> tuple[bool, ...]:
        """Which ids are words."""
        return tuple(index < self.count for index in range(len(self.ids)))

    @property
    def warning(self) -> str | None:
        """What to tell people when the network does not see all of their text."""
        if not self.dropped:
            return None
        return (
            f"prompt: {self.count + self.dropped} tokens, and the policy reads {self.count}: "
            f"the last {self.dropped} are cut off; say it in fewer words"
        )


class PromptTokenizer:
    """Tokenises, cuts and pads as the public policy was trained."""

    def __init__(self, tokenizer: Tokenizer, pad_id: int, length: int) -> None:
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self._tokenizer = tokenizer
        self._pad_id = pad_id
        self._length = length
        added = tokenizer.get_added_tokens_decoder()
        self._special = {number: str(token.content) for number, token in added.items()}

    @property
    def vocabulary(self) -> int:
        """One more than the largest id."""
        return 1 + max(self._tokenizer.get_vocab(with_added_tokens=True).values())

    def __call__(self, prompt: str) -> Words:
        """Tokenise an instruction."""
        if not isinstance(prompt, str):
            raise InputError(f"prompt: expected a text, got {type(prompt).__name__}")
        if not prompt.strip():
            raise InputError("prompt: expected an instruction, got an empty text")
        if len(prompt) > MOST_CHARACTERS:
            raise InputError(
                f"prompt: expected at most {MOST_CHARACTERS:,} characters, got {len(prompt):,}"
            )
        try:
            prompt.encode()
        except UnicodeEncodeError as error:
            raise InputError(f"prompt: not a valid text: {error}") from None
        ids = self._tokenizer.encode(prompt, add_special_tokens=False).ids
        special = next((self._special[number] for number in ids if number in self._special), None)
        if special is not None:
            raise InputError(
                f"prompt: {special} is a control token of the model, not a word; take it out"
            )
        kept = ids[: self._length]
        padding = [self._pad_id] * (self._length - len(kept))
        return Words((*kept, *padding), len(kept), len(ids) - len(kept))


def load_tokenizer(path: Path, settings: Path | None, length: int) -> PromptTokenizer:
    """Read tokenizer.json, and the padding token from tokenizer_config.json where it is there."""
    # Imported here: what only describes a checkpoint needs no tokenizer.
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises nothing more precise
        raise CheckpointError(f"{path}: cannot be read as a tokenizer: {error}") from error
    token = _pad_token(settings)
    pad_id = tokenizer.token_to_id(token)
    if pad_id is None:
        raise CheckpointError(f"{path}: the padding token {token!r} is not in its vocabulary")
    return PromptTokenizer(tokenizer, pad_id, length)


def _pad_token(path: Path | None) -> str:
    if path is None:
        return _PAD_TOKEN
    token: Any = read_json(path).get("pad_token")
    if isinstance(token, dict):  # written so by some versions of the library
        token = token.get("content")
    return token if isinstance(token, str) else _PAD_TOKEN
