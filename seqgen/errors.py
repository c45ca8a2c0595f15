"""The errors a user can cause, each one line: what, where, what to do.

    SeqgenError
    ├── ConfigError      an option, a YAML key, a combination that makes no sense
    ├── CorpusError      a file that cannot be read as what it claims to be
    ├── TokenError       a vocabulary or a token that does not fit
    └── ArtifactError    a model directory, index or checkpoint that is broken or foreign

A programmer's mistake is a ValueError instead. Only `seqgen.cli.app` turns these into exit codes.
"""


class SeqgenError(Exception):
    """A mistake that the user can mend; its message is shown as it is, without a traceback."""


class ConfigError(SeqgenError):
    """An option or configuration value that is unknown, of the wrong type or out of range."""


class CorpusError(SeqgenError):
    """A corpus, or a part of it, that cannot be read."""


class TokenError(SeqgenError):
    """A vocabulary that does not fit, or a symbol outside it where that is not allowed."""


class ArtifactError(SeqgenError):
    """A model directory, index or checkpoint that is missing, incomplete, changed or of another format."""
