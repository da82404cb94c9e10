"""The user's own files as data sets: images in class folders, tables, JSON lines, plain and parallel texts."""
