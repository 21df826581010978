"""Keeps an untrusted config from reaching files, network or code while it is built."""
