"""Endings of image files, in lower case."""

FIRST_ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".gif")
"""Of runs that record no rules for images."""
_JPEG_ENDINGS = (".jpg", ".jpeg", ".jpe", ".jfif")
_OTHER_ENDINGS = (".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".avif")
ENDINGS = (*_JPEG_ENDINGS, *_OTHER_ENDINGS)
"""Of new runs."""
