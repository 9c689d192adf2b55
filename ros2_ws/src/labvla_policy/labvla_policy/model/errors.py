"""What can go wrong with a model: the texts say what was expected, what came, what to do."""


class ModelError(ValueError):
    """The root of what this package raises on purpose."""


class ConfigError(ModelError):
    """A configuration that contradicts itself, or that this version cannot run."""


class CheckpointError(ModelError):
    """A checkpoint folder that cannot be used."""


class InputError(ModelError):
    """Pictures, states, instructions or noise that the policy cannot take."""


class Unavailable(RuntimeError):
    """The machine lacks something (a package, a device, the network); the text names it."""
