"""What a report computes with a run's model: classes, mistakes, samples."""
