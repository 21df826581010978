# The paper's prompt set: five families with twelve imaging conditions, and its five
# lesion types.
prompts = dict(
    classes=['polyp', 'tumour', 'inflammation', 'nodule', 'cyst'],
    confounders={
        'field-of-view quality': ['blur', 'artifacts'],
        'lighting': ['bright lighting', 'dark lighting', 'uneven lighting'],
        'imaging technique': ['narrow-band imaging', 'white light imaging'],
        'distance': ['near distance', 'far distance'],
        'surface interference': ['mucus', 'blood', 'reflection'],
    },
    background_prompts=[
        'Normal mucosa in an endoscopic image',
        'A healthy organ in an endoscopic image',
    ],
    class_template='A {class} in an endoscopic image',
    confounder_template='An endoscopy image with {domain}',
    class_confounder_template='A {class} with {domain}',
)
