# MRI slices of the brain.
prompts = dict(
    classes=['glioma', 'meningioma', 'brain metastasis'],
    confounders={
        'sequence': [
            'T1 weighting',
            'T1 weighting after contrast agent',
            'T2 weighting',
            'FLAIR contrast',
        ],
        'field strength': ['low field strength', 'high field strength'],
        'artifacts': [
            'motion ghosting',
            'a bias field',
            'wrap-around',
            'a metal artifact',
        ],
        'resolution': ['thick slices', 'thin slices'],
        'noise': ['a low signal-to-noise ratio'],
    },
    background_prompts=['Normal brain tissue in a brain MRI slice'],
    class_template='A {class} in a brain MRI slice',
    confounder_template='A brain MRI slice with {domain}',
    class_confounder_template='A {class} with {domain}',
)
