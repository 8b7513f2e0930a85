"""Every error that ct_pipeline raises on purpose.

::

    CtPipelineError
    ├── PermanentError             a rerun changes nothing until someone mends the cause
    │   ├── SettingsError          a setting is missing or wrong; names the variable and the mend
    │   ├── ContactFileError       a contact file cannot be read at all
    │   ├── ListFileError          a list file cannot be written where it was asked for
    │   └── StateFolderError       the state folder cannot hold the embedded database
    └── TransientError             the same call may succeed later
        ├── LedgerUnavailableError the database does not answer
        └── LaneHeldError          another process works on this lane

A reply of a mail server or a DNS answer is never an exception: it is evidence, recorded as it came.
"""


class CtPipelineError(Exception):
    """Root of the tree; its text is written for the person who runs the pipeline."""


class PermanentError(CtPipelineError):
    """A rerun changes nothing until someone mends the cause."""


class TransientError(CtPipelineError):
    """The same call may succeed later."""


class SettingsError(PermanentError):
    """A setting is missing or wrong."""


class ContactFileError(PermanentError):
    """A contact file cannot be read at all."""


class ListFileError(PermanentError):
    """A list file cannot be written where it was asked for."""


class StateFolderError(PermanentError):
    """The state folder cannot hold the embedded database."""


class LedgerUnavailableError(TransientError):
    """The database does not answer, or lacks the migrations this version needs."""


class LaneHeldError(TransientError):
    """Another process works on this lane."""
