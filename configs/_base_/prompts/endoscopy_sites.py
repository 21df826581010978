# The lesions of the six real sites; imaging conditions as in the paper.
_base_ = ['./endoscopy.py']
prompts = dict(classes=['polyp', 'vocal fold lesion'])
