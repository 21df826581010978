from types import SimpleNamespace

import pytest

from mcdrl_mmseg.apis.closed_gate import closed_gate_note


@pytest.mark.parametrize(('gate', 'told'), [(0, True), (1, False), (1e-3, False)])
def test_only_a_gate_of_0_gives_a_note(new_model, gate, told):
    model = new_model()
    model.decode_head.intervention.gate.fill_(gate)
    note = closed_gate_note(model)
    assert (note is not None) == told
    assert not told or 'InterventionWarmupHook' in note


def test_a_model_without_intervention_gives_no_note(new_model):
    assert closed_gate_note(new_model(intervention=None)) is None
    assert closed_gate_note(SimpleNamespace()) is None
