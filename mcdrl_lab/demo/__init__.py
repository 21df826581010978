"""The whole method shown in one command, on simulated or on real images."""
