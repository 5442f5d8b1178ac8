"""Writes the arrays beside this file with NumPy 2: `python make.py`."""

import numpy as np

TOKENS = [5, 255, 0, 299, 7, 256]

for kind in ["<u2", "<i4", "<u4", "<i8"]:
    np.save(kind.strip("<") + ".npy", np.array(TOKENS, kind))
np.save("rows.npy", np.array(TOKENS, "<u2").reshape(2, 3))
np.save("big-endian.npy", np.array(TOKENS, ">u2"))
np.save("floats.npy", np.array(TOKENS, "<f4"))
np.save("columns.npy", np.asfortranarray(np.array(TOKENS, "<u2").reshape(2, 3)))
np.save("negative.npy", np.array([5, -1], "<i4"))
with open("version-2.npy", "wb") as file:
    np.lib.format.write_array(file, np.array(TOKENS, "<u2"), version=(2, 0))
