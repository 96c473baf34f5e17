"""Tiny corpora in the data sets' own layouts on disk, so that every experiment runs on a fresh machine."""
