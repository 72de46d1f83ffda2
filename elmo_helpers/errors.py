"""The one exception that bad input ends in."""


class ElmoHelpersError(ValueError):
    """Input that cannot be used; the message names it, says what was expected and what to do."""
