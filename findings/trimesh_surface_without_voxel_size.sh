#!/usr/bin/env bash
# The marching-cubes surface of a trimesh VoxelGrid ignores its voxel size.
#
# Expected: a VoxelGrid made with a transform has one place and one size: its volume, its boxes and its surface agree.
# Happens: volume, bounds and as_boxes() follow the transform, marching_cubes does not: a lesion of 10 x 10 x 10 voxels of
#   2 mm has a volume of 8000 mm3, and a surface around 986, at another place. With voxels of 1 mm at the origin they
#   agree. The function matrix_to_marching_cubes, with a pitch, is right. No message; the help says that nothing is cleaned
#   or smoothed.
# Versions: trimesh 5.2.0, scikit-image 0.26.0, SciPy 1.17.1, NumPy 2.4.6.
# Why it matters: the mesh is what is printed, shown over the scan, and measured: areas, volumes and distances are those of
#   another lesion. Voxels of CT and MR are rarely cubes of 1 mm.
# Seen: 2026-11-30, Linux x86-64, Python 3.11, exit status 0. Output:
#   volume of the grid, of its boxes, of its surface; middle of the grid, of its surface
#   voxels of 1 mm, from 0: 1000 1000 986 9.5 9.5
#   voxels of 2 mm, from 0: 8000 8000 986 19.0 9.5
#   voxels of 0.5 mm, from 0: 125 125 986 4.8 9.5
#   voxels of 1 mm, from -100: 1000 1000 986 -90.5 9.5
#   matrix_to_marching_cubes, pitch of 2: 7885
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check \
  numpy==2.4.6 scipy==1.17.1 scikit-image==0.26.0 trimesh==5.2.0
venv/bin/python -W ignore - <<'PY'
import numpy as np
import trimesh

mask = np.zeros((20, 20, 20), bool)
mask[5:15, 5:15, 5:15] = True


def volumes(size, origin=0):
    transform = np.diag([size, size, size, 1.0])
    transform[:3, 3] = origin
    grid = trimesh.voxel.VoxelGrid(mask, transform=transform)
    surface = grid.marching_cubes
    values = [round(float(v)) for v in (grid.volume, grid.as_boxes().volume, surface.volume)]
    places = [np.round(mesh.bounds.mean(0), 1).tolist()[0] for mesh in (grid, surface)]
    print(f'voxels of {size} mm, from {origin}:', *values, *places)
    return values, places


print('volume of the grid, of its boxes, of its surface; middle of the grid, of its surface')
assert volumes(1) == ([1000, 1000, 986], [9.5, 9.5])
assert volumes(2) == ([8000, 8000, 986], [19.0, 9.5])
assert volumes(0.5) == ([125, 125, 986], [4.8, 9.5])
assert volumes(1, origin=-100) == ([1000, 1000, 986], [-90.5, 9.5])
by_pitch = trimesh.voxel.ops.matrix_to_marching_cubes(mask, pitch=2)
print('matrix_to_marching_cubes, pitch of 2:', round(by_pitch.volume))
assert round(by_pitch.volume) == 7885
PY
