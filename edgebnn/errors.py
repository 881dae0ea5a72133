"""Errors that a user can act on: one sentence each (what was expected, what came, the cure).

EdgebnnError
├── ModelError (ValueError)        a .tflite or its card is damaged, newer, or not what the command needs
├── InputError (ValueError)        an array, picture or option of the caller does not fit
├── DataError (ValueError)         a data set or annotation file cannot be used
├── DelegateError (RuntimeError)   the delegate could not be loaded or refused a graph
├── ParityError (RuntimeError)     two implementations of one model disagree
├── MissingExtraError (ImportError) a package of an optional extra is not installed or does not exist here
├── UnavailableError (OSError)     a camera, device or port is not there             exit code 69
└── ConfigError (ValueError)       a configuration or recipe file is wrong           exit code 78
"""


class EdgebnnError(Exception):
    """Base of every error that edgebnn raises on purpose; `exit_code` is what the command line ends with."""

    exit_code = 1


class ModelError(EdgebnnError, ValueError):
    """A model file or its card is damaged, of a newer version, or lacks what is asked of it."""


class InputError(EdgebnnError, ValueError):
    """An argument does not fit: the message says what was expected and what came."""


class DataError(EdgebnnError, ValueError):
    """A data set or annotation file cannot be used."""


class DelegateError(EdgebnnError, RuntimeError):
    """The delegate could not be loaded, or refused a graph."""


class ParityError(EdgebnnError, RuntimeError):
    """Two implementations of the same model disagree."""


class MissingExtraError(EdgebnnError, ImportError):
    """A package of an optional extra is missing; the message names the cure."""


class UnavailableError(EdgebnnError, OSError):
    """A camera, device or port that is needed is not available."""

    exit_code = 69


class ConfigError(EdgebnnError, ValueError):
    """A configuration or recipe file is wrong; the message names file, key and value."""

    exit_code = 78
