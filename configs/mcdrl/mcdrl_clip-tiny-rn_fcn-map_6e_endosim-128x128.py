# The predictor also gets a similarity map: how much more similar each position is to
# texts of lesions than to texts of healthy tissue. This tower learned it from images in
# which lesions and conditions are independent.
_base_ = ['./mcdrl_clip-tiny-rn_fcn_6e_endosim-128x128.py']
model = dict(
    decode_head=dict(
        similarity_map=True,
        predictor=dict(
            in_channels=[128, 1], in_index=[-2, -1], input_transform='resize_concat'
        ),
    )
)
