"""What training refuses."""


class TrainError(Exception):
    """Settings, data or a run that cannot be trained with; the text says what to do."""
