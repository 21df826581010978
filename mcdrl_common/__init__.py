"""What the plug-in and the lab both read and write: files, images, sites, records."""


class InputError(Exception):
    """What whoever runs a command can put right; the message says what and how."""
