"""Records until it is killed. Run by a test: `killed_recorder.py FOLDER LOG`.

LOG gets a line for every message, before the recorder does: the truth about what was sent.
"""

import sys
import time

from recorder_support import Rig


def main():
    folder, log = sys.argv[1:]
    rig = Rig(folder, side=64)
    with open(log, "w", buffering=1) as told:  # noqa: PTH123  # line by line
        rig.time = time.time_ns()
        rig.start()
        due = time.monotonic()
        step = 0
        while True:
            rig.time = time.time_ns()
            told.write(f"1 {rig.time}\n")
            rig.send(1)
            if step % 10 == 0:
                told.write(f"0 {rig.time}\n")
                rig.send(0)
            step += 1
            due += 0.01
            time.sleep(max(0.0, due - time.monotonic()))


if __name__ == "__main__":
    main()
