"""What the plug-in and the lab both read and write: files, images, sites, records."""


class InputError(Exception):
    """An error that the user of a command can fix; the message says what and how."""
