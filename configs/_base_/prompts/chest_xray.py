# Chest radiographs.
prompts = dict(
    classes=['pneumothorax', 'pulmonary consolidation', 'pulmonary nodule'],
    confounders={
        'projection': [
            'posteroanterior projection',
            'anteroposterior projection at the bedside',
        ],
        'exposure': ['underexposure', 'overexposure'],
        'positioning': ['rotation of the patient', 'shallow inspiration'],
        'processing': ['low contrast', 'strong edge enhancement', 'noise'],
        'objects': [
            'tubes and lines',
            'a pacemaker',
            'electrocardiogram leads',
        ],
    },
    background_prompts=[
        'Clear lungs in a chest X-ray',
        'A normal chest X-ray',
    ],
    class_template='A {class} in a chest X-ray',
    confounder_template='A chest X-ray with {domain}',
    class_confounder_template='A {class} with {domain}',
)
