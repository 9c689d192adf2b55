"""A printed board has the size that it says."""

import numpy as np
import pytest
from PIL import Image

from labvla_data.calibration.board import Board
from labvla_data.calibration.detection import detect
from labvla_data.calibration.errors import CalibrationError
from labvla_data.calibration.page import PAPERS, write_page


@pytest.mark.parametrize("board", [Board(), Board(columns=5, rows=7, square=0.0253, marker=0.018)])
def test_the_squares_on_the_page_are_as_large_as_declared(tmp_path, board):
    write_page(board, tmp_path / "board.png", "a4")
    with Image.open(tmp_path / "board.png") as page:
        pixels = np.asarray(page)
        dpi = page.info["dpi"][0]
    found = detect(board, pixels)
    assert len(found.ids) == board.corners
    spread = np.ptp(found.corners, axis=0) / dpi * 25.4
    expected = np.array([board.columns - 2, board.rows - 2]) * board.square * 1000
    assert spread == pytest.approx(expected, rel=5e-4)
    assert np.array(pixels.shape[::-1]) / dpi * 25.4 == pytest.approx(
        sorted(PAPERS["a4"], reverse=board.columns > board.rows), abs=0.2
    )


def test_a_pdf_is_one_page_of_the_papers_size(tmp_path):
    write_page(Board(), tmp_path / "new" / "board.pdf", "a4")
    data = (tmp_path / "new" / "board.pdf").read_bytes()
    assert data.startswith(b"%PDF")
    box = data.partition(b"/MediaBox [")[2].partition(b"]")[0].split()
    assert [float(value) / 72 * 25.4 for value in box[2:]] == pytest.approx([297, 210], abs=0.2)


def test_a_board_that_does_not_fit_is_refused(tmp_path):
    with pytest.raises(CalibrationError, match="smaller squares"):
        write_page(Board(square=0.04, marker=0.03), tmp_path / "board.pdf", "a4")
    write_page(Board(square=0.04, marker=0.03), tmp_path / "board.pdf", "a3")


def test_another_kind_of_file_is_refused(tmp_path):
    with pytest.raises(CalibrationError, match=r"\.pdf or \.png"):
        write_page(Board(), tmp_path / "board.jpg", "a4")
