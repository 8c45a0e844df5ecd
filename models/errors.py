"""Errors that a user can act on."""


class UsageError(ValueError):
    """A wrong option, value or file; the message names it and says how to mend it.

    The command line prints the message alone and exits with code 2.
    """


class DivergedError(ValueError):
    """The loss or the scores became NaN or infinite; the run is recorded as failed."""
