"""`labvla data`: reports as JSON, and an exit code that says what they say."""

import json

import numpy as np
import pytest

from labvla_bringup import cli
from labvla_data.dataset import ACTION, STATE, Column, DatasetWriter, of_cell, open_dataset
from labvla_policy.runtime.cell import load_cell

CELL = load_cell("franka")
NAMES = tuple(name or "unused" for name in CELL.column_names)
SPOILT = 1


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """Three episodes without cameras; one of them jumps."""
    folder = tmp_path_factory.mktemp("data") / "demo"
    features = {STATE: Column("float32", NAMES), ACTION: Column("float32", NAMES)}
    schema = of_cell(CELL)
    schema = type(schema)(**{**vars(schema), "image_mapping": {}})
    with DatasetWriter(folder, features, 30, schema=schema) as writer:
        for number in range(3):
            with writer.episode("press the button") as episode:
                for k in range(40):
                    state = np.full(8, 0.02 + 0.0005 * k)
                    action = state + (0.5 if number == SPOILT and k > 20 else 0.0005)
                    episode.add({STATE: state, ACTION: np.clip(action, 0, 1)})
    return folder


def run(capsys, *words):
    try:
        code = cli.main([str(word) for word in words])
    except SystemExit as end:  # argparse's own way
        code = end.code
    output = capsys.readouterr()
    return code, (json.loads(output.out) if "--json" in words and code in (0, 1) else output)


def test_from_scan_to_training(capsys, dataset, tmp_path):
    report, copy = tmp_path / "report.json", tmp_path / "copy"
    code, found = run(capsys, "data", "scan", dataset, "--out", report, "--workers", "1", "--json")
    assert (code, found["bad_episodes"]) == (1, [SPOILT])
    assert json.loads(report.read_text()) == found
    code, done = run(capsys, "data", "clean", dataset, copy, "--report", report, "--json")
    assert (code, done["episodes"], done["dropped"]) == (0, 2, [SPOILT])
    assert run(capsys, "data", "scan", copy, "--workers", "1")[0] == 0
    code, judged = run(capsys, "data", "preflight", copy, "--json")
    assert (code, judged["ok"]) == (1, False)
    code, done = run(capsys, "data", "stats", copy, "--workers", "1", "--json")
    assert (code, done["episodes"], done["frames"]) == (0, 2, 80)
    assert run(capsys, "data", "preflight", copy)[0] == 0
    code, judged = run(capsys, "data", "validate", copy, "--json")
    assert (code, judged["ok"], judged["issues"]) == (0, True, [])


def test_tables_for_people(capsys, dataset):
    code, output = run(capsys, "data", "scan", dataset, "--workers", "1")
    assert code == 1
    assert "action_jump" in output.out
    assert "3 episodes, 1 bad" in output.out


def test_a_page_to_look_at(capsys, dataset, tmp_path):
    report = tmp_path / "report.json"
    run(capsys, "data", "scan", dataset, "--out", report, "--workers", "1")
    code, done = run(capsys, "data", "view", dataset, "--report", report, "--json")
    page = dataset.with_name("demo.html")
    assert (code, done["page"], done["shown"]) == (0, str(page), [0, 1, 2])
    assert f"bad episodes: {SPOILT}" in page.read_text()
    elsewhere = tmp_path / "pages" / "look.html"
    code, output = run(capsys, "data", "view", dataset, "--episodes", "1", "--out", elsewhere)
    assert (code, elsewhere.exists()) == (0, True)
    assert "1 of 3 episodes" in output.out


def test_a_page_with_a_report_about_something_else(capsys, dataset, tmp_path):
    report = tmp_path / "report.json"
    report.write_text('{"root": "/other"}')
    code, output = run(capsys, "data", "view", dataset, "--report", report)
    assert code == 2
    assert "expected a report of `labvla data scan`; missing: bad_episodes" in output.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "expected one of scan, clean"),
        (("scan", "/nowhere"), "expected a dataset"),
        (("scan", "DATASET", "--detectors", "ghosts"), "expected detectors of"),
        (("scan", "DATASET", "--workers", "0"), "expected a number above 0"),
        (("clean", "DATASET", "COPY"), "one of the arguments"),
        (("clean", "DATASET", "COPY", "--drop-episodes", "one"), "expected numbers"),
        (("clean", "DATASET", "COPY", "--drop-episodes", "99"), "there are no episodes"),
        (("clean", "DATASET", "COPY", "--report", "/nowhere.json"), "expected a file"),
        (("stats", "DATASET", "--chunk-size", "0"), "expected at least 1"),
        (("preflight", "DATASET", "--stats", "demo"), "expected NAME=FILE"),
        (("preflight", "DATASET", "--cell", "kitchen"), "kitchen"),
        (("view", "/nowhere"), "expected a dataset"),
        (("view", "DATASET", "--episodes", "0"), "expected a number above 0"),
        (("view", "DATASET", "--report", "/nowhere.json"), "expected a file"),
        (("view", "DATASET", "--out", "DATASET"), "cannot be written"),
    ],
)
def test_wrong_use(capsys, dataset, tmp_path, words, message):
    named = {"DATASET": dataset, "COPY": tmp_path / "copy"}
    code, output = run(capsys, "data", *(named.get(word, word) for word in words))
    assert code == 2
    assert message in output.err
    assert not (tmp_path / "copy").exists()


def test_a_report_about_another_dataset(capsys, dataset, tmp_path):
    report = tmp_path / "report.json"
    report.write_text(
        json.dumps(
            {
                "root": "/other",
                "bad_episodes": [0],
                "dataset_incompatible": False,
                "dataset_incompatible_reasons": [],
                "per_episode_reasons": {},
                "per_episode_warnings": {},
            }
        )
    )
    code, output = run(capsys, "data", "clean", dataset, tmp_path / "copy", "--report", report)
    assert code == 2
    assert "is about /other" in output.err


def test_a_dataset_that_fits_no_model_is_copied_only_when_asked(capsys, dataset, tmp_path):
    report, copy = tmp_path / "report.json", tmp_path / "copy"
    run(capsys, "data", "scan", dataset, "--action-cap", "7", "--out", report, "--workers", "1")
    words = ("data", "clean", dataset, copy, "--report", report)
    code, output = run(capsys, *words)
    assert code == 1
    assert "action has 8 columns" in output.err
    assert run(capsys, *words, "--allow-incompatible")[0] == 0
    assert len(open_dataset(copy)) == 2
