"""The one error type that the protocol commands show as a single line."""


class ProtocolError(ValueError):
    """Something the user can put right; the message says what and how."""
