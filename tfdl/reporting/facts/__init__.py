"""What the files of a run say about its course: curves, the best checkpoint, findings."""
