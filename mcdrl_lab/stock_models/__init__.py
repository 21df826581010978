"""Trials of MCDRL with every model that MMSegmentation ships a config for."""
