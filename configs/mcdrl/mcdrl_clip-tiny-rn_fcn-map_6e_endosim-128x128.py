# The predictor also gets how much more each position resembles a lesion than healthy
# tissue by text, which this tower learned where lesions and conditions were independent.
_base_ = ['./mcdrl_clip-tiny-rn_fcn_6e_endosim-128x128.py']
model = dict(
    decode_head=dict(
        similarity_map=True,
        predictor=dict(
            in_channels=[128, 1], in_index=[-2, -1], input_transform='resize_concat'
        ),
    )
)
