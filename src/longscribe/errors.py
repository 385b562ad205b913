"""Every error longscribe raises, by what becomes of the message that met it.

::

    LongscribeError
    ├── Transient            try again: the message is nacked and redelivered
    │   ├── Busy             another process holds the store or the lock
    │   ├── NoSpace          the disk is full: nothing is lost, go on once there is room
    │   └── Misconfigured    the deployment lacks a right or a resource: nothing is lost, go on once it is mended
    ├── Permanent            trying again cannot help: the job fails with the sentence as its reason
    │   ├── BadInput         the recording or a setting is at fault; the command line exits with 2
    │   │   └── OverLimit    a bound of ``core/limits.py`` is exceeded
    │   └── IllegalMove      a job was asked to move between two states that no arrow joins
    ├── Gone                 the object or document is not there, or not in that generation
    └── Poison               this message harms whoever takes it: dead-letter it
        └── DecodeError      bytes that are no message of a version we know

An error's text is one sentence that says what to do. It holds no transcript text.
"""


class LongscribeError(Exception):
    """The root: catch this to catch everything longscribe raises on purpose."""


class Transient(LongscribeError):
    """Trying again later may succeed."""


class Busy(Transient):
    """Another process holds what is needed."""


class Misconfigured(Transient):
    """The deployment lacks a right or a resource; the text names it. No recording is at fault."""


class Permanent(LongscribeError):
    """Trying again cannot succeed."""


class BadInput(Permanent):
    """The recording or a setting cannot be used; the text says what to change."""


class OverLimit(BadInput):
    """A bound of ``core/limits.py`` is exceeded; the text names the bound."""


class NoSpace(Transient):
    """The disk is full; the text names the directory."""


class IllegalMove(Permanent):
    """A job was asked to move between two states that no arrow joins."""


class Gone(LongscribeError):
    """The object or document does not exist, or no longer in the generation asked for."""


class Poison(LongscribeError):
    """The message itself is at fault; no worker should see it again."""


class DecodeError(Poison):
    """The bytes are not a message of a version this code knows."""
