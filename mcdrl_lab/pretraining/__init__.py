"""Training the built-in tiny CLIP on scenes of EndoSim, and testing it in earnest."""
