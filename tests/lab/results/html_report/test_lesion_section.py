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
    records[0].images[0]['lesions']['small'] = [2, 2, 0]
    table = lesion_wise_table('m', records)
    cells = {row[0]: row for row in table.rows}
    assert cells['all lesions'][1] == '6'
    # 75 and 100 % at the sites, of which one image varies by 25: 87.5 +- 12.5 * 6.483.
    assert cells['all lesions'][2] == '87.5 (6.5 to 100.0)'
    # Where all or none were found, resampling says nothing about other lesions.
    assert cells['small (below 1% of the image)'][3] == '50.0'
    assert cells['at s2'][2] == '100.0'
    assert cells['false lesions per image'][2] == '0.50'


def test_older_records_have_no_table(make_record):
    assert lesion_wise_table('m', [make_record()]) is None
