from mcdrl_mmseg.lesion_labels import label_mismatch


def test_as_many_labels_as_prompts_are_matched_by_position_whatever_their_words():
    assert label_mismatch(['Polyp', 'Cyst'], ['x'], ['a polyp', 'a cyst']) is None


def test_same_words_in_another_order_are_a_mismatch():
    text = label_mismatch(['polyp', 'cyst'], [], ['cyst', 'polyp'])
    assert 'Write prompts.classes in the order of the labels' in text


def test_one_label_for_all_lesions_needs_a_prompt_for_each():
    assert label_mismatch(['lesion'], ['polyp'], ['polyp', 'cyst']) is None
    text = label_mismatch(['lesion'], ['polyp', 'tumour'], ['polyp', 'cyst'])
    assert "['tumour'] that have no prompt" in text
