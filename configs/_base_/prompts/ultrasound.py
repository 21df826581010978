# B-mode ultrasound; the classes are those of breast lesions.
prompts = dict(
    classes=['benign breast tumour', 'malignant breast tumour'],
    confounders={
        'acoustic artifacts': [
            'acoustic shadowing',
            'posterior enhancement',
            'reverberation',
        ],
        'gain': ['low gain', 'high gain'],
        'speckle': ['coarse speckle', 'speckle reduction'],
        'depth': ['a shallow imaging depth', 'a deep imaging depth'],
        'transducer': ['a linear transducer', 'a curved transducer'],
        'contact': ['poor skin contact'],
        'overlays': ['caliper marks', 'burned-in text'],
    },
    background_prompts=['Normal breast tissue in an ultrasound image'],
    class_template='A {class} in an ultrasound image',
    confounder_template='An ultrasound image with {domain}',
    class_confounder_template='A {class} with {domain}',
)
