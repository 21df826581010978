from mcdrl_lab.results.html_report.lesion_section import lesion_wise_table


def counted(record, small, false):
    for image in record.images:
        sizes = dict(small=list(small), medium=[0, 0, 0], large=[0, 0, 0])
        image['lesions'] = sizes | dict(predicted=3, false=false, false_iou50=false)
    return record


def test_shares_and_counts_have_intervals_within_their_range(make_record):
    records = [
        counted(make_record(held_out='s1'), small=(2, 1, 0), false=0),
        counted(make_record(held_out='s2'), small=(1, 1, 1), false=1),
    ]
    table = lesion_wise_table('m', records)
    cells = {row[0]: row for row in table.rows}
    assert cells['all lesions'][1] == '6'
    assert cells['all lesions'][2].startswith('75.0 (')
    assert cells['small (below 1% of the image)'][3].startswith('50.0 (')
    assert cells['at s2'][2] == '100.0 (100.0 to 100.0)'
    assert cells['false lesions per image'][2].startswith('0.50 (0.50')


def test_older_records_have_no_table(make_record):
    assert lesion_wise_table('m', [make_record()]) is None
