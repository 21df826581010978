"""How the built-in CLIPs were trained, on scenes of EndoSim and on real endoscopy."""
