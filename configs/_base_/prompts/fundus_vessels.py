# Vessels in colour fundus photographs; imaging conditions as for lesions.
_base_ = ['./fundus.py']
prompts = dict(classes=['retinal vessel'])
