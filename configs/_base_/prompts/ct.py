# Axial CT slices of the abdomen.
prompts = dict(
    classes=['liver tumour', 'kidney tumour', 'pancreatic tumour'],
    confounders={
        'contrast phase': [
            'no contrast agent',
            'arterial phase contrast',
            'portal venous phase contrast',
        ],
        'dose': ['low-dose noise', 'low noise'],
        'reconstruction': [
            'a smooth kernel',
            'a sharp kernel',
            'thick slices',
            'thin slices',
        ],
        'artifacts': [
            'metal streaks',
            'motion blur',
            'beam hardening',
        ],
        'window': ['a narrow window', 'a wide window'],
    },
    background_prompts=['Normal organs in an abdominal CT slice'],
    class_template='A {class} in an abdominal CT slice',
    confounder_template='An abdominal CT slice with {domain}',
    class_confounder_template='A {class} with {domain}',
)
