"""The report of an extraction or import: one HTML page that people look at."""
