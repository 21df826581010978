"""EndoSim: a structural causal model that draws endoscopic images.

Its variables are in :mod:`.scene`, how often they occur in :mod:`.hospitals` and
:mod:`.sampling`; :mod:`.drawing` makes pixels of them, and :mod:`.simulated_sites` a
data set on disk. See docs/endosim.md.
"""
