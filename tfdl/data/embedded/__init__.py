"""tfdl's own data sets: TFDS builders that download nothing. ``tfdl/config/dataset.py`` declares them."""
