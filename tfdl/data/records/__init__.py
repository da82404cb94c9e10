"""Parquet, TFRecord and ArrayRecord files of the user's own: rows of named values, and images by number."""
