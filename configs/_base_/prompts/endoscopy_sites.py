# The lesions of the six sites at hand; imaging conditions as in the paper.
_base_ = ['./endoscopy.py']
prompts = dict(classes=['polyp', 'vocal fold lesion'])
