"""What an untrusted config may not do: reach anything outside while it is built."""
