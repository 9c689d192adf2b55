"""Instructions are said in other words, never in those that evaluation keeps for itself."""

import numpy as np
import pytest

from labvla_policy.model.pipeline.text import PromptTokenizer
from labvla_sim.tasks import TASKS
from labvla_train.errors import TrainError
from labvla_train.shipped import find_settings
from labvla_train.vocabulary import PAD, UNKNOWN, extended, word_tokenizer
from labvla_train.wordings import normal, read_wordings

SHIPPED = find_settings("mini").parent / "press_pick_transport.yaml"
TRIED = 5000
LONGEST = 20  # words that labvla-mini reads


@pytest.mark.parametrize("task", TASKS)
def test_no_wording_of_an_evaluation_is_ever_said(task):
    wordings, chance = read_wordings(SHIPPED), np.random.default_rng(0)
    held_out = {normal(text) for task in TASKS.values() for text in task.held_out}
    for text in TASKS[task].wordings:
        said = {normal(wordings.another(text, chance)) for _ in range(TRIED // 5)}
        assert len(said) > TRIED // 10
        assert not said & held_out
        assert max(len(one.split()) for one in said) <= LONGEST, "the end would be cut off"


def test_every_wording_of_an_evaluation_is_ruled_out():
    folder = SHIPPED.parent
    text = "".join((folder / name).read_text() for name in ("press_pick.yaml", SHIPPED.name))
    assert all(wording in text for task in TASKS.values() for wording in task.held_out)


def test_a_file_may_include_another_one(tmp_path):
    (tmp_path / "one.yaml").write_text("- {instructions: [go], templates: [walk]}\n- never: [run]")
    other = tmp_path / "other.yaml"
    other.write_text(
        "- include: one.yaml\n"
        "- {instructions: [stop], templates: ['{how}'], words: {how: [halt, run]}}"
    )
    wordings, chance = read_wordings(other), np.random.default_rng(0)
    assert wordings.instructions == {"go", "stop"}
    assert wordings.another("go", chance) == "walk"
    assert {wordings.another("stop", chance) for _ in range(20)} == {"halt"}
    assert set(wordings.vocabulary()) == {"walk", "halt", "run"}


def test_an_include_that_leads_nowhere_or_back_is_refused(tmp_path):
    path = tmp_path / "words.yaml"
    for text, complaint in (
        ("- include: words.yaml", "includes itself"),
        ("- include: none.yaml", r"none\.yaml: cannot be read"),
        ("- include: [a, b]", "expected a file's name"),
    ):
        path.write_text(text)
        with pytest.raises(TrainError, match=complaint):
            read_wordings(path)


def test_wordings_that_are_ruled_out_are_drawn_again(tmp_path):
    path = tmp_path / "words.yaml"
    path.write_text(
        "- {instructions: [go], templates: ['{way} now'], words: {way: [walk, run]}}\n"
        "- never: [Walk now!]\n"
    )
    wordings, chance = read_wordings(path), np.random.default_rng(0)
    assert {wordings.another("Go", chance) for _ in range(20)} == {"run now"}
    assert wordings.another("something else", chance) == "something else"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a: 1", "expected a list of tasks"),
        ("- {instructions: [a], templates: ['{b}']}", "no words are given for b"),
        ("- {instructions: [], templates: [a]}", "instructions: expected a list of texts"),
        ("- {instructions: [a], template: [a]}", "template: expected instructions"),
        ("- [", "cannot be read as YAML"),
    ],
)
def test_files_that_make_no_sense_are_refused(tmp_path, text, complaint):
    path = tmp_path / "words.yaml"
    path.write_text(text)
    with pytest.raises(TrainError, match=complaint):
        read_wordings(path)


def test_words_that_lead_to_themselves_are_refused(tmp_path):
    path = tmp_path / "words.yaml"
    path.write_text("- {instructions: [a], templates: ['{b}'], words: {b: ['{b}']}}")
    with pytest.raises(TrainError, match="lead to themselves"):
        read_wordings(path).another("a", np.random.default_rng(0))


def test_a_vocabulary_grows_behind_what_it_has():
    first = word_tokenizer(["press", "the", "button"])
    second, new = extended(first.to_str(), ["put", "the", "beaker", "put"])
    assert new == ("beaker", "put")
    known = first.get_vocab()
    assert {word: number for word, number in second.get_vocab().items() if word in known} == known
    assert [second.token_to_id(word) for word in new] == [len(known), len(known) + 1]
    assert second.encode("Put the BEAKER!").ids == [len(known) + 1, known["the"], len(known)]
    assert extended(first.to_str(), ["press"])[1] == ()


def test_unknown_words_are_told_as_such_and_capitals_do_not_matter():
    tokenizer = word_tokenizer(["press", "the", "button"])
    read = PromptTokenizer(tokenizer, tokenizer.token_to_id(PAD), 6)
    unknown = tokenizer.token_to_id(UNKNOWN)
    known = read("press the button")
    assert read("Press the BUTTON!").ids == known.ids
    assert read("press the frobnicator").ids[:3] == (*known.ids[:2], unknown)
    assert known.count == 3
