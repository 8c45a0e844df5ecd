"""The report: one page that says everything."""
