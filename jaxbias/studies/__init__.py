"""The five studies, one folder each."""
