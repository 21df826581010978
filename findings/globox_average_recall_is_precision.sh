#!/usr/bin/env bash
# globox writes the average precision of a class into its columns of average recall: a model that finds every lesion
# has an AR of 0.2.
#
# Expected: "AR 1", "AR 10" and "AR 100" of a class are recalls, as "AR S" next to them, and as ar_1(), ar_10() and
#   ar_100() of the same evaluator. Of two lesions that are both found the recall is 1, whatever else is marked.
# Happens: in save_csv() and in the rows of show_summary() the three columns are average precisions. With eight false
#   boxes above the two lesions "AR 100" is 0.2 and "AR S" 1.0. The methods, and the totals below the table, are right. No
#   message.
# Versions: globox 2.9.0, NumPy 2.4.6.
# Why it matters: the recall of lesions is what a screening is chosen by, and the table by class is what is published. False
#   alarms, which must not change a recall, lower it there.
# Seen: 2026-12-01, Linux x86-64, Python 3.11, exit status 0. Output:
#   columns AP 50:95, AR 1, AR 10, AR 100, AR S of the only class; methods ar_1, ar_10, ar_100
#   both found: 1.0 0.505 1.0 1.0 1.0 ; 0.5 1.0 1.0
#   one of two found: 0.505 0.505 0.505 0.505 0.5 ; 0.5 0.5 0.5
#   both found, after 8 false boxes: 0.2 0.0 0.2 0.2 1.0 ; 0.0 1.0 1.0
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check numpy==2.4.6 globox==2.9.0
venv/bin/python -W ignore - <<'PY'
import csv

from globox import Annotation, AnnotationSet, BoundingBox, COCOEvaluator

SIZE = (400, 400)


def box(x, y, score=None):
    return BoundingBox(label='polyp', xmin=x, ymin=y, xmax=x + 20, ymax=y + 20, confidence=score)


def measures(name, found):
    """The row of the only class in the CSV file, and the same recalls by the evaluator's methods."""
    evaluator = COCOEvaluator(
        ground_truths=AnnotationSet([Annotation('image', SIZE, [box(0, 0), box(100, 0)])]),
        predictions=AnnotationSet([Annotation('image', SIZE, found)]),
    )
    evaluator.save_csv('classes.csv')
    with open('classes.csv') as file:
        (row,) = csv.DictReader(file)
    columns = [round(float(row[key]), 3) for key in ('AP 50:95', 'AR 1', 'AR 10', 'AR 100', 'AR S')]
    methods = [round(evaluator.ar_1(), 3), round(evaluator.ar_10(), 3), round(evaluator.ar_100(), 3)]
    print(f'{name}:', *columns, ';', *methods)
    return columns, methods


print('columns AP 50:95, AR 1, AR 10, AR 100, AR S of the only class; methods ar_1, ar_10, ar_100')
lesions = [box(0, 0, 0.4), box(100, 0, 0.3)]
false = [box(40 * i, 300, 0.9) for i in range(8)]
# 51 of the 101 recalls from 0 to 1 lie at or below a half: 51 / 101 is 0.505.
assert measures('both found', lesions) == ([1, 0.505, 1, 1, 1], [0.5, 1, 1])
assert measures('one of two found', lesions[:1]) == ([0.505] * 4 + [0.5], [0.5, 0.5, 0.5])
# Precisions of 1 in 9 and 2 in 10: the best at or after each recall is 0.2.
assert measures('both found, after 8 false boxes', lesions + false) == ([0.2, 0, 0.2, 0.2, 1], [0, 1, 1])
PY
