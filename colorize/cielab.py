"""The numbers of sRGB and CIE Lab, for torch (color.py) and for numpy (srgb_tables.py).

They are the six-digit ones that scikit-image uses, so that all agree to rounding.
"""

WHITE_XYZ = (0.95047, 1.0, 1.08883)  # D65, 2 degree observer, Y = 1
XYZ_FROM_RGB = (
    (0.412453, 0.357580, 0.180423),
    (0.212671, 0.715160, 0.072169),
    (0.019334, 0.119193, 0.950227),
)
EPSILON = 0.008856  # below it the cube root of CIE Lab turns linear, 7.787 t + 16/116
SLOPE = 7.787
KNEE = 0.2068966  # what is EPSILON on the other side of the cube root
GAMUT_STEPS = 6  # bisection steps towards the gamut; between what is left of chroma, 2^-6, RGB is a line
GAMUT_SLACK = 1e-5  # rounding of white and of the primaries is no reason to search; clamping takes care of it
