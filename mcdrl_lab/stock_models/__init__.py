"""Every model that MMSegmentation ships a config of, tried with MCDRL."""
