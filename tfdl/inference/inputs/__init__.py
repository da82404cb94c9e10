"""What `tfdl predict` and `Trained.predict` read: files, folders, tables, texts and arrays."""
