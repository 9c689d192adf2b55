"""Tasks: what is asked, what varies, and who judges it from the true state."""

from labvla_sim.tasks.episode import Episode, sample_episode
from labvla_sim.tasks.judging import Event, Judge, Verdict
from labvla_sim.tasks.registry import TASKS, Task
from labvla_sim.tasks.trial import Trial
from labvla_sim.tasks.variation import VARIATIONS, Variation

__all__ = [
    "TASKS",
    "VARIATIONS",
    "Episode",
    "Event",
    "Judge",
    "Task",
    "Trial",
    "Variation",
    "Verdict",
    "sample_episode",
]
