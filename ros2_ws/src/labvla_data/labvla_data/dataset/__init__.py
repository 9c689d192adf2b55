"""Datasets in LeRobot's formats, with what LabVLA needs to know about them."""

from labvla_data.dataset.errors import DatasetError, NoRoomError
from labvla_data.dataset.features import ACTION, IMAGES, STATE, Column, Features, Picture
from labvla_data.dataset.layout import VERSIONS, Version
from labvla_data.dataset.reader import Dataset, Episode, open_dataset
from labvla_data.dataset.robot_schema import RobotSchema, of_cell
from labvla_data.dataset.video import VideoSettings
from labvla_data.dataset.writer import DatasetWriter, EpisodeWriter

__all__ = [
    "ACTION",
    "IMAGES",
    "STATE",
    "VERSIONS",
    "Column",
    "Dataset",
    "DatasetError",
    "DatasetWriter",
    "Episode",
    "EpisodeWriter",
    "Features",
    "NoRoomError",
    "Picture",
    "RobotSchema",
    "Version",
    "VideoSettings",
    "of_cell",
    "open_dataset",
]
