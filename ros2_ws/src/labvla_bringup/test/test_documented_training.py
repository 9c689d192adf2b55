"""Every `labvla train` of the documentation is one that the command understands."""

import argparse
import re
import shlex
from pathlib import Path

import pytest

from labvla_bringup.cli.commands import train
from labvla_train.settings import read_settings
from labvla_train.shipped import find_settings

DOCS = Path(__file__).resolve().parents[4] / "docs"
_COMMAND = re.compile(r"^(?:labvla|.* -m labvla_bringup\.cli) train (.*)$", re.MULTILINE)


def documented():
    found = {
        (path.name, words)
        for path in [*DOCS.glob("*.md"), DOCS.parent / "README.md"]
        for words in _COMMAND.findall(path.read_text(encoding="utf-8"))
    }
    return sorted(found)


def test_the_documentation_names_every_stage():
    stages = {shlex.split(words)[0] for _, words in documented()}
    assert stages == set(train.STAGES)


@pytest.mark.parametrize(("page", "words"), documented())
def test_a_documented_command_is_understood(page, words):
    parser = argparse.ArgumentParser(exit_on_error=False)
    train.add_arguments(parser)
    arguments = parser.parse_args(shlex.split(words, comments=True))
    settings = read_settings(find_settings(arguments.config), train._changes(arguments.changes))
    assert arguments.out is not None or arguments.dry_run
    if arguments.stage in ("fast", "ki"):
        assert settings.tokens is not None
    if arguments.stage == "fast":
        assert settings.auxiliary is None
    if arguments.stage == "finetune":
        assert settings.start is not None
