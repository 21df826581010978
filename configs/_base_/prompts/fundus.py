# Colour fundus photographs, signs of diabetic retinopathy.
prompts = dict(
    classes=['microaneurysm', 'haemorrhage', 'hard exudate', 'cotton wool spot'],
    confounders={
        'media and focus': ['blur', 'haze from cataract'],
        'exposure': [
            'bright exposure',
            'dark exposure',
            'uneven illumination',
        ],
        'pigmentation': ['dark fundus pigmentation', 'light fundus pigmentation'],
        'field of view': ['a wide field of view', 'a narrow field of view'],
        'artifacts': [
            'an eyelash shadow',
            'a bright crescent at the border',
            'dust spots',
        ],
    },
    background_prompts=[
        'A healthy retina in a fundus photograph',
        'A normal fundus photograph',
    ],
    class_template='A {class} in a fundus photograph',
    confounder_template='A fundus photograph with {domain}',
    class_confounder_template='A {class} with {domain}',
)
