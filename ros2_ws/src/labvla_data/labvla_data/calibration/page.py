"""A page with a board, to be printed at 100 %: squares, what they are, and a line to measure."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from labvla_data.calibration.board import Board
from labvla_data.calibration.errors import CalibrationError

PAPERS = {"a4": (210.0, 297.0), "a3": (297.0, 420.0), "letter": (215.9, 279.4)}  # mm
ENDINGS = (".pdf", ".png")
_MILLIMETRES = 25.4  # in an inch
_DPI = 300.0
_RIM = 0.5  # squares of white around the board, without which the outer markers are not found
_TEXT = 4.0  # mm
_LINE = 100.0  # mm


def write_page(board: Board, out: Path, paper: str) -> None:
    """Write the page as PDF or PNG."""
    if out.suffix.lower() not in ENDINGS:
        raise CalibrationError(f"{out}: expected a name that ends with {' or '.join(ENDINGS)}")
    page, dpi = _page(board, paper)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        if out.suffix.lower() == ".pdf":
            page.save(out, resolution=dpi)
        else:
            page.save(out, dpi=(dpi, dpi))
    except OSError as error:
        raise CalibrationError(f"{out}: cannot be written: {error}") from None


def _page(board: Board, paper: str) -> tuple[Image.Image, float]:
    square = board.square * 1000
    pixels = max(round(square / _MILLIMETRES * _DPI), 1)
    dpi = pixels / square * _MILLIMETRES  # a square has whole pixels: none is wider than another
    millimetre = dpi / _MILLIMETRES
    width, height = sorted(PAPERS[paper], reverse=board.columns >= board.rows)
    needed = (
        (board.columns + 2 * _RIM) * square,
        (board.rows + 2 * _RIM) * square + 3 * _TEXT,
    )
    if needed[0] > width or needed[1] > height:
        raise CalibrationError(
            f"a board of {board} needs {needed[0]:.0f} x {needed[1]:.0f} mm with its white rim, "
            f"{paper} has {width:.0f} x {height:.0f}: smaller squares, fewer of them, or --paper"
        )
    page = Image.new("L", (round(width * millimetre), round(height * millimetre)), 255)
    picture = Image.fromarray(np.asarray(board.picture(pixels)))
    left = (page.width - picture.width) // 2
    top = (page.height - picture.height - round(2 * _TEXT * millimetre)) // 2
    page.paste(picture, (left, top))
    draw = ImageDraw.Draw(page)
    font = ImageFont.load_default(size=_TEXT * 0.8 * millimetre)
    below = top + picture.height + round(_RIM * pixels)
    draw.text((left, below), f"{board}", fill=0, font=font)
    line = below + round(2 * _TEXT * millimetre)
    end = left + round(min(_LINE, board.columns * square) * millimetre)
    draw.line([(left, line), (end, line)], fill=0, width=max(round(0.3 * millimetre), 1))
    draw.text(
        (end + round(_TEXT * millimetre), line - round(_TEXT / 2 * millimetre)),
        f"{min(_LINE, board.columns * square):g} mm: print at 100 %, measure",
        fill=0,
        font=font,
    )
    return page, dpi
