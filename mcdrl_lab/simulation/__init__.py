"""EndoSim: a structural causal model that draws endoscopic images.

:mod:`.scene` defines its variables, :mod:`.hospitals` and :mod:`.sampling` how often
they occur. :mod:`.drawing` renders them as pixels, and :mod:`.simulated_sites` writes a
data set to disk. See docs/endosim.md.
"""
