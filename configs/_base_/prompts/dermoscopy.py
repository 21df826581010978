# Dermoscopic photographs of skin lesions.
prompts = dict(
    classes=['melanoma', 'naevus', 'seborrhoeic keratosis'],
    confounders={
        'surface interference': ['hair', 'gel bubbles', 'scales'],
        'lighting': [
            'polarised light',
            'non-polarised light',
            'uneven lighting',
        ],
        'field of view': ['dark corners', 'near distance', 'far distance'],
        'focus': ['blur'],
        'skin tone': ['light skin', 'dark skin'],
        'marks of the examination': [
            'a ruler',
            'ink marks',
            'a colour calibration patch',
        ],
    },
    background_prompts=['Normal skin in a dermoscopic image'],
    class_template='A {class} in a dermoscopic image',
    confounder_template='A dermoscopic image with {domain}',
    class_confounder_template='A {class} with {domain}',
)
