"""Every error that ct_pipeline raises on purpose.

::

    CtPipelineError
    ├── PermanentError             a rerun changes nothing until someone mends the cause
    │   ├── SettingsError          a setting is missing or wrong; names the variable and the mend
    │   ├── ContactFileError       a contact file cannot be read at all
    │   ├── ListFileError          a list file cannot be written where it was asked for
    │   ├── StateFolderError       the state folder cannot hold the embedded database
    │   ├── AudienceError          an audience is unknown, or its query does not fit CleverTap's query language
    │   ├── ExportError            a batch cannot be planned, approved, pushed or undone as asked
    │   └── CleverTapRefusedError  CleverTap understood us and said no
    │       ├── CredentialsError   wrong or expired passcode, unknown project, wrong region
    │       └── NotAllowedError    this machine's address, or this use of the API, is not allowed
    └── TransientError             the same call may succeed later
        ├── LedgerUnavailableError the database does not answer
        ├── NameServersUnavailableError  DNS does not answer what must be known before anything is asked
        ├── LaneHeldError          another process works on this lane
        ├── PullHeldError          another process makes the same pull
        ├── PushHeldError          another process pushes to the same CleverTap project
        └── CleverTapUnavailableError  no usable answer after all retries
            └── CursorExpiredError     the export's cursor is gone: it has to be opened again

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


class NameServersUnavailableError(TransientError):
    """DNS does not answer what must be known before anyone is asked."""


class LaneHeldError(TransientError):
    """Another process works on this lane."""


class AudienceError(PermanentError):
    """An audience is unknown, or its query does not fit CleverTap's query language."""


class ExportError(PermanentError):
    """A batch cannot be planned, approved, pushed or undone as asked."""


class CleverTapRefusedError(PermanentError):
    """CleverTap understood us and said no."""


class CredentialsError(CleverTapRefusedError):
    """Wrong or expired passcode, unknown project, or the project lives in another region."""


class NotAllowedError(CleverTapRefusedError):
    """This machine's address, or this use of the API, is not allowed."""


class PullHeldError(TransientError):
    """Another process makes the same pull."""


class PushHeldError(TransientError):
    """Another process pushes to the same CleverTap project."""


class CleverTapUnavailableError(TransientError):
    """CleverTap gave no usable answer, however often it was asked."""


class CursorExpiredError(CleverTapUnavailableError):
    """The cursor of an export is gone: the export has to be opened again."""
