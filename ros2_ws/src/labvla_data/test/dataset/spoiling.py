"""Datasets with one fault each, at a place that the test knows."""

import json
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from labvla_data.dataset import open_dataset
from labvla_data.dataset.video import VideoSettings, VideoWriter


def table_of(folder, episode):
    return open_dataset(folder).episode(episode).entry.table


def video_of(folder, episode, camera):
    return open_dataset(folder).episode(episode).entry.videos[camera][0]


def change_column(folder, episode, name, change):
    """Put change(values) in place of a column; the episode must be alone in its table."""
    path = table_of(folder, episode)
    table = pq.read_table(path)
    values = np.array(table[name].to_pylist())
    at = table.schema.get_field_index(name)
    changed = pa.array(change(values).tolist(), table.schema.field(at).type)
    table = table.set_column(at, table.schema.field(at), changed)
    pq.write_table(table, path)


def drop_rows(folder, episode, count):
    path = table_of(folder, episode)
    table = pq.read_table(path)
    pq.write_table(table.slice(0, len(table) - count), path)


def drop_column(folder, episode, name):
    path = table_of(folder, episode)
    pq.write_table(pq.read_table(path).drop_columns([name]), path)


def change_video(folder, episode, camera, change, fps=30):
    """Write the video anew from change(frames)."""
    frames = list(open_dataset(folder).episode(episode).pictures(camera))
    path = video_of(folder, episode, camera)
    height, width = frames[0].shape[:2]
    writer = VideoWriter(path, height, width, fps, VideoSettings())
    for pixels in change(frames):
        writer.add(pixels)
    writer.finish()


def change_info(folder, **changes):
    path = folder / "meta/info.json"
    info = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({k: v for k, v in info.items() if v is not None}))


def copied(source, target):
    shutil.copytree(source, target)
    return target
