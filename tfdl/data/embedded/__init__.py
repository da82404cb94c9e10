"""tfdl's own builders, which download nothing."""

# Name -> module that defines the builder.
EMBEDDED = {
    "digits": "tfdl.data.embedded.digits",
    "python_topics": "tfdl.data.embedded.python_topics",
    "docstrings": "tfdl.data.embedded.docstrings",
    "dates": "tfdl.data.embedded.dates",
}
